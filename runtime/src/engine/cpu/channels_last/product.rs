//! The register-blocked kernel: rows of numbers times a matrix whose columns lie in groups of one widest vector.

use crate::engine::cpu::simd::{Kernel, MAX_LANES, Simd};

/// Columns of a matrix that lie together, in floats.
pub const GROUP: usize = MAX_LANES;

/// `count` rows of `depth` numbers, each times a matrix of `groups` groups of columns; sums start from `bias` and are taken in the rows' order.
pub struct Product<'a> {
    /// Where each row starts.
    pub rows: &'a [*const f32],
    /// Where its numbers lie from there on, in floats; one behind the other if there are none.
    pub offsets: &'a [isize],
    /// Where each row of results goes, whole groups.
    pub to: &'a [*mut f32],
    /// What is added to each row of results; none, or as many.
    pub added: &'a [*const f32],
    /// `[group][depth][GROUP]`
    pub weights: *const f32,
    /// `[group][GROUP]`
    pub bias: *const f32,
    pub depth: usize,
    pub groups: usize,
    pub bounds: [f32; 2],
}

impl Kernel for Product<'_> {
    type Out = ();
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        if self.offsets.is_empty() {
            self.all::<S, false>(s);
        } else {
            assert!(self.offsets.len() >= self.depth, "a place for each number of a row");
            self.all::<S, true>(s);
        }
    }
}

impl Product<'_> {
    /// All columns of rows whose numbers are `SCATTERED` or not.
    #[inline(always)]
    fn all<S: Simd, const SCATTERED: bool>(&self, s: S) {
        let mut group = 0;
        while group < self.groups {
            let left = self.groups - group;
            if S::LANES == MAX_LANES {
                if left == 1 {
                    self.columns::<S, SCATTERED, 1, 10, 5, 2>(s, group);
                    group += 1;
                } else if left == 3 {
                    self.columns::<S, SCATTERED, 3, 8, 4, 2>(s, group);
                    group += 3;
                } else {
                    self.columns::<S, SCATTERED, 2, 10, 5, 2>(s, group);
                    group += 2;
                }
            } else if 2 * S::LANES == MAX_LANES {
                self.columns::<S, SCATTERED, 2, 6, 3, 1>(s, group);
                group += 1;
            } else {
                self.columns::<S, SCATTERED, 4, 6, 3, 1>(s, group);
                group += 1;
            }
        }
    }

    /// `N` vectors of columns from a group on, `P` rows at a time, then fewer.
    #[inline(always)]
    fn columns<S: Simd, const SCATTERED: bool, const N: usize, const P: usize, const HALF: usize, const FEW: usize>(
        &self,
        s: S,
        group: usize,
    ) {
        let mut done = 0;
        while done < self.rows.len() {
            let left = self.rows.len() - done;
            // Rows that are not there are the last one again, and go nowhere.
            if left > HALF {
                self.block::<S, SCATTERED, N, P>(s, group, done);
                done += P;
            } else if left > FEW {
                self.block::<S, SCATTERED, N, HALF>(s, group, done);
                done += HALF;
            } else {
                self.block::<S, SCATTERED, N, FEW>(s, group, done);
                done += FEW;
            }
        }
    }

    #[inline(always)]
    fn block<S: Simd, const SCATTERED: bool, const N: usize, const P: usize>(&self, s: S, group: usize, first: usize) {
        let count = (self.rows.len() - first).min(P);
        let rows: [*const f32; P] = std::array::from_fn(|p| self.rows[first + p.min(count - 1)]);
        // SAFETY: matrix and bias hold all groups, rows have `depth` numbers at their places, targets and what is added hold whole groups.
        unsafe {
            let weights = self.weights.add(group * self.depth * GROUP);
            let column = |n: usize| n * S::LANES / GROUP * self.depth * GROUP + n * S::LANES % GROUP;
            // Loops of known length over whole arrays: sums that are looked up by a number would live in memory.
            let mut sums = [[s.splat(0.0); N]; P];
            for n in 0..N {
                let bias = s.load(self.bias.add(group * GROUP + n * S::LANES));
                for sums in &mut sums {
                    sums[n] = bias;
                }
            }
            for k in 0..self.depth {
                let mut w = [s.splat(0.0); N];
                for (n, w) in w.iter_mut().enumerate() {
                    *w = s.load(weights.add(column(n) + k * GROUP));
                }
                let at = if SCATTERED { *self.offsets.get_unchecked(k) } else { k as isize };
                for p in 0..P {
                    let x = s.splat(*rows[p].offset(at));
                    for n in 0..N {
                        sums[p][n] = s.fma(w[n], x, sums[p][n]);
                    }
                }
            }
            let [low, high] = self.bounds.map(|x| s.splat(x));
            for (p, sums) in sums.iter().enumerate() {
                if p < count {
                    for (n, &sum) in sums.iter().enumerate() {
                        let at = group * GROUP + n * S::LANES;
                        let sum = if self.added.is_empty() { sum } else { s.add(sum, s.load(self.added[first + p].add(at))) };
                        // A NaN, in the second place, stays one.
                        s.store(self.to[first + p].add(at), s.min(high, s.max(low, sum)));
                    }
                }
            }
        }
    }
}
