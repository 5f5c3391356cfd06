//! Changing bytes so that they stay nearly right.

/// SplitMix64.
pub struct Random(pub u64);

impl Random {
    /// Any number.
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Below `limit`, which is not 0.
    pub fn below(&mut self, limit: usize) -> usize {
        (self.next() % limit as u64) as usize
    }
}

/// Numbers that readers get wrong.
const EDGES: [u64; 14] = [0, 1, 2, 3, 7, 8, 16, 0x7f, 0x80, 0xff, 0x7fff, 0xffff, 0x7fff_ffff, 0xffff_ffff];
/// Longest input.
const LONGEST: usize = 1 << 16;

/// Changes `data` in one to eight places; `other` lends a piece now and then.
pub fn mutate(data: &mut Vec<u8>, other: &[u8], random: &mut Random) {
    for _ in 0..1 + random.below(8) {
        if data.is_empty() {
            data.push(random.next() as u8);
        }
        let at = random.below(data.len());
        let longest = random_length(random);
        let length = 1 + random.below(longest);
        let end = (at + length).min(data.len());
        match random.below(10) {
            0 => data[at] ^= 1 << random.below(8),
            1 => data[at] = random.next() as u8,
            2 => data[at] = data[at].wrapping_add(random.below(9) as u8).wrapping_sub(4),
            3 => data.truncate(at),
            4 => drop(data.drain(at..end)),
            5 => {
                let piece = data[at..end].to_vec();
                let to = random.below(data.len() + 1);
                data.splice(to..to, piece);
            }
            6 => {
                let from = random.below(other.len().max(1));
                let piece = other.get(from..(from + length).min(other.len())).unwrap_or_default().to_vec();
                data.splice(at..at, piece);
            }
            7 => {
                let fill = random.next() as u8;
                data[at..end].fill(fill);
            }
            _ => {
                let value = EDGES[random.below(EDGES.len())].wrapping_add(random.below(3) as u64).wrapping_sub(1);
                let width = [1, 2, 4, 8][random.below(4)];
                let bytes = if random.below(2) == 0 { value.to_le_bytes() } else { (value << (64 - 8 * width)).to_be_bytes() };
                for (byte, new) in data[at..].iter_mut().zip(&bytes[..width]) {
                    *byte = *new;
                }
            }
        }
        data.truncate(LONGEST);
    }
}

/// Mostly short.
fn random_length(random: &mut Random) -> usize {
    [4, 16, 64, 1024][random.below(4)]
}
