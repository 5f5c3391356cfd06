//! Huffman tables, those of the file and the typical ones of ITU-T T.81, K.3 to K.6, which stand where it has none.

use super::bits::{Bits, Damage};

/// Bits that are looked up at once.
const LOOK: u32 = 10;

/// One table, ready to decode with.
pub(super) struct Table {
    /// What it was made from: 16 counts and the values.
    made_from: Vec<u8>,
    /// By the next bits: the code's length above, its value below; 0 where the code is longer.
    short: [u16; 1 << LOOK],
    /// By the next bits, where a code and its number are in them: the number, the zeros before it, the bits of both.
    whole: [i32; 1 << LOOK],
    /// The largest code of each length, and what leads from a code to its value.
    largest: [i32; 17],
    offset: [i32; 17],
    values: [u8; 256],
}

impl Table {
    fn new(made_from: &[u8]) -> Result<Table, String> {
        let broken = || "a Huffman table of the JPEG is broken".to_owned();
        let (counts, listed) = made_from.split_at_checked(16).ok_or_else(broken)?;
        if listed.len() > 256 {
            return Err(broken());
        }
        let mut table = Table {
            made_from: made_from.to_vec(),
            short: [0; 1 << LOOK],
            whole: [0; 1 << LOOK],
            largest: [-1; 17],
            offset: [0; 17],
            values: [0; 256],
        };
        table.values[..listed.len()].copy_from_slice(listed);
        let (mut code, mut index) = (0_i32, 0_i32);
        for length in 1..=16_u32 {
            let count = i32::from(counts[length as usize - 1]);
            if code + count > 1 << length || index + count > listed.len() as i32 {
                return Err(broken());
            }
            table.offset[length as usize] = index - code;
            if count > 0 {
                table.largest[length as usize] = code + count - 1;
            }
            for _ in 0..count {
                if length <= LOOK {
                    let value = table.values[index as usize];
                    let first = (code as usize) << (LOOK - length);
                    table.short[first..first + (1 << (LOOK - length))].fill((length as u16) << 8 | u16::from(value));
                }
                code += 1;
                index += 1;
            }
            code <<= 1;
        }
        for bits in 0..1 << LOOK {
            let (length, value) = (u32::from(table.short[bits] >> 8), table.short[bits] & 0xff);
            let (zeros, size) = (i32::from(value >> 4), u32::from(value & 15));
            if length > 0 && size > 0 && length + size <= LOOK {
                let number = (bits >> (LOOK - length - size)) as i32 & ((1 << size) - 1);
                let number = if number < 1 << (size - 1) { number - (1 << size) + 1 } else { number };
                table.whole[bits] = number << 16 | zeros << 8 | (length + size) as i32;
            }
        }
        Ok(table)
    }

    /// The next value; at least 16 bits must be ready.
    #[inline(always)]
    pub fn value(&self, bits: &mut Bits) -> Result<u8, Damage> {
        let entry = self.short[bits.peek(LOOK)];
        if entry != 0 {
            bits.skip(u32::from(entry >> 8));
            return Ok(entry as u8);
        }
        self.long(bits)
    }

    #[cold]
    fn long(&self, bits: &mut Bits) -> Result<u8, Damage> {
        for length in LOOK + 1..=16 {
            let code = bits.peek(length) as i32;
            if code <= self.largest[length as usize] {
                bits.skip(length);
                return Ok(self.values[(code + self.offset[length as usize]) as usize & 255]);
            }
        }
        Err(Damage::Code)
    }

    /// Number, zeros before it and length in bits, if the next bits hold them whole; else 0.
    #[inline(always)]
    pub fn whole(&self, bits: &Bits) -> i32 {
        self.whole[bits.peek(LOOK)]
    }
}

/// The tables in force: four for DC, four for AC. They are kept from picture to picture, because most pictures of a film state the same.
#[derive(Default)]
pub(super) struct Tables {
    slots: [Option<Box<Table>>; 8],
    defined: [bool; 8],
}

