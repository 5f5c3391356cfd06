//! Puts a network on the CPU: its tensors, its graphs as operations over them, and the memory of both.

use super::fallback::Fallback;
use super::lower::{self, Bound};
use super::machine::{Buffer, Layout, Machine};
use super::stage::{Runner, Stage, State};
use super::threads::Threads;
use super::tiles::{self, Tiled};
use super::{CpuEngine, Options};
use crate::engine::graph::{self, Value};
use crate::network::Network;
use crate::network::engine::{EngineError, StageTimes};
use crate::network::graph::Graph;
use crate::network::halting::Path;
use crate::network::manifest::StateSection;

impl CpuEngine {
    /// Prepares the three graphs.
    pub fn with(network: &Network, options: Options) -> Result<CpuEngine, EngineError> {
        let mut layout = Layout::default();
        let mut lasting = |shape: &[usize]| match Value::of_shape(shape) {
            Some(value) => layout.lasting(value.size.channels, value.size.pixels()),
            None => layout.lasting(1, shape.iter().product()),
        };
        let (frame_shape, encoded) = (network.encoder.input_shape(0), network.encoded());
        let frame = lasting(&frame_shape);
        let handed: Vec<State> = encoded
            .iter()
            .map(|encoded| State { now: lasting(&encoded.shape), next: lasting(&encoded.shape), stepped: true, answer: None })
            .collect();
        let drive = handed[0];
        let known = network.answers();
        let answer_of = |state: &StateSection| state.answer.as_ref().and_then(|name| known.iter().position(|answer| answer.name == *name));
        let mut state = |state: &StateSection| State {
            now: lasting(&state.shape),
            next: lasting(&state.shape),
            stepped: state.is_stepped(),
            answer: answer_of(state),
        };
        let states: Vec<State> = network.manifest.states.iter().map(&mut state).collect();
        let answers: Vec<(Buffer, usize)> = network.answers().iter().map(|answer| (lasting(&answer.shape), answer.len())).collect();
        let bound =
            |name: &str, buffer, shape: &[usize], moved_from| Bound { name: name.to_owned(), buffer, shape: shape.to_vec(), moved_from };
        // What a graph's input is, by name: a state, or else what the encoder hands on.
        let arriving = |graph: &Graph| -> Vec<Bound> {
            let arrives = |name: &String| match network.manifest.states.iter().position(|state| state.name == *name) {
                Some(at) => bound(name, states[at].now, &network.manifest.states[at].shape, None),
                None => {
                    let at = encoded.iter().position(|encoded| encoded.name == *name).expect("a network's inputs were checked");
                    bound(name, handed[at].now, &encoded[at].shape, None)
                }
            };
            graph.inputs.iter().map(arrives).collect()
        };
        // In the graph's order; how far the frame moved is measured on the drive alone.
        let leaves = network.encoder.outputs.iter().enumerate().map(|(output, name)| {
            let at = encoded.iter().position(|encoded| encoded.output == output).expect("every output is handed on");
            bound(name, handed[at].next, &encoded[at].shape, (at == 0).then_some(handed[at].now))
        });
        let encoder_ends = (vec![bound(&network.encoder.inputs[0], frame, &frame_shape, None)], leaves.collect());
        let step_ends = network.step.as_ref().map(|graph| {
            let leaves = |(i, name): (usize, &String)| {
                let known = &network.manifest.states;
                match known.iter().position(|state| name.strip_suffix("_next") == Some(state.name.as_str())) {
                    Some(at) => bound(name, states[at].next, &known[at].shape, known[at].counts().then_some(states[at].now)),
                    // Nobody asks for it, but a graph has to put it somewhere.
                    None => bound(name, lasting(&graph.output_shape(i)), &graph.output_shape(i), None),
                }
            };
            (arriving(graph), graph.outputs.iter().enumerate().map(leaves).collect())
        });
        let read =
            network.answers().into_iter().zip(&answers).map(|(answer, (buffer, _))| bound(&answer.name, *buffer, &answer.shape, None));
        let readout_ends = (arriving(&network.readout), read.collect());

        let mut stage = |graph: &Graph, inputs: Vec<Bound>, outputs: Vec<Bound>| -> Result<Stage, EngineError> {
            let mut parts = false;
            let lowered = if options.plain {
                Err("the plain engine was asked for".to_owned())
            } else {
                graph::read_in_parts(graph).and_then(|read| {
                    parts = read.nodes.iter().any(|node| matches!(node.kind, graph::Kind::Foreign { .. }));
                    lower::lower(&read, options.isa, &mut layout, &inputs, &outputs)
                })
            };
            let runner = match lowered {
                Ok(operations) => Runner::Lowered(operations),
                Err(reason) => {
                    log::info!("{} runs on tract: {reason}", graph.file);
                    Runner::Tract(Fallback::new(graph)?)
                }
            };
            Ok(Stage { file: graph.file, parts, runner, inputs, outputs })
        };
        let encoder = stage(&network.encoder, encoder_ends.0, encoder_ends.1)?;
        let mut step = match (&network.step, step_ends) {
            (Some(graph), Some((inputs, outputs))) => Some(stage(graph, inputs, outputs)?),
            _ => None,
        };
        let readout = stage(&network.readout, readout_ends.0, readout_ends.1)?;

        let lower_again = |layout: &mut Layout| -> Result<Tiled, String> {
            if handed.len() > 1 {
                return Err("the encoder gives features beside its drive".into());
            }
            if let Some(state) = network.manifest.states.iter().find(|state| !state.counts()) {
                return Err(format!("the state '{}' does not move with every step, or does not count for halting", state.name));
            }
            let mut operations = |stage: &Stage, graph: &Graph| match stage.runner {
                Runner::Lowered(_) => {
                    graph::read(graph).and_then(|read| lower::lower(&read, options.isa, layout, &stage.inputs, &stage.outputs))
                }
                Runner::Tract(_) => Err(format!("{} runs on tract", graph.file)),
            };
            let stepped = match (&step, &network.step) {
                (Some(stage), Some(graph)) => Some(operations(stage, graph)?),
                _ => None,
            };
            let graphs = (operations(&encoder, &network.encoder)?, stepped, operations(&readout, &network.readout)?);
            let size = |shape: &[usize]| match *shape {
                [1, channels, h, w] => Ok((channels, [h, w])),
                _ => Err(format!("a tensor of {shape:?} has no rows and columns")),
            };
            let between = |state: &State, shape: &[usize]| size(shape).map(|(channels, size)| (state.now, state.next, channels, size));
            let known = states.iter().zip(&network.manifest.states);
            let ends = tiles::Ends {
                frame: (frame, size(&frame_shape)?.1),
                drive: between(&drive, &encoded[0].shape)?,
                states: known.map(|(state, named)| between(state, &named.shape)).collect::<Result<_, _>>()?,
                answers: answers.iter().map(|(buffer, _)| *buffer).collect(),
            };
            let levels: Vec<f32> = network.manifest.input.std.iter().map(|std| 255.0 * std).collect();
            Tiled::new(options.tiles.unwrap_or_default(), ends, graphs, layout, &levels, options.isa)
        };
        let (tiled, not_tiled) = match options.tiles.map(|_| lower_again(&mut layout)) {
            Some(Ok(tiled)) => (Some(tiled), None),
            Some(Err(reason)) => (None, Some(reason)),
            None => (None, None),
        };
        // Between frames it holds the drive that is to come; while the state is stepped, nothing.
        if let Some(Stage { runner: Runner::Lowered(operations), .. }) = &mut step {
            layout.lend(drive.next, operations);
        }
        // Graphs run one after the other: their working buffers share one place behind what lasts.
        let base = layout.floats;
        let stages = || [Some(&encoder), step.as_ref(), Some(&readout)].into_iter().flatten();
        for stage in stages() {
            if let Runner::Lowered(operations) = &stage.runner {
                layout.floats = layout.floats.max(layout.place_all(base, operations));
            }
        }
        let operations = stages().flat_map(Stage::operations).chain(tiled.iter().flat_map(Tiled::operations));
        if options.threads > Threads::default().get() {
            log::warn!("{} engine threads on {} usable processors wait for one another", options.threads, Threads::default().get());
        }
        let mut machine = Machine::new(options.isa, options.threads, layout, operations);
        if let Some(tiled) = &tiled {
            tiled.reserve(&mut machine);
        }
        Ok(CpuEngine {
            machine,
            input: vec![0.0; frame_shape.iter().product()],
            frame,
            encoder,
            step,
            readout,
            handed,
            driven: false,
            states,
            answer: vec![0.0; answers.iter().map(|(_, numbers)| numbers).sum()],
            answers,
            path: Path::Slow,
            drive_distance: f32::INFINITY,
            floor: 1.0,
            read: false,
            answered: false,
            times: StageTimes::default(),
            tiled,
            not_tiled,
        })
    }
}
