//! Replaying recordings, and image streams that others recorded.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use std::time::Duration;

use mcap::McapError;
use mcap::sans_io::linear_reader::{LinearReadEvent, LinearReader, LinearReaderOptions};

use super::records::{self, Channel, Message, Schema};
use super::{FRAME_TOPIC, proto};
use crate::capture::{CaptureError, Losses, Pull, Source, SourceInfo, jpeg};
use crate::frame::{Frame, PixelFormat, Range};

/// Longest record that is read, in bytes; one is never longer than its file.
const LONGEST: u64 = 1 << 30;

/// What a channel carries.
#[derive(Clone, Debug)]
enum Kind {
    Image { compressed: bool, format: Option<PixelFormat>, range: Option<Range> },
    Frame,
    Other,
}

/// Reads frames from the bytes of a recording.
pub struct Frames<R> {
    from: R,
    reader: LinearReader,
    images: HashMap<u16, bool>,
    channels: HashMap<u16, Kind>,
    /// The first image channel's topic: only it is played.
    topic: Option<String>,
    /// What the next image's own record said.
    said: Option<Said>,
    frames: u64,
    timed: bool,
    ended: bool,
}

#[derive(serde::Deserialize)]
struct Said {
    sequence: u64,
    cut: bool,
}

impl<R: Read> Frames<R> {
    /// Reads from `from`, which holds `length` bytes.
    pub fn new(from: R, length: u64) -> Frames<R> {
        let limit = usize::try_from(length.clamp(1, LONGEST)).unwrap_or(usize::MAX);
        let options = LinearReaderOptions::default().with_record_length_limit(limit);
        Frames {
            from,
            reader: LinearReader::new_with_options(options),
            images: HashMap::new(),
            channels: HashMap::new(),
            topic: None,
            said: None,
            frames: 0,
            timed: true,
            ended: false,
        }
    }

    /// Frames read so far.
    pub fn frames(&self) -> u64 {
        self.frames
    }

    /// Whether the capture times are those of the scene; true unless the recording says otherwise.
    pub fn timed(&self) -> bool {
        self.timed
    }

    /// Reads the next frame; false at the end.
    pub fn next(&mut self, frame: &mut Frame) -> Result<bool, String> {
        loop {
            let number = self.frames;
            let Some(event) = self.reader.next_event() else { return Ok(false) };
            match event.map_err(|error| broken(error, number))? {
                LinearReadEvent::ReadRequest(need) => {
                    let buffer = self.reader.insert(need);
                    let read = loop {
                        match self.from.read(buffer) {
                            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                            result => break result.map_err(|error| format!("cannot read it after frame {number}: {error}"))?,
                        }
                    };
                    if read == 0 && !self.ended {
                        return Err(format!(
                            "the recording ends without its footer after {number} whole frames: it was cut short (power loss?)"
                        ));
                    }
                    self.reader.notify_read(read);
                }
                LinearReadEvent::Record { data, opcode } => {
                    let damaged = || format!("the recording is damaged after frame {number}: a record is shorter than it says");
                    match opcode {
                        records::FOOTER | records::DATA_END => self.ended = true,
                        records::SCHEMA => {
                            let schema = Schema::read(data).ok_or_else(damaged)?;
                            if schema.name == proto::RAW || schema.name == proto::COMPRESSED {
                                self.images.insert(schema.id, schema.name == proto::COMPRESSED);
                            }
                        }
                        records::CHANNEL if !self.ended => {
                            let channel = Channel::read(data).ok_or_else(damaged)?;
                            let kind = match self.images.get(&channel.schema) {
                                _ if channel.topic == FRAME_TOPIC && channel.encoding == "json" => Kind::Frame,
                                Some(compressed) if channel.encoding == "protobuf" => {
                                    let topic = self.topic.get_or_insert_with(|| channel.topic.to_owned());
                                    let format = channel.metadata("format").and_then(|name| name.parse().ok());
                                    let range = channel
                                        .metadata("range")
                                        .map(|range| if range == "limited" { Range::Limited } else { Range::Full });
                                    if topic == channel.topic {
                                        self.timed = channel.metadata("timed") != Some("false");
                                        Kind::Image { compressed: *compressed, format, range }
                                    } else {
                                        Kind::Other
                                    }
                                }
                                _ => Kind::Other,
                            };
                            self.channels.insert(channel.id, kind);
                        }
                        records::MESSAGE => {
                            let message = Message::read(data).ok_or_else(damaged)?;
                            match self.channels.get(&message.channel) {
                                Some(Kind::Frame) => self.said = serde_json::from_slice(message.data).ok(),
                                Some(Kind::Image { compressed, format, range }) => {
                                    fill(frame, message.data, *compressed, *format, *range)
                                        .map_err(|reason| format!("frame {number}: {reason}"))?;
                                    let said = self.said.take().unwrap_or(Said { sequence: number, cut: false });
                                    frame.sequence = said.sequence;
                                    frame.cut = said.cut;
                                    frame.captured = message.log_time;
                                    self.frames += 1;
                                    return Ok(true);
                                }
                                _ => {}
                            }
                        }
                        _ => {}
                    }
                }
            }
        }
    }
}

