//! The main loop: pull, answer, report, until told to end.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use super::budget_controller::BudgetController;
use super::control_handler::ControlHandler;
use super::decision::{self, Decision, FrameCost, FrameOutcome};
use super::dump::Dump;
use super::exit::{Cause, Failure};
use super::lifecycle::Lifecycle;
use crate::capture::fit::FitError;
use crate::clock;
use crate::frame::Frame;
use crate::latencies::Latencies;
use crate::outcome::MAX_STEPS;
use crate::pipeline::{Pipeline, PipelineError};
use crate::recording::Recording;
use crate::report::{SinkError, SinkWorker};
use crate::source::{Pull, Source, Times};
use crate::telemetry::{RecordingState, Report, Shapes};
use crate::threads::{self, Fault};

/// How long one pull may wait before the loop looks at the stop flag again.
const WAIT: Duration = Duration::from_millis(100);
/// Broken frames that are named at the end; of the rest the number is told.
const NAMED: usize = 5;
/// Pictures for people are made at most this often on live sources.
const PICTURE_EVERY: Duration = Duration::from_millis(50);

/// One run, from its source to its outputs.
pub struct Run<'a> {
    /// Where frames come from.
    pub source: &'a mut dyn Source,
    /// What answers them.
    pub pipeline: &'a mut Pipeline,
    /// Carries out what links ask for, and keeps frames within a budget if there is one.
    pub control_handler: &'a mut ControlHandler,
    /// Where answers go.
    pub workers: &'a [SinkWorker],
    /// Takes every frame, what was decided for it and what was answered.
    pub recording: Option<&'a mut Recording>,
    /// Takes what the network holds after every frame.
    pub dump: Option<&'a mut Dump>,
    /// So many frames are answered at most.
    pub frames: Option<u64>,
    /// Signals, and the service manager.
    pub lifecycle: &'a mut Lifecycle,
    /// Called when the configuration is to be read again.
    pub reload: &'a mut dyn FnMut(&mut Pipeline, Option<&mut BudgetController>),
}

impl Run<'_> {
    /// Answers frames until the source ends, enough are answered, the last sink's reader leaves, or the run is to end. Returns how long the
    /// answered frames took. The death of any thread is an error with [`Cause::Internal`].
    pub fn answer(self) -> Result<Latencies, Failure> {
        // This thread is watched like any other: a panic of an engine is the caller's to finish its outputs after.
        catch_unwind(AssertUnwindSafe(|| answer(self))).unwrap_or_else(|payload| {
            let thread = std::thread::current().name().unwrap_or("without a name").to_owned();
            Err(Fault { thread, words: threads::words_of(&*payload) }.into())
        })
    }
}

