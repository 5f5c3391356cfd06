//! Vector exponential, logarithm, power, rounding and the activations made of them, each accurate to 1e-6 relative.
//!
//! The polynomials are minimax fits in relative error (Lawson iteration over Chebyshev nodes, coefficients rounded to f32).

use super::simd::{EXP2_BIAS, MAX_LANES, Simd};

#[inline(always)]
fn horner<S: Simd, const N: usize>(s: S, x: S::V, coefficients: [f32; N]) -> S::V {
    let mut sum = s.splat(coefficients[N - 1]);
    let mut i = N - 1;
    while i > 0 {
        i -= 1;
        sum = s.fma(sum, x, s.splat(coefficients[i]));
    }
    sum
}

/// `x = n ln 2 + r` with whole `n` and `|r|` about `ln 2 / 2` at most: answers `(e^r, n + EXP2_BIAS)`.
#[inline(always)]
fn exp_parts<S: Simd>(s: S, x: S::V) -> (S::V, S::V) {
    let biased = s.fma(x, s.splat(std::f32::consts::LOG2_E), s.splat(EXP2_BIAS));
    let n = s.sub(biased, s.splat(EXP2_BIAS));
    // ln 2 in two pieces, the first with few enough bits that n times it is exact.
    let r = s.fnma(n, s.splat(0.693_359_4), x);
    let r = s.fnma(n, s.splat(-2.121_944_4e-4), r);
    let tail = horner(s, r, [0.5, 0.166_665_76, 0.041_666_854, 0.008_363_313, 0.001_390_135_6]);
    (s.add(s.splat(1.0), s.fma(s.mul(r, r), tail, r)), biased)
}

/// `e^x` for `x <= 0`; below -87 it stays at `e^-87`, 1.6e-38.
#[inline(always)]
fn exp_negative<S: Simd>(s: S, x: S::V) -> S::V {
    let (p, biased) = exp_parts(s, s.max(x, s.splat(-87.0)));
    s.mul(p, s.exp2(biased))
}

/// `e^x`; infinite above about 88.7 and 0 below about -87.
#[inline(always)]
pub fn exp<S: Simd>(s: S, x: S::V) -> S::V {
    let (low, high) = (s.splat(-87.0), s.splat(88.0));
    let (p, biased) = exp_parts(s, s.min(s.max(x, low), high));
    let y = s.mul(p, s.exp2(biased));
    // The last 0.7 before the overflow, and the overflow: once more times e^(what is left).
    let y = s.where_less(high, x, s.mul(y, small_exp(s, s.sub(x, high))), y);
    s.where_less(x, low, s.splat(0.0), y)
}

/// `e^x` for `0 <= x < 1`, and large enough above that `e^88` times it overflows.
#[inline(always)]
fn small_exp<S: Simd>(s: S, x: S::V) -> S::V {
    let (p, biased) = exp_parts(s, s.min(s.max(x, s.splat(0.0)), s.splat(2.0)));
    s.mul(p, s.exp2(biased))
}

/// `ln x`: of 0 minus infinity, of less no number.
#[inline(always)]
pub fn log<S: Simd>(s: S, x: S::V) -> S::V {
    // Numbers below the normal ones are made so, by 2^24.
    let (least, larger) = (s.splat(f32::MIN_POSITIVE), s.mul(x, s.splat(16_777_216.0)));
    let (normal, shift) = (s.where_less(x, least, larger, x), s.where_less(x, least, s.splat(24.0), s.splat(0.0)));
    let (n, m) = (s.sub(s.exponent(normal), shift), s.mantissa(normal));
    // From 1/sqrt 2 to sqrt 2, so that x near 1 leaves all of it to the polynomial.
    let middle = s.splat(std::f32::consts::SQRT_2);
    let (half, one) = (s.mul(m, s.splat(0.5)), s.splat(1.0));
    let r = s.sub(s.where_less(middle, m, half, m), one);
    let n = s.where_less(middle, m, s.add(n, one), n);
    // (ln(1 + r) - r) / r^2
    let tail =
        horner(s, r, [-0.499_999_9, 0.333_339_5, -0.250_017_55, 0.199_620_72, -0.165_705_08, 0.149_179_74, -0.143_075_18, 0.087_348_364]);
    // ln 2 in two pieces, as for the exponential.
    let low = s.fma(n, s.splat(-2.121_944_4e-4), s.mul(s.mul(r, r), tail));
    let y = s.fma(n, s.splat(0.693_359_4), s.add(low, r));
    let y = s.where_less(s.splat(f32::MAX), x, x, y);
    // x - x: what is no number stays none.
    let zero = s.splat(0.0);
    let none = s.where_less(x, zero, s.splat(f32::NAN), s.add(s.splat(f32::NEG_INFINITY), s.sub(x, x)));
    s.where_less(zero, x, y, none)
}

