//! The governor on the real engine: a paced pathfinder stream, answered under a deadline, judged against the stream's own masks.
//!
//! `governor-real --fps 8 --deadline 120ms@p99 --seconds 60 [--halt fixed:6] [--free] [--threads N] [--model NAME|DIR]`: `--free` takes the governor away.
//! One line of JSON comes out: misses, IoU (a frame without an answer in time is judged by the last one that was), steps, ages. 35 % of the answers
//! were older than `age_p65_ms`: with that for a deadline, this setting is one that misses more than 30 %.

use std::path::Path;
use std::time::Duration;

use recslowfast::capture::{self, CaptureRequest, NewestFrame, Pull, Source, fit};
use recslowfast::clock;
use recslowfast::engine::cpu::threads::Threads;
use recslowfast::engine::{self, Choice};
use recslowfast::frame::Frame;
use recslowfast::latencies::Histogram;
use recslowfast::network::Network;
use recslowfast::network::halting::RuleName;
use recslowfast::outcome::MAX_STEPS;
use recslowfast::pace::{Budget, Deadline};
use recslowfast::pipeline::Pipeline;
use recslowfast::service::budget_controller::{BudgetController, Sensing};
use temporal_pathfinder::{Spec, Stream};

type Failure = Box<dyn std::error::Error>;

struct Options {
    fps: f64,
    deadline: Deadline,
    seconds: f64,
    halt: RuleName,
    free: bool,
    threads: Threads,
    model: String,
    seed: u64,
}

fn options() -> Result<Options, Failure> {
    let mut options = Options {
        fps: 8.0,
        deadline: "120ms@p99".parse()?,
        seconds: 30.0,
        halt: RuleName::MODEL,
        free: false,
        threads: Threads::default(),
        model: recslowfast::network::load::DEFAULT.to_owned(),
        seed: 7,
    };
    let mut arguments = std::env::args().skip(1);
    while let Some(name) = arguments.next() {
        if name == "--free" {
            options.free = true;
            continue;
        }
        let value = arguments.next().ok_or_else(|| format!("{name} needs a value"))?;
        match name.as_str() {
            "--fps" => options.fps = value.parse()?,
            "--deadline" => options.deadline = value.parse()?,
            "--seconds" => options.seconds = value.parse()?,
            "--halt" => options.halt = value.parse()?,
            "--threads" => options.threads = value.parse()?,
            "--model" => options.model = value,
            "--seed" => options.seed = value.parse()?,
            _ => return Err(format!("{name} is unknown").into()),
        }
    }
    Ok(options)
}

fn iou(predicted: &[u8], target: &[u8]) -> f64 {
    let pairs = || predicted.iter().zip(target).map(|(p, t)| (*p != 0, *t != 0));
    let (both, any) = (pairs().filter(|(p, t)| *p && *t).count(), pairs().filter(|(p, t)| *p || *t).count());
    if any == 0 { 1.0 } else { both as f64 / any as f64 }
}

fn main() -> Result<(), Failure> {
    let options = options()?;
    let network = Network::load(&options.model)?;
    let size = network.manifest.input.width;
    let engine = engine::open(Choice::Cpu, &network, options.threads)?;
    let mut pipeline = Pipeline::new(&network, engine, network.manifest.rule_named(options.halt), fit::Mode::default(), true);
    let budget = Budget { deadline: Some(options.deadline), ..Budget::default() };
    let sensing = Sensing { root: Path::new("/"), rail: None, energy: None };
    let mut budget_controller = BudgetController::begin(&mut pipeline, budget, network.manifest.steps.max, Some(options.fps), &sensing)?;

    let count = (options.seconds * options.fps) as usize;
    let spec = Spec { split: "easy".parse()?, seed: options.seed, size, frames: 1 };
    let masks: Vec<Vec<u8>> = Stream::new(spec).take(count).map(|frame| frame.mask).collect();
    let uri = format!("pathfinder:easy?seed={}&size={size}&fps={}", options.seed, options.fps);
    let mut source = NewestFrame::spawn(capture::open(&uri, &CaptureRequest::default())?)?;

    // Every frame's answer: its own if it came in time, else the last one that had.
    let mut own: Vec<Option<Vec<u8>>> = vec![None; count];
    let (mut frame, mut ages, mut answered, mut late, mut steps) = (Frame::default(), Histogram::new(), 0u64, 0u64, 0u64);
    let settled = options.fps.ceil() as usize;
    let end = clock::now() + Duration::from_secs_f64(options.seconds + 5.0);
    while clock::now() < end {
        match source.pull(&mut frame, Duration::from_millis(100))? {
            Pull::Frame => {}
            Pull::Waiting => continue,
            Pull::End => break,
        }
        let at = frame.sequence as usize;
        if at >= count {
            break;
        }
        let plan = (!options.free).then(|| budget_controller.plan(frame.captured, None));
        if plan.is_some_and(|plan| plan.skip) {
            continue;
        }
        let (limit, stop_at) = plan.map_or((MAX_STEPS as u32, None), |plan| (plan.limit, plan.deadline));
        let engine = pipeline.engine();
        let mut report = pipeline.answer_within(&frame, limit, stop_at)?.report(&frame, engine);
        if let Some(plan) = &plan {
            budget_controller.answered(plan, &mut report);
        }
        let missed = report.age > options.deadline.within;
        if at >= settled {
            ages.record(report.age);
            answered += 1;
            late += u64::from(missed);
            steps += u64::from(report.trace.steps);
        }
        if !missed {
            own[at] = Some(pipeline.mask().classes.clone());
        }
    }
    let (mut sum, mut without) = (0.0, 0);
    let mut last = vec![0; masks[0].len()];
    for (at, (mask, own)) in masks.iter().zip(own).enumerate() {
        without += usize::from(at >= settled && own.is_none());
        last = own.unwrap_or(last);
        if at >= settled {
            sum += iou(&last, mask);
        }
    }
    let counted = (count - settled) as f64;
    let age = ages.quantiles();
    println!(
        "{{\"halt\":\"{}\",\"governed\":{},\"frames\":{},\"answered\":{answered},\"late\":{late},\"miss_percent\":{:.2},\"unanswered_in_time_percent\":{:.2},\"iou\":{:.4},\"steps\":{:.2},\"age_p50_ms\":{:.1},\"age_p65_ms\":{:.1},\"age_p99_ms\":{:.1},\"age_max_ms\":{:.1}}}",
        options.halt,
        !options.free,
        count - settled,
        100.0 * late as f64 / answered.max(1) as f64,
        100.0 * without as f64 / counted,
        sum / counted,
        steps as f64 / answered.max(1) as f64,
        age.p50_ms,
        ages.percentile_ms(65.0),
        age.p99_ms,
        age.max_ms,
    );
    Ok(())
}
