//! One vocabulary of f32 vectors for every instruction set, so that each kernel is written once.
//!
//! A kernel implements [`Kernel`] over any [`Simd`]; [`Isa::run`] compiles it once per instruction set, inside a function that
//! enables that set, and picks the one found at run time. A vector token exists only where its instructions do, which is what
//! makes the arithmetic methods safe to call; loads and stores take raw pointers and are not.
//!
//! Everything a kernel calls must be `#[inline(always)]`, closures included: code that is not inlined into the enabling function
//! is compiled for the baseline instruction set, correct but slow.

use std::str::FromStr;

/// The widest vector, in f32 lanes. Buffers are padded to a multiple of it.
pub const MAX_LANES: usize = 16;

/// Added to a float below 2^21, it rounds it to a whole number `n` and leaves `n + 127`, an exponent, in the low bits.
pub const EXP2_BIAS: f32 = 12_582_912.0 + 127.0;

/// Vectors of f32 and what the kernels do with them.
pub trait Simd: Copy + Send + Sync + 'static {
    /// f32 lanes of a vector; divides [`MAX_LANES`].
    const LANES: usize;
    /// Vector registers the set offers: kernels choose their register blocks by it.
    const REGISTERS: usize;
    /// One vector.
    type V: Copy;

    /// All lanes `x`.
    fn splat(self, x: f32) -> Self::V;
    /// Reads `LANES` floats; no alignment needed.
    ///
    /// # Safety
    /// `p` is valid for reading `LANES` floats.
    unsafe fn load(self, p: *const f32) -> Self::V;
    /// Writes `LANES` floats; no alignment needed.
    ///
    /// # Safety
    /// `p` is valid for writing `LANES` floats.
    unsafe fn store(self, p: *mut f32, v: Self::V);
    /// Writes the first `n` lanes.
    ///
    /// # Safety
    /// `p` is valid for writing `n` floats, `n <= LANES`.
    #[inline(always)]
    unsafe fn store_first(self, p: *mut f32, v: Self::V, n: usize) {
        let mut lanes = [0.0; MAX_LANES];
        // SAFETY: the array is as long as the widest vector, `p` as long as the caller says.
        unsafe {
            self.store(lanes.as_mut_ptr(), v);
            std::ptr::copy_nonoverlapping(lanes.as_ptr(), p, n);
        }
    }
    /// Asks the second-level cache for the line at `p`, which need not be valid.
    #[inline(always)]
    fn prefetch(self, p: *const f32) {
        let _ = p;
    }
    /// The lanes' numbers: 0, 1, 2, ...
    #[inline(always)]
    fn iota(self) -> Self::V {
        const LANES: [f32; MAX_LANES] = [0., 1., 2., 3., 4., 5., 6., 7., 8., 9., 10., 11., 12., 13., 14., 15.];
        // SAFETY: the array is as long as the widest vector.
        unsafe { self.load(LANES.as_ptr()) }
    }
    /// `a + b`
    fn add(self, a: Self::V, b: Self::V) -> Self::V;
    /// `a - b`
    fn sub(self, a: Self::V, b: Self::V) -> Self::V;
    /// `a * b`
    fn mul(self, a: Self::V, b: Self::V) -> Self::V;
    /// `a / b`
    fn div(self, a: Self::V, b: Self::V) -> Self::V;
    /// The lesser of each lane.
    fn min(self, a: Self::V, b: Self::V) -> Self::V;
    /// The greater of each lane.
    fn max(self, a: Self::V, b: Self::V) -> Self::V;
    /// `a * b + c`
    fn fma(self, a: Self::V, b: Self::V, c: Self::V) -> Self::V;
    /// `c - a * b`
    fn fnma(self, a: Self::V, b: Self::V, c: Self::V) -> Self::V;
    /// The square root.
    fn sqrt(self, a: Self::V) -> Self::V;
    /// `2^n`, given `n + EXP2_BIAS` with whole `n` from -126 to 127.
    fn exp2(self, biased: Self::V) -> Self::V;
    /// Without the sign.
    fn abs(self, a: Self::V) -> Self::V;
    /// `magnitude` (not negative) with the sign of `sign`.
    fn with_sign(self, magnitude: Self::V, sign: Self::V) -> Self::V;
    /// `x` where `a < b`, else `y`.
    fn where_less(self, a: Self::V, b: Self::V, x: Self::V, y: Self::V) -> Self::V;
    /// The sum of all lanes.
    fn sum(self, v: Self::V) -> f32;
    /// Transposes the square of the first `LANES` vectors.
    fn transpose(self, rows: &mut [Self::V; MAX_LANES]);
}

