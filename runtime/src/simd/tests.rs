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
    type Out = [f32; 10];
    #[inline(always)]
    fn run<S: Simd>(self, s: S) -> [f32; 10] {
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
            lane(s.exponent(s.abs(va))),
            lane(s.mantissa(s.abs(va))),
        ]
    }
}

#[test]
fn every_set_agrees_with_scalar_arithmetic() {
    for isa in Isa::available() {
        for [a, b, c, n] in [[1.5f32, -2.0, 0.25, 3.0], [-7.5, 3.0, 1.0, -126.0], [0.5, 0.75, -8.0, 127.0]] {
            let got = isa.run(Odds([a, b, c, n]));
            let exponent = a.abs().log2().floor();
            let chosen = if a < b { c } else { a };
            let want = [
                a * b + c,
                c - a * b,
                got[2],
                n.exp2(),
                a.abs().copysign(b),
                chosen,
                got[6],
                a.abs().sqrt(),
                exponent,
                a.abs() / exponent.exp2(),
            ];
            assert_eq!(got, want, "{isa:?}");
            assert_eq!(got[6] % a, 0.0, "{isa:?}");
            assert_eq!(got[2] + a, isa.run(Lanes) as f32 - 1.0, "{isa:?}");
        }
    }
}

struct EverySecond;

impl Kernel for EverySecond {
    type Out = Vec<f32>;
    #[inline(always)]
    fn run<S: Simd>(self, s: S) -> Vec<f32> {
        let mut to = vec![0.0; S::LANES];
        // SAFETY: `to` is one vector.
        unsafe { s.store(to.as_mut_ptr(), s.every_second(s.iota(), s.add(s.iota(), s.splat(100.0)))) };
        to
    }
}

#[test]
fn every_set_takes_the_even_lanes_of_one_and_the_odd_ones_of_the_other() {
    for isa in Isa::available() {
        let got = isa.run(EverySecond);
        let half = got.len() / 2;
        let want: Vec<f32> = (0..half).map(|i| 2 * i).chain((0..half).map(|i| 101 + 2 * i)).map(|i| i as f32).collect();
        assert_eq!(got, want, "{isa:?}");
    }
}
