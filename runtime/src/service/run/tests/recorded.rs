//! The recording beside the loop, and the loop on a recording.

use super::*;
use crate::recording::{OutcomeFormat, RecordSpec, Replay};
use crate::source::Recorded;

/// A recording into `folder` whose words for an answer are `outcome`'s.
fn recording(folder: &std::path::Path, outcome: fn(&Report, &[String]) -> String) -> Recording {
    let spec = RecordSpec { path: folder.join("seen.mcap"), limit: None, events: None, timed: false, watched_by: None };
    Recording::start(spec, OutcomeFormat { outcome, ..OutcomeFormat::default() }).unwrap()
}

#[test]
fn every_frame_of_a_film_is_recorded_with_what_became_of_it() {
    let folder = tempfile::tempdir().unwrap();
    let mut stage = Stage { recording: Some(recording(folder.path(), |_, _| "{}".into())), ..Stage::new() };
    let (kept, seen) = keeping("kept");
    stage.run(&mut script([Scene::Frame, Scene::Broken, Scene::Frame]), vec![kept]).unwrap();
    assert!(seen.lock().unwrap().iter().all(|report| report.recording == Some(RecordingState::On)));
    let recording = stage.recording.take().unwrap();
    let path = recording.path().to_owned();
    assert_eq!(recording.finish().unwrap().frames, 3);
    let mut replay = Replay::open("test", &path, None, |_, _| Err("no picture".into())).unwrap();
    let mut frame = Frame::default();
    let mut fates = Vec::new();
    while replay.pull(&mut frame, Duration::ZERO).unwrap() == Pull::Frame {
        fates.push(Decision::of(replay.recorded().unwrap()).unwrap().fate);
    }
    assert_eq!(fates, [FrameOutcome::Answered, FrameOutcome::Unreadable, FrameOutcome::Answered]);
}

#[test]
fn a_recording_whose_thread_dies_is_a_fault_of_the_program() {
    let folder = tempfile::tempdir().unwrap();
    let outcome = |report: &Report, _: &[String]| if report.sequence == 3 { panic!("planted in the recorder") } else { "{}".into() };
    let mut stage = Stage { recording: Some(recording(folder.path(), outcome)), ..Stage::new() };
    let (kept, seen) = keeping("kept");
    let failure = stage.run(&mut script(frames(10_000)), vec![kept]).unwrap_err();
    assert_eq!(failure.cause, Cause::Internal);
    assert!(failure.message.contains("'recording'") && failure.message.contains("planted in the recorder"), "{failure}");
    assert!(seen.lock().unwrap().len() > 3);
}

#[test]
fn a_recording_whose_disk_fails_is_told_with_every_answer_and_watching_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    // A frame that is larger than a quarter of the bound cannot be recorded.
    let spec = RecordSpec { path: folder.path().join("seen.mcap"), limit: Some(1 << 20), events: None, timed: false, watched_by: None };
    let mut stage = Stage { recording: Some(Recording::start(spec, OutcomeFormat::default()).unwrap()), ..Stage::new() };
    let large = Frame { width: 1024, height: 1024, stride: 1024, data: vec![0; 1 << 20].into(), ..Frame::default() };
    let recording = stage.recording.as_mut().unwrap();
    recording.take(&large, Duration::ZERO, None, None, true);
    while !recording.failed() {
        std::thread::sleep(Duration::from_millis(1));
    }
    let (kept, seen) = keeping("kept");
    assert_eq!(stage.run(&mut script(frames(3)), vec![kept]).unwrap(), 3);
    assert!(seen.lock().unwrap().iter().all(|report| report.recording == Some(RecordingState::Failed)));
}

/// Frames as a recording gives them: on a clock of its own, with what was decided for each.
struct Replayed(Script, Vec<Decision>, Recorded);

impl Source for Replayed {
    fn info(&self) -> &SourceInfo {
        self.0.info()
    }

    fn times(&self) -> Times {
        Times::Replayed
    }

    fn recorded(&self) -> Option<&Recorded> {
        Some(&self.2)
    }

    fn pull(&mut self, frame: &mut Frame, wait: Duration) -> Result<Pull, CaptureError> {
        let at = self.0.sequence as usize;
        let pulled = self.0.pull(frame, wait)?;
        if let Some(decision) = self.1.get(at) {
            frame.captured = Duration::from_millis(40 * at as u64);
            let run = serde_json::from_str(&decision.json()).ok();
            self.2 = Recorded { wall: Some(Duration::from_secs(1_700_000_000)), run };
        }
        Ok(pulled)
    }

    fn losses(&self) -> Losses {
        Losses::default()
    }
}

#[test]
fn a_replay_tells_the_ages_times_and_counts_of_the_recorded_run() {
    let decisions: Vec<Decision> = (0..3)
        .map(|at| {
            let report = Report { age: Duration::from_millis(9 + at), dropped: 10 + at, ..Report::for_tests(at) };
            let frame = Frame { captured: Duration::from_millis(40 * at), ..Frame::default() };
            Decision { spent: Some(FrameCost::new(&report)), ..decision::begun(&frame, None) }
        })
        .collect();
    let (kept, seen) = keeping("kept");
    Stage::new().run(&mut Replayed(script(frames(3)), decisions, Default::default()), vec![kept]).unwrap();
    let seen = seen.lock().unwrap();
    let told: Vec<_> =
        seen.iter().map(|report| (report.age.as_millis(), report.dropped, report.captured.as_millis(), report.live)).collect();
    assert_eq!(told, [(9, 10, 0, false), (10, 11, 40, false), (11, 12, 80, false)]);
    assert!(seen.iter().all(|report| report.wall == Some(Duration::from_secs(1_700_000_000))));
}

#[test]
fn what_a_recorded_run_left_alone_is_left_alone_in_its_replay() {
    let fates = [FrameOutcome::Answered, FrameOutcome::Paused, FrameOutcome::Answered];
    let decisions = fates.map(|fate| Decision { fate, ..decision::begun(&Frame::default(), None) }).to_vec();
    let (kept, seen) = keeping("kept");
    Stage::new().run(&mut Replayed(script(frames(3)), decisions, Default::default()), vec![kept]).unwrap();
    assert_eq!(sequences(&seen), [0, 2]);
}
