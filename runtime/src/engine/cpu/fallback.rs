//! A graph whose ends the lowering does not know runs whole on tract, and every graph of the plain engine.

use tract_onnx::prelude::*;

use super::lower::Bound;
use super::machine::Machine;
use crate::network::engine::EngineError;
use crate::network::graph::Graph;
use crate::network::guard::{self, GuardError};

/// A graph on tract, between buffers of the machine. Allocates on every run.
pub struct Fallback {
    file: &'static str,
    run: Arc<TypedRunnableModel>,
}

impl Fallback {
    /// Optimises the graph for tract.
    pub fn new(graph: &Graph) -> Result<Fallback, EngineError> {
        let unsupported = |trouble: GuardError| EngineError::Unsupported { graph: graph.file.to_owned(), reason: trouble.to_string() };
        let run = guard::tract(|| graph.model.clone().into_optimized()?.into_runnable()).map_err(unsupported)?;
        Ok(Fallback { file: graph.file, run })
    }

    /// Reads the inputs from their buffers, runs, and writes the outputs to theirs, both in the graph's order.
    pub fn run(&self, machine: &mut Machine, inputs: &[Bound], outputs: &[Bound]) -> Result<(), EngineError> {
        let failed = |trouble: GuardError| EngineError::Run { graph: self.file.to_owned(), reason: trouble.to_string() };
        let run = || {
            let mut tensors = TVec::new();
            for input in inputs {
                let mut values = vec![0.0f32; input.shape.iter().product()];
                machine.read(input.buffer, &mut values);
                tensors.push(Tensor::from_shape(&input.shape, &values)?.into_tvalue());
            }
            self.run.run(tensors)
        };
        let results = guard::tract(run).map_err(failed)?;
        for (output, result) in outputs.iter().zip(&results) {
            let values = result.as_plain_ram().and_then(|view| view.as_slice::<f32>().ok());
            machine.write(output.buffer, values.expect("graphs were checked to hold plain f32 tensors"));
        }
        Ok(())
    }
}
