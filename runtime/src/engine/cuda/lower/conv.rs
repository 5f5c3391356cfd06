//! Convolutions: which kernel, which tile, and the weights in the order that kernel reads them.

use super::super::program::{Conv, FFT, FREQUENCIES, Geometry, Method, Shape, Spectral, TensorId, Tile};
use super::{Target, Transforms};

/// Bytes of shared memory that a kernel compiled for a program may declare for itself.
const MEASURING: usize = 6 * 1024;

/// Output channels a block makes.
const CHANNEL_BLOCK: usize = 32;

/// Weights `[out][in of the group][ky][kx]`.
pub struct Weights<'a> {
    /// The numbers.
    pub values: &'a [f32],
    /// Output channels.
    pub out: usize,
    /// Input channels of one group.
    pub group_in: usize,
}

/// Plans `input -> output` and packs `weights` and `bias` (one number an output channel).
pub fn plan(
    target: &Target,
    (input, from): (TensorId, Shape),
    (output, to): (TensorId, Shape),
    geometry: Geometry,
    weights: &Weights,
    bias: &[f32],
) -> Conv {
    let method = choose(target, from, to, &geometry);
    let [kh, kw] = geometry.kernel;
    // Undilated, the inputs of one kernel row are one contiguous run; dilated, each tap is a run of its own.
    let (runs, run_taps) = if geometry.dilation[1] == 1 { (kh, kw) } else { (kh * kw, 1) };
    let length = run_taps * from.cs();
    let weight = |o: usize, run: usize, k: usize| {
        let (tap, channel) = (k / from.cs(), k % from.cs());
        let (ky, kx) = if run_taps == 1 { (run / kw, run % kw) } else { (run, tap) };
        if o >= weights.out || k >= length || channel >= weights.group_in {
            return 0.0;
        }
        weights.values[((o * weights.group_in + channel) * kh + ky) * kw + kx]
    };
    let blocks = to.c.div_ceil(CHANNEL_BLOCK);
    let mut padded_bias = bias.to_vec();
    padded_bias.resize(blocks * CHANNEL_BLOCK, 0.0);
    let (ksteps, packed) = match method {
        Method::Mma(_) => {
            let ksteps = length.div_ceil(target.k_step);
            (ksteps, fragments(target.k_step, blocks, runs, ksteps, weight))
        }
        Method::Scalar => {
            let ksteps = length.div_ceil(16);
            let mut packed = Vec::with_capacity(blocks * runs * ksteps * 16 * CHANNEL_BLOCK);
            for block in 0..blocks {
                for run in 0..runs {
                    for k in 0..ksteps * 16 {
                        packed.extend((0..CHANNEL_BLOCK).map(|o| weight(block * CHANNEL_BLOCK + o, run, k).to_bits()));
                    }
                }
            }
            (ksteps, packed)
        }
        Method::Direct => {
            let mut packed = Vec::with_capacity(kh * kw * weights.group_in * to.cs());
            for tap in 0..kh * kw {
                for i in 0..weights.group_in {
                    let value = |o: usize| if o < weights.out { weights.values[(o * weights.group_in + i) * kh * kw + tap] } else { 0.0 };
                    packed.extend((0..to.cs()).map(|o| value(o).to_bits()));
                }
            }
            (0, packed)
        }
        Method::Fft(tiles) => (0, spectra(tiles.half, from, to, &geometry, weights)),
    };
    Conv { input, output, geometry, method, runs, ksteps, weights: packed, bias: padded_bias, behind: None, measures: None }
}

fn choose(target: &Target, from: Shape, to: Shape, geometry: &Geometry) -> Method {
    if geometry.groups > 1 {
        return Method::Direct;
    }
    let direct = if target.half { tile(target, from, to, geometry).map_or(Method::Scalar, Method::Mma) } else { Method::Scalar };
    let Some(tiles) = spectral(target, from, to, geometry) else { return direct };
    let faster = match target.transforms {
        Transforms::Auto => spectral_clocks(target, from, to, &tiles) < direct_clocks(target, from, to, geometry, direct),
        Transforms::Never => false,
        Transforms::Always => true,
    };
    if faster { Method::Fft(tiles) } else { direct }
}

