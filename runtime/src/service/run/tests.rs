mod recorded;

use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock};

use super::*;
use crate::capture::fit::Mode;
use crate::capture::{CaptureError, Losses, NewestFrame, SourceInfo};
use crate::clock;
use crate::control::{Control, ControlQueue};
use crate::frame::PixelFormat;
use crate::network::Network;
use crate::network::engine::{Engine, EngineError, StageTimes, StepRequest};
use crate::outcome::{StepTrace, StopReason};
use crate::report::{Audience, Overflow, Sink};
use crate::service::closing;
use crate::service::signals::Signals;
use crate::telemetry::{CameraState, Report};

/// What one pull of the script brings.
enum Scene {
    Frame,
    /// A frame whose bytes are cut short.
    Broken,
    Silence,
    Gone,
    /// The source does something else meanwhile, and then nothing comes.
    Meanwhile(Box<dyn FnMut() + Send>),
}

/// A source that plays a script.
struct Script {
    info: SourceInfo,
    scenes: VecDeque<Scene>,
    sequence: u64,
    pulls: Arc<AtomicUsize>,
}

fn script(scenes: impl IntoIterator<Item = Scene>) -> Script {
    let info = SourceInfo { uri: "script".into(), width: 8, height: 8, ..SourceInfo::default() };
    Script { info, scenes: scenes.into_iter().collect(), sequence: 0, pulls: Arc::default() }
}

fn frames(count: usize) -> impl Iterator<Item = Scene> {
    (0..count).map(|_| Scene::Frame)
}

impl Source for Script {
    fn info(&self) -> &SourceInfo {
        &self.info
    }

    fn pull(&mut self, frame: &mut Frame, _: Duration) -> Result<Pull, CaptureError> {
        self.pulls.fetch_add(1, Ordering::SeqCst);
        let length = match self.scenes.pop_front() {
            None => return Ok(Pull::End),
            Some(Scene::Frame) => 64,
            Some(Scene::Broken) => 3,
            Some(Scene::Silence) => return Ok(Pull::Waiting),
            Some(Scene::Gone) => return Err(CaptureError::Gone { path: "script".into(), reason: "unplugged".into() }),
            Some(Scene::Meanwhile(mut act)) => {
                act();
                return Ok(Pull::Waiting);
            }
        };
        let (format, captured, sequence) = (PixelFormat::Grey, clock::now(), self.sequence);
        *frame = Frame { format, width: 8, height: 8, stride: 8, data: vec![100; length].into(), sequence, captured, ..Frame::default() };
        self.sequence += 1;
        Ok(Pull::Frame)
    }

    fn losses(&self) -> Losses {
        Losses { dropped: 2, skipped: 3, corrupt: 5 }
    }

    fn state(&self) -> CameraState {
        CameraState::Streaming
    }
}

/// An engine that answers at once, and fails or panics at one frame if asked to.
struct Quick {
    input: Vec<f32>,
    logits: Vec<f32>,
    left: Option<(usize, bool)>,
}

impl Engine for Quick {
    fn name(&self) -> &'static str {
        "quick"
    }

    fn input(&mut self) -> &mut [f32] {
        &mut self.input
    }

    fn encode(&mut self) -> Result<(), EngineError> {
        match &mut self.left {
            Some((0, true)) => panic!("planted in the engine"),
            Some((0, false)) => return Err(EngineError::Run { graph: "encoder.onnx".into(), reason: "planted".into() }),
            Some((left, _)) => *left -= 1,
            None => {}
        }
        Ok(())
    }

    fn times(&self) -> StageTimes {
        StageTimes::default()
    }

    fn advance(&mut self, order: &StepRequest) -> Result<StepTrace, EngineError> {
        Ok(StepTrace {
            steps: 1,
            limit: order.limit,
            stop: StopReason::Halted,
            distances: heapless::Vec::from_slice(&[0.5]).unwrap(),
            drive_distance: 0.1,
            moved: 1.0,
            stepped: 1.0,
            encoded: 1.0,
        })
    }

    fn readout(&mut self) -> Result<&[f32], EngineError> {
        Ok(&self.logits)
    }

    fn reset(&mut self) {}

    fn mark_stale(&mut self) {}
}

