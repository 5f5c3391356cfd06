//! A convolution in its direct form on single pixels: what each output sees as a row of numbers, times the weights.

use super::product::{GROUP, Product};
use super::{Operands, Pixel, Segment, pitch};
use crate::engine::cpu::conv_direct::{ConvDirect, Geometry};
use crate::engine::cpu::planes::{Shared, plane_stride};
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
    /// Where a window's numbers lie from its first tap on, where the input is one whole tensor: in channels-last order, and in planes.
    offsets: [Vec<isize>; 2],
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
        let Geometry { input: [h, w], dilation, .. } = geometry;
        let offsets = [(1, pitch(cin)), (plane_stride(h * w), 1)].map(|(channel, pixel)| {
            let of = |ci: usize, tap: usize| ci * channel + (tap / kernel[1] * dilation[0] * w + tap % kernel[1] * dilation[1]) * pixel;
            (0..depth).map(|k| of(k / (kernel[0] * kernel[1]), k % (kernel[0] * kernel[1])) as isize).collect()
        });
        Matrix { geometry, isa, weights, bias, bounds: conv.bounds(), adds: conv.adds(), offsets }
    }

    /// Where a window's numbers lie in this input, if all of them lie at places of their own from its first tap on.
    fn scattered(&self, input: &[Segment]) -> Option<&[isize]> {
        let [only] = input else { return None };
        let Geometry { cin, input: [h, w], .. } = self.geometry;
        let [together, planes] = &self.offsets;
        match (only.channel, only.pixel) {
            (1, pixel) if pixel == pitch(cin) => Some(together),
            (channel, 1) if channel == plane_stride(h * w) => Some(planes),
            _ => None,
        }
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
        let (wide, depth, out) = (self.geometry.output()[1], self.depth(), pitch(cout));
        let counts = |segments: &[Segment]| segments.iter().map(|segment| segment.count).sum::<usize>();
        assert!(counts(operands.input) == cin && counts(operands.output) == cout, "channels of {:?}", self.geometry);
        // Whole rows of results may be written where nothing of another operation lies behind the channels.
        let in_place = matches!(operands.output, [only] if only.last() && only.whole);
        let direct = plain && matches!(operands.input, [only] if only.last());
        let scattered = if direct { None } else { self.scattered(operands.input) };
        let most = if direct || scattered.is_some() { MOST } else { (PACKED / depth.max(1)).next_multiple_of(LEAST).clamp(LEAST, MOST) };
        let each = pixels.len().div_ceil(2 * pool.threads()).next_multiple_of(LEAST).clamp(LEAST, most);
        // Where a window begins, as a pixel of the input, if all of it lies inside.
        let inside = |pixel: &Pixel| {
            let corner: [usize; 2] =
                std::array::from_fn(|d| (usize::from([pixel.row, pixel.column][d]) * stride[d]).wrapping_sub(begin[d]));
            let fits = (0..2).all(|d| corner[d] < [h, w][d] && corner[d] + (kernel[d] - 1) * dilation[d] < [h, w][d]);
            fits.then(|| corner[0] * w + corner[1])
        };
        pool.run(pixels.len().div_ceil(each), &|thread, item| {
            let pixels = &pixels[item * each..pixels.len().min((item + 1) * each)];
            let packed = scratch.at(thread * self.thread_floats());
            let added = packed.wrapping_add(MOST * pitch(depth));
            let made = added.wrapping_add(MOST * out);
            let (mut rows, mut to, mut adds) = ([std::ptr::null(); MOST], [std::ptr::null_mut(); MOST], [std::ptr::null(); MOST]);
            // Windows that lie inside of the input are read where they are, and fill the list from its front; others are packed, from its back.
            let (mut front, mut back) = (0, pixels.len());
            for (number, pixel) in pixels.iter().enumerate() {
                let start = scattered.and_then(|_| inside(pixel));
                let i = if direct || start.is_some() {
                    front += 1;
                    front - 1
                } else {
                    back -= 1;
                    back
                };
                // SAFETY: the caller's promise; the scratch is this thread's own.
                unsafe {
                    if direct {
                        rows[i] = operands.input[0].at(pixel.flat(w)).cast_const();
                    } else if let Some(start) = start {
                        rows[i] = operands.input[0].at(start).cast_const();
                    } else {
                        let row = packed.add(i * pitch(depth));
                        rows[i] = row.cast_const();
                        self.pack(operands.input, *pixel, row);
                    }
                    to[i] = if in_place { operands.output[0].at(pixel.flat(wide)) } else { made.add(number * out) };
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
            let product = |rows: &[*const f32], to: &[*mut f32], added: &[*const f32], offsets: &[isize]| {
                if !rows.is_empty() {
                    self.isa.run(Product {
                        rows,
                        offsets,
                        to,
                        added: if self.adds { added } else { &[] },
                        weights: self.weights.as_ptr(),
                        bias: self.bias.as_ptr(),
                        depth,
                        groups: cout.div_ceil(GROUP),
                        bounds: self.bounds,
                    });
                }
            };
            let all = pixels.len();
            product(&rows[..front], &to[..front], &adds[..front], scattered.unwrap_or(&[]));
            product(&rows[front..all], &to[front..all], &adds[front..all], &[]);
            if !in_place {
                for (i, pixel) in pixels.iter().enumerate() {
                    let mut from = made.wrapping_add(i * out).cast_const();
                    for segment in operands.output {
                        // SAFETY: as above.
                        unsafe { segment.put(pixel.flat(wide), from) };
                        from = from.wrapping_add(segment.count);
                    }
                }
            }
        });
    }

    /// What an output sees as one row of numbers.
    ///
    /// # Safety
    /// `row` has room for them.
    unsafe fn pack(&self, input: &[Segment], pixel: Pixel, row: *mut f32) {
        let Geometry { input: [h, w], kernel, begin, stride, dilation, .. } = self.geometry;
        let taps = kernel[0] * kernel[1];
        for tap in 0..taps {
            let y = (usize::from(pixel.row) * stride[0] + tap / kernel[1] * dilation[0]).wrapping_sub(begin[0]);
            let x = (usize::from(pixel.column) * stride[1] + tap % kernel[1] * dilation[1]).wrapping_sub(begin[1]);
            let mut at = row.wrapping_add(tap);
            for segment in input {
                // SAFETY: the caller's promise.
                unsafe {
                    if y < h && x < w {
                        segment.take(y * w + x, at, taps);
                    } else {
                        (0..segment.count).for_each(|channel| *at.add(channel * taps) = 0.0);
                    }
                }
                at = at.wrapping_add(segment.count * taps);
            }
        }
    }
}
