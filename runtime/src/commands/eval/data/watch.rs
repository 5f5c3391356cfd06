//! One network under one rule, watching labelled pictures.

use super::{Sample, Truth, What};
use crate::capture::fit::Mode;
use crate::commands::eval::measure::{BoxFlicker, Labelled, PixelFlicker, Pixels, Precision, Seen, Tracking, UNSEEN, fit};
use crate::commands::stopwatch::Time;
use crate::engine::cpu::threads::Threads;
use crate::engine::{self, Choice, Tiles};
use crate::network::Network;
use crate::network::halting::HaltingRule;
use crate::network::manifest::TaskKind;
use crate::outcome::{MAX_STEPS, StepTrace};
use crate::pipeline::Pipeline;
use crate::service::exit::{Cause, Failure};
use crate::telemetry::{Detection, Region, Stages};

/// Boxes of this score and surer ones are measured; what is reported of them is the network's business.
const FROM_SCORE: f32 = 0.01;

/// What watching cost and found.
pub struct Watch {
    pipeline: Pipeline,
    kind: TaskKind,
    /// What is measured.
    pub measured: Measured,
    pub steps: u64,
    pub frames: u64,
    /// Frames by number of steps.
    pub histogram: [u64; MAX_STEPS + 1],
    /// Summed over the frames that were timed.
    pub stages: Stages,
    pub time: Time,
    pub timed: u64,
    /// Sums over all frames: shares of the picture that moved, and steps of the whole network.
    pub moved: f64,
    pub work: f64,
}

/// Figures by what is labelled.
pub enum Measured {
    Boxes { precision: Precision, tracking: Option<Tracking>, flicker: BoxFlicker },
    Pixels { pixels: Pixels, flicker: PixelFlicker },
}

impl Watch {
    pub fn open(
        network: &Network,
        rule: HaltingRule,
        choice: Choice,
        threads: Threads,
        tiles: Tiles,
        fit: Mode,
        what: What,
    ) -> Result<Watch, Failure> {
        let engine = engine::open_with(choice, network, threads, tiles)?;
        let mut pipeline = Pipeline::new(network, engine, rule, fit, false);
        let task = &network.manifest.task;
        let classes = task.classes.len();
        let measured = match what {
            What::Pixels => Measured::Pixels { pixels: Pixels::new(classes), flicker: PixelFlicker::default() },
            What::Boxes { tracks } => {
                pipeline.keep_boxes_from(FROM_SCORE);
                let tracking = tracks.then(Tracking::default);
                Measured::Boxes { precision: Precision::new(classes), tracking, flicker: BoxFlicker::default() }
            }
            What::Nothing => return Err(Failure::new(Cause::Usage, "there are no labels to measure by")),
        };
        let (stages, time) = (Stages::default(), Time::default());
        Ok(Watch {
            pipeline,
            kind: task.kind,
            measured,
            steps: 0,
            frames: 0,
            histogram: [0; MAX_STEPS + 1],
            stages,
            time,
            timed: 0,
            moved: 0.0,
            work: 0.0,
        })
    }

    /// The engine's name.
    pub fn engine(&self) -> &'static str {
        self.pipeline.engine()
    }

    /// Watches one picture; `cold` from a cleared state.
    pub fn see(&mut self, sample: &mut Sample, cold: bool, timed: bool) -> Result<StepTrace, Failure> {
        sample.frame.cut = cold || sample.cut;
        let began = Time::now();
        let answer = self.pipeline.answer(&sample.frame).map_err(|error| Failure::new(Cause::Engine, error))?;
        let took = began.since();
        let (trace, stages) = (answer.trace, answer.stages);
        let reported: Vec<Seen> = answer.detections.iter().map(reported).collect();
        self.frames += 1;
        self.steps += u64::from(trace.steps);
        self.moved += f64::from(trace.moved);
        self.work += f64::from(trace.work());
        self.histogram[trace.steps as usize] += 1;
        if timed {
            self.timed += 1;
            self.time = Time { wall: self.time.wall + took.wall, cpu: self.time.cpu + took.cpu };
            self.stages.fit += stages.fit;
            self.stages.encode += stages.encode;
            self.stages.steps += stages.steps;
            self.stages.readout += stages.readout;
        }
        match (&mut self.measured, &sample.truth) {
            (Measured::Boxes { precision, tracking, flicker }, Truth::Boxes(labels)) => {
                if self.kind == TaskKind::Boxes {
                    precision.add(labels, &boxes(&self.pipeline));
                } else {
                    precision.add(labels, &reported);
                }
                if let Some(tracking) = tracking {
                    tracking.add(labels, &reported);
                }
                flicker.add(&reported, sample.cut);
            }
            (Measured::Pixels { pixels, flicker }, Truth::Pixels { width, height, classes }) => {
                let seen = Sight::of(&self.pipeline, [sample.frame.width, sample.frame.height], [*width, *height]);
                pixels.add(classes.iter().enumerate().map(|(at, label)| (*label, seen.class(at))));
                flicker.add(&self.pipeline.mask().classes, sample.cut);
            }
            _ => unreachable!("samples of one source are labelled alike"),
        }
        Ok(trace)
    }

    /// Steps a frame.
    pub fn mean_steps(&self) -> f64 {
        self.steps as f64 / self.frames.max(1) as f64
    }
}

