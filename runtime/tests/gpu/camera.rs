//! Pictures as cameras give them: what the GPU makes of them is what the CPU makes of them.

use std::time::Duration;

use recslowfast::backoff::Backoff;
use recslowfast::capture::fit::{Fitter, InputSpec, Mode};
use recslowfast::engine::cpu::CpuEngine;
use recslowfast::engine::cuda::{CudaEngine, Precision};
use recslowfast::engine::resilient::ResilientEngine;
use recslowfast::frame::{Bytes, Frame, PixelFormat, Range};
use recslowfast::network::engine::{Engine, StepRequest};
use recslowfast::network::halting::HaltingRule;
use recslowfast::pipeline::Pipeline;

use crate::faults::{LAUNCH_FAILED, fail, live, number};
use crate::standin::{self, AMPERE, Build, network};

/// Bytes without a pattern, in rows `padding` bytes longer than they need be; no byte more than the picture needs.
fn frame(format: PixelFormat, range: Range, (width, height): (u32, u32), padding: u32) -> Frame {
    let stride = format.row_bytes(width) + padding;
    let data = (0..format.picture_bytes(width, height, stride)).map(|at| (at.wrapping_mul(2_654_435_761) >> 11) as u8).collect();
    Frame { format, range, width, height, stride, data, ..Frame::default() }
}

/// The network's answer to `frame`, fitted by the GPU.
fn taken(gpu: &mut CudaEngine, frame: &Frame, fitter: &mut Fitter) -> Vec<f32> {
    let sampling = fitter.sampling(frame).expect("a whole picture").expect("no JPEG");
    assert!(gpu.take(frame, sampling).expect("the stand-in works"), "{} is not taken", frame.format);
    gpu.encode().unwrap();
    gpu.advance(&StepRequest { rule: HaltingRule::fixed(1), limit: 1, deadline: None }).unwrap();
    gpu.readout().unwrap().to_vec()
}

#[test]
#[ignore = "run by the tests of this file, in a process of its own"]
fn child_formats() {
    let (mut pictures, mut worst) = (0, 0f32);
    for (name, precision) in
        [("passthrough-grey", Precision::Full), ("passthrough-grey", Precision::Auto), ("passthrough-colour", Precision::Full)]
    {
        let network = network(name);
        let mut gpu = CudaEngine::load(&network, precision).expect("the stand-in runs this network");
        let input = &network.manifest.input;
        let (width, height, channels) = (input.width as usize, input.height as usize, input.channels as usize);
        let spec = InputSpec { width, height, channels, mean: [0.4, 0.5, 0.3], std: [0.5, 0.25, 2.0] };
        for (at, format) in PixelFormat::all().filter(|format| *format != PixelFormat::Mjpeg).enumerate() {
            for (which, size) in [(46, 19), (61, 37), (13, 8), (20, 71)].into_iter().enumerate() {
                let range = if (at + which) % 2 == 0 { Range::Limited } else { Range::Full };
                let mode = [Mode::Letterbox, Mode::Crop, Mode::Stretch][(at + which) % 3];
                let frame = frame(format, range, size, [0, 5, 2, 3][which]);
                let mut fitter = Fitter::new(spec.clone(), mode).with_black_level(at as u8);
                let mut want = vec![0.0; spec.values()];
                fitter.fit(&frame, &mut want).unwrap();
                let got = taken(&mut gpu, &frame, &mut fitter);
                for (at, (want, got)) in want.iter().zip(&got).enumerate() {
                    let levels = (want - got).abs() * 255.0 * spec.std[at / (width * height)];
                    assert!(levels <= 1.0, "{name} {format} {size:?} {mode:?}: value {at} differs by {levels} levels: {want} {got}");
                    worst = worst.max(levels);
                }
                pictures += 1;
            }
        }
    }
    println!("measured: {pictures} pictures fitted on the GPU, within {worst:.4} grey levels of the CPU");
}

