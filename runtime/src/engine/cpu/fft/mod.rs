//! Fourier transforms whose SIMD lanes are independent sequences: no lane ever talks to another.
//!
//! A [`Plan`] transforms complex sequences of one length in place, in passes of radix 3, 4, 5, 6 and 8. The forward transform
//! leaves its frequencies in digit-reversed order and the inverse takes them so: a product of spectra does not care, and both save
//! the reordering. Neither scales.
//!
//! A plan may carry a *twist*: sequence element `n` is multiplied by `e^(i pi n / 2N)` first (and divided at the end of the
//! inverse). Then a real sequence of length `2N`, folded to `x[n] + i x[n + N]`, convolves *negacyclically* by the plain product of
//! spectra: half the length, every frequency complex, no special case for the constant and Nyquist terms. Overlap-save throws
//! the wrapped outputs away, so their flipped sign costs nothing.

mod butterfly;
mod transpose;

use std::f64::consts::PI;

use super::simd::{MAX_LANES, Simd};
use butterfly::{butterfly, turned};
pub use transpose::transpose;

/// Where the elements of many sequences lie: element `k` of lanes `16 c ..` is at `re + k * stride + c * chunk`, its imaginary part the
/// same way from `im`.
#[derive(Clone, Copy)]
pub struct Rows {
    /// Real parts.
    pub re: *mut f32,
    /// Imaginary parts.
    pub im: *mut f32,
    /// Floats from one element to the next.
    pub stride: usize,
    /// Floats from one group of 16 lanes to the next.
    pub chunk: usize,
}

impl Rows {
    /// Swapping the parts turns a forward transform into an inverse one.
    fn swapped(self) -> Rows {
        Rows { re: self.im, im: self.re, ..self }
    }
}

/// One pass over a transform of `n` elements, as `radix` interleaved ones of `n / radix`.
#[derive(Clone, Debug)]
struct Pass {
    radix: usize,
    n: usize,
    /// `e^(-2 pi i j r / n)` for `j < n / radix`, `r < radix`, as (re, im).
    twiddles: Vec<[f32; 2]>,
}

/// A complex transform of one length.
#[derive(Clone, Debug)]
pub struct Plan {
    len: usize,
    passes: Vec<Pass>,
    twist: Option<Vec<[f32; 2]>>,
}

fn radices(len: usize) -> Option<&'static [usize]> {
    Some(match len {
        8 => &[8],
        16 => &[4, 4],
        24 => &[3, 8],
        32 => &[4, 8],
        40 => &[5, 8],
        48 => &[6, 8],
        64 => &[8, 8],
        80 => &[5, 4, 4],
        96 => &[3, 4, 8],
        128 => &[4, 4, 8],
        160 => &[5, 4, 8],
        _ => return None,
    })
}

fn turn(numerator: usize, denominator: usize) -> [f32; 2] {
    let angle = 2.0 * PI * (numerator % denominator) as f64 / denominator as f64;
    [angle.cos() as f32, angle.sin() as f32]
}

impl Plan {
    /// A transform of `len` elements, or `None` for a length that is not provided.
    pub fn new(len: usize, twisted: bool) -> Option<Plan> {
        let mut n = len;
        let passes = radices(len)?
            .iter()
            .map(|&radix| {
                let m = n / radix;
                let twiddles = (0..m * radix)
                    .map(|i| {
                        let [cos, sin] = turn((i / radix) * (i % radix), n);
                        [cos, -sin]
                    })
                    .collect();
                let pass = Pass { radix, n, twiddles };
                n = m;
                pass
            })
            .collect();
        let twist = twisted.then(|| (0..len).map(|i| turn(i, 4 * len)).collect());
        Some(Plan { len, passes, twist })
    }

    /// Elements of a sequence.
    #[expect(clippy::len_without_is_empty, reason = "a transform of no elements does not exist")]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Transforms `lanes` sequences (a multiple of `S::LANES`) from `src` to `dst`, using `src` as working space where they differ.
    ///
    /// # Safety
    /// Both address `len` elements of `lanes` lanes that nothing else touches.
    #[inline(always)]
    pub unsafe fn forward<S: Simd>(&self, s: S, src: Rows, dst: Rows, lanes: usize) {
        let last = self.passes.len() - 1;
        for (i, pass) in self.passes.iter().enumerate() {
            let to = if i == last { dst } else { src };
            let twist = self.twist.as_deref().filter(|_| i == 0);
            // SAFETY: passed on.
            unsafe { pass.dispatch::<S, true>(s, src, to, self.len / pass.n, lanes, twist) };
        }
    }

