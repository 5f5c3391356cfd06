//! AVX2 with FMA, and AVX-512F.

use std::arch::x86_64::*;

use super::{EXPONENT_BIAS, FRACTION, Kernel, MAX_LANES, ONE, Simd};

/// AVX2 and FMA.
#[derive(Clone, Copy)]
pub struct Avx2(());

/// AVX-512F.
#[derive(Clone, Copy)]
pub struct Avx512(());

/// # Safety
/// The processor has AVX2 and FMA.
#[target_feature(enable = "avx2,fma")]
pub unsafe fn run_avx2<K: Kernel>(kernel: K) -> K::Out {
    kernel.run(Avx2(()))
}

/// # Safety
/// The processor has AVX-512F, AVX2 and FMA.
#[target_feature(enable = "avx512f,avx2,fma")]
pub unsafe fn run_avx512<K: Kernel>(kernel: K) -> K::Out {
    kernel.run(Avx512(()))
}

impl Simd for Avx2 {
    const LANES: usize = 8;
    const REGISTERS: usize = 16;
    type V = __m256;

    one_instruction! {
        add(a, b) = _mm256_add_ps;
        sub(a, b) = _mm256_sub_ps;
        mul(a, b) = _mm256_mul_ps;
        div(a, b) = _mm256_div_ps;
        min(a, b) = _mm256_min_ps;
        max(a, b) = _mm256_max_ps;
        fma(a, b, c) = _mm256_fmadd_ps;
        fnma(a, b, c) = _mm256_fnmadd_ps;
        sqrt(a) = _mm256_sqrt_ps;
    }

    #[inline(always)]
    fn splat(self, x: f32) -> Self::V {
        // SAFETY: the token exists only inside the function that enabled AVX2.
        unsafe { _mm256_set1_ps(x) }
    }
    #[inline(always)]
    unsafe fn load(self, p: *const f32) -> Self::V {
        // SAFETY: the caller's promise, and the token's.
        unsafe { _mm256_loadu_ps(p) }
    }
    #[inline(always)]
    unsafe fn store(self, p: *mut f32, v: Self::V) {
        // SAFETY: the caller's promise, and the token's.
        unsafe { _mm256_storeu_ps(p, v) }
    }
    #[inline(always)]
    unsafe fn store_first(self, p: *mut f32, v: Self::V, n: usize) {
        // SAFETY: masked lanes are not written; the token.
        unsafe {
            let lanes = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
            _mm256_maskstore_ps(p, _mm256_cmpgt_epi32(_mm256_set1_epi32(n as i32), lanes), v);
        }
    }
    #[inline(always)]
    unsafe fn load_first(self, p: *const f32, n: usize) -> Self::V {
        // SAFETY: masked lanes are not read; the token.
        unsafe {
            let lanes = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
            _mm256_maskload_ps(p, _mm256_cmpgt_epi32(_mm256_set1_epi32(n as i32), lanes))
        }
    }
    #[inline(always)]
    fn prefetch(self, p: *const f32) {
        // SAFETY: a prefetch does not fault.
        unsafe { _mm_prefetch::<_MM_HINT_T1>(p.cast()) }
    }
    #[inline(always)]
    fn exp2(self, biased: Self::V) -> Self::V {
        // SAFETY: the token.
        unsafe { _mm256_castsi256_ps(_mm256_slli_epi32::<23>(_mm256_castps_si256(biased))) }
    }
    #[inline(always)]
    fn exponent(self, a: Self::V) -> Self::V {
        // SAFETY: the token.
        unsafe { _mm256_sub_ps(_mm256_cvtepi32_ps(_mm256_srli_epi32::<23>(_mm256_castps_si256(a))), _mm256_set1_ps(EXPONENT_BIAS)) }
    }
    #[inline(always)]
    fn mantissa(self, a: Self::V) -> Self::V {
        // SAFETY: the token.
        unsafe {
            let fraction = _mm256_and_si256(_mm256_castps_si256(a), _mm256_set1_epi32(FRACTION));
            _mm256_castsi256_ps(_mm256_or_si256(fraction, _mm256_set1_epi32(ONE)))
        }
    }
    #[inline(always)]
    fn abs(self, a: Self::V) -> Self::V {
        // SAFETY: the token.
        unsafe { _mm256_andnot_ps(_mm256_set1_ps(-0.0), a) }
    }
    #[inline(always)]
    fn with_sign(self, magnitude: Self::V, sign: Self::V) -> Self::V {
        // SAFETY: the token.
        unsafe { _mm256_or_ps(magnitude, _mm256_and_ps(_mm256_set1_ps(-0.0), sign)) }
    }
    #[inline(always)]
    fn where_less(self, a: Self::V, b: Self::V, x: Self::V, y: Self::V) -> Self::V {
        // SAFETY: the token.
        unsafe { _mm256_blendv_ps(y, x, _mm256_cmp_ps::<_CMP_LT_OQ>(a, b)) }
    }
    #[inline(always)]
    fn sum(self, v: Self::V) -> f32 {
        // SAFETY: the token.
        unsafe {
            let v = _mm_add_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps::<1>(v));
            let v = _mm_add_ps(v, _mm_movehl_ps(v, v));
            _mm_cvtss_f32(_mm_add_ss(v, _mm_shuffle_ps::<1>(v, v)))
        }
    }
    #[inline(always)]
    fn every_second(self, a: Self::V, b: Self::V) -> Self::V {
        // SAFETY: the token.
        unsafe {
            let (a, b) = (_mm256_permute_ps::<0b10_00_10_00>(a), _mm256_permute_ps::<0b11_01_11_01>(b));
            let quarters = _mm256_castps_pd(_mm256_blend_ps::<0b1100_1100>(a, b));
            _mm256_castpd_ps(_mm256_permute4x64_pd::<0b11_01_10_00>(quarters))
        }
    }
    #[inline(always)]
    fn transpose(self, r: &mut [Self::V; MAX_LANES]) {
        // SAFETY: the token.
        unsafe {
            let mut t = *r;
            for i in (0..8).step_by(2) {
                t[i] = _mm256_unpacklo_ps(r[i], r[i + 1]);
                t[i + 1] = _mm256_unpackhi_ps(r[i], r[i + 1]);
            }
            for i in (0..8).step_by(4) {
                r[i] = _mm256_shuffle_ps::<0x44>(t[i], t[i + 2]);
                r[i + 1] = _mm256_shuffle_ps::<0xee>(t[i], t[i + 2]);
                r[i + 2] = _mm256_shuffle_ps::<0x44>(t[i + 1], t[i + 3]);
                r[i + 3] = _mm256_shuffle_ps::<0xee>(t[i + 1], t[i + 3]);
            }
            for i in 0..4 {
                t[i] = _mm256_permute2f128_ps::<0x20>(r[i], r[i + 4]);
                t[i + 4] = _mm256_permute2f128_ps::<0x31>(r[i], r[i + 4]);
            }
            *r = t;
        }
    }
}

