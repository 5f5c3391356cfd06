//! The inverse cosine transform: libjpeg's accurate integer form ("islow"), so that samples are the same to the last bit.

mod lanes;

use lanes::{Lanes, Plain};

/// Turns dequantised coefficients into 8x8 samples at the front of a plane's rows.
pub(super) type Transform = fn(&[i16; 64], &[u16; 64], &mut [u8], usize);

/// The fastest one that this processor runs; all give the same samples.
pub(super) fn best() -> Transform {
    #[cfg(target_arch = "x86_64")]
    if std::arch::is_x86_feature_detected!("avx2") {
        return wide;
    }
    #[cfg(target_arch = "aarch64")]
    return inverse::<lanes::Neon>;
    #[allow(unreachable_code)]
    plain
}

fn plain(block: &[i16; 64], table: &[u16; 64], to: &mut [u8], stride: usize) {
    inverse::<Plain>(block, table, to, stride);
}

#[cfg(target_arch = "x86_64")]
#[allow(unsafe_code)]
fn wide(block: &[i16; 64], table: &[u16; 64], to: &mut [u8], stride: usize) {
    #[target_feature(enable = "avx2")]
    fn compiled_wide(block: &[i16; 64], table: &[u16; 64], to: &mut [u8], stride: usize) {
        inverse::<lanes::Avx2>(block, table, to, stride);
    }
    // SAFETY: `best` hands this out only where the processor has AVX2.
    unsafe { compiled_wide(block, table, to, stride) }
}

/// A block that is its mean alone.
#[inline(always)]
pub(super) fn flat(mean: i16, step: u16, to: &mut [u8], stride: usize) {
    let level = ((i32::from(mean) * i32::from(step) + 4) >> 3) + 128;
    let level = level.clamp(0, 255) as u8;
    for row in 0..8 {
        to[row * stride..][..8].fill(level);
    }
}

/// Bits behind the point in the constants, and those kept between the two passes.
const CONST_BITS: i32 = 13;
const KEPT: i32 = 2;

#[inline(always)]
fn inverse<L: Lanes>(block: &[i16; 64], table: &[u16; 64], to: &mut [u8], stride: usize) {
    let (coefficients, steps) = (block.as_chunks::<8>().0, table.as_chunks::<8>().0);
    let rows = std::array::from_fn(|at| L::product(&coefficients[at], &steps[at]));
    let rows = L::transpose(pass::<L, { CONST_BITS - KEPT }>(rows));
    let rows = L::levels(L::transpose(pass::<L, { CONST_BITS + KEPT + 3 }>(rows)));
    let to = &mut to[..7 * stride + 8];
    for (at, row) in rows.iter().enumerate() {
        to[at * stride..][..8].copy_from_slice(row);
    }
}

/// Eight transforms beside one another, down the columns.
#[inline(always)]
fn pass<L: Lanes, const SHIFT: i32>([x0, x1, x2, x3, x4, x5, x6, x7]: [L; 8]) -> [L; 8] {
    let both = x2.plus(x6).times(4433);
    let (low, high) = (both.plus(x2.times(6270)), both.minus(x6.times(15137)));
    let (sum, difference) = (x0.plus(x4).up::<CONST_BITS>(), x0.minus(x4).up::<CONST_BITS>());
    let (e0, e1, e2, e3) = (sum.plus(low), difference.plus(high), difference.minus(high), sum.minus(low));
    let turn = x7.plus(x3).plus(x5.plus(x1)).times(9633);
    let a = x7.plus(x1).times(-7373);
    let b = x5.plus(x3).times(-20995);
    let c = x7.plus(x3).times(-16069).plus(turn);
    let d = x5.plus(x1).times(-3196).plus(turn);
    let o0 = x1.times(12299).plus(a.plus(d));
    let o1 = x3.times(25172).plus(b.plus(c));
    let o2 = x5.times(16819).plus(b.plus(d));
    let o3 = x7.times(2446).plus(a.plus(c));
    [
        e0.plus(o0).down::<SHIFT>(),
        e1.plus(o1).down::<SHIFT>(),
        e2.plus(o2).down::<SHIFT>(),
        e3.plus(o3).down::<SHIFT>(),
        e3.minus(o3).down::<SHIFT>(),
        e2.minus(o2).down::<SHIFT>(),
        e1.minus(o1).down::<SHIFT>(),
        e0.minus(o0).down::<SHIFT>(),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mean_alone_is_flat_and_both_ways_agree() {
        for mean in [-1024, -3, 0, 5, 700] {
            let mut block = [0; 64];
            block[0] = mean;
            let (mut whole, mut short) = ([0; 64], [0; 64]);
            plain(&block, &[3; 64], &mut whole, 8);
            flat(mean, 3, &mut short, 8);
            assert_eq!(whole, short);
        }
    }

    #[test]
    fn every_form_gives_the_same_samples_of_any_block() {
        let mut noise = 7_u32;
        for round in 0..400 {
            let block = std::array::from_fn(|_| {
                noise = noise.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                if round % 2 == 0 { (noise >> 24) as i16 - 128 } else { (noise >> 16) as i16 }
            });
            let table = std::array::from_fn(|at| if round % 4 < 2 { 9 + at as u16 } else { u16::MAX - at as u16 });
            let (mut expected, mut got) = ([0; 64], [0; 64]);
            plain(&block, &table, &mut expected, 8);
            best()(&block, &table, &mut got, 8);
            assert_eq!(expected, got);
        }
    }
}
