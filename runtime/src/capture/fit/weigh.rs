//! Levels of a picture's rows to values of the tensor's: weighed sums down, then across. Sums are taken in one order on every instruction set.

use crate::sampling::Axis;
use crate::simd::{Kernel, MAX_LANES, Simd};

/// Output rows that are reduced together: lanes are rows there, as rows begin at the same columns and columns do not.
pub(super) const TOGETHER: usize = MAX_LANES;

/// Adds a row, weighed, to the sums; the first row of a group replaces them.
pub(super) struct Accumulate<'a> {
    pub sums: &'a mut [f32],
    pub row: &'a [u8],
    pub weight: f32,
    pub first: bool,
}

impl Kernel for Accumulate<'_> {
    type Out = ();
    #[inline(always)]
    fn run<S: Simd>(self, _: S) {
        let weight = self.weight;
        if self.first {
            self.sums.iter_mut().zip(self.row).for_each(|(sum, level)| *sum = f32::from(*level) * weight);
        } else {
            self.sums.iter_mut().zip(self.row).for_each(|(sum, level)| *sum += f32::from(*level) * weight);
        }
    }
}

/// Reduces up to [`TOGETHER`] rows of sums to rows of the tensor.
pub(super) struct Reduce<'a> {
    pub across: &'a Axis,
    /// [`TOGETHER`] rows of `pitch` sums, which is whole vectors; of these the first `rows` are reduced.
    pub sums: &'a [f32],
    pub pitch: usize,
    pub rows: usize,
    /// Working space, as many.
    pub turned: &'a mut [f32],
    /// From the first value of the first row on, and values from one row to the next.
    pub out: &'a mut [f32],
    pub step: usize,
    /// Values of a row.
    pub width: usize,
    pub mean: f32,
    pub std: f32,
}

impl Kernel for Reduce<'_> {
    type Out = ();
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let (white, mean, std) = (s.splat(255.0), s.splat(self.mean), s.splat(self.std));
        for first in (0..self.rows).step_by(S::LANES) {
            for x in (0..self.pitch).step_by(S::LANES) {
                let mut block = [s.splat(0.0); MAX_LANES];
                for (row, vector) in block.iter_mut().enumerate().take(S::LANES) {
                    *vector = s.read(&self.sums[(first + row) * self.pitch + x..]);
                }
                s.transpose(&mut block);
                for (column, vector) in block.into_iter().enumerate().take(S::LANES) {
                    s.write(&mut self.turned[(x + column) * S::LANES..][..S::LANES], vector);
                }
            }
            for x in (0..self.width).step_by(S::LANES) {
                let count = (self.width - x).min(S::LANES);
                let mut block = [s.splat(0.0); MAX_LANES];
                for (column, vector) in block.iter_mut().enumerate().take(count) {
                    let (start, weights) = self.across.of(x + column);
                    let columns = self.turned[start * S::LANES..][..weights.len() * S::LANES].chunks_exact(S::LANES);
                    let mut total = s.splat(0.0);
                    for (sums, weight) in columns.zip(weights) {
                        total = s.add(total, s.mul(s.read(sums), s.splat(*weight)));
                    }
                    *vector = s.div(s.sub(s.div(total, white), mean), std);
                }
                s.transpose(&mut block);
                for (row, vector) in block.into_iter().enumerate().take((self.rows - first).min(S::LANES)) {
                    s.write(&mut self.out[(first + row) * self.step + x..][..count], vector);
                }
            }
        }
    }
}
