//! The CPU engine gives ONNX Runtime's answers: 10 frames, 30 carried steps of every network of the zoo (`tests/golden/NAME/README.md`).

use std::fs;
use std::path::{Path, PathBuf};

use recslowfast::engine::cpu::threads::Threads;
use recslowfast::engine::{self, Choice};
use recslowfast::network::Network;
use recslowfast::network::engine::Order;
use recslowfast::network::halting::HaltingRule;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// What ONNX Runtime answered for one network.
struct Golden(PathBuf);

impl Golden {
    fn bytes(&self, file: &str) -> Vec<u8> {
        fs::read(self.0.join(file)).unwrap_or_else(|error| panic!("{}: {error}", self.0.join(file).display()))
    }

    fn floats(&self, file: &str) -> Vec<f32> {
        self.bytes(file).as_chunks::<4>().0.iter().map(|four| f32::from_le_bytes(*four)).collect()
    }
}

/// The largest difference, absolute or relative to the value where that is larger than 1.
fn furthest(ours: &[f32], theirs: &[f32]) -> f32 {
    assert_eq!(ours.len(), theirs.len());
    ours.iter().zip(theirs).map(|(a, b)| (a - b).abs() / b.abs().max(1.0)).fold(0.0, f32::max)
}

#[test]
fn the_cpu_engine_answers_as_onnx_runtime_does() {
    let zoo = fs::read_dir(root().join("models/zoo")).unwrap();
    let names: Vec<_> = zoo.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    assert!(!names.is_empty());
    for name in names {
        let golden = Golden(root().join("tests/golden").join(&name));
        let network = Network::load(root().join("models/zoo").join(&name).to_str().unwrap()).unwrap();
        let mut engine = engine::open(Choice::Cpu, &network, Threads::default()).unwrap();
        let (frames, steps) = (golden.bytes("frames.u8"), golden.bytes("steps.u8"));
        let (logits, distances) = (golden.floats("logits.f32"), golden.floats("distances.f32"));
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
            assert!(worst <= 1e-4, "{name}, frame {at}: logits differ by {worst}");
        }
        let worst = furthest(&moved, &distances);
        assert!(worst <= 1e-4, "{name}: distances differ by {worst}");
    }
}