/// The tiles of a convolution by transforms, where there is a kernel for it.
fn spectral(target: &Target, from: Shape, to: Shape, geometry: &Geometry) -> Option<Spectral> {
    let plain = geometry.stride == [1, 1] && geometry.dilation == [1, 1];
    let [kh, kw] = geometry.kernel;
    // Nine tiles of eight frequencies of every input channel lie in shared memory at once.
    if !plain || kh.max(kw) > FFT / 2 || kh.min(kw) < 5 || from.cs() / 2 * 9 * 128 > target.shared_limit {
        return None;
    }
    let valid = [FFT - kh + 1, FFT - kw + 1];
    Some(Spectral { tiles: [to.h.div_ceil(valid[0]), to.w.div_ceil(valid[1])], valid, half: target.half })
}

/// Clocks a warp of the direct form waits for the weights of one k-step, however much else its multiprocessor has to do: 15 x 15 of 26
/// channels are 375 k-steps in a row, and took 60 us longer than the transforms on an H100, where the products alone take 3.
const WEIGHT_WAIT: usize = 400;
/// Clocks three kernels of a transform take at least.
const SPECTRAL_WAIT: f64 = 24_000.0;

/// Clocks of a multiprocessor the transforms take. Rough: memory gives 12 bytes a clock to each, a transform takes 2500 clocks.
fn spectral_clocks(target: &Target, from: Shape, to: Shape, tiles: &Spectral) -> f64 {
    let count = tiles.count() as f64;
    let (from_cs, to_cs) = (from.cs() as f64, to.cs() as f64);
    let bytes = (FREQUENCIES * tiles.complex_bytes()) as f64 * (count * (from_cs + to_cs) * 2.0 + from.c as f64 * to_cs);
    let products = count * FREQUENCIES as f64 * from.c as f64 * to_cs * 4.0;
    let transforms = count * (from_cs + to_cs) / 2.0;
    ((bytes / 12.0 + products / 64.0 + transforms * 2500.0) / target.multiprocessors as f64).max(SPECTRAL_WAIT)
}

/// Clocks of a multiprocessor the direct form takes, at the full rate of its arithmetic for tensor cores and half of it for fp32.
fn direct_clocks(target: &Target, from: Shape, to: Shape, geometry: &Geometry, method: Method) -> f64 {
    let taps = geometry.kernel[0] * geometry.kernel[1];
    let channels = to.c.next_multiple_of(CHANNEL_BLOCK);
    match method {
        Method::Mma(tile) => {
            let (height, width) = (8 * tile.warps_y, tile.columns * tile.warps_x);
            let blocks = to.h.div_ceil(height) * to.w.div_ceil(width);
            let rate = if target.k_step == 16 { 1024.0 } else { 512.0 };
            let macs = height * width * taps * from.cs() * channels;
            let products = blocks.div_ceil(target.multiprocessors) as f64 * macs as f64 / rate;
            let ksteps = geometry.kernel[0] * (geometry.kernel[1] * from.cs()).div_ceil(target.k_step);
            // Measured for the k-steps of Ampere and newer.
            if target.k_step == 16 { products.max((ksteps * WEIGHT_WAIT) as f64) } else { products }
        }
        _ => (to.h * to.w * taps * from.cs() * channels) as f64 / 64.0 / target.multiprocessors as f64,
    }
}

