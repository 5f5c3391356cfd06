//! Whatever the driver does wrong, a frame is answered and nothing panics.

use std::time::Duration;

use cudarc::driver::sys;
use recslowfast::backoff::Backoff;
use recslowfast::engine::cpu::CpuEngine;
use recslowfast::engine::cpu::threads::Threads;
use recslowfast::engine::cuda::{CudaEngine, Precision, doctor};
use recslowfast::engine::resilient::{RETRIES, ResilientEngine};
use recslowfast::engine::{self, Choice};
use recslowfast::network::Network;
use recslowfast::network::engine::{Engine, StepRequest};
use recslowfast::network::halting::HaltingRule;
use recslowfast::outcome::StepTrace;

use crate::standin::{self, AMPERE, network as named};

const OUT_OF_MEMORY: i32 = 2;
pub const LAUNCH_FAILED: i32 = 719;

/// Asks the stand-in for its `at`th call from now to fail.
pub fn fail(at: i64, code: i32, lasting: bool) {
    // SAFETY: the stand-in exports this function with these types.
    unsafe {
        let order = sys::culib().get::<unsafe extern "C" fn(i64, i32, i32)>(b"standin_fail").expect("this is the stand-in");
        order(at, code, lasting.into());
    }
}

pub fn number(symbol: &[u8]) -> i64 {
    // SAFETY: as above.
    unsafe { sys::culib().get::<unsafe extern "C" fn() -> i64>(symbol).expect("this is the stand-in")() }
}

/// What the driver has given out and not taken back, where it is the stand-in.
pub fn live() -> Option<i64> {
    // SAFETY: as above.
    unsafe { sys::culib().get::<unsafe extern "C" fn() -> i64>(b"standin_live\0").ok().map(|live| live()) }
}

pub fn tiny() -> Network {
    named("tiny-hgru")
}

pub fn resilient(network: &Network, backoff: Backoff) -> ResilientEngine {
    let gpu = CudaEngine::load(network, Precision::Auto).expect("the stand-in works");
    ResilientEngine::new(network, gpu, CpuEngine::load(network).unwrap(), backoff)
}

fn order() -> StepRequest {
    StepRequest { rule: HaltingRule::fixed(2), limit: 64, deadline: None }
}

fn input(frame: usize, into: &mut [f32]) {
    for (at, value) in into.iter_mut().enumerate() {
        *value = ((at * 31 + frame * 7) % 97) as f32 / 97.0;
    }
}

pub fn answer(engine: &mut dyn Engine, frame: usize) -> (StepTrace, Vec<f32>) {
    input(frame, engine.input());
    engine.encode().expect("the CPU stands behind the GPU");
    let trace = engine.advance(&order()).expect("the CPU stands behind the GPU");
    (trace, engine.readout().expect("the CPU stands behind the GPU").to_vec())
}

pub fn close(want: &[f32], got: &[f32]) -> bool {
    let scale = want.iter().fold(1e-3f32, |most, x| most.max(x.abs()));
    want.len() == got.len() && want.iter().zip(got).all(|(a, b)| (a - b).abs() <= 2e-2 * scale)
}

/// What the CPU says of `frames` in a row.
pub fn expected(network: &Network, frames: &[usize]) -> (StepTrace, Vec<f32>) {
    let mut cpu = CpuEngine::load(network).unwrap();
    frames.iter().map(|&frame| answer(&mut cpu, frame)).last().unwrap()
}

#[test]
#[ignore = "run by the tests of this file, in a process of its own"]
fn child_every_call_of_loading_fails_once() {
    for name in ["tiny-hgru", "tiny-lean", "tiny-unet"] {
        every_call_of_loading_fails_once(&named(name));
    }
}