fn answer(run: Run) -> Result<Latencies, Failure> {
    let Run { source, pipeline, control_handler, workers, recording, mut dump, frames, lifecycle, reload } = run;
    let mut frame = Frame::default();
    let mut latencies = Latencies::default();
    let mut broken = Broken::default();
    let (mut over, mut passed_over) = (false, false);
    let mut drawn = Duration::ZERO;
    let (live, times) = (source.info().live, source.times());
    // What a recorded run left out to keep its budget was left out because the next frame came anyway.
    let leaves_out = live || times == Times::Replayed && source.info().timed;
    let mut tape = RecordingTap { recording, wait: !live };
    control_handler.attend(pipeline, source.state());
    while frames.is_none_or(|frames| latencies.age.count() < frames) && lifecycle.goes_on() {
        if lifecycle.reload() {
            reload(pipeline, control_handler.budget_controller());
        }
        if let Some(fault) = control_handler.budget_controller().and_then(|budget_controller| budget_controller.fault()) {
            return Err(fault.into());
        }
        if let Some(fault) = tape.fault() {
            return Err(fault.into());
        }
        if !is_heard(workers, tape.recording.is_some())? {
            return Ok(latencies);
        }
        if control_handler.paused() && !live {
            control_handler.rest(WAIT);
            control_handler.attend(pipeline, source.state());
            lifecycle.paused();
            continue;
        }
        let pulled = source.pull(&mut frame, WAIT)?;
        control_handler.attend(pipeline, source.state());
        match pulled {
            Pull::Frame => {}
            Pull::Waiting => {
                lifecycle.waited(source.state());
                continue;
            }
            Pull::End => {
                over = true;
                break;
            }
        }
        let recorded = source.recorded().and_then(Decision::of);
        let wall = source.recorded().map_or_else(|| Some(clock::wall_of(frame.captured)), |recorded| recorded.wall);
        let mut decision = decision::begun(&frame, if live { Some(clock::now()) } else { recorded.as_ref().map(Decision::at) });
        if control_handler.paused() || recorded.as_ref().is_some_and(|recorded| recorded.fate == FrameOutcome::Paused) {
            lifecycle.paused();
            passed_over = true;
            tape.take(&frame, wall, Decision { fate: FrameOutcome::Paused, ..decision }, None);
            continue;
        }
        let engine = pipeline.engine();
        let plan = control_handler.budget_controller().map(|budget_controller| budget_controller.plan(frame.captured, recorded.as_ref()));
        if let (Some(budget_controller), Some(plan)) = (control_handler.budget_controller(), &plan) {
            budget_controller.kept(plan, &mut decision);
            if leaves_out && plan.skip {
                budget_controller.left_out();
                lifecycle.waited(source.state());
                passed_over = true;
                tape.take(&frame, wall, Decision { fate: FrameOutcome::LeftOut, ..decision }, None);
                continue;
            }
        }
        if live {
            pipeline.pin(&mut frame);
        }
        let follows = recorded.as_ref().is_some_and(|recorded| match control_handler.budget_controller() {
            Some(budget_controller) => budget_controller.follows(recorded),
            None => recorded.kept_to(None),
        });
        let granted = plan.map_or(MAX_STEPS as u32, |plan| plan.limit);
        // The recorded clock does not run while the engine steps: how far the deadline let it go is known before.
        let checked = recorded.as_ref().and_then(|recorded| recorded.checked(plan.as_ref(), follows));
        let deadline = if times == Times::Replayed { None } else { plan.and_then(|plan| plan.deadline) };
        let limit = checked.map_or(granted, |checked| granted.min(checked));
        let mut report = match pipeline.answer_within(&frame, limit, deadline) {
            Ok(answer) => answer.report(&frame, engine),
            // A broken picture costs that picture and no other.
            Err(PipelineError::Fit(error)) => {
                broken.note(&frame, source.called(), live, error);
                tape.take(&frame, wall, Decision { fate: FrameOutcome::Unreadable, ..decision }, None);
                continue;
            }
            Err(PipelineError::Engine(error)) => {
                tape.take(&frame, wall, Decision { fate: FrameOutcome::Unreadable, ..decision }, None);
                return Err(error.into());
            }
        };
        let losses = source.losses();
        report.wall = wall;
        report.live = times == Times::Live;
        report.camera = source.state();
        report.dropped = losses.dropped;
        report.skipped = losses.skipped;
        report.corrupt = losses.corrupt + broken.count;
        match &recorded {
            Some(recorded) => recorded.settle(&mut report, checked, granted, follows),
            // A recording that knows no more than pictures: ages are this machine's.
            None if times == Times::Replayed => report.age = report.stages.total(),
            None => {}
        }
        if let (Some(budget_controller), Some(plan)) = (control_handler.budget_controller(), &plan) {
            budget_controller.answered(plan, &mut report);
        }
        report.recording = tape.state();
        let now = report.captured + report.age;
        if (!live || now.saturating_sub(drawn) >= PICTURE_EVERY) && workers.iter().any(SinkWorker::draws) {
            drawn = now;
            report.picture = pipeline.picture(&frame).ok();
        }
        if tape.is_running() || workers.iter().any(SinkWorker::shows_tiles) {
            report.tiles = pipeline.tiles();
        }
        if workers.iter().any(SinkWorker::wants_mask) {
            report.mask = pipeline.answer_mask().map(Arc::new);
        }
        if let Some(dump) = &mut dump {
            dump.frame(pipeline, &report)?;
        }
        latencies.record(&report);
        lifecycle.answered(&report);
        decision.spent = Some(FrameCost::new(&report));
        tape.answered(&frame, wall, decision, &report, pipeline);
        for worker in workers {
            ended(worker, worker.offer(&report, &|| lifecycle.goes_on()))?;
        }
    }
    lifecycle.verdict()?;
    broken.sum_up(source);
    if over && !passed_over && latencies.age.count() == 0 {
        return Err(Failure::new(Cause::Source, nothing(source, &broken)));
    }
    Ok(latencies)
}

