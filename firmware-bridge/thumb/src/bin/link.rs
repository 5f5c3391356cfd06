//! Both directions of the link: telemetry in, commands out, no panic reachable (see `decoder`).
#![no_std]
#![no_main]

use cortex_m_rt::entry;
use firmware_bridge::{Command, Decoder, SetBudget, Telemetry};
use firmware_bridge_thumb::{stack, uart};

#[entry]
fn main() -> ! {
    let painted = stack::paint();
    uart::open();
    let mut decoder = Decoder::new();
    let mut sequence = 0_u16;
    let mut send = |command: Command| {
        if let Ok(frame) = command.encode(sequence) {
            uart::put(&frame);
        }
        sequence = sequence.wrapping_add(1);
    };
    uart::put(&[0]);
    send(Command::AskHello);
    loop {
        // Looked at where it lies: a record is a quarter of a kilobyte, and every move of one is a copy on the stack.
        // The black box makes the optimiser keep every kind's parser, used below or not.
        let heard = decoder.telemetry(&mut &[uart::get()][..]);
        let Some(received) = core::hint::black_box(&heard) else { continue };
        match &received.body {
            Telemetry::Hello(_) => send(Command::AskStatus),
            // The whole command set, so that all of it is weighed.
            Telemetry::Status(status) if status.paused => send(Command::Resume),
            Telemetry::Status(status) => {
                send(Command::SetBudget(SetBudget {
                    power_mw: status.power_mw,
                    deadline_us: Some(status.deadline_us),
                    ..SetBudget::default()
                }));
            }
            Telemetry::Log(_) => uart::say(b"stack ", painted.used()),
            _ => {}
        }
    }
}

unsafe extern "C" {
    fn the_link_can_panic() -> !;
}

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    // SAFETY: never linked, so never called.
    unsafe { the_link_can_panic() }
}
