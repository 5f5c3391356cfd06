use proptest::prelude::*;

use super::super::planes::plane_stride;
use super::*;

fn scalar(op: Op, [a, b, c]: [f64; 3]) -> f64 {
    match op {
        Op::Softplus => a.max(0.0) + (-a.abs()).exp().ln_1p(),
        Op::Sigmoid => 1.0 / (1.0 + (-a).exp()),
        Op::Tanh => a.tanh(),
        Op::Exp => a.exp(),
        Op::Log => a.ln(),
        Op::Erf => series_erf(a),
        Op::Abs => a.abs(),
        Op::Sqrt => a.sqrt(),
        Op::Round => a.round_ties_even(),
        Op::Add => a + b,
        Op::Sub => a - b,
        Op::Mul => a * b,
        Op::Div => a / b,
        Op::Min => a.min(b),
        Op::Max => a.max(b),
        Op::Pow => a.powf(b),
        Op::MulAdd => a * b + c,
        Op::SubMul => c - a * b,
        Op::Less => f64::from(u8::from(a < b)),
        Op::Select => {
            if a > 0.0 {
                b
            } else {
                c
            }
        }
        Op::Leak => {
            if a < 0.0 {
                a * b
            } else {
                a
            }
        }
    }
}

/// The error function by its series.
fn series_erf(x: f64) -> f64 {
    let (mut term, mut sum) = (x, x);
    for n in 1..200 {
        term *= 2.0 * x * x / f64::from(2 * n + 1);
        sum += term;
    }
    2.0 / std::f64::consts::PI.sqrt() * (-x * x).exp() * sum
}

const ALL: [Op; 21] = [
    Op::Softplus,
    Op::Sigmoid,
    Op::Tanh,
    Op::Exp,
    Op::Log,
    Op::Erf,
    Op::Abs,
    Op::Sqrt,
    Op::Round,
    Op::Add,
    Op::Sub,
    Op::Mul,
    Op::Div,
    Op::Min,
    Op::Max,
    Op::Pow,
    Op::MulAdd,
    Op::SubMul,
    Op::Leak,
    Op::Less,
    Op::Select,
];

fn value(i: usize) -> f32 {
    ((i * 7919 + 13) % 2003) as f32 / 500.0 - 2.001
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_chain_is_its_operators_one_after_the_other(channels in 1usize..4, pixels in 1usize..9000, op in 0usize..21, threads in 1usize..4) {
        // abs(x) + table, then the operator, then a fused tail that reads all kinds of operands; the distance at the end.
        let (op, none) = (ALL[op], Operand::Number(0.0));
        let program = Program {
            instructions: vec![
                Instruction { work: Work::Apply(Op::Abs), operands: [Operand::Plane(0), none, none], to: Target::Kept(0) },
                Instruction { work: Work::Apply(Op::Add), operands: [Operand::Kept(0), Operand::PerChannel(0), none], to: Target::Kept(0) },
                Instruction { work: Work::Apply(op), operands: [Operand::Kept(0), Operand::Plane(1), Operand::Number(0.5)], to: Target::Kept(1) },
                Instruction { work: Work::Apply(Op::MulAdd), operands: [Operand::Kept(1), Operand::Number(0.25), Operand::Plane(0)], to: Target::Plane(2) },
                Instruction { work: Work::Moments, operands: [Operand::Plane(1), Operand::Plane(2), none], to: Target::Kept(0) },
            ],
            kept: 2,
            channels,
            pixels,
        };
        let stride = plane_stride(pixels);
        let mut memory = vec![0.0f32; 3 * channels * plane_stride(pixels)];
        for (i, x) in memory[..2 * channels * stride].iter_mut().enumerate() {
            *x = value(i);
        }
        let planes: Vec<_> = (0..3 * channels).map(|p| Shared(memory[p * stride..].as_mut_ptr())).collect();
        let mut table: Vec<f32> = (0..channels).map(|c| 0.1 + c as f32).collect();
        for isa in Isa::available() {
            let mut scratch = vec![0.0; program.scratch_floats(threads)];
            let mut partials = vec![Moments::default(); program.partials()];
            // SAFETY: everything is as large as asked for.
            unsafe {
                program.run(isa, &mut Pool::new(threads), Shared(scratch.as_mut_ptr()), &planes, &[Shared(table.as_mut_ptr())], &mut partials);
            }
            let mut want = Moments::default();
            for c in 0..channels {
                for i in 0..pixels {
                    let (x, y) = (value(c * stride + i), value((channels + c) * stride + i));
                    let t = f64::from(x.abs() + table[c]);
                    let exact = scalar(op, [t, f64::from(y), 0.5]) * 0.25 + f64::from(x);
                    let got = memory[(2 * channels + c) * stride + i];
                    prop_assert!((f64::from(got) - exact).abs() < 2e-6 * (exact.abs() + 4.0), "{isa:?} {op:?}: {got}, not {exact}");
                    want += Moments::between(&[y], &[got]);
                }
            }
            let mut sums = Moments::default();
            partials.iter().for_each(|part| sums += *part);
            for (a, b) in [(sums.diff_sq, want.diff_sq), (sums.diff_abs, want.diff_abs), (sums.after_sq, want.after_sq),
                (sums.after_abs, want.after_abs), (sums.before_sq, want.before_sq)] {
                prop_assert!((a - b).abs() <= 1e-5 * b, "{isa:?} {op:?}: {a}, not {b}");
            }
            prop_assert!((sums.dot - want.dot).abs() <= 1e-5 * (want.after_sq * want.before_sq).sqrt(), "{isa:?}");
        }
    }
}
