//! Convolution in its direct form, register-blocked: any stride, dilation, padding and grouping.
//!
//! Each input plane is first laid out with its zero border, and for strides cut into phases (every `s`-th row and column), so that each
//! tap of the kernel is one fixed distance in memory whatever the output pixel. Outputs are then computed along the flat pixel index of
//! that layout, whole vectors at a time and across row ends; the few columns of border that come along are dropped when a group
//! of rows is copied out. A 1x1 kernel without stride or padding reads its planes in place: it is a matrix product over pixels.
//!
//! `M` output channels by `N` vectors of pixels are kept in registers over all input channels and taps.

mod block;
mod tiled;

use super::lay_out::LayOut;
use super::planes::Shared;
use super::pool::Pool;
use super::simd::{Isa, Kernel, MAX_LANES, Simd};
pub use crate::engine::graph::Geometry;
use block::Block;
pub(super) use block::MOST;

/// Flat pixels a work item computes, about; whole vectors of every register block.
const ITEM: usize = 768;

/// A convolution with its weights packed.
pub struct ConvDirect {
    geometry: Geometry,
    isa: Isa,
    /// Output channels of each register block: `(first, count)`, none across groups.
    blocks: Vec<(usize, usize)>,
    /// Per block `[ci][tap][m]`.
    weights: Vec<Vec<f32>>,
    bias: Vec<f32>,
    /// Distance of each tap from its output's flat pixel.
    taps: Vec<usize>,
    /// Rows and columns of one phase.
    phase: [usize; 2],
    /// Floats from one laid-out channel to the next; 0 when planes are read in place.
    channel: usize,
    /// Output rows of a work item.
    rows: usize,
    /// Floats of a thread's own outputs, per channel; none where they are written in place.
    strip: usize,
    /// Bounds of the outputs.
    bounds: [f32; 2],
    /// Other planes are added to the outputs.
    adds: bool,
}

impl ConvDirect {
    /// Packs `weights` (`[cout][cin / groups][kernel]`). `bias` has `cout` values or none.
    pub fn new(geometry: Geometry, isa: Isa, weights: &[f32], bias: &[f32]) -> ConvDirect {
        let Geometry { cin, cout, groups, kernel, stride, dilation, .. } = geometry;
        let (per_in, per_out) = (cin / groups, cout / groups);
        let taps_count = kernel[0] * kernel[1];
        assert_eq!(weights.len(), cout * per_in * taps_count, "weights of {geometry:?}");
        assert!(bias.is_empty() || bias.len() == cout, "bias of {geometry:?}");
        // Blocks as even as they come: 25 channels are 5 x 5 or 4 x 7, never 3 x 8 + 1.
        let count = per_out.div_ceil(MOST);
        let mut blocks = Vec::new();
        for group in 0..groups {
            for i in 0..count {
                let (from, to) = (i * per_out / count, (i + 1) * per_out / count);
                blocks.push((group * per_out + from, to - from));
            }
        }
        let packed = blocks.iter().map(|&(first, m)| {
            let mut packed = Vec::with_capacity(m * per_in * taps_count);
            for ci in 0..per_in {
                for tap in 0..taps_count {
                    packed.extend((first..first + m).map(|co| weights[(co * per_in + ci) * taps_count + tap]));
                }
            }
            packed
        });
        let weights = packed.collect();
        let [oh, ow] = geometry.output();
        let phase = if geometry.plain() {
            geometry.input
        } else {
            [0, 1].map(|d| {
                let reach = (kernel[d] - 1) * dilation[d] / stride[d];
                (geometry.input[d] + geometry.begin[d] + geometry.end[d]).div_ceil(stride[d]).max([oh, ow][d] + reach)
            })
        };
        let size = phase[0] * phase[1];
        let taps = (0..taps_count)
            .map(|tap| {
                let at = [tap / kernel[1] * dilation[0], tap % kernel[1] * dilation[1]];
                let which = at[0] % stride[0] * stride[1] + at[1] % stride[1];
                which * size + at[0] / stride[0] * phase[1] + at[1] / stride[1]
            })
            .collect();
        // The last vectors of a work item may read past the last phase of a channel.
        let slack = 8 * MAX_LANES;
        let channel = if geometry.plain() { 0 } else { (stride[0] * stride[1] * size + slack).next_multiple_of(MAX_LANES) };
        let rows = (ITEM / phase[1].max(1)).clamp(1, oh.max(1));
        ConvDirect {
            geometry,
            isa,
            blocks,
            weights,
            bias: if bias.is_empty() { vec![0.0; cout] } else { bias.to_vec() },
            taps,
            phase,
            channel,
            rows,
            strip: if geometry.plain() { 0 } else { (rows * phase[1] + slack).next_multiple_of(MAX_LANES) },
            bounds: [f32::NEG_INFINITY, f32::INFINITY],
            adds: false,
        }
    }