fn pipeline(fails: Option<(usize, bool)>, timed: bool) -> Pipeline {
    static NETWORK: OnceLock<Network> = OnceLock::new();
    let network = NETWORK.get_or_init(|| Network::load(crate::network::load::DEFAULT).unwrap());
    let engine = Quick { input: vec![0.0; 64 * 64], logits: vec![0.0; network.readout.output_shape(0).iter().product()], left: fails };
    Pipeline::new(network, Box::new(engine), network.manifest.rule(), Mode::Crop, timed)
}

/// What a sink was shown.
type Seen = Arc<Mutex<Vec<Report>>>;

struct Shows<F> {
    act: F,
    draws: bool,
}

impl<F: FnMut(&Report) -> Result<(), SinkError> + Send> Sink for Shows<F> {
    fn show(&mut self, report: &Report) -> Result<(), SinkError> {
        (self.act)(report)
    }

    fn audience(&self) -> Option<Audience> {
        self.draws.then(Audience::always)
    }
}

fn worker(name: &str, act: impl FnMut(&Report) -> Result<(), SinkError> + Send + 'static) -> SinkWorker {
    SinkWorker::start(name, Box::new(Shows { act, draws: false }), Overflow::Wait).unwrap()
}

/// A worker that keeps what it is shown.
fn keeping(name: &str) -> (SinkWorker, Seen) {
    let seen = Seen::default();
    let theirs = Arc::clone(&seen);
    (
        worker(name, move |report| {
            theirs.lock().unwrap().push(report.clone());
            Ok(())
        }),
        seen,
    )
}

fn sequences(seen: &Seen) -> Vec<u64> {
    seen.lock().unwrap().iter().map(|report| report.sequence).collect()
}

/// Everything a run needs beside its source and its workers.
struct Stage {
    pipeline: Pipeline,
    control_queue: ControlQueue,
    signals: Signals,
    frames: Option<u64>,
    recording: Option<Recording>,
    reloads: usize,
}

impl Stage {
    fn new() -> Stage {
        Stage {
            pipeline: pipeline(None, false),
            control_queue: ControlQueue::new(),
            signals: Signals::default(),
            frames: None,
            recording: None,
            reloads: 0,
        }
    }

    /// Runs to the end, closes the workers, and returns the frames answered.
    fn run(&mut self, source: &mut dyn Source, workers: Vec<SinkWorker>) -> Result<u64, Failure> {
        let (mut lifecycle, mut control_handler) =
            (Lifecycle::embedded(self.signals.clone()), ControlHandler::new(self.control_queue.clone(), None));
        let reloads = &mut self.reloads;
        let mut reload = |_: &mut Pipeline, _: Option<&mut BudgetController>| *reloads += 1;
        let ran = Run {
            source,
            pipeline: &mut self.pipeline,
            control_handler: &mut control_handler,
            workers: &workers,
            recording: self.recording.as_mut(),
            dump: None,
            frames: self.frames,
            lifecycle: &mut lifecycle,
            reload: &mut reload,
        }
        .answer();
        let closed = closing::close(workers, &|| ran.is_err() || !lifecycle.goes_on());
        let latencies = ran?;
        closed?;
        Ok(latencies.age.count())
    }
}

#[test]
fn every_frame_is_answered_once_in_order_with_what_was_lost_beside_it() {
    let (worker, seen) = keeping("kept");
    assert_eq!(Stage::new().run(&mut script(frames(3)), vec![worker]).unwrap(), 3);
    assert_eq!(sequences(&seen), [0, 1, 2]);
    let report = seen.lock().unwrap()[2].clone();
    assert_eq!((report.dropped, report.skipped, report.corrupt, report.engine), (2, 3, 5, "quick"));
    assert!(report.picture.is_none(), "nobody draws");
}

#[test]
fn so_many_frames_are_answered_as_were_asked_for() {
    let mut stage = Stage { frames: Some(2), ..Stage::new() };
    let mut source = script(frames(9));
    assert_eq!(stage.run(&mut source, vec![]).unwrap(), 2);
    assert_eq!(source.scenes.len(), 7, "no more was pulled");
}

