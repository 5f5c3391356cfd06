//! A window over each channel by itself, on single pixels: vectors run over channels.

use super::{Operands, Pixel, Segment, pitch};
use crate::engine::cpu::conv_direct::Geometry;
use crate::engine::cpu::depthwise::{Depthwise, Window};
use crate::engine::cpu::pool::Pool;
use crate::engine::cpu::simd::{Isa, Kernel, Simd};

/// Taps of a window, at most.
const TAPS: usize = 49;
/// Pixels done at a time.
const CHUNK: usize = 16;
/// Neighbouring pixels of a row that a 3x3 window is passed over together.
const NEIGHBOURS: usize = 4;
/// Input columns that these see with a stride of 1 or 2, at most.
const COLUMNS: usize = 2 * (NEIGHBOURS - 1) + 3;

/// A window with its weights by taps.
pub struct Windows {
    geometry: Geometry,
    isa: Isa,
    greatest: bool,
    /// `[tap][pitch]`
    weights: Vec<f32>,
    bias: Vec<f32>,
    bounds: [f32; 2],
    /// A pixel of border.
    border: Vec<f32>,
    /// Rows and columns from a window's first tap to each.
    taps: Vec<[usize; 2]>,
}

impl Windows {
    /// Whether a window is small enough.
    pub fn fits(conv: &Depthwise) -> bool {
        let [h, w] = conv.geometry().kernel;
        h * w <= TAPS
    }

    /// Takes the weights of a window that [`Windows::fits`].
    pub fn new(conv: &Depthwise, isa: Isa) -> Windows {
        let geometry = *conv.geometry();
        let (channels, pitch) = (geometry.cout, pitch(geometry.cout));
        let taps = geometry.kernel[0] * geometry.kernel[1];
        let (mut weights, mut bias) = (vec![0.0; taps * pitch], vec![0.0; pitch]);
        let greatest = *conv.window() == Window::Greatest;
        if let Window::Sum { weights: from, bias: start } = conv.window() {
            for channel in 0..channels {
                (0..taps).for_each(|tap| weights[tap * pitch + channel] = from[channel * taps + tap]);
            }
            bias[..channels].copy_from_slice(start);
        } else {
            bias.fill(f32::NEG_INFINITY);
        }
        let border = vec![if greatest { f32::NEG_INFINITY } else { 0.0 }; pitch];
        let ([_, across], dilation) = (geometry.kernel, geometry.dilation);
        let taps = (0..taps).map(|tap| [tap / across * dilation[0], tap % across * dilation[1]]).collect();
        Windows { geometry, isa, greatest, weights, bias, bounds: conv.bounds(), border, taps }
    }

    /// Computes the outputs of `pixels`.
    ///
    /// # Safety
    /// As for `Lowered::run`.
    pub unsafe fn run(&self, pool: &mut Pool, operands: &Operands, pixels: &[Pixel]) {
        let (from, to) = (operands.input[0], operands.output[0]);
        assert!(from.last() && to.last() && from.count == self.geometry.cin && to.count == self.geometry.cout, "{:?}", self.geometry);
        let Geometry { kernel, stride, dilation, .. } = self.geometry;
        let neighbours = !self.greatest && kernel == [3, 3] && dilation == [1, 1] && stride[1] <= 2;
        let each = pixels.len().div_ceil(4 * pool.threads()).next_multiple_of(CHUNK);
        pool.run(pixels.len().div_ceil(each.max(1)), &|_, item| {
            let pixels = &pixels[item * each..pixels.len().min((item + 1) * each)];
            if neighbours {
                self.isa.run(Neighbours { windows: self, from, to, pixels });
            } else {
                pixels.chunks(CHUNK).for_each(|pixels| self.few(from, to, pixels));
            }
        });
    }

    /// Any window, at a few pixels.
    fn few(&self, from: Segment, to: Segment, pixels: &[Pixel]) {
        let Geometry { input: [h, w], begin, stride, .. } = self.geometry;
        let wide = self.geometry.output()[1];
        let mut seen = [[std::ptr::null(); TAPS]; CHUNK];
        let mut made = [std::ptr::null_mut(); CHUNK];
        for (i, pixel) in pixels.iter().enumerate() {
            for (seen, [down, across]) in seen[i].iter_mut().zip(&self.taps) {
                let y = (usize::from(pixel.row) * stride[0] + down).wrapping_sub(begin[0]);
                let x = (usize::from(pixel.column) * stride[1] + across).wrapping_sub(begin[1]);
                *seen = if y < h && x < w { from.at(y * w + x).cast_const() } else { self.border.as_ptr() };
            }
            made[i] = to.at(pixel.flat(wide));
        }
        self.isa.run(Few { windows: self, taps: self.taps.len(), seen: &seen[..pixels.len()], made: &made });
    }
}

