//! Writing recordings: everything, or the time around events; at most so many bytes of disk.

use std::collections::{BTreeMap, VecDeque};
use std::fs::File;
use std::io::{self, BufWriter, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use mcap::records::MessageHeader;
use mcap::{McapError, WriteOptions, Writer};

use super::{FRAME_TOPIC, IMAGE_TOPIC, OUTCOME_TOPIC, proto};
use crate::frame::{Frame, PixelFormat, Range};

/// Bytes the pre-roll may take in memory.
const PRE_ROLL_BYTES: usize = 256 << 20;
/// Parts a bounded recording is kept in; the oldest is deleted when a new one is begun.
const PARTS: u64 = 4;
/// The smallest bound that makes sense, in bytes.
const LEAST: u64 = 1 << 20;

/// What to record, and where.
#[derive(Clone, Debug, PartialEq)]
pub struct RecordSpec {
    /// The file, ending in `.mcap`. A bounded recording makes `NAME-0000.mcap`, `NAME-0001.mcap` and so on, and deletes the oldest.
    pub path: PathBuf,
    /// Most bytes of disk to use.
    pub limit: Option<u64>,
    /// Record around events only.
    pub events: Option<Events>,
    /// As [`crate::capture::SourceInfo::timed`] of what is recorded, so that a replay judges gaps as the day did.
    pub timed: bool,
}

/// How much to keep around an event.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Events {
    /// Time before it, held in memory (at most 256 MiB).
    pub before: Duration,
    /// Time after it.
    pub after: Duration,
}

/// What a recording came to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RecordSummary {
    /// Frames written, deleted parts included.
    pub frames: u64,
    /// The files that are there now, oldest first.
    pub files: Vec<PathBuf>,
    /// Bytes in them.
    pub bytes: u64,
}

/// Why a recording cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    /// What was asked for makes no sense.
    #[error("recording to {path}: {reason}")]
    Spec {
        /// The file.
        path: String,
        /// What is wrong and what would be right.
        reason: String,
    },
    /// The file cannot be made or written.
    #[error("cannot write the recording {path}: {reason}")]
    Write {
        /// The file.
        path: String,
        /// Why, and what to do.
        reason: String,
    },
}

/// Writes frames and outcomes.
pub struct Recorder {
    spec: RecordSpec,
    part: Option<Part>,
    number: u32,
    finished: VecDeque<(PathBuf, u64)>,
    message: Vec<u8>,
    ring: VecDeque<Held>,
    spare: Vec<Frame>,
    held_bytes: usize,
    /// Write through until then (events only).
    until: Option<Duration>,
    frames: u64,
}

/// A frame in the pre-roll, with what was said of it.
struct Held {
    frame: Frame,
    outcomes: Vec<(Duration, String)>,
}

/// One open file.
struct Part {
    path: PathBuf,
    writer: Writer<Counted>,
    disk: Arc<Disk>,
    image: Option<(PixelFormat, Range, u16)>,
    timed: bool,
    frame: u16,
    outcome: u16,
}

/// What is known of a file while the writer of its container owns it.
#[derive(Default)]
struct Disk {
    written: AtomicU64,
    /// The container's errors do not always tell.
    full: AtomicBool,
}

/// Counts bytes on their way into the file.
struct Counted {
    file: BufWriter<File>,
    end: u64,
    at: u64,
    disk: Arc<Disk>,
}

impl Counted {
    fn judge<T>(&self, result: io::Result<T>) -> io::Result<T> {
        result.inspect_err(|error| self.disk.full.store(error.kind() == io::ErrorKind::StorageFull, Ordering::Relaxed))
    }
}

impl Write for Counted {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let result = self.file.write(bytes);
        let count = self.judge(result)?;
        self.at += count as u64;
        self.end = self.end.max(self.at);
        self.disk.written.store(self.end, Ordering::Relaxed);
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        let result = self.file.flush();
        self.judge(result)
    }
}

impl Seek for Counted {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let result = self.file.seek(to);
        self.at = self.judge(result)?;
        Ok(self.at)
    }
}

impl Recorder {
    /// Makes the first file, so that a path that cannot be written is known at once.
    pub fn create(spec: RecordSpec) -> Result<Recorder, RecordError> {
        let wrong = |reason: &str| RecordError::Spec { path: spec.path.display().to_string(), reason: reason.into() };
        if spec.path.extension().is_none_or(|ending| ending != "mcap") {
            return Err(wrong("the file's name must end in .mcap"));
        }
        if spec.limit.is_some_and(|limit| limit < LEAST) {
            return Err(wrong("the limit must be at least 1048576 bytes"));
        }
        let mut recorder = Recorder {
            spec,
            part: None,
            number: 0,
            finished: VecDeque::new(),
            message: Vec::new(),
            ring: VecDeque::new(),
            spare: Vec::new(),
            held_bytes: 0,
            until: None,
            frames: 0,
        };
        recorder.begin()?;
        Ok(recorder)
    }