/// Conjugated spectra of the kernels, `[frequency / 8][input channel][output pair][frequency % 8][2]` complex numbers: two words each in
/// fp32, one in fp16 (`half`).
fn spectra(half_words: bool, from: Shape, to: Shape, geometry: &Geometry, weights: &Weights) -> Vec<u32> {
    let [kh, kw] = geometry.kernel;
    let half = FFT / 2 + 1;
    let turn: Vec<(f64, f64)> = (0..FFT).map(|k| (std::f64::consts::TAU * k as f64 / FFT as f64).sin_cos()).collect();
    let pairs = to.cs() / 2;
    let mut packed = vec![0u32; FREQUENCIES * from.c * pairs * if half_words { 2 } else { 4 }];
    let mut rows = vec![(0f64, 0f64); kh * half];
    for o in 0..weights.out {
        for i in 0..from.c {
            let kernel = &weights.values[(o * from.c + i) * kh * kw..][..kh * kw];
            for ky in 0..kh {
                for fx in 0..half {
                    let add = |(re, im): (f64, f64), (kx, &w): (usize, &f32)| {
                        let (sin, cos) = turn[kx * fx % FFT];
                        (re + f64::from(w) * cos, im + f64::from(w) * sin)
                    };
                    rows[ky * half + fx] = kernel[ky * kw..][..kw].iter().enumerate().fold((0.0, 0.0), add);
                }
            }
            for fy in 0..FFT {
                for fx in 0..half {
                    let (mut re, mut im) = (0.0, 0.0);
                    for ky in 0..kh {
                        let ((sin, cos), (a, b)) = (turn[ky * fy % FFT], rows[ky * half + fx]);
                        re += a * cos - b * sin;
                        im += a * sin + b * cos;
                    }
                    let f = fy * half + fx;
                    let at = (((f / 8) * from.c + i) * pairs + o / 2) * 16 + f % 8 * 2 + o % 2;
                    if half_words {
                        packed[at] = u32::from(half_bits(re as f32)) | u32::from(half_bits(im as f32)) << 16;
                    } else {
                        packed[at * 2] = (re as f32).to_bits();
                        packed[at * 2 + 1] = (im as f32).to_bits();
                    }
                }
            }
        }
    }
    packed
}

/// The tile with the least work on the busiest multiprocessor, counting the loading of its surroundings.
fn tile(target: &Target, from: Shape, to: Shape, geometry: &Geometry) -> Option<Tile> {
    let [sy, sx] = geometry.stride;
    let reach = |axis: usize| (geometry.kernel[axis] - 1) * geometry.dilation[axis] + 1;
    let words = from.cs() / 2;
    let limit = target.shared_limit - if target.compiled { MEASURING } else { 0 };
    let mut best: Option<(f64, Tile)> = None;
    for columns in [4, 8, 10] {
        for (warps_y, warps_x) in [(1, 1), (1, 2), (2, 1), (1, 3), (2, 2), (1, 4), (4, 1), (1, 5), (2, 3), (2, 4), (4, 2), (1, 8)] {
            let (height, width) = (8 * warps_y, columns * warps_x);
            let tile_h = (height - 1) * sy + reach(0);
            let tile_words = ((width - 1) * sx + reach(1)) * words;
            // Eight picture rows apart must fall on different banks: sy * pitch = 4 modulo 8 words where that can be had. The end of
            // the last run is read beyond the tile: 8 words more, all zero.
            let mut pitch = tile_words + 8;
            while !pitch.is_multiple_of(2) || (sy * pitch % 8 != 4 && pitch < tile_words + 16) {
                pitch += 1;
            }
            let tile = Tile { columns, warps_y, warps_x, tile_h, tile_words, pitch };
            if tile.shared_bytes() > limit {
                continue;
            }
            let blocks = to.h.div_ceil(height) * to.w.div_ceil(width) * to.c.div_ceil(CHANNEL_BLOCK);
            // Blocks that fit on a multiprocessor at once hide each other's waits; fewer than 4 warps leave schedulers idle.
            let resident = (target.shared_total / (tile.shared_bytes() + 1024)).clamp(1, 16);
            let warps = (resident.min(blocks.div_ceil(target.multiprocessors)) * warps_y * warps_x) as f64;
            let idle = if warps < 8.0 { 8.0 / warps } else { 1.0 };
            let products = (geometry.kernel[0] * geometry.kernel[1] * words) as f64 * (height * width) as f64 / 32.0;
            let loads = (tile_h * pitch) as f64 / 32.0 * 4.0;
            let cost = blocks.div_ceil(target.multiprocessors) as f64 * (products * idle.sqrt() + loads) * (1.0 + 0.5 / columns as f64);
            if best.is_none_or(|(least, _)| cost < least) {
                best = Some((cost, tile));
            }
        }
    }
    best.map(|(_, tile)| tile)
}