/// Work that can be compiled for any instruction set.
pub trait Kernel {
    /// What it answers.
    type Out;
    /// Does the work; implementations are `#[inline(always)]`.
    fn run<S: Simd>(self, s: S) -> Self::Out;
}

/// An instruction set this machine has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Isa {
    /// Plain Rust arrays; the reference the others are tested against.
    Portable,
    /// AVX2 with FMA: 8 lanes.
    #[cfg(target_arch = "x86_64")]
    Avx2,
    /// AVX-512F: 16 lanes.
    #[cfg(target_arch = "x86_64")]
    Avx512,
    /// NEON: 4 lanes.
    #[cfg(target_arch = "aarch64")]
    Neon,
}

impl Isa {
    /// Every set this machine has, the plainest first.
    pub fn available() -> Vec<Isa> {
        let mut found = vec![Isa::Portable];
        #[cfg(target_arch = "x86_64")]
        {
            if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
                found.push(Isa::Avx2);
            }
            if is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("fma") {
                found.push(Isa::Avx512);
            }
        }
        #[cfg(target_arch = "aarch64")]
        if std::arch::is_aarch64_feature_detected!("neon") {
            found.push(Isa::Neon);
        }
        found
    }

    /// As it is called on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Isa::Portable => "portable",
            #[cfg(target_arch = "x86_64")]
            Isa::Avx2 => "avx2",
            #[cfg(target_arch = "x86_64")]
            Isa::Avx512 => "avx512",
            #[cfg(target_arch = "aarch64")]
            Isa::Neon => "neon",
        }
    }

    /// The widest set this machine has.
    pub fn best() -> Isa {
        *Isa::available().last().expect("the portable set is always there")
    }

    /// Runs a kernel compiled for this set.
    #[inline]
    pub fn run<K: Kernel>(self, kernel: K) -> K::Out {
        match self {
            Isa::Portable => kernel.run(portable::Portable),
            // SAFETY: an `Isa` other than `Portable` only comes from `available`, which asked the processor.
            #[cfg(target_arch = "x86_64")]
            Isa::Avx2 => unsafe { x86::run_avx2(kernel) },
            // SAFETY: as above.
            #[cfg(target_arch = "x86_64")]
            Isa::Avx512 => unsafe { x86::run_avx512(kernel) },
            // SAFETY: as above.
            #[cfg(target_arch = "aarch64")]
            Isa::Neon => unsafe { neon::run_neon(kernel) },
        }
    }
}

impl FromStr for Isa {
    type Err = String;

    fn from_str(name: &str) -> Result<Isa, String> {
        let available = Isa::available();
        available.iter().copied().find(|isa| isa.name() == name).ok_or_else(|| {
            let names: Vec<_> = available.into_iter().map(Isa::name).collect();
            format!("this machine has no instruction set '{name}'; it has {}", names.join(", "))
        })
    }
}

mod portable {
    use super::{MAX_LANES, Simd};

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
        fn transpose(self, rows: &mut [Self::V; MAX_LANES]) {
            let m = [rows[0], rows[1], rows[2], rows[3]];
            for (i, row) in rows[..N].iter_mut().enumerate() {
                *row = each(|j| m[j][i]);
            }
        }
    }
}

/// The methods that are one instruction each, the same way on every real instruction set.
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
macro_rules! one_instruction {
    ($($name:ident($($arg:ident),+) = $intrinsic:path;)+) => {$(
        #[inline(always)]
        fn $name(self, $($arg: Self::V),+) -> Self::V {
            // SAFETY: the token exists only inside the function that enabled this instruction set.
            unsafe { $intrinsic($($arg),+) }
        }
    )+};
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use std::arch::x86_64::*;

    use super::{Kernel, MAX_LANES, Simd};

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
}

