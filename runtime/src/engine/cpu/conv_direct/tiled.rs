//! The direct form on a few pixels: what each output sees is packed side by side, and the register blocks run over the packed pixels.
//!
//! A pixel's sum is taken over channels and taps in the order of the whole convolution, so it has the same bits.

use super::block::{Block, MOST};
use super::{ConvDirect, Geometry};
use crate::engine::cpu::planes::Shared;
use crate::engine::cpu::pool::Pool;
use crate::engine::cpu::simd::MAX_LANES;
use crate::engine::cpu::tiles::{QUAD, Quad};

/// Pixels packed at a time, at most.
const CHUNK: usize = 256;

/// Floats from one packed row to the next: an odd number of cache lines, so that rows do not fall into the same sets.
fn pitch(pixels: usize) -> usize {
    (pixels.div_ceil(MAX_LANES) | 1) * MAX_LANES
}

impl ConvDirect {
    fn packed_rows(&self) -> usize {
        self.geometry.cin * self.taps.len()
    }

    /// Packed inputs, what is added to a block, a block's outputs, and slack for whole groups of vectors.
    fn packed_floats(&self) -> usize {
        (self.packed_rows() + 2 * MOST) * pitch(CHUNK) + 2 * CHUNK
    }

    /// Floats of working space that [`ConvDirect::run_quads`] needs with so many threads.
    pub fn quads_scratch_floats(&self, threads: usize) -> usize {
        threads * self.packed_floats()
    }

    /// Convolves only the outputs of `quads`.
    ///
    /// # Safety
    /// As for [`ConvDirect::run`], with [`ConvDirect::quads_scratch_floats`]; the quads lie in the output and do not overlap.
    pub unsafe fn run_quads(&self, pool: &mut Pool, scratch: Shared, input: &[Shared], output: &[Shared], quads: &[Quad]) {
        let Geometry { cin, cout, groups, .. } = self.geometry;
        let planes = cin + if self.adds { cout } else { 0 };
        assert!(input.len() == planes && output.len() == cout, "{} and {} planes for {:?}", input.len(), output.len(), self.geometry);
        let wide = self.geometry.output()[1];
        let each = quads.len().div_ceil(2 * pool.threads()).next_multiple_of(MAX_LANES / QUAD).clamp(MAX_LANES / QUAD, CHUNK / QUAD);
        pool.run(quads.len().div_ceil(each), &|thread, item| {
            let quads = &quads[item * each..quads.len().min((item + 1) * each)];
            let pixels = quads.len() * QUAD;
            let pitch = pitch(pixels);
            let packed = scratch.at(thread * self.packed_floats());
            let added = packed.wrapping_add(self.packed_rows() * pitch);
            let made = added.wrapping_add(MOST * pitch);
            // SAFETY: the caller's promise; the scratch is this thread's own, and holds these rows.
            unsafe {
                for (ci, plane) in input[..cin].iter().enumerate() {
                    self.pack(*plane, quads, packed.add(ci * self.taps.len() * pitch), pitch);
                }
                let adds: [Shared; MOST] = std::array::from_fn(|m| Shared(added.wrapping_add(m * pitch)));
                for (block, &(first, count)) in self.blocks.iter().enumerate() {
                    if self.adds {
                        for m in 0..count {
                            pack_plain(input[cin + first + m], wide, quads, adds[m].0);
                        }
                    }
                    let per_group = cin / groups;
                    self.isa.run(Block {
                        weights: &self.weights[block],
                        bias: &self.bias[first..first + count],
                        bounds: self.bounds,
                        taps: &[0],
                        planes: &[],
                        laid_out: packed.add(first / (cout / groups) * per_group * self.taps.len() * pitch),
                        channel: pitch,
                        cin: per_group * self.taps.len(),
                        start: 0,
                        flat: pixels,
                        limit: usize::MAX,
                        to: std::array::from_fn(|m| Shared(made.wrapping_add(m * pitch))),
                        added: if self.adds { &adds[..count] } else { &[] },
                    });
                    for m in 0..count {
                        unpack(made.add(m * pitch), quads, wide, output[first + m]);
                    }
                }
            }
        });
    }

    /// What the outputs of `quads` see of one channel, one row of `pitch` floats for each tap.
    ///
    /// # Safety
    /// `plane` is an input plane that can be read 16 floats past its end, `to` has a row of all quads for each tap.
    unsafe fn pack(&self, plane: Shared, quads: &[Quad], to: *mut f32, pitch: usize) {
        let Geometry { input: [h, w], kernel, begin, stride, dilation, .. } = self.geometry;
        if self.geometry.plain() {
            // SAFETY: the caller's promise.
            unsafe { pack_plain(plane, w, quads, to) };
            return;
        }
        for tap in 0..self.taps.len() {
            let down = (tap / kernel[1] * dilation[0]) as isize - begin[0] as isize;
            let right = (tap % kernel[1] * dilation[1]) as isize - begin[1] as isize;
            let to = to.wrapping_add(tap * pitch);
            for (at, quad) in quads.iter().enumerate() {
                let to = to.wrapping_add(at * QUAD).cast::<[f32; QUAD]>();
                let (y, x) = (quad.y() as isize * stride[0] as isize + down, quad.x() as isize * stride[1] as isize + right);
                let row = plane.0.wrapping_offset(y * w as isize);
                let inside = (0..h as isize).contains(&y);
                let last = x + ((QUAD - 1) * stride[1]) as isize;
                // SAFETY: pixels of the plane, or of the 16 floats behind it where the quad sticks out of the output on the right.
                unsafe {
                    to.write_unaligned(if inside && x >= 0 && last < w as isize {
                        let row = row.offset(x);
                        if stride[1] == 1 {
                            row.cast::<[f32; QUAD]>().read_unaligned()
                        } else {
                            std::array::from_fn(|i| *row.add(i * stride[1]))
                        }
                    } else {
                        std::array::from_fn(|i| {
                            let x = x + (i * stride[1]) as isize;
                            if inside && (0..w as isize).contains(&x) { *row.offset(x) } else { 0.0 }
                        })
                    });
                }
            }
        }
    }
}

/// The pixels of the quads, side by side.
///
/// # Safety
/// `plane` has rows of `wide` pixels and can be read a quad past its end; `to` has room for all quads.
unsafe fn pack_plain(plane: Shared, wide: usize, quads: &[Quad], to: *mut f32) {
    for (at, quad) in quads.iter().enumerate() {
        // SAFETY: the caller's promise.
        unsafe {
            let pixels = plane.at(quad.y() * wide + quad.x()).cast::<[f32; QUAD]>().read_unaligned();
            to.add(at * QUAD).cast::<[f32; QUAD]>().write_unaligned(pixels);
        }
    }
}

/// Writes packed pixels where their quads lie.
///
/// # Safety
/// As for [`pack_plain`]; nothing is written past a row's end.
unsafe fn unpack(from: *const f32, quads: &[Quad], wide: usize, to: Shared) {
    for (at, quad) in quads.iter().enumerate() {
        let to = to.at(quad.y() * wide + quad.x());
        // SAFETY: the caller's promise.
        unsafe {
            let pixels = from.add(at * QUAD).cast::<[f32; QUAD]>().read_unaligned();
            if quad.x() + QUAD <= wide {
                to.cast::<[f32; QUAD]>().write_unaligned(pixels);
            } else {
                pixels[..wide - quad.x()].iter().enumerate().for_each(|(i, &x)| *to.add(i) = x);
            }
        }
    }
}
