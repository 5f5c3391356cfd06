//! A device at the end of a serial line: greets the board, asks for a status, draws what it hears on every panel size and says over semihosting which
//! picture that was. The UART carries frames only.
#![no_std]
#![no_main]

use cortex_m_rt::entry;
use cortex_m_semihosting::heprintln;
use embedded_graphics::framebuffer::{Framebuffer, buffer_size};
use embedded_graphics::pixelcolor::raw::{BigEndian, RawU1, RawU16};
use embedded_graphics::pixelcolor::{BinaryColor, Rgb565};
use firmware_bridge::dashboard::{Reading, draw};
use firmware_bridge::{Command, Decoder, Telemetry, crc32};
use firmware_bridge_thumb::uart;

macro_rules! picture {
    ($reading:expr, $colour:ty, $raw:ty, $width:literal, $height:literal) => {{
        let mut panel = Framebuffer::<$colour, $raw, BigEndian, $width, $height, { buffer_size::<$colour>($width, $height) }>::new();
        let Ok(()) = draw($reading, &mut panel);
        heprintln!("picture {}x{} {:08X}", $width, $height, crc32(panel.data()));
    }};
}

#[entry]
fn main() -> ! {
    uart::open();
    let mut decoder = Decoder::new();
    let mut reading = Reading::default();
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
        let Some(received) = decoder.telemetry(&mut &[uart::get()][..]) else { continue };
        reading.absorb(&received.body);
        match received.body {
            Telemetry::Hello(hello) => {
                heprintln!("hello {} on {}", hello.software, hello.board);
                send(Command::AskStatus);
            }
            Telemetry::Status(status) => {
                heprintln!("status frame {} camera {} steps {}", status.frame, status.camera.word(), status.steps);
                picture!(&reading, BinaryColor, RawU1, 128, 32);
                picture!(&reading, BinaryColor, RawU1, 128, 64);
                picture!(&reading, Rgb565, RawU16, 240, 135);
                picture!(&reading, Rgb565, RawU16, 240, 240);
                picture!(&reading, Rgb565, RawU16, 320, 240);
                let c = decoder.counters();
                heprintln!("counters frames {} crc {} cobs {} lost {}", c.frames, c.crc, c.cobs, c.lost);
            }
            Telemetry::Ack(ack) => heprintln!("ack {} {}", ack.sequence, ack.result.word()),
            _ => {}
        }
    }
}

#[panic_handler]
fn panic(info: &core::panic::PanicInfo<'_>) -> ! {
    heprintln!("{}", info);
    loop {}
}
