//! A recording as a source: every frame as it was, on the clock of the recorded run.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;
use std::time::Duration;

use super::disk::MAGIC;
use super::reader::{self, Frames};
use super::{Decode, records};
use crate::frame::Frame;
use crate::source::{CaptureError, Losses, Pull, Recorded, Source, SourceInfo, Times, WatchedBy};

/// The last record and the magic behind it, in bytes.
const FOOTER: u64 = 9 + 20 + 8;
/// The longest summary that is looked at before the first frame is read, in bytes.
const SUMMARY: u64 = 16 << 20;

/// Whether `path` is a file that begins as a recording does.
pub fn is_recording(path: &Path) -> bool {
    let mut head = [0; MAGIC.len()];
    // What is no file proper would lose what is read from it here.
    path.metadata().is_ok_and(|metadata| metadata.is_file())
        && File::open(path).and_then(|mut file| file.read_exact(&mut head)).is_ok()
        && head == MAGIC
}

/// The network that watched while the recording `path` was made; None where that is not known, or this is no recording.
pub fn watched_by(path: &Path) -> Option<WatchedBy> {
    // No picture needs to be seen for it.
    Replay::open("", path, None, |_, _| Ok(())).ok().and_then(|replay| replay.info.watched_by)
}

/// A recording as a source.
pub struct Replay {
    frames: Frames<File>,
    first: Option<Frame>,
    info: SourceInfo,
    path: String,
    /// Topics that have been said to be left out.
    named: BTreeMap<String, String>,
    unreadable: u64,
    done: bool,
}

impl Replay {
    /// Opens `path` and reads the first frame of `topic`, or of the first topic with images. `decode` reads compressed pictures.
    pub fn open(uri: &str, path: &Path, topic: Option<&str>, decode: Decode) -> Result<Replay, CaptureError> {
        let name = path.display().to_string();
        let fail = |reason: String| CaptureError::Format { path: name.clone(), reason };
        let open = |error: std::io::Error| CaptureError::Open { path: name.clone(), reason: error.to_string() };
        let mut file = File::open(path).map_err(open)?;
        let length = file.metadata().map_err(open)?.len();
        let (_, mut named) = summary(&mut file, length).map(|summary| reader::topics(&summary, topic)).unwrap_or_default();
        file.seek(SeekFrom::Start(0)).map_err(open)?;
        let mut frames = Frames::new(file, length, topic.map(str::to_owned), decode);
        let mut first = Frame::default();
        let any = frames.next(&mut first).map_err(fail)?;
        named.extend(frames.left_out().clone());
        if !any {
            return Err(fail(nothing(&frames, topic, &named)));
        }
        let (width, height) = (first.width, first.height);
        let description = format!("{name}, recording of {} {width}x{height}", first.format);
        let notes = named.iter().map(|(topic, why)| format!("{name}: the pictures of topic {topic} are left out: {why}")).collect();
        let info = SourceInfo {
            uri: uri.to_owned(),
            description,
            width,
            height,
            timed: frames.timed(),
            watched_by: frames.watched_by().cloned(),
            notes,
            ..SourceInfo::default()
        };
        Ok(Replay { frames, first: Some(first), info, path: name, named, unreadable: 0, done: false })
    }

    /// Says once what is left out, and what could not be read.
    fn say(&mut self) {
        for (topic, why) in self.frames.left_out() {
            if !self.named.contains_key(topic) {
                self.named.insert(topic.clone(), why.clone());
                log::warn!("{}: the pictures of topic {topic} are left out: {why}", self.path);
            }
        }
        if self.frames.unreadable() > self.unreadable {
            self.unreadable = self.frames.unreadable();
            log::warn!("{}: {}", self.path, self.frames.refusal().unwrap_or("an image cannot be read"));
        }
    }
}

/// The records behind the data, if there are any.
fn summary(file: &mut File, length: u64) -> Option<Vec<u8>> {
    let mut footer = [0; FOOTER as usize];
    let end = length.checked_sub(FOOTER)?;
    file.seek(SeekFrom::Start(end)).ok()?;
    file.read_exact(&mut footer).ok()?;
    let start = u64::from_le_bytes(footer[9..17].try_into().ok()?);
    if footer[0] != records::FOOTER || start == 0 || start > end || end - start > SUMMARY {
        return None;
    }
    let mut summary = vec![0; usize::try_from(end - start).ok()?];
    file.seek(SeekFrom::Start(start)).ok()?;
    file.read_exact(&mut summary).ok()?;
    Some(summary)
}

/// Why a recording gives no frame at all.
fn nothing(frames: &Frames<File>, topic: Option<&str>, named: &BTreeMap<String, String>) -> String {
    if let Some(reason) = frames.refusal() {
        return format!("none of its {} images can be read; the last: {reason}", frames.unreadable());
    }
    let others: Vec<String> = named.iter().map(|(topic, why)| format!("{topic}: {why}")).collect();
    let others = if others.is_empty() { String::new() } else { format!(" (left out: {})", others.join("; ")) };
    match topic {
        Some(topic) => format!("the recording holds no images of topic {topic}{others}"),
        None => format!(
            "the recording holds no images that are read (foxglove.RawImage or CompressedImage in protobuf or JSON, sensor_msgs Image or \
             CompressedImage of ROS){others}"
        ),
    }
}

impl Source for Replay {
    fn info(&self) -> &SourceInfo {
        &self.info
    }

    fn times(&self) -> Times {
        Times::Replayed
    }

    fn recorded(&self) -> Option<&Recorded> {
        Some(self.frames.recorded())
    }

    fn pull(&mut self, frame: &mut Frame, _wait: Duration) -> Result<Pull, CaptureError> {
        if let Some(first) = self.first.take() {
            self.say();
            *frame = first;
            return Ok(Pull::Frame);
        }
        if self.done {
            return Ok(Pull::End);
        }
        let next = self.frames.next(frame);
        self.say();
        match next {
            Ok(true) => Ok(Pull::Frame),
            Ok(false) => {
                self.done = true;
                if self.frames.unfinished() {
                    log::warn!("{}: this recording was not finished (killed, or without power): its last second may be missing", self.path);
                }
                Ok(Pull::End)
            }
            Err(reason) => {
                self.done = true;
                Err(CaptureError::Format { path: self.path.clone(), reason })
            }
        }
    }

    fn losses(&self) -> Losses {
        Losses { corrupt: self.frames.unreadable(), ..Losses::default() }
    }
}