    /// What is convolved.
    pub fn geometry(&self) -> &Geometry {
        &self.geometry
    }

    /// Keeps the outputs between two bounds.
    pub fn bound(&mut self, bounds: [f32; 2]) {
        self.bounds = bounds;
    }

    /// Whether it adds other planes.
    pub fn adds(&self) -> bool {
        self.adds
    }

    /// Whether it does.
    pub fn bounded(&self) -> bool {
        self.bounds != [f32::NEG_INFINITY, f32::INFINITY]
    }

    /// Bounds of the outputs.
    pub fn bounds(&self) -> [f32; 2] {
        self.bounds
    }

    /// A bias for each output.
    pub fn bias(&self) -> &[f32] {
        &self.bias
    }

    /// The weight of output `co` for number `row` of what it sees, `[ci][tap]`.
    pub fn weight(&self, co: usize, row: usize) -> f32 {
        let block = self.blocks.iter().rposition(|&(first, _)| first <= co).expect("an output lies in a block");
        let (first, count) = self.blocks[block];
        self.weights[block][row * count + co - first]
    }

    /// Adds other planes to the outputs, before they are bounded: `cout` more inputs. False where that is not to be had.
    pub fn add(&mut self) -> bool {
        self.adds = self.geometry.plain();
        self.adds
    }

    /// Floats of working space that [`ConvDirect::run`] needs with so many threads.
    pub fn scratch_floats(&self, threads: usize) -> usize {
        self.geometry.cin * self.channel + threads * MOST * self.strip
    }

    /// Convolves `input` (one pointer per channel plane, then those that are added) into `output`, rows of the exact widths.
    ///
    /// # Safety
    /// The planes hold `input` and `output` pixels of the geometry, padded to whole vectors (16 more floats can be read after each input),
    /// outputs overlap nothing but what is added to them, and `scratch` points to [`ConvDirect::scratch_floats`] for this pool.
    pub unsafe fn run(&self, pool: &mut Pool, scratch: Shared, input: &[Shared], output: &[Shared]) {
        let Geometry { cin, cout, groups, .. } = self.geometry;
        let planes = cin + if self.adds { cout } else { 0 };
        assert!(input.len() == planes && output.len() == cout, "{} and {} planes for {:?}", input.len(), output.len(), self.geometry);
        if self.geometry.plain() {
            self.run_in_place(pool, input, output);
            return;
        }
        let [oh, ow] = self.geometry.output();
        let strips = Shared(scratch.at(cin * self.channel));
        // SAFETY: each item lays out its own channel.
        pool.run(cin, &|_, ci| self.isa.run(Channel { conv: self, plane: input[ci].0, to: scratch.at(ci * self.channel) }));
        let parts = oh.div_ceil(self.rows);
        pool.run(self.blocks.len() * parts, &|thread, item| {
            let (block, part) = (item % self.blocks.len(), item / self.blocks.len());
            let (first, count) = self.blocks[block];
            let (top, bottom) = (part * self.rows, oh.min((part + 1) * self.rows));
            let group = first / (cout / groups);
            let strip = strips.at(thread * MOST * self.strip);
            self.isa.run(Block {
                weights: &self.weights[block],
                bias: &self.bias[first..first + count],
                bounds: self.bounds,
                taps: &self.taps,
                planes: &[],
                laid_out: scratch.at(group * (cin / groups) * self.channel),
                channel: self.channel,
                cin: cin / groups,
                start: top * self.phase[1],
                limit: usize::MAX,
                flat: (bottom - top - 1) * self.phase[1] + ow,
                to: std::array::from_fn(|m| Shared(strip.wrapping_add(m * self.strip))),
                added: &[],
            });
            for m in 0..count {
                for y in top..bottom {
                    // SAFETY: row y of output channel `first + m` belongs to this item alone; the strip is this thread's.
                    unsafe {
                        let from = strip.add(m * self.strip + (y - top) * self.phase[1]);
                        std::ptr::copy_nonoverlapping(from, output[first + m].at(y * ow), ow);
                    }
                }
            }
        });
    }

