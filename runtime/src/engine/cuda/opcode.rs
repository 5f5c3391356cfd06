//! Operations of the element-wise interpreter, in the order of the enum in `kernels/pointwise.cu`.

/// One operation. Loads and stores name a buffer, the rest work on registers.
#[allow(missing_docs)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Opcode {
    Load32,
    Load16,
    LoadView,
    LoadMap,
    LoadVector,
    LoadConstant,
    LoadSlot,
    Immediate,
    Store32,
    Store16,
    StoreView,
    StoreSlot,
    Moments,
    Add,
    Sub,
    Mul,
    Div,
    Max,
    Min,
    Neg,
    Abs,
    Sqrt,
    Rsqrt,
    Recip,
    Exp,
    Ln,
    Sigmoid,
    Tanh,
    Softplus,
    Square,
}

impl Opcode {
    /// The operation on one number that tract calls `name`.
    pub fn unary(name: &str) -> Option<Opcode> {
        Some(match name {
            "Neg" => Opcode::Neg,
            "Abs" => Opcode::Abs,
            "Sqrt" => Opcode::Sqrt,
            "Rsqrt" => Opcode::Rsqrt,
            "Recip" => Opcode::Recip,
            "Exp" => Opcode::Exp,
            "Ln" => Opcode::Ln,
            "Sigmoid" => Opcode::Sigmoid,
            "Tanh" => Opcode::Tanh,
            "Square" => Opcode::Square,
            _ => return None,
        })
    }

    /// The operation on two numbers that tract calls `name`.
    pub fn binary(name: &str) -> Option<Opcode> {
        Some(match name {
            "Add" => Opcode::Add,
            "Sub" => Opcode::Sub,
            "Mul" => Opcode::Mul,
            "Div" => Opcode::Div,
            "Max" => Opcode::Max,
            "Min" => Opcode::Min,
            _ => return None,
        })
    }

    /// Its value on the host, for folding constants.
    pub fn fold(self, x: f32, y: f32) -> f32 {
        match self {
            Opcode::Add => x + y,
            Opcode::Sub => x - y,
            Opcode::Mul => x * y,
            Opcode::Div => x / y,
            Opcode::Max => x.max(y),
            Opcode::Min => x.min(y),
            Opcode::Neg => -x,
            Opcode::Abs => x.abs(),
            Opcode::Sqrt => x.sqrt(),
            Opcode::Rsqrt => 1.0 / x.sqrt(),
            Opcode::Recip => 1.0 / x,
            Opcode::Exp => x.exp(),
            Opcode::Ln => x.ln(),
            Opcode::Sigmoid => 1.0 / (1.0 + (-x).exp()),
            Opcode::Tanh => x.tanh(),
            Opcode::Softplus => x.max(0.0) + (-x.abs()).exp().ln_1p(),
            Opcode::Square => x * x,
            _ => f32::NAN,
        }
    }
}