/// fp16 weights in the order in which lanes hold them: `[block][run][k-step][lane][word]`.
fn fragments(k_step: usize, blocks: usize, runs: usize, ksteps: usize, weight: impl Fn(usize, usize, usize) -> f32) -> Vec<u32> {
    let mut packed = Vec::new();
    let pair = |o: usize, run: usize, k: usize| u32::from(half_bits(weight(o, run, k))) | u32::from(half_bits(weight(o, run, k + 1))) << 16;
    for block in 0..blocks {
        for run in 0..runs {
            for step in 0..ksteps {
                for lane in 0..32 {
                    let first = block * CHANNEL_BLOCK;
                    if k_step == 16 {
                        // mma.m16n8k16: column lane / 4 of each of four 8-channel tiles, k 2t, 2t + 1 and 8 further on.
                        for n in 0..4 {
                            for half in 0..2 {
                                packed.push(pair(first + n * 8 + lane / 4, run, step * 16 + lane % 4 * 2 + half * 8));
                            }
                        }
                    } else {
                        // mma.m8n8k4: quad pair q makes channels 8q to 8q + 7.
                        let o = first + lane / 4 % 4 * 8 + lane % 4 + lane / 16 * 4;
                        packed.extend([pair(o, run, step * 4), pair(o, run, step * 4 + 2)]);
                    }
                }
            }
        }
    }
    packed
}

/// The fp16 nearest to `value`, ties to even; too large becomes infinite.
pub fn half_bits(value: f32) -> u16 {
    let bits = value.to_bits();
    let sign = ((bits >> 16) & 0x8000) as u16;
    let magnitude = bits & 0x7fff_ffff;
    if magnitude > 0x7f80_0000 {
        return sign | 0x7e00;
    }
    if magnitude >= 0x477f_f000 {
        return sign | 0x7c00;
    }
    if magnitude < 0x3880_0000 {
        // Subnormal in fp16: adding 0.5 aligns the mantissa so that the rounding is the processor's own.
        let rounded = (f32::from_bits(magnitude) + 0.5).to_bits() - 0x3f00_0000;
        return sign | rounded as u16;
    }
    let rounded = magnitude + 0x0fff + ((magnitude >> 13) & 1) - 0x3800_0000;
    sign | (rounded >> 13) as u16
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn halves_round_to_nearest_even() {
        for (value, bits) in [
            (0.0, 0x0000),
            (-0.0, 0x8000),
            (1.0, 0x3c00),
            (-2.0, 0xc000),
            (65504.0, 0x7bff),
            (65519.9, 0x7bff),
            (65520.0, 0x7c00),
            (5.960_464_5e-8, 0x0001),
            (2.980_232_2e-8, 0x0000),
            (8.940_697e-8, 0x0002),
            (6.103_515_6e-5, 0x0400),
            (0.333_251_95, 0x3555),
            (1.000_488_3, 0x3c00),
            (1.001_464_8, 0x3c02),
        ] {
            assert_eq!(half_bits(value), bits, "{value}");
        }
        assert_eq!(half_bits(f32::NEG_INFINITY), 0xfc00);
        assert_eq!(half_bits(f32::NAN) & 0x7c00, 0x7c00);
    }
}