#[test]
fn a_picture_is_made_where_a_sink_draws() {
    let seen = Arc::new(Mutex::new(None));
    let theirs = Arc::clone(&seen);
    let act = move |report: &Report| {
        *theirs.lock().unwrap() = report.picture.clone();
        Ok(())
    };
    let worker = SinkWorker::start("drawn", Box::new(Shows { act, draws: true }), Overflow::Wait).unwrap();
    Stage::new().run(&mut script(frames(1)), vec![worker]).unwrap();
    let picture = seen.lock().unwrap().clone().unwrap();
    assert_eq!((picture.width, picture.height, picture.luma.len()), (64, 64, 64 * 64));
}

#[test]
fn whoever_asks_for_the_end_gets_it_after_the_frame_at_hand() {
    let mut stage = Stage::new();
    let signals = stage.signals.clone();
    let (worker, seen) = keeping("kept");
    let scenes = frames(2).chain([Scene::Meanwhile(Box::new(move || signals.end()))]).chain(frames(9));
    assert_eq!(stage.run(&mut script(scenes), vec![worker]).unwrap(), 2);
    assert_eq!(sequences(&seen), [0, 1]);
}

#[test]
fn an_end_is_not_held_up_by_a_sink_that_takes_nothing() {
    let mut stage = Stage::new();
    let signals = stage.signals.clone();
    let (free, stuck) = std::sync::mpsc::channel::<()>();
    let stuck = worker("stuck", move |_| {
        stuck.recv().unwrap_or_default();
        Ok(())
    })
    .with_grace(Duration::from_millis(50));
    let (kept, seen) = keeping("kept");
    let asks = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(300));
        signals.end();
    });
    // Without a way round the stuck sink this never comes back.
    let failure = stage.run(&mut script(frames(10_000)), vec![stuck, kept]).unwrap_err();
    asks.join().unwrap();
    drop(free);
    assert_eq!(failure.cause, Cause::Output);
    assert!(failure.message.contains("'stuck' took longer"), "{failure}");
    assert!(sequences(&seen).len() > 1, "the other one got what there was");
}

#[test]
fn the_configuration_is_read_again_once_for_each_request() {
    let mut stage = Stage::new();
    let signals = stage.signals.clone();
    let scenes = [Scene::Meanwhile(Box::new(move || signals.read_again()))].into_iter().chain(frames(5));
    stage.run(&mut script(scenes), vec![]).unwrap();
    assert_eq!(stage.reloads, 1);
}

#[test]
fn a_reader_that_left_is_missed_by_nobody_and_the_last_one_ends_the_run() {
    let gone = || worker("gone", |_| Err(SinkError::Closed));
    let (kept, seen) = keeping("kept");
    assert_eq!(Stage::new().run(&mut script(frames(200)), vec![gone(), kept]).unwrap(), 200);
    assert_eq!(seen.lock().unwrap().len(), 200);
    assert!(Stage::new().run(&mut script(frames(10_000)), vec![gone(), gone()]).unwrap() < 10_000);
}

#[test]
fn a_reader_that_leaves_while_no_frame_comes_ends_the_run_too() {
    let mut source = script(frames(1).chain((0..1_000_000).map(|_| Scene::Silence)));
    Stage::new().run(&mut source, vec![worker("gone", |_| Err(SinkError::Closed))]).unwrap();
    assert!(!source.scenes.is_empty());
}

#[test]
fn an_output_that_cannot_be_written_ends_the_run() {
    let full = || SinkError::Write { place: "a disk".into(), reason: std::io::Error::from_raw_os_error(libc::ENOSPC) };
    let failure = Stage::new().run(&mut script(frames(10_000)), vec![worker("full", move |_| Err(full()))]).unwrap_err();
    assert_eq!(failure.cause, Cause::Output);
    assert!(failure.message.contains("a disk") && failure.message.contains("No space"), "{failure}");
}