fn reported(detection: &Detection) -> Seen {
    Seen { class: usize::from(detection.class), region: detection.region, score: detection.score, track: detection.track }
}

fn boxes(pipeline: &Pipeline) -> Vec<Seen> {
    pipeline
        .boxes()
        .iter()
        .map(|found| Seen { class: usize::from(found.class), region: found.region, score: found.score, track: 0 })
        .collect()
}

/// The classes of a frame's pixels at the size of its labels.
struct Sight<'a> {
    mask: &'a crate::task::Mask,
    view: Region,
    /// Labelled pixels in a row, and source pixels of one.
    width: usize,
    scale: [f32; 2],
}

impl<'a> Sight<'a> {
    fn of(pipeline: &'a Pipeline, size: [u32; 2], [width, height]: [usize; 2]) -> Sight<'a> {
        let scale = [size[0] as f32 / width as f32, size[1] as f32 / height as f32];
        Sight { mask: pipeline.mask(), view: pipeline.view(), width, scale }
    }

    fn class(&self, at: usize) -> u8 {
        let centre = |at: usize, scale: f32| (at as f32 + 0.5) * scale;
        let (x, y) = (centre(at % self.width, self.scale[0]), centre(at / self.width, self.scale[1]));
        let share = |at: f32, from: f32, length: f32, cells: usize| {
            let cell = (at - from) / length * cells as f32;
            (cell >= 0.0 && cell < cells as f32).then_some(cell as usize)
        };
        let mask = self.mask;
        match (share(x, self.view.x, self.view.width, mask.width), share(y, self.view.y, self.view.height, mask.height)) {
            (Some(x), Some(y)) => mask.classes[y * mask.width + x],
            _ => UNSEEN,
        }
    }
}

/// How well what `pipeline` reported of its last frame, of `size`, fits what is labelled: boxes by [`fit`], pixels by the share that is right.
pub fn fits(pipeline: &Pipeline, truth: &Truth, size: [u32; 2]) -> f64 {
    match truth {
        Truth::Boxes(labels) => fit(labels, &pipeline.detections().iter().map(reported).collect::<Vec<_>>()),
        Truth::Pixels { width, height, classes } => {
            let seen = Sight::of(pipeline, size, [*width, *height]);
            let (mut right, mut all) = (0u64, 0u64);
            for (at, label) in classes.iter().enumerate().filter_map(|(at, label)| Some((at, (*label)?))) {
                right += u64::from(seen.class(at) == label);
                all += 1;
            }
            if all == 0 { 1.0 } else { right as f64 / all as f64 }
        }
        Truth::Nothing => f64::NAN,
    }
}

/// What `pipeline` reported of its last frame, as labels: for agreement with it. Pixels are told apart by class at the size of the mask.
pub fn as_truth(pipeline: &Pipeline) -> Truth {
    let mask = pipeline.mask();
    if mask.width > 0 {
        return Truth::Pixels { width: mask.width, height: mask.height, classes: mask.classes.iter().map(|class| Some(*class)).collect() };
    }
    let label = |seen: &Detection| Labelled { class: usize::from(seen.class), region: seen.region, identity: None, crowd: false };
    Truth::Boxes(pipeline.detections().iter().map(label).collect())
}
