//! A 3x3 convolution by minimal filtering on listed tiles: vectors run over channels, so that a tile is cut out and laid back by whole pixels.

use super::product::{GROUP, Product};
use super::{Operands, Segment, pitch};
use crate::engine::cpu::conv_direct::Geometry;
use crate::engine::cpu::conv_winograd::{ConvWinograd, IN, OUT, POINTS, at_points, outputs};
use crate::engine::cpu::planes::Shared;
use crate::engine::cpu::pool::Pool;
use crate::engine::cpu::simd::{Isa, Kernel, MAX_LANES, Simd};

/// Tiles of a work item of the products, at most.
const TOGETHER: usize = 96;

/// A convolution with its kernels at the points.
pub struct Minimal {
    geometry: Geometry,
    isa: Isa,
    tiles: [usize; 2],
    /// `[point][group][ci][GROUP]`
    weights: Vec<f32>,
    /// `[GROUP]` per group.
    bias: Vec<f32>,
    /// What the products start from.
    nothing: Vec<f32>,
    bounds: [f32; 2],
    /// A pixel outside.
    border: Vec<f32>,
}

impl Minimal {
    /// Takes the kernels of a convolution.
    pub fn new(conv: &ConvWinograd, isa: Isa) -> Minimal {
        let geometry = *conv.geometry();
        let Geometry { cin, cout, .. } = geometry;
        let groups = cout.div_ceil(GROUP);
        let mut weights = vec![0.0; POINTS * groups * cin * GROUP];
        for point in 0..POINTS {
            for co in 0..cout {
                for ci in 0..cin {
                    weights[((point * groups + co / GROUP) * cin + ci) * GROUP + co % GROUP] = conv.weight(point, co, ci);
                }
            }
        }
        let mut bias = conv.bias().to_vec();
        bias.resize(groups * GROUP, 0.0);
        let nothing = vec![0.0; groups * GROUP];
        Minimal { geometry, isa, tiles: conv.grid().0, weights, bias, nothing, bounds: conv.bounds(), border: vec![0.0; pitch(cin)] }
    }

    /// Rows and columns of tiles, and outputs of a tile along one axis.
    pub fn grid(&self) -> ([usize; 2], [usize; 2]) {
        (self.tiles, [OUT; 2])
    }

    /// A tile's pixels, all channels, and its columns at the points.
    fn thread_floats(&self) -> usize {
        POINTS * pitch(self.geometry.cin.max(self.geometry.cout))
    }

    fn most(&self) -> usize {
        self.tiles[0] * self.tiles[1]
    }

    /// Floats of working space that [`Minimal::run`] needs with so many threads.
    pub fn scratch_floats(&self, threads: usize) -> usize {
        POINTS * self.most() * (pitch(self.geometry.cin) + pitch(self.geometry.cout)) + threads * self.thread_floats()
    }

