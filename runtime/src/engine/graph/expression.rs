//! Element-wise operators.

/// An operator of one to three operands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Op {
    /// `ln(1 + e^a)`
    Softplus,
    /// `1 / (1 + e^-a)`
    Sigmoid,
    /// `tanh a`
    Tanh,
    /// `e^a`
    Exp,
    /// The natural logarithm: of 0 minus infinity, of less no number.
    Log,
    /// The error function.
    Erf,
    /// `|a|`
    Abs,
    /// The square root.
    Sqrt,
    /// The nearest whole number, of halves the even one; with the sign of what is rounded, also where that is 0.
    Round,
    /// `a + b`
    Add,
    /// `a - b`
    Sub,
    /// `a * b`
    Mul,
    /// `a / b`
    Div,
    /// The lesser.
    Min,
    /// The greater.
    Max,
    /// `a^b` as IEEE 754 has it: of a negative number for whole exponents alone, 1 for an exponent of 0 or a base of 1, whatever the other.
    Pow,
    /// `a` where it is positive, else `a * b`.
    Leak,
    /// 1 where `a < b`, else 0.
    Less,
    /// `a * b + c`
    MulAdd,
    /// `c - a * b`
    SubMul,
    /// `b` where `a` is positive, else `c`.
    Select,
}

impl Op {
    /// Operands it takes.
    pub fn arity(self) -> usize {
        match self {
            Op::Softplus | Op::Sigmoid | Op::Tanh | Op::Exp | Op::Log | Op::Erf | Op::Abs | Op::Sqrt | Op::Round => 1,
            Op::Add | Op::Sub | Op::Mul | Op::Div | Op::Min | Op::Max | Op::Pow | Op::Leak | Op::Less => 2,
            Op::MulAdd | Op::SubMul | Op::Select => 3,
        }
    }

    /// Its value on numbers known at load, by the standard library; None where that has none. `b` is left alone where there is one operand.
    pub fn fold(self, a: f32, b: f32) -> Option<f32> {
        Some(match self {
            Op::Add => a + b,
            Op::Sub => a - b,
            Op::Mul => a * b,
            Op::Div => a / b,
            Op::Min => a.min(b),
            Op::Max => a.max(b),
            Op::Pow => a.powf(b),
            Op::Softplus => a.max(0.0) + (-a.abs()).exp().ln_1p(),
            Op::Sigmoid => 1.0 / (1.0 + (-a).exp()),
            Op::Tanh => a.tanh(),
            Op::Exp => a.exp(),
            Op::Log => a.ln(),
            Op::Abs => a.abs(),
            Op::Sqrt => a.sqrt(),
            Op::Round => a.round_ties_even(),
            Op::Leak if a < 0.0 => a * b,
            Op::Leak => a,
            Op::Less => f32::from(u8::from(a < b)),
            Op::Erf | Op::MulAdd | Op::SubMul | Op::Select => return None,
        })
    }
}