    /// Undoes [`Plan::forward`] up to a factor of `len`, using `dst` as working space.
    ///
    /// # Safety
    /// As for [`Plan::forward`].
    #[inline(always)]
    pub unsafe fn inverse<S: Simd>(&self, s: S, src: Rows, dst: Rows, lanes: usize) {
        let (src, dst) = (src.swapped(), dst.swapped());
        let last = self.passes.len() - 1;
        for (i, pass) in self.passes.iter().enumerate().rev() {
            let from = if i == last { src } else { dst };
            let twist = self.twist.as_deref().filter(|_| i == 0);
            // SAFETY: passed on.
            unsafe { pass.dispatch::<S, false>(s, from, dst, self.len / pass.n, lanes, twist) };
        }
    }
}

impl Pass {
    #[inline(always)]
    unsafe fn dispatch<S: Simd, const FORWARD: bool>(
        &self,
        s: S,
        src: Rows,
        dst: Rows,
        blocks: usize,
        lanes: usize,
        twist: Option<&[[f32; 2]]>,
    ) {
        // SAFETY: passed on.
        unsafe {
            match self.radix {
                3 => self.run::<S, 3, FORWARD>(s, src, dst, blocks, lanes, twist),
                4 => self.run::<S, 4, FORWARD>(s, src, dst, blocks, lanes, twist),
                5 => self.run::<S, 5, FORWARD>(s, src, dst, blocks, lanes, twist),
                6 => self.run::<S, 6, FORWARD>(s, src, dst, blocks, lanes, twist),
                _ => self.run::<S, 8, FORWARD>(s, src, dst, blocks, lanes, twist),
            }
        }
    }

    #[inline(always)]
    unsafe fn run<S: Simd, const R: usize, const FORWARD: bool>(
        &self,
        s: S,
        src: Rows,
        dst: Rows,
        blocks: usize,
        lanes: usize,
        twist: Option<&[[f32; 2]]>,
    ) {
        // SAFETY: passed on. Three copies, so that the inner loop has no choice left to make.
        unsafe {
            match twist {
                Some(twist) => self.blocks::<S, R, FORWARD, true, true>(s, src, dst, blocks, lanes, twist),
                None if self.n > R => self.blocks::<S, R, FORWARD, true, false>(s, src, dst, blocks, lanes, &[]),
                None => self.blocks::<S, R, FORWARD, false, false>(s, src, dst, blocks, lanes, &[]),
            }
        }
    }

    #[inline(always)]
    unsafe fn blocks<S: Simd, const R: usize, const FORWARD: bool, const TWIDDLE: bool, const TWIST: bool>(
        &self,
        s: S,
        src: Rows,
        dst: Rows,
        blocks: usize,
        lanes: usize,
        twist: &[[f32; 2]],
    ) {
        let m = self.n / R;
        for block in 0..blocks {
            for j in 0..m {
                let first = block * self.n + j;
                let twiddles = &self.twiddles[j * R..(j + 1) * R];
                let mut lane = 0;
                while lane < lanes {
                    let at = |rows: Rows, r: usize| (first + m * r) * rows.stride + (lane / MAX_LANES) * rows.chunk + lane % MAX_LANES;
                    let mut re = [s.splat(0.0); R];
                    let mut im = [s.splat(0.0); R];
                    for r in 0..R {
                        // SAFETY: element `first + m r` is below the length and the lane below `lanes`: the caller's promise.
                        unsafe {
                            re[r] = s.load(src.re.add(at(src, r)));
                            im[r] = s.load(src.im.add(at(src, r)));
                        }
                        if FORWARD && TWIST {
                            turned(s, &mut re[r], &mut im[r], twist[first + m * r]);
                        }
                        if !FORWARD && TWIDDLE && r > 0 {
                            turned(s, &mut re[r], &mut im[r], twiddles[r]);
                        }
                    }
                    butterfly::<S, R>(s, &mut re, &mut im);
                    for r in 0..R {
                        if FORWARD && TWIDDLE && r > 0 {
                            turned(s, &mut re[r], &mut im[r], twiddles[r]);
                        }
                        if !FORWARD && TWIST {
                            turned(s, &mut re[r], &mut im[r], twist[first + m * r]);
                        }
                        // SAFETY: as for the loads.
                        unsafe {
                            s.store(dst.re.add(at(dst, r)), re[r]);
                            s.store(dst.im.add(at(dst, r)), im[r]);
                        }
                    }
                    lane += S::LANES;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;
