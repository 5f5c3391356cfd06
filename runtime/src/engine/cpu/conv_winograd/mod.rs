//! 3x3 convolutions by Winograd's minimal filtering: tiles of 6x6 inputs that yield 4x4 outputs with 36 multiplications instead of 144.
//!
//! Input tiles and kernels are turned into values at the points 0, ±1/√2, ±√2 and infinity along each axis, where convolution is a product;
//! at each of the 36 pairs of points that is a small matrix product of channels by tiles, in the register blocks of the direct form. The points
//! are a pair and its inverse, so that no factor is larger than √8: with the usual 0, ±1, ±2 the rounding error is about twice as large.
//! Lanes are tiles, so that a transform is arithmetic on whole vectors.

mod transform;

use super::conv_direct::{Geometry, MOST, product};
use super::planes::Shared;
use super::pool::Pool;
use super::rates::Rates;
use super::simd::{Isa, MAX_LANES};
use transform::{Gather, Scatter};
pub(super) use transform::{at_points, outputs};

/// Outputs and inputs of a tile along one axis.
pub(super) const OUT: usize = 4;
/// See [`OUT`].
pub(super) const IN: usize = 6;
/// Pairs of points.
pub(super) const POINTS: usize = IN * IN;

/// What it costs to bring one value to a pair of points, or one product back, in multiply-adds of the direct form: measured with 96 and 288
/// channels in all, where it was 26 and 28.
const TRANSFORM: f64 = 30.0;

/// The kernel at the points, along one axis.
const KERNEL: [[f64; 3]; IN] = {
    const A: f64 = std::f64::consts::FRAC_1_SQRT_2;
    const B: f64 = std::f64::consts::SQRT_2;
    // 1 / (2 a² (a² - b²)) and 1 / (2 b² (b² - a²))
    const SMALL: f64 = -2.0 / 3.0;
    const LARGE: f64 = 1.0 / 6.0;
    [
        [1.0, 0.0, 0.0],
        [SMALL, SMALL * A, SMALL * 0.5],
        [SMALL, -SMALL * A, SMALL * 0.5],
        [LARGE, LARGE * B, LARGE * 2.0],
        [LARGE, -LARGE * B, LARGE * 2.0],
        [0.0, 0.0, 1.0],
    ]
};

/// A convolution with its kernels at the points.
pub struct ConvWinograd {
    geometry: Geometry,
    isa: Isa,
    /// Tiles down and across.
    tiles: [usize; 2],
    /// Floats of all tiles of a channel at one pair of points.
    lanes: usize,
    /// Output channels of each register block: `(first, count)`.
    blocks: Vec<(usize, usize)>,
    /// Per pair of points and block `[ci][m]`.
    weights: Vec<f32>,
    bias: Vec<f32>,
    bounds: [f32; 2],
}

/// Whether a convolution has this form.
pub fn fits(g: &Geometry) -> bool {
    g.kernel == [3, 3] && g.stride == [1, 1] && g.dilation == [1, 1] && g.groups == 1
}

/// What it costs, if the convolution has this form.
pub fn cost_ns(g: &Geometry, rates: &Rates) -> Option<f64> {
    if !fits(g) {
        return None;
    }
    let [ty, tx] = g.output().map(|n| n.div_ceil(OUT));
    let tiles = (ty * tx).next_multiple_of(MAX_LANES) * POINTS;
    let [macs, floats, bytes] = [tiles * g.cin * g.cout, tiles * (g.cin + g.cout), 4 * POINTS * g.cin * g.cout].map(|n| n as f64);
    Some((macs + TRANSFORM * floats) * rates.direct_ns + bytes * rates.weight_ns)
}

