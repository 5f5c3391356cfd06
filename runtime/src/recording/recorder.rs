//! Writing recordings: everything, or the time around events; at most so many bytes of disk.

use std::collections::VecDeque;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use super::names::{self, Names};
use super::part::{Part, in_words};
use super::recorded_frame::RecordedFrame;
use super::spec::{OutcomeFormat, RecordError, RecordSpec, RecordSummary};
use super::yuv;
use crate::clock;
use crate::frame::Frame;
use crate::telemetry::Report;

/// Bytes the pre-roll may take in memory.
const PRE_ROLL_BYTES: usize = 256 << 20;
/// Parts a bounded recording is kept in at least: none takes more than its share of the limit.
const PARTS: u64 = 4;

/// Writes frames and what was said of them. However it ends, what it wrote is a whole file.
pub struct Recorder {
    spec: RecordSpec,
    naming: OutcomeFormat,
    names: Names,
    part: Option<Part>,
    number: u32,
    /// Parts that earlier starts left, oldest first.
    earlier: VecDeque<(PathBuf, u64)>,
    finished: VecDeque<(PathBuf, u64)>,
    ring: VecDeque<RecordedFrame>,
    held_bytes: usize,
    /// It has been said that the pre-roll is shorter than was asked for.
    told: bool,
    /// Write through until then (events only).
    until: Option<Duration>,
    frames: u64,
    failed: bool,
}

impl Recorder {
    /// Makes the first file, so that a path that cannot be written is known at once.
    pub fn create(spec: RecordSpec, naming: OutcomeFormat) -> Result<Recorder, RecordError> {
        spec.check()?;
        let names = Names::new(&spec.path, clock::wall());
        let sized = |path: PathBuf| path.metadata().ok().map(|metadata| (path, metadata.len()));
        let earlier =
            if spec.limit.is_some() { names::family(&spec.path).into_iter().filter_map(sized).collect() } else { VecDeque::new() };
        let mut recorder = Recorder {
            spec,
            naming,
            names,
            part: None,
            number: 0,
            earlier,
            finished: VecDeque::new(),
            ring: VecDeque::new(),
            held_bytes: 0,
            told: false,
            until: None,
            frames: 0,
            failed: false,
        };
        recorder.begin()?;
        Ok(recorder)
    }

    /// The file that is being written.
    pub fn path(&self) -> Option<PathBuf> {
        self.part.as_ref().map(|part| part.left().0)
    }

    /// Records a frame, or holds it in case an event comes. What is no longer needed comes back, for its memory.
    pub fn take(&mut self, taken: RecordedFrame) -> Result<Option<Frame>, RecordError> {
        let Some(events) = self.spec.events else {
            self.write(&taken)?;
            return Ok(Some(taken.frame));
        };
        let now = taken.frame.captured;
        if taken.report.as_ref().is_some_and(|report| !report.detections.is_empty()) {
            self.until = Some(now.saturating_add(events.after));
            while let Some(held) = self.ring.pop_front() {
                self.held_bytes -= held.bytes();
                // What was held when the last frame came may be too old for this one.
                if held.frame.captured.saturating_add(events.before) >= now {
                    self.write(&held)?;
                }
            }
        }
        if self.until.is_some_and(|until| now <= until) {
            self.write(&taken)?;
            return Ok(Some(taken.frame));
        }
        self.until = None;
        Ok(self.hold(taken, events.before))
    }

    /// Frames come faster than they are written (true), or not.
    pub fn hurry(&mut self, hurried: bool) {
        if let Some(part) = &mut self.part {
            part.hurry(hurried);
        }
    }

    /// When what waits in memory is to be written out at the latest.
    pub fn due(&self) -> Option<Instant> {
        self.part.as_ref().and_then(Part::due)
    }

    /// Writes out what waits in memory.
    pub fn flush(&mut self) -> Result<(), RecordError> {
        let flushed = self.part.as_mut().map_or(Ok(()), Part::flush);
        self.noted(flushed)
    }

    /// Completes the file.
    pub fn finish(mut self) -> Result<RecordSummary, RecordError> {
        self.end()?;
        Ok(self.summary())
    }

    /// What it came to so far.
    pub fn summary(&self) -> RecordSummary {
        RecordSummary {
            frames: self.frames,
            lost: 0,
            bytes: self.finished.iter().map(|(_, bytes)| bytes).sum(),
            files: self.finished.iter().map(|(path, _)| path.clone()).collect(),
        }
    }

    fn hold(&mut self, taken: RecordedFrame, before: Duration) -> Option<Frame> {
        let now = taken.frame.captured;
        self.held_bytes += taken.bytes();
        self.ring.push_back(taken);
        let mut spare = None;
        while let Some(oldest) = self.ring.front() {
            let stale = oldest.frame.captured.saturating_add(before) < now;
            if !stale && self.held_bytes <= PRE_ROLL_BYTES {
                break;
            }
            if !stale && !self.told {
                self.told = true;
                let seconds = now.saturating_sub(oldest.frame.captured).as_secs_f64();
                log::warn!(
                    "recording to {}: {} MiB hold {seconds:.1} s of these frames, and no {} s before an event",
                    self.spec.path.display(),
                    PRE_ROLL_BYTES >> 20,
                    before.as_secs()
                );
            }
            if let Some(held) = self.ring.pop_front() {
                self.held_bytes -= held.bytes();
                spare = Some(held.frame);
            }
        }
        spare
    }

