//! The CPU engine gives ONNX Runtime's answers, over carried frames and steps of every network of the zoo (`tests/golden/NAME/README.md`).

use std::fs;
use std::path::{Path, PathBuf};

use recslowfast::engine::cpu::threads::Threads;
use recslowfast::engine::{self, Choice};
use recslowfast::network::Network;
use recslowfast::network::engine::StepRequest;
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

/// The level of frame `t` in a channel, row and column, where a golden folder holds no frames (`models/train/recslowfast_train/natural/golden.py`).
fn level(t: usize, channel: usize, y: usize, x: usize) -> u8 {
    let x = x + 3 * t;
    (x * 7 + y * 13 + channel * 29 + x * y / 17) as u8
}

/// The frames, one behind the other, NCHW; and the answers, of which every so many-th number is kept.
fn kept(golden: &Golden, network: &Network, frames: usize) -> (Vec<u8>, Vec<f32>, usize) {
    if golden.0.join("frames.u8").exists() {
        return (golden.bytes("frames.u8"), golden.floats("logits.f32"), 1);
    }
    let input = &network.manifest.input;
    let (channels, height, width) = (input.channels as usize, input.height as usize, input.width as usize);
    let pixel = |at: usize| level(at / (channels * height * width), at / (height * width) % channels, at / width % height, at % width);
    let described = String::from_utf8(golden.bytes("golden.toml")).unwrap();
    let every = described.lines().find_map(|line| line.strip_prefix("every = ")).expect("golden.toml says how many are kept");
    ((0..frames * channels * height * width).map(pixel).collect(), golden.floats("answers.f32"), every.parse().unwrap())
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
        let steps = golden.bytes("steps.u8");
        let (frames, answers, every) = kept(&golden, &network, steps.len());
        let distances = golden.floats("distances.f32");
        let input = &network.manifest.input;
        let (pixels, answer) = (frames.len() / steps.len(), answers.len() / steps.len());
        let plane = pixels / input.channels as usize;
        let mut moved = Vec::new();
        for (at, &count) in steps.iter().enumerate() {
            for (place, (x, &level)) in engine.input().iter_mut().zip(&frames[at * pixels..]).enumerate() {
                *x = (f32::from(level) / 255.0 - input.mean[place / plane]) / input.std[place / plane];
            }
            engine.encode().unwrap();
            let trace = engine.advance(&StepRequest { rule: HaltingRule::fixed(count.into()), limit: 64, deadline: None }).unwrap();
            moved.extend(trace.distances);
            let ours: Vec<f32> = engine.readout().unwrap().iter().copied().step_by(every).collect();
            let worst = furthest(&ours, &answers[at * answer..(at + 1) * answer]);
            assert!(worst <= 1e-4, "{name}, frame {at}: answers differ by {worst}");
        }
        let worst = furthest(&moved, &distances);
        assert!(worst <= 1e-4, "{name}: distances differ by {worst}");
    }
}
