//! Random numbers as a function of where they are used, so that two policies meet exactly the same world.

/// A uniform number in [0, 1) for a place in the world (seed, stream, index): SplitMix64's finaliser over the three.
pub fn uniform(seed: u64, stream: u64, index: u64) -> f64 {
    let mut x =
        seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ stream.wrapping_mul(0xbf58_476d_1ce4_e5b9) ^ index.wrapping_mul(0x94d0_49bb_1331_11eb);
    for _ in 0..2 {
        x = x.wrapping_add(0x9e37_79b9_7f4a_7c15);
        x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        x ^= x >> 31;
    }
    (x >> 11) as f64 / (1u64 << 53) as f64
}

/// A standard normal number for a place in the world (Box and Muller).
pub fn normal(seed: u64, stream: u64, index: u64) -> f64 {
    let (u, v) = (uniform(seed, stream, 2 * index).max(1e-12), uniform(seed, stream, 2 * index + 1));
    (-2.0 * u.ln()).sqrt() * (std::f64::consts::TAU * v).cos()
}