#[test]
#[ignore = "run by the tests of this file, in a process of its own"]
fn child_what_is_not_taken() {
    let mut gpu = CudaEngine::load(&network("passthrough-grey"), Precision::Auto).unwrap();
    let mut fitter = Fitter::new(InputSpec::luma(46, 19), Mode::Stretch);
    let mut grey = frame(PixelFormat::Grey, Range::Full, (46, 19), 0);
    let sampling = fitter.sampling(&grey).unwrap().unwrap().clone();
    assert!(gpu.take(&grey, &sampling).unwrap());
    grey.data.vec().pop();
    assert!(!gpu.take(&grey, &sampling).unwrap(), "a byte is missing");
    let jpeg = Frame { format: PixelFormat::Mjpeg, ..frame(PixelFormat::Grey, Range::Full, (46, 19), 0) };
    assert!(!gpu.take(&jpeg, &sampling).unwrap() && fitter.sampling(&jpeg).unwrap().is_none(), "a JPEG is decoded on the CPU");
    let whole = frame(PixelFormat::Grey, Range::Full, (46, 19), 0);
    let mut other = Fitter::new(InputSpec::luma(19, 46), Mode::Stretch);
    assert!(!gpu.take(&whole, other.sampling(&whole).unwrap().unwrap()).unwrap(), "another tensor");
    // A filled input counts when it was filled last.
    assert!(gpu.take(&whole, &sampling).unwrap());
    gpu.input().fill(0.25);
    gpu.encode().unwrap();
    gpu.advance(&StepRequest { rule: HaltingRule::fixed(1), limit: 1, deadline: None }).unwrap();
    assert!(gpu.readout().unwrap()[..46 * 19].iter().all(|value| *value == 0.25));
}

/// Pictures that drift, of two sizes and layouts.
fn stream(at: usize) -> Frame {
    let (format, size) = if at < 3 { (PixelFormat::Yuyv, (53, 41)) } else { (PixelFormat::Nv12, (37, 29)) };
    let mut frame = frame(format, Range::Limited, size, 3);
    for (place, byte) in frame.data.iter_mut().enumerate() {
        *byte = (*byte / 8).wrapping_add(((place + at * 6) / 40 * 5) as u8);
    }
    frame
}

/// Pictures written where the GPU reads them: three frames and four buffers of a driver go round, as between a camera and the engine.
#[test]
#[ignore = "run by the tests of this file, in a process of its own"]
fn child_in_place() {
    let can = std::env::var("STANDIN_REGISTERS").is_err();
    let network = network("passthrough-grey");
    let mut gpu = CudaEngine::load(&network, Precision::Full).unwrap();
    let mut fitter = Fitter::new(InputSpec::luma(46, 19), Mode::Stretch);
    let mut want = vec![0.0; 46 * 19];
    let picture = |at: usize| Frame {
        data: (0..61 * 37).map(|place| (place * 7 + at * 31) as u8).collect(),
        ..frame(PixelFormat::Grey, Range::Full, (61, 37), 0)
    };
    let size = 61 * 37;
    let mut ring: Vec<Bytes> = (0..4).map(|_| vec![0; size + 100].into()).collect();
    let mut held = [Frame::default(), Frame::default(), Frame::default()];
    let mut places = std::collections::BTreeSet::new();
    for at in 0..40 {
        // The driver fills a buffer, and the frame that comes back takes its place in the ring.
        let filled = &mut ring[at % 4];
        filled[..size].copy_from_slice(&picture(at).data);
        let frame = &mut held[at % 3];
        std::mem::swap(&mut frame.data, filled);
        filled.resize(size + 100, 0);
        frame.data.truncate(size);
        *frame = Frame { data: std::mem::take(&mut frame.data), ..picture(at) };
        gpu.pin(frame);
        places.insert(frame.data.as_ptr() as usize);
        fitter.fit(frame, &mut want).unwrap();
        let got = taken(&mut gpu, frame, &mut fitter);
        assert!(want.iter().zip(&got).all(|(want, got)| (want - got).abs() < 1e-5), "frame {at} differs");
    }
    let pictures = gpu.pictures();
    if can {
        // Seven buffers, pinned when they first come by; from then on the driver fills them where the GPU reads.
        assert_eq!((pictures.in_place, pictures.copied), (40, 0));
        assert!(places.len() == 7 && held.iter().all(|frame| frame.data.block().is_some()), "{} places", places.len());
    } else {
        assert_eq!((pictures.in_place, pictures.copied), (0, 40));
    }
    println!("measured: {} pictures read in place, {} copied, from {} buffers", pictures.in_place, pictures.copied, places.len());
    // Memory that is new for every picture is not lent for ever.
    for at in 0..40 {
        let mut frame = picture(at);
        gpu.pin(&mut frame);
        taken(&mut gpu, &frame, &mut fitter);
    }
    assert!(gpu.pictures().copied >= 24, "{:?}", gpu.pictures());
    // Blocks outlive the engine that lent them, and another engine does not take them for its own.
    drop(gpu);
    let before = held[0].data.to_vec();
    let mut other = CudaEngine::load(&network, Precision::Full).unwrap();
    assert_eq!(*held[0].data, before);
    taken(&mut other, &held[0], &mut fitter);
    assert_eq!(other.pictures().in_place, 0);
    other.pin(&mut held[0]);
    taken(&mut other, &held[0], &mut fitter);
    assert_eq!(other.pictures().in_place, u64::from(can));
    drop((other, ring, held));
    assert_eq!(live().unwrap_or(0), 0, "something was not freed");
}

