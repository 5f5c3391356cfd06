//! One frame through the network: fit, encode, step, read out, report. Free of signals, service managers and exit codes.

mod builder;
mod colour;

pub use builder::PipelineBuilder;

use std::sync::Arc;
use std::time::Duration;

use crate::capture::fit::{FitError, Fitter, Mode};
use crate::clock;
use crate::frame::Frame;
use crate::network::Network;
use crate::network::engine::{Engine, EngineError, StageTimes, StepRequest, Tensors};
use crate::network::halting::HaltingRule;
use crate::network::manifest::InputSection;
use crate::outcome::{MAX_STEPS, StepTrace};
use crate::source_picture::SourcePicture;
use crate::task::{Candidate, Mask, Scene, Task};
use crate::telemetry::{AnswerMask, Detections, Picture, Region, Report, Shapes, Stages, TilesInView};

/// A gap between two frames of a timed source after which the carried state is doubted.
const DOUBT_AFTER: Duration = Duration::from_millis(500);
/// A gap after which it is forgotten.
const RESET_AFTER: Duration = Duration::from_secs(5);

/// Steps and frames of the warm-up; the first frame pays for cold caches and does not count, because the least cost does.
const WARM_UP_STEPS: u32 = 3;
const WARM_UP_FRAMES: u32 = 3;

/// Maps of tiles that are kept for their memory.
const MAPS: usize = 40;

/// What a frame costs on this machine: `base + steps * per_step`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Cost {
    /// Everything but stepping.
    pub base: Duration,
    /// One step.
    pub per_step: Duration,
}

/// What the pipeline made of one frame.
pub struct Answer<'a> {
    /// The steps.
    pub trace: StepTrace,
    /// What was seen.
    pub detections: &'a Detections,
    /// Time spent, by stage.
    pub stages: Stages,
    /// From capture to this answer.
    pub age: Duration,
}

