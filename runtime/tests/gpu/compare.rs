//! The same frames on both engines, and how far their answers are apart.

use std::time::Duration;

use recslowfast::engine::cpu::CpuEngine;
use recslowfast::engine::cuda::{CudaEngine, Kernels, Options, Precision, Transforms};
use recslowfast::network::Network;
use recslowfast::network::engine::{Engine, StepRequest};
use recslowfast::network::halting::HaltingRule;

/// A bright bar that drifts and turns, over a faint texture; now and then the scene jumps.
pub fn frame(at: usize, width: usize, height: usize, into: &mut [f32]) {
    let scene = at / 23;
    let (angle, shift) = (scene as f32 * 0.9 + at as f32 * 0.01, at as f32 * 0.25);
    let (sin, cos) = angle.sin_cos();
    for (i, value) in into.iter_mut().enumerate() {
        let (x, y) = ((i % width) as f32 - width as f32 / 2.0, (i / width % height) as f32 - height as f32 / 2.0);
        let across = x * cos + y * sin - shift % 12.0 + 4.0;
        let noise = ((i * 2_654_435_761 + scene * 97) >> 7 & 255) as f32 / 255.0;
        *value = (1.0 - (across / 2.5).abs()).clamp(0.0, 1.0) * 0.8 + noise * 0.1;
    }
}

/// Whether the parent test asks for `name`.
pub fn set(name: &str) -> bool {
    std::env::var(name).is_ok_and(|value| value == "1")
}

/// The kernels the parent test asks for.
pub fn kernels() -> Kernels {
    if set("TEST_BUILT_IN") { Kernels::BuiltIn } else { Kernels::Compiled }
}

/// What both engines said of the same frames.
pub struct Tally {
    /// Which GPU, which kernels, which arithmetic.
    pub engine: String,
    /// Whether the GPU's work was recorded as graphs.
    pub recorded: bool,
    pub frames: usize,
    /// Frames with the same steps, stop and limit.
    pub same_steps: usize,
    /// Largest difference of logits, relative to the frame's largest.
    pub worst: f32,
    pub pixels: usize,
    /// Pixels of the same class.
    pub same_pixels: usize,
    /// Steps of all frames on the GPU.
    pub steps: u32,
    /// The first movement of state or drive the engines measured differently.
    pub far: Option<String>,
    /// Convolutions the steps ran, and those of the steps that counted.
    pub convolutions: [u64; 2],
}

/// How long the environment lets a frame take, where a tool makes every kernel slow.
pub fn patience() -> Option<Duration> {
    Some(Duration::from_secs(std::env::var("TEST_PATIENCE").ok()?.parse().expect("TEST_PATIENCE is a number of seconds")))
}

/// Runs `frames` frames on both engines, each as `draw` makes it.
pub fn measure(
    network: &Network,
    options: Options,
    frames: usize,
    rule: HaltingRule,
    mut draw: impl FnMut(usize, usize, usize, &mut [f32]),
) -> Tally {
    let mut cpu = CpuEngine::load(network).expect("the CPU runs every network");
    let mut gpu = CudaEngine::with(network, options).expect("the stand-in runs this network");
    // What the parent asks for happens, or the test would show nothing.
    assert!(!set("TEST_COMPILED") || gpu.description().contains("kernels compiled"), "{}", gpu.description());
    let [_, classes, h, w] = network.answers()[0].shape[..] else { panic!("logits") };
    let (width, height) = (network.manifest.input.width as usize, network.manifest.input.height as usize);
    let mut tally = Tally {
        engine: gpu.description().to_owned(),
        recorded: gpu.is_recorded(),
        frames,
        same_steps: 0,
        worst: 0.0,
        pixels: 0,
        same_pixels: 0,
        steps: 0,
        far: None,
        convolutions: [0; 2],
    };
    let order = StepRequest { rule, limit: 64, deadline: None };
    for at in 0..frames {
        draw(at, width, height, cpu.input());
        gpu.input().copy_from_slice(cpu.input());
        cpu.encode().unwrap();
        gpu.encode().unwrap();
        let (want, got) = (cpu.advance(&order).unwrap(), gpu.advance(&order).unwrap());
        let same = want.steps == got.steps && want.stop == got.stop && want.limit == got.limit;
        if !same {
            println!("frame {at}: the CPU {want:?}, the GPU {got:?}");
        }
        tally.same_steps += usize::from(same);
        tally.steps += got.steps;
        let near = |a: f32, b: f32| a == b || (a - b).abs() <= 1e-3 + 0.05 * a.abs();
        for (want, got) in want.distances.iter().zip(&got.distances) {
            if !near(*want, *got) {
                tally.far.get_or_insert_with(|| format!("frame {at}: the state moved by {want} and {got}"));
            }
        }
        if !near(want.drive_distance, got.drive_distance) {
            let (want, got) = (want.drive_distance, got.drive_distance);
            tally.far.get_or_insert_with(|| format!("frame {at}: drive moved {want} and {got}"));
        }
        let (want, got) = (cpu.readout().unwrap(), gpu.readout().unwrap());
        let scale = want.iter().fold(0f32, |most, x| most.max(x.abs()));
        let error = want.iter().zip(got).fold(0f32, |most, (a, b)| if b.is_nan() { f32::INFINITY } else { most.max((a - b).abs()) });
        tally.worst = tally.worst.max(error / scale);
        // Scores of boxes are no classes of pixels: where nothing is, they may well be equal.
        if network.answers().len() > 1 {
            continue;
        }
        let class = |logits: &[f32], at: usize| (0..classes).max_by(|&a, &b| logits[a * h * w + at].total_cmp(&logits[b * h * w + at]));
        tally.pixels += h * w;
        tally.same_pixels += (0..h * w).filter(|&at| class(want, at) == class(got, at)).count();
    }
    tally.convolutions = [gpu.convolutions(), u64::from(tally.steps) * gpu.convolutions_per_step()];
    tally
}

/// As [`measure`], of the drifting bar, and what no network may get wrong is asserted.
pub fn compare(network: &Network, precision: Precision, frames: usize, rule: HaltingRule) -> Tally {
    let transforms = if set("TEST_TRANSFORMS") { Transforms::Always } else { Transforms::Auto };
    let options = Options { precision, kernels: kernels(), transforms, patience: patience(), ..Options::default() };
    let tally = measure(network, options, frames, rule, frame);
    assert!(tally.far.is_none(), "{}", tally.far.as_deref().unwrap_or_default());
    assert_eq!(tally.convolutions[0], tally.convolutions[1], "convolutions ran after the stop");
    println!(
        "measured: {} frames, {} steps, {} with the same steps, logits within {:.1e}, {:.3} % of pixels equal, {} convolutions",
        frames,
        tally.steps,
        tally.same_steps,
        tally.worst,
        100.0 * tally.same_pixels as f64 / tally.pixels as f64,
        tally.convolutions[0]
    );
    tally
}
