//! Element-wise operators on single pixels: vectors run over channels.

use super::{Operands, Part, Pixel, parts, pitch};
use crate::engine::cpu::machine::Plane;
use crate::engine::cpu::planes::Shared;
use crate::engine::cpu::pointwise::{Instruction, Program, Rows, Target};
use crate::engine::cpu::pool::Pool;
use crate::engine::cpu::simd::Isa;

/// Pixels of a work item.
const ITEM: usize = 32;

/// A chain whose tensors are whole, or one channel that goes with all of another's.
pub struct Chain {
    program: Program,
    isa: Isa,
    /// For each tensor, whether it is one channel for all.
    single: Vec<bool>,
    wide: usize,
}

/// How a tensor of a chain lies: from its first channel on, or the same channel every time.
fn tensor(planes: &[Plane]) -> Option<(Part, bool)> {
    if let [part] = parts(planes)[..] {
        return Some((part, false));
    }
    let same = planes.iter().all(|plane| plane == &planes[0]);
    same.then(|| (Part { buffer: planes[0].buffer, first: planes[0].channel, count: 1 }, true))
}

impl Chain {
    /// Whether a chain has this form: whatever it writes is a whole tensor, or one whose other channels no vector passes into.
    pub fn fits(program: &Program, planes: &[Plane]) -> bool {
        let tensors: Vec<_> = planes.chunks(program.channels.max(1)).map(tensor).collect();
        let written =
            |number: usize| matches!(tensors[number], Some((part, single)) if part.first == 0 && (!single || program.channels == 1));
        let fine = |instruction: &Instruction| match instruction.to {
            Target::Plane(number) => written(number),
            Target::Kept(_) => true,
        };
        program.channels > 0 && tensors.iter().all(Option::is_some) && program.instructions.iter().all(fine)
    }

    /// From a chain that [`Chain::fits`], and its tensors.
    pub fn new(program: &Program, planes: &[Plane], isa: Isa, wide: usize) -> (Chain, Vec<Part>) {
        let tensors: Vec<_> = planes.chunks(program.channels).map(|planes| tensor(planes).expect("asked before")).collect();
        let single = tensors.iter().map(|(_, single)| *single && program.channels > 1).collect();
        (Chain { program: program.clone(), isa, single, wide }, tensors.into_iter().map(|(part, _)| part).collect())
    }

    fn thread_floats(&self) -> usize {
        Rows::scratch_floats(&self.program, pitch(self.program.channels))
    }

    /// Floats of working space that [`Chain::run`] needs with so many threads.
    pub fn scratch_floats(&self, threads: usize) -> usize {
        threads * self.thread_floats()
    }

    /// Computes the outputs of `pixels`.
    ///
    /// # Safety
    /// As for `Lowered::run`.
    pub unsafe fn run(&self, pool: &mut Pool, scratch: Shared, operands: &Operands, pixels: &[Pixel]) {
        assert!(operands.tensors.iter().all(|segment| segment.last()), "tensors of a chain are channels-last");
        pool.run(pixels.len().div_ceil(ITEM), &|thread, item| {
            self.isa.run(Rows {
                program: &self.program,
                single: &self.single,
                tensors: operands.tensors,
                tables: operands.tables,
                pixels: &pixels[item * ITEM..pixels.len().min((item + 1) * ITEM)],
                wide: self.wide,
                scratch: scratch.at(thread * self.thread_floats()),
            });
        });
    }
}
