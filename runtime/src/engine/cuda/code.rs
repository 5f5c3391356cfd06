//! An element-wise chain as instructions over numbered buffers: what the interpreter reads, and what kernels are compiled from.

use super::abi::Instruction;
use super::opcode::Opcode;
use super::program::{Operand, Pointwise, Step, TensorId, TensorSpec, VectorId};

/// A buffer an instruction names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Buffer {
    /// A tensor's fp32.
    Full(TensorId),
    /// A tensor's fp16.
    Half(TensorId),
    /// A per-channel vector.
    Vector(VectorId),
}

/// A chain's instructions, and the buffers they number.
#[derive(Clone, Debug, Default)]
pub struct Code {
    /// Once a block, over the channels.
    pub prologue: Vec<Instruction>,
    /// Once an element.
    pub body: Vec<Instruction>,
    /// By number.
    pub buffers: Vec<Buffer>,
}

impl Code {
    /// Of `chain`, over `tensors`.
    pub fn of(tensors: &[TensorSpec], chain: &Pointwise) -> Code {
        let mut code = Code::default();
        let cs = chain.domain.cs();
        let prologue = chain.prologue.iter().flat_map(|step| code.encode(tensors, step, cs)).collect();
        let body = chain.body.iter().flat_map(|step| code.encode(tensors, step, cs)).collect();
        Code { prologue, body, ..code }
    }

    fn number(&mut self, buffer: Buffer) -> u8 {
        let known = self.buffers.iter().position(|known| *known == buffer);
        known.unwrap_or_else(|| {
            self.buffers.push(buffer);
            self.buffers.len() - 1
        }) as u8
    }

    /// The instruction of `step`, or one for each format that a tensor is stored in.
    fn encode(&mut self, tensors: &[TensorSpec], step: &Step, cs: usize) -> Vec<Instruction> {
        let plain = Instruction { op: step.op as u8, to: step.to, a: step.a, b: step.b, word: 0 };
        let wide = |from: usize, tensor: TensorId| (from << 16 | tensors[tensor].shape.cs()) as u32;
        let formats = |tensor: TensorId| {
            let [full, half] = tensors[tensor].kept();
            [full.then_some(Buffer::Full(tensor)), half.then_some(Buffer::Half(tensor))].into_iter().flatten()
        };
        let half = |tensor: TensorId| u8::from(tensors[tensor].is_read_in_half());
        let read = |tensor: TensorId| if half(tensor) == 1 { Buffer::Half(tensor) } else { Buffer::Full(tensor) };
        let of = |word: u32| vec![Instruction { word, ..plain }];
        match step.operand {
            Operand::None | Operand::Made => vec![plain],
            Operand::Tensor(tensor) if step.op == Opcode::Store32 => formats(tensor)
                .map(|buffer| {
                    let op = if matches!(buffer, Buffer::Half(_)) { Opcode::Store16 } else { Opcode::Store32 };
                    Instruction { op: op as u8, b: self.number(buffer), ..plain }
                })
                .collect(),
            Operand::Tensor(tensor) => {
                let op = if half(tensor) == 1 { Opcode::Load16 } else { Opcode::Load32 };
                vec![Instruction { op: op as u8, b: self.number(read(tensor)), ..plain }]
            }
            Operand::Channels(tensor, from) if step.op == Opcode::StoreView => formats(tensor)
                .map(|buffer| {
                    let half = matches!(buffer, Buffer::Half(_)).into();
                    Instruction { to: half, b: self.number(buffer), word: wide(from, tensor), ..plain }
                })
                .collect(),
            Operand::Channels(tensor, from) => {
                vec![Instruction { a: half(tensor), b: self.number(read(tensor)), word: wide(from, tensor), ..plain }]
            }
            Operand::Map(tensor) => {
                // One number is every pixel's.
                let word = if tensors[tensor].shape.is_vector() { 0 } else { wide(0, tensor) };
                vec![Instruction { a: half(tensor), b: self.number(read(tensor)), word, ..plain }]
            }
            Operand::Single(tensor) => vec![Instruction { b: self.number(Buffer::Full(tensor)), ..plain }],
            Operand::Vector(vector) => vec![Instruction { b: self.number(Buffer::Vector(vector)), ..plain }],
            Operand::Constant(at) => of((at * cs) as u32),
            Operand::Slot(at) => of(at as u32),
            Operand::Immediate(bits) => of(bits),
        }
    }
}
