//! Chains of element-wise operations: small programs over registers.

use super::{Shape, TensorId, VectorId};
use crate::engine::cuda::opcode::Opcode;

/// Blocks of a kernel with moments, at most.
pub const MOST_SUMS: usize = 16 * 1024;

/// What an instruction refers to besides registers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Operand {
    /// Registers only.
    None,
    /// A whole tensor.
    Tensor(TensorId),
    /// Channels of a wider tensor, from this one on.
    Channels(TensorId, usize),
    /// A tensor of one channel, spread over all; of one number, over all pixels too.
    Map(TensorId),
    /// A tensor of one pixel, spread over the picture.
    Single(TensorId),
    /// A per-channel vector in device memory.
    Vector(VectorId),
    /// A constant per-channel vector, index into [`Pointwise::constants`].
    Constant(usize),
    /// A per-channel vector the prologue leaves in shared memory.
    Slot(usize),
    /// What the convolution before the chain made.
    Made,
    /// The bits of a number.
    Immediate(u32),
}

impl Operand {
    /// The tensor it is of.
    pub fn tensor(self) -> Option<TensorId> {
        match self {
            Operand::Tensor(tensor) | Operand::Channels(tensor, _) | Operand::Map(tensor) | Operand::Single(tensor) => Some(tensor),
            _ => None,
        }
    }
}

/// One instruction before buffers have addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Step {
    /// What is done. Loads and stores of tensors say `Load32`/`Store32` and take the tensor's format later.
    pub op: Opcode,
    /// Register written.
    pub to: u8,
    /// First register read.
    pub a: u8,
    /// Second register read.
    pub b: u8,
    /// What else is named.
    pub operand: Operand,
}

/// What the sums of a program's `Moments` are for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decide {
    /// No sums.
    No,
    /// A later program decides.
    Later,
    /// After this program a step is over.
    Step,
    /// The distance between two frames' drives.
    Drive,
}

/// A chain of element-wise operations.
#[derive(Clone, Debug)]
pub struct Pointwise {
    /// Shape of what is computed.
    pub domain: Shape,
    /// Once a block, over the channels.
    pub prologue: Vec<Step>,
    /// Once an element.
    pub body: Vec<Step>,
    /// Constant vectors, each `domain.cs()` long.
    pub constants: Vec<Vec<f32>>,
    /// Registers in use.
    pub registers: usize,
    /// Vectors the prologue leaves.
    pub slots: usize,
    /// What its moments are for.
    pub decide: Decide,
}

impl Pointwise {
    /// Every instruction, the prologue's first.
    pub fn steps(&self) -> impl Iterator<Item = &Step> {
        self.prologue.iter().chain(&self.body)
    }

    /// Whether it reads `tensor`.
    pub fn reads(&self, tensor: TensorId) -> bool {
        self.steps().any(|step| !step.op.is_store() && step.operand.tensor() == Some(tensor))
    }

    /// Whether it writes to `tensor`, be it some channels of it.
    pub fn writes(&self, tensor: TensorId) -> bool {
        self.steps().any(|step| step.op.is_store() && step.operand.tensor() == Some(tensor))
    }
}
