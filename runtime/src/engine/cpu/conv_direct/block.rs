//! The register-blocked kernel.

use crate::engine::cpu::planes::Shared;
use crate::engine::cpu::simd::{Kernel, Simd};

/// Most output channels of one register block.
pub(in crate::engine::cpu) const MOST: usize = 8;

/// Pixel vectors that go with `M` output channels.
const fn vectors(registers: usize, m: usize) -> usize {
    if registers >= 32 { [8, 8, 8, 7, 6, 5, 4, 3, 3][m] } else { [6, 6, 5, 3, 3, 2, 2, 1, 1][m] }
}

/// One register block of output channels over one group of rows.
pub(super) struct Block<'a> {
    pub weights: &'a [f32],
    pub bias: &'a [f32],
    pub bounds: [f32; 2],
    pub taps: &'a [usize],
    /// The input channels' planes where they are read in place.
    pub planes: &'a [Shared],
    pub laid_out: *const f32,
    pub channel: usize,
    pub cin: usize,
    /// Flat index of the first pixel, and how many.
    pub start: usize,
    pub flat: usize,
    pub limit: usize,
    /// Where each output channel's first pixel goes.
    pub to: [Shared; MOST],
    /// Planes that are added, if any.
    pub added: &'a [Shared],
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
            // SAFETY: the group's pixels lie in the padded layout, and the target has room past `flat` for a vector.
            unsafe {
                let inside = |vectors: usize| left > (vectors - 1) * S::LANES && self.start + done + vectors * S::LANES <= self.limit;
                if inside(N) {
                    self.group::<S, M, N>(s, done);
                    done += N * S::LANES;
                } else if N > 2 && inside(2) {
                    self.group::<S, M, 2>(s, done);
                    done += 2 * S::LANES;
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
        for (added, sums) in self.added.iter().zip(&mut sums) {
            for (n, sum) in sums.iter_mut().enumerate() {
                // SAFETY: a plane, padded to whole vectors.
                *sum = s.add(*sum, unsafe { s.load(added.at(self.start + done + n * S::LANES)) });
            }
        }
        let [low, high] = self.bounds.map(|x| s.splat(x));
        for (to, sums) in self.to.iter().zip(&sums) {
            for (n, &sum) in sums.iter().enumerate() {
                // A NaN, in the second place, stays one.
                let sum = s.min(high, s.max(low, sum));
                // SAFETY: the target is a strip with slack for whole groups, or a plane padded to whole vectors.
                unsafe { s.store(to.at(done + n * S::LANES), sum) };
            }
        }
    }
}
