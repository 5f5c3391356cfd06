//! Planes to rows of pixels: chroma is brought to the picture's size as libjpeg does it, smoothly where it is halved.

use super::header::{Component, Frame};
use super::scan::{Plane, Planes};

/// Rows that are kept between pictures.
#[derive(Default)]
pub(super) struct Scratch {
    rows: [Vec<u8>; 4],
    sums: Vec<u16>,
}

/// Fills `out` with luma (`grey`) or RGB.
pub(super) fn convert(planes: &Planes, frame: &Frame, adobe: Option<u8>, grey: bool, scratch: &mut Scratch, out: &mut Vec<u8>) {
    let (width, height) = (usize::from(frame.width), usize::from(frame.height));
    out.resize(width * height * if grey { 1 } else { 3 }, 0);
    #[cfg(target_arch = "x86_64")]
    if std::arch::is_x86_feature_detected!("avx2") {
        #[target_feature(enable = "avx2")]
        fn compiled_wide(planes: &Planes, frame: &Frame, adobe: Option<u8>, grey: bool, scratch: &mut Scratch, out: &mut [u8]) {
            rows(planes, frame, adobe, grey, scratch, out);
        }
        // SAFETY: the processor has AVX2.
        #[allow(unsafe_code)]
        return unsafe { compiled_wide(planes, frame, adobe, grey, scratch, out) };
    }
    rows(planes, frame, adobe, grey, scratch, out);
}

#[inline(always)]
fn rows(planes: &Planes, frame: &Frame, adobe: Option<u8>, grey: bool, scratch: &mut Scratch, out: &mut [u8]) {
    let width = usize::from(frame.width);
    let count = frame.components().len();
    let samples = if grey { 1 } else { 3 };
    for (y, out) in out.chunks_exact_mut(width * samples).enumerate() {
        let Scratch { rows, sums } = &mut *scratch;
        let [a, b, c, d] = rows.each_mut();
        let list = frame.components();
        let first = row(&planes.list[0], frame, &list[0], y, a, sums);
        if count == 1 || (grey && frame.luma_first(adobe)) {
            match grey {
                true => out.copy_from_slice(first),
                false => out.as_chunks_mut::<3>().0.iter_mut().zip(first).for_each(|(pixel, level)| *pixel = [*level; 3]),
            }
            continue;
        }
        let second = row(&planes.list[1], frame, &list[1], y, b, sums);
        let third = row(&planes.list[2], frame, &list[2], y, c, sums);
        let levels = first.iter().zip(second).zip(third);
        if count == 4 {
            let black = row(&planes.list[3], frame, &list[3], y, d, sums);
            for ((pixel, ((a, b), c)), black) in out.chunks_exact_mut(samples).zip(levels).zip(black) {
                put(pixel, ink([*a, *b, *c], *black, adobe));
            }
        } else if frame.is_rgb(adobe) {
            for (pixel, ((a, b), c)) in out.chunks_exact_mut(samples).zip(levels) {
                put(pixel, [*a, *b, *c]);
            }
        } else {
            for (pixel, ((y, blue), red)) in out.as_chunks_mut::<3>().0.iter_mut().zip(levels) {
                *pixel = rgb(*y, *blue, *red);
            }
        }
    }
}

/// Writes a pixel as RGB, or as its luma where there is room for one byte.
fn put(pixel: &mut [u8], [r, g, b]: [u8; 3]) {
    match pixel {
        [luma] => *luma = ((19_595 * u32::from(r) + 38_470 * u32::from(g) + 7_471 * u32::from(b) + 32_768) >> 16) as u8,
        _ => pixel.copy_from_slice(&[r, g, b]),
    }
}

#[inline(always)]
fn rgb(y: u8, blue: u8, red: u8) -> [u8; 3] {
    let (y, blue, red) = (i32::from(y), i32::from(blue) - 128, i32::from(red) - 128);
    let half = 1 << 15;
    let r = y + ((91_881 * red + half) >> 16);
    let g = y + ((-22_554 * blue - 46_802 * red + half) >> 16);
    let b = y + ((116_130 * blue + half) >> 16);
    [r, g, b].map(|level| level.clamp(0, 255) as u8)
}

