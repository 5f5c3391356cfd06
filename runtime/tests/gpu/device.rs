//! What only a real device can show, for `tests/gpu/run`, and plans that need none. Each prints lines of JSON and judges nothing: the
//! script does.

use std::time::{Duration, Instant};

use recslowfast::engine::cpu::CpuEngine;
use recslowfast::engine::cpu::tiles::Settings;
use recslowfast::engine::cuda::plan::{Gpu, compile, plan, source};
use recslowfast::engine::cuda::{CudaEngine, Kernels, Options, Precision, Transforms, doctor};
use recslowfast::network::Network;
use recslowfast::network::engine::{Engine, StepRequest};
use recslowfast::network::halting::{HaltingRule, Metric};
use serde_json::json;
use temporal_pathfinder::{Spec, Split, Stream};

use crate::compare::{self, measure, patience, set};
use crate::parts::ORIN;
use crate::tiles;

fn network() -> Network {
    // What the engine warns of explains what is measured.
    let _ = env_logger::try_init();
    let named = std::env::var("GPU_NETWORK").unwrap_or_else(|_| "pathfinder-hgru".into());
    Network::load(&named).expect("GPU_NETWORK names a network")
}

fn number(name: &str, otherwise: usize) -> usize {
    std::env::var(name).ok().map_or(otherwise, |value| value.parse().expect("a number"))
}

fn options() -> Options {
    let precision = if set("TEST_FULL") { Precision::Full } else { Precision::Auto };
    let transforms = match std::env::var("TEST_TRANSFORMS").as_deref() {
        Ok("always") => Transforms::Always,
        Ok("never") => Transforms::Never,
        _ => Transforms::Auto,
    };
    Options { precision, kernels: compare::kernels(), transforms, patience: patience(), ..Options::default() }
}

/// Frames of the generated stream as `network` takes them, where it takes square grey ones.
fn stream(network: &Network) -> Option<impl FnMut(&mut [f32]) + use<>> {
    let input = &network.manifest.input;
    if input.channels != 1 || input.width != input.height {
        return None;
    }
    let spec = Spec { split: Split::Easy, seed: 3, size: input.width, frames: 1 };
    spec.check().ok()?;
    let (mut stream, mut luma, mut mask) = (Stream::new(spec), vec![0; spec.pixels()], vec![0; spec.pixels()]);
    let (mean, std) = (input.mean[0], input.std[0]);
    Some(move |into: &mut [f32]| {
        stream.draw_next(&mut luma, &mut mask);
        for (value, &byte) in into.iter_mut().zip(&luma) {
            *value = (f32::from(byte) / 255.0 - mean) / std;
        }
    })
}

/// Both engines over carried frames of the stream, or of the drifting bar where the network takes no grey squares.
#[test]
#[ignore = "needs a GPU; run by tests/gpu/run"]
fn agree() {
    let network = network();
    let mut frames = stream(&network);
    let tally =
        measure(&network, options(), number("TEST_FRAMES", 60), network.manifest.rule(), |at, width, height, into| match &mut frames {
            Some(draw) => draw(into),
            None => compare::frame(at, width, height, into),
        });
    let line = json!({
        "network": network.manifest.name,
        "engine": tally.engine,
        "recorded": tally.recorded,
        "frames": tally.frames,
        "same_steps": tally.same_steps,
        "steps": tally.steps,
        "logits_relative": tally.worst,
        "pixels": tally.pixels,
        "same_pixels": tally.same_pixels,
        "convolutions": tally.convolutions,
        "far": tally.far,
    });
    println!("{line}");
}

