//! Plain arrays.

use super::{EXPONENT_BIAS, FRACTION, MAX_LANES, ONE, Simd};

const N: usize = 4;

/// Arrays of four: slow, plain, and everywhere.
#[derive(Clone, Copy)]
pub struct Portable;

#[inline(always)]
fn each(f: impl Fn(usize) -> f32) -> [f32; N] {
    [f(0), f(1), f(2), f(3)]
}

impl Simd for Portable {
    const LANES: usize = N;
    const REGISTERS: usize = 16;
    type V = [f32; N];

    #[inline(always)]
    fn splat(self, x: f32) -> Self::V {
        [x; N]
    }
    #[inline(always)]
    unsafe fn load(self, p: *const f32) -> Self::V {
        // SAFETY: the caller's promise; arrays of floats have the alignment of a float.
        unsafe { *p.cast() }
    }
    #[inline(always)]
    unsafe fn store(self, p: *mut f32, v: Self::V) {
        // SAFETY: the caller's promise.
        unsafe { *p.cast() = v }
    }
    #[inline(always)]
    fn add(self, a: Self::V, b: Self::V) -> Self::V {
        each(|i| a[i] + b[i])
    }
    #[inline(always)]
    fn sub(self, a: Self::V, b: Self::V) -> Self::V {
        each(|i| a[i] - b[i])
    }
    #[inline(always)]
    fn mul(self, a: Self::V, b: Self::V) -> Self::V {
        each(|i| a[i] * b[i])
    }
    #[inline(always)]
    fn div(self, a: Self::V, b: Self::V) -> Self::V {
        each(|i| a[i] / b[i])
    }
    #[inline(always)]
    fn min(self, a: Self::V, b: Self::V) -> Self::V {
        each(|i| if a[i] < b[i] { a[i] } else { b[i] })
    }
    #[inline(always)]
    fn max(self, a: Self::V, b: Self::V) -> Self::V {
        each(|i| if a[i] > b[i] { a[i] } else { b[i] })
    }
    #[inline(always)]
    fn fma(self, a: Self::V, b: Self::V, c: Self::V) -> Self::V {
        each(|i| a[i] * b[i] + c[i])
    }
    #[inline(always)]
    fn fnma(self, a: Self::V, b: Self::V, c: Self::V) -> Self::V {
        each(|i| c[i] - a[i] * b[i])
    }
    #[inline(always)]
    fn sqrt(self, a: Self::V) -> Self::V {
        each(|i| a[i].sqrt())
    }
    #[inline(always)]
    fn exp2(self, biased: Self::V) -> Self::V {
        each(|i| f32::from_bits(biased[i].to_bits() << 23))
    }
    #[inline(always)]
    fn exponent(self, a: Self::V) -> Self::V {
        each(|i| (a[i].to_bits() >> 23) as f32 - EXPONENT_BIAS)
    }
    #[inline(always)]
    fn mantissa(self, a: Self::V) -> Self::V {
        each(|i| f32::from_bits(a[i].to_bits() & FRACTION as u32 | ONE as u32))
    }
    #[inline(always)]
    fn abs(self, a: Self::V) -> Self::V {
        each(|i| a[i].abs())
    }
    #[inline(always)]
    fn with_sign(self, magnitude: Self::V, sign: Self::V) -> Self::V {
        each(|i| magnitude[i].copysign(sign[i]))
    }
    #[inline(always)]
    fn where_less(self, a: Self::V, b: Self::V, x: Self::V, y: Self::V) -> Self::V {
        each(|i| if a[i] < b[i] { x[i] } else { y[i] })
    }
    #[inline(always)]
    fn sum(self, v: Self::V) -> f32 {
        (v[0] + v[2]) + (v[1] + v[3])
    }
    #[inline(always)]
    fn every_second(self, a: Self::V, b: Self::V) -> Self::V {
        [a[0], a[2], b[1], b[3]]
    }
    #[inline(always)]
    fn transpose(self, rows: &mut [Self::V; MAX_LANES]) {
        let m = [rows[0], rows[1], rows[2], rows[3]];
        for (i, row) in rows[..N].iter_mut().enumerate() {
            *row = each(|j| m[j][i]);
        }
    }
}