/// Four inks as RGB. Adobe writes them inverted, and says whether the first three are luma and chroma.
fn ink(levels: [u8; 3], black: u8, adobe: Option<u8>) -> [u8; 3] {
    let [a, b, c] = levels;
    let colours = if adobe == Some(2) { rgb(a, b, c).map(|level| 255 - level) } else { levels };
    let of = |level: u8, black: u8| (u32::from(level) * u32::from(black) / 255) as u8;
    match adobe {
        Some(_) => colours.map(|level| of(level, black)),
        None => colours.map(|level| of(255 - level, 255 - black)),
    }
}

/// Row `y` of the picture, of one component.
#[inline(always)]
fn row<'a>(plane: &'a Plane, frame: &Frame, component: &Component, y: usize, out: &'a mut Vec<u8>, sums: &mut Vec<u16>) -> &'a [u8] {
    let width = usize::from(frame.width);
    let (across, down) = frame.samples(component);
    let (most_h, most_v) = frame.most;
    let of = |row: usize| &plane.samples[row.min(down - 1) * plane.stride..][..across];
    let halves = (component.h * 2 == most_h, component.v * 2 == most_v);
    let (full_h, full_v) = (component.h == most_h, component.v == most_v);
    if full_h && full_v {
        return of(y);
    }
    out.resize(across.max(width.div_ceil(2)) * 2, 0);
    // The row beside this one that is nearest to the picture's row.
    let (near, far) = (y / 2, if y.is_multiple_of(2) { (y / 2).saturating_sub(1) } else { y / 2 + 1 });
    match (full_h || halves.0, full_v || halves.1) {
        _ if halves.0 && across <= 2 => replicate(of(y * component.v / most_v), component.h, most_h, &mut out[..width]),
        (true, true) if halves == (true, false) => double(of(y), out),
        (true, true) if halves == (false, true) => {
            let bias = 1 + (y % 2) as u16;
            for ((out, near), far) in out.iter_mut().zip(of(near)).zip(of(far)) {
                *out = ((u16::from(*near) * 3 + u16::from(*far) + bias) >> 2) as u8;
            }
        }
        (true, true) => {
            sums.resize(across, 0);
            for ((sum, near), far) in sums.iter_mut().zip(of(near)).zip(of(far)) {
                *sum = u16::from(*near) * 3 + u16::from(*far);
            }
            double_sums(sums, out);
        }
        _ => replicate(of(y * component.v / most_v), component.h, most_h, &mut out[..width]),
    }
    &out[..width]
}

fn replicate(from: &[u8], h: usize, most: usize, out: &mut [u8]) {
    for (x, out) in out.iter_mut().enumerate() {
        *out = from[(x * h / most).min(from.len() - 1)];
    }
}

/// Twice as wide: three parts of the sample and one of its neighbour.
#[inline(always)]
fn double(from: &[u8], out: &mut [u8]) {
    let last = from.len() - 1;
    let inner = out[1..].as_chunks_mut::<2>().0;
    for (pair, (left, right)) in inner.iter_mut().zip(from[..last].iter().zip(&from[1..])) {
        let (left, right) = (u16::from(*left), u16::from(*right));
        *pair = [((left * 3 + right + 2) >> 2) as u8, ((right * 3 + left + 1) >> 2) as u8];
    }
    out[0] = from[0];
    out[2 * last + 1] = from[last];
}

/// The same of sums that already are three parts of the nearer row and one of the farther.
#[inline(always)]
fn double_sums(from: &[u16], out: &mut [u8]) {
    let last = from.len() - 1;
    let inner = out[1..].as_chunks_mut::<2>().0;
    for (pair, (left, right)) in inner.iter_mut().zip(from[..last].iter().zip(&from[1..])) {
        *pair = [((left * 3 + right + 7) >> 4) as u8, ((right * 3 + left + 8) >> 4) as u8];
    }
    out[0] = ((from[0] * 4 + 8) >> 4) as u8;
    out[2 * last + 1] = ((from[last] * 4 + 7) >> 4) as u8;
}
