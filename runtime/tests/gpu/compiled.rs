//! Kernels compiled for a network: the bits of those that interpret its chains, and what happens where nothing compiles.

use recslowfast::engine::cuda::{CudaEngine, Kernels, Options, Precision, Transforms};
use recslowfast::network::Network;
use recslowfast::network::engine::{Engine, StepRequest};
use recslowfast::network::halting::HaltingRule;

use crate::agreement::FAMILIES;
use crate::compare::{frame, set};
use crate::standin::{self, AMPERE, Build, network as tiny};

fn engine(network: &Network, kernels: Kernels, precision: Precision) -> CudaEngine {
    let transforms = if set("TEST_TRANSFORMS") { Transforms::Always } else { Transforms::Auto };
    CudaEngine::with(network, Options { kernels, precision, transforms, ..Options::default() }).expect("this network has kernels")
}

fn bits(values: &[f32]) -> Vec<u32> {
    values.iter().map(|value| value.to_bits()).collect()
}

/// In fp32 a value is the same whether it was stored between two kernels or not.
#[test]
#[ignore = "run by the tests of this file, in a process of its own"]
fn child_bits() {
    for name in FAMILIES {
        let network = tiny(name);
        let (mut compiled, mut built_in) =
            (engine(&network, Kernels::Compiled, Precision::Full), engine(&network, Kernels::BuiltIn, Precision::Full));
        let described = [compiled.description(), built_in.description()].map(|text| text.contains("kernels compiled"));
        assert_eq!(described, [true, false], "{} and {}", compiled.description(), built_in.description());
        let (width, height) = (network.manifest.input.width as usize, network.manifest.input.height as usize);
        for at in 0..4 {
            let order = StepRequest { rule: HaltingRule::slow_fast(3, 1 + at % 2), limit: 64, deadline: None };
            let run = |engine: &mut CudaEngine| {
                frame(at as usize * 7, width, height, engine.input());
                engine.encode().unwrap();
                (engine.advance(&order).unwrap(), bits(engine.readout().unwrap()))
            };
            let ((trace, answers), (wanted, answers_wanted)) = (run(&mut compiled), run(&mut built_in));
            assert_eq!(trace.steps, wanted.steps, "{name}, frame {at}: steps differ");
            assert!(answers == answers_wanted, "{name}, frame {at}: answers differ");
            for (number, (mine, theirs)) in compiled.kept().unwrap().iter().zip(built_in.kept().unwrap()).enumerate() {
                assert!(bits(mine) == bits(&theirs), "{name}, frame {at}: the input or a state differ (number {number})");
            }
            for (mine, theirs) in trace.distances.iter().zip(&wanted.distances) {
                assert!((mine - theirs).abs() <= 1e-5 * theirs, "{name}, frame {at}: the state moved by {mine}, not by {theirs}");
            }
        }
    }
}

#[test]
fn compiled_kernels_give_the_bits_of_the_interpreter() {
    for (mma_path, order, transforms) in [(80, "1", "0"), (0, "3", "1")] {
        let build = Build { mma_path, sanitized: false };
        let (Some(folder), Some(compiling)) = (standin::folder(build), standin::compiling(build)) else { return };
        let mut environment = standin::borrowed(&compiling);
        environment.extend([("STANDIN_ORDER", order), ("TEST_TRANSFORMS", transforms)]);
        standin::run(&folder, "compiled::child_bits", &environment);
    }
}

/// By tiles too, and every rule.
#[test]
fn compiled_kernels_decide_as_on_the_cpu_and_leave_alone_what_did_not_move() {
    let (Some(folder), Some(compiling)) = (standin::folder(AMPERE), standin::compiling(AMPERE)) else { return };
    let mut environment = standin::borrowed(&compiling);
    environment.push(("TEST_COMPILED", "1"));
    for child in ["agreement::child_rules", "tiles::child_exact", "tiles::child_work"] {
        standin::run(&folder, child, &environment);
    }
}

#[test]
fn networks_of_the_zoo_agree_with_the_cpu_by_compiled_kernels() {
    let (Some(folder), Some(compiling)) = (standin::folder(AMPERE), standin::compiling(AMPERE)) else { return };
    for network in ["pathfinder-hgru", "street"] {
        let mut environment = standin::borrowed(&compiling);
        environment.extend([("TEST_COMPILED", "1"), ("STANDIN_NETWORK", network), ("TEST_FRAMES", "3")]);
        standin::run(&folder, "agreement::child_reference", &environment);
    }
}