#[cfg(target_arch = "aarch64")]
mod neon {
    use std::arch::aarch64::*;

    use super::{Kernel, MAX_LANES, Simd};

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
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Transposed;

    impl Kernel for Transposed {
        type Out = Vec<f32>;
        #[inline(always)]
        fn run<S: Simd>(self, s: S) -> Vec<f32> {
            let n = S::LANES;
            let from: Vec<f32> = (0..n * n).map(|i| i as f32).collect();
            let mut to = vec![0.0; n * n];
            let mut rows = [s.splat(0.0); MAX_LANES];
            for (i, row) in rows.iter_mut().enumerate().take(n) {
                // SAFETY: `from` holds n rows of n.
                *row = unsafe { s.load(from.as_ptr().add(i * n)) };
            }
            s.transpose(&mut rows);
            for (i, &row) in rows.iter().enumerate().take(n) {
                // SAFETY: `to` holds n rows of n.
                unsafe { s.store(to.as_mut_ptr().add(i * n), row) };
            }
            to
        }
    }

    #[test]
    fn every_set_transposes() {
        for isa in Isa::available() {
            let to = isa.run(Transposed);
            let n = to.len().isqrt();
            for i in 0..n {
                for j in 0..n {
                    assert_eq!(to[i * n + j], (j * n + i) as f32, "{isa:?} at {i},{j}");
                }
            }
        }
    }

    struct Lanes;

    impl Kernel for Lanes {
        type Out = usize;
        #[inline(always)]
        fn run<S: Simd>(self, s: S) -> usize {
            // As many as a whole store writes, fewer where asked.
            for n in 0..=S::LANES {
                let mut to = [9.0; MAX_LANES];
                // SAFETY: the array is as long as the widest vector.
                unsafe { s.store_first(to.as_mut_ptr(), s.splat(1.0), n) };
                assert!(to.iter().enumerate().all(|(i, &x)| x == if i < n { 1.0 } else { 9.0 }), "{n} of {}: {to:?}", S::LANES);
            }
            S::LANES
        }
    }

    struct Odds([f32; 4]);

    impl Kernel for Odds {
        type Out = [f32; 8];
        #[inline(always)]
        fn run<S: Simd>(self, s: S) -> [f32; 8] {
            let [a, b, c, n] = self.0;
            let (va, vb, vc) = (s.splat(a), s.splat(b), s.splat(c));
            let lane = |v: S::V| {
                let mut out = [0.0; MAX_LANES];
                // SAFETY: the array is as long as the widest vector.
                unsafe { s.store(out.as_mut_ptr(), v) };
                out[S::LANES - 1]
            };
            [
                lane(s.fma(va, vb, vc)),
                lane(s.fnma(va, vb, vc)),
                lane(s.sub(s.iota(), va)),
                lane(s.exp2(s.splat(n + EXP2_BIAS))),
                lane(s.with_sign(s.abs(va), vb)),
                lane(s.where_less(va, vb, vc, va)),
                s.sum(va),
                lane(s.sqrt(s.abs(va))),
            ]
        }
    }

    #[test]
    fn every_set_agrees_with_scalar_arithmetic() {
        for isa in Isa::available() {
            for [a, b, c, n] in [[1.5f32, -2.0, 0.25, 3.0], [-7.5, 3.0, 1.0, -126.0], [0.5, 0.75, -8.0, 127.0]] {
                let got = isa.run(Odds([a, b, c, n]));
                let want = [a * b + c, c - a * b, got[2], n.exp2(), a.abs().copysign(b), if a < b { c } else { a }, got[6], a.abs().sqrt()];
                assert_eq!(got, want, "{isa:?}");
                assert_eq!(got[6] % a, 0.0, "{isa:?}");
                assert_eq!(got[2] + a, isa.run(Lanes) as f32 - 1.0, "{isa:?}");
            }
        }
    }
}
