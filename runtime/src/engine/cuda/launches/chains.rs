//! Launches of element-wise chains: their programs as the interpreter reads them.

use super::{Builder, float_bytes};
use crate::engine::cuda::abi::{BUFFERS, Instruction, Plain, PointwiseArgs};
use crate::engine::cuda::driver::{CudaError, Launch, Result};
use crate::engine::cuda::opcode::Opcode;
use crate::engine::cuda::program::{Decide, Operand, Pointwise, Step};
use crate::engine::cuda::tensor::Tensor;

/// Blocks of programs with moments, at most; all of a step's together. A quarter of it, the most of one program, is eight a multiprocessor
/// on the largest GPUs: fewer would leave each to wait for its own instructions.
const SUM_BLOCKS: usize = 4096;
const THREADS: u32 = 128;

impl Builder<'_> {
    pub(super) fn pointwise(&mut self, program: &Pointwise, skip: u64) -> Result<Launch> {
        let mut buffers = Vec::new();
        let mut constants = Vec::new();
        for vector in &program.constants {
            constants.extend_from_slice(vector);
        }
        let cs = program.domain.cs();
        let mut encode = |steps: &[Step]| -> Result<Vec<Instruction>> {
            let mut code = Vec::new();
            for step in steps {
                self.encode(step, cs, &mut buffers, &mut code)?;
            }
            Ok(code)
        };
        let (prologue, body) = (encode(&program.prologue)?, encode(&program.body)?);
        if buffers.len() > BUFFERS {
            return Err(CudaError {
                doing: "preparing an element-wise chain",
                reason: format!("it names {} buffers of {BUFFERS}", buffers.len()),
            });
        }
        let code: Vec<u8> = prologue.iter().chain(&body).flat_map(Plain::bytes).collect();
        let pairs = program.domain.h * program.domain.w * cs / 2;
        let wanted = pairs.div_ceil(THREADS as usize * 2);
        let blocks = wanted.min(self.context.info.multiprocessors * 8).clamp(1, SUM_BLOCKS / 4);
        let mut args = PointwiseArgs {
            code: self.upload(&code)?,
            constants: self.upload(&float_bytes(&constants))?,
            prologue: prologue.len() as i32,
            body: body.len() as i32,
            pairs: pairs as i32,
            cs: cs as i32,
            c: program.domain.c as i32,
            registers: program.registers as i32,
            skip,
            ticket: self.ticket,
            control: self.control,
            report: self.report,
            order: self.order,
            part: self.part(wanted),
            ..PointwiseArgs::default()
        };
        args.buffers[..buffers.len()].copy_from_slice(&buffers);
        if program.decide != Decide::No {
            args.decide = match program.decide {
                Decide::Later => 1,
                Decide::Step => 2,
                _ => 3,
            };
            let sums = match self.sums {
                Some(sums) => sums,
                None => self.room(SUM_BLOCKS * 6 * 4)?,
            };
            self.sums = Some(sums);
            args.partials = sums;
            args.partials_before = self.sums_used as i32;
            self.sums_used += blocks;
            if self.sums_used > SUM_BLOCKS {
                return Err(CudaError { doing: "preparing a step", reason: "it has too many states".into() });
            }
        }
        let shared = program.registers * THREADS as usize * 16 + program.slots * cs * 4;
        Ok(Launch {
            function: self.module.function("pointwise", shared)?,
            grid: [blocks as u32, 1, 1],
            threads: THREADS,
            shared: shared as u32,
            args: args.bytes(),
        })
    }

    fn encode(&self, step: &Step, cs: usize, buffers: &mut Vec<u64>, code: &mut Vec<Instruction>) -> Result<()> {
        let mut place = |address: u64| {
            let at = buffers.iter().position(|&known| known == address).unwrap_or_else(|| {
                buffers.push(address);
                buffers.len() - 1
            });
            at as u8
        };
        let plain = Instruction { op: step.op as u8, to: step.to, a: step.a, b: step.b, word: 0 };
        let wide = |from: usize, tensor: &Tensor| (from << 16 | tensor.shape.cs()) as u32;
        match step.operand {
            Operand::None => code.push(plain),
            Operand::Tensor(tensor) if step.op == Opcode::Store32 => {
                let tensor = &self.tensors[tensor];
                for (buffer, op) in [(&tensor.full, Opcode::Store32), (&tensor.half, Opcode::Store16)] {
                    if let Some(buffer) = buffer {
                        code.push(Instruction { op: op as u8, b: place(buffer.address), ..plain });
                    }
                }
            }
            Operand::Tensor(tensor) => {
                let view = self.tensors[tensor].view(false);
                let op = if view.half == 1 { Opcode::Load16 } else { Opcode::Load32 };
                code.push(Instruction { op: op as u8, b: place(view.data), ..plain });
            }
            Operand::Channels(tensor, from) if step.op == Opcode::StoreView => {
                let tensor = &self.tensors[tensor];
                for (buffer, half) in [(&tensor.full, 0), (&tensor.half, 1)] {
                    if let Some(buffer) = buffer {
                        code.push(Instruction { to: half, b: place(buffer.address), word: wide(from, tensor), ..plain });
                    }
                }
            }
            Operand::Channels(tensor, from) => {
                let view = self.tensors[tensor].view(false);
                code.push(Instruction { a: view.half as u8, b: place(view.data), word: wide(from, &self.tensors[tensor]), ..plain });
            }
            Operand::Map(tensor) => {
                let (view, shape) = (self.tensors[tensor].view(false), self.tensors[tensor].shape);
                // One number is every pixel's.
                let word = if shape.is_vector() { 0 } else { wide(0, &self.tensors[tensor]) };
                code.push(Instruction { a: view.half as u8, b: place(view.data), word, ..plain });
            }
            Operand::Single(tensor) => code.push(Instruction { b: place(Tensor::address(&self.tensors[tensor].full)), ..plain }),
            Operand::Vector(vector) => code.push(Instruction { b: place(self.vectors[vector].address), ..plain }),
            Operand::Constant(at) => code.push(Instruction { word: (at * cs) as u32, ..plain }),
            Operand::Slot(at) => code.push(Instruction { word: at as u32, ..plain }),
            Operand::Immediate(bits) => code.push(Instruction { word: bits, ..plain }),
        }
        Ok(())
    }
}
