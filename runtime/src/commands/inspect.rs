//! `recslowfast inspect`: what a network is.

use std::path::PathBuf;

use clap::Args as ClapArgs;

use super::out::say;
use crate::network::Network;
use crate::network::load::{DEFAULT, Graph};
use crate::service::exit::Failure;

/// Which network.
#[derive(ClapArgs)]
pub struct Args {
    /// A built-in network, or a folder with model.toml and its graphs
    #[arg(default_value = DEFAULT, value_name = "NAME|DIR")]
    model: PathBuf,
}

/// Runs the verb.
pub fn run(args: Args) -> Result<(), Failure> {
    let network = Network::load(&args.model)?;
    let manifest = &network.manifest;
    say!("{} {}  ({})", manifest.name, manifest.version, manifest.licence)?;
    say!("origin      {}", manifest.origin)?;
    say!("task        {:?}: {}", manifest.task.kind, manifest.task.classes.join(", "))?;
    say!("parameters  {}", network.parameters())?;
    for graph in [Some(&network.encoder), network.step.as_ref(), Some(&network.readout)].into_iter().flatten() {
        say!("{:<11} {}; {:.1} M multiply-accumulates", graph.file, signature(graph), graph.macs() as f64 / 1e6)?;
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

fn signature(graph: &Graph) -> String {
    let list = |names: &[String], shape: &dyn Fn(usize) -> Vec<usize>| {
        names.iter().enumerate().map(|(at, name)| format!("{name} {:?}", shape(at))).collect::<Vec<_>>().join(", ")
    };
    format!("{} -> {}", list(&graph.inputs, &|at| graph.input_shape(at)), list(&graph.outputs, &|at| graph.output_shape(at)))
}