#[test]
fn a_sink_that_panics_is_a_fault_of_the_program_and_others_are_finished() {
    let (kept, seen) = keeping("kept");
    let doomed = worker("doomed", |report| if report.sequence == 5 { panic!("planted") } else { Ok(()) });
    let failure = Stage::new().run(&mut script(frames(10_000)), vec![kept, doomed]).unwrap_err();
    assert_eq!(failure.cause, Cause::Internal);
    assert!(failure.message.contains("'report-doomed'") && failure.message.contains("planted"), "{failure}");
    let seen = sequences(&seen);
    assert!(seen.len() > 5 && seen.iter().enumerate().all(|(at, sequence)| at as u64 == *sequence), "the other sink got all there was");
}

#[test]
fn a_capture_thread_that_dies_is_a_fault_of_the_program() {
    let scenes = frames(2).chain([Scene::Meanwhile(Box::new(|| panic!("planted in the source")))]);
    let mut source = script(scenes);
    source.info.live = true;
    let failure = Stage::new().run(&mut NewestFrame::spawn(Box::new(source)).unwrap(), vec![]).unwrap_err();
    assert_eq!(failure.cause, Cause::Internal);
    assert!(failure.message.contains("'capture'") && failure.message.contains("planted"), "{failure}");
}

#[test]
fn a_source_that_breaks_is_told_after_what_it_gave_is_answered() {
    let (kept, seen) = keeping("kept");
    let failure = Stage::new().run(&mut script(frames(2).chain([Scene::Gone])), vec![kept]).unwrap_err();
    assert_eq!((failure.cause, sequences(&seen)), (Cause::Source, vec![0, 1]));
}

#[test]
fn a_broken_frame_costs_that_frame_and_is_counted_whatever_the_source() {
    let broken = || script([Scene::Frame, Scene::Broken, Scene::Frame]);
    let mut timed = broken();
    timed.info.timed = true;
    let (kept, seen) = keeping("kept");
    let mut stage = Stage { pipeline: pipeline(None, true), ..Stage::new() };
    assert_eq!(stage.run(&mut timed, vec![kept]).unwrap(), 2);
    assert_eq!(seen.lock().unwrap()[1].corrupt, 5 + 1);
    assert_eq!(Stage::new().run(&mut broken(), vec![]).unwrap(), 2);
    let failure = Stage::new().run(&mut script([Scene::Broken, Scene::Broken]), vec![]).unwrap_err();
    assert_eq!(failure.cause, Cause::Source);
    assert!(failure.message.contains("script: no frame was answered"), "{failure}");
}

#[test]
fn an_engine_that_fails_ends_the_run_with_its_own_code() {
    let mut stage = Stage { pipeline: pipeline(Some((2, false)), false), ..Stage::new() };
    let (kept, seen) = keeping("kept");
    let failure = stage.run(&mut script(frames(9)), vec![kept]).unwrap_err();
    assert_eq!((failure.cause, sequences(&seen)), (Cause::Engine, vec![0, 1]));
}

#[test]
fn an_engine_that_panics_is_a_fault_of_the_program_and_outputs_are_finished() {
    let mut stage = Stage { pipeline: pipeline(Some((2, true)), false), ..Stage::new() };
    let (kept, seen) = keeping("kept");
    let failure = stage.run(&mut script(frames(9)), vec![kept]).unwrap_err();
    assert_eq!((failure.cause, sequences(&seen)), (Cause::Internal, vec![0, 1]));
    assert!(failure.message.contains("planted in the engine"), "{failure}");
}

#[test]
fn while_paused_a_film_stands_still_and_a_camera_goes_on_unanswered() {
    for live in [false, true] {
        let mut stage = Stage::new();
        let mut source = script(frames(50));
        source.info.live = live;
        let (pulls, control_queue) = (Arc::clone(&source.pulls), stage.control_queue.clone());
        control_queue.ask(Control::Pause(true)).unwrap();
        let resume = std::thread::spawn(move || {
            std::thread::sleep(Duration::from_millis(400));
            let before = pulls.load(Ordering::SeqCst);
            control_queue.ask(Control::Pause(false)).unwrap();
            before
        });
        let answered = stage.run(&mut source, vec![]).unwrap();
        let before = resume.join().unwrap();
        assert_eq!((answered, before > 0), if live { (0, true) } else { (50, false) }, "live: {live}");
    }
}
