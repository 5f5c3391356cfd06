//! The crate's own random numbers, so that a video never changes with somebody else's release.
//!
//! xoshiro256++ (Blackman and Vigna, 2019), its state filled by SplitMix64, both written from their published definitions.

/// One SplitMix64 output for the counter value `z`.
fn split_mix(z: u64) -> u64 {
    let z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

const GOLDEN: u64 = 0x9E37_79B9_7F4A_7C15;

#[derive(Clone, Debug)]
pub(crate) struct Rng([u64; 4]);

impl Rng {
    /// A generator of its own for every distinct list of keys.
    pub fn keyed(keys: &[u64]) -> Self {
        let mut counter = keys.iter().fold(0, |hash: u64, &key| split_mix(hash.wrapping_add(GOLDEN) ^ split_mix(key)));
        Rng(std::array::from_fn(|_| {
            counter = counter.wrapping_add(GOLDEN);
            split_mix(counter)
        }))
    }

    fn next(&mut self) -> u64 {
        let s = &mut self.0;
        let result = s[0].wrapping_add(s[3]).rotate_left(23).wrapping_add(s[0]);
        let t = s[1] << 17;
        s[2] ^= s[0];
        s[3] ^= s[1];
        s[1] ^= s[2];
        s[0] ^= s[3];
        s[2] ^= t;
        s[3] = s[3].rotate_left(45);
        result
    }

    /// Uniform in `low..=high`. The bias is below 2^-32 for the small ranges used here.
    pub fn between(&mut self, low: i32, high: i32) -> i32 {
        let span = (i64::from(high) - i64::from(low) + 1) as u64;
        (i64::from(low) + (((self.next() >> 32) * span) >> 32) as i64) as i32
    }

    /// True once in `n` on average.
    pub fn one_in(&mut self, n: i32) -> bool {
        self.between(1, n) == 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn follows_the_published_reference() {
        // First outputs of xoshiro256++ from the state 1, 2, 3, 4, worked out from its definition.
        let mut rng = Rng([1, 2, 3, 4]);
        assert_eq!([rng.next(), rng.next(), rng.next()], [41_943_041, 58_720_359, 3_588_806_011_781_223]);
    }

    #[test]
    fn covers_its_range_and_no_more() {
        let mut rng = Rng::keyed(&[7]);
        let mut seen = [0; 5];
        for _ in 0..1000 {
            seen[(rng.between(-2, 2) + 2) as usize] += 1;
        }
        assert!(seen.iter().all(|&n| n > 140), "{seen:?}");
    }
}
