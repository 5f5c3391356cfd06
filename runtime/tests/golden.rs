//! The engine gives ONNX Runtime's answers: 20 frames, 30 carried steps (`tests/golden/pathfinder-hgru/README.md`).

use std::fs;
use std::path::{Path, PathBuf};

use recslowfast::engine::cpu::threads::Threads;
use recslowfast::engine::{self, Choice};
use recslowfast::network::Network;
use recslowfast::network::engine::Order;
use recslowfast::network::halting::HaltingRule;

fn golden(file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/golden/pathfinder-hgru").join(file)
}

fn bytes(file: &str) -> Vec<u8> {
    fs::read(golden(file)).unwrap_or_else(|error| panic!("{file}: {error}"))
}

fn floats(file: &str) -> Vec<f32> {
    bytes(file).as_chunks::<4>().0.iter().map(|four| f32::from_le_bytes(*four)).collect()
}

/// The largest difference, absolute or relative to the value where that is larger than 1.
fn furthest(ours: &[f32], theirs: &[f32]) -> f32 {
    assert_eq!(ours.len(), theirs.len());
    ours.iter().zip(theirs).map(|(a, b)| (a - b).abs() / b.abs().max(1.0)).fold(0.0, f32::max)
}

#[test]
fn the_cpu_engine_answers_as_onnx_runtime_does() {
    let network = Network::load("pathfinder-hgru").unwrap();
    let mut engine = engine::open(Choice::Cpu, &network, Threads::default()).unwrap();
    let (frames, steps) = (bytes("frames.u8"), bytes("steps.u8"));
    let (logits, distances) = (floats("logits.f32"), floats("distances.f32"));
    let (pixels, answer) = (frames.len() / steps.len(), logits.len() / steps.len());
    let mut moved = Vec::new();
    for (at, &count) in steps.iter().enumerate() {
        for (x, &level) in engine.input().iter_mut().zip(&frames[at * pixels..]) {
            *x = f32::from(level) / 255.0;
        }
        engine.encode().unwrap();
        let trace = engine.advance(&Order { rule: HaltingRule::fixed(count.into()), limit: 64, deadline: None }).unwrap();
        moved.extend(trace.distances);
        let worst = furthest(engine.readout().unwrap(), &logits[at * answer..(at + 1) * answer]);
        assert!(worst <= 1e-4, "frame {at}: logits differ by {worst}");
    }
    let worst = furthest(&moved, &distances);
    assert!(worst <= 1e-4, "distances differ by {worst}");
}