/// Times of a frame of `network` under `rule`, in microseconds, sorted; each after a frame under `before`, where one is asked for.
fn frame_times(engine: &mut CudaEngine, rule: HaltingRule, before: Option<HaltingRule>) -> Vec<f64> {
    let mut times = Vec::new();
    for round in 0..number("GPU_ROUNDS", 60) {
        for rule in [before, Some(rule)].into_iter().flatten() {
            for (at, value) in engine.input().iter_mut().enumerate() {
                *value = ((at * 31 + round) % 97) as f32 / 97.0;
            }
            engine.mark_stale();
            let began = Instant::now();
            engine.encode().unwrap();
            engine.advance(&StepRequest { rule, limit: 64, deadline: None }).unwrap();
            times.push(began.elapsed().as_secs_f64() * 1e6);
        }
    }
    let every = 1 + usize::from(before.is_some());
    let mut times: Vec<f64> = times.into_iter().skip(every - 1).step_by(every).collect();
    times.sort_by(f64::total_cmp);
    times
}

/// Works until the device runs at the clocks of work: an idle one is several times slower.
fn warm_up(engine: &mut dyn Engine) {
    let (began, long) = (Instant::now(), Duration::from_millis(number("GPU_WARM_MS", 500) as u64));
    while began.elapsed() < long {
        engine.encode().unwrap();
        engine.advance(&StepRequest { rule: HaltingRule::fixed(40), limit: 64, deadline: None }).unwrap();
    }
}

/// Time of a step, of a frame and of stopping early, on the device that is here.
#[test]
#[ignore = "needs a GPU; run by tests/gpu/run"]
fn time_a_step() {
    let network = network();
    let median = |times: Vec<f64>| times[times.len() / 2];
    for (name, mut options) in [
        ("fp16, as planned", Options::default()),
        ("fp16, chains interpreted", Options { kernels: Kernels::BuiltIn, ..Options::default() }),
        ("fp16, direct", Options { transforms: Transforms::Never, ..Options::default() }),
        ("fp16, spectra", Options { transforms: Transforms::Always, ..Options::default() }),
        ("fp32, as planned", Options { precision: Precision::Full, ..Options::default() }),
    ] {
        options.patience = patience();
        let mut engine = match CudaEngine::with(&network, options) {
            Ok(engine) => engine,
            Err(error) => {
                println!("{}", json!({"network": network.manifest.name, "options": name, "error": error.to_string()}));
                continue;
            }
        };
        let steps = engine.convolutions_per_step() > 0;
        let fixed = |engine: &mut CudaEngine, steps: u32| median(frame_times(engine, HaltingRule::fixed(steps), None));
        warm_up(&mut engine);
        let mut line =
            json!({"network": network.manifest.name, "engine": engine.description(), "options": name, "recorded": engine.is_recorded()});
        let mut put = |what: &str, us: f64| line[what] = json!((us * 100.0).round() / 100.0);
        let six = frame_times(&mut engine, HaltingRule::fixed(6), None);
        put("fixed_6_frame_us", six[six.len() / 2]);
        put("fixed_6_frame_p90_us", six[six.len() * 9 / 10]);
        // Of a frame, what passes before the host has queued its picture and its encoder.
        let mut queued: Vec<f64> = (0..number("GPU_ROUNDS", 60))
            .map(|_| {
                let began = Instant::now();
                engine.encode().unwrap();
                let took = began.elapsed().as_secs_f64() * 1e6;
                engine.advance(&StepRequest { rule: HaltingRule::fixed(1), limit: 64, deadline: None }).unwrap();
                took
            })
            .collect();
        queued.sort_by(f64::total_cmp);
        put("encode_call_us", median(queued));
        if steps {
            let (one, short, long) = (fixed(&mut engine, 1), fixed(&mut engine, 8), fixed(&mut engine, 40));
            put("step_us", (long - short) / 32.0);
            put("frame_overhead_us", short - (long - short) / 4.0);
            put("one_step_frame_us", one);
            // Stops after one step by itself, though eight were allowed: as the frame before did, and after one that took all eight,
            // which are queued again before the device is asked.
            let stopping = HaltingRule::halting(Metric::RelativeL2, 1e9, 8);
            put("stopped_extra_us", median(frame_times(&mut engine, stopping, None)) - one);
            let running = HaltingRule::halting(Metric::RelativeL2, 0.0, 8);
            put("stopped_extra_after_eight_us", median(frame_times(&mut engine, stopping, Some(running))) - one);
        }
        // Last, for logits come on demand alone from here on.
        engine.want_labels(0.5);
        line["fixed_6_labels_frame_us"] = json!((fixed(&mut engine, 6) * 100.0).round() / 100.0);
        println!("{line}");
    }
}

