//! The channel product of one block of frequencies.

use super::{CHUNK, GROUP};
use crate::engine::cpu::simd::{Kernel, MAX_LANES, Simd};

/// One block of frequencies, in its place: `spectra[co][tile] = sum over ci of weights[co][ci] * spectra[ci][tile]`, complex.
pub(super) struct Product {
    pub weights: *const f32,
    pub spectra: *mut f32,
    /// Room for what `spectra` held.
    pub before: *mut f32,
    pub cin: usize,
    pub cout: usize,
    pub tiles: usize,
}

impl Kernel for Product {
    type Out = ();
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        for at in (0..self.cin * self.tiles * CHUNK).step_by(S::LANES) {
            // SAFETY: as many floats are in both, and they do not overlap.
            unsafe { s.store(self.before.add(at), s.load(self.spectra.add(at))) };
        }
        // 2 m n accumulators, 2 weights and 2 n values must fit the registers.
        let most = if S::REGISTERS >= 32 { 3 } else { 2 };
        // Runs of even length: 4 tiles are 2 + 2, not 3 + 1.
        let width = self.tiles.div_ceil(self.tiles.div_ceil(most));
        let mut co = 0;
        while co < self.cout {
            let m = GROUP.min(self.cout - co);
            let mut tile = 0;
            while tile < self.tiles {
                let n = width.min(self.tiles - tile);
                // SAFETY: m channels from co and n tiles from tile are there.
                unsafe {
                    match (m, n) {
                        (3, 3) => self.group::<S, 3, 3>(s, co, tile),
                        (3, 2) => self.group::<S, 3, 2>(s, co, tile),
                        (3, 1) => self.group::<S, 3, 1>(s, co, tile),
                        (2, 3) => self.group::<S, 2, 3>(s, co, tile),
                        (2, 2) => self.group::<S, 2, 2>(s, co, tile),
                        (2, 1) => self.group::<S, 2, 1>(s, co, tile),
                        (1, 3) => self.group::<S, 1, 3>(s, co, tile),
                        (1, 2) => self.group::<S, 1, 2>(s, co, tile),
                        _ => self.group::<S, 1, 1>(s, co, tile),
                    }
                }
                tile += n;
            }
            co += m;
        }
    }
}

impl Product {
    /// `M` output channels by `N` tiles, kept in registers over all input channels.
    #[inline(always)]
    unsafe fn group<S: Simd, const M: usize, const N: usize>(&self, s: S, co: usize, tile: usize) {
        let mut lane = 0;
        while lane < MAX_LANES {
            let mut re = [[s.splat(0.0); N]; M];
            let mut im = [[s.splat(0.0); N]; M];
            let mut weights = self.weights.wrapping_add(co * self.cin * CHUNK + lane);
            let mut before = self.before.wrapping_add(tile * CHUNK + lane);
            for _ in 0..self.cin {
                let mut x = [[s.splat(0.0); 2]; N];
                for (n, x) in x.iter_mut().enumerate() {
                    // SAFETY: chunk `tile + n` of this input channel.
                    *x = unsafe { [s.load(before.add(n * CHUNK)), s.load(before.add(n * CHUNK + MAX_LANES))] };
                }
                if tile == 0 && lane == 0 {
                    // The next group's weights, which no other tile has fetched yet, arrive while this one is computed.
                    for m in 0..M {
                        let ahead = weights.wrapping_add((self.cin * M + m) * CHUNK);
                        s.prefetch(ahead);
                        s.prefetch(ahead.wrapping_add(MAX_LANES));
                    }
                }
                for m in 0..M {
                    // SAFETY: the chunk of output channel `co + m` and this input channel.
                    let (c, d) = unsafe { (s.load(weights.add(m * CHUNK)), s.load(weights.add(m * CHUNK + MAX_LANES))) };
                    for n in 0..N {
                        re[m][n] = s.fma(c, x[n][0], re[m][n]);
                        im[m][n] = s.fma(c, x[n][1], im[m][n]);
                    }
                    for n in 0..N {
                        re[m][n] = s.fnma(d, x[n][1], re[m][n]);
                        im[m][n] = s.fma(d, x[n][0], im[m][n]);
                    }
                }
                weights = weights.wrapping_add(M * CHUNK);
                before = before.wrapping_add(self.tiles * CHUNK);
            }
            for m in 0..M {
                for n in 0..N {
                    let to = self.spectra.wrapping_add(((co + m) * self.tiles + tile + n) * CHUNK + lane);
                    // SAFETY: chunk `tile + n` of output channel `co + m`.
                    unsafe {
                        s.store(to, re[m][n]);
                        s.store(to.add(MAX_LANES), im[m][n]);
                    }
                }
            }
            lane += S::LANES;
        }
    }
}
