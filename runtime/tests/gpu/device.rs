//! For `tests/gpu/run.py`: what only a real device can show, and plans that need none. Each prints one line of JSON.

use std::time::{Duration, Instant};

use recslowfast::engine::cuda::plan::{Gpu, plan};
use recslowfast::engine::cuda::{CudaEngine, Options, Precision, Transforms};
use recslowfast::network::Network;
use recslowfast::network::engine::{Engine, Order};
use recslowfast::network::halting::{HaltingRule, Metric};

fn network() -> Network {
    let named = std::env::var("GPU_NETWORK").unwrap_or_else(|_| "pathfinder-hgru".into());
    Network::load(&named).expect("GPU_NETWORK names a network")
}

/// Median time of a frame of `network` under `rule`, in microseconds.
fn frame_us(engine: &mut CudaEngine, rule: HaltingRule) -> f64 {
    let order = Order { rule, limit: 64, deadline: None };
    let mut times = Vec::new();
    for round in 0..60 {
        for (at, value) in engine.input().iter_mut().enumerate() {
            *value = ((at * 31 + round) % 97) as f32 / 97.0;
        }
        engine.doubt();
        let began = Instant::now();
        engine.encode().unwrap();
        engine.advance(&order).unwrap();
        times.push(began.elapsed());
    }
    times.sort();
    times[times.len() / 2].as_secs_f64() * 1e6
}

/// Time of a step and of stopping early, on the device that is here.
#[test]
#[ignore = "needs a GPU; run by tests/gpu/run.py"]
fn time_a_step() {
    let network = network();
    for (name, options) in [
        ("fp16, as planned", Options::default()),
        ("fp16, direct", Options { transforms: Transforms::Never, ..Options::default() }),
        ("fp16, spectra", Options { transforms: Transforms::Always, ..Options::default() }),
        ("fp32, as planned", Options { precision: Precision::Full, ..Options::default() }),
    ] {
        let mut engine = CudaEngine::with(&network, options).expect("a GPU is here");
        frame_us(&mut engine, HaltingRule::fixed(8));
        let (short, long) = (frame_us(&mut engine, HaltingRule::fixed(8)), frame_us(&mut engine, HaltingRule::fixed(40)));
        // Stops after one step by itself, though eight were allowed and the last frame took eight.
        let one = frame_us(&mut engine, HaltingRule::fixed(1));
        let stopped = frame_us(&mut engine, HaltingRule::halting(Metric::RelativeL2, 1e9, 8));
        println!(
            "{{\"network\":\"{}\",\"engine\":\"{}\",\"options\":\"{name}\",\"step_us\":{:.2},\"frame_overhead_us\":{:.2},\"stopped_extra_us\":{:.2}}}",
            network.manifest.name,
            engine.description(),
            (long - short) / 32.0,
            short - (long - short) / 4.0,
            stopped - one
        );
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// The kernels of a frame on the GPU `GPU_PLAN` describes: capability,multiprocessors,KiB a block,KiB a multiprocessor,transforms.
#[test]
#[ignore = "run by tests/gpu/paper.py"]
fn print_plan() {
    let wanted = std::env::var("GPU_PLAN").expect("GPU_PLAN describes a GPU");
    let parts: Vec<&str> = wanted.split(',').collect();
    let number = |at: usize| parts[at].parse::<usize>().expect("a number");
    let transforms = match parts[4] {
        "always" => Transforms::Always,
        "never" => Transforms::Never,
        _ => Transforms::Auto,
    };
    let gpu = Gpu { capability: number(0) as u32, multiprocessors: number(1), shared_limit_kib: number(2), shared_total_kib: number(3) };
    let kernels = plan(&network(), gpu, transforms).expect("the network has kernels");
    println!("PLAN {}", serde_json::to_string(&kernels).expect("plain data"));
}

#[test]
fn the_reference_network_is_planned_for_every_generation() {
    for (capability, multiprocessors, limit, total, kernel) in [
        (53, 1, 48, 64, "conv_fft_multiply"),
        (72, 8, 96, 96, "conv_fft_multiply16"),
        (87, 8, 163, 164, "conv_mma"),
        (90, 132, 227, 228, "conv_"),
    ] {
        let gpu = Gpu { capability, multiprocessors, shared_limit_kib: limit, shared_total_kib: total };
        let kernels = plan(&Network::load("pathfinder-hgru").unwrap(), gpu, Transforms::Auto).unwrap();
        let large: Vec<_> = kernels.iter().filter(|kernel| kernel.phase == "step" && kernel.useful_macs > 100_000_000).collect();
        assert!(large.len() == 2 && large.iter().all(|found| found.kernel.starts_with(kernel)), "{capability}: {large:?}");
        let names: Vec<&str> = kernels.iter().map(|kernel| kernel.kernel.as_str()).collect();
        assert_eq!(names.iter().filter(|name| **name == "stats").count(), 3, "{names:?}");
    }
}
