//! Only what moved, on the GPU: the bits of its own dense run wherever it computes exactly, and the tiles of the CPU engine.
//!
//! With `GPU_WHOLE` set every form of the kernels and every setting is run, and not one of two.

use recslowfast::acceptance::Settings as Acceptance;
use recslowfast::engine::cpu::tiles::Settings;
use recslowfast::engine::cpu::{self, CpuEngine};
use recslowfast::engine::cuda::{CudaEngine, Options, Precision, Transforms};
use recslowfast::network::Network;
use recslowfast::network::engine::{Engine, StepRequest};
use recslowfast::network::halting::{HaltingRule, Metric};
use recslowfast::outcome::{StepTrace, StopReason, TileMap};

use crate::compare::{patience, set};
use crate::faults::number;
use crate::standin::{self, AMPERE, Build, network as tiny};

/// A scene that stands still and a box in it, from column `left` on; another `scene` is another picture.
pub fn picture(network: &Network, scene: usize, left: Option<usize>, noise: usize) -> Vec<f32> {
    let input = &network.manifest.input;
    let (c, h, w) = (input.channels as usize, input.height as usize, input.width as usize);
    let level = |i: usize| {
        let (channel, y, x) = (i / (h * w), i / w % h, i % w);
        let still = (i * 2_654_435_761 + scene * 977) >> 9 & 127;
        let inside = left.is_some_and(|left| (left..left + w / 12).contains(&x) && (h / 4..h / 2).contains(&y));
        let trembling = if noise == 0 { 0 } else { (i * 40_503 + noise * 69_061) >> 5 & 3 };
        let level = if inside { 40 + channel * 20 + y % 7 * 6 } else { 60 + still } + trembling;
        let of = |values: &[f32]| values[channel.min(values.len() - 1)];
        (level as f32 / 255.0 - of(&input.mean)) / of(&input.std)
    };
    (0..c * h * w).map(level).collect()
}

/// A box walks, stands, leaves and comes back; then the scene is another, and the box walks there.
fn film(network: &Network, noise: bool) -> Vec<Vec<f32>> {
    let w = network.manifest.input.width as usize;
    let walk = [None, Some(0), Some(1), Some(2), Some(2), Some(2), None, None, Some(9), Some(10), Some(10), Some(11)];
    let frame = |(at, step): (usize, Option<usize>)| {
        picture(network, usize::from(at >= 9), step.map(|step| w / 8 + step * w / 30), if noise { at + 1 } else { 0 })
    };
    walk.into_iter().enumerate().map(frame).collect()
}

fn run(engine: &mut dyn Engine, frame: &[f32], rule: HaltingRule) -> (StepTrace, Vec<f32>) {
    engine.input().copy_from_slice(frame);
    engine.encode().unwrap();
    let trace = engine.advance(&StepRequest { rule, limit: 64, deadline: None }).unwrap();
    (trace, engine.readout().unwrap().to_vec())
}

fn on_cpu(network: &Network, tiles: Settings) -> CpuEngine {
    CpuEngine::with(network, cpu::Options { threads: 1, tiles: Some(tiles), ..cpu::Options::default() }).unwrap()
}

fn on_gpu(network: &Network, tiles: Option<Settings>) -> CudaEngine {
    let transforms = if set("TEST_TRANSFORMS") { Transforms::Always } else { Transforms::Auto };
    let precision = if set("TEST_FULL") { Precision::Full } else { Precision::Auto };
    CudaEngine::with(network, Options { precision, transforms, patience: patience(), tiles, ..Options::default() })
        .expect("this network has kernels")
}

fn bits(values: &[f32]) -> Vec<u32> {
    values.iter().map(|value| value.to_bits()).collect()
}

/// Every local network given, or those of the tests.
fn networks() -> Vec<Network> {
    match std::env::var("GPU_NETWORK") {
        Ok(name) => vec![Network::load(&name).expect("the network is there")],
        Err(_) => ["tiny-local", "tiny-features"].map(tiny).into(),
    }
}