/// Whether anybody takes results; a sink that failed is an error.
fn is_heard(workers: &[SinkWorker], recording: bool) -> Result<bool, Failure> {
    workers.iter().try_for_each(|worker| ended(worker, worker.check()))?;
    Ok(recording || workers.is_empty() || workers.iter().any(|worker| !worker.is_over()))
}

/// What a sink's end means: a reader that left is missed by nobody else.
fn ended(worker: &SinkWorker, result: Result<(), SinkError>) -> Result<(), Failure> {
    match result {
        Ok(()) => Ok(()),
        Err(SinkError::Closed) => {
            log::debug!("the reader of the output '{}' has left", worker.name());
            Ok(())
        }
        Err(error) => Err(error.into()),
    }
}

/// The recording's place in the loop.
struct RecordingTap<'a> {
    recording: Option<&'a mut Recording>,
    /// Whether the frames wait for the disk.
    wait: bool,
}

impl RecordingTap<'_> {
    fn take(&mut self, frame: &Frame, wall: Option<Duration>, decision: Decision, answer: Option<(&Report, Option<Shapes>)>) {
        let Some(recording) = &mut self.recording else { return };
        if !recording.failed() {
            recording.take(frame, wall.unwrap_or(frame.captured), Some(decision.json()), answer, self.wait);
        }
    }

    fn answered(&mut self, frame: &Frame, wall: Option<Duration>, decision: Decision, report: &Report, pipeline: &Pipeline) {
        if self.recording.is_some() {
            let shapes = pipeline.shapes();
            self.take(frame, wall, decision, Some((report, shapes)));
        }
    }

    fn is_running(&self) -> bool {
        self.recording.as_ref().is_some_and(|recording| !recording.failed())
    }

    fn fault(&self) -> Option<Fault> {
        self.recording.as_ref().and_then(|recording| recording.fault())
    }

    fn state(&self) -> Option<RecordingState> {
        let recording = self.recording.as_ref()?;
        Some(if recording.failed() { RecordingState::Failed } else { RecordingState::On })
    }
}

/// Why a source that has ended was answered not once.
fn nothing(source: &dyn Source, broken: &Broken) -> String {
    let uri = &source.info().uri;
    let damaged = broken.count + source.losses().corrupt;
    match (&broken.first[..], damaged) {
        ([first, ..], _) => format!("{uri}: no frame was answered: all {damaged} are damaged; {first}"),
        ([], 1..) => format!("{uri}: no frame was answered: all {damaged} are damaged"),
        ([], 0) => format!("{uri}: no frame was answered: it ended without one"),
    }
}

/// Pictures that could not be read.
#[derive(Default)]
struct Broken {
    count: u64,
    /// Of the first ones, what is wrong.
    first: Vec<String>,
}

impl Broken {
    /// A camera's first one is told at once; a film's are named at its end.
    fn note(&mut self, frame: &Frame, called: Option<&str>, live: bool, error: FitError) {
        self.count += 1;
        if live && self.count == 1 {
            log::warn!("frame {}: {error}; passed over, and counted as corrupt", frame.sequence);
        } else {
            log::debug!("frame {}: {error}", frame.sequence);
        }
        if self.first.len() < NAMED {
            self.first.push(called.map_or_else(|| error.to_string(), |name| format!("{name}: {error}")));
        }
    }

    /// Names them at the end, where each frame counts. Of a camera's the reports tell the number.
    fn sum_up(&self, source: &dyn Source) {
        if self.count > 0 && !source.info().live {
            let more = self.count - self.first.len() as u64;
            let more = if more > 0 { format!("; and {more} more") } else { String::new() };
            log::warn!("{}: {} frames could not be read: {}{more}", source.info().uri, self.count, self.first.join("; "));
        }
    }
}

#[cfg(test)]
mod tests;
