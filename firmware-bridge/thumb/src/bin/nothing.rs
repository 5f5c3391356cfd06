//! The zero of the scales: vector table, UART, stack paint, and nothing else.
#![no_std]
#![no_main]

use cortex_m_rt::entry;
use firmware_bridge_thumb::{stack, uart};

#[entry]
fn main() -> ! {
    let painted = stack::paint();
    uart::open();
    loop {
        if uart::get() == b'?' {
            uart::say(b"stack ", painted.used());
        }
    }
}

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    loop {}
}