    /// Records a frame, or holds it in case an event comes.
    pub fn frame(&mut self, frame: &Frame) -> Result<(), RecordError> {
        match (self.spec.events, self.until) {
            (Some(_), Some(until)) if frame.captured <= until => self.write_frame(frame),
            (Some(events), _) => {
                self.until = None;
                self.hold(frame, events.before);
                Ok(())
            }
            (None, _) => self.write_frame(frame),
        }
    }

    /// Records what was said of the frame captured at `captured`, one JSON object.
    pub fn outcome(&mut self, captured: Duration, json: &str) -> Result<(), RecordError> {
        if self.spec.events.is_some() && self.until.is_none() {
            if let Some(held) = self.ring.back_mut() {
                held.outcomes.push((captured, json.to_owned()));
            }
            return Ok(());
        }
        self.write_outcome(captured, json)
    }

    /// Something happened at `now` (on the clock of capture times): writes the pre-roll, and goes on writing for the time after.
    pub fn event(&mut self, now: Duration) -> Result<(), RecordError> {
        let Some(events) = self.spec.events else { return Ok(()) };
        self.until = Some(now + events.after);
        while let Some(held) = self.ring.pop_front() {
            self.held_bytes -= held.frame.data.len();
            self.write_frame(&held.frame)?;
            for (captured, json) in &held.outcomes {
                self.write_outcome(*captured, json)?;
            }
            self.spare.push(held.frame);
        }
        Ok(())
    }

    /// Completes the file.
    pub fn finish(mut self) -> Result<RecordSummary, RecordError> {
        self.end()?;
        Ok(RecordSummary {
            frames: self.frames,
            bytes: self.finished.iter().map(|(_, bytes)| bytes).sum(),
            files: self.finished.iter().map(|(path, _)| path.clone()).collect(),
        })
    }

    fn hold(&mut self, frame: &Frame, before: Duration) {
        let mut copy = self.spare.pop().unwrap_or_default();
        let mut data = std::mem::take(&mut copy.data);
        data.clear();
        data.extend_from_slice(&frame.data);
        self.held_bytes += data.len();
        self.ring.push_back(Held { frame: Frame { data, ..*frame }, outcomes: Vec::new() });
        while let Some(oldest) = self.ring.front() {
            let stale = oldest.frame.captured + before < frame.captured;
            if !stale && self.held_bytes <= PRE_ROLL_BYTES {
                break;
            }
            if let Some(held) = self.ring.pop_front() {
                self.held_bytes -= held.frame.data.len();
                self.spare.push(held.frame);
                self.spare.truncate(4);
            }
        }
    }

    fn write_frame(&mut self, frame: &Frame) -> Result<(), RecordError> {
        self.make_room(frame.data.len() as u64)?;
        proto::write(frame, &mut self.message);
        let Some(part) = &mut self.part else { return Ok(()) };
        let json = format!("{{\"sequence\":{},\"cut\":{}}}", frame.sequence, frame.cut);
        part.frame(frame, json.as_bytes(), &self.message).map_err(|error| part.failed(error))?;
        self.frames += 1;
        Ok(())
    }

    fn write_outcome(&mut self, captured: Duration, json: &str) -> Result<(), RecordError> {
        let Some(part) = &mut self.part else { return Ok(()) };
        part.message(part.outcome, 0, captured, json.as_bytes()).map_err(|error| part.failed(error))
    }

    /// Begins a new part when this one is full, and deletes the oldest when all are.
    fn make_room(&mut self, bytes: u64) -> Result<(), RecordError> {
        let Some(limit) = self.spec.limit else { return Ok(()) };
        // What a file holds beside its messages: descriptions, indexes, the footer.
        const FRINGE: u64 = 16 << 10;
        let share = limit / PARTS;
        let written = self.part.as_ref().map_or(0, |part| part.disk.written.load(Ordering::Relaxed));
        if bytes + FRINGE > share {
            let reason = format!("one frame takes {bytes} bytes and a quarter of the limit is {share}: raise the limit");
            return Err(RecordError::Spec { path: self.spec.path.display().to_string(), reason });
        }
        if written + bytes + FRINGE <= share {
            return Ok(());
        }
        self.end()?;
        while self.finished.len() as u64 >= PARTS {
            if let Some((path, _)) = self.finished.pop_front() {
                std::fs::remove_file(&path).map_err(|error| failure(&path, &Disk::default(), McapError::Io(error)))?;
            }
        }
        self.begin()
    }