    /// A product over pixels, from plane to plane.
    fn run_in_place(&self, pool: &mut Pool, input: &[Shared], output: &[Shared]) {
        let [h, w] = self.geometry.input;
        let pixels = h * w;
        pool.run(self.blocks.len() * pixels.div_ceil(ITEM), &|_, item| {
            let (block, start) = (item % self.blocks.len(), item / self.blocks.len() * ITEM);
            let (first, count) = self.blocks[block];
            let to = std::array::from_fn(|m| Shared(output[first + m.min(count - 1)].at(start)));
            self.block(block, input, start, ITEM.min(pixels - start), to);
        });
    }

    /// Output channels of each register block: the first, and how many.
    pub(super) fn blocks(&self) -> &[(usize, usize)] {
        &self.blocks
    }

    /// One register block over `flat` pixels from `start` on, of a convolution that reads its planes in place: each channel in its own
    /// target, which is written in whole vectors.
    pub(super) fn block(&self, block: usize, input: &[Shared], start: usize, flat: usize, to: [Shared; MOST]) {
        let Geometry { cin, cout, groups, input: [h, w], .. } = self.geometry;
        let (first, count) = self.blocks[block];
        let group = first / (cout / groups);
        self.isa.run(Block {
            weights: &self.weights[block],
            bias: &self.bias[first..first + count],
            bounds: self.bounds,
            taps: &self.taps,
            planes: &input[group * (cin / groups)..][..cin / groups],
            laid_out: std::ptr::null(),
            channel: 0,
            cin: cin / groups,
            start,
            // Nothing past the padded plane may be read: the last vectors are taken one by one.
            limit: h * w,
            flat,
            to,
            added: if self.adds { &input[cin + first..][..count] } else { &[] },
        });
    }
}

/// `m` rows of sums over `cin` rows of `from`, `stride` floats apart, each with its `weights` (`[ci][m]`): whole vectors that cover `count`
/// floats, `stride` floats apart in `to`.
#[expect(clippy::too_many_arguments)]
pub(super) fn product(isa: Isa, weights: &[f32], m: usize, from: *const f32, stride: usize, cin: usize, count: usize, to: *mut f32) {
    isa.run(Block {
        weights,
        bias: &[0.0; MOST][..m],
        bounds: [f32::NEG_INFINITY, f32::INFINITY],
        taps: &[0],
        planes: &[],
        laid_out: from,
        channel: stride,
        cin,
        start: 0,
        limit: usize::MAX,
        flat: count,
        to: std::array::from_fn(|at| Shared(to.wrapping_add(at * stride))),
        added: &[],
    });
}

/// Lays one input plane out: phases of rows and columns, with the zero border.
struct Channel<'a> {
    conv: &'a ConvDirect,
    plane: *const f32,
    to: *mut f32,
}

impl Kernel for Channel<'_> {
    type Out = ();
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let Geometry { input: [h, w], begin, stride, .. } = self.conv.geometry;
        let [high, wide] = self.conv.phase;
        let row = LayOut { wide: w, begin: begin[1], stride: stride[1], phase: wide, border: 0.0 };
        for (at, (py, px)) in (0..stride[0]).flat_map(|py| (0..stride[1]).map(move |px| (py, px))).enumerate() {
            let phase = row.phase(px);
            for r in 0..high {
                let from = (r * stride[0] + py).checked_sub(begin[0]).filter(|&y| y < h).map(|y| self.plane.wrapping_add(y * w));
                // SAFETY: a channel holds all phases and more than a vector behind them, and is written front to back.
                unsafe { phase.row(s, from, self.to.wrapping_add((at * high + r) * wide)) };
            }
        }
        let done = stride[0] * stride[1] * high * wide;
        // SAFETY: as above.
        unsafe { std::slice::from_raw_parts_mut(self.to.wrapping_add(done), self.conv.channel - done) }.fill(0.0);
    }
}

#[cfg(test)]
mod tests;
