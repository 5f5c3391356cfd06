//! All graphs of a network, over the tensors that stand between them.

use super::super::program::{Decide, Gate, Op, Program, Shape};
use super::super::tiles::{Masks, Tiling};
use super::parts::{self, Takes};
use super::{GraphLowering, Lowering, Target, fuse};
use crate::engine::graph::{self, Graph, Value};
use crate::network::Network;
use crate::network::engine::EngineError;
use crate::network::graph as onnx;

/// Lowers all graphs of `network`; of encoder and readout what has kernels. Names the first node of the step that has none.
pub fn lower(network: &Network, target: Target) -> Result<Program, EngineError> {
    let unsupported = |graph: &onnx::Graph, reason| EngineError::Unsupported { graph: graph.file.to_owned(), reason };
    let read = |graph: &onnx::Graph| -> Result<(&'static str, Graph), EngineError> {
        Ok((graph.file, graph::read_in_parts(graph).map_err(|reason| unsupported(graph, reason))?))
    };
    if let Some(state) = network.manifest.states.iter().find(|state| !state.counts()) {
        let name = &state.name;
        let reason = format!("the state '{name}' does not move with every step, or does not count for halting; --engine cpu runs it");
        return Err(EngineError::Unsupported { graph: "model.toml".into(), reason });
    }
    let (encoder, readout) = (read(&network.encoder)?, read(&network.readout)?);
    // Many times a frame, a way to the host and back would cost more than the rest: a step is the device's as a whole.
    let whole = |graph: &onnx::Graph| {
        let read = graph::read(graph).map_err(|reason| unsupported(graph, format!("{reason}; --engine cpu runs such a step")));
        read.map(|read| (graph.file, read))
    };
    let step = network.step.as_ref().map(whole).transpose()?;
    let mut lowering = Lowering { target, tensors: Vec::new(), vectors: Vec::new(), gated: None };
    let rows = network.encoder.input_shape(0).get(2).copied().unwrap_or(1);
    let gated = target.tiles.filter(|settings| settings.epsilon > 0.0).map(|_| rows);
    let frame_shape = shape_of(&network.encoder.input_shape(0))?;
    // With tiles a frame is looked at before any of it is the input.
    let incoming = target.tiles.map(|_| lowering.tensor(frame_shape, true, false));
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
    let fresh: Vec<_> = match (&step, target.tiles) {
        (Some(_), _) | (_, Some(_)) => handed.iter().map(|&tensor| lowering.tensor(lowering.tensors[tensor].shape, true, false)).collect(),
        _ => handed.clone(),
    };
    lowering.gated = gated;
    let ((imports, encode), before) = parts::lower(&mut lowering, (encoder.0, &encoder.1), Takes::Second, |lowering, graph, whole| {
        let imports: Vec<_> = match whole {
            true => vec![lowering.tensor(frame_shape, !target.half, target.half)],
            // What the host made is as exact as what the device makes and stores.
            false => graph.inputs.iter().map(|(_, id)| lowering.tensor(graph.size(*id).into(), true, false)).collect(),
        };
        let import = |name: &str| imports[graph.inputs.iter().position(|(known, _)| known == name).expect("it is an input")];
        let mut lowered = GraphLowering::new(lowering, (encoder.0, graph), import)?;
        // The drive last: what is kept of the frame is there when its movement is known.
        for (at, encoded) in encoded.iter().enumerate().rev() {
            let (compare, decide) = if at == 0 { (Some(handed[0]), Decide::Drive) } else { (None, Decide::No) };
            let Some(settings) = target.tiles else {
                lowered.store(lowered.output(encoded.output), fresh[at], compare, decide)?;
                continue;
            };
            lowered.store(lowered.output(encoded.output), fresh[at], None, Decide::No)?;
            let (from, to, threshold) = (fresh[at], handed[at], Some(settings.epsilon));
            lowered.ops.push(Op::Gate(Gate { from, to, threshold, carries: settings.spread, commits: false, within: false, decide }));
        }
        let ops = lowered.ops;
        Ok((imports, ops))
    })?;
    let mut accept = Vec::new();
    for (&fresh, &kept) in fresh.iter().zip(&handed).filter(|(fresh, kept)| fresh != kept && target.tiles.is_none()) {
        accept.push(lowering.copy(fresh, kept)?);
    }
    let step = match &step {
        None => Vec::new(),
        Some((file, step)) => {
            let mut graph = GraphLowering::new(&mut lowering, (file, step), find).map_err(|refused| match refused.of(file) {
                EngineError::Unsupported { graph, reason } => {
                    EngineError::Unsupported { graph, reason: format!("{reason}; --engine cpu runs such a step") }
                }
                other => other,
            })?;
            let mut outputs = Vec::new();
            for (at, (name, _)) in step.outputs.iter().enumerate() {
                // Outputs that are no state's successor have no effect.
                if let Some(state) = network.manifest.states.iter().position(|state| *name == format!("{}_next", state.name)) {
                    outputs.push((graph.output(at), states[state]));
                }
            }
            match target.tiles {
                Some(settings) => graph.advance_by_tiles(outputs, settings.spread)?,
                None => graph.advance_states(outputs, |_| None)?,
            }
            graph.ops
        }
    };
    lowering.gated = None;
    let ((answers, readout), behind) = parts::lower(&mut lowering, (readout.0, &readout.1), Takes::First, |lowering, graph, _| {
        let answers: Vec<_> = graph.outputs.iter().map(|(_, id)| lowering.tensor(graph.size(*id).into(), true, false)).collect();
        let mut lowered = GraphLowering::new(lowering, (readout.0, graph), find)?;
        for (at, answer) in answers.iter().enumerate() {
            lowered.store(lowered.output(at), *answer, None, Decide::No)?;
        }
        let ops = lowered.ops;
        Ok((answers, ops))
    })?;
    let Lowering { tensors, vectors, .. } = lowering;
    let frame = imports[0];
    let mut program =
        Program { tensors, vectors, encode, accept, step, readout, frame, imports, states, answers, tiles: None, before, behind };
    fuse::fuse(&mut program, &target);
    // Where the host takes a part there are none.
    if let (Some(settings), Some(incoming), None, None) = (target.tiles, incoming, &program.before, &program.behind) {
        let levels = network.manifest.input.std.iter().map(|std| 255.0 * std).collect();
        let global = || EngineError::Unsupported {
            graph: "network".into(),
            reason: "a kernel measures all of a tensor; --tiles off runs it".into(),
        };
        let masks = Masks::of(&program, settings.epsilon > 0.0).ok_or_else(global)?;
        program.tiles = Some(Tiling { settings, incoming, levels, masks });
    }
    Ok(program)
}

fn shape_of(shape: &[usize]) -> Result<Shape, EngineError> {
    let unsupported = || EngineError::Unsupported {
        graph: "network".into(),
        reason: format!("a tensor is {shape:?}; the GPU engine takes [1, channels, height, width]"),
    };
    Value::of_shape(shape).map(|value| value.size.into()).ok_or_else(unsupported)
}