/// Time of a frame by tiles, and densely: nothing moved, a box walks, everything moved.
#[test]
#[ignore = "needs a GPU; run by tests/gpu/run"]
fn time_tiles() {
    let network = network();
    let settings = Settings::of(&network.manifest.tiles);
    let mut dense = CudaEngine::with(&network, options()).expect("a GPU is here");
    let mut by_tiles = CudaEngine::with(&network, Options { tiles: Some(settings), ..options() }).expect("a GPU is here");
    assert!(by_tiles.is_tiled(), "{:?}", by_tiles.not_tiled());
    let rounds = number("GPU_ROUNDS", 60);
    let still = |_: usize| tiles::picture(&network, 0, None, 0);
    let walking = |at: usize| tiles::picture(&network, 0, Some(8 + 2 * at % (network.manifest.input.width as usize / 2)), 0);
    let moving = |at: usize| tiles::picture(&network, at, None, 0);
    for (what, draw) in [("nothing moves", &still as &dyn Fn(usize) -> Vec<f32>), ("a box walks", &walking), ("everything moves", &moving)]
    {
        let drawn: Vec<Vec<f32>> = (0..rounds).map(draw).collect();
        let mut sums = [0f64; 4];
        let run = |engine: &mut CudaEngine, sums: &mut [f64; 4]| {
            engine.reset();
            let mut times = Vec::new();
            for frame in &drawn {
                engine.input().copy_from_slice(frame);
                let began = Instant::now();
                engine.encode().unwrap();
                let trace = engine.advance(&StepRequest { rule: network.manifest.rule(), limit: 64, deadline: None }).unwrap();
                engine.readout().unwrap();
                times.push(began.elapsed().as_secs_f64() * 1e6);
                let told = [trace.moved, trace.encoded, trace.steps as f32, trace.stepped];
                sums.iter_mut().zip(told).for_each(|(sum, told)| *sum += f64::from(told) / rounds as f64);
            }
            times.sort_by(f64::total_cmp);
            (times[times.len() / 2] * 100.0).round() / 100.0
        };
        warm_up(&mut dense);
        let dense_us = run(&mut dense, &mut [0.0; 4]);
        let frame_us = run(&mut by_tiles, &mut sums);
        let [moved, encoded, steps, stepped] = sums;
        println!(
            "{}",
            json!({"network": network.manifest.name, "what": what, "frame_us": frame_us, "dense_us": dense_us,
                "moved": moved, "encoded": encoded, "steps": steps, "stepped": stepped})
        );
    }
}

