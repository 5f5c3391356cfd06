//! A window over each channel by itself, on single pixels: vectors run over channels.

use super::{Operands, Pixel, pitch};
use crate::engine::cpu::conv_direct::Geometry;
use crate::engine::cpu::depthwise::{Depthwise, Window};
use crate::engine::cpu::pool::Pool;
use crate::engine::cpu::simd::{Isa, Kernel, Simd};

/// Taps of a window, at most.
const TAPS: usize = 49;
/// Pixels done at a time.
const CHUNK: usize = 16;

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
        Windows { geometry, isa, greatest, weights, bias, bounds: conv.bounds(), border }
    }

    /// Computes the outputs of `pixels`.
    ///
    /// # Safety
    /// As for `Lowered::run`.
    pub unsafe fn run(&self, pool: &mut Pool, operands: &Operands, pixels: &[Pixel]) {
        let Geometry { input: [h, w], kernel, begin, stride, dilation, .. } = self.geometry;
        let (from, to) = (operands.input[0], operands.output[0]);
        assert!(from.last() && to.last() && from.count == self.geometry.cin && to.count == self.geometry.cout, "{:?}", self.geometry);
        let (wide, taps) = (self.geometry.output()[1], kernel[0] * kernel[1]);
        let each = pixels.len().div_ceil(4 * pool.threads()).next_multiple_of(CHUNK);
        pool.run(pixels.len().div_ceil(each.max(1)), &|_, item| {
            for pixels in pixels[item * each..pixels.len().min((item + 1) * each)].chunks(CHUNK) {
                let mut seen = [[std::ptr::null(); TAPS]; CHUNK];
                let mut made = [std::ptr::null_mut(); CHUNK];
                for (i, pixel) in pixels.iter().enumerate() {
                    for (tap, seen) in seen[i][..taps].iter_mut().enumerate() {
                        let y = (usize::from(pixel.row) * stride[0] + tap / kernel[1] * dilation[0]).wrapping_sub(begin[0]);
                        let x = (usize::from(pixel.column) * stride[1] + tap % kernel[1] * dilation[1]).wrapping_sub(begin[1]);
                        *seen = if y < h && x < w { from.at(y * w + x).cast_const() } else { self.border.as_ptr() };
                    }
                    made[i] = to.at(pixel.flat(wide));
                }
                self.isa.run(Few { windows: self, taps, seen: &seen[..pixels.len()], made: &made });
            }
        });
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
        match self.taps {
            9 => self.sums::<S, 9>(s),
            _ => self.any::<S, false>(s),
        }
    }
}

impl Few<'_> {
    /// `T` taps, whose weights stay in registers.
    #[inline(always)]
    fn sums<S: Simd, const T: usize>(&self, s: S) {
        let windows = self.windows;
        let pitch = windows.bias.len();
        let [low, high] = windows.bounds.map(|x| s.splat(x));
        let mut channel = 0;
        while channel < pitch {
            // SAFETY: weights, bias and pixels hold whole vectors of channels.
            unsafe {
                let mut weights = [s.splat(0.0); T];
                for (tap, weight) in weights.iter_mut().enumerate() {
                    *weight = s.load(windows.weights.as_ptr().add(tap * pitch + channel));
                }
                let bias = s.load(windows.bias.as_ptr().add(channel));
                for (seen, made) in self.seen.iter().zip(self.made) {
                    let mut sum = bias;
                    for (weight, pixel) in weights.iter().zip(seen) {
                        sum = s.fma(*weight, s.load(pixel.add(channel)), sum);
                    }
                    s.store(made.add(channel), s.min(high, s.max(low, sum)));
                }
            }
            channel += S::LANES;
        }
    }

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
