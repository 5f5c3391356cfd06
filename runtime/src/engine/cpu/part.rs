//! A part of a graph on the CPU, for an engine that has no kernel for one of its nodes.

use std::time::Duration;

use super::lower::{self, Bound};
use super::machine::{Buffer, Layout, Machine, Operation};
use super::simd::Isa;
use super::threads::Threads;
use crate::clock;
use crate::engine::graph::Graph;
use crate::network::engine::EngineError;

/// A graph between two lists of numbers, with threads and memory of its own.
pub struct CpuPart {
    file: &'static str,
    machine: Machine,
    operations: Vec<Operation>,
    inputs: Vec<Buffer>,
    outputs: Vec<Buffer>,
}

impl CpuPart {
    /// Prepares `graph`, a part of `file`.
    pub fn new(file: &'static str, graph: &Graph, threads: Threads) -> Result<CpuPart, EngineError> {
        let (isa, mut layout) = (Isa::best(), Layout::default());
        let mut bound = |(name, id): &(String, usize)| {
            let size = graph.size(*id);
            let buffer = layout.lasting(size.channels, size.pixels());
            Bound { name: name.clone(), buffer, shape: vec![size.channels, size.rows, size.columns], moved_from: None }
        };
        let inputs: Vec<Bound> = graph.inputs.iter().map(&mut bound).collect();
        let outputs: Vec<Bound> = graph.outputs.iter().map(&mut bound).collect();
        let unsupported = |reason| EngineError::Unsupported { graph: file.to_owned(), reason };
        let operations = lower::lower(graph, isa, &mut layout, &inputs, &outputs).map_err(unsupported)?;
        let base = layout.floats;
        layout.floats = layout.place_all(base, &operations);
        let machine = Machine::new(isa, threads.get(), layout, operations.iter());
        let buffers = |ends: Vec<Bound>| ends.into_iter().map(|bound| bound.buffer).collect();
        Ok(CpuPart { file, machine, operations, inputs: buffers(inputs), outputs: buffers(outputs) })
    }

    /// Computes the outputs from the inputs, each list one value behind the other as `[channels, rows, columns]`.
    pub fn run(&mut self, input: &[f32], output: &mut [f32]) -> Result<(), EngineError> {
        let mut rest = input;
        for &buffer in &self.inputs {
            let (values, behind) = rest.split_at(self.machine.numbers(buffer));
            self.machine.write(buffer, values);
            rest = behind;
        }
        self.machine.run(&self.operations);
        if let Some(reason) = self.operations.iter().find_map(Operation::trouble) {
            return Err(EngineError::Run { graph: self.file.to_owned(), reason });
        }
        let mut rest = output;
        for &buffer in &self.outputs {
            let (values, behind) = rest.split_at_mut(self.machine.numbers(buffer));
            self.machine.read(buffer, values);
            rest = behind;
        }
        Ok(())
    }

    /// How long a run takes, tried on zeros.
    pub fn trial(&mut self) -> Result<Duration, EngineError> {
        let numbers = |machine: &Machine, buffers: &[Buffer]| buffers.iter().map(|&buffer| machine.numbers(buffer)).sum();
        let (input, mut output) = (vec![0.0; numbers(&self.machine, &self.inputs)], vec![0.0; numbers(&self.machine, &self.outputs)]);
        let mut least = Duration::MAX;
        for _ in 0..3 {
            let began = clock::now();
            self.run(&input, &mut output)?;
            least = least.min(clock::now() - began);
        }
        Ok(least)
    }
}