fn fill(frame: &mut Frame, message: &[u8], compressed: bool, format: Option<PixelFormat>, range: Option<Range>) -> Result<(), String> {
    let image = proto::read(message, compressed)?;
    if compressed {
        if !image.encoding.eq_ignore_ascii_case("jpeg") && !image.encoding.eq_ignore_ascii_case("jpg") {
            return Err(format!("images compressed as '{}' are not read; jpeg is", image.encoding));
        }
        frame.format = PixelFormat::Mjpeg;
        // A frame that was damaged when it was recorded is damaged again.
        (frame.width, frame.height) = jpeg::size(image.data).unwrap_or_default();
        frame.stride = 0;
    } else {
        frame.format = match format.or_else(|| proto::format_of(image.encoding)) {
            Some(format) => format,
            None => return Err(format!("images encoded as '{}' are not read", image.encoding)),
        };
        (frame.width, frame.height, frame.stride) = (image.width, image.height, image.step);
    }
    frame.range = range.unwrap_or(frame.format.usual_range());
    frame.data.clear();
    frame.data.extend_from_slice(image.data);
    Ok(())
}

fn broken(error: McapError, frames: u64) -> String {
    match error {
        McapError::BadMagic => "it does not begin and end as an MCAP file does".into(),
        McapError::UnexpectedEof => format!("the recording is cut short after {frames} whole frames"),
        McapError::UnsupportedCompression(name) => {
            format!("its chunks are compressed with {name}, which is not read (mcap compress --compression none)")
        }
        other => format!("the recording is damaged after frame {frames}: {other}"),
    }
}

/// A recording as a source: every frame as it was, with the capture time of its day.
pub struct Replay {
    frames: Frames<File>,
    first: Option<Frame>,
    info: SourceInfo,
    path: String,
    done: bool,
}

impl Replay {
    /// Opens `path` and reads its first frame.
    pub fn open(uri: &str, path: &Path) -> Result<Replay, CaptureError> {
        let name = path.display().to_string();
        let fail = |reason: String| CaptureError::Format { path: name.clone(), reason };
        let file = File::open(path).map_err(|error| CaptureError::Open { path: name.clone(), reason: error.to_string() })?;
        let length = file.metadata().map_err(|error| fail(error.to_string()))?.len();
        let mut frames = Frames::new(file, length);
        let mut first = Frame::default();
        if !frames.next(&mut first).map_err(fail)? {
            return Err(fail("the recording holds no images (foxglove.RawImage or foxglove.CompressedImage in protobuf)".into()));
        }
        let (width, height) = (first.width, first.height);
        let description = format!("{name}, recording of {} {width}x{height}", first.format);
        let info = SourceInfo { uri: uri.to_owned(), description, width, height, timed: frames.timed(), ..SourceInfo::default() };
        Ok(Replay { frames, first: Some(first), info, path: name, done: false })
    }
}

impl Source for Replay {
    fn info(&self) -> &SourceInfo {
        &self.info
    }

    fn pull(&mut self, frame: &mut Frame, _wait: Duration) -> Result<Pull, CaptureError> {
        if let Some(first) = self.first.take() {
            *frame = first;
            return Ok(Pull::Frame);
        }
        if self.done {
            return Ok(Pull::End);
        }
        match self.frames.next(frame) {
            Ok(true) => Ok(Pull::Frame),
            Ok(false) => {
                self.done = true;
                Ok(Pull::End)
            }
            Err(reason) => {
                self.done = true;
                Err(CaptureError::Format { path: self.path.clone(), reason })
            }
        }
    }

    fn losses(&self) -> Losses {
        Losses::default()
    }
}