/// Both engines' maps of the last frame, which took `steps` on the GPU: the same tiles moved. Tiles stepped by the CPU alone, by the GPU alone, and by both.
fn maps(cpu: &mut CpuEngine, gpu: &mut CudaEngine, steps: u32, what: &str) -> [u32; 3] {
    let (mut wanted, mut got) = (TileMap::default(), TileMap::default());
    assert!(cpu.tiles(&mut wanted) && gpu.tiles(&mut got), "no map: {what}");
    assert_eq!(
        (wanted.size, wanted.side, &wanted.moved),
        (got.size, got.side, &got.moved),
        "tiles that moved differ from the CPU's: {what}"
    );
    assert_eq!(TileMap::count(&got.stepped) > 0, steps > 0, "tiles of a frame of {steps} steps: {what}");
    let count = |of: fn(u8, u8) -> u8| wanted.stepped.iter().zip(&got.stepped).map(|(a, b)| of(*a, *b).count_ones()).sum();
    [count(|cpu, gpu| cpu & !gpu), count(|cpu, gpu| gpu & !cpu), count(|cpu, gpu| cpu & gpu)]
}

#[test]
#[ignore = "run by the tests of this file, in a process of its own"]
fn child_exact() {
    for network in networks() {
        let name = &network.manifest.name;
        let (mut dense, mut by_tiles) = (on_gpu(&network, None), on_gpu(&network, Some(Settings::exact())));
        assert!(by_tiles.is_tiled() && by_tiles.is_recorded(), "{name}: {:?}", by_tiles.not_tiled());
        let mut cpu = on_cpu(&network, Settings::exact());
        let (mut least, mut frames) = (1f32, 0);
        for (at, frame) in film(&network, false).into_iter().enumerate() {
            if at == 4 {
                [&mut dense as &mut dyn Engine, &mut by_tiles, &mut cpu].into_iter().for_each(|engine| engine.mark_stale());
            }
            if at == 7 {
                [&mut dense as &mut dyn Engine, &mut by_tiles, &mut cpu].into_iter().for_each(|engine| engine.reset());
            }
            let rule = HaltingRule::slow_fast(3, 1 + at as u32 % 2);
            let (wanted, answer) = run(&mut dense, &frame, rule);
            let (got, answer_by_tiles) = run(&mut by_tiles, &frame, rule);
            let what = format!("{name}, frame {at}: {got:?}, and densely {wanted:?}");
            // A frame by tiles may rest, or stop, where nothing moves at all: so does the dense one then, in all but its count.
            assert!(got.steps == wanted.steps || matches!(got.stop, StopReason::Zero | StopReason::Halted), "steps differ: {what}");
            if got.steps < wanted.steps {
                assert!(wanted.distances[got.steps as usize..].iter().all(|moved| *moved == 0.0), "the state still moved: {what}");
            }
            assert!(bits(&answer_by_tiles) == bits(&answer), "answers differ: {what}");
            for (number, (mine, theirs)) in by_tiles.kept().unwrap().iter().zip(dense.kept().unwrap()).enumerate() {
                assert!(bits(mine) == bits(&theirs), "the input or a state differ (number {number}): {what}");
            }
            if cpu.is_tiled() {
                let wanted = run(&mut cpu, &frame, rule).0;
                assert_eq!(wanted.moved, got.moved, "tiles differ from the CPU's: {what}");
                // Not asked for after some frames: the next one that is asked for is right all the same.
                if at % 5 != 3 {
                    let [of_cpu, of_gpu, _] = maps(&mut cpu, &mut by_tiles, got.steps, &what);
                    assert_eq!((of_cpu, of_gpu), (0, 0), "tiles that were stepped differ from the CPU's: {what}");
                }
            }
            frames += 1;
            if got.moved < 0.3 {
                assert!(got.encoded < 0.95, "too much was encoded: {what}");
                least = least.min(got.encoded);
            }
            if got.moved == 0.0 {
                assert_eq!(got.encoded, 0.0, "what stands still was encoded: {what}");
            }
        }
        println!("measured: {name}: {frames} frames bit for bit, encoded down to {least:.3} of the dense work");
    }
}

#[test]
fn exact_tiles_give_the_bits_of_the_dense_run_on_tensor_cores() {
    let Some(folder) = standin::folder(AMPERE) else { return };
    standin::run(&folder, "tiles::child_exact", &[("TEST_TRANSFORMS", "1"), ("STANDIN_ORDER", "5")]);
    if set("GPU_WHOLE") {
        standin::run(&folder, "tiles::child_exact", &[]);
    }
}