impl Tables {
    /// A new picture begins: what others defined does not hold for it.
    pub fn forget(&mut self) {
        self.defined = [false; 8];
    }

    /// Reads a segment of tables.
    pub fn define(&mut self, mut body: &[u8]) -> Result<(), String> {
        while let Some((head, rest)) = body.split_first() {
            let broken = || "a Huffman table of the JPEG is broken".to_owned();
            let counts = rest.get(..16).ok_or_else(broken)?;
            let length = 16 + counts.iter().map(|count| usize::from(*count)).sum::<usize>();
            let table = rest.get(..length).ok_or_else(broken)?;
            if head >> 4 > 1 || head & 15 > 3 {
                return Err(broken());
            }
            self.set(usize::from(head >> 4) * 4 + usize::from(head & 15), table)?;
            body = &rest[length..];
        }
        Ok(())
    }

    fn set(&mut self, slot: usize, made_from: &[u8]) -> Result<(), String> {
        if self.slots[slot].as_ref().is_none_or(|table| table.made_from != made_from) {
            self.slots[slot] = Some(Box::new(Table::new(made_from)?));
        }
        self.defined[slot] = true;
        Ok(())
    }

    /// Puts the typical tables where a scan needs one that nobody defined.
    pub fn complete(&mut self, dc: usize, ac: usize) -> Result<(), String> {
        for (slot, typical) in [(dc, &TYPICAL[dc.min(1)]), (4 + ac, &TYPICAL[2 + ac.min(1)])] {
            if !self.defined[slot] {
                let mut made_from = [0; 16 + 162];
                made_from[..16].copy_from_slice(typical.0);
                made_from[16..16 + typical.1.len()].copy_from_slice(typical.1);
                self.set(slot, &made_from[..16 + typical.1.len()])?;
            }
        }
        Ok(())
    }

    pub fn dc(&self, slot: usize) -> &Table {
        self.slots[slot].as_ref().expect("a scan's tables were completed")
    }

    pub fn ac(&self, slot: usize) -> &Table {
        self.slots[4 + slot].as_ref().expect("a scan's tables were completed")
    }
}

const TYPICAL: [(&[u8; 16], &[u8]); 4] = [
    (&DC_LUMA_COUNTS, &DC_VALUES),
    (&DC_CHROMA_COUNTS, &DC_VALUES),
    (&AC_LUMA_COUNTS, &AC_LUMA_VALUES),
    (&AC_CHROMA_COUNTS, &AC_CHROMA_VALUES),
];