/// Frames a second over the generated stream, under the network's own rule and with six steps each.
#[test]
#[ignore = "needs a GPU; run by tests/gpu/run"]
fn rate() {
    let network = network();
    let Some(mut draw) = stream(&network) else { panic!("the generated stream is of grey squares") };
    let pixels = (network.manifest.input.width * network.manifest.input.height) as usize;
    let run = |engine: &mut dyn Engine, rule: HaltingRule, frames: &[Vec<f32>]| {
        engine.reset();
        let (began, mut steps) = (Instant::now(), 0);
        for frame in frames {
            engine.input().copy_from_slice(frame);
            engine.encode().unwrap();
            steps += engine.advance(&StepRequest { rule, limit: 64, deadline: None }).unwrap().steps;
            engine.readout().unwrap();
        }
        (frames.len() as f64 / began.elapsed().as_secs_f64(), f64::from(steps) / frames.len() as f64)
    };
    let drawn: Vec<Vec<f32>> = (0..number("TEST_FRAMES", 1000))
        .map(|_| {
            let mut frame = vec![0.0; pixels];
            draw(&mut frame);
            frame
        })
        .collect();
    let engines: [(&str, Box<dyn Engine>, usize); 2] = [
        ("cuda", Box::new(CudaEngine::with(&network, options()).expect("a GPU is here")), drawn.len()),
        ("cpu", Box::new(CpuEngine::load(&network).unwrap()), number("GPU_CPU_FRAMES", drawn.len() / 10).min(drawn.len())),
    ];
    for (name, mut engine, count) in engines {
        warm_up(&mut *engine);
        for (rule, called) in [(network.manifest.rule(), "own"), (HaltingRule::fixed(6), "fixed:6")] {
            let (fps, steps) = run(&mut *engine, rule, &drawn[..count]);
            println!(
                "{}",
                json!({"network": network.manifest.name, "engine": name, "rule": called, "frames": count, "fps": fps, "steps": steps})
            );
        }
    }
}

/// Memory of the device and of this process over many frames, and over loading again and again.
#[test]
#[ignore = "needs a GPU; run by tests/gpu/run"]
fn stays_flat() {
    let network = network();
    let resident = || {
        let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
        status.lines().find_map(|line| line.strip_prefix("VmRSS:")?.split_whitespace().next()?.parse::<u64>().ok())
    };
    let mut engine = CudaEngine::with(&network, options()).expect("a GPU is here");
    let frames = number("TEST_FRAMES", 10_000);
    let (mut device, mut host) = (Vec::new(), Vec::new());
    for round in 0..frames {
        engine.input()[round % 1000] = (round % 97) as f32 / 97.0;
        engine.encode().unwrap();
        engine.advance(&StepRequest { rule: network.manifest.rule(), limit: 64, deadline: None }).unwrap();
        engine.readout().unwrap();
        if (round + 1) % frames.div_ceil(10) == 0 {
            device.push(engine.memory().map(|(free, _)| free));
            host.push(resident());
        }
    }
    println!("{}", json!({"frames": frames, "device_free": device, "host_kib": host}));
    let free = |engine: &CudaEngine| engine.memory().map(|(free, _)| free);
    let (mut loads, count) = (Vec::new(), number("GPU_LOADS", 10));
    for _ in 0..count {
        // The other one keeps the context alive: what is lost, stays lost.
        drop(CudaEngine::with(&network, options()).expect("it loaded before"));
        loads.push(free(&engine));
    }
    println!("{}", json!({"loads": count, "device_free": loads}));
}

/// A few frames of two steps, for a profiler.
#[test]
#[ignore = "needs a GPU; run by tests/gpu/run"]
fn a_few_steps() {
    let network = network();
    let mut engine = CudaEngine::with(&network, options()).expect("a GPU is here");
    for round in 0..number("TEST_FRAMES", 3) {
        engine.input().iter_mut().enumerate().for_each(|(at, value)| *value = ((at * 31 + round) % 97) as f32 / 97.0);
        engine.encode().unwrap();
        engine.advance(&StepRequest { rule: HaltingRule::fixed(2), limit: 2, deadline: None }).unwrap();
    }
    println!("{}", json!({"engine": engine.description(), "recorded": engine.is_recorded()}));
}

/// What the doctor says of the device that is here.
#[test]
#[ignore = "needs a GPU; run by tests/gpu/run"]
fn examine() {
    let found = doctor::examine(std::path::Path::new("/"));
    let facts: serde_json::Map<_, _> = found.facts.iter().map(|(name, value)| ((*name).to_owned(), json!(value))).collect();
    println!("{}", json!({"facts": facts, "problems": found.problems, "launch_us": found.launch_us, "node_us": found.node_us}));
}