#[test]
fn exact_tiles_give_the_bits_of_the_dense_run_in_fp32() {
    let Some(folder) = standin::folder(Build { mma_path: 0, sanitized: false }) else { return };
    standin::run(&folder, "tiles::child_exact", &[("TEST_FULL", "1"), ("STANDIN_ORDER", "1")]);
    if set("GPU_WHOLE") {
        standin::run(&folder, "tiles::child_exact", &[("TEST_FULL", "1"), ("TEST_TRANSFORMS", "1")]);
    }
}

/// Noise, halting per tile, epsilon, cuts and dense frames: as the CPU engine has them.
#[test]
#[ignore = "run by the tests of this file, in a process of its own"]
fn child_rules() {
    let network = tiny("tiny-local");
    let halting = |threshold| HaltingRule::halting(Metric::RelativeL2, threshold, 9);
    // The CPU engine's switch looks at fewer frames than the device's: here both compute by tiles alone.
    let usual = Settings { switches: false, ..Settings::default() };
    let own = network.manifest.rule();
    let mut cases = vec![
        (Settings { epsilon: 0.0, cut: Some(0.05), ..usual }, HaltingRule::slow_fast(4, 1)),
        (Settings { epsilon: 0.0, ..usual }, HaltingRule { metric: Metric::Cosine, ..halting(2e-4) }),
        (usual, halting(0.02)),
    ];
    if set("GPU_WHOLE") {
        cases.extend([
            (Settings { epsilon: 0.0, ..usual }, own),
            (Settings { epsilon: 0.0, acceptance: Acceptance { floor: 0.3, ..usual.acceptance }, ..usual }, own),
            (Settings { epsilon: 0.0, ..usual }, halting(0.02)),
            (Settings { epsilon: 0.05, ..usual }, own),
        ]);
    }
    let (mut frames, mut same, mut shares, mut worst, mut stepped) = (0, 0, [0f32; 2], 0f32, [0; 3]);
    for (which, (settings, rule)) in cases.into_iter().enumerate() {
        let (mut cpu, mut gpu) = (on_cpu(&network, settings), on_gpu(&network, Some(settings)));
        assert!(cpu.is_tiled(), "{:?}", cpu.not_tiled());
        for (at, frame) in film(&network, true).into_iter().enumerate() {
            let (wanted, answer) = run(&mut cpu, &frame, rule);
            let (got, answer_of_gpu) = run(&mut gpu, &frame, rule);
            let what = format!("case {which}, frame {at}: the CPU {wanted:?}, the GPU {got:?}");
            assert_eq!(wanted.moved, got.moved, "tiles differ: {what}");
            assert_eq!((wanted.limit, wanted.steps == 0), (got.limit, got.steps == 0), "steps differ: {what}");
            // The CPU computes rectangles and quads, the GPU asks each pixel's mask: it steps fewer tiles, and few that the CPU does not.
            let tiles = maps(&mut cpu, &mut gpu, got.steps, &what);
            assert!(tiles[1] * 3 <= tiles[2], "tiles stepped by the CPU alone, the GPU alone and both, {tiles:?}: {what}");
            (0..3).for_each(|at| stepped[at] += tiles[at]);
            frames += 1;
            same += usize::from((wanted.steps, wanted.stop) == (got.steps, got.stop));
            if (wanted.steps, wanted.stop) != (got.steps, got.stop) {
                println!("{what}");
            }
            shares[0] += wanted.stepped;
            shares[1] += got.stepped;
            let scale = answer.iter().fold(0f32, |most, x| most.max(x.abs()));
            let error = answer.iter().zip(&answer_of_gpu).fold(0f32, |most, (a, b)| most.max((a - b).abs())) / scale;
            // Both leave pixels alone that moved by less than the threshold, and both compute some of them along with their neighbours, a
            // different some: kernels here make blocks of pixels at once.
            worst = worst.max(error);
            assert!(error < 0.25, "answers differ by {error}: {what}");
        }
    }
    println!(
        "measured: {same} of {frames} frames with the same steps and stop, answers within {worst:.3}; stepped {:.3} on the CPU, {:.3} on the GPU; tiles stepped by the CPU alone, the GPU alone and both {stepped:?}",
        shares[0] / frames as f32,
        shares[1] / frames as f32
    );
    assert!(same * 100 >= frames * 90, "{same} of {frames} frames took the same steps");
}

#[test]
fn noise_halting_cuts_and_epsilon_are_those_of_the_cpu() {
    let Some(folder) = standin::folder(AMPERE) else { return };
    standin::run(&folder, "tiles::child_rules", &[("TEST_FULL", "1")]);
}

