//! CRC-32/ISO-HDLC, a nibble at a time: 64 bytes of table instead of a kilobyte.

/// Sixteen remainders of the reflected polynomial `0xEDB88320`.
const TABLE: [u32; 16] = {
    let mut table = [0; 16];
    let mut nibble = 0;
    while nibble < 16 {
        let mut value = nibble as u32;
        let mut bit = 0;
        while bit < 4 {
            value = if value & 1 == 1 { (value >> 1) ^ 0xEDB8_8320 } else { value >> 1 };
            bit += 1;
        }
        table[nibble] = value;
        nibble += 1;
    }
    table
};

/// CRC-32 of `bytes`: reflected, initial value and final XOR `0xFFFF_FFFF`.
///
/// ```
/// assert_eq!(firmware_bridge::crc32(b"123456789"), 0xCBF4_3926);
/// ```
#[must_use]
pub fn crc32(bytes: &[u8]) -> u32 {
    bytes.iter().fold(u32::MAX, |crc, &byte| nibble(nibble(crc ^ u32::from(byte)))) ^ u32::MAX
}

fn nibble(crc: u32) -> u32 {
    // The mask keeps the index below the table's length, so no bounds check (and no panic) is left.
    (crc >> 4) ^ TABLE[(crc & 0xF) as usize]
}
