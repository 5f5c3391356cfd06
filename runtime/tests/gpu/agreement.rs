//! The GPU engine gives what the CPU engine gives.

use std::time::Duration;

use recslowfast::engine::cpu::CpuEngine;
use recslowfast::engine::cuda::{CudaEngine, Options, Precision, Transforms};
use recslowfast::network::Network;
use recslowfast::network::engine::{Engine, Order};
use recslowfast::network::halting::{HaltingRule, Metric};
use recslowfast::outcome::Stop;

use crate::standin::{self, AMPERE, Build};

/// A bright bar that drifts and turns, over a faint texture; now and then the scene jumps.
fn frame(at: usize, width: usize, height: usize, into: &mut [f32]) {
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
fn set(name: &str) -> bool {
    std::env::var(name).is_ok_and(|value| value == "1")
}

struct Tally {
    frames: usize,
    same_steps: usize,
    worst: f32,
    pixels: usize,
    same_pixels: usize,
    steps: u32,
}

/// Runs `frames` frames on both engines.
fn compare(network: &Network, precision: Precision, frames: usize, rule: HaltingRule) -> Tally {
    let mut cpu = CpuEngine::load(network).expect("the CPU runs every network");
    let transforms = if set("TEST_TRANSFORMS") { Transforms::Always } else { Transforms::Auto };
    let mut gpu = CudaEngine::with(network, Options { precision, transforms }).expect("the stand-in runs this network");
    let [_, classes, h, w] = network.logits_shape();
    let (width, height) = (network.manifest.input.width as usize, network.manifest.input.height as usize);
    let mut tally = Tally { frames, same_steps: 0, worst: 0.0, pixels: 0, same_pixels: 0, steps: 0 };
    let order = Order { rule, limit: 64, deadline: None };
    for at in 0..frames {
        frame(at, width, height, cpu.input());
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
            assert!(near(*want, *got), "frame {at}: the state moved by {want} and {got}");
        }
        assert!(
            near(want.drive_distance, got.drive_distance),
            "frame {at}: drive moved {} and {}",
            want.drive_distance,
            got.drive_distance
        );
        let (want, got) = (cpu.readout().unwrap(), gpu.readout().unwrap());
        let scale = want.iter().fold(0f32, |most, x| most.max(x.abs()));
        let error = want.iter().zip(got).fold(0f32, |most, (a, b)| if b.is_nan() { f32::INFINITY } else { most.max((a - b).abs()) });
        tally.worst = tally.worst.max(error / scale);
        let class = |logits: &[f32], at: usize| (0..classes).max_by(|&a, &b| logits[a * h * w + at].total_cmp(&logits[b * h * w + at]));
        tally.pixels += h * w;
        tally.same_pixels += (0..h * w).filter(|&at| class(want, at) == class(got, at)).count();
    }
    let convolutions = gpu.convolutions();
    assert_eq!(convolutions, u64::from(tally.steps) * gpu.convolutions_per_step(), "convolutions ran after the stop");
    println!(
        "measured: {} frames, {} steps, {} with the same steps, logits within {:.1e}, {:.3} % of pixels equal, {convolutions} convolutions",
        frames,
        tally.steps,
        tally.same_steps,
        tally.worst,
        100.0 * tally.same_pixels as f64 / tally.pixels as f64
    );
    tally
}

fn reference() -> Network {
    let named = std::env::var("STANDIN_NETWORK").unwrap_or_else(|_| "pathfinder-hgru".into());
    Network::load(&named).expect("the network is there")
}

#[test]
#[ignore = "run by the tests of this file, in a process of its own"]
fn child_reference() {
    let setting = |name: &str| std::env::var(name).ok().and_then(|value| value.parse::<usize>().ok());
    let full = setting("TEST_FULL") == Some(1);
    let frames = setting("TEST_FRAMES").unwrap_or(60);
    let network = reference();
    let precision = if full { Precision::Full } else { Precision::Auto };
    let rule = network.manifest.rule();
    let tally = compare(&network, precision, frames, rule);
    let limit = if full { 2e-4 } else { 2e-2 };
    assert!(tally.worst <= limit, "logits differ by {}", tally.worst);
    assert!(tally.same_steps * 100 >= tally.frames * 98, "{} of {} frames took the same steps", tally.same_steps, tally.frames);
    assert!(tally.same_pixels as f64 >= tally.pixels as f64 * 0.999, "{} of {} pixels agree", tally.same_pixels, tally.pixels);
}