/// Blocks of what stands still do nothing: the stand-in counts what kernels read in half floats, whatever they say of themselves.
#[test]
#[ignore = "run by the tests of this file, in a process of its own"]
fn child_work() {
    let network = tiny("tiny-local");
    let worked = |engine: &mut CudaEngine, frame: &[f32], rule: HaltingRule| {
        let before = number(b"standin_work\0");
        let trace = run(engine, frame, rule).0;
        (number(b"standin_work\0") - before, trace)
    };
    let (mut dense, mut by_tiles) = (on_gpu(&network, None), on_gpu(&network, Some(Settings::exact())));
    let frames = [None, None, Some(2), Some(3)].map(|step| picture(&network, 0, step.map(|step| 12 + step * 4), 0));
    let one = HaltingRule::fixed(1);
    let (whole, first) = (worked(&mut dense, &frames[0], one).0, worked(&mut by_tiles, &frames[0], one).0);
    assert!(first as f64 > 0.9 * whole as f64, "the first frame took {first} of {whole}");
    let mut shares = Vec::new();
    for (at, frame) in frames.iter().enumerate().skip(1) {
        let (work, trace) = worked(&mut by_tiles, frame, one);
        let share = work as f64 / whole as f64;
        let told = f64::from(trace.encoded);
        shares.push(share);
        assert!(share < 0.95 && share < told + 0.5, "frame {at} took {share:.3} of the dense work: {trace:?}");
    }
    let halting = HaltingRule::halting(Metric::RelativeL2, 0.2, 9);
    let (work, trace) =
        (0..6).map(|_| worked(&mut by_tiles, &frames[3], halting)).find(|(_, trace)| trace.steps == 0).expect("it comes to rest");
    assert_eq!(work, 0, "what rests took work: {trace:?}");
    // One step where the box was, after which nothing moves by as much as the rule asks for; then the same picture, which rests.
    let mut map = TileMap::default();
    let blunt = HaltingRule::halting(Metric::RelativeL2, 1e9, 9);
    let stepped = [0; 2].map(|_| {
        let trace = worked(&mut by_tiles, &frames[0], blunt).1;
        assert!(by_tiles.tiles(&mut map), "no map");
        (trace.steps, TileMap::count(&map.stepped) > 0, TileMap::count(&map.moved) > 0)
    });
    assert_eq!(stepped, [(1, true, true), (0, false, false)], "tiles of a frame of one step, and of one that rests, differ");
    println!("measured: work of frames 1 to 3 in shares of the dense one {shares:.3?}, and none of one that rests");
}

#[test]
fn blocks_of_what_stands_still_do_nothing() {
    let Some(folder) = standin::folder(AMPERE) else { return };
    standin::run(&folder, "tiles::child_work", &[]);
}

/// A camera that moves is soon computed densely, and by tiles again when it stands.
#[test]
#[ignore = "run by the tests of this file, in a process of its own"]
fn child_switch() {
    let network = tiny("tiny-local");
    let settings = Settings { epsilon: 0.0, ..Settings::default() };
    let mut gpu = on_gpu(&network, Some(settings));
    let mut encoded = Vec::new();
    for at in 0..40usize {
        let frame = picture(&network, at.min(12), Some(20 + at), 0);
        encoded.push(run(&mut gpu, &frame, HaltingRule::fixed(1)).0.encoded);
    }
    assert!(encoded[4..12].iter().all(|share| *share == 1.0), "{encoded:?}");
    assert!(encoded[30..].iter().all(|share| *share < 0.9), "{encoded:?}");
}

#[test]
fn a_camera_that_moves_is_run_densely_and_one_that_stands_by_tiles() {
    let Some(folder) = standin::folder(AMPERE) else { return };
    standin::run(&folder, "tiles::child_switch", &[]);
}

#[test]
#[ignore = "run by the tests of this file, in a process of its own"]
fn child_not_local() {
    let network = tiny("tiny-hgru");
    let engine = on_gpu(&network, Some(Settings::default()));
    let reason = engine.not_tiled().expect("it measures whole tensors");
    assert!(!engine.is_tiled() && reason.contains("step.onnx") && reason.contains("needs all pixels"), "{reason}");
}

#[test]
fn a_network_that_is_not_local_is_run_densely_and_the_node_is_named() {
    let Some(folder) = standin::folder(AMPERE) else { return };
    standin::run(&folder, "tiles::child_not_local", &[]);
}
