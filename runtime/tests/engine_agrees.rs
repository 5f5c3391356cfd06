//! The lowered graphs give tract's answers, on every instruction set and any number of threads.

use recslowfast::engine::cpu::simd::Isa;
use recslowfast::engine::cpu::{CpuEngine, Options};
use recslowfast::network::Network;
use recslowfast::network::engine::{Engine, StepRequest};
use recslowfast::network::halting::{HaltingRule, Metric};
use recslowfast::outcome::StopReason;

/// Logits and distances of a few frames of moving bars.
fn watch(network: &Network, options: Options) -> (Vec<f32>, Vec<f32>) {
    let mut engine = CpuEngine::with(network, options).unwrap();
    let shape = network.encoder.input_shape(0);
    let (mut logits, mut distances) = (Vec::new(), Vec::new());
    for at in 0..3 {
        for (i, x) in engine.input().iter_mut().enumerate() {
            let (y, x_at) = (i / shape[3], i % shape[3]);
            *x = if (x_at + 2 * y + at) % 19 < 3 { 0.9 } else { 0.1 };
        }
        engine.encode().unwrap();
        let trace = engine.advance(&StepRequest { rule: HaltingRule::fixed(3), limit: 64, deadline: None }).unwrap();
        distances.push(trace.drive_distance.min(1e9));
        distances.extend(trace.distances);
        logits.extend_from_slice(engine.readout().unwrap());
    }
    (logits, distances)
}

fn close(ours: &[f32], theirs: &[f32], what: &str) {
    let scale = theirs.iter().fold(1e-6f32, |most, x| most.max(x.abs()));
    for (i, (a, b)) in ours.iter().zip(theirs).enumerate() {
        assert!((a - b).abs() <= 1e-3 * scale.min(b.abs().max(0.1 * scale)), "{what}: number {i} is {a}, not {b}");
    }
}

/// Every network of the zoo, by its name.
fn zoo() -> impl Iterator<Item = (String, Network)> {
    let folders = std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/../models/zoo")).unwrap().map(|entry| entry.unwrap().path());
    folders.filter(|path| path.is_dir()).map(|path| {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        (name, Network::load(path.to_str().unwrap()).unwrap())
    })
}

#[test]
fn every_instruction_set_agrees_with_tract() {
    for (name, network) in zoo() {
        let (logits, distances) = watch(&network, Options { plain: true, ..Options::default() });
        for isa in Isa::available() {
            let (ours, moved) = watch(&network, Options { isa, threads: 2, ..Options::default() });
            close(&ours, &logits, &format!("{name}, logits on {isa:?}"));
            close(&moved, &distances, &format!("{name}, distances on {isa:?}"));
        }
    }
}

#[test]
fn no_network_of_the_zoo_needs_tract() {
    for (name, network) in zoo() {
        let on_tract: Vec<_> = CpuEngine::load(&network).unwrap().on_tract().collect();
        assert!(on_tract.is_empty(), "{name}: {on_tract:?}");
        // And the plain engine says that it does.
        let plain = CpuEngine::with(&network, Options { plain: true, ..Options::default() }).unwrap();
        assert_eq!(plain.on_tract().count(), 2 + usize::from(network.step.is_some()), "{name}");
    }
}

#[test]
fn the_number_of_threads_changes_no_bit() {
    let network = Network::load("pathfinder-hgru").unwrap();
    let one = watch(&network, Options { threads: 1, ..Options::default() });
    for threads in [2, 3] {
        assert_eq!(watch(&network, Options { threads, ..Options::default() }), one);
    }
}

/// From frame to frame the drive moves less than the rule asks for; since the last step it adds up.
#[test]
fn what_creeps_is_stepped_in_the_end() {
    let network = Network::load("pathfinder-hgru").unwrap();
    let mut engine = CpuEngine::with(&network, Options::default()).unwrap();
    let rule = HaltingRule { zero: Some(0.1), ..HaltingRule::halting(Metric::RelativeL2, 0.05, 4) };
    let mut stepped = Vec::new();
    for at in 0..60 {
        let light = 0.5 + 0.005 * at as f32;
        for (i, x) in engine.input().iter_mut().enumerate() {
            *x = if i % 19 < 3 { light } else { 0.1 };
        }
        engine.encode().unwrap();
        let trace = engine.advance(&StepRequest { rule, limit: 64, deadline: None }).unwrap();
        assert_eq!(trace.stop == StopReason::Zero, trace.drive_distance < 0.1, "frame {at}: {trace:?}");
        if trace.steps > 0 {
            stepped.push(at);
        }
    }
    assert!(stepped.len() >= 3 && stepped.windows(2).all(|pair| pair[1] > pair[0] + 1), "{stepped:?}");
}
