//! Decoder and dashboard on one 128x64 panel: what a small device needs, to be weighed.
#![no_std]
#![no_main]

use cortex_m_rt::entry;
use embedded_graphics::framebuffer::{Framebuffer, buffer_size};
use embedded_graphics::pixelcolor::BinaryColor;
use embedded_graphics::pixelcolor::raw::{BigEndian, RawU1};
use firmware_bridge::dashboard::{Reading, draw};
use firmware_bridge::{Decoder, Telemetry, crc32};
use firmware_bridge_thumb::{stack, uart};

#[entry]
fn main() -> ! {
    let painted = stack::paint();
    uart::open();
    let mut panel = Framebuffer::<BinaryColor, RawU1, BigEndian, 128, 64, { buffer_size::<BinaryColor>(128, 64) }>::new();
    let mut decoder = Decoder::new();
    let mut reading = Reading::default();
    loop {
        let Some(received) = decoder.telemetry(&mut &[uart::get()][..]) else { continue };
        if reading.absorb(&received.body) {
            let Ok(()) = draw(&reading, &mut panel);
        }
        if let Telemetry::Log(_) = received.body {
            uart::say(b"picture ", crc32(panel.data()));
            uart::say(b"stack ", painted.used());
        }
    }
}

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    loop {}
}
