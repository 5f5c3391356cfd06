//! The GPU engine gives what the CPU engine gives.

use std::time::Duration;

use recslowfast::engine::cpu::CpuEngine;
use recslowfast::engine::cuda::plan::plan;
use recslowfast::engine::cuda::{CudaEngine, Precision, Transforms};
use recslowfast::network::Network;
use recslowfast::network::engine::{Engine, StepRequest};
use recslowfast::network::halting::{FLOOR_RISE, HaltingRule, Metric};
use recslowfast::outcome::{StepTrace, StopReason};

use crate::compare::{compare, frame, set};
use crate::parts::ORIN;
use crate::standin::{self, AMPERE, Build, network as tiny};

/// One small network of each family, one of everything ordinary networks have besides, and one whose readout has several outputs.
pub const FAMILIES: [&str; 10] = [
    "tiny-sight",
    "tiny-hgru",
    "tiny-lean",
    "tiny-convlstm",
    "tiny-convgru",
    "tiny-gates",
    "tiny-feedforward",
    "tiny-unet",
    "tiny-powers",
    "../../networks/colour-boxes",
];

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

/// Every small network, under the thread order the caller sets.
#[test]
#[ignore = "run by the tests of this file, in a process of its own"]
fn child_families() {
    let full = set("TEST_FULL");
    for name in FAMILIES {
        let network = tiny(name);
        let precision = if full { Precision::Full } else { Precision::Auto };
        println!("measured: {name}");
        let tally = compare(&network, precision, 60, network.manifest.rule());
        // Untrained networks: what half floats round is not damped as in trained ones (the zoo is held to 2e-2 and 99.9 %, and in fp32 these are held to 2e-4), a norm
        // over ten channels enlarges it, and much of a picture lies at the threshold.
        let (limit, share) = if full { (2e-4, 0.999) } else { (3e-2, 0.998) };
        assert!(tally.worst <= limit, "{name}: logits differ by {}", tally.worst);
        assert!(tally.same_steps * 100 >= tally.frames * 98, "{name}: {} of {} frames took the same steps", tally.same_steps, tally.frames);
        assert!(tally.same_pixels as f64 >= tally.pixels as f64 * share, "{name}: {} of {} pixels agree", tally.same_pixels, tally.pixels);
    }
}

#[test]
fn every_family_agrees_with_the_cpu_on_tensor_cores() {
    let Some(folder) = standin::folder(AMPERE) else { return };
    standin::run(&folder, "agreement::child_families", &[]);
}

/// With kernels compiled for each network.
#[test]
fn every_family_agrees_with_the_cpu_by_compiled_kernels() {
    for (mma_path, full) in [(80, "0"), (70, "0"), (0, "1")] {
        let build = Build { mma_path, sanitized: false };
        let (Some(folder), Some(compiling)) = (standin::folder(build), standin::compiling(build)) else { return };
        let mut environment = standin::borrowed(&compiling);
        environment.extend([("TEST_FULL", full), ("STANDIN_ORDER", "2"), ("TEST_COMPILED", "1")]);
        standin::run(&folder, "agreement::child_families", &environment);
    }
}

#[test]
fn every_family_agrees_with_the_cpu_on_spectra() {
    let Some(folder) = standin::folder(AMPERE) else { return };
    standin::run(&folder, "agreement::child_families", &[("TEST_TRANSFORMS", "1")]);
    standin::run(&folder, "agreement::child_families", &[("TEST_TRANSFORMS", "1"), ("TEST_FULL", "1"), ("STANDIN_ORDER", "2")]);
}

