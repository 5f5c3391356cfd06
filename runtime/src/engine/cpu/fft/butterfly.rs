//! Transforms of a few values, in registers.

use crate::engine::cpu::simd::Simd;

/// Complex product with one factor for all lanes.
#[inline(always)]
pub(super) fn turned<S: Simd>(s: S, re: &mut S::V, im: &mut S::V, [c, d]: [f32; 2]) {
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
pub(super) fn butterfly<S: Simd, const R: usize>(s: S, re: &mut [S::V; R], im: &mut [S::V; R]) {
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
