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

use std::f64::consts::PI;

use super::simd::{MAX_LANES, Simd};

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

/// Complex product with one factor for all lanes.
#[inline(always)]
fn turned<S: Simd>(s: S, re: &mut S::V, im: &mut S::V, [c, d]: [f32; 2]) {
    let (c, d) = (s.splat(c), s.splat(d));
    let (x, y) = (*re, *im);
    *re = s.fnma(y, d, s.mul(x, c));
    *im = s.fma(x, d, s.mul(y, c));
}

/// A complex value of vectors.
#[derive(Clone, Copy)]
struct Z<V> {
    re: V,
    im: V,
}

#[inline(always)]
fn plus<S: Simd>(s: S, a: Z<S::V>, b: Z<S::V>) -> Z<S::V> {
    Z { re: s.add(a.re, b.re), im: s.add(a.im, b.im) }
}

#[inline(always)]
fn minus<S: Simd>(s: S, a: Z<S::V>, b: Z<S::V>) -> Z<S::V> {
    Z { re: s.sub(a.re, b.re), im: s.sub(a.im, b.im) }
}

/// `a - i b`
#[inline(always)]
fn minus_i<S: Simd>(s: S, a: Z<S::V>, b: Z<S::V>) -> Z<S::V> {
    Z { re: s.add(a.re, b.im), im: s.sub(a.im, b.re) }
}

/// `a + i b`
#[inline(always)]
fn plus_i<S: Simd>(s: S, a: Z<S::V>, b: Z<S::V>) -> Z<S::V> {
    Z { re: s.sub(a.re, b.im), im: s.add(a.im, b.re) }
}

#[inline(always)]
fn scaled<S: Simd>(s: S, a: Z<S::V>, k: f32) -> Z<S::V> {
    Z { re: s.mul(a.re, s.splat(k)), im: s.mul(a.im, s.splat(k)) }
}

/// `a + k b`
#[inline(always)]
fn plus_scaled<S: Simd>(s: S, a: Z<S::V>, k: f32, b: Z<S::V>) -> Z<S::V> {
    Z { re: s.fma(b.re, s.splat(k), a.re), im: s.fma(b.im, s.splat(k), a.im) }
}

#[inline(always)]
fn three<S: Simd>(s: S, [a, b, c]: [Z<S::V>; 3]) -> [Z<S::V>; 3] {
    let (sum, difference) = (plus(s, b, c), minus(s, b, c));
    let middle = plus_scaled(s, a, -0.5, sum);
    let turn = scaled(s, difference, 0.866_025_4);
    [plus(s, a, sum), minus_i(s, middle, turn), plus_i(s, middle, turn)]
}

#[inline(always)]
fn four<S: Simd>(s: S, [a, b, c, d]: [Z<S::V>; 4]) -> [Z<S::V>; 4] {
    let (e, f, g, h) = (plus(s, a, c), minus(s, a, c), plus(s, b, d), minus(s, b, d));
    [plus(s, e, g), minus_i(s, f, h), minus(s, e, g), plus_i(s, f, h)]
}

#[inline(always)]
fn five<S: Simd>(s: S, [a, b, c, d, e]: [Z<S::V>; 5]) -> [Z<S::V>; 5] {
    const C1: f32 = 0.309_017;
    const C2: f32 = -0.809_017;
    const S1: f32 = 0.951_056_54;
    const S2: f32 = 0.587_785_24;
    let (t1, t2, d1, d2) = (plus(s, b, e), plus(s, c, d), minus(s, b, e), minus(s, c, d));
    let m1 = plus_scaled(s, plus_scaled(s, a, C1, t1), C2, t2);
    let m2 = plus_scaled(s, plus_scaled(s, a, C2, t1), C1, t2);
    let n1 = plus_scaled(s, scaled(s, d1, S1), S2, d2);
    let n2 = plus_scaled(s, scaled(s, d1, S2), -S1, d2);
    [plus(s, a, plus(s, t1, t2)), minus_i(s, m1, n1), minus_i(s, m2, n2), plus_i(s, m2, n2), plus_i(s, m1, n1)]
}

/// `(k - i sin 60) z`: a turn by one sixth (`k` = 0.5) or two (`k` = -0.5).
#[inline(always)]
fn sixth<S: Simd>(s: S, z: Z<S::V>, k: f32) -> Z<S::V> {
    minus_i(s, scaled(s, z, k), scaled(s, z, 0.866_025_4))
}

#[inline(always)]
fn six<S: Simd>(s: S, x: [Z<S::V>; 6]) -> [Z<S::V>; 6] {
    let (e, o) = (three(s, [x[0], x[2], x[4]]), three(s, [x[1], x[3], x[5]]));
    let (o1, o2) = (sixth(s, o[1], 0.5), sixth(s, o[2], -0.5));
    [plus(s, e[0], o[0]), plus(s, e[1], o1), plus(s, e[2], o2), minus(s, e[0], o[0]), minus(s, e[1], o1), minus(s, e[2], o2)]
}

#[inline(always)]
fn eight<S: Simd>(s: S, x: [Z<S::V>; 8]) -> [Z<S::V>; 8] {
    const H: f32 = std::f32::consts::FRAC_1_SQRT_2;
    let e = four(s, [x[0], x[2], x[4], x[6]]);
    let o = four(s, [x[1], x[3], x[5], x[7]]);
    // e^(-i pi / 4) o1 / H = (re + im, im - re) and e^(-3 i pi / 4) o3 / H = (im - re, -(re + im))
    let o1 = minus_i(s, o[1], o[1]);
    let o3 = Z { re: s.sub(o[3].im, o[3].re), im: s.add(o[3].re, o[3].im) };
    [
        plus(s, e[0], o[0]),
        plus_scaled(s, e[1], H, o1),
        minus_i(s, e[2], o[2]),
        Z { re: s.fma(o3.re, s.splat(H), e[3].re), im: s.fnma(o3.im, s.splat(H), e[3].im) },
        minus(s, e[0], o[0]),
        plus_scaled(s, e[1], -H, o1),
        plus_i(s, e[2], o[2]),
        Z { re: s.fnma(o3.re, s.splat(H), e[3].re), im: s.fma(o3.im, s.splat(H), e[3].im) },
    ]
}