    fn begin(&mut self) -> Result<(), RecordError> {
        let path = match self.spec.limit {
            None => self.spec.path.clone(),
            Some(_) => {
                let stem = self.spec.path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
                self.spec.path.with_file_name(format!("{stem}-{:04}.mcap", self.number))
            }
        };
        self.number += 1;
        self.part = Some(Part::create(&path, self.spec.timed)?);
        Ok(())
    }

    fn end(&mut self) -> Result<(), RecordError> {
        let Some(mut part) = self.part.take() else { return Ok(()) };
        let ended = part
            .writer
            .finish()
            .and_then(|_| part.writer.into_inner().file.into_inner().map_err(|error| McapError::Io(error.into_error())));
        ended.map_err(|error| failure(&part.path, &part.disk, error))?;
        self.finished.push_back((part.path, part.disk.written.load(Ordering::Relaxed)));
        Ok(())
    }
}

impl Part {
    fn create(path: &Path, timed: bool) -> Result<Part, RecordError> {
        let disk = Arc::<Disk>::default();
        Part::create_on(path, timed, &disk).map_err(|error| failure(path, &disk, error))
    }

    fn create_on(path: &Path, timed: bool, disk: &Arc<Disk>) -> Result<Part, McapError> {
        let file = Counted { file: BufWriter::with_capacity(1 << 18, File::create(path)?), end: 0, at: 0, disk: Arc::clone(disk) };
        // Without chunks every message is in the file at once: a power cut loses the last one and no more.
        let options = WriteOptions::new().compression(None).use_chunks(false).calculate_data_section_crc(false);
        let mut writer = options.library(concat!("recslowfast ", env!("CARGO_PKG_VERSION"))).create(file)?;
        let object = br#"{"type":"object"}"#;
        let frame = writer.add_schema("recslowfast.Frame", "jsonschema", object)?;
        let frame = writer.add_channel(frame, FRAME_TOPIC, "json", &BTreeMap::new())?;
        let outcome = writer.add_schema("recslowfast.Outcome", "jsonschema", object)?;
        let outcome = writer.add_channel(outcome, OUTCOME_TOPIC, "json", &BTreeMap::new())?;
        Ok(Part { path: path.to_owned(), writer, disk: Arc::clone(disk), image: None, timed, frame, outcome })
    }

    fn failed(&self, error: McapError) -> RecordError {
        failure(&self.path, &self.disk, error)
    }

    fn frame(&mut self, frame: &Frame, json: &[u8], message: &[u8]) -> Result<(), McapError> {
        let image = match self.image {
            Some((format, range, channel)) if (format, range) == (frame.format, frame.range) => channel,
            _ => self.channel(frame)?,
        };
        let sequence = frame.sequence as u32;
        self.message(self.frame, sequence, frame.captured, json)?;
        self.message(image, sequence, frame.captured, message)
    }

    fn channel(&mut self, frame: &Frame) -> Result<u16, McapError> {
        let name = if frame.format == PixelFormat::Mjpeg { proto::COMPRESSED } else { proto::RAW };
        let range = if frame.range == Range::Limited { "limited" } else { "full" };
        let schema = self.writer.add_schema(name, "protobuf", &proto::schema(name))?;
        let metadata = [("format", frame.format.to_string()), ("range", range.to_owned()), ("timed", self.timed.to_string())];
        let metadata = metadata.into_iter().map(|(key, value)| (key.to_owned(), value)).collect();
        let channel = self.writer.add_channel(schema, IMAGE_TOPIC, "protobuf", &metadata)?;
        self.image = Some((frame.format, frame.range, channel));
        Ok(channel)
    }

    fn message(&mut self, channel_id: u16, sequence: u32, time: Duration, data: &[u8]) -> Result<(), McapError> {
        let time = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        self.writer.write_to_known_channel(&MessageHeader { channel_id, sequence, log_time: time, publish_time: time }, data)
    }
}

fn failure(path: &Path, disk: &Disk, error: McapError) -> RecordError {
    let reason = match error {
        _ if disk.full.load(Ordering::Relaxed) => {
            "the disk is full; what was written before is whole (bound a recording with a limit)".into()
        }
        McapError::Io(error) => match error.kind() {
            io::ErrorKind::NotFound => "its folder does not exist".into(),
            io::ErrorKind::PermissionDenied => "permission denied: this user may not write there".into(),
            _ => error.to_string(),
        },
        other => other.to_string(),
    };
    RecordError::Write { path: path.display().to_string(), reason }
}
