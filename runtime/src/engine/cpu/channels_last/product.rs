//! The register-blocked kernel: rows of numbers times a matrix whose columns lie in groups of one widest vector.

use crate::engine::cpu::simd::{Kernel, MAX_LANES, Simd};

/// Columns of a matrix that lie together, in floats.
pub const GROUP: usize = MAX_LANES;

/// `count` rows of `depth` numbers, each times a matrix of `groups` groups of columns; sums start from `bias` and are taken in the rows' order.
pub struct Product<'a> {
    /// Where each row starts.
    pub rows: &'a [*const f32],
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
        let mut group = 0;
        while group < self.groups {
            let left = self.groups - group;
            if S::LANES == MAX_LANES {
                if left == 1 {
                    self.columns::<S, 1, 10, 5, 2>(s, group);
                    group += 1;
                } else if left == 3 {
                    self.columns::<S, 3, 8, 4, 2>(s, group);
                    group += 3;
                } else {
                    self.columns::<S, 2, 10, 5, 2>(s, group);
                    group += 2;
                }
            } else if 2 * S::LANES == MAX_LANES {
                self.columns::<S, 2, 6, 3, 1>(s, group);
                group += 1;
            } else {
                self.columns::<S, 4, 6, 3, 1>(s, group);
                group += 1;
            }
        }
    }
}

impl Product<'_> {
    /// `N` vectors of columns from a group on, `P` rows at a time, then fewer.
    #[inline(always)]
    fn columns<S: Simd, const N: usize, const P: usize, const HALF: usize, const FEW: usize>(&self, s: S, group: usize) {
        let mut done = 0;
        while done < self.rows.len() {
            let left = self.rows.len() - done;
            // Rows that are not there are the last one again, and go nowhere.
            if left > HALF {
                self.block::<S, N, P>(s, group, done);
                done += P;
            } else if left > FEW {
                self.block::<S, N, HALF>(s, group, done);
                done += HALF;
            } else {
                self.block::<S, N, FEW>(s, group, done);
                done += FEW;
            }
        }
    }

    #[inline(always)]
    fn block<S: Simd, const N: usize, const P: usize>(&self, s: S, group: usize, first: usize) {
        let count = (self.rows.len() - first).min(P);
        let rows: [*const f32; P] = std::array::from_fn(|p| self.rows[first + p.min(count - 1)]);
        // SAFETY: matrix and bias hold all groups, rows are `depth` long, targets and what is added hold whole groups.
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
                for p in 0..P {
                    let x = s.splat(*rows[p].add(k));
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
