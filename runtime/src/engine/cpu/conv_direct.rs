//! Convolution in its direct form, register-blocked: any stride, dilation, padding and grouping.
//!
//! Each input plane is first laid out with its zero border, and for strides cut into phases (every `s`-th row and column), so that each
//! tap of the kernel is one fixed distance in memory whatever the output pixel. Outputs are then computed along the flat pixel index of
//! that layout, whole vectors at a time and across row ends; the few columns of border that come along are dropped when a group
//! of rows is copied out. A 1x1 kernel without stride or padding reads its planes in place: it is a matrix product over pixels.
//!
//! `M` output channels by `N` vectors of pixels are kept in registers over all input channels and taps.

use super::planes::Shared;
use super::pool::Pool;
use super::simd::{Isa, Kernel, MAX_LANES, Simd};

/// What a convolution is: shapes in pixels, NCHW, batch 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Geometry {
    /// Input channels.
    pub cin: usize,
    /// Output channels.
    pub cout: usize,
    /// Groups: each sees `cin / groups` inputs and makes `cout / groups` outputs.
    pub groups: usize,
    /// Input height and width.
    pub input: [usize; 2],
    /// Kernel height and width.
    pub kernel: [usize; 2],
    /// Zero padding above and left.
    pub begin: [usize; 2],
    /// Zero padding below and right.
    pub end: [usize; 2],
    /// Rows and columns from one output to the next.
    pub stride: [usize; 2],
    /// Rows and columns from one tap to the next.
    pub dilation: [usize; 2],
}

impl Geometry {
    /// Output height and width; 0 where the kernel does not fit.
    pub fn output(&self) -> [usize; 2] {
        [0, 1].map(|d| {
            let padded = self.input[d] + self.begin[d] + self.end[d];
            let reach = (self.kernel[d] - 1) * self.dilation[d] + 1;
            if padded < reach { 0 } else { (padded - reach) / self.stride[d] + 1 }
        })
    }

    /// Multiply-adds.
    pub fn macs(&self) -> usize {
        let [h, w] = self.output();
        self.cin / self.groups * self.cout * h * w * self.kernel[0] * self.kernel[1]
    }

    fn plain(&self) -> bool {
        self.kernel == [1, 1] && self.stride == [1, 1] && self.begin == [0, 0] && self.end == [0, 0]
    }
}

/// Flat pixels a work item computes, about.
const ITEM: usize = 768;
/// Most output channels of one register block.
const MOST: usize = 8;

/// Pixel vectors that go with `M` output channels.
const fn vectors(registers: usize, m: usize) -> usize {
    if registers >= 32 { [8, 8, 8, 7, 6, 5, 4, 3, 3][m] } else { [6, 6, 5, 3, 3, 2, 2, 1, 1][m] }
}

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

/// One register block of output channels over one group of rows.
struct Block<'a> {
    weights: &'a [f32],
    bias: &'a [f32],
    taps: &'a [usize],
    /// The input channels' planes where they are read in place.
    planes: &'a [Shared],
    laid_out: *const f32,
    channel: usize,
    cin: usize,
    /// Flat index of the first pixel, and how many.
    start: usize,
    flat: usize,
    limit: usize,
    strip: *mut f32,
    strip_stride: usize,
}

impl Kernel for Block<'_> {
    type Out = ();
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        macro_rules! with {
            ($($m:literal)+) => {
                match self.bias.len() {
                    $($m => if S::REGISTERS >= 32 {
                        self.pixels::<S, $m, { vectors(32, $m) }>(s)
                    } else {
                        self.pixels::<S, $m, { vectors(16, $m) }>(s)
                    },)+
                    m => unreachable!("no register block of {m} channels"),
                }
            };
        }
        with!(1 2 3 4 5 6 7 8)
    }
}

