//! UART 0 of the MPS2 boards (CMSDK APB UART), polled.

const BASE: usize = 0x4000_4000;
const DATA: usize = BASE;
const STATE: usize = BASE + 0x04;
const CONTROL: usize = BASE + 0x08;
const DIVIDER: usize = BASE + 0x10;

/// Bits of STATE.
const TRANSMIT_FULL: u32 = 1;
const RECEIVE_FULL: u32 = 2;

fn read(register: usize) -> u32 {
    // SAFETY: the callers pass only the constants above, which are mapped device registers on this board, aligned, and read as words.
    unsafe { core::ptr::with_exposed_provenance::<u32>(register).read_volatile() }
}

fn write(register: usize, value: u32) {
    // SAFETY: as in `read`; writing these registers touches no memory of the program.
    unsafe { core::ptr::with_exposed_provenance_mut::<u32>(register).write_volatile(value) }
}

/// Switches both directions on: 25 MHz / 217 = 115 200 baud.
pub fn open() {
    write(DIVIDER, 217);
    write(CONTROL, 0b11);
}

/// Waits for a byte.
pub fn get() -> u8 {
    while read(STATE) & RECEIVE_FULL == 0 {}
    read(DATA) as u8
}

/// Sends bytes.
pub fn put(bytes: &[u8]) {
    for &byte in bytes {
        while read(STATE) & TRANSMIT_FULL != 0 {}
        write(DATA, byte.into());
    }
}

/// Sends a label and a number in decimal, as a line; no formatting machinery, no panic.
pub fn say(label: &[u8], number: u32) {
    put(label);
    let mut unit = 1_000_000_000;
    let mut leading = true;
    while unit > 0 {
        let digit = (number / unit % 10) as u8;
        leading &= digit == 0 && unit > 1;
        if !leading {
            put(&[b'0' + digit]);
        }
        unit /= 10;
    }
    put(b"\n");
}
