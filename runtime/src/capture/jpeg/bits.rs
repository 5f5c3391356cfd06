//! Bits of coded data, up to the next marker.

use super::header::find_marker;

/// What is wrong with coded data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Damage {
    /// It ends too early.
    Cut,
    /// A code that the tables do not hold.
    Code,
    /// More coefficients than a block has.
    Block,
}

impl From<Damage> for String {
    fn from(damage: Damage) -> String {
        match damage {
            Damage::Cut => "the JPEG ends before its picture does: the frame was cut short",
            Damage::Code => "the JPEG is damaged: its data holds a code that its tables do not",
            Damage::Block => "the JPEG is damaged: a block holds more coefficients than there are",
        }
        .into()
    }
}

/// Reads bits from the front. Behind the last one come zeros, which are counted.
pub(super) struct Bits<'a> {
    data: &'a [u8],
    at: usize,
    /// The next bits, from the top.
    next: u64,
    /// How many of them are there.
    count: u32,
    /// How many of those are made up.
    made_up: u32,
}

impl<'a> Bits<'a> {
    pub fn new(data: &'a [u8], at: usize) -> Bits<'a> {
        Bits { data, at, next: 0, count: 0, made_up: 0 }
    }

    #[inline(always)]
    fn refill(&mut self) {
        if let Some(word) = self.data.get(self.at..).and_then(|rest| rest.first_chunk::<8>()) {
            let word = u64::from_be_bytes(*word);
            let inverse = !word;
            if inverse.wrapping_sub(0x0101_0101_0101_0101) & word & 0x8080_8080_8080_8080 == 0 {
                // Whole bytes are counted; what else is laid down here is laid down again, alike, by the next refill.
                self.next |= word >> self.count;
                self.at += ((63 - self.count) >> 3) as usize;
                self.count |= 56;
                return;
            }
        }
        self.refill_bytewise();
    }

    #[inline(never)]
    fn refill_bytewise(&mut self) {
        while self.count <= 56 {
            let byte = match self.data.get(self.at) {
                Some(0xff) => {
                    let run = self.data[self.at..].iter().take_while(|byte| **byte == 0xff).count();
                    if self.data.get(self.at + run) == Some(&0) {
                        self.at += run + 1;
                        0xff
                    } else {
                        self.made_up += 8;
                        0
                    }
                }
                Some(byte) => {
                    self.at += 1;
                    *byte
                }
                None => {
                    self.made_up += 8;
                    0
                }
            };
            self.next |= u64::from(byte) << (56 - self.count);
            self.count += 8;
        }
    }

    /// Makes at least 32 bits ready.
    #[inline(always)]
    pub fn ensure(&mut self) {
        if self.count < 32 {
            self.refill();
        }
    }

    /// The next `count` bits, 1 to 16.
    #[inline(always)]
    pub fn peek(&self, count: u32) -> usize {
        (self.next >> (64 - count)) as usize
    }

    #[inline(always)]
    pub fn skip(&mut self, count: u32) {
        self.next <<= count;
        self.count -= count;
    }

    /// Takes `count` bits, 0 to 16.
    #[inline(always)]
    pub fn take(&mut self, count: u32) -> i32 {
        if count == 0 {
            return 0;
        }
        let value = self.peek(count) as i32;
        self.skip(count);
        value
    }

    /// Takes `count` bits and gives them the sign that their first one states.
    #[inline(always)]
    pub fn signed(&mut self, count: u32) -> i32 {
        let value = self.take(count);
        if count > 0 && value < 1 << (count - 1) { value - (1 << count) + 1 } else { value }
    }

    /// Whether more was taken than was there.
    pub fn overrun(&self) -> bool {
        self.made_up > self.count
    }

    /// Goes to behind the next marker if it is a restart marker; false when it is another, or none.
    pub fn restart(&mut self) -> bool {
        let Some(marker) = find_marker(self.data, self.at) else { return false };
        if !(0xd0..=0xd7).contains(&self.data[marker + 1]) {
            return false;
        }
        *self = Bits::new(self.data, marker + 2);
        true
    }

    /// Where the next marker can be looked for.
    pub fn end(&self) -> usize {
        self.at
    }
}
