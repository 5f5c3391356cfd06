//! A convolution in its direct form on single pixels: what each output sees as a row of numbers, times the weights.

use super::product::{GROUP, Product};
use super::{Operands, Pixel, pitch};
use crate::engine::cpu::conv_direct::{ConvDirect, Geometry};
use crate::engine::cpu::planes::Shared;
use crate::engine::cpu::pool::Pool;
use crate::engine::cpu::simd::Isa;

/// Pixels of a work item, at most and at least: whole register blocks.
const MOST: usize = 96;
const LEAST: usize = 24;
/// Floats of packed rows of a work item, about.
const PACKED: usize = 16 << 10;

/// A convolution with its weights as a matrix.
pub struct Matrix {
    geometry: Geometry,
    isa: Isa,
    /// `[group][ci][tap][GROUP]`
    weights: Vec<f32>,
    bias: Vec<f32>,
    bounds: [f32; 2],
    adds: bool,
}

impl Matrix {
    /// Takes the weights of a convolution without groups.
    pub fn new(conv: &ConvDirect, isa: Isa) -> Matrix {
        let geometry = *conv.geometry();
        let Geometry { cin, cout, kernel, .. } = geometry;
        let depth = cin * kernel[0] * kernel[1];
        let groups = cout.div_ceil(GROUP);
        let mut weights = vec![0.0; groups * depth * GROUP];
        for co in 0..cout {
            for k in 0..depth {
                weights[(co / GROUP * depth + k) * GROUP + co % GROUP] = conv.weight(co, k);
            }
        }
        let mut bias = conv.bias().to_vec();
        bias.resize(groups * GROUP, 0.0);
        Matrix { geometry, isa, weights, bias, bounds: conv.bounds(), adds: conv.adds() }
    }

    fn depth(&self) -> usize {
        self.geometry.cin * self.geometry.kernel[0] * self.geometry.kernel[1]
    }

    /// Packed rows, what is added, and results that go into planes.
    fn thread_floats(&self) -> usize {
        MOST * (pitch(self.depth()) + 2 * pitch(self.geometry.cout))
    }

    /// Floats of working space that [`Matrix::run`] needs with so many threads.
    pub fn scratch_floats(&self, threads: usize) -> usize {
        threads * self.thread_floats()
    }

    /// Convolves the outputs of `pixels`.
    ///
    /// # Safety
    /// As for `Lowered::run`.
    pub unsafe fn run(&self, pool: &mut Pool, scratch: Shared, operands: &Operands, pixels: &[Pixel]) {
        let Geometry { cin, cout, input: [h, w], kernel, begin, stride, dilation, .. } = self.geometry;
        let plain = self.geometry.plain();
        let (wide, depth, taps, out) = (self.geometry.output()[1], self.depth(), kernel[0] * kernel[1], pitch(cout));
        let counts = |segments: &[super::Segment]| segments.iter().map(|segment| segment.count).sum::<usize>();
        assert!(counts(operands.input) == cin && counts(operands.output) == cout, "channels of {:?}", self.geometry);
        // Whole rows of results may be written where nothing of another operation lies behind the channels.
        let in_place = matches!(operands.output, [only] if only.last() && only.whole);
        let direct = plain && matches!(operands.input, [only] if only.last());
        let most = if direct { MOST } else { (PACKED / depth.max(1)).next_multiple_of(LEAST).clamp(LEAST, MOST) };
        let each = pixels.len().div_ceil(2 * pool.threads()).next_multiple_of(LEAST).clamp(LEAST, most);
        pool.run(pixels.len().div_ceil(each), &|thread, item| {
            let pixels = &pixels[item * each..pixels.len().min((item + 1) * each)];
            let packed = scratch.at(thread * self.thread_floats());
            let added = packed.wrapping_add(MOST * pitch(depth));
            let made = added.wrapping_add(MOST * out);
            let (mut rows, mut to, mut adds) = ([std::ptr::null(); MOST], [std::ptr::null_mut(); MOST], [std::ptr::null(); MOST]);
            for (i, pixel) in pixels.iter().enumerate() {
                // SAFETY: the caller's promise; the scratch is this thread's own.
                unsafe {
                    if direct {
                        rows[i] = operands.input[0].at(pixel.flat(w)).cast_const();
                    } else {
                        let row = packed.add(i * pitch(depth));
                        rows[i] = row.cast_const();
                        for tap in 0..taps {
                            let y = (usize::from(pixel.row) * stride[0] + tap / kernel[1] * dilation[0]).wrapping_sub(begin[0]);
                            let x = (usize::from(pixel.column) * stride[1] + tap % kernel[1] * dilation[1]).wrapping_sub(begin[1]);
                            let mut at = row.add(tap);
                            for segment in operands.input {
                                if y < h && x < w {
                                    segment.take(y * w + x, at, taps);
                                } else {
                                    (0..segment.count).for_each(|channel| *at.add(channel * taps) = 0.0);
                                }
                                at = at.wrapping_add(segment.count * taps);
                            }
                        }
                    }
                    to[i] = if in_place { operands.output[0].at(pixel.flat(wide)) } else { made.add(i * out) };
                    if self.adds {
                        adds[i] = match operands.added {
                            [only] if only.last() => only.at(pixel.flat(wide)).cast_const(),
                            several => {
                                let row = added.add(i * out);
                                let mut at = row;
                                for segment in several {
                                    segment.take(pixel.flat(wide), at, 1);
                                    at = at.add(segment.count);
                                }
                                row.cast_const()
                            }
                        };
                    }
                }
            }
            self.isa.run(Product {
                rows: &rows[..pixels.len()],
                to: &to[..pixels.len()],
                added: if self.adds { &adds[..pixels.len()] } else { &[] },
                weights: self.weights.as_ptr(),
                bias: self.bias.as_ptr(),
                depth,
                groups: cout.div_ceil(GROUP),
                bounds: self.bounds,
            });
            if !in_place {
                for (i, pixel) in pixels.iter().enumerate() {
                    let mut from = to[i].cast_const();
                    for segment in operands.output {
                        // SAFETY: as above.
                        unsafe { segment.put(pixel.flat(wide), from) };
                        from = from.wrapping_add(segment.count);
                    }
                }
            }
        });
    }
}