#[test]
#[ignore = "minutes of sanitizer runs; run by the verb standin"]
fn compiled_kernels_are_clean_under_sanitizers_in_every_order() {
    for (mma_path, order) in [(80, "1"), (80, "5"), (70, "2"), (0, "1")] {
        let build = Build { mma_path, sanitized: true };
        let (Some(folder), Some(compiling)) = (standin::folder(build), standin::compiling(build)) else { return };
        let around = standin::sanitizer_environment();
        let mut environment = standin::borrowed(&compiling);
        environment.extend(standin::borrowed(&around));
        environment.extend([("STANDIN_ORDER", order), ("TEST_COMPILED", "1")]);
        standin::run(&folder, "agreement::child_short", &environment);
    }
}

/// A network loads, by compiled kernels or without, as the parent expects.
#[test]
#[ignore = "run by the tests of this file, in a process of its own"]
fn child_loads() {
    let _ = env_logger::try_init();
    let network = tiny("tiny-hgru");
    let mut gpu = engine(&network, Kernels::Compiled, Precision::Auto);
    assert_eq!(gpu.description().contains("kernels compiled"), set("TEST_COMPILED"), "{}", gpu.description());
    gpu.encode().unwrap();
    gpu.advance(&StepRequest { rule: HaltingRule::fixed(2), limit: 64, deadline: None }).unwrap();
}

#[test]
fn chains_are_interpreted_where_nothing_compiles() {
    let (Some(folder), Some(compiling)) = (standin::folder(AMPERE), standin::compiling(AMPERE)) else { return };
    let said = standin::run(&folder, "compiled::child_loads", &[("RUST_LOG", "info")]);
    assert!(said.contains("chains are interpreted: no NVRTC library (libnvrtc.so) is installed"), "{said}");
    for (fault, reason) in [("STANDIN_NVRTC_FAIL=1", "as the test ordered"), ("STANDIN_REFUSE=ptx", "loading kernels failed")] {
        let mut environment = standin::borrowed(&compiling);
        environment.extend([fault.split_once('=').expect("name and value"), ("RUST_LOG", "info")]);
        let said = standin::run(&folder, "compiled::child_loads", &environment);
        assert!(said.lines().any(|line| line.contains("chains are interpreted") && line.contains(reason)), "{said}");
    }
}

#[test]
fn what_was_compiled_is_kept_for_the_next_start() {
    let (Some(folder), Some(compiling)) = (standin::folder(AMPERE), standin::compiling(AMPERE)) else { return };
    let cache = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join("kept-kernels");
    let _ = std::fs::remove_dir_all(&cache);
    let with = |more: &[(&str, &str)]| {
        let mut environment = standin::borrowed(&compiling);
        environment.extend([("CUDA_CACHE_DISABLE", "0"), ("CUDA_CACHE_PATH", cache.to_str().expect("a plain path"))]);
        environment.extend(more);
        standin::run(&folder, "compiled::child_loads", &environment);
    };
    let kept = || {
        let found = std::fs::read_dir(cache.join("recslowfast")).map(|entries| entries.flatten().map(|entry| entry.path()).collect());
        found.unwrap_or_else(|_| Vec::<std::path::PathBuf>::new())
    };
    with(&[("STANDIN_NVRTC_FAIL", "1")]);
    assert!(kept().is_empty(), "nothing was compiled, and {:?} is kept", kept());
    with(&[("TEST_COMPILED", "1")]);
    assert_eq!(kept().len(), 1, "{:?}", kept());
    // From now on nothing has to be compiled.
    with(&[("TEST_COMPILED", "1"), ("STANDIN_NVRTC_FAIL", "1")]);
    let place = kept().remove(0);
    let mut bytes = std::fs::read(&place).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&place, bytes).unwrap();
    with(&[("STANDIN_NVRTC_FAIL", "1")]);
    // A damaged file is replaced.
    with(&[("TEST_COMPILED", "1")]);
    with(&[("TEST_COMPILED", "1"), ("STANDIN_NVRTC_FAIL", "1")]);
}
