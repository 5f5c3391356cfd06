//! Convolution in its direct form, register-blocked: any stride, dilation, padding and grouping.
//!
//! Each input plane is first laid out with its zero border, and for strides cut into phases (every `s`-th row and column), so that each
//! tap of the kernel is one fixed distance in memory whatever the output pixel. Outputs are then computed along the flat pixel index of
//! that layout, whole vectors at a time and across row ends; the few columns of border that come along are dropped when a group
//! of rows is copied out. A 1x1 kernel without stride or padding reads its planes in place: it is a matrix product over pixels.
//!
//! `M` output channels by `N` vectors of pixels are kept in registers over all input channels and taps.

mod block;
mod geometry;

use super::planes::Shared;
use super::pool::Pool;
use super::simd::{Isa, MAX_LANES};
use block::{Block, MOST};
pub use geometry::Geometry;

/// Flat pixels a work item computes, about.
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
    /// Floats of a thread's own outputs, per channel.
    strip: usize,
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
            strip: (rows * phase[1] + slack).next_multiple_of(MAX_LANES),
        }
    }

    /// What is convolved.
    pub fn geometry(&self) -> &Geometry {
        &self.geometry
    }

    /// Floats of working space that [`ConvDirect::run`] needs with so many threads.
    pub fn scratch_floats(&self, threads: usize) -> usize {
        self.geometry.cin * self.channel + threads * MOST * self.strip
    }

    /// Convolves `input` (one pointer per channel plane) into `output`, rows of the exact widths.
    ///
    /// # Safety
    /// The planes hold `input` and `output` pixels of the geometry (16 more floats can be read after each input), outputs overlap
    /// nothing, and `scratch` points to [`ConvDirect::scratch_floats`] for this pool.
    pub unsafe fn run(&self, pool: &mut Pool, scratch: Shared, input: &[Shared], output: &[Shared]) {
        let Geometry { cin, cout, groups, .. } = self.geometry;
        assert!(input.len() == cin && output.len() == cout, "{} and {} planes for {:?}", input.len(), output.len(), self.geometry);
        let [oh, ow] = self.geometry.output();
        let strips = Shared(scratch.at(cin * self.channel));
        if self.channel > 0 {
            // SAFETY: each item lays out its own channel.
            pool.run(cin, &|_, ci| unsafe { self.lay_out(input[ci].0, scratch.at(ci * self.channel)) });
        }
        let parts = oh.div_ceil(self.rows);
        pool.run(self.blocks.len() * parts, &|thread, item| {
            let (block, part) = (item % self.blocks.len(), item / self.blocks.len());
            let (first, count) = self.blocks[block];
            let (top, bottom) = (part * self.rows, oh.min((part + 1) * self.rows));
            let group = first / (cout / groups);
            let flat = (bottom - top - 1) * self.phase[1] + ow;
            let strip = strips.at(thread * MOST * self.strip);
            self.isa.run(Block {
                weights: &self.weights[block],
                bias: &self.bias[first..first + count],
                taps: &self.taps,
                planes: if self.channel == 0 { &input[group * (cin / groups)..] } else { &[] },
                laid_out: scratch.at(group * (cin / groups) * self.channel),
                channel: self.channel,
                cin: cin / groups,
                start: top * self.phase[1],
                // In place, nothing past the padded plane may be read: the last vectors start earlier (never before the plane).
                limit: if self.channel == 0 { self.phase[0] * self.phase[1] } else { usize::MAX },
                flat,
                strip,
                strip_stride: self.strip,
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

    /// Lays one input plane out: phases of rows and columns, with the zero border.
    ///
    /// # Safety
    /// `plane` holds the input, `to` one laid-out channel.
    unsafe fn lay_out(&self, plane: *const f32, to: *mut f32) {
        let Geometry { input: [h, w], begin, stride, .. } = self.geometry;
        // SAFETY: the caller's promise.
        let (plane, to) = unsafe { (std::slice::from_raw_parts(plane, h * w), std::slice::from_raw_parts_mut(to, self.channel)) };
        let mut rows = to.chunks_exact_mut(self.phase[1]);
        for py in 0..stride[0] {
            for px in 0..stride[1] {
                for r in 0..self.phase[0] {
                    let row = rows.next().expect("a channel holds all phases");
                    row.fill(0.0);
                    let Some(y) = (r * stride[0] + py).checked_sub(begin[0]).filter(|&y| y < h) else { continue };
                    let pixels = &plane[y * w..][..w];
                    // Column c of the phase is input column c * stride + px - begin.
                    let first = begin[1].saturating_sub(px).div_ceil(stride[1]).min(row.len());
                    let from = first * stride[1] + px - begin[1].min(first * stride[1] + px);
                    if stride[1] == 1 {
                        let n = w.saturating_sub(from).min(row.len() - first);
                        row[first..first + n].copy_from_slice(&pixels[from..from + n]);
                    } else {
                        for (to, pixel) in row[first..].iter_mut().zip(pixels.get(from..).unwrap_or(&[]).iter().step_by(stride[1])) {
                            *to = *pixel;
                        }
                    }
                }
            }
        }
        rows.into_remainder().fill(0.0);
    }
}

#[cfg(test)]
mod tests;