impl Simd for Avx512 {
    const LANES: usize = 16;
    const REGISTERS: usize = 32;
    type V = __m512;

    one_instruction! {
        add(a, b) = _mm512_add_ps;
        sub(a, b) = _mm512_sub_ps;
        mul(a, b) = _mm512_mul_ps;
        div(a, b) = _mm512_div_ps;
        min(a, b) = _mm512_min_ps;
        max(a, b) = _mm512_max_ps;
        fma(a, b, c) = _mm512_fmadd_ps;
        fnma(a, b, c) = _mm512_fnmadd_ps;
        sqrt(a) = _mm512_sqrt_ps;
        abs(a) = _mm512_abs_ps;
    }

    #[inline(always)]
    fn splat(self, x: f32) -> Self::V {
        // SAFETY: the token exists only inside the function that enabled AVX-512F.
        unsafe { _mm512_set1_ps(x) }
    }
    #[inline(always)]
    unsafe fn load(self, p: *const f32) -> Self::V {
        // SAFETY: the caller's promise, and the token's.
        unsafe { _mm512_loadu_ps(p) }
    }
    #[inline(always)]
    unsafe fn store(self, p: *mut f32, v: Self::V) {
        // SAFETY: the caller's promise, and the token's.
        unsafe { _mm512_storeu_ps(p, v) }
    }
    #[inline(always)]
    unsafe fn store_first(self, p: *mut f32, v: Self::V, n: usize) {
        // SAFETY: masked lanes are not written; the token.
        unsafe { _mm512_mask_storeu_ps(p, ((1u32 << n) - 1) as u16, v) }
    }
    #[inline(always)]
    unsafe fn load_first(self, p: *const f32, n: usize) -> Self::V {
        // SAFETY: masked lanes are not read; the token.
        unsafe { _mm512_maskz_loadu_ps(((1u32 << n) - 1) as u16, p) }
    }
    #[inline(always)]
    fn prefetch(self, p: *const f32) {
        // SAFETY: a prefetch does not fault.
        unsafe { _mm_prefetch::<_MM_HINT_T1>(p.cast()) }
    }
    #[inline(always)]
    fn exp2(self, biased: Self::V) -> Self::V {
        // SAFETY: the token.
        unsafe { _mm512_castsi512_ps(_mm512_slli_epi32::<23>(_mm512_castps_si512(biased))) }
    }
    #[inline(always)]
    fn exponent(self, a: Self::V) -> Self::V {
        // SAFETY: the token.
        unsafe { _mm512_sub_ps(_mm512_cvtepi32_ps(_mm512_srli_epi32::<23>(_mm512_castps_si512(a))), _mm512_set1_ps(EXPONENT_BIAS)) }
    }
    #[inline(always)]
    fn mantissa(self, a: Self::V) -> Self::V {
        // SAFETY: the token.
        unsafe {
            let fraction = _mm512_and_si512(_mm512_castps_si512(a), _mm512_set1_epi32(FRACTION));
            _mm512_castsi512_ps(_mm512_or_si512(fraction, _mm512_set1_epi32(ONE)))
        }
    }
    #[inline(always)]
    fn with_sign(self, magnitude: Self::V, sign: Self::V) -> Self::V {
        // SAFETY: the token.
        unsafe {
            let bit = _mm512_set1_epi32(i32::MIN);
            _mm512_castsi512_ps(_mm512_or_si512(_mm512_castps_si512(magnitude), _mm512_and_si512(_mm512_castps_si512(sign), bit)))
        }
    }
    #[inline(always)]
    fn where_less(self, a: Self::V, b: Self::V, x: Self::V, y: Self::V) -> Self::V {
        // SAFETY: the token.
        unsafe { _mm512_mask_blend_ps(_mm512_cmp_ps_mask::<_CMP_LT_OQ>(a, b), y, x) }
    }
    #[inline(always)]
    fn sum(self, v: Self::V) -> f32 {
        // SAFETY: the token.
        unsafe { _mm512_reduce_add_ps(v) }
    }
    #[inline(always)]
    fn every_second(self, a: Self::V, b: Self::V) -> Self::V {
        // SAFETY: the token.
        unsafe {
            let lanes = _mm512_setr_epi32(0, 2, 4, 6, 8, 10, 12, 14, 17, 19, 21, 23, 25, 27, 29, 31);
            _mm512_permutex2var_ps(a, lanes, b)
        }
    }
    #[inline(always)]
    fn transpose(self, r: &mut [Self::V; MAX_LANES]) {
        // SAFETY: the token.
        unsafe {
            let mut t = *r;
            for i in (0..16).step_by(2) {
                t[i] = _mm512_unpacklo_ps(r[i], r[i + 1]);
                t[i + 1] = _mm512_unpackhi_ps(r[i], r[i + 1]);
            }
            for i in (0..16).step_by(4) {
                r[i] = _mm512_shuffle_ps::<0x44>(t[i], t[i + 2]);
                r[i + 1] = _mm512_shuffle_ps::<0xee>(t[i], t[i + 2]);
                r[i + 2] = _mm512_shuffle_ps::<0x44>(t[i + 1], t[i + 3]);
                r[i + 3] = _mm512_shuffle_ps::<0xee>(t[i + 1], t[i + 3]);
            }
            // Rows now hold 4x4 transposed blocks in their 128-bit quarters; move the quarters.
            for i in 0..4 {
                t[i] = _mm512_shuffle_f32x4::<0x88>(r[i], r[i + 4]);
                t[i + 4] = _mm512_shuffle_f32x4::<0xdd>(r[i], r[i + 4]);
                t[i + 8] = _mm512_shuffle_f32x4::<0x88>(r[i + 8], r[i + 12]);
                t[i + 12] = _mm512_shuffle_f32x4::<0xdd>(r[i + 8], r[i + 12]);
            }
            for i in 0..4 {
                r[i] = _mm512_shuffle_f32x4::<0x88>(t[i], t[i + 8]);
                r[i + 8] = _mm512_shuffle_f32x4::<0xdd>(t[i], t[i + 8]);
                r[i + 4] = _mm512_shuffle_f32x4::<0x88>(t[i + 4], t[i + 12]);
                r[i + 12] = _mm512_shuffle_f32x4::<0xdd>(t[i + 4], t[i + 12]);
            }
        }
    }
}
