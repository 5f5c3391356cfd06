//! NEON.

use std::arch::aarch64::*;

use super::{EXPONENT_BIAS, FRACTION, Kernel, MAX_LANES, ONE, Simd};

/// NEON.
#[derive(Clone, Copy)]
pub struct Neon(());

/// # Safety
/// The processor has NEON.
#[target_feature(enable = "neon")]
pub unsafe fn run_neon<K: Kernel>(kernel: K) -> K::Out {
    kernel.run(Neon(()))
}

impl Simd for Neon {
    const LANES: usize = 4;
    const REGISTERS: usize = 32;
    type V = float32x4_t;

    one_instruction! {
        add(a, b) = vaddq_f32;
        sub(a, b) = vsubq_f32;
        mul(a, b) = vmulq_f32;
        div(a, b) = vdivq_f32;
        min(a, b) = vminq_f32;
        max(a, b) = vmaxq_f32;
        sqrt(a) = vsqrtq_f32;
        abs(a) = vabsq_f32;
    }

    #[inline(always)]
    fn splat(self, x: f32) -> Self::V {
        // SAFETY: the token exists only inside the function that enabled NEON.
        unsafe { vdupq_n_f32(x) }
    }
    #[inline(always)]
    unsafe fn load(self, p: *const f32) -> Self::V {
        // SAFETY: the caller's promise, and the token's.
        unsafe { vld1q_f32(p) }
    }
    #[inline(always)]
    unsafe fn store(self, p: *mut f32, v: Self::V) {
        // SAFETY: the caller's promise, and the token's.
        unsafe { vst1q_f32(p, v) }
    }
    #[inline(always)]
    fn fma(self, a: Self::V, b: Self::V, c: Self::V) -> Self::V {
        // SAFETY: the token.
        unsafe { vfmaq_f32(c, a, b) }
    }
    #[inline(always)]
    fn fnma(self, a: Self::V, b: Self::V, c: Self::V) -> Self::V {
        // SAFETY: the token.
        unsafe { vfmsq_f32(c, a, b) }
    }
    #[inline(always)]
    fn exp2(self, biased: Self::V) -> Self::V {
        // SAFETY: the token.
        unsafe { vreinterpretq_f32_s32(vshlq_n_s32::<23>(vreinterpretq_s32_f32(biased))) }
    }
    #[inline(always)]
    fn exponent(self, a: Self::V) -> Self::V {
        // SAFETY: the token.
        unsafe { vsubq_f32(vcvtq_f32_u32(vshrq_n_u32::<23>(vreinterpretq_u32_f32(a))), vdupq_n_f32(EXPONENT_BIAS)) }
    }
    #[inline(always)]
    fn mantissa(self, a: Self::V) -> Self::V {
        // SAFETY: the token.
        unsafe { vreinterpretq_f32_s32(vorrq_s32(vandq_s32(vreinterpretq_s32_f32(a), vdupq_n_s32(FRACTION)), vdupq_n_s32(ONE))) }
    }
    #[inline(always)]
    fn with_sign(self, magnitude: Self::V, sign: Self::V) -> Self::V {
        // SAFETY: the token.
        unsafe { vbslq_f32(vdupq_n_u32(0x8000_0000), sign, magnitude) }
    }
    #[inline(always)]
    fn where_less(self, a: Self::V, b: Self::V, x: Self::V, y: Self::V) -> Self::V {
        // SAFETY: the token.
        unsafe { vbslq_f32(vcltq_f32(a, b), x, y) }
    }
    #[inline(always)]
    fn sum(self, v: Self::V) -> f32 {
        // SAFETY: the token.
        unsafe { vaddvq_f32(v) }
    }
    #[inline(always)]
    fn every_second(self, a: Self::V, b: Self::V) -> Self::V {
        // SAFETY: the token.
        unsafe { vcombine_f32(vget_low_f32(vuzp1q_f32(a, a)), vget_low_f32(vuzp2q_f32(b, b))) }
    }
    #[inline(always)]
    fn transpose(self, r: &mut [Self::V; MAX_LANES]) {
        // SAFETY: the token.
        unsafe {
            let (a, b) = (vtrn1q_f32(r[0], r[1]), vtrn2q_f32(r[0], r[1]));
            let (c, d) = (vtrn1q_f32(r[2], r[3]), vtrn2q_f32(r[2], r[3]));
            let wide = |v: float32x4_t| vreinterpretq_f64_f32(v);
            r[0] = vreinterpretq_f32_f64(vtrn1q_f64(wide(a), wide(c)));
            r[1] = vreinterpretq_f32_f64(vtrn1q_f64(wide(b), wide(d)));
            r[2] = vreinterpretq_f32_f64(vtrn2q_f64(wide(a), wide(c)));
            r[3] = vreinterpretq_f32_f64(vtrn2q_f64(wide(b), wide(d)));
        }
    }
}