    /// Convolves the listed tiles, numbered row by row.
    ///
    /// # Safety
    /// As for `Lowered::run`.
    pub unsafe fn run(&self, pool: &mut Pool, scratch: Shared, operands: &Operands, listed: &[u32]) {
        let Geometry { cin, cout, .. } = self.geometry;
        let counts = |segments: &[Segment]| segments.iter().map(|segment| segment.count).sum::<usize>();
        assert!(counts(operands.input) == cin && counts(operands.output) == cout && listed.len() <= self.most(), "{:?}", self.geometry);
        let (deep, out, count, groups) = (pitch(cin), pitch(cout), listed.len(), cout.div_ceil(GROUP));
        // [point][tile][channel]
        let products = Shared(scratch.at(POINTS * self.most() * deep));
        let own = Shared(products.at(POINTS * self.most() * out));
        // Whole vectors of channels are read and written where they lie.
        let [read, written] = [operands.input, operands.output].map(in_vectors);
        pool.run(count, &|thread, item| {
            let cut = own.at(thread * self.thread_floats());
            let to = scratch.at(item * deep);
            if read {
                let mut first = 0;
                for segment in operands.input {
                    let from = self.seen(listed[item], segment);
                    self.isa.run(ToPoints { from: &from, channels: segment.count, to: to.wrapping_add(first), next: count * deep });
                    first += segment.count;
                }
            } else {
                // SAFETY: the caller's promise; the scratch is this thread's own, the tile's values this item's.
                unsafe { self.cut(listed[item], operands.input, cut) };
                let from = std::array::from_fn(|pixel| cut.wrapping_add(pixel * deep).cast_const());
                self.isa.run(ToPoints { from: &from, channels: cin, to, next: count * deep });
            }
        });
        let together = count.div_ceil(pool.threads()).clamp(1, TOGETHER);
        let parts = count.div_ceil(together);
        pool.run(POINTS * parts, &|_, item| {
            let (point, first) = (item / parts, item % parts * together);
            let tiles = together.min(count - first);
            let (mut rows, mut to) = ([std::ptr::null(); TOGETHER], [std::ptr::null_mut(); TOGETHER]);
            for i in 0..tiles {
                rows[i] = scratch.at((point * count + first + i) * deep).cast_const();
                to[i] = products.at((point * count + first + i) * out);
            }
            self.isa.run(Product {
                rows: &rows[..tiles],
                offsets: &[],
                to: &to[..tiles],
                added: &[],
                weights: self.weights[point * groups * cin * GROUP..].as_ptr(),
                bias: self.nothing.as_ptr(),
                depth: cin,
                groups,
                bounds: [f32::NEG_INFINITY, f32::INFINITY],
            });
        });
        pool.run(count, &|thread, item| {
            let made = own.at(thread * self.thread_floats());
            let from = products.at(item * out).cast_const();
            let mut to: [*mut f32; OUT * OUT] = std::array::from_fn(|pixel| made.wrapping_add(pixel * out));
            let mut first = 0;
            for segment in operands.output.iter().filter(|_| written) {
                self.made(listed[item], segment, &mut to);
                let (from, bias) = (from.wrapping_add(first), self.bias[first..].as_ptr());
                self.isa.run(FromPoints { from, next: count * out, bias, bounds: self.bounds, channels: segment.count, to: &to });
                first += segment.count;
            }
            if !written {
                let bias = self.bias.as_ptr();
                self.isa.run(FromPoints { from, next: count * out, bias, bounds: self.bounds, channels: cout, to: &to });
                // SAFETY: as above; tiles share no output.
                unsafe { self.put(listed[item], operands.output, made) };
            }
        });
    }

    fn corner(&self, tile: u32) -> [usize; 2] {
        [tile as usize / self.tiles[1] * OUT, tile as usize % self.tiles[1] * OUT]
    }

    /// Where the 36 pixels of a tile have a segment's channels.
    fn seen(&self, tile: u32, segment: &Segment) -> [*const f32; POINTS] {
        let Geometry { input: [h, w], begin, .. } = self.geometry;
        let [top, left] = self.corner(tile);
        std::array::from_fn(|pixel| {
            let (y, x) = ((top + pixel / IN).wrapping_sub(begin[0]), (left + pixel % IN).wrapping_sub(begin[1]));
            if y < h && x < w { segment.at(y * w + x).cast_const() } else { self.border.as_ptr() }
        })
    }

    /// Puts down where the outputs of a tile have a segment's channels; those that lie outside stay as they are.
    fn made(&self, tile: u32, segment: &Segment, to: &mut [*mut f32; OUT * OUT]) {
        let ([h, w], [top, left]) = (self.geometry.output(), self.corner(tile));
        for i in 0..OUT.min(h - top) {
            for j in 0..OUT.min(w - left) {
                to[i * OUT + j] = segment.at((top + i) * w + left + j);
            }
        }
    }

