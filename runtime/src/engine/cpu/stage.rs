//! One graph of a network between its buffers: lowered, or on tract.

use super::fallback::Fallback;
use super::lower::Bound;
use super::machine::{Buffer, Machine, Operation};
use crate::network::engine::EngineError;
use crate::network::halting::Moments;

/// How a graph runs.
pub(super) enum Runner {
    Lowered(Vec<Operation>),
    Tract(Fallback),
}

/// A graph and the buffers it stands between.
pub(super) struct Stage {
    pub(super) file: &'static str,
    /// Whether nodes of a lowered graph run on tract.
    pub(super) parts: bool,
    pub(super) runner: Runner,
    pub(super) inputs: Vec<Bound>,
    pub(super) outputs: Vec<Bound>,
}

/// A hidden state: where it is, and where the next one is written.
#[derive(Clone, Copy)]
pub(super) struct State {
    pub(super) now: Buffer,
    pub(super) next: Buffer,
    /// Whether every step moves it; else the last step of a frame does, or the answer becomes it.
    pub(super) stepped: bool,
    /// The answer that it is the last value of, by its number.
    pub(super) answer: Option<usize>,
}

impl Stage {
    pub(super) fn operations(&self) -> &[Operation] {
        match &self.runner {
            Runner::Lowered(operations) => operations,
            Runner::Tract(_) => &[],
        }
    }

    pub(super) fn run(&self, machine: &mut Machine) -> Result<Moments, EngineError> {
        match &self.runner {
            Runner::Lowered(operations) => {
                let moments = machine.run(operations);
                match self.parts.then(|| operations.iter().find_map(Operation::trouble)).flatten() {
                    Some(reason) => Err(EngineError::Run { graph: self.file.to_owned(), reason }),
                    None => Ok(moments),
                }
            }
            Runner::Tract(fallback) => {
                fallback.run(machine, &self.inputs, &self.outputs)?;
                let mut moments = Moments::default();
                for output in &self.outputs {
                    if let Some(before) = output.moved_from {
                        moments += machine.between(before, output.buffer);
                    }
                }
                Ok(moments)
            }
        }
    }
}
