//! One open file: its channels, and messages for one frame after the other.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use super::container::Container;
use super::disk::{Disk, Written};
use super::recorded_frame::RecordedFrame;
use super::spec::{OutcomeFormat, RecordError, RecordSpec};
use super::{ANNOTATIONS_TOPIC, FRAME_TOPIC, IMAGE_TOPIC, OUTCOME_TOPIC, TILES_TOPIC, annotations, proto, schema};
use crate::frame::{Frame, PixelFormat, Range};
use crate::source::WatchedBy;

/// Bytes of messages in one chunk, at least, unless it is flushed before.
const CHUNK: u64 = 1 << 20;
/// How long a message may wait in memory: well below the second that the end of the program or of the power may cost.
const FLUSH_AFTER: Duration = Duration::from_millis(400);
/// What index and summary add for the chunk that is open.
const FRINGE: u64 = 8 << 10;

/// One open file.
pub(super) struct Part {
    path: PathBuf,
    container: Container,
    written: Arc<Written>,
    timed: bool,
    watched_by: Option<WatchedBy>,
    /// When the first of the messages came that wait.
    since: Option<Instant>,
    /// Bytes among those that wait that no packing makes smaller.
    dense: u64,
    /// Frames come faster than they are packed.
    hurried: bool,
    image: Option<(PixelFormat, Range, u16)>,
    frame: u16,
    outcome: u16,
    annotations: u16,
    /// The schema of annotations, and the channel of tiles once there are some.
    annotations_schema: u16,
    tiles: Option<u16>,
    message: Vec<u8>,
}

impl Part {
    /// Begins `file`, which is empty and called `path`.
    pub fn begin(path: PathBuf, file: File, spec: &RecordSpec) -> Result<Part, RecordError> {
        let written = Arc::<Written>::default();
        Part::begin_on(&path, file, spec, &written).map_err(|error| failure(&path, &written, &error))
    }

    fn begin_on(path: &Path, file: File, spec: &RecordSpec, written: &Arc<Written>) -> io::Result<Part> {
        let library = concat!("recslowfast ", env!("CARGO_PKG_VERSION"));
        let mut container = Container::begin(Disk::new(file, written)?, library)?;
        let object = br#"{"type":"object"}"#;
        let frame = container.schema("recslowfast.Frame", "jsonschema", object);
        let frame = container.channel(frame, FRAME_TOPIC, "json", &[]);
        let outcome = container.schema("recslowfast.Outcome", "jsonschema", object);
        let outcome = container.channel(outcome, OUTCOME_TOPIC, "json", &[]);
        let annotations_schema = container.schema(schema::ANNOTATIONS, "protobuf", &schema::of(schema::ANNOTATIONS));
        let annotations = container.channel(annotations_schema, ANNOTATIONS_TOPIC, "protobuf", &[]);
        Ok(Part {
            path: path.to_owned(),
            container,
            written: Arc::clone(written),
            timed: spec.timed,
            watched_by: spec.watched_by.clone(),
            since: None,
            dense: 0,
            hurried: false,
            image: None,
            frame,
            outcome,
            annotations,
            annotations_schema,
            tiles: None,
            message: Vec::new(),
        })
    }

    /// Bytes that the file takes if it ends now, at most.
    pub fn size(&self) -> u64 {
        self.written.bytes.load(Ordering::Relaxed) + self.container.waiting() + self.container.summary_size() + FRINGE
    }

    /// Bytes that a file without frames takes, at most.
    pub fn empty_size() -> u64 {
        2 * FRINGE
    }

    /// When what waits in memory is to be written out at the latest.
    pub fn due(&self) -> Option<Instant> {
        self.since.map(|since| since + FLUSH_AFTER)
    }

    /// Frames come faster than they can be packed (true), or not.
    pub fn hurry(&mut self, hurried: bool) {
        self.hurried = hurried;
    }

    /// Writes out what waits in memory.
    pub fn flush(&mut self) -> Result<(), RecordError> {
        if self.since.take().is_none() {
            return Ok(());
        }
        let packed = self.packed();
        self.dense = 0;
        self.container.flush(packed).map_err(|error| failure(&self.path, &self.written, &error))
    }

    /// Whether packing what waits is worth its time.
    fn packed(&self) -> bool {
        !self.hurried && self.dense < self.container.waiting() / 4 * 3
    }

