//! What a stage takes is what the device takes for it, not what the host takes to queue it.

use std::time::{Duration, Instant};

use recslowfast::capture::fit::Mode;
use recslowfast::engine::cuda::{CudaEngine, Precision};
use recslowfast::frame::{Frame, PixelFormat};
use recslowfast::network::engine::{Engine, StageTimes, StepRequest};
use recslowfast::network::halting::HaltingRule;
use recslowfast::pipeline::Pipeline;

use crate::compare::frame;
use crate::standin::{self, AMPERE, network as tiny};

/// A stand-in that queues, as a device does: `encode` returns before anything was encoded.
#[test]
#[ignore = "run by the tests of this file, in a process of its own"]
fn child_times() {
    let network = tiny("tiny-hgru");
    let (width, height) = (network.manifest.input.width as usize, network.manifest.input.height as usize);
    let mut gpu = CudaEngine::load(&network, Precision::Auto).unwrap();
    let order = StepRequest { rule: HaltingRule::fixed(3), limit: 64, deadline: None };
    // The least of many frames: whatever else the machine does takes its part of some of them.
    let (mut queueing, mut encoding) = (Duration::MAX, Duration::MAX);
    for at in 0..12 {
        frame(at, width, height, gpu.input());
        let began = Instant::now();
        gpu.encode().unwrap();
        queueing = queueing.min(began.elapsed());
        gpu.advance(&order).unwrap();
        gpu.readout().unwrap();
        let all = began.elapsed();
        let StageTimes { encode, steps, readout } = gpu.times();
        assert!(!encode.is_zero() && !steps.is_zero() && !readout.is_zero(), "frame {at}: {encode:?}, {steps:?}, {readout:?}");
        // The driver tells milliseconds in 32 bits.
        let sum = encode + steps + readout;
        assert!(sum <= all + Duration::from_micros(5), "frame {at}: the stages took {sum:?} of {all:?}");
        encoding = encoding.min(encode);
    }
    println!("measured: encoding takes {encoding:?}, queueing it {queueing:?}");
    assert!(encoding > 2 * queueing, "encoding takes {encoding:?}, queueing it {queueing:?}: which of them is told?");

    // And so in what a pipeline reports and the governor is given.
    let mut pipeline = Pipeline::new(&network, Box::new(gpu), HaltingRule::fixed(3), Mode::Stretch, false);
    let mut reported = Duration::MAX;
    for at in 0..12u64 {
        let data = (0..width * height).map(|pixel| ((pixel as u64 * 37 + at * 11) % 251) as u8).collect::<Vec<u8>>();
        let picture = Frame {
            sequence: at,
            captured: Duration::ZERO,
            width: width as u32,
            height: height as u32,
            stride: width as u32,
            format: PixelFormat::Grey,
            data: data.into(),
            ..Frame::default()
        };
        let began = Instant::now();
        let stages = pipeline.answer(&picture).unwrap().stages;
        assert!(stages.total() <= began.elapsed() + Duration::from_micros(5), "{stages:?}");
        reported = reported.min(stages.encode);
    }
    assert!(reported > 2 * queueing, "a pipeline reports {reported:?} for encoding; queueing it takes {queueing:?}");
}

#[test]
fn stages_are_timed_where_they_run() {
    let Some(folder) = standin::folder(AMPERE) else { return };
    standin::run(&folder, "times::child_times", &[("STANDIN_QUEUE", "1")]);
}

/// The same answers from a device that queues.
#[test]
fn a_device_that_queues_agrees_with_the_cpu() {
    let Some(folder) = standin::folder(AMPERE) else { return };
    standin::run(&folder, "agreement::child_short", &[("STANDIN_QUEUE", "1")]);
}