fn every_call_of_loading_fails_once(network: &Network) {
    fail(0, 0, false);
    // A device that is lost takes what it had with it: what an earlier network lost so is not this one's.
    let before = live();
    drop(CudaEngine::load(network, Precision::Auto).expect("nothing fails yet"));
    let calls = number(b"standin_calls\0");
    assert_eq!(live(), before, "something was not freed");
    let (_, want) = expected(network, &[0]);
    let mut refused = 0;
    for code in [LAUNCH_FAILED, OUT_OF_MEMORY] {
        for k in 1..=calls {
            fail(k, code, false);
            refused += i32::from(CudaEngine::load(network, Precision::Auto).is_err());
            fail(0, 0, false);
            assert_eq!(live(), before, "call {k} failed, and something was not freed");
        }
    }
    // And so that a frame is answered all the same.
    for k in (1..=calls).step_by(7) {
        fail(k, LAUNCH_FAILED, k % 2 == 0);
        let mut engine = engine::open(Choice::Auto, network, Threads::default()).expect("auto never fails for a GPU's sake");
        fail(0, 0, false);
        assert!(close(&want, &answer(&mut *engine, 0).1), "call {k} failed, and the answer is wrong");
    }
    println!(
        "measured: {}: {calls} driver calls to load; each failed with each of 2 codes; {refused} loads refused, none panicked, nothing leaked",
        network.manifest.name
    );
}

#[test]
#[ignore = "run by the tests of this file, in a process of its own"]
fn child_every_call_of_a_frame_fails_once() {
    for name in ["tiny-hgru", "tiny-lean"] {
        for labels in [false, true] {
            every_call_of_a_frame_fails_once(&named(name), labels);
        }
    }
}

/// With `labels`, those are read with the frame, and the logits on demand after it.
fn every_call_of_a_frame_fails_once(network: &Network, labels: bool) {
    let never = Backoff::new(Duration::from_secs(1000), Duration::from_secs(1000));
    let load = || {
        let mut engine = resilient(network, never);
        if labels {
            engine.want_labels(0.5);
        }
        engine
    };
    let carried = expected(network, &[0, 1]);
    let restarted = expected(network, &[1]);
    let mut engine = load();
    answer(&mut engine, 0);
    fail(0, 0, false);
    answer(&mut engine, 1);
    let calls = number(b"standin_calls\0");
    drop(engine);
    let mut on_cpu = 0;
    for lasting in [false, true] {
        for k in 1..=calls {
            let mut engine = load();
            answer(&mut engine, 0);
            fail(k, LAUNCH_FAILED, lasting);
            let (trace, logits) = answer(&mut engine, 1);
            let (want_trace, want) = if engine.name() == "cuda" { &carried } else { &restarted };
            on_cpu += i32::from(engine.name() == "cpu");
            assert_eq!(trace.steps, want_trace.steps, "call {k}");
            // The GPU may have told how it went, and been lost before it told its logits.
            assert!(trace.stop == want_trace.stop || labels && trace.stop == carried.0.stop, "call {k}: {trace:?}");
            assert!(close(want, &logits), "call {k} failed, and the answer of {} is wrong", engine.name());
            assert_eq!(engine.labels().expect("an answer").is_some(), labels && engine.name() == "cuda");
            // A reset and a new scene on whatever answers now.
            engine.reset();
            let (_, logits) = answer(&mut engine, 1);
            assert!(close(&restarted.1, &logits), "call {k} failed, and the answer after a reset is wrong");
            drop(engine);
            fail(0, 0, false);
        }
    }
    println!(
        "measured: {}{}: {calls} driver calls a frame; each failed once and for good; {on_cpu} of {} frames went to the CPU",
        network.manifest.name,
        if labels { " with labels" } else { "" },
        calls * 2
    );
}

#[test]
#[ignore = "run by the tests of this file, in a process of its own"]
fn child_the_gpu_comes_back() {
    let network = tiny();
    let soon = Backoff::new(Duration::from_millis(20), Duration::from_millis(100));
    let mut engine = resilient(&network, soon);
    answer(&mut engine, 0);
    fail(1, LAUNCH_FAILED, true);
    for frame in 0..5 {
        answer(&mut engine, frame);
        assert_eq!(engine.name(), "cpu");
        std::thread::sleep(Duration::from_millis(30));
    }
    fail(0, 0, false);
    let back = (0..500).find(|&frame| {
        std::thread::sleep(Duration::from_millis(20));
        answer(&mut engine, frame);
        engine.name() == "cuda"
    });
    let back = back.expect("the GPU is taken back");
    // It started from zero, on the slow path.
    let (_, want) = expected(&network, &[back, back + 1]);
    assert!(close(&want, &answer(&mut engine, back + 1).1));
    assert_eq!(engine.failures(), 1);
}