/// From here on numbers have no fraction, and to twice as far neighbours are 1 apart.
const WHOLE: f32 = (1 << 23) as f32;

/// The nearest whole number, of halves the even one; the sign stays, also that of 0.
#[inline(always)]
pub fn round<S: Simd>(s: S, x: S::V) -> S::V {
    let (size, whole) = (s.abs(x), s.splat(WHOLE));
    // Where neighbours are 1 apart, adding rounds as the processor does: to the nearest, of halves to the even one.
    let rounded = s.with_sign(s.sub(s.add(size, whole), whole), x);
    s.where_less(size, whole, rounded, x)
}

/// `x^y` as the C library has it, and so with its special cases. One lane after the other: a product of a logarithm in single precision
/// would be off by as many roundings as the power has powers of e.
#[inline(always)]
pub fn pow<S: Simd>(s: S, x: S::V, y: S::V) -> S::V {
    let (mut bases, mut exponents) = ([0.0; MAX_LANES], [0.0; MAX_LANES]);
    // SAFETY: the arrays are as long as the widest vector.
    unsafe {
        s.store(bases.as_mut_ptr(), x);
        s.store(exponents.as_mut_ptr(), y);
    }
    for (base, exponent) in bases[..S::LANES].iter_mut().zip(exponents) {
        *base = base.powf(exponent);
    }
    // SAFETY: as above.
    unsafe { s.load(bases.as_ptr()) }
}

/// `ln(1 + e^x)`
#[inline(always)]
pub fn softplus<S: Simd>(s: S, x: S::V) -> S::V {
    let t = exp_negative(s, s.sub(s.splat(0.0), s.abs(x)));
    // ln(1 + t) / t on 0..=1
    let p = horner(
        s,
        t,
        [
            0.999_999_94,
            -0.499_994_93,
            0.333_190_98,
            -0.248_429_82,
            0.191_060_05,
            -0.136_632_43,
            0.078_225_91,
            -0.029_505_214,
            0.005_232_688,
        ],
    );
    s.fma(t, p, s.max(x, s.splat(0.0)))
}

/// `1 / (1 + e^-x)`
#[inline(always)]
pub fn sigmoid<S: Simd>(s: S, x: S::V) -> S::V {
    let t = exp_negative(s, s.sub(s.splat(0.0), s.abs(x)));
    let numerator = s.where_less(x, s.splat(0.0), t, s.splat(1.0));
    s.div(numerator, s.add(s.splat(1.0), t))
}

/// `tanh x`
#[inline(always)]
pub fn tanh<S: Simd>(s: S, x: S::V) -> S::V {
    let magnitude = s.abs(x);
    let t = exp_negative(s, s.mul(magnitude, s.splat(-2.0)));
    let large = s.div(s.sub(s.splat(1.0), t), s.add(s.splat(1.0), t));
    let square = s.mul(x, x);
    let tail = horner(s, square, [-0.333_333_28, 0.133_325_85, -0.053_823_814, 0.020_873_671, -0.005_923_976]);
    let small = s.fma(s.mul(magnitude, square), tail, magnitude);
    s.with_sign(s.where_less(magnitude, s.splat(0.625), small, large), x)
}