#[test]
fn pictures_are_read_where_the_camera_put_them() {
    let Some(folder) = standin::folder(AMPERE) else { return };
    standin::run(&folder, "camera::child_in_place", &[]);
    standin::run(&folder, "camera::child_in_place", &[("STANDIN_REGISTERS", "0")]);
}

struct Seen {
    steps: u32,
    mask: Vec<u8>,
    luma: Vec<u8>,
}

fn see(pipeline: &mut Pipeline, at: usize) -> Seen {
    let mut frame = stream(at);
    pipeline.pin(&mut frame);
    let steps = pipeline.answer(&frame).expect("every frame is answered").trace.steps;
    let picture = pipeline.picture(&frame).unwrap();
    Seen { steps, mask: pipeline.mask().classes.clone(), luma: picture.luma.clone() }
}

fn same(want: &Seen, got: &Seen) {
    let equal = want.mask.iter().zip(&got.mask).filter(|(a, b)| a == b).count();
    assert!(want.steps == got.steps && equal * 100 >= want.mask.len() * 98, "{equal} of {} pixels agree", want.mask.len());
    assert!(want.luma.iter().zip(&got.luma).all(|(a, b)| a.abs_diff(*b) <= 1), "the picture drawn differs");
}

#[test]
#[ignore = "run by the tests of this file, in a process of its own"]
fn child_pipeline() {
    let network = network("tiny-hgru");
    let never = Backoff::new(Duration::from_secs(1000), Duration::from_secs(1000));
    let pipeline = |engine: Box<dyn Engine>| Pipeline::new(&network, engine, HaltingRule::fixed(2), Mode::Letterbox, false);
    let on_gpu = || {
        let gpu = CudaEngine::load(&network, Precision::Auto).unwrap();
        pipeline(Box::new(ResilientEngine::new(&network, gpu, CpuEngine::load(&network).unwrap(), never)))
    };
    let on_cpu = || pipeline(Box::new(CpuEngine::load(&network).unwrap()));
    let (mut cpu, mut gpu) = (on_cpu(), on_gpu());
    for at in 0..6 {
        same(&see(&mut cpu, at), &see(&mut gpu, at));
    }
    assert_eq!(gpu.engine(), "cuda");
    // Each call of a frame fails: the CPU fits, encodes and steps it from zero.
    let mut restarted = on_cpu();
    let restarted = see(&mut restarted, 1);
    let mut engine = on_gpu();
    see(&mut engine, 0);
    fail(0, 0, false);
    see(&mut engine, 1);
    let calls = number(b"standin_calls\0");
    drop(engine);
    let mut lost = 0;
    for k in 1..=calls {
        let mut engine = on_gpu();
        see(&mut engine, 0);
        fail(k, LAUNCH_FAILED, true);
        let seen = see(&mut engine, 1);
        if engine.engine() == "cpu" {
            same(&restarted, &seen);
            lost += 1;
        }
        drop(engine);
        fail(0, 0, false);
    }
    assert!(lost > 0);
    println!("measured: {calls} driver calls a frame; {lost} of {calls} frames were taken by the GPU, lost, and fitted again by the CPU");
}

#[test]
fn every_format_is_fitted_as_on_the_cpu() {
    let Some(folder) = standin::folder(AMPERE) else { return };
    standin::run(&folder, "camera::child_formats", &[]);
    standin::run(&folder, "camera::child_what_is_not_taken", &[]);
}

#[test]
#[ignore = "minutes of sanitizer runs; run by the verb standin"]
fn fitting_is_clean_under_sanitizers() {
    let Some(folder) = standin::folder(Build { sanitized: true, ..AMPERE }) else { return };
    let around = standin::sanitizer_environment();
    let mut environment: Vec<(&str, &str)> = around.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
    environment.push(("STANDIN_ORDER", "5"));
    standin::run(&folder, "camera::child_formats", &environment);
}

#[test]
fn a_camera_pipeline_answers_as_on_the_cpu_and_survives_the_loss_of_the_gpu() {
    let Some(folder) = standin::folder(AMPERE) else { return };
    standin::run(&folder, "camera::child_pipeline", &[]);
}