/// Pixels under a 3x3 window: as many as are neighbours in a row are done together, as they see the same inputs.
struct Neighbours<'a> {
    windows: &'a Windows,
    from: Segment,
    to: Segment,
    pixels: &'a [Pixel],
}

impl Kernel for Neighbours<'_> {
    type Out = ();
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let mut pixels = self.pixels;
        let most = if S::REGISTERS < 32 { 2 } else { NEIGHBOURS };
        while let Some(first) = pixels.first() {
            let beside =
                |(i, pixel): &(usize, &Pixel)| pixel.row == first.row && usize::from(pixel.column) == usize::from(first.column) + i;
            let count = pixels.iter().enumerate().take(most).take_while(beside).count();
            match (count, self.windows.geometry.stride[1]) {
                (4, 1) => self.together::<S, 4, 1>(s, *first),
                (4, _) => self.together::<S, 4, 2>(s, *first),
                (3, 1) => self.together::<S, 3, 1>(s, *first),
                (3, _) => self.together::<S, 3, 2>(s, *first),
                (2, 1) => self.together::<S, 2, 1>(s, *first),
                (2, _) => self.together::<S, 2, 2>(s, *first),
                _ => self.together::<S, 1, 1>(s, *first),
            }
            pixels = &pixels[count..];
        }
    }
}

impl Neighbours<'_> {
    /// `P` pixels from `first` on.
    #[inline(always)]
    fn together<S: Simd, const P: usize, const STRIDE: usize>(&self, s: S, first: Pixel) {
        let windows = self.windows;
        let Geometry { input: [h, w], begin, stride, .. } = windows.geometry;
        let mut seen = [[windows.border.as_ptr(); COLUMNS]; 3];
        let top = (usize::from(first.row) * stride[0]).wrapping_sub(begin[0]);
        let left = (usize::from(first.column) * stride[1]).wrapping_sub(begin[1]);
        let columns = STRIDE * (P - 1) + 3;
        let inside = left < w && left + columns <= w;
        for (down, seen) in seen.iter_mut().enumerate() {
            let y = top.wrapping_add(down);
            if y >= h {
                continue;
            }
            if inside {
                let row = self.from.at(y * w + left).cast_const();
                (0..columns).for_each(|across| seen[across] = row.wrapping_add(across * self.from.pixel));
            } else {
                for (across, seen) in seen.iter_mut().enumerate().take(columns) {
                    let x = left.wrapping_add(across);
                    if x < w {
                        *seen = self.from.at(y * w + x).cast_const();
                    }
                }
            }
        }
        let made = self.to.at(first.flat(windows.geometry.output()[1]));
        let pitch = windows.bias.len();
        let [low, high] = windows.bounds.map(|x| s.splat(x));
        let mut channel = 0;
        while channel < pitch {
            // SAFETY: weights, bias and pixels hold whole vectors of channels.
            unsafe {
                let mut sums = [s.load(windows.bias.as_ptr().add(channel)); P];
                for (down, seen) in seen.iter().enumerate() {
                    for across in 0..3 {
                        let weight = s.load(windows.weights.as_ptr().add((3 * down + across) * pitch + channel));
                        for p in 0..P {
                            sums[p] = s.fma(weight, s.load(seen[STRIDE * p + across].add(channel)), sums[p]);
                        }
                    }
                }
                for (p, sum) in sums.into_iter().enumerate() {
                    s.store(made.add(p * self.to.pixel + channel), s.min(high, s.max(low, sum)));
                }
            }
            channel += S::LANES;
        }
    }
}

/// A few pixels, all channels.
struct Few<'a> {
    windows: &'a Windows,
    taps: usize,
    seen: &'a [[*const f32; TAPS]],
    made: &'a [*mut f32; CHUNK],
}

impl Kernel for Few<'_> {
    type Out = ();
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        if self.windows.greatest {
            return self.any::<S, true>(s);
        }
        self.any::<S, false>(s);
    }
}

impl Few<'_> {
    /// Any window.
    #[inline(always)]
    fn any<S: Simd, const GREATEST: bool>(&self, s: S) {
        let windows = self.windows;
        let pitch = windows.bias.len();
        let [low, high] = windows.bounds.map(|x| s.splat(x));
        let mut channel = 0;
        while channel < pitch {
            // SAFETY: as above.
            unsafe {
                let bias = s.load(windows.bias.as_ptr().add(channel));
                for (seen, made) in self.seen.iter().zip(self.made) {
                    let mut sum = bias;
                    for (tap, pixel) in seen[..self.taps].iter().enumerate() {
                        let x = s.load(pixel.add(channel));
                        sum = if GREATEST {
                            s.max(sum, x)
                        } else {
                            s.fma(s.load(windows.weights.as_ptr().add(tap * pitch + channel)), x, sum)
                        };
                    }
                    s.store(made.add(channel), s.min(high, s.max(low, sum)));
                }
            }
            channel += S::LANES;
        }
    }
}