const DC_LUMA_COUNTS: [u8; 16] = [0, 1, 5, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0];
const DC_CHROMA_COUNTS: [u8; 16] = [0, 3, 1, 1, 1, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0];
const DC_VALUES: [u8; 12] = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11];
const AC_LUMA_COUNTS: [u8; 16] = [0, 2, 1, 3, 3, 2, 4, 3, 5, 5, 4, 4, 0, 0, 1, 0x7d];
const AC_CHROMA_COUNTS: [u8; 16] = [0, 2, 1, 2, 4, 4, 3, 4, 7, 5, 4, 4, 0, 1, 2, 0x77];
#[rustfmt::skip]
const AC_LUMA_VALUES: [u8; 162] = [
    0x01, 0x02, 0x03, 0x00, 0x04, 0x11, 0x05, 0x12, 0x21, 0x31, 0x41, 0x06, 0x13, 0x51, 0x61, 0x07, 0x22, 0x71,
    0x14, 0x32, 0x81, 0x91, 0xa1, 0x08, 0x23, 0x42, 0xb1, 0xc1, 0x15, 0x52, 0xd1, 0xf0, 0x24, 0x33, 0x62, 0x72,
    0x82, 0x09, 0x0a, 0x16, 0x17, 0x18, 0x19, 0x1a, 0x25, 0x26, 0x27, 0x28, 0x29, 0x2a, 0x34, 0x35, 0x36, 0x37,
    0x38, 0x39, 0x3a, 0x43, 0x44, 0x45, 0x46, 0x47, 0x48, 0x49, 0x4a, 0x53, 0x54, 0x55, 0x56, 0x57, 0x58, 0x59,
    0x5a, 0x63, 0x64, 0x65, 0x66, 0x67, 0x68, 0x69, 0x6a, 0x73, 0x74, 0x75, 0x76, 0x77, 0x78, 0x79, 0x7a, 0x83,
    0x84, 0x85, 0x86, 0x87, 0x88, 0x89, 0x8a, 0x92, 0x93, 0x94, 0x95, 0x96, 0x97, 0x98, 0x99, 0x9a, 0xa2, 0xa3,
    0xa4, 0xa5, 0xa6, 0xa7, 0xa8, 0xa9, 0xaa, 0xb2, 0xb3, 0xb4, 0xb5, 0xb6, 0xb7, 0xb8, 0xb9, 0xba, 0xc2, 0xc3,
    0xc4, 0xc5, 0xc6, 0xc7, 0xc8, 0xc9, 0xca, 0xd2, 0xd3, 0xd4, 0xd5, 0xd6, 0xd7, 0xd8, 0xd9, 0xda, 0xe1, 0xe2,
    0xe3, 0xe4, 0xe5, 0xe6, 0xe7, 0xe8, 0xe9, 0xea, 0xf1, 0xf2, 0xf3, 0xf4, 0xf5, 0xf6, 0xf7, 0xf8, 0xf9, 0xfa,
];
#[rustfmt::skip]
const AC_CHROMA_VALUES: [u8; 162] = [
    0x00, 0x01, 0x02, 0x03, 0x11, 0x04, 0x05, 0x21, 0x31, 0x06, 0x12, 0x41, 0x51, 0x07, 0x61, 0x71, 0x13, 0x22,
    0x32, 0x81, 0x08, 0x14, 0x42, 0x91, 0xa1, 0xb1, 0xc1, 0x09, 0x23, 0x33, 0x52, 0xf0, 0x15, 0x62, 0x72, 0xd1,
    0x0a, 0x16, 0x24, 0x34, 0xe1, 0x25, 0xf1, 0x17, 0x18, 0x19, 0x1a, 0x26, 0x27, 0x28, 0x29, 0x2a, 0x35, 0x36,
    0x37, 0x38, 0x39, 0x3a, 0x43, 0x44, 0x45, 0x46, 0x47, 0x48, 0x49, 0x4a, 0x53, 0x54, 0x55, 0x56, 0x57, 0x58,
    0x59, 0x5a, 0x63, 0x64, 0x65, 0x66, 0x67, 0x68, 0x69, 0x6a, 0x73, 0x74, 0x75, 0x76, 0x77, 0x78, 0x79, 0x7a,
    0x82, 0x83, 0x84, 0x85, 0x86, 0x87, 0x88, 0x89, 0x8a, 0x92, 0x93, 0x94, 0x95, 0x96, 0x97, 0x98, 0x99, 0x9a,
    0xa2, 0xa3, 0xa4, 0xa5, 0xa6, 0xa7, 0xa8, 0xa9, 0xaa, 0xb2, 0xb3, 0xb4, 0xb5, 0xb6, 0xb7, 0xb8, 0xb9, 0xba,
    0xc2, 0xc3, 0xc4, 0xc5, 0xc6, 0xc7, 0xc8, 0xc9, 0xca, 0xd2, 0xd3, 0xd4, 0xd5, 0xd6, 0xd7, 0xd8, 0xd9, 0xda,
    0xe2, 0xe3, 0xe4, 0xe5, 0xe6, 0xe7, 0xe8, 0xe9, 0xea, 0xf2, 0xf3, 0xf4, 0xf5, 0xf6, 0xf7, 0xf8, 0xf9, 0xfa,
];