    /// Writes a frame and what was said of it.
    pub fn put(&mut self, taken: &RecordedFrame, naming: &OutcomeFormat) -> Result<(), RecordError> {
        self.since.get_or_insert_with(Instant::now);
        let RecordedFrame { frame, wall, .. } = taken;
        let channel = match self.image {
            Some((format, range, channel)) if (format, range) == (frame.format, frame.range) => channel,
            _ => self.image_channel(frame),
        };
        if frame.format == PixelFormat::Mjpeg {
            self.dense += frame.data.len() as u64;
        }
        let sequence = frame.sequence as u32;
        let time = u64::try_from(wall.as_nanos()).unwrap_or(u64::MAX);
        let mut json = format!(
            "{{\"sequence\":{},\"cut\":{},\"captured_ns\":{},\"wall_ns\":{time}",
            frame.sequence,
            frame.cut,
            frame.captured.as_nanos()
        );
        if let Some(run) = &taken.run {
            json.push_str(",\"run\":");
            json.push_str(run);
        }
        json.push('}');
        self.container.message(self.frame, sequence, time, json.as_bytes());
        proto::write(frame, *wall, &mut self.message);
        self.container.message(channel, sequence, time, &self.message);
        if let Some(report) = &taken.report {
            self.container.message(self.outcome, sequence, time, (naming.outcome)(report, &naming.classes).as_bytes());
            annotations::write(report, taken.shapes.as_ref(), *wall, &naming.classes, &mut self.message);
            self.container.message(self.annotations, sequence, time, &self.message);
            if let Some(tiles) = &report.tiles {
                let (container, schema) = (&mut self.container, self.annotations_schema);
                let channel = *self.tiles.get_or_insert_with(|| container.channel(schema, TILES_TOPIC, "protobuf", &[]));
                annotations::write_tiles(tiles, *wall, &mut self.message);
                self.container.message(channel, sequence, time, &self.message);
            }
        }
        let full = self.container.waiting() >= CHUNK || self.due().is_some_and(|due| due <= Instant::now());
        if full { self.flush() } else { Ok(()) }
    }

    fn image_channel(&mut self, frame: &Frame) -> u16 {
        let name = if frame.format == PixelFormat::Mjpeg { schema::COMPRESSED } else { schema::RAW };
        let range = if frame.range == Range::Limited { "limited" } else { "full" };
        let schema = self.container.schema(name, "protobuf", &schema::of(name));
        let (format, timed) = (frame.format.to_string(), self.timed.to_string());
        let mut metadata = vec![("format", &*format), ("range", range), ("timed", &*timed)];
        let checksum = self.watched_by.as_ref().map(|by| format!("{:08x}", by.checksum));
        if let (Some(WatchedBy { network, version, .. }), Some(checksum)) = (&self.watched_by, &checksum) {
            metadata.extend([("network", &**network), ("network_version", &**version), ("network_checksum", &**checksum)]);
        }
        let channel = self.container.channel(schema, IMAGE_TOPIC, "protobuf", &metadata);
        self.image = Some((frame.format, frame.range, channel));
        channel
    }

    /// Writes the index and ends the file; its name and its bytes.
    pub fn end(self) -> Result<(PathBuf, u64), RecordError> {
        let packed = self.packed();
        let Part { path, container, written, .. } = self;
        let ended = container.finish(packed);
        ended.map(|bytes| (path.clone(), bytes)).map_err(|error| failure(&path, &written, &error))
    }

    /// What the file holds by now, for one that cannot be ended.
    pub fn left(&self) -> (PathBuf, u64) {
        (self.path.clone(), self.written.bytes.load(Ordering::Relaxed))
    }
}

/// An error of the disk, in words.
fn failure(path: &Path, written: &Written, error: &io::Error) -> RecordError {
    if let Some(fault) = written.fault.get() {
        return RecordError::Fault(fault.clone());
    }
    let reason = if written.full.load(Ordering::Relaxed) {
        "the disk is full; what was written before is whole (bound a recording with a limit)".into()
    } else {
        in_words(error)
    };
    RecordError::Write { path: path.display().to_string(), reason }
}

/// Why a file cannot be made or written.
pub(super) fn in_words(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::NotFound => "its folder does not exist".into(),
        io::ErrorKind::PermissionDenied => "permission denied: this user may not write there".into(),
        io::ErrorKind::StorageFull => "the disk is full".into(),
        _ => error.to_string(),
    }
}
