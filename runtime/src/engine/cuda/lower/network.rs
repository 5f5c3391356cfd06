//! All graphs of a network, over the tensors that stand between them.

use super::super::program::{Decide, Program, Shape};
use super::{GraphLowering, Lowering, Target};
use crate::engine::graph::{self, Graph, Value};
use crate::network::Network;
use crate::network::engine::EngineError;
use crate::network::load;

/// Lowers all graphs of `network`, or names the first node that has no kernel.
pub fn lower(network: &Network, target: Target) -> Result<Program, EngineError> {
    let read = |graph: &load::Graph| -> Result<(&'static str, Graph), EngineError> {
        let unsupported = |reason| EngineError::Unsupported { graph: graph.file.to_owned(), reason };
        Ok((graph.file, graph::read(graph).map_err(unsupported)?))
    };
    if let Some(state) = network.manifest.states.iter().find(|state| !state.counts()) {
        let name = &state.name;
        let reason = format!("the state '{name}' does not move with every step, or does not count for halting; --engine cpu runs it");
        return Err(EngineError::Unsupported { graph: "model.toml".into(), reason });
    }
    let (encoder, readout) = (read(&network.encoder)?, read(&network.readout)?);
    let step = network.step.as_ref().map(read).transpose()?;
    let mut lowering = Lowering { target, tensors: Vec::new(), vectors: Vec::new() };
    let frame = lowering.tensor(shape_of(&network.encoder.input_shape(0))?, !target.half, target.half);
    // What the encoder hands on, the drive first.
    let encoded = network.encoded();
    let mut handed = Vec::new();
    for encoded in &encoded {
        handed.push(lowering.tensor(shape_of(&encoded.shape)?, true, false));
    }
    let mut states = Vec::new();
    for state in &network.manifest.states {
        states.push(lowering.tensor(shape_of(&state.shape)?, true, false));
    }
    let find = |name: &str| match network.manifest.states.iter().position(|state| state.name == name) {
        Some(at) => states[at],
        None => handed[encoded.iter().position(|encoded| encoded.name == *name).expect("a network's inputs were checked")],
    };
    // Frames that need no step leave the drive of the last stepped one in place, so that slow motion adds up.
    let fresh: Vec<_> = match step {
        Some(_) => handed.iter().map(|&tensor| lowering.tensor(lowering.tensors[tensor].shape, true, false)).collect(),
        None => handed.clone(),
    };
    let encode = {
        let mut graph = GraphLowering::new(&mut lowering, (encoder.0, &encoder.1), |_| frame)?;
        // The drive last: what is kept of the frame is there when its movement is known.
        for (at, encoded) in encoded.iter().enumerate().rev() {
            let (compare, decide) = if at == 0 { (Some(handed[0]), Decide::Drive) } else { (None, Decide::No) };
            graph.store(graph.output(encoded.output), fresh[at], compare, decide)?;
        }
        graph.ops
    };
    let mut accept = Vec::new();
    for (&fresh, &kept) in fresh.iter().zip(&handed).filter(|(fresh, kept)| fresh != kept) {
        accept.push(lowering.copy(fresh, kept)?);
    }
    let step = match &step {
        None => Vec::new(),
        Some((file, step)) => {
            let mut graph = GraphLowering::new(&mut lowering, (file, step), find)?;
            let mut outputs = Vec::new();
            for (at, (name, _)) in step.outputs.iter().enumerate() {
                // Outputs that are no state's successor have no effect.
                if let Some(state) = network.manifest.states.iter().position(|state| *name == format!("{}_next", state.name)) {
                    outputs.push((graph.output(at), states[state]));
                }
            }
            graph.advance_states(outputs)?;
            graph.ops
        }
    };
    let answers: Vec<_> = readout.1.outputs.iter().map(|(_, id)| lowering.tensor(readout.1.size(*id).into(), true, false)).collect();
    let readout = {
        let mut graph = GraphLowering::new(&mut lowering, (readout.0, &readout.1), find)?;
        for (at, answer) in answers.iter().enumerate() {
            graph.store(graph.output(at), *answer, None, Decide::No)?;
        }
        graph.ops
    };
    let Lowering { tensors, vectors, .. } = lowering;
    Ok(Program { tensors, vectors, encode, accept, step, readout, frame, states, answers })
}

fn shape_of(shape: &[usize]) -> Result<Shape, EngineError> {
    let unsupported = || EngineError::Unsupported {
        graph: "network".into(),
        reason: format!("a tensor is {shape:?}; the GPU engine takes [1, channels, height, width]"),
    };
    Value::of_shape(shape).map(|value| value.size.into()).ok_or_else(unsupported)
}