/// One small network of each family, under every thread order the caller sets.
#[test]
#[ignore = "run by the tests of this file, in a process of its own"]
fn child_families() {
    let full = set("TEST_FULL");
    for name in ["tiny-hgru", "tiny-convlstm", "tiny-convgru", "tiny-feedforward"] {
        let network = Network::load(&format!("{}/tests/gpu/networks/{name}", env!("CARGO_MANIFEST_DIR"))).expect("the fixture is there");
        let precision = if full { Precision::Full } else { Precision::Auto };
        println!("measured: {name}");
        let tally = compare(&network, precision, 60, network.manifest.rule());
        assert!(tally.worst <= if full { 2e-4 } else { 2e-2 }, "{name}: logits differ by {}", tally.worst);
        assert!(tally.same_steps * 100 >= tally.frames * 98, "{name}: {} of {} frames took the same steps", tally.same_steps, tally.frames);
        assert!(tally.same_pixels as f64 >= tally.pixels as f64 * 0.999, "{name}: {} of {} pixels agree", tally.same_pixels, tally.pixels);
    }
}

#[test]
fn every_family_agrees_with_the_cpu_on_tensor_cores() {
    let Some(folder) = standin::folder(AMPERE) else { return };
    standin::run(&folder, "agreement::child_families", &[]);
}

#[test]
fn every_family_agrees_with_the_cpu_on_spectra() {
    let Some(folder) = standin::folder(AMPERE) else { return };
    standin::run(&folder, "agreement::child_families", &[("TEST_TRANSFORMS", "1")]);
    standin::run(&folder, "agreement::child_families", &[("TEST_TRANSFORMS", "1"), ("TEST_FULL", "1"), ("STANDIN_ORDER", "2")]);
}

#[test]
fn every_family_agrees_with_the_cpu_in_fp32() {
    let Some(folder) = standin::folder(Build { mma_path: 0, sanitized: false }) else { return };
    standin::run(&folder, "agreement::child_families", &[("TEST_FULL", "1"), ("STANDIN_ORDER", "1")]);
}

#[test]
fn every_family_agrees_with_the_cpu_on_xavier() {
    let Some(folder) = standin::folder(Build { mma_path: 70, sanitized: false }) else { return };
    standin::run(&folder, "agreement::child_families", &[("STANDIN_ORDER", "3")]);
}

#[test]
fn the_kernels_are_clean_under_sanitizers_in_every_order() {
    for mma_path in [80, 70, 0] {
        let Some(folder) = standin::folder(Build { mma_path, sanitized: true }) else { return };
        let around = standin::sanitizer_environment();
        for (order, transforms) in [("1", "0"), ("5", "1")] {
            let mut environment: Vec<(&str, &str)> = around.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
            environment.extend([("STANDIN_ORDER", order), ("TEST_TRANSFORMS", transforms)]);
            standin::run(&folder, "agreement::child_short", &environment);
        }
    }
}

