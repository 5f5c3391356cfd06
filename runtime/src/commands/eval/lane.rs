//! One network under one rule, watching.

use std::ops::Range;
use std::time::Duration;

use super::data::{as_truth, fits};
use super::score::Scores;
use super::videos::{Clip, Truth};
use crate::capture::fit::Mode;
use crate::commands::stopwatch::Time;
use crate::engine::cpu::threads::Threads;
use crate::engine::{self, Choice, Tiles};
use crate::frame::Frame;
use crate::network::Network;
use crate::network::halting::HaltingRule;
use crate::outcome::{MAX_STEPS, StepTrace};
use crate::pipeline::Pipeline;
use crate::service::exit::{Cause, Failure};
use crate::telemetry::Stages;

/// What the runtime is told of where scenes begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CutSource {
    /// That a video begins, and nothing else: cuts inside it have to be noticed.
    Videos,
    /// Every cut, as `run` is told by the built-in stream, by cameras that were lost and by films that are joined.
    Cuts,
    /// A cut before every frame: what each frame scores on its own.
    Everything,
}

/// What watching cost and found.
pub struct Lane {
    pipeline: Pipeline,
    pub scores: Scores,
    pub steps: u64,
    /// Frames by number of steps.
    pub histogram: [u64; MAX_STEPS + 1],
    /// Summed over the frames that were timed.
    pub stages: Stages,
    pub time: Time,
    pub timed: u64,
    /// Steps of the frames that were timed.
    pub timed_steps: u64,
    /// Sums over all frames, which differ from frames and steps where only what moved is computed.
    pub parts: Parts,
}

/// How much of the picture moved, and how much of a network was computed.
#[derive(Clone, Copy, Debug, Default)]
pub struct Parts {
    /// Shares of the picture that moved.
    pub moved: f64,
    /// Shares of the encoder that were computed.
    pub encoded: f64,
    /// Steps of the whole network.
    pub work: f64,
}

impl Parts {
    /// Takes in a frame.
    pub fn add(&mut self, trace: &StepTrace) {
        self.moved += f64::from(trace.moved);
        self.encoded += f64::from(trace.encoded);
        self.work += f64::from(trace.work());
    }

    /// A frame's, of so many.
    pub fn mean(&self, frames: u64) -> Parts {
        let n = frames.max(1) as f64;
        Parts { moved: self.moved / n, encoded: self.encoded / n, work: self.work / n }
    }
}

impl Lane {
    /// A new engine for `network`, halted by `rule`, for videos of at most `frames` frames.
    pub fn open(
        network: &Network,
        rule: HaltingRule,
        frames: usize,
        choice: Choice,
        threads: Threads,
        tiles: Tiles,
    ) -> Result<Lane, Failure> {
        let engine = engine::open_with(choice, network, threads, tiles)?;
        Ok(Lane {
            pipeline: Pipeline::new(network, engine, rule, Mode::Stretch, false),
            scores: Scores::new(frames),
            steps: 0,
            histogram: [0; MAX_STEPS + 1],
            stages: Stages::default(),
            time: Time::default(),
            timed: 0,
            timed_steps: 0,
            parts: Parts::default(),
        })
    }

    /// The engine's name.
    pub fn engine(&self) -> &'static str {
        self.pipeline.engine()
    }

    /// Forgets what was counted and halts by `rule` from now on.
    pub fn begin(&mut self, rule: HaltingRule, frames: usize) {
        self.pipeline.set_rule(rule);
        self.scores = Scores::new(frames);
        (self.steps, self.histogram) = (0, [0; MAX_STEPS + 1]);
        (self.stages, self.time, self.timed, self.timed_steps) = (Stages::default(), Time::default(), 0, 0);
        self.parts = Parts::default();
    }

    /// Watches some frames of video number `video`; `seen` hears the steps and the classes of every pixel of each.
    pub fn watch(
        &mut self,
        clip: &Clip,
        video: usize,
        frames: Range<usize>,
        told: CutSource,
        timed: bool,
        mut seen: impl FnMut(usize, &StepTrace, &[u8]),
    ) -> Result<(), Failure> {
        for at in frames {
            let frame = Frame {
                format: clip.format,
                width: clip.width,
                height: clip.height,
                stride: clip.format.row_bytes(clip.width),
                data: clip.frames[at].clone().into(),
                sequence: at as u64,
                captured: crate::clock::now(),
                cut: match told {
                    CutSource::Videos => at == 0,
                    CutSource::Cuts => clip.cuts[at],
                    CutSource::Everything => true,
                },
                ..Frame::default()
            };
            let began = Time::now();
            let answer = self.pipeline.answer(&frame).map_err(|error| Failure::new(Cause::Engine, error))?;
            let took = began.since();
            let (trace, stages) = (answer.trace, answer.stages);
            self.steps += u64::from(trace.steps);
            self.parts.add(&trace);
            self.histogram[trace.steps as usize] += 1;
            if timed {
                self.timed += 1;
                self.timed_steps += u64::from(trace.steps);
                self.time = Time { wall: self.time.wall + took.wall, cpu: self.time.cpu + took.cpu };
                let sum = &mut self.stages;
                sum.fit += stages.fit;
                sum.encode += stages.encode;
                sum.steps += stages.steps;
                sum.readout += stages.readout;
            }
            let classes = &self.pipeline.mask().classes;
            seen(at, &trace, classes);
            match &clip.truths[at] {
                Truth::Contour(mask) => self.scores.add(video, at, clip.cuts[at], classes, mask),
                Truth::Labelled(truth) => {
                    let fits = fits(&self.pipeline, truth, [clip.width, clip.height]);
                    self.scores.add_share(video, at, clip.cuts[at], fits);
                }
            }
        }
        Ok(())
    }

    /// What was seen in the last frame watched, as something to compare with.
    pub fn seen(&self) -> Truth {
        Truth::Labelled(as_truth(&self.pipeline))
    }

    /// Steps a frame.
    pub fn mean_steps(&self) -> f64 {
        self.steps as f64 / self.scores.frames().max(1) as f64
    }

    /// A part of the time, in milliseconds a frame.
    pub fn ms(&self, part: Duration) -> f64 {
        part.as_secs_f64() * 1e3 / self.timed.max(1) as f64
    }
}