/// One frame could not be answered.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PipelineError {
    /// The frame cannot be converted: broken, or of an unknown layout.
    #[error(transparent)]
    Fit(#[from] FitError),
    /// The engine failed.
    #[error(transparent)]
    Engine(#[from] EngineError),
}

/// A network, an engine and a task, wired for one source.
pub struct Pipeline {
    engine: Box<dyn Engine>,
    fitter: Fitter,
    task: Task,
    rule: HaltingRule,
    input: InputSection,
    timed: bool,
    /// Frames per second of a source that is not timed, where they are known: tracks have a speed then.
    fps: Option<f64>,
    /// The part of the last frame's picture that the network saw.
    view: Region,
    last: Option<(u32, u32, Duration)>,
    /// The engine took the last picture as it was: its input tensor does not show it.
    taken: bool,
    /// Maps of tiles that were handed out, for their memory: as many as somebody holds at a time.
    maps: Vec<Arc<TilesInView>>,
}

impl Pipeline {
    /// Wires `network` as the command line does, with what is asked for in place of its defaults.
    pub fn builder(network: &Network) -> PipelineBuilder<'_> {
        PipelineBuilder::new(network)
    }

    /// Wires `engine` for frames of a source whose capture times are those of the scene (`timed`) or not, fitted by `mode`, halted by `rule`.
    pub fn new(network: &Network, mut engine: Box<dyn Engine>, rule: HaltingRule, mode: Mode, timed: bool) -> Pipeline {
        let input = network.manifest.input.clone();
        let task = Task::new(network);
        if let Some(threshold) = task.packing() {
            engine.want_labels(threshold);
        }
        let (fitter, view) = (Fitter::new(input.spec(), mode), Region::default());
        Pipeline { engine, fitter, task, rule, input, timed, fps: None, view, last: None, taken: false, maps: Vec::new() }
    }

    /// The engine's name.
    pub fn engine(&self) -> &'static str {
        self.engine.name()
    }

    /// Halts by `rule` from the next frame on.
    pub fn set_rule(&mut self, rule: HaltingRule) {
        self.rule = rule;
    }

    /// Takes frames of a source that is not timed as so many a second, by their sequence numbers.
    pub fn set_rate(&mut self, fps: Option<f64>) {
        self.fps = fps.filter(|fps| *fps > 0.0);
    }

    /// Keeps boxes of at least this score for [`Pipeline::boxes`]; what is reported stays the same.
    pub fn keep_boxes_from(&mut self, score: f32) {
        self.task.keep_boxes_from(score);
    }

    /// What was reported of the last frame answered.
    pub fn detections(&self) -> &Detections {
        self.task.detections()
    }

    /// All boxes of the last frame answered, unsure ones too, the surest first.
    pub fn boxes(&self) -> &[Candidate] {
        self.task.boxes()
    }

    /// The part of the last frame's picture that the network saw.
    pub fn view(&self) -> Region {
        self.view
    }

    /// What each pixel of the last answer shows; None where boxes are seen.
    pub fn shapes(&self) -> Option<Shapes> {
        let mask = self.task.mask();
        let Mask { width, height, .. } = *mask;
        let there = width > 0 && height > 0 && mask.classes.len() == width * height;
        there.then(|| Shapes { width, height, classes: mask.classes.clone(), view: self.view })
    }

    /// The class or the share of foreground of every pixel of the last answer; None where boxes are seen or nothing is.
    pub fn answer_mask(&self) -> Option<AnswerMask> {
        let mask = self.task.mask();
        let Mask { width, height, .. } = *mask;
        let matte = self.task.is_matte();
        let share = |(class, score): (&u8, &f32)| {
            let alpha = if *class == 0 { 1.0 - score } else { *score };
            (alpha.clamp(0.0, 1.0) * 255.0).round() as u8
        };
        let pixels = if matte { mask.classes.iter().zip(&mask.scores).map(share).collect() } else { mask.classes.clone() };
        (width > 0 && height > 0).then_some(AnswerMask { width, height, pixels, matte, view: self.view })
    }

    /// Which tiles of the last frame moved and were stepped; None where everything is computed in every frame. Allocates nothing once as many
    /// maps are there as are held at a time.
    pub fn tiles(&mut self) -> Option<Arc<TilesInView>> {
        let free = self.maps.iter_mut().position(|map| Arc::get_mut(map).is_some());
        let at = match free {
            Some(at) => at,
            None if self.maps.len() < MAPS => {
                self.maps.push(Arc::default());
                self.maps.len() - 1
            }
            // A recording that holds minutes before an event keeps them all.
            None => {
                self.maps[0] = Arc::default();
                0
            }
        };
        let shown = Arc::get_mut(&mut self.maps[at])?;
        shown.view = self.view;
        self.engine.tiles(&mut shown.map).then(|| Arc::clone(&self.maps[at]))
    }

    /// What the network holds after the last frame answered, and its answer, as [`Engine::readout`] gives it. None where the engine keeps its
    /// tensors on a device.
    pub fn tensors(&mut self) -> Result<Option<(Tensors, Vec<f32>)>, EngineError> {
        let Some(tensors) = self.engine.tensors() else { return Ok(None) };
        Ok(Some((tensors, self.engine.readout()?.to_vec())))
    }

    /// The mask of the last frame answered; empty where boxes are seen.
    pub fn mask(&self) -> &Mask {
        self.task.mask()
    }

    /// Forgets everything carried from frame to frame.
    pub fn reset(&mut self) {
        self.engine.reset();
        self.task.reset();
    }

    /// Lets the engine keep the frame's memory, which goes round between a live source and this pipeline, where it reads without a copy.
    pub fn pin(&mut self, frame: &mut Frame) {
        self.engine.pin(frame);
    }

    /// Answers one frame with as many steps as the halting rule asks for.
    ///
    /// # Errors
    ///
    /// [`PipelineError::Fit`] if the frame is broken: it costs that frame and no other. [`PipelineError::Engine`] if the engine failed.
    pub fn answer(&mut self, frame: &Frame) -> Result<Answer<'_>, PipelineError> {
        self.answer_within(frame, MAX_STEPS as u32, None)
    }

    /// As [`Pipeline::answer`], with at most `limit` steps, none of which may end after `deadline` of [`crate::clock`].
    pub fn answer_within(&mut self, frame: &Frame, limit: u32, deadline: Option<Duration>) -> Result<Answer<'_>, PipelineError> {
        self.continuity(frame);
        let began = clock::now();
        self.taken = match self.fitter.sampling(frame)? {
            Some(sampling) => self.engine.take(frame, sampling)?,
            None => false,
        };
        if !self.taken {
            self.fitter.fit(frame, self.engine.input())?;
        }
        let order = StepRequest { rule: self.rule, limit, deadline };
        let mut fitted = clock::now();
        let trace = match self.step(&order) {
            Err(EngineError::InputLost) => {
                self.taken = false;
                self.fitter.fit(frame, self.engine.input())?;
                fitted = clock::now();
                self.step(&order)?
            }
            stepped => stepped?,
        };
        self.view = view(&self.fitter);
        let by_number = || self.fps.map(|fps| Duration::from_secs_f64(frame.sequence as f64 / fps));
        let size = [frame.width as f32, frame.height as f32];
        let scene = Scene { view: self.view, size, time: if self.timed { Some(frame.captured) } else { by_number() } };
        let detections = match self.engine.labels()? {
            Some(labels) => self.task.take(labels, &scene),
            None => self.task.read(self.engine.readout()?, &scene),
        };
        let done = clock::now();
        // By the engine's own clock: what it is told to do may only be queued when that returns. The rest, the device's launches among it, is
        // the answer's, so that all stages together are what the frame took.
        let StageTimes { encode, steps, .. } = self.engine.times();
        let readout = (done - fitted).saturating_sub(encode + steps);
        let stages = Stages { fit: fitted - began, encode, steps, readout };
        Ok(Answer { trace, detections, stages, age: done.saturating_sub(frame.captured) })
    }

    fn step(&mut self, order: &StepRequest) -> Result<StepTrace, EngineError> {
        self.engine.encode()?;
        self.engine.advance(order)
    }

    /// Measures what a frame and a step cost on this machine, on an empty picture, and leaves the state cleared.
    pub fn warm_up(&mut self) -> Result<Cost, EngineError> {
        let mut cost = Cost { base: Duration::MAX, per_step: Duration::MAX };
        let order = StepRequest { rule: HaltingRule::fixed(WARM_UP_STEPS), limit: WARM_UP_STEPS, deadline: None };
        for _ in 0..WARM_UP_FRAMES {
            // Where only what moved is computed, the first frame after a reset is the one that costs what a whole one does.
            self.engine.reset();
            let began = clock::now();
            let steps = self.step(&order)?.steps.max(1);
            if self.engine.labels()?.is_none() {
                self.engine.readout()?;
            }
            let (all, stepping) = (clock::now() - began, self.engine.times().steps);
            cost.base = cost.base.min(all.saturating_sub(stepping));
            cost.per_step = cost.per_step.min(stepping / steps);
        }
        self.engine.reset();
        Ok(cost)
    }

    /// Resets or doubts the state where `frame` does not continue the one before it.
    fn continuity(&mut self, frame: &Frame) {
        let before = self.last.replace((frame.width, frame.height, frame.captured));
        let Some((width, height, captured)) = before else { return };
        let gap = if self.timed { frame.captured.saturating_sub(captured) } else { Duration::ZERO };
        if frame.cut || (width, height) != (frame.width, frame.height) || gap > RESET_AFTER {
            self.reset();
        } else if gap > DOUBT_AFTER {
            self.engine.mark_stale();
        }
    }

    /// The network's input and answer of `frame`, the last one answered, for sinks that draw.
    pub fn picture(&mut self, frame: &Frame) -> Result<Arc<Picture>, FitError> {
        if std::mem::take(&mut self.taken) {
            self.fitter.fit(frame, self.engine.input())?;
        }
        let (width, height) = (self.input.width as usize, self.input.height as usize);
        let pixels = width * height;
        let levels = self.engine.input();
        // As the fitter makes luma of RGB, where the network takes colour.
        let weights: &[f32] = if self.input.channels == 3 { &[0.299, 0.587, 0.114] } else { &[1.0] };
        let luma = |at: usize| {
            let level = |channel: usize| levels[channel * pixels + at] * self.input.std[channel] + self.input.mean[channel];
            let luma: f32 = weights.iter().enumerate().map(|(channel, weight)| weight * level(channel)).sum();
            (luma * 255.0).round().clamp(0.0, 255.0) as u8
        };
        let luma = (0..pixels).map(luma).collect();
        let mask = self.task.mask();
        let class = |at: usize| {
            let (x, y) = (at % width * mask.width / width, at / width * mask.height / height);
            mask.shown(mask.classes[y * mask.width + x])
        };
        let mut mask: Vec<u8> = if mask.width > 0 { (0..pixels).map(class).collect() } else { vec![0; pixels] };
        if self.task.mask().width == 0 {
            let (sx, sy) = (width as f32 / self.view.width, height as f32 / self.view.height);
            // The surest last, so that they lie on top.
            for seen in self.task.detections().iter().rev() {
                let Region { x, y, width: w, height: h } = seen.region;
                let (left, top) = ((x - self.view.x) * sx, (y - self.view.y) * sy);
                outline(&mut mask, [width, height], [left, top, left + w * sx, top + h * sy], seen.class.saturating_add(1));
            }
        }
        let source = Some(Arc::new(SourcePicture::new(frame, colour::rgb)));
        let (width, height) = (width as u32, height as u32);
        Ok(Arc::new(Picture { width, height, luma, mask, outlined: self.task.mask().width == 0, view: self.view, source }))
    }
}