impl Block<'_> {
    #[inline(always)]
    fn pixels<S: Simd, const M: usize, const N: usize>(&self, s: S) {
        let mut done = 0;
        while done < self.flat {
            let left = self.flat - done;
            // SAFETY: the group's pixels lie in the padded layout, and the strip has room past `flat` for whole groups.
            unsafe {
                if left > (N - 1) * S::LANES && self.start + done + N * S::LANES <= self.limit {
                    self.group::<S, M, N>(s, done);
                    done += N * S::LANES;
                } else {
                    self.group::<S, M, 1>(s, done);
                    done += S::LANES;
                }
            }
        }
    }

    /// `M` channels by `N` vectors from pixel `done` on.
    #[inline(always)]
    unsafe fn group<S: Simd, const M: usize, const N: usize>(&self, s: S, done: usize) {
        let mut sums = [[s.splat(0.0); N]; M];
        for (sums, &bias) in sums.iter_mut().zip(self.bias) {
            *sums = [s.splat(bias); N];
        }
        let mut weight = self.weights.as_ptr();
        for ci in 0..self.cin {
            // SAFETY: `cin` planes, or `cin` laid-out channels.
            let plane = unsafe {
                if self.channel == 0 { self.planes.get_unchecked(ci).0.cast_const() } else { self.laid_out.add(ci * self.channel) }
            };
            let plane = plane.wrapping_add(self.start + done);
            for &tap in self.taps {
                // SAFETY: whole vectors inside the padded plane, or inside the laid-out channel and its slack; `M` weights per tap.
                unsafe {
                    let mut x = [s.splat(0.0); N];
                    for (n, x) in x.iter_mut().enumerate() {
                        *x = s.load(plane.add(tap + n * S::LANES));
                    }
                    for (m, sums) in sums.iter_mut().enumerate() {
                        let w = s.splat(*weight.add(m));
                        for n in 0..N {
                            sums[n] = s.fma(w, x[n], sums[n]);
                        }
                    }
                    weight = weight.add(M);
                }
            }
        }
        for (m, sums) in sums.iter().enumerate() {
            for (n, sum) in sums.iter().enumerate() {
                // SAFETY: the strip holds `MOST` rows of `strip_stride`, which is the longest flat run and a group's slack.
                unsafe { s.store(self.strip.add(m * self.strip_stride + done + n * S::LANES), *sum) };
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::planes::plane_stride;
    use super::*;

    fn noise(n: usize, seed: u32) -> Vec<f32> {
        let mut state = seed.wrapping_mul(747_796_405).wrapping_add(1);
        (0..n)
            .map(|_| {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                (state >> 8) as f32 / (1 << 23) as f32 - 1.0
            })
            .collect()
    }

    fn naive(g: &Geometry, weights: &[f32], bias: &[f32], pixel: impl Fn(usize, usize, usize) -> f32) -> Vec<f32> {
        let [oh, ow] = g.output();
        let (per_in, per_out) = (g.cin / g.groups, g.cout / g.groups);
        let mut out = Vec::new();
        for co in 0..g.cout {
            for y in 0..oh {
                for x in 0..ow {
                    let mut sum = f64::from(bias[co]);
                    for ci in 0..per_in {
                        for ky in 0..g.kernel[0] {
                            for kx in 0..g.kernel[1] {
                                let iy = (y * g.stride[0] + ky * g.dilation[0]).wrapping_sub(g.begin[0]);
                                let ix = (x * g.stride[1] + kx * g.dilation[1]).wrapping_sub(g.begin[1]);
                                if iy < g.input[0] && ix < g.input[1] {
                                    let weight = weights[((co * per_in + ci) * g.kernel[0] + ky) * g.kernel[1] + kx];
                                    sum += f64::from(weight) * f64::from(pixel(co / per_out * per_in + ci, iy, ix));
                                }
                            }
                        }
                    }
                    out.push(sum as f32);
                }
            }
        }
        out
    }

    fn check(g: Geometry, isa: Isa, threads: usize) {
        let [oh, ow] = g.output();
        if oh == 0 || ow == 0 {
            return;
        }
        let weights = noise(g.cout * g.cin / g.groups * g.kernel[0] * g.kernel[1], 1);
        let bias = noise(g.cout, 2);
        let pixels = g.input[0] * g.input[1];
        let mut input = vec![0.0; g.cin * plane_stride(pixels) + MAX_LANES];
        let pixels_in = noise(input.len(), 3);
        input.copy_from_slice(&pixels_in);
        let mut output = vec![0.0; g.cout * plane_stride(oh * ow)];
        let planes: Vec<_> = (0..g.cin).map(|c| Shared(input[c * plane_stride(pixels)..].as_mut_ptr())).collect();
        let outputs: Vec<_> = (0..g.cout).map(|c| Shared(output[c * plane_stride(oh * ow)..].as_mut_ptr())).collect();
        let conv = ConvDirect::new(g, isa, &weights, &bias);
        let mut scratch = vec![f32::NAN; conv.scratch_floats(threads)];
        // SAFETY: planes and scratch are as large as asked for.
        unsafe { conv.run(&mut Pool::new(threads), Shared(scratch.as_mut_ptr()), &planes, &outputs) };
        let want = naive(&g, &weights, &bias, |c, y, x| input[c * plane_stride(pixels) + y * g.input[1] + x]);
        for (i, b) in want.iter().enumerate() {
            let a = output[i / (oh * ow) * plane_stride(oh * ow) + i % (oh * ow)];
            assert!((a - b).abs() <= 2e-5, "{g:?} {isa:?}: output {i} is {a}, not {b}");
        }
    }

    #[test]
    fn one_by_one_reads_its_planes_in_place() {
        for cout in 1..20 {
            let g = Geometry {
                cin: 5,
                cout,
                groups: 1,
                input: [7, 31],
                kernel: [1, 1],
                begin: [0, 0],
                end: [0, 0],
                stride: [1, 1],
                dilation: [1, 1],
            };
            for isa in Isa::available() {
                check(g, isa, 2);
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn any_geometry_agrees_with_the_definition(
            groups in 1usize..4, cin in 1usize..4, cout in 1usize..11, h in 1usize..40, w in 1usize..50, kh in 1usize..8, kw in 1usize..8,
            top in 0usize..8, left in 0usize..8, bottom in 0usize..8, right in 0usize..8, sh in 1usize..4, sw in 1usize..4,
            dh in 1usize..4, dw in 1usize..4, threads in 1usize..4,
        ) {
            let g = Geometry {
                cin: cin * groups, cout: cout * groups, groups, input: [h, w], kernel: [kh, kw], begin: [top, left], end: [bottom, right],
                stride: [sh, sw], dilation: [dh, dw],
            };
            for isa in Isa::available() {
                check(g, isa, threads);
            }
        }
    }
}