/// The error function.
// The last digit decides which float it is.
#[allow(clippy::excessive_precision)]
#[inline(always)]
pub fn erf<S: Simd>(s: S, x: S::V) -> S::V {
    let magnitude = s.abs(x);
    let square = s.mul(x, x);
    let small = horner(
        s,
        square,
        [std::f32::consts::FRAC_2_SQRT_PI, -0.376_126_26, 0.112_835_854, -0.026_853_813, 0.005_188_328_7, -0.000_801_020_13, 7.853_884e-5],
    );
    // ln(1 - erf x) from 0.98 to 4.05, beyond which the nearest float to erf x is 1.
    let log = horner(
        s,
        s.min(magnitude, s.splat(4.05)),
        [-0.000_312_47, -1.127_202_3, -0.637_965, -0.103_256_2, 0.021_906_475, -0.002_964_005_6, 0.000_187_971_64],
    );
    let large = s.sub(s.splat(1.0), exp_negative(s, log));
    s.with_sign(s.where_less(magnitude, s.splat(1.0), s.mul(magnitude, small), large), x)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::simd::{Isa, Kernel, MAX_LANES};
    use super::*;

    #[derive(Clone, Copy, Debug)]
    enum Function {
        Erf,
        Exp,
        Log,
        Round,
        Softplus,
        Sigmoid,
        Tanh,
    }

    impl Function {
        fn exact(self, x: f64) -> f64 {
            match self {
                Function::Erf => exact_erf(x),
                Function::Exp => x.exp(),
                Function::Log => x.ln(),
                Function::Round => x.round_ties_even(),
                Function::Softplus => x.max(0.0) + (-x.abs()).exp().ln_1p(),
                Function::Sigmoid if x < 0.0 => x.exp() / (1.0 + x.exp()),
                Function::Sigmoid => 1.0 / (1.0 + (-x).exp()),
                Function::Tanh => x.tanh(),
            }
        }
    }

    const ALL: [Function; 5] = [Function::Erf, Function::Exp, Function::Softplus, Function::Sigmoid, Function::Tanh];

    /// The error function by its series, all of whose terms have one sign.
    fn exact_erf(x: f64) -> f64 {
        if x.abs() > 6.0 {
            return x.signum();
        }
        let (mut term, mut sum) = (x, x);
        for n in 1..200 {
            term *= 2.0 * x * x / f64::from(2 * n + 1);
            sum += term;
        }
        2.0 / std::f64::consts::PI.sqrt() * (-x * x).exp() * sum
    }

    struct Apply(Function, f32);

    impl Kernel for Apply {
        type Out = f32;
        #[inline(always)]
        fn run<S: Simd>(self, s: S) -> f32 {
            let x = s.splat(self.1);
            let y = match self.0 {
                Function::Erf => erf(s, x),
                Function::Exp => exp(s, x),
                Function::Log => log(s, x),
                Function::Round => round(s, x),
                Function::Softplus => softplus(s, x),
                Function::Sigmoid => sigmoid(s, x),
                Function::Tanh => tanh(s, x),
            };
            let mut out = [0.0; MAX_LANES];
            // SAFETY: the array is as long as the widest vector.
            unsafe { s.store(out.as_mut_ptr(), y) };
            out[0]
        }
    }

    fn check(x: f32) {
        for isa in Isa::available() {
            for function in ALL {
                let (got, want) = (f64::from(isa.run(Apply(function, x))), function.exact(f64::from(x)));
                if want > f64::from(f32::MAX) {
                    assert!(got > 3.4e38, "{isa:?} {function:?}({x}) = {got}");
                } else if want.abs() < 1.7e-38 {
                    assert!((got - want).abs() < 1.7e-38, "{isa:?} {function:?}({x}) = {got}, not {want}");
                } else {
                    assert!((got / want - 1.0).abs() < 1e-6, "{isa:?} {function:?}({x}) = {got}, not {want}");
                }
            }
        }
    }

    #[test]
    fn the_logarithm_knows_its_edges() {
        for isa in Isa::available() {
            let log = |x| isa.run(Apply(Function::Log, x));
            assert_eq!(
                (log(1.0), log(0.0), log(-0.0), log(f32::INFINITY)),
                (0.0, f32::NEG_INFINITY, f32::NEG_INFINITY, f32::INFINITY),
                "{isa:?}"
            );
            assert!(log(-1e-30).is_nan() && log(f32::NEG_INFINITY).is_nan() && log(f32::NAN).is_nan(), "{isa:?}");
            let numbers = (0..20_000).map(|i| 1.0 + (i - 10_000) as f32 * 5e-5).chain((-149..128).flat_map(|n| {
                [1.0, 1.1, std::f64::consts::SQRT_2 - 1e-7, std::f64::consts::SQRT_2 + 1e-7, 1.9]
                    .map(|m: f64| (m * f64::from(n).exp2()) as f32)
            }));
            for x in numbers.filter(|x| *x > 0.0 && *x != 1.0) {
                let (got, want) = (f64::from(log(x)), f64::from(x).ln());
                assert!((got / want - 1.0).abs() < 1e-6, "{isa:?} log({x}) = {got}, not {want}");
            }
        }
    }

    struct Power(f32, f32);

    impl Kernel for Power {
        type Out = f32;
        #[inline(always)]
        fn run<S: Simd>(self, s: S) -> f32 {
            let mut out = [0.0; MAX_LANES];
            // SAFETY: the array is as long as the widest vector.
            unsafe { s.store(out.as_mut_ptr(), pow(s, s.splat(self.0), s.splat(self.1))) };
            out[S::LANES - 1]
        }
    }

    #[test]
    fn a_power_knows_its_edges() {
        let (none, endless) = (f32::NAN, f32::INFINITY);
        let cases = [
            (0.0, 0.0, 1.0),
            (none, 0.0, 1.0),
            (1.0, none, 1.0),
            (-2.0, 3.0, -8.0),
            (-2.0, -2.0, 0.25),
            (-2.0, 0.5, none),
            (-0.0, 3.0, -0.0),
            (0.0, -1.0, endless),
            (-0.0, -3.0, -endless),
            (-1.0, endless, 1.0),
            (0.5, -endless, endless),
            (-endless, 3.0, -endless),
            (endless, -2.0, 0.0),
            (none, 2.0, none),
            (2.0, none, none),
            (2.0, 128.0, endless),
            (2.0, -149.0, f32::from_bits(1)),
            (1.1, 100.0, 13780.643),
            (3e-39, 0.25, 2.3403473e-10),
        ];
        for isa in Isa::available() {
            for (x, y, want) in cases {
                let got = isa.run(Power(x, y));
                let near = got.to_bits() == want.to_bits() || (got.is_nan() && want.is_nan()) || (got / want - 1.0).abs() < 1e-6;
                assert!(near, "{isa:?}: {x} to the power of {y} is {got}, not {want}");
            }
        }
    }

    #[test]
    fn rounding_keeps_signs_and_gives_halves_to_the_even_one() {
        let large = [4_194_303.5, 4_194_304.5, 8_388_607.5, 8_388_608.0, 8_388_609.0, 3e38, f32::INFINITY, f32::NAN, 0.0, 0.499_999_97];
        for x in (-40..40).map(|i| i as f32 * 0.25).chain(large).flat_map(|x| [x, -x]) {
            for isa in Isa::available() {
                let (got, want) = (isa.run(Apply(Function::Round, x)), x.round_ties_even());
                assert!(got.to_bits() == want.to_bits() || (got.is_nan() && want.is_nan()), "{isa:?} round({x}) = {got}, not {want}");
            }
        }
    }

    #[test]
    fn exact_at_the_edges() {
        for x in
            [0.0, -0.0, 1.0, -1.0, 0.625, -0.625, 0.624_999_9, 86.9, -86.9, 88.0, 88.5, 88.7, 1e-20, -1e-20, 200.0, -200.0, 1e30, -1e30]
        {
            check(x);
        }
        for i in -9000..9000 {
            check(i as f32 * 0.01);
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn accurate_everywhere(x in -87.0f32..88.0, scale in 0i32..30) {
            check(x * (-scale as f32).exp2());
        }
    }
}