/// Draws a box's edges, one pixel wide, into a plane of `width` by `height`.
fn outline(plane: &mut [u8], [width, height]: [usize; 2], [left, top, right, bottom]: [f32; 4], colour: u8) {
    let inside = |edge: f32, size: usize| (edge.round().max(0.0) as usize).min(size - 1);
    let (left, right) = (inside(left, width), inside(right - 1.0, width));
    let (top, bottom) = (inside(top, height), inside(bottom - 1.0, height));
    for x in left..=right.max(left) {
        (plane[top * width + x], plane[bottom * width + x]) = (colour, colour);
    }
    for y in top..=bottom.max(top) {
        (plane[y * width + left], plane[y * width + right]) = (colour, colour);
    }
}

/// The part of the source's picture that the tensor, and so the logits, cover.
fn view(fitter: &Fitter) -> Region {
    let placement = fitter.placement().expect("a frame was fitted");
    let (left, top) = placement.to_picture(0.0, 0.0);
    let (right, bottom) = placement.to_picture(fitter.spec().width as f64, fitter.spec().height as f64);
    Region { x: left as f32, y: top as f32, width: (right - left) as f32, height: (bottom - top) as f32 }
}

impl Answer<'_> {
    /// The report of this answer to `frame`; counters and sensor readings are the caller's to fill in.
    pub fn report(&self, frame: &Frame, engine: &'static str) -> Report {
        Report {
            captured: frame.captured,
            wall: Some(clock::wall_of(frame.captured)),
            age: self.age,
            detections: self.detections.clone(),
            stages: self.stages,
            ..Report::new(frame.sequence, (frame.width, frame.height), self.trace.clone(), engine)
        }
    }
}