/// Four tiles of a transform, where the small networks have one.
#[test]
fn the_reference_network_agrees_with_the_cpu_on_spectra() {
    let Some(folder) = standin::folder(AMPERE) else { return };
    standin::run(&folder, "agreement::child_reference", &[("TEST_TRANSFORMS", "1"), ("TEST_FRAMES", "3"), ("STANDIN_ORDER", "1")]);
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
#[ignore = "minutes of sanitizer runs; run by the verb standin"]
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
    let network = tiny("tiny-hgru");
    let (size, metric) = ((network.manifest.input.width as usize, network.manifest.input.height as usize), Metric::RelativeL2);
    let halting = |threshold| HaltingRule::halting(metric, threshold, 9);
    let floor = |wake, settle, floor| HaltingRule::floor(metric, wake, settle, floor, 9);
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
        floor(0.0, 0.05, 0.05),
        floor(0.05, 0.02, 0.05),
        floor(1e9, 0.05, 0.05),
        floor(0.05, 0.02, 1e-6),
        floor(0.05, 0.02, 10.0),
        HaltingRule { min: 2, ..floor(1e9, 0.05, 0.05) },
        HaltingRule { metric: Metric::Cosine, ..floor(0.005, 0.002, 0.01) },
        HaltingRule { cut: Some(0.0), fast: 2, ..halting(0.02) },
        HaltingRule { cut: Some(1e9), fast: 2, ..halting(0.02) },
        HaltingRule { cut: Some(0.3), surprise: Some(0.2), fast: 1, ..floor(0.1, 0.01, 0.1) },
        HaltingRule { cut: Some(1e9), zero: Some(0.2), ..floor(0.1, 0.02, 0.1) },
        HaltingRule { cut: Some(0.2), fast: 1, slow: 3, ..HaltingRule::fixed(3) },
        HaltingRule::fixed(64),
    ];
    let mut cpu = CpuEngine::load(&network).unwrap();
    let mut gpu = CudaEngine::load(&network, Precision::Auto).unwrap();
    for (which, rule) in rules.iter().enumerate() {
        for at in 0..6 {
            let limit = if at == 4 { 2 } else { 64 };
            let order = StepRequest { rule: *rule, limit, deadline: None };
            if at == 0 {
                cpu.reset();
                gpu.reset();
            }
            if at == 3 {
                cpu.mark_stale();
                gpu.mark_stale();
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
        let order = StepRequest { rule, limit: 64, deadline: None };
        let (want, got) = (cpu.advance(&order).unwrap(), gpu.advance(&order).unwrap());
        assert_eq!((want.steps, want.stop), (got.steps, got.stop), "creeping frame {at}: {want:?} and {got:?}");
        rested += usize::from(want.steps == 0);
    }
    assert!((1..38).contains(&rested), "{rested} of 40 frames rested");
    a_floor_rises(&mut cpu, &mut gpu, size);
    // A deadline that has passed allows the step that is under way, and no other.
    let order = StepRequest { rule: halting(0.0), limit: 64, deadline: Some(Duration::ZERO) };
    gpu.encode().unwrap();
    let trace = gpu.advance(&order).unwrap();
    assert_eq!((trace.steps, trace.stop), (1, StopReason::Deadline));
}

/// One scene between two brightnesses: every frame moves the state by about as much, and the floor, low at first, rises to where that no
/// longer wakes.
fn a_floor_rises(cpu: &mut CpuEngine, gpu: &mut CudaEngine, size: (usize, usize)) {
    let mut run = |rule: HaltingRule, frames: usize| {
        cpu.reset();
        gpu.reset();
        let order = StepRequest { rule, limit: 64, deadline: None };
        let traces = (0..frames).map(|at| {
            frame(1, size.0, size.1, cpu.input());
            cpu.input().iter_mut().for_each(|x| *x *= 1.0 + 0.2 * (at % 2) as f32);
            gpu.input().copy_from_slice(cpu.input());
            cpu.encode().unwrap();
            gpu.encode().unwrap();
            let (want, got) = (cpu.advance(&order).unwrap(), gpu.advance(&order).unwrap());
            assert_eq!((want.steps, want.stop), (got.steps, got.stop), "a rising floor, frame {at}: {want:?} and {got:?}");
            want
        });
        traces.collect::<Vec<_>>()
    };
    let usual = run(HaltingRule::fixed(1), 20)[19].distances[0];
    let floor = 0.1 * usual;
    let wake = usual * usual / (floor * FLOOR_RISE.powi(20));
    let traces = run(HaltingRule::floor(Metric::RelativeL2, wake, 0.01 * usual, floor, 4), 80);
    let woken = |traces: &[StepTrace]| traces.iter().filter(|trace| trace.steps > 1).count();
    assert!(woken(&traces[1..11]) > 0 && woken(&traces[60..]) == 0, "{:?}", traces.iter().map(|trace| trace.steps).collect::<Vec<_>>());
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
    for name in FAMILIES {
        let network = tiny(name);
        let full = set("TEST_FULL");
        let tally = compare(&network, if full { Precision::Full } else { Precision::Auto }, 3, network.manifest.rule());
        assert!(tally.worst <= if full { 2e-4 } else { 2e-2 }, "{name}: logits differ by {}", tally.worst);
    }
}

/// Labels are what the logits say, and logits on demand are those that come without being asked for.
#[test]
#[ignore = "run by the tests of this file, in a process of its own"]
fn child_labels() {
    let (mut pixels, mut shown) = (0, 0);
    for (name, threshold) in [("tiny-lean", 0.5), ("passthrough-colour", 0.4), ("passthrough-colour", 0.1)] {
        let network = tiny(name);
        let [_, classes, h, w] = network.answers()[0].shape[..] else { panic!("logits") };
        let (mut gpu, mut plain) =
            (CudaEngine::load(&network, Precision::Auto).unwrap(), CudaEngine::load(&network, Precision::Auto).unwrap());
        gpu.want_labels(threshold);
        let (width, height) = (network.manifest.input.width as usize, network.manifest.input.height as usize);
        let order = StepRequest { rule: network.manifest.rule(), limit: 64, deadline: None };
        for at in 0..4 {
            // The third frame is the second again: where that needs no step, its labels are still there.
            frame(if at == 2 { 1 } else { at * 9 }, width, height, plain.input());
            for (place, value) in plain.input().iter_mut().enumerate() {
                *value += (place % 7) as f32 * 0.3;
            }
            gpu.input().copy_from_slice(plain.input());
            for engine in [&mut gpu, &mut plain] {
                engine.encode().unwrap();
                engine.advance(&order).unwrap();
            }
            assert!(plain.labels().unwrap().is_none());
            let labels = gpu.labels().unwrap().expect("they were asked for").to_vec();
            let logits = gpu.readout().unwrap().to_vec();
            assert_eq!(logits, plain.readout().unwrap(), "{name}: logits on demand differ");
            for (at, label) in labels.iter().enumerate() {
                let logit = |class: usize| logits[class * h * w + at];
                let best = (1..classes).max_by(|&a, &b| logit(a).total_cmp(&logit(b)).then(b.cmp(&a))).unwrap();
                let probability = 1.0 / (0..classes).map(|class| (logit(class) - logit(best)).exp()).sum::<f32>();
                let (class, score) = if probability > threshold { (best, probability) } else { (0, 1.0 - probability) };
                let doubtful = (probability - threshold).abs() < 1e-4;
                assert!(doubtful || usize::from(label.class) == class, "{name}: pixel {at} of class {class} is labelled {label:?}");
                assert!(doubtful || (f32::from(label.score) / 255.0 - score).abs() < 2.1e-3, "{name}: {score} is labelled {label:?}");
                pixels += 1;
                shown += usize::from(class > 0);
            }
        }
    }
    assert!(shown > pixels / 10 && shown < pixels * 9 / 10, "{shown} of {pixels} pixels show something");
    println!("measured: {pixels} pixels labelled as their logits say, {shown} of them not background");
}

#[test]
fn labels_are_what_the_logits_say() {
    let Some(folder) = standin::folder(AMPERE) else { return };
    standin::run(&folder, "agreement::child_labels", &[]);
    let Some(folder) = standin::folder(Build { mma_path: 0, sanitized: false }) else { return };
    standin::run(&folder, "agreement::child_labels", &[("STANDIN_ORDER", "1")]);
}

/// An encoder's features beside its drive reach step and readout on the GPU as they do on the CPU.
#[test]
#[ignore = "run by the tests of this file, in a process of its own"]
fn child_features() {
    let network = tiny("tiny-features");
    for full in [false, true] {
        let precision = if full { Precision::Full } else { Precision::Auto };
        let tally = compare(&network, precision, 40, network.manifest.rule());
        assert!(tally.worst <= if full { 2e-4 } else { 2e-2 }, "logits differ by {}", tally.worst);
        assert!(tally.same_steps >= 39, "{} of 40 frames took the same steps", tally.same_steps);
    }
}

#[test]
fn features_beside_the_drive_agree_with_the_cpu() {
    let Some(folder) = standin::folder(AMPERE) else { return };
    standin::run(&folder, "agreement::child_features", &[]);
}

/// The networks that come with the project, by folder.
fn zoo() -> Vec<String> {
    let folder = standin::package().join("../models/zoo");
    let entries = std::fs::read_dir(folder).expect("the zoo is there").flatten();
    let mut found: Vec<String> = entries
        .filter(|entry| entry.path().join("model.toml").exists())
        .map(|entry| entry.path().to_str().expect("a plain path").to_owned())
        .collect();
    found.sort();
    assert!(!found.is_empty());
    found
}

/// Runs every network of the zoo, each for as many of `frames` frames as `billions` of multiply-adds allow; those of natural video, of which
/// most is no multiply-add, for three where that is a limit.
fn run_zoo(build: Build, full: bool, frames: usize, billions: f64) {
    let Some(folder) = standin::folder(build) else { return };
    for network in zoo() {
        let kernels = plan(&Network::load(&network).unwrap(), ORIN, Transforms::Never).expect("the zoo has kernels");
        let steps = |phase: &str| if phase == "step" { 6.0 } else { 1.0 };
        let macs: f64 = kernels.iter().map(|kernel| kernel.useful_macs as f64 * steps(kernel.phase)).sum();
        let most = if billions.is_finite() && !network.contains("pathfinder") { 3 } else { frames };
        let frames = ((billions * 1e9 / macs) as usize).clamp(3, most).to_string();
        println!("{network}");
        let full = if full { "1" } else { "0" };
        standin::run(
            &folder,
            "agreement::child_reference",
            &[("STANDIN_NETWORK", &network), ("TEST_FULL", full), ("TEST_FRAMES", &frames)],
        );
    }
}

#[test]
fn every_network_of_the_zoo_agrees_with_the_cpu_on_tensor_cores() {
    run_zoo(AMPERE, false, 60, 100.0);
}

#[test]
fn every_network_of_the_zoo_agrees_with_the_cpu_in_fp32() {
    run_zoo(Build { mma_path: 0, sanitized: false }, true, 60, 40.0);
}

#[test]
fn every_network_of_the_zoo_agrees_with_the_cpu_on_xavier() {
    run_zoo(Build { mma_path: 70, sanitized: false }, false, 60, 20.0);
}

#[test]
#[ignore = "takes long; run by the verb gpu"]
fn the_whole_zoo_agrees_with_the_cpu_on_tensor_cores() {
    run_zoo(AMPERE, false, 60, f64::INFINITY);
}

#[test]
#[ignore = "takes long; run by the verb gpu"]
fn the_whole_zoo_agrees_with_the_cpu_in_fp32() {
    run_zoo(Build { mma_path: 0, sanitized: false }, true, 60, f64::INFINITY);
}