    /// The 36 pixels of a tile, all channels of one after those of another.
    unsafe fn cut(&self, tile: u32, input: &[Segment], to: *mut f32) {
        let Geometry { cin, input: [h, w], begin, .. } = self.geometry;
        let [top, left] = self.corner(tile);
        for i in 0..IN {
            for j in 0..IN {
                let (y, x) = ((top + i).wrapping_sub(begin[0]), (left + j).wrapping_sub(begin[1]));
                let mut at = to.wrapping_add((i * IN + j) * pitch(cin));
                for segment in input {
                    // SAFETY: the caller's promise.
                    unsafe {
                        if y < h && x < w {
                            segment.take(y * w + x, at, 1);
                        } else {
                            std::slice::from_raw_parts_mut(at, segment.count).fill(0.0);
                        }
                    }
                    at = at.wrapping_add(segment.count);
                }
            }
        }
    }

    /// Lays the outputs of a tile where they belong.
    unsafe fn put(&self, tile: u32, output: &[Segment], from: *const f32) {
        let ([h, w], [top, left]) = (self.geometry.output(), self.corner(tile));
        for i in 0..OUT.min(h - top) {
            for j in 0..OUT.min(w - left) {
                let mut at = from.wrapping_add((i * OUT + j) * pitch(self.geometry.cout));
                for segment in output {
                    // SAFETY: the caller's promise.
                    unsafe { segment.put((top + i) * w + left + j, at) };
                    at = at.wrapping_add(segment.count);
                }
            }
        }
    }
}

/// Whether segments are whole vectors of channels that lie together. A whole tensor is padded to that, if it is the last.
fn in_vectors(segments: &[Segment]) -> bool {
    let last = segments.len().saturating_sub(1);
    segments.iter().enumerate().all(|(i, segment)| segment.last() && (segment.count % MAX_LANES == 0 || segment.whole && i == last))
}

/// One tile to the pairs of points.
struct ToPoints<'a> {
    /// Each of its pixels.
    from: &'a [*const f32; POINTS],
    channels: usize,
    to: *mut f32,
    /// Floats from one pair of points to the next.
    next: usize,
}

impl Kernel for ToPoints<'_> {
    type Out = ();
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let mut channel = 0;
        while channel < self.channels {
            let mut half = [[0.0f32; MAX_LANES]; POINTS];
            // SAFETY: the tile's 36 pixels are whole vectors, and so is what they go to.
            unsafe {
                for j in 0..IN {
                    let column = at_points(s, std::array::from_fn(|i| s.load(self.from[i * IN + j].add(channel))));
                    (0..IN).for_each(|i| s.store(half[i * IN + j].as_mut_ptr(), column[i]));
                }
                for i in 0..IN {
                    let row = at_points(s, std::array::from_fn(|j| s.load(half[i * IN + j].as_ptr())));
                    (0..IN).for_each(|j| s.store(self.to.add((i * IN + j) * self.next + channel), row[j]));
                }
            }
            channel += S::LANES;
        }
    }
}

/// One tile back from its products.
struct FromPoints<'a> {
    from: *const f32,
    /// Floats from one pair of points to the next.
    next: usize,
    bias: *const f32,
    bounds: [f32; 2],
    channels: usize,
    /// Each of its pixels.
    to: &'a [*mut f32; OUT * OUT],
}

impl Kernel for FromPoints<'_> {
    type Out = ();
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let [low, high] = self.bounds.map(|x| s.splat(x));
        let mut channel = 0;
        while channel < self.channels {
            let mut half = [[0.0f32; MAX_LANES]; OUT * IN];
            // SAFETY: as above.
            unsafe {
                let bias = s.load(self.bias.add(channel));
                for j in 0..IN {
                    let column = outputs(s, std::array::from_fn(|i| s.load(self.from.add((i * IN + j) * self.next + channel))));
                    (0..OUT).for_each(|i| s.store(half[i * IN + j].as_mut_ptr(), column[i]));
                }
                for i in 0..OUT {
                    let row = outputs(s, std::array::from_fn(|j| s.load(half[i * IN + j].as_ptr())));
                    for (j, value) in row.into_iter().enumerate() {
                        let value = s.min(high, s.max(low, s.add(value, bias)));
                        s.store(self.to[i * OUT + j].add(channel), value);
                    }
                }
            }
            channel += S::LANES;
        }
    }
}