#[test]
#[ignore = "run by the tests of this file, in a process of its own"]
fn child_a_hung_gpu_is_left_behind() {
    let network = tiny();
    let mut engine = resilient(&network, RETRIES);
    answer(&mut engine, 0);
    // SAFETY: the stand-in exports this function with this type.
    unsafe { sys::culib().get::<unsafe extern "C" fn(i32)>(b"standin_hang\0").unwrap()(1) };
    let began = std::time::Instant::now();
    let (_, logits) = answer(&mut engine, 1);
    assert!(began.elapsed() < Duration::from_secs(20) && engine.name() == "cpu");
    assert!(close(&expected(&network, &[1]).1, &logits));
}

#[test]
#[ignore = "run by the tests of this file, in a process of its own"]
fn child_unusable() {
    let network = tiny();
    let wanted = std::env::var("TEST_REASON").unwrap();
    let Err(error) = engine::open(Choice::Cuda, &network, Threads::default()) else { panic!("the GPU opened") };
    assert!(error.to_string().contains(&wanted), "'{error}' does not say '{wanted}'");
    let mut engine = engine::open(Choice::Auto, &network, Threads::default()).expect("auto falls back");
    assert_eq!(engine.name(), "cpu");
    assert!(close(&expected(&network, &[0]).1, &answer(&mut *engine, 0).1));
}

#[test]
#[ignore = "run by the tests of this file, in a process of its own"]
fn child_doctor() {
    let found = doctor::examine(std::path::Path::new("/nowhere"));
    let text = found.to_string();
    assert!(found.problems.is_empty() && found.launch_us.is_some() && found.node_us.is_some(), "{text}");
    for expected in [
        "Stand-in",
        "CUDA 12.6",
        "8.7, 8 multiprocessors",
        "sm_87 cubin, fp16 on tensor cores",
        "8192 MiB, shared with the CPU",
        "read in place",
    ] {
        assert!(text.contains(expected), "'{expected}' is missing:\n{text}");
    }
}

#[test]
fn the_doctor_describes_a_gpu_and_its_absence() {
    let Some(folder) = standin::folder(AMPERE) else { return };
    standin::run(&folder, "faults::child_doctor", &[]);
    // Here, whatever is here: a verdict, and no panic.
    assert!(doctor::examine(std::path::Path::new("/")).to_string().contains("device nodes"));
}

#[test]
fn every_failing_call_of_loading_is_survived() {
    let Some(folder) = standin::folder(AMPERE) else { return };
    standin::run(&folder, "faults::child_every_call_of_loading_fails_once", &[]);
}

#[test]
fn every_failing_call_of_a_frame_is_survived() {
    let Some(folder) = standin::folder(AMPERE) else { return };
    standin::run(&folder, "faults::child_every_call_of_a_frame_fails_once", &[]);
}

#[test]
fn the_gpu_is_tried_again() {
    let Some(folder) = standin::folder(AMPERE) else { return };
    standin::run(&folder, "faults::child_the_gpu_comes_back", &[]);
}

#[test]
fn a_hung_gpu_is_left_behind() {
    let Some(folder) = standin::folder(AMPERE) else { return };
    standin::run(&folder, "faults::child_a_hung_gpu_is_left_behind", &[]);
}

#[test]
fn a_machine_without_a_usable_gpu_says_why() {
    let Some(folder) = standin::folder(AMPERE) else { return };
    let empty = tempfile::tempdir().unwrap();
    standin::run(empty.path(), "faults::child_unusable", &[("TEST_REASON", "no CUDA driver")]);
    for (variable, value, reason) in [
        ("STANDIN_DEVICES", "0", "finds no GPU"),
        ("STANDIN_INIT", "100", "CUDA_ERROR_NO_DEVICE"),
        ("STANDIN_VERSION", "9020", "CUDA 9.2"),
        ("STANDIN_REFUSE", "cubin,ptx", "CUDA_ERROR_INVALID_PTX"),
    ] {
        standin::run(&folder, "faults::child_unusable", &[("TEST_REASON", reason), (variable, value)]);
    }
}

#[test]
fn a_driver_without_a_symbol_is_named_not_called() {
    let Some(_) = standin::folder(AMPERE) else { return };
    for symbol in ["cuInit", "cuLaunchKernel", "cuGraphLaunch", "cuMemHostGetDevicePointer_v2", "cuGetErrorString"] {
        let Some(folder) = standin::without(AMPERE, symbol) else { return };
        standin::run(&folder, "faults::child_unusable", &[("TEST_REASON", symbol)]);
    }
}
