//! `recslowfast inspect`: what a network is.

use std::path::PathBuf;

use clap::Args as ClapArgs;

use super::out::say;
use crate::engine::graph::{self, cost, coverage, reach};
use crate::network::Network;
use crate::network::load::{DEFAULT, Graph};
use crate::service::exit::Failure;

/// Which network.
#[derive(ClapArgs)]
pub struct Args {
    /// A built-in network, or a folder with model.toml and its graphs
    #[arg(default_value = DEFAULT, value_name = "NAME|DIR")]
    model: PathBuf,

    /// Print which ONNX operators are computed by which engine, and nothing else
    #[arg(long, conflicts_with = "model")]
    operators: bool,
}

/// Runs the verb.
pub fn run(args: Args) -> Result<(), Failure> {
    if args.operators {
        return Ok(say!("{}", coverage::table().trim_end())?);
    }
    let network = Network::load(&args.model)?;
    let manifest = &network.manifest;
    say!("{} {}  ({})", manifest.name, manifest.version, manifest.licence)?;
    say!("origin      {}", manifest.origin)?;
    say!("task        {:?}: {}", manifest.task.kind, manifest.task.classes.join(", "))?;
    say!("parameters  {}", network.parameters())?;
    for graph in [Some(&network.encoder), network.step.as_ref(), Some(&network.readout)].into_iter().flatten() {
        say!("{:<11} {}; {:.1} M multiply-accumulates", graph.file, signature(graph), graph.macs() as f64 / 1e6)?;
    }
    for graph in [Some(&network.encoder), network.step.as_ref(), Some(&network.readout)].into_iter().flatten() {
        say!("{:<11} {}", "", nature(graph))?;
    }
    for state in &manifest.states {
        say!("state       {} {:?}", state.name, state.shape)?;
    }
    if network.step.is_some() {
        let steps = manifest.steps;
        say!("steps       {} to {}; {} after a reset, {} on a carried state", steps.min, steps.max, steps.slow, steps.fast)?;
        let rule = manifest.rule();
        let threshold = rule.threshold.map_or("never".into(), |x| format!("{} below {x}", rule.metric));
        let threshold = match rule.wake {
            Some(wake) => {
                format!("the first step moved it, squared over the floor (from {} on), at most {wake}; later {threshold}", rule.floor)
            }
            None => threshold,
        };
        let zero = rule.zero.map_or("never".into(), |x| format!("drive moved less than {x}"));
        say!("halting     stops when: {threshold}; takes no step when: {zero}")?;
        let over = |what: &str, x: Option<f32>| x.map_or(String::new(), |x| format!("{what} moved more than {x}"));
        let slow = [over("drive", rule.cut), over("first step", rule.surprise)];
        let slow: Vec<_> = slow.into_iter().filter(|reason| !reason.is_empty()).collect();
        say!("slow path   after a reset{}{}", if slow.is_empty() { "" } else { "; when: " }, slow.join(", "))?;
    }
    for (figure, value) in &manifest.quality {
        say!("quality     {figure} = {value}")?;
    }
    Ok(())
}

/// What an engine makes of a graph: what it moves, and how far a change of one pixel spreads.
fn nature(graph: &Graph) -> String {
    let read = match graph::read_in_parts(graph) {
        Ok(read) => read,
        Err(reason) => return format!("{}: runs on tract: {reason}", graph.file),
    };
    let foreign = read.nodes.iter().filter_map(|node| match &node.kind {
        graph::Kind::Foreign { part, .. } => Some(format!("; on tract, on the CPU alone: {} ({})", part.nodes.join(", "), part.reason)),
        _ => None,
    });
    let foreign: String = foreign.collect();
    let cost = cost::of_graph(&read);
    let moved = (cost.read + cost.written) as f64 / 1e6;
    let reaches = reach::of(&read);
    let global = read.outputs.iter().find_map(|(_, id)| match &reaches[*id] {
        reach::Reach::Global(node) => Some(node.clone()),
        reach::Reach::Within { .. } => None,
    });
    let most = |id: &usize| match &reaches[*id] {
        reach::Reach::Within { before, after, .. } => before.iter().chain(after).fold(0f64, |most, n| most.max(*n)),
        reach::Reach::Global(_) => 0.0,
    };
    let spread = match global {
        Some(node) => format!("every pixel depends on all, by {node}"),
        None => {
            let pixels = read.outputs.iter().map(|(_, id)| most(id)).fold(0f64, f64::max);
            format!("a pixel depends on those up to {} away", pixels.ceil())
        }
    };
    format!("{}: {} nodes, {moved:.1} MB moved; {spread}{foreign}", graph.file, read.nodes.len())
}

fn signature(graph: &Graph) -> String {
    let list = |names: &[String], shape: &dyn Fn(usize) -> Vec<usize>| {
        names.iter().enumerate().map(|(at, name)| format!("{name} {:?}", shape(at))).collect::<Vec<_>>().join(", ")
    };
    format!("{} -> {}", list(&graph.inputs, &|at| graph.input_shape(at)), list(&graph.outputs, &|at| graph.output_shape(at)))
}