impl ConvWinograd {
    /// Transforms `weights` (`[cout][cin][3][3]`) of a geometry that [`fits`]. `bias` has `cout` values or none.
    pub fn new(geometry: Geometry, isa: Isa, weights: &[f32], bias: &[f32]) -> ConvWinograd {
        let Geometry { cin, cout, .. } = geometry;
        assert!(fits(&geometry) && weights.len() == cout * cin * 9, "weights of {geometry:?}");
        assert!(bias.is_empty() || bias.len() == cout, "bias of {geometry:?}");
        let count = cout.div_ceil(MOST);
        let blocks: Vec<_> = (0..count).map(|i| (i * cout / count, (i + 1) * cout / count - i * cout / count)).collect();
        let mut packed = vec![0.0; POINTS * cin * cout];
        for &(first, m) in &blocks {
            for co in first..first + m {
                for ci in 0..cin {
                    let kernel = &weights[(co * cin + ci) * 9..][..9];
                    for point in 0..POINTS {
                        let (y, x) = (KERNEL[point / IN], KERNEL[point % IN]);
                        let value: f64 = (0..9).map(|tap| y[tap / 3] * x[tap % 3] * f64::from(kernel[tap])).sum();
                        packed[point * cin * cout + first * cin + ci * m + co - first] = value as f32;
                    }
                }
            }
        }
        let tiles = geometry.output().map(|n| n.div_ceil(OUT));
        ConvWinograd {
            geometry,
            isa,
            tiles,
            lanes: (tiles[0] * tiles[1]).next_multiple_of(MAX_LANES),
            blocks,
            weights: packed,
            bias: if bias.is_empty() { vec![0.0; cout] } else { bias.to_vec() },
            bounds: [f32::NEG_INFINITY, f32::INFINITY],
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

    /// Bounds of the outputs.
    pub fn bounds(&self) -> [f32; 2] {
        self.bounds
    }

    /// A bias for each output.
    pub fn bias(&self) -> &[f32] {
        &self.bias
    }

    /// The kernel from input `ci` to output `co` at a pair of points.
    pub fn weight(&self, point: usize, co: usize, ci: usize) -> f32 {
        let Geometry { cin, cout, .. } = self.geometry;
        let &(first, count) = self.blocks.iter().rfind(|&&(first, _)| first <= co).expect("an output lies in a block");
        self.weights[point * cin * cout + first * cin + ci * count + co - first]
    }

    /// Floats of a thread's own: a row, or an output row of tiles, and all tiles of a channel.
    fn thread_floats(&self) -> usize {
        let row = OUT * (self.tiles[1] + 1) + 2 * MAX_LANES;
        (2 * row + OUT * (self.tiles[1] + 1 + MAX_LANES)).next_multiple_of(MAX_LANES) + POINTS * (self.lanes + MAX_LANES)
    }

    /// Floats of working space that [`ConvWinograd::run`] needs with so many threads.
    pub fn scratch_floats(&self, threads: usize) -> usize {
        POINTS * (self.geometry.cin + self.geometry.cout) * self.lanes + threads * self.thread_floats() + MOST * MAX_LANES
    }

    /// Convolves `input` (one pointer per channel plane) into `output`, rows of the exact widths.
    ///
    /// # Safety
    /// The planes hold `input` and `output` pixels of the geometry (16 more floats can be read after each input), outputs overlap nothing,
    /// and `scratch` points to [`ConvWinograd::scratch_floats`] for this pool.
    pub unsafe fn run(&self, pool: &mut Pool, scratch: Shared, input: &[Shared], output: &[Shared]) {
        // SAFETY: the caller's promise.
        unsafe { self.tiles(pool, scratch, input, output, None) };
    }

    /// Convolves only those of its 4x4 tiles, numbered row by row, that are listed.
    ///
    /// # Safety
    /// As for [`ConvWinograd::run`].
    pub unsafe fn run_tiles(&self, pool: &mut Pool, scratch: Shared, input: &[Shared], output: &[Shared], listed: &[u32]) {
        // SAFETY: the caller's promise.
        unsafe { self.tiles(pool, scratch, input, output, Some(listed)) };
    }

    /// Rows and columns of tiles, and outputs of a tile along one axis.
    pub fn grid(&self) -> ([usize; 2], [usize; 2]) {
        (self.tiles, [OUT; 2])
    }

    /// Convolves all tiles, or those that are listed.
    ///
    /// # Safety
    /// As for [`ConvWinograd::run`].
    unsafe fn tiles(&self, pool: &mut Pool, scratch: Shared, input: &[Shared], output: &[Shared], listed: Option<&[u32]>) {
        let Geometry { cin, cout, .. } = self.geometry;
        assert!(input.len() == cin && output.len() == cout, "{} and {} planes for {:?}", input.len(), output.len(), self.geometry);
        let products = Shared(scratch.at(POINTS * cin * self.lanes));
        let own = Shared(products.at(POINTS * cout * self.lanes + MOST * MAX_LANES));
        // The tiles of channel c at one pair of points are `lanes` floats; the next pair's are `lanes` times the channels further on.
        pool.run(cin, &|thread, ci| {
            self.isa.run(Gather {
                plane: input[ci].0,
                input: self.geometry.input,
                begin: self.geometry.begin,
                tiles: self.tiles,
                listed,
                lanes: self.lanes,
                own: own.at(thread * self.thread_floats()),
                to: scratch.at(ci * self.lanes),
                next: cin * self.lanes,
            });
        });
        let tiles = listed.map_or(self.tiles[0] * self.tiles[1], <[u32]>::len);
        pool.run(POINTS * self.blocks.len(), &|_, item| {
            let (point, block) = (item / self.blocks.len(), item % self.blocks.len());
            let (first, m) = self.blocks[block];
            let weights = &self.weights[(point * cout + first) * cin..][..m * cin];
            let to = products.at((point * cout + first) * self.lanes);
            product(self.isa, weights, m, scratch.at(point * cin * self.lanes), self.lanes, cin, tiles, to);
        });
        pool.run(cout, &|thread, co| {
            self.isa.run(Scatter {
                from: products.at(co * self.lanes),
                next: cout * self.lanes,
                bias: self.bias[co],
                bounds: self.bounds,
                tiles: self.tiles,
                listed,
                lanes: self.lanes,
                own: own.at(thread * self.thread_floats()),
                output: self.geometry.output(),
                to: output[co].0,
            });
        });
    }
}

#[cfg(test)]
mod tests;