/// Every rule, on both engines: the same decisions.
#[test]
#[ignore = "run by the tests of this file, in a process of its own"]
fn child_rules() {
    let network = Network::load(&format!("{}/tests/gpu/networks/tiny-hgru", env!("CARGO_MANIFEST_DIR"))).expect("the fixture is there");
    let (size, metric) = ((network.manifest.input.width as usize, network.manifest.input.height as usize), Metric::RelativeL2);
    let halting = |threshold| HaltingRule::halting(metric, threshold, 9);
    let rules = [
        HaltingRule::fixed(3),
        HaltingRule::slow_fast(5, 1),
        halting(0.0),
        halting(0.05),
        halting(1e9),
        HaltingRule { min: 3, ..halting(1e9) },
        HaltingRule { surprise: Some(0.0), fast: 2, slow: 6, ..halting(0.0) },
        HaltingRule { surprise: Some(1e9), fast: 2, slow: 6, ..halting(0.0) },
        HaltingRule { surprise: Some(0.2), fast: 1, ..halting(0.01) },
        HaltingRule { zero: Some(1e9), ..halting(0.05) },
        HaltingRule { zero: Some(0.0), ..halting(0.05) },
        HaltingRule { metric: Metric::RelativeL1, ..halting(0.05) },
        HaltingRule { metric: Metric::Cosine, ..halting(0.005) },
        HaltingRule { fast: 0, slow: 1, ..HaltingRule::fixed(1) },
        HaltingRule::fixed(64),
    ];
    let mut cpu = CpuEngine::load(&network).unwrap();
    let mut gpu = CudaEngine::load(&network, Precision::Auto).unwrap();
    for (which, rule) in rules.iter().enumerate() {
        for at in 0..6 {
            let limit = if at == 4 { 2 } else { 64 };
            let order = Order { rule: *rule, limit, deadline: None };
            if at == 0 {
                cpu.reset();
                gpu.reset();
            }
            if at == 3 {
                cpu.doubt();
                gpu.doubt();
            }
            // Frame 2 is frame 1 again: the drive does not move.
            frame(if at == 2 { 1 } else { at * 9 }, size.0, size.1, cpu.input());
            gpu.input().copy_from_slice(cpu.input());
            cpu.encode().unwrap();
            gpu.encode().unwrap();
            let (want, got) = (cpu.advance(&order).unwrap(), gpu.advance(&order).unwrap());
            assert_eq!(
                (want.steps, want.stop, want.limit),
                (got.steps, got.stop, got.limit),
                "rule {which} {rule:?}, frame {at}: {want:?} and {got:?}"
            );
        }
    }
    // A scene that creeps is stepped on the same frames.
    let rule = HaltingRule { zero: Some(0.1), ..halting(0.05) };
    let mut rested = 0;
    for at in 0..40 {
        frame(1, size.0, size.1, cpu.input());
        cpu.input().iter_mut().for_each(|x| *x *= 1.0 + 0.01 * at as f32);
        gpu.input().copy_from_slice(cpu.input());
        cpu.encode().unwrap();
        gpu.encode().unwrap();
        let order = Order { rule, limit: 64, deadline: None };
        let (want, got) = (cpu.advance(&order).unwrap(), gpu.advance(&order).unwrap());
        assert_eq!((want.steps, want.stop), (got.steps, got.stop), "creeping frame {at}: {want:?} and {got:?}");
        rested += usize::from(want.steps == 0);
    }
    assert!((1..38).contains(&rested), "{rested} of 40 frames rested");
    // A deadline that has passed allows the step that is under way, and no other.
    let order = Order { rule: halting(0.0), limit: 64, deadline: Some(Duration::ZERO) };
    gpu.encode().unwrap();
    let trace = gpu.advance(&order).unwrap();
    assert_eq!((trace.steps, trace.stop), (1, Stop::Deadline));
}

#[test]
fn every_rule_decides_as_on_the_cpu() {
    let Some(folder) = standin::folder(AMPERE) else { return };
    standin::run(&folder, "agreement::child_rules", &[]);
}

/// A few frames of every family.
#[test]
#[ignore = "run by the tests of this file, in a process of its own"]
fn child_short() {
    for name in ["tiny-hgru", "tiny-convlstm", "tiny-convgru", "tiny-feedforward"] {
        let network = Network::load(&format!("{}/tests/gpu/networks/{name}", env!("CARGO_MANIFEST_DIR"))).expect("the fixture is there");
        let full = set("TEST_FULL");
        let tally = compare(&network, if full { Precision::Full } else { Precision::Auto }, 3, network.manifest.rule());
        assert!(tally.worst <= if full { 2e-4 } else { 2e-2 }, "{name}: logits differ by {}", tally.worst);
    }
}

#[test]
fn the_reference_network_agrees_with_the_cpu_on_tensor_cores() {
    let Some(folder) = standin::folder(AMPERE) else { return };
    standin::run(&folder, "agreement::child_reference", &[]);
}

#[test]
fn the_reference_network_agrees_with_the_cpu_in_fp32() {
    let Some(folder) = standin::folder(Build { mma_path: 0, sanitized: false }) else { return };
    standin::run(&folder, "agreement::child_reference", &[("TEST_FULL", "1"), ("TEST_FRAMES", "12")]);
}

#[test]
fn the_reference_network_agrees_with_the_cpu_on_xavier() {
    let Some(folder) = standin::folder(Build { mma_path: 70, sanitized: false }) else { return };
    standin::run(&folder, "agreement::child_reference", &[("TEST_FRAMES", "6"), ("STANDIN_ORDER", "7")]);
}
