//! Chains of element-wise operators, evaluated in one pass.
//!
//! A [`Program`] is a list of instructions over blocks of [`BLOCK`] pixels: intermediate values stay in a few kilobytes of first-level
//! cache, and only what leaves the chain is written to memory. Operands are planes of tensors, blocks kept from earlier instructions, one
//! number per channel, or one number. The distance between two states is an instruction too, so that the pass that writes the new state
//! also measures how far it moved.

mod chain;

use super::planes::Shared;
use super::pool::Pool;
use super::simd::{Isa, MAX_LANES};
use crate::engine::graph::Op;
use crate::network::halting::Moments;
pub use chain::Rows;
use chain::{Chain, Runs};

/// Pixels evaluated at a time.
pub const BLOCK: usize = 512;
/// Pixels of a work item: whole blocks of one channel.
const ITEM: usize = 8 * BLOCK;

/// What an instruction does.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Work {
    /// An operator of the graph.
    Apply(Op),
    /// `a` as it is.
    Copy,
    /// The [`Moments`] between `a` (before) and `b` (after); writes nothing.
    Moments,
}

/// Where an operand is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Operand {
    /// Block number so many of the chain.
    Kept(usize),
    /// The current channel's plane of tensor so many.
    Plane(usize),
    /// The current channel's entry of table so many.
    PerChannel(usize),
    /// A number.
    Number(f32),
}

/// Where a result goes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Target {
    /// Block number so many.
    Kept(usize),
    /// The current channel's plane of tensor so many.
    Plane(usize),
}

/// One step of a chain.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Instruction {
    /// What is done.
    pub work: Work,
    /// To what; unused ones are `Number(0.0)`.
    pub operands: [Operand; 3],
    /// And where it goes.
    pub to: Target,
}

/// A chain over tensors of the same channels and pixels.
#[derive(Clone, Debug)]
pub struct Program {
    /// In order.
    pub instructions: Vec<Instruction>,
    /// Blocks kept at a time.
    pub kept: usize,
    /// Channels.
    pub channels: usize,
    /// Pixels of a plane.
    pub pixels: usize,
}

impl Program {
    fn parts(&self) -> usize {
        self.pixels.div_ceil(ITEM)
    }

    /// Floats of working space that [`Program::run`] needs with so many threads.
    pub fn scratch_floats(&self, threads: usize) -> usize {
        threads * self.thread_floats()
    }

    /// Kept blocks, and three vectors of one repeated number for each instruction.
    fn thread_floats(&self) -> usize {
        self.kept * BLOCK + self.instructions.len() * 3 * MAX_LANES
    }

    /// Partial sums that a run with [`Work::Moments`] leaves.
    pub fn partials(&self) -> usize {
        self.channels * self.parts()
    }

    /// Runs the chain over all channels. `planes[t * channels + c]` is channel `c` of tensor `t`; `tables[t]` has one number per channel.
    /// `partials` takes one [`Moments`] per work item, to be summed in order, if the chain has [`Work::Moments`].
    ///
    /// # Safety
    /// Every plane holds `pixels` floats and can be read and written up to the next multiple of 16; every table holds `channels`; `scratch`
    /// points to [`Program::scratch_floats`] for this pool. Planes that are written overlap no plane that is read later by another pixel.
    pub unsafe fn run(&self, isa: Isa, pool: &mut Pool, scratch: Shared, planes: &[Shared], tables: &[Shared], partials: &mut [Moments]) {
        let parts = self.parts();
        let measures = self.instructions.iter().any(|i| i.work == Work::Moments);
        assert!(!measures || partials.len() >= self.partials(), "room for {} partial sums", self.partials());
        let partials = SharedMoments(partials.as_mut_ptr());
        pool.run(self.channels * parts, &|thread, item| {
            let sums = isa.run(Chain {
                program: self,
                planes,
                tables,
                channel: item / parts,
                first: item % parts * ITEM,
                scratch: scratch.at(thread * self.thread_floats()),
            });
            if measures {
                // SAFETY: one entry per item, checked above.
                unsafe { *partials.at(item) = sums };
            }
        });
    }
}

impl Program {
    /// Without the instructions that measure.
    pub fn unmeasured(mut self) -> Program {
        self.instructions.retain(|instruction| instruction.work != Work::Moments);
        self
    }

    /// Runs the chain, which measures nothing, over some runs of pixels, `(first, count)`.
    ///
    /// # Safety
    /// As for [`Program::run`]; the runs lie in the planes, and no plane is written that is read.
    pub unsafe fn run_runs(&self, isa: Isa, pool: &mut Pool, scratch: Shared, planes: &[Shared], tables: &[Shared], runs: &[(u32, u32)]) {
        pool.run(self.channels, &|thread, channel| {
            isa.run(Runs { program: self, planes, tables, channel, runs, scratch: scratch.at(thread * self.thread_floats()) });
        });
    }
}

#[derive(Clone, Copy)]
struct SharedMoments(*mut Moments);

// SAFETY: only an address; each work item writes its own entry.
unsafe impl Sync for SharedMoments {}

impl SharedMoments {
    fn at(&self, item: usize) -> *mut Moments {
        self.0.wrapping_add(item)
    }
}

#[cfg(test)]
mod tests;
