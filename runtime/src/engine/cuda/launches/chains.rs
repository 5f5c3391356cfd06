//! Launches of element-wise chains: by kernels compiled for them, otherwise by the interpreter.

use super::{Builder, float_bytes};
use crate::engine::cuda::abi::{BUFFERS, Plain, PointwiseArgs};
use crate::engine::cuda::code::{Buffer, Code};
use crate::engine::cuda::driver::{CudaError, Launch, Result};
use crate::engine::cuda::program::{Decide, MOST_SUMS, Pointwise};
use crate::engine::cuda::tensor::Tensor;

/// Blocks of programs with moments, at most; all of a step's together.
const SUM_BLOCKS: usize = 4 * MOST_SUMS;
/// Blocks of a chain by itself, at most: eight a multiprocessor on the largest GPUs, where fewer would leave each to wait for its own
/// instructions.
const CHAIN_BLOCKS: usize = 1024;
const THREADS: u32 = 128;

impl Builder<'_> {
    pub(super) fn pointwise(&mut self, chain: &Pointwise, skip: u64) -> Result<Launch> {
        let pairs = chain.domain.h * chain.domain.w * chain.domain.cs() / 2;
        let wanted = pairs.div_ceil(THREADS as usize * 2);
        let blocks = wanted.min(self.context.info.multiprocessors * 8).clamp(1, CHAIN_BLOCKS);
        let code = Code::of(self.specs, chain);
        let mut args = self.chain(chain, &code, blocks, skip)?;
        args.part = self.part(wanted);
        let (function, shared) = match self.compiled(|book| book.chain(&code)) {
            Ok((module, kernel)) => (module.function(&kernel, 0)?, 0),
            Err(_) => {
                let shared = chain.registers * THREADS as usize * 16 + chain.slots * chain.domain.cs() * 4;
                (self.module.function("pointwise", shared)?, shared)
            }
        };
        Ok(Launch { function, grid: [blocks as u32, 1, 1], threads: THREADS, shared: shared as u32, args: args.bytes() })
    }

    /// What a chain of `blocks` blocks takes, whichever kernel it is in.
    pub(super) fn chain(&mut self, chain: &Pointwise, code: &Code, blocks: usize, skip: u64) -> Result<PointwiseArgs> {
        let buffers = code.buffers.iter().map(|buffer| match *buffer {
            Buffer::Full(tensor) => Tensor::address(&self.tensors[tensor].full),
            Buffer::Half(tensor) => Tensor::address(&self.tensors[tensor].half),
            Buffer::Vector(vector) => self.vectors[vector].address,
        });
        let buffers: Vec<u64> = buffers.collect();
        if buffers.len() > BUFFERS {
            return Err(CudaError {
                doing: "preparing an element-wise chain",
                reason: format!("it names {} buffers of {BUFFERS}", buffers.len()),
            });
        }
        let bytes: Vec<u8> = code.prologue.iter().chain(&code.body).flat_map(Plain::bytes).collect();
        let mut args = PointwiseArgs {
            code: self.upload(&bytes)?,
            constants: self.upload(&float_bytes(&chain.constants.concat()))?,
            prologue: code.prologue.len() as i32,
            body: code.body.len() as i32,
            pairs: (chain.domain.h * chain.domain.w * chain.domain.cs() / 2) as i32,
            cs: chain.domain.cs() as i32,
            c: chain.domain.c as i32,
            registers: chain.registers as i32,
            skip,
            ticket: self.ticket,
            control: self.control,
            report: self.report,
            order: self.order,
            ..PointwiseArgs::default()
        };
        args.buffers[..buffers.len()].copy_from_slice(&buffers);
        if chain.decide != Decide::No {
            args.decide = match chain.decide {
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
        Ok(args)
    }
}
