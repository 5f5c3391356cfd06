//! `recslowfast inspect`: what a network is.

use std::path::PathBuf;

use clap::Args as ClapArgs;

use super::out::say;
use crate::engine::graph::{self, cost, coverage, reach};
use crate::network::Network;
use crate::network::graph::Graph;
use crate::network::load::{DEFAULT, ENCODER, STEP};
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

    /// Print every node: what computes it, and what it costs
    #[arg(long, conflicts_with = "operators")]
    nodes: bool,
}

/// Runs the verb.
pub fn run(args: Args) -> Result<(), Failure> {
    if args.operators {
        return Ok(say!("{}", coverage::table().trim_end())?);
    }
    let network = Network::load(&args.model)?;
    if args.nodes {
        return all(&network).try_for_each(nodes);
    }
    let manifest = &network.manifest;
    let said = |text: &str| if text.is_empty() { "not said in model.toml".to_owned() } else { text.to_owned() };
    say!("{} {}  ({})", manifest.name, manifest.version, said(&manifest.licence))?;
    say!("origin      {}", said(&manifest.origin))?;
    say!("task        {:?}: {}", manifest.task.kind, manifest.task.classes.join(", "))?;
    say!("parameters  {}", network.parameters())?;
    for graph in [Some(&network.encoder), network.step.as_ref(), Some(&network.readout)].into_iter().flatten() {
        say!("{:<11} {}; {:.1} M multiply-accumulates", graph.file, signature(graph), graph.macs() as f64 / 1e6)?;
    }
    for graph in [Some(&network.encoder), network.step.as_ref(), Some(&network.readout)].into_iter().flatten() {
        say!("{:<11} {}", "", nature(graph))?;
    }
    for state in &manifest.states {
        let moves = match &state.answer {
            Some(answer) => format!("; the last frame's {answer}"),
            None if !state.is_stepped() => "; moves once a frame".into(),
            None if !state.halting => "; does not count for halting".into(),
            None => String::new(),
        };
        say!("state       {} {:?}{moves}", state.name, state.shape)?;
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

fn all(network: &Network) -> impl Iterator<Item = &Graph> {
    [Some(&network.encoder), network.step.as_ref(), Some(&network.readout)].into_iter().flatten()
}

/// What computes each graph, in a line.
pub fn placement(network: &Network) -> Result<(), Failure> {
    all(network).try_for_each(|graph| match graph::read_in_parts(graph) {
        Ok(read) => say!(
            "{:<12} {} nodes{}",
            graph.file,
            read.nodes.len(),
            if foreign(graph, &read).is_empty() { ", all native".into() } else { foreign(graph, &read) }
        ),
        Err(reason) => say!("{:<12} runs on tract: {reason}", graph.file),
    })
}

/// Every node of a graph.
fn nodes(graph: &Graph) -> Result<(), Failure> {
    let read = match graph::read_in_parts(graph) {
        Ok(read) => read,
        Err(reason) => return say!("{}: runs on tract: {reason}", graph.file),
    };
    say!("{:<52} {:<8} {:>10} {:>10}", graph.file, "", "MMAC", "KB moved")?;
    for node in &read.nodes {
        let cost = cost::of(&read, node);
        let place = if matches!(node.kind, graph::Kind::Foreign { .. }) { "tract" } else { "native" };
        let (macs, moved) = (cost.macs as f64 / 1e6, (cost.read + cost.written) as f64 / 1e3);
        say!("{:<52} {place:<8} {macs:>10.3} {moved:>10.1}", node.name)?;
    }
    Ok(())
}

/// The parts that run on tract, why, and what would be native; and how much of the graph a GPU leaves to the CPU for their sake.
fn foreign(graph: &Graph, read: &graph::Graph) -> String {
    let parts = read.nodes.iter().filter_map(|node| match &node.kind {
        graph::Kind::Foreign { part, .. } => {
            let names = part.nodes.join(", ");
            let instead = coverage::substitute(&names).map_or(String::new(), |instead| format!("; native instead: {instead}"));
            Some(format!("; on tract, on the CPU: {names} ({}{instead})", part.reason))
        }
        _ => None,
    });
    let parts: String = parts.collect();
    let foreign = |(at, node): (usize, &graph::Node)| matches!(node.kind, graph::Kind::Foreign { .. }).then_some(at);
    let numbers: Vec<usize> = read.nodes.iter().enumerate().filter_map(foreign).collect();
    let (host, copied) = match graph.file {
        _ if numbers.is_empty() => return parts,
        STEP => return format!("{parts}; no GPU runs a network with such a step"),
        ENCODER => {
            let split = read.split_behind(&numbers);
            (split.first.nodes.len(), split.second.numbers()[0])
        }
        _ => {
            let split = read.split_before(&numbers);
            (split.second.nodes.len(), split.second.numbers()[0])
        }
    };
    format!("{parts}; beside a GPU {host} of {} nodes on the CPU, and {:.1} kB copied a frame", read.nodes.len(), 4e-3 * copied as f64)
}

/// What an engine makes of a graph: what it moves, and how far a change of one pixel spreads.
fn nature(graph: &Graph) -> String {
    let read = match graph::read_in_parts(graph) {
        Ok(read) => read,
        Err(reason) => return format!("{}: runs on tract: {reason}", graph.file),
    };
    let foreign = foreign(graph, &read);
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
