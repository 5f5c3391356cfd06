//! One vocabulary of f32 vectors for every instruction set, so that each kernel is written once.
//!
//! A kernel implements [`Kernel`] over any [`Simd`]; [`Isa::run`] compiles it once per instruction set, inside a function that
//! enables that set, and picks the one found at run time. A vector token exists only where its instructions do, which is what
//! makes the arithmetic methods safe to call; loads and stores take raw pointers and are not.
//!
//! Everything a kernel calls must be `#[inline(always)]`, closures included: code that is not inlined into the enabling function
//! is compiled for the baseline instruction set, correct but slow.

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

mod isa;
#[cfg(target_arch = "aarch64")]
mod neon;
mod portable;
#[cfg(test)]
mod tests;
#[cfg(target_arch = "x86_64")]
mod x86;

pub use isa::Isa;

/// The widest vector, in f32 lanes. Buffers are padded to a multiple of it.
pub const MAX_LANES: usize = 16;

/// Added to a float below 2^21, it rounds it to a whole number `n` and leaves `n + 127`, an exponent, in the low bits.
pub const EXP2_BIAS: f32 = 12_582_912.0 + 127.0;

/// The bits of 1, which are those of its exponent, and the bits behind an exponent.
const ONE: i32 = 0x3f80_0000;
const FRACTION: i32 = 0x007f_ffff;
/// What is added to an exponent in a float's bits.
const EXPONENT_BIAS: f32 = 127.0;

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
    /// Reads the first `LANES` floats of a slice.
    ///
    /// # Panics
    /// If there are not so many.
    #[inline(always)]
    fn read(self, from: &[f32]) -> Self::V {
        let from = &from[..Self::LANES];
        // SAFETY: it is as long as a vector.
        unsafe { self.load(from.as_ptr()) }
    }
    /// Writes the first `LANES` floats of a slice, or all of one that is shorter.
    #[inline(always)]
    fn write(self, to: &mut [f32], v: Self::V) {
        let n = to.len();
        // SAFETY: no more is written than there is.
        unsafe { if n >= Self::LANES { self.store(to.as_mut_ptr(), v) } else { self.store_first(to.as_mut_ptr(), v, n) } }
    }
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
    /// Reads the first `n` lanes; the others are 0.
    ///
    /// # Safety
    /// `p` is valid for reading `n` floats, `n <= LANES`.
    #[inline(always)]
    unsafe fn load_first(self, p: *const f32, n: usize) -> Self::V {
        let mut lanes = [0.0; MAX_LANES];
        // SAFETY: the array is as long as the widest vector, `p` as long as the caller says.
        unsafe {
            std::ptr::copy_nonoverlapping(p, lanes.as_mut_ptr(), n);
            self.load(lanes.as_ptr())
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
    /// Of positive, normal numbers `m 2^n`, `1 <= m < 2`: `n`.
    fn exponent(self, a: Self::V) -> Self::V;
    /// And `m`.
    fn mantissa(self, a: Self::V) -> Self::V;
    /// Without the sign.
    fn abs(self, a: Self::V) -> Self::V;
    /// `magnitude` (not negative) with the sign of `sign`.
    fn with_sign(self, magnitude: Self::V, sign: Self::V) -> Self::V;
    /// `x` where `a < b`, else `y`.
    fn where_less(self, a: Self::V, b: Self::V, x: Self::V, y: Self::V) -> Self::V;
    /// The sum of all lanes.
    fn sum(self, v: Self::V) -> f32;
    /// The even lanes of `a`, then the odd lanes of `b`.
    fn every_second(self, a: Self::V, b: Self::V) -> Self::V;
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
