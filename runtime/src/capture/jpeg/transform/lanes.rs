//! Eight 32-bit numbers that are computed with at once, in the forms that processors have for it. Nothing overflows with a panic:
//! damaged pictures hold any number.

#![allow(unsafe_code)] // intrinsics

/// Eight numbers.
pub(super) trait Lanes: Copy {
    /// Eight coefficients times their quantisation steps.
    fn product(coefficients: &[i16; 8], steps: &[u16; 8]) -> Self;
    fn plus(self, other: Self) -> Self;
    fn minus(self, other: Self) -> Self;
    fn times(self, factor: i32) -> Self;
    fn up<const BITS: i32>(self) -> Self;
    /// Rounded down by so many bits.
    fn down<const BITS: i32>(self) -> Self;
    /// Rows to columns.
    fn transpose(rows: [Self; 8]) -> [Self; 8];
    /// Signed samples as levels from 0 to 255.
    fn levels(rows: [Self; 8]) -> [[u8; 8]; 8];
}

/// In no particular form.
#[derive(Clone, Copy)]
pub(super) struct Plain([i32; 8]);

impl Plain {
    #[inline(always)]
    fn each(self, join: impl Fn(i32) -> i32) -> Plain {
        Plain(self.0.map(join))
    }

    #[inline(always)]
    fn pairs(self, other: Plain, join: impl Fn(i32, i32) -> i32) -> Plain {
        Plain(std::array::from_fn(|at| join(self.0[at], other.0[at])))
    }
}

impl Lanes for Plain {
    #[inline(always)]
    fn product(coefficients: &[i16; 8], steps: &[u16; 8]) -> Plain {
        Plain(std::array::from_fn(|at| i32::from(coefficients[at]).wrapping_mul(i32::from(steps[at]))))
    }

    #[inline(always)]
    fn plus(self, other: Plain) -> Plain {
        self.pairs(other, i32::wrapping_add)
    }

    #[inline(always)]
    fn minus(self, other: Plain) -> Plain {
        self.pairs(other, i32::wrapping_sub)
    }

    #[inline(always)]
    fn times(self, factor: i32) -> Plain {
        self.each(|value| value.wrapping_mul(factor))
    }

    #[inline(always)]
    fn up<const BITS: i32>(self) -> Plain {
        self.each(|value| value << BITS)
    }

    #[inline(always)]
    fn down<const BITS: i32>(self) -> Plain {
        self.each(|value| value.wrapping_add(1 << (BITS - 1)) >> BITS)
    }

    #[inline(always)]
    fn transpose(rows: [Plain; 8]) -> [Plain; 8] {
        std::array::from_fn(|y| Plain(std::array::from_fn(|x| rows[x].0[y])))
    }

    #[inline(always)]
    fn levels(rows: [Plain; 8]) -> [[u8; 8]; 8] {
        rows.map(|row| row.0.map(|value| value.wrapping_add(128).clamp(0, 255) as u8))
    }
}

#[cfg(target_arch = "x86_64")]
pub(super) use x86::Avx2;

#[cfg(target_arch = "x86_64")]
mod x86 {
    // SAFETY of every block here: these forms are used only inside a function that is compiled for AVX2 and called where there is AVX2;
    // loads and stores go to arrays of the size that they move.
    use super::Lanes;
    use std::arch::x86_64::*;

    /// In one AVX2 register.
    #[derive(Clone, Copy)]
    pub(in super::super) struct Avx2(__m256i);

    impl Lanes for Avx2 {
        #[inline(always)]
        fn product(coefficients: &[i16; 8], steps: &[u16; 8]) -> Avx2 {
            unsafe {
                let coefficients = _mm256_cvtepi16_epi32(_mm_loadu_si128(coefficients.as_ptr().cast()));
                let steps = _mm256_cvtepu16_epi32(_mm_loadu_si128(steps.as_ptr().cast()));
                Avx2(_mm256_mullo_epi32(coefficients, steps))
            }
        }

        #[inline(always)]
        fn plus(self, other: Avx2) -> Avx2 {
            unsafe { Avx2(_mm256_add_epi32(self.0, other.0)) }
        }

        #[inline(always)]
        fn minus(self, other: Avx2) -> Avx2 {
            unsafe { Avx2(_mm256_sub_epi32(self.0, other.0)) }
        }

        #[inline(always)]
        fn times(self, factor: i32) -> Avx2 {
            unsafe { Avx2(_mm256_mullo_epi32(self.0, _mm256_set1_epi32(factor))) }
        }

        #[inline(always)]
        fn up<const BITS: i32>(self) -> Avx2 {
            unsafe { Avx2(_mm256_slli_epi32::<BITS>(self.0)) }
        }

        #[inline(always)]
        fn down<const BITS: i32>(self) -> Avx2 {
            unsafe { Avx2(_mm256_srai_epi32::<BITS>(_mm256_add_epi32(self.0, _mm256_set1_epi32(1 << (BITS - 1))))) }
        }

        #[inline(always)]
        fn transpose([a, b, c, d, e, f, g, h]: [Avx2; 8]) -> [Avx2; 8] {
            unsafe {
                let pair = |a: Avx2, b: Avx2| (_mm256_unpacklo_epi32(a.0, b.0), _mm256_unpackhi_epi32(a.0, b.0));
                let ((ab0, ab1), (cd0, cd1), (ef0, ef1), (gh0, gh1)) = (pair(a, b), pair(c, d), pair(e, f), pair(g, h));
                let four = |a, b| (_mm256_unpacklo_epi64(a, b), _mm256_unpackhi_epi64(a, b));
                let ((top0, top1), (top2, top3)) = (four(ab0, cd0), four(ab1, cd1));
                let ((low0, low1), (low2, low3)) = (four(ef0, gh0), four(ef1, gh1));
                let left = |top, low| Avx2(_mm256_permute2x128_si256::<0x20>(top, low));
                let right = |top, low| Avx2(_mm256_permute2x128_si256::<0x31>(top, low));
                [
                    left(top0, low0),
                    left(top1, low1),
                    left(top2, low2),
                    left(top3, low3),
                    right(top0, low0),
                    right(top1, low1),
                    right(top2, low2),
                    right(top3, low3),
                ]
            }
        }