/// The GPU `GPU_PLAN` describes: capability,multiprocessors,KiB a block,KiB a multiprocessor,transforms,kernels.
fn planned_gpu() -> (Gpu, Transforms) {
    let wanted = std::env::var("GPU_PLAN").expect("GPU_PLAN describes a GPU");
    let parts: Vec<&str> = wanted.split(',').collect();
    let number = |at: usize| parts[at].parse::<usize>().expect("a number");
    let transforms = match parts[4] {
        "always" => Transforms::Always,
        "never" => Transforms::Never,
        _ => Transforms::Auto,
    };
    let gpu = Gpu {
        capability: number(0) as u32,
        multiprocessors: number(1),
        shared_limit_kib: number(2),
        shared_total_kib: number(3),
        compiled: parts.get(5) == Some(&"compiled"),
    };
    (gpu, transforms)
}

/// The kernels of a frame.
#[test]
#[ignore = "run by tests/gpu/paper.py"]
fn print_plan() {
    let (gpu, transforms) = planned_gpu();
    let kernels = plan(&network(), gpu, transforms).expect("the network has kernels");
    println!("PLAN {}", serde_json::to_string(&kernels).expect("plain data"));
}

/// The kernels that are compiled for a network: their source to the file `GPU_SOURCE`, and what NVRTC makes of it to `GPU_IMAGE`.
#[test]
#[ignore = "run by tests/gpu/build.py"]
fn print_source() {
    let (gpu, transforms) = planned_gpu();
    let network = network();
    if let Ok(place) = std::env::var("GPU_SOURCE") {
        std::fs::write(place, source(&network, gpu, transforms).expect("the network has kernels")).expect("it can be written");
    }
    if let Ok(place) = std::env::var("GPU_IMAGE") {
        std::fs::write(place, compile(&network, gpu, transforms).expect("NVRTC compiles it")).expect("it can be written");
    }
}

#[test]
fn the_reference_network_is_planned_for_every_generation() {
    let names = |network: &str, gpu: Gpu, phase: &str| -> Vec<String> {
        let kernels = plan(&Network::load(network).unwrap(), gpu, Transforms::Auto).unwrap();
        kernels.into_iter().filter(|kernel| kernel.phase == phase).map(|kernel| kernel.kernel).collect()
    };
    for (capability, multiprocessors, limit, total, kernel) in [
        (53, 1, 48, 64, "conv_fft_multiply"),
        (72, 8, 96, 96, "conv_fft_multiply16"),
        (87, 8, 163, 164, "conv_mma"),
        (90, 132, 227, 228, "conv_fft_multiply16"),
    ] {
        let gpu = Gpu { capability, multiprocessors, shared_limit_kib: limit, shared_total_kib: total, compiled: false };
        let kernels = plan(&Network::load("pathfinder-hgru").unwrap(), gpu, Transforms::Auto).unwrap();
        let large: Vec<_> = kernels.iter().filter(|kernel| kernel.phase == "step" && kernel.useful_macs > 100_000_000).collect();
        assert!(large.len() == 2 && large.iter().all(|found| found.kernel.starts_with(kernel)), "{capability}: {large:?}");
        // Transforms measure what they store.
        let names = names("pathfinder-hgru", gpu, "step");
        let measured = if kernel == "conv_mma" { 2 } else { 0 };
        assert_eq!(names.iter().filter(|name| **name == "stats").count(), measured, "{names:?}");
    }
    // Compiled, a gate, a norm and the state's update lie within the convolutions.
    let compiled = Gpu { compiled: true, ..ORIN };
    let step = ["conv_mma_8+chain", "conv_mma_8+stats", "chain", "conv_mma_8+stats", "conv_mma_8+chain"];
    assert_eq!(names("pathfinder-hgru", compiled, "step"), step);
    let encoder = names("street", compiled, "encode");
    assert!(encoder.len() < names("street", ORIN, "encode").len() * 6 / 10, "{encoder:?}");
}
