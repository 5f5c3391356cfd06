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
        Minimal { geometry, isa, tiles: conv.grid().0, weights, bias, nothing, bounds: conv.bounds() }
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
        pool.run(count, &|thread, item| {
            let cut = own.at(thread * self.thread_floats());
            // SAFETY: the caller's promise; the scratch is this thread's own, the tile's values this item's.
            unsafe { self.cut(listed[item], operands.input, cut) };
            self.isa.run(ToPoints { from: cut, channels: cin, pitch: deep, to: scratch.at(item * deep), next: count * deep });
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
            let bias = self.bias.as_ptr();
            self.isa.run(FromPoints { from, next: count * out, bias, bounds: self.bounds, pitch: out, to: made });
            // SAFETY: as above; tiles share no output.
            unsafe { self.put(listed[item], operands.output, made) };
        });
    }

    fn corner(&self, tile: u32) -> [usize; 2] {
        [tile as usize / self.tiles[1] * OUT, tile as usize % self.tiles[1] * OUT]
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

/// One tile to the pairs of points.
struct ToPoints {
    from: *const f32,
    channels: usize,
    pitch: usize,
    to: *mut f32,
    /// Floats from one pair of points to the next.
    next: usize,
}

impl Kernel for ToPoints {
    type Out = ();
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let mut channel = 0;
        while channel < self.channels {
            let mut half = [[0.0f32; MAX_LANES]; POINTS];
            // SAFETY: the tile holds 36 pixels of whole vectors, and so does what it goes to.
            unsafe {
                for j in 0..IN {
                    let column = at_points(s, std::array::from_fn(|i| s.load(self.from.add((i * IN + j) * self.pitch + channel))));
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
struct FromPoints {
    from: *const f32,
    /// Floats from one pair of points to the next.
    next: usize,
    bias: *const f32,
    bounds: [f32; 2],
    pitch: usize,
    to: *mut f32,
}

impl Kernel for FromPoints {
    type Out = ();
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let [low, high] = self.bounds.map(|x| s.splat(x));
        let mut channel = 0;
        while channel < self.pitch {
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
                        s.store(self.to.add((i * OUT + j) * self.pitch + channel), value);
                    }
                }
            }
            channel += S::LANES;
        }
    }
}