#[inline(always)]
fn butterfly<S: Simd, const R: usize>(s: S, re: &mut [S::V; R], im: &mut [S::V; R]) {
    macro_rules! apply {
        ($f:ident, $($i:literal)+) => {{
            let out = $f(s, [$(Z { re: re[$i], im: im[$i] }),+]);
            $(re[$i] = out[$i].re; im[$i] = out[$i].im;)+
        }};
    }
    match R {
        3 => apply!(three, 0 1 2),
        4 => apply!(four, 0 1 2 3),
        5 => apply!(five, 0 1 2 3 4),
        6 => apply!(six, 0 1 2 3 4 5),
        8 => apply!(eight, 0 1 2 3 4 5 6 7),
        _ => unreachable!("no butterfly of radix {R}"),
    }
}

/// Transposes a matrix of `rows` x `columns` (multiples of `S::LANES`) into `dst`, row-major both.
///
/// # Safety
/// Both hold `rows * columns` floats and do not overlap.
#[inline(always)]
pub unsafe fn transpose<S: Simd>(s: S, src: *const f32, dst: *mut f32, rows: usize, columns: usize) {
    let mut r = 0;
    while r < rows {
        let mut c = 0;
        while c < columns {
            let mut square = [s.splat(0.0); MAX_LANES];
            for (i, row) in square.iter_mut().enumerate().take(S::LANES) {
                // SAFETY: row r + i is below `rows`, columns c .. c + LANES below `columns`.
                *row = unsafe { s.load(src.add((r + i) * columns + c)) };
            }
            s.transpose(&mut square);
            for (i, row) in square.iter().enumerate().take(S::LANES) {
                // SAFETY: the same square, mirrored.
                unsafe { s.store(dst.add((c + i) * rows + r), *row) };
            }
            c += S::LANES;
        }
        r += S::LANES;
    }
}

#[cfg(test)]
mod tests {
    use super::super::simd::{Isa, Kernel};
    use super::*;

    /// Spectrum and round trip of sequences of `plan.len()` elements in 16 lanes.
    struct There<'a>(&'a Plan, &'a mut [f32], bool);

    impl Kernel for There<'_> {
        type Out = ();
        #[inline(always)]
        fn run<S: Simd>(self, s: S) {
            let (plan, data, forward) = (self.0, self.1, self.2);
            let half = data.len() / 2;
            let re = data.as_mut_ptr();
            // SAFETY: `data` holds both parts of len x 16 values.
            unsafe {
                let rows = Rows { re, im: re.add(half), stride: MAX_LANES, chunk: MAX_LANES };
                if forward { plan.forward(s, rows, rows, MAX_LANES) } else { plan.inverse(s, rows, rows, MAX_LANES) }
            }
        }
    }

    fn noise(n: usize) -> Vec<f32> {
        let mut state = 1u32;
        (0..n)
            .map(|_| {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                (state >> 8) as f32 / (1 << 23) as f32 - 1.0
            })
            .collect()
    }

    #[test]
    fn a_spectrum_is_rustffts_up_to_order_and_inverts() {
        for len in [8, 16, 24, 32, 40, 48, 64, 80, 96, 128, 160] {
            let plan = Plan::new(len, false).unwrap();
            let start = noise(2 * len * MAX_LANES);
            let lane = |data: &[f32], lane: usize| -> Vec<(f32, f32)> {
                (0..len).map(|k| (data[k * MAX_LANES + lane], data[(len + k) * MAX_LANES + lane])).collect()
            };
            for isa in Isa::available() {
                let mut data = start.clone();
                isa.run(There(&plan, &mut data, true));
                for l in [0, 7, 15] {
                    let mut want: Vec<_> = lane(&start, l).iter().map(|&(re, im)| rustfft::num_complex::Complex::new(re, im)).collect();
                    rustfft::FftPlanner::new().plan_fft_forward(len).process(&mut want);
                    let mut got = lane(&data, l);
                    let mut want: Vec<_> = want.iter().map(|z| (z.re, z.im)).collect();
                    got.sort_by(|a, b| a.0.total_cmp(&b.0));
                    want.sort_by(|a, b| a.0.total_cmp(&b.0));
                    for (a, b) in got.iter().zip(&want) {
                        assert!((a.0 - b.0).abs() < 2e-4 && (a.1 - b.1).abs() < 2e-4, "{isa:?} {len}: {a:?} {b:?}");
                    }
                }
                isa.run(There(&plan, &mut data, false));
                for (a, b) in data.iter().zip(&start) {
                    assert!((a / len as f32 - b).abs() < 1e-5, "{isa:?} {len}");
                }
            }
        }
    }

    #[test]
    fn a_twisted_plan_inverts() {
        let plan = Plan::new(32, true).unwrap();
        let start = noise(64 * MAX_LANES);
        for isa in Isa::available() {
            let mut data = start.clone();
            isa.run(There(&plan, &mut data, true));
            isa.run(There(&plan, &mut data, false));
            for (a, b) in data.iter().zip(&start) {
                assert!((a / 32.0 - b).abs() < 1e-5, "{isa:?}");
            }
        }
    }

    #[test]
    fn a_length_without_a_plan_is_refused() {
        assert!(Plan::new(37, false).is_none());
    }
}
