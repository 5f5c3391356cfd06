//! The decoder alone. Linking it is the proof that decoding cannot panic: its panic handler calls a function that does not exist, so a single reachable
//! panic anywhere in the program is a link error.
#![no_std]
#![no_main]

use cortex_m_rt::entry;
use firmware_bridge::{Decoder, Telemetry};
use firmware_bridge_thumb::{stack, uart};

#[entry]
fn main() -> ! {
    let painted = stack::paint();
    uart::open();
    let mut decoder = Decoder::new();
    loop {
        // Looked at where it lies: a record is a quarter of a kilobyte, and every move of one is a copy on the stack.
        // The black box makes the optimiser keep every kind's parser, used below or not.
        let heard = decoder.telemetry(&mut &[uart::get()][..]);
        let Some(received) = core::hint::black_box(&heard) else { continue };
        match &received.body {
            Telemetry::Status(status) => uart::say(b"steps ", status.steps.into()),
            Telemetry::Log(_) => {
                uart::say(b"stack ", painted.used());
                uart::say(b"frames ", decoder.counters().frames);
                uart::say(b"crc ", decoder.counters().crc);
            }
            _ => {}
        }
    }
}

unsafe extern "C" {
    fn the_decoder_can_panic() -> !;
}

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    // SAFETY: never linked, so never called.
    unsafe { the_decoder_can_panic() }
}
