//! The kernels: laying a band out, and computing its rows.

use crate::engine::cpu::lay_out::LayOut;
use crate::engine::cpu::simd::{Kernel, Simd};

/// Lays rows of a plane out with their border, cut into phases.
pub(super) struct Band {
    pub plane: *const f32,
    pub high: usize,
    /// The first row, counted with the border, and how many.
    pub first: usize,
    pub rows: usize,
    /// Rows of border above.
    pub above: usize,
    /// Floats from one row of the plane to the next.
    pub line: usize,
    pub row: LayOut,
    /// Floats from one phase to the next.
    pub phase: usize,
    pub to: *mut f32,
}

impl Kernel for Band {
    type Out = ();
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        for p in 0..self.row.stride {
            let phase = self.row.phase(p);
            for r in 0..self.rows {
                let row = (self.first + r).checked_sub(self.above).filter(|&y| y < self.high);
                let from = row.map(|y| self.plane.wrapping_add(y * self.line));
                // SAFETY: the band holds `rows` rows of `stride` phases, each with room for a vector more than is written on purpose;
                // the plane can be read a vector past its end.
                unsafe { phase.row(s, from, self.to.wrapping_add((r * self.row.stride + p) * self.phase)) };
            }
        }
    }
}

/// Rows of outputs from a band that is laid out.
pub(super) struct Rows<'a> {
    /// `[kernel]`; none for the greatest.
    pub weights: &'a [f32],
    pub bias: f32,
    pub kernel: [usize; 2],
    /// Rows from one output to the next, and from one tap to the next.
    pub down: [usize; 2],
    pub columns: &'a [usize],
    pub pitch: usize,
    pub bounds: [f32; 2],
    pub from: *const f32,
    pub rows: usize,
    pub wide: usize,
    /// Floats from one row of outputs to the next.
    pub line: usize,
    pub to: *mut f32,
}

impl Kernel for Rows<'_> {
    type Out = ();
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        if self.weights.is_empty() {
            return self.any::<S, true>(s);
        }
        match (self.kernel, self.down) {
            ([3, 3], [1, 1]) => self.square::<S, 3, 1, 4>(s),
            ([3, 3], [2, 1]) => self.square::<S, 3, 2, 2>(s),
            ([5, 5], [1, 1]) => self.square::<S, 5, 1, 2>(s),
            ([5, 5], [2, 1]) => self.square::<S, 5, 2, 2>(s),
            _ => self.any::<S, false>(s),
        }
    }
}

impl Rows<'_> {
    /// A kernel of `K x K`, with a stride of `D` down, `R` rows at a time.
    #[inline(always)]
    fn square<S: Simd, const K: usize, const D: usize, const R: usize>(&self, s: S) {
        let mut weights = [[s.splat(0.0); K]; K];
        for (y, row) in weights.iter_mut().enumerate() {
            for (x, weight) in row.iter_mut().enumerate() {
                *weight = s.splat(self.weights[y * K + x]);
            }
        }
        let mut columns = [0; K];
        columns.copy_from_slice(self.columns);
        let mut y = 0;
        while y + R <= self.rows {
            self.across::<S, K, D, R>(s, &weights, columns, y);
            y += R;
        }
        while R > 2 && y + 2 <= self.rows {
            self.across::<S, K, D, 2>(s, &weights, columns, y);
            y += 2;
        }
        while y < self.rows {
            self.across::<S, K, D, 1>(s, &weights, columns, y);
            y += 1;
        }
    }

    #[inline(always)]
    fn across<S: Simd, const K: usize, const D: usize, const R: usize>(
        &self,
        s: S,
        weights: &[[S::V; K]; K],
        columns: [usize; K],
        y: usize,
    ) {
        let from = self.from.wrapping_add(y * D * self.pitch);
        let mut x = 0;
        while x < self.wide {
            let mut sums = [s.splat(self.bias); R];
            let mut row = 0;
            while row < (R - 1) * D + K {
                let line = from.wrapping_add(row * self.pitch + x);
                let mut pixels = [s.splat(0.0); K];
                for (pixel, column) in pixels.iter_mut().zip(columns) {
                    // SAFETY: inside the band: phases are as long as whole vectors of outputs and the kernel's reach.
                    *pixel = unsafe { s.load(line.add(column)) };
                }
                for (i, sum) in sums.iter_mut().enumerate() {
                    if row >= i * D && row - i * D < K {
                        for (weight, pixel) in weights[row - i * D].iter().zip(pixels) {
                            *sum = s.fma(*weight, pixel, *sum);
                        }
                    }
                }
                row += 1;
            }
            for (i, sum) in sums.into_iter().enumerate() {
                self.put(s, y + i, x, sum);
            }
            x += S::LANES;
        }
    }

    /// Any kernel.
    #[inline(always)]
    fn any<S: Simd, const GREATEST: bool>(&self, s: S) {
        for y in 0..self.rows {
            let mut x = 0;
            while x < self.wide {
                let mut sum = s.splat(self.bias);
                for ky in 0..self.kernel[0] {
                    let line = self.from.wrapping_add((y * self.down[0] + ky * self.down[1]) * self.pitch + x);
                    for (kx, &column) in self.columns.iter().enumerate() {
                        // SAFETY: as above.
                        let pixel = unsafe { s.load(line.add(column)) };
                        sum = if GREATEST { s.max(sum, pixel) } else { s.fma(s.splat(self.weights[ky * self.kernel[1] + kx]), pixel, sum) };
                    }
                }
                self.put(s, y, x, sum);
                x += S::LANES;
            }
        }
    }

    #[inline(always)]
    fn put<S: Simd>(&self, s: S, y: usize, x: usize, sum: S::V) {
        // A NaN, in the second place, stays one.
        let sum = s.min(s.splat(self.bounds[1]), s.max(s.splat(self.bounds[0]), sum));
        let to = self.to.wrapping_add(y * self.line + x);
        // SAFETY: `rows` rows of `wide` pixels; past the end of one is another's first pixel.
        unsafe { if x + S::LANES <= self.wide { s.store(to, sum) } else { s.store_first(to, sum, self.wide - x) } }
    }
}
