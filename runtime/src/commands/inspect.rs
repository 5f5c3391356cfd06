//! `recslowfast inspect`: what a network is.

use clap::Args as ClapArgs;

use crate::network::Network;
use crate::network::load::{DEFAULT, Graph};
use crate::service::exit::Failure;

/// Which network.
#[derive(ClapArgs)]
pub struct Args {
    /// A built-in network, or a folder with model.toml and its graphs
    #[arg(default_value = DEFAULT, value_name = "NAME|DIR")]
    model: String,
}

/// Runs the verb.
pub fn run(args: Args) -> Result<(), Failure> {
    let network = Network::load(&args.model)?;
    let manifest = &network.manifest;
    println!("{} {}  ({})", manifest.name, manifest.version, manifest.licence);
    println!("origin      {}", manifest.origin);
    println!("task        {:?}: {}", manifest.task.kind, manifest.task.classes.join(", "));
    println!("parameters  {}", network.parameters());
    for graph in [Some(&network.encoder), network.step.as_ref(), Some(&network.readout)].into_iter().flatten() {
        println!("{:<11} {}; {:.1} M multiply-accumulates", graph.file, signature(graph), graph.macs() as f64 / 1e6);
    }
    for state in &manifest.states {
        println!("state       {} {:?}", state.name, state.shape);
    }
    if network.step.is_some() {
        let steps = manifest.steps;
        println!("steps       {} to {}; {} after a reset, {} on a carried state", steps.min, steps.max, steps.slow, steps.fast);
        let rule = manifest.rule();
        let threshold = rule.threshold.map_or("never".into(), |x| format!("{} below {x}", rule.metric));
        let zero = rule.zero.map_or("never".into(), |x| format!("drive moved less than {x}"));
        println!("halting     stops when: {threshold}; takes no step when: {zero}");
    }
    for (figure, value) in &manifest.quality {
        println!("quality     {figure} = {value}");
    }
    Ok(())
}

fn signature(graph: &Graph) -> String {
    let list = |names: &[String], shape: &dyn Fn(usize) -> Vec<usize>| {
        names.iter().enumerate().map(|(at, name)| format!("{name} {:?}", shape(at))).collect::<Vec<_>>().join(", ")
    };
    format!("{} -> {}", list(&graph.inputs, &|at| graph.input_shape(at)), list(&graph.outputs, &|at| graph.output_shape(at)))
}