    fn write(&mut self, taken: &RecordedFrame) -> Result<(), RecordError> {
        self.make_room(taken)?;
        let naming = &self.naming;
        let put = self.part.as_mut().map_or(Ok(()), |part| part.put(taken, naming));
        self.noted(put)?;
        self.frames += 1;
        Ok(())
    }

    fn noted<T>(&mut self, result: Result<T, RecordError>) -> Result<T, RecordError> {
        self.failed |= result.is_err();
        result
    }

    /// Begins a new part when this one is full.
    fn make_room(&mut self, taken: &RecordedFrame) -> Result<(), RecordError> {
        let Some(limit) = self.spec.limit else { return Ok(()) };
        let share = limit / PARTS;
        let bytes = most_bytes(taken);
        let empty = Part::empty_size();
        if bytes + empty > share {
            let reason = format!("one frame takes {bytes} bytes and a quarter of the limit is {share}: raise the limit");
            return self.noted(Err(RecordError::Spec { path: self.spec.path.display().to_string(), reason }));
        }
        if self.part.as_ref().is_some_and(|part| part.size() + bytes <= share) {
            return Ok(());
        }
        self.end()?;
        self.begin()
    }

    fn begin(&mut self) -> Result<(), RecordError> {
        self.delete_the_oldest()?;
        let bounded = self.spec.limit.is_some();
        let made = if bounded { self.names.create_part(self.number) } else { self.names.create_only() };
        self.number += 1;
        let path = self.spec.path.display().to_string();
        let begun = made.map_err(|error| RecordError::Write { path, reason: in_words(&error) });
        let begun = begun.and_then(|(path, file)| Part::begin(path, file, &self.spec));
        self.part = Some(self.noted(begun)?);
        Ok(())
    }

    /// Makes room for one more part within the limit, what earlier starts left first.
    fn delete_the_oldest(&mut self) -> Result<(), RecordError> {
        let Some(limit) = self.spec.limit else { return Ok(()) };
        let most = limit - limit / PARTS;
        let mut bytes: u64 = self.earlier.iter().chain(&self.finished).map(|(_, bytes)| bytes).sum();
        let mut kept = VecDeque::new();
        while bytes > most {
            let Some((path, size)) = self.earlier.pop_front().or_else(|| self.finished.pop_front()) else { break };
            match names::delete(&path) {
                Ok(true) => {}
                // Another program writes it, and keeps to a limit of its own.
                Ok(false) => kept.push_back((path, size)),
                Err(error) => {
                    let reason = format!("an old part cannot be deleted: {}", in_words(&error));
                    return self.noted(Err(RecordError::Write { path: path.display().to_string(), reason }));
                }
            }
            bytes -= size;
        }
        kept.append(&mut self.earlier);
        self.earlier = kept;
        Ok(())
    }

    fn end(&mut self) -> Result<(), RecordError> {
        let Some(part) = self.part.take() else { return Ok(()) };
        if self.failed {
            // The file is as whole as it gets.
            self.finished.push_back(part.left());
            return Ok(());
        }
        let left = part.left();
        let ended = part.end();
        match self.noted(ended) {
            Ok(ended) => self.finished.push_back(ended),
            Err(error) => {
                self.finished.push_back(left);
                return Err(error);
            }
        }
        Ok(())
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        if let Err(error) = self.end() {
            log::error!("{error}");
        }
    }
}

/// Bytes that a frame and what is said of it take in a file, at most.
fn most_bytes(taken: &RecordedFrame) -> u64 {
    let Frame { format, data, .. } = &taken.frame;
    let picture = data.len() as u64;
    // 4:2:0 is written as 4:2:2.
    let picture = if yuv::is_subsampled(*format) { picture * 4 / 3 + 4096 } else { picture };
    // Outcome, boxes and outlines, the frame's own record, and what frames them in the file.
    let tiles = |report: &Report| {
        report
            .tiles
            .as_ref()
            .map_or(0, |tiles| tiles.map.rectangles(&tiles.map.moved).len() + tiles.map.rectangles(&tiles.map.stepped).len())
    };
    let said = match (&taken.report, &taken.shapes) {
        (None, _) => 1 << 10,
        (Some(report), shapes) => {
            (8 << 10) + 768 * report.detections.len() as u64 + 192 * tiles(report) as u64 + if shapes.is_some() { 96 << 10 } else { 0 }
        }
    };
    picture + taken.run.as_ref().map_or(0, String::len) as u64 + said
}
