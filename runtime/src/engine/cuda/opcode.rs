//! Operations of the element-wise interpreter, in the order of the enum in `kernels/chain.cu`.
//!
//! `Less` gives 1 or 0; `Keep` of x and y gives y where x is positive, else 0.

macro_rules! opcodes {
    ($($name:ident)*) => {
        /// One operation. Loads and stores name a buffer, the rest work on registers.
        #[allow(missing_docs)]
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[repr(u8)]
        pub enum Opcode { $($name,)* }

        impl Opcode {
            /// All of them, by their numbers.
            pub const ALL: &[Opcode] = &[$(Opcode::$name,)*];
        }
    };
}

opcodes! {
    Load32 Load16 LoadView LoadMap LoadVector LoadConstant LoadSlot LoadMade Immediate
    Store32 Store16 StoreView StoreSlot Moments
    Add Sub Mul Div Max Min Less Keep Pow
    Neg Abs Sqrt Rsqrt Exp Log Round Erf Sigmoid Tanh Softplus Square
}

impl Opcode {
    /// Whether it is of two registers.
    pub fn is_binary(self) -> bool {
        (Opcode::Add as u8..=Opcode::Pow as u8).contains(&(self as u8))
    }

    /// Its function in `kernels/compiled.cu`, where it is of one register or two.
    pub fn function(self) -> String {
        format!("op_{self:?}").to_lowercase()
    }

    /// Whether it writes to a tensor or a slot.
    pub fn is_store(self) -> bool {
        matches!(self, Opcode::Store32 | Opcode::Store16 | Opcode::StoreView | Opcode::StoreSlot)
    }

    /// Its value on the host, for folding constants; None where the standard library has none.
    pub fn fold(self, x: f32, y: f32) -> Option<f32> {
        Some(match self {
            Opcode::Add => x + y,
            Opcode::Sub => x - y,
            Opcode::Mul => x * y,
            Opcode::Div => x / y,
            Opcode::Max => x.max(y),
            Opcode::Min => x.min(y),
            Opcode::Less => f32::from(u8::from(x < y)),
            Opcode::Keep if x > 0.0 => y,
            Opcode::Keep => 0.0,
            Opcode::Pow => x.powf(y),
            Opcode::Neg => -x,
            Opcode::Abs => x.abs(),
            Opcode::Sqrt => x.sqrt(),
            Opcode::Rsqrt => 1.0 / x.sqrt(),
            Opcode::Exp => x.exp(),
            Opcode::Log => x.ln(),
            Opcode::Round => x.round_ties_even(),
            Opcode::Sigmoid => 1.0 / (1.0 + (-x).exp()),
            Opcode::Tanh => x.tanh(),
            Opcode::Softplus => x.max(0.0) + (-x.abs()).exp().ln_1p(),
            Opcode::Square => x * x,
            _ => return None,
        })
    }
}