        #[inline(always)]
        fn levels(rows: [Avx2; 8]) -> [[u8; 8]; 8] {
            let mut out = [[0; 8]; 8];
            unsafe {
                // Packing works on halves of four: this puts the halves of each row beside one another again.
                let order = _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7);
                let middle = _mm256_set1_epi32(128);
                for (four, out) in rows.as_chunks::<4>().0.iter().zip(out.as_chunks_mut::<4>().0) {
                    let [a, b, c, d] = four.map(|row| _mm256_add_epi32(row.0, middle));
                    let bytes = _mm256_packus_epi16(_mm256_packs_epi32(a, b), _mm256_packs_epi32(c, d));
                    _mm256_storeu_si256(out.as_mut_ptr().cast(), _mm256_permutevar8x32_epi32(bytes, order));
                }
            }
            out
        }
    }
}

#[cfg(target_arch = "aarch64")]
pub(super) use arm::Neon;

#[cfg(target_arch = "aarch64")]
mod arm {
    // SAFETY of every block here: each aarch64 processor that this is built for has NEON; loads and stores go to arrays of the size that
    // they move.
    use super::Lanes;
    use std::arch::aarch64::*;

    /// In two NEON registers.
    #[derive(Clone, Copy)]
    pub(in super::super) struct Neon(int32x4_t, int32x4_t);

    impl Neon {
        #[inline(always)]
        fn each(self, join: impl Fn(int32x4_t) -> int32x4_t) -> Neon {
            Neon(join(self.0), join(self.1))
        }
    }

    /// Four rows of four to columns.
    #[inline(always)]
    fn quarter([a, b, c, d]: [int32x4_t; 4]) -> [int32x4_t; 4] {
        unsafe {
            let wide = |x| vreinterpretq_s64_s32(x);
            let (ab0, ab1) = (wide(vtrn1q_s32(a, b)), wide(vtrn2q_s32(a, b)));
            let (cd0, cd1) = (wide(vtrn1q_s32(c, d)), wide(vtrn2q_s32(c, d)));
            [vtrn1q_s64(ab0, cd0), vtrn1q_s64(ab1, cd1), vtrn2q_s64(ab0, cd0), vtrn2q_s64(ab1, cd1)].map(|x| vreinterpretq_s32_s64(x))
        }
    }

    impl Lanes for Neon {
        #[inline(always)]
        fn product(coefficients: &[i16; 8], steps: &[u16; 8]) -> Neon {
            unsafe {
                let (coefficients, steps) = (vld1q_s16(coefficients.as_ptr()), vld1q_u16(steps.as_ptr()));
                let low = vreinterpretq_s32_u32(vmovl_u16(vget_low_u16(steps)));
                let high = vreinterpretq_s32_u32(vmovl_high_u16(steps));
                Neon(vmulq_s32(vmovl_s16(vget_low_s16(coefficients)), low), vmulq_s32(vmovl_high_s16(coefficients), high))
            }
        }

        #[inline(always)]
        fn plus(self, other: Neon) -> Neon {
            unsafe { Neon(vaddq_s32(self.0, other.0), vaddq_s32(self.1, other.1)) }
        }

        #[inline(always)]
        fn minus(self, other: Neon) -> Neon {
            unsafe { Neon(vsubq_s32(self.0, other.0), vsubq_s32(self.1, other.1)) }
        }

        #[inline(always)]
        fn times(self, factor: i32) -> Neon {
            unsafe { self.each(|half| vmulq_n_s32(half, factor)) }
        }

        #[inline(always)]
        fn up<const BITS: i32>(self) -> Neon {
            unsafe { self.each(|half| vshlq_n_s32::<BITS>(half)) }
        }

        #[inline(always)]
        fn down<const BITS: i32>(self) -> Neon {
            // The rounding shift would not wrap: add and shift, as the others do.
            unsafe { self.each(|half| vshrq_n_s32::<BITS>(vaddq_s32(half, vdupq_n_s32(1 << (BITS - 1))))) }
        }

        #[inline(always)]
        fn transpose(rows: [Neon; 8]) -> [Neon; 8] {
            let [a, b, c, d, e, f, g, h] = rows;
            let [left_top, left_low] = [quarter([a.0, b.0, c.0, d.0]), quarter([e.0, f.0, g.0, h.0])];
            let [right_top, right_low] = [quarter([a.1, b.1, c.1, d.1]), quarter([e.1, f.1, g.1, h.1])];
            std::array::from_fn(|at| if at < 4 { Neon(left_top[at], left_low[at]) } else { Neon(right_top[at - 4], right_low[at - 4]) })
        }

        #[inline(always)]
        fn levels(rows: [Neon; 8]) -> [[u8; 8]; 8] {
            rows.map(|row| unsafe {
                let middle = vdupq_n_s32(128);
                let narrow = vcombine_s16(vqmovn_s32(vaddq_s32(row.0, middle)), vqmovn_s32(vaddq_s32(row.1, middle)));
                let mut out = [0; 8];
                vst1_u8(out.as_mut_ptr(), vqmovun_s16(narrow));
                out
            })
        }
    }
}
