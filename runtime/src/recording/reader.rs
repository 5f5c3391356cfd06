//! Reading recordings, and image streams that others recorded.

use std::collections::{BTreeMap, HashMap};
use std::io::{self, Read};
use std::time::Duration;

use mcap::McapError;
use mcap::sans_io::linear_reader::{LinearReadEvent, LinearReader, LinearReaderOptions};

use super::compression::{self, UnpackError};
use super::image::{self, Content, Layout};
use super::records::{self, Channel, Chunk, Message, Schema};
use super::{Decode, FRAME_TOPIC};
use crate::frame::{Frame, PixelFormat, Range};
use crate::source::{Recorded, WatchedBy};

/// Longest record or chunk that is read, in bytes, unpacked: in proportion to the file, between these.
const LONGEST: (u64, u64) = (64 << 20, 1 << 30);
/// How much larger than its file a chunk may be, unpacked.
const UNPACKED: u64 = 64;
/// Log times after this (2001) are taken for those of a wall clock.
const WALL_CLOCK: Duration = Duration::from_secs(1_000_000_000);

/// What a channel carries.
#[derive(Clone, Debug)]
enum Kind {
    Image { layout: Layout, format: Option<PixelFormat>, range: Option<Range> },
    Frame,
    Other,
}

/// Reads frames from the bytes of a recording.
pub struct Frames<R> {
    from: R,
    /// Bytes that `from` still holds.
    left: u64,
    /// The longest chunk that is read, unpacked.
    limit: u64,
    reader: LinearReader,
    /// Records of the chunk that is being read, and how far that is.
    chunk: Vec<u8>,
    at: usize,
    state: State,
}

/// What is known of a recording so far.
struct State {
    decode: Decode,
    schemas: HashMap<u16, String>,
    channels: HashMap<u16, Kind>,
    /// The topic that is played: the one asked for, else that of the first images.
    topic: Option<String>,
    /// Topics with pictures that are not played, and why.
    left_out: BTreeMap<String, String>,
    /// What the next image's own record said.
    said: Option<FrameRecord>,
    recorded: Recorded,
    frames: u64,
    unreadable: u64,
    refusal: Option<String>,
    timed: bool,
    watched_by: Option<WatchedBy>,
    ours: bool,
    unfinished: bool,
    ended: bool,
}

#[derive(Default, serde::Deserialize)]
struct FrameRecord {
    sequence: u64,
    cut: bool,
    captured_ns: Option<u64>,
    wall_ns: Option<u64>,
    run: Option<serde_json::Value>,
}

impl<R: Read> Frames<R> {
    /// Reads from `from`, which holds `length` bytes, the images of `topic`; those that come first where none is named. `decode` reads
    /// compressed pictures.
    pub fn new(from: R, length: u64, topic: Option<String>, decode: Decode) -> Frames<R> {
        let limit = length.saturating_mul(UNPACKED).clamp(LONGEST.0, LONGEST.1);
        let longest = usize::try_from(limit).unwrap_or(usize::MAX);
        let options = LinearReaderOptions::default().with_record_length_limit(longest).with_emit_chunks(true);
        let state = State {
            decode,
            schemas: HashMap::new(),
            channels: HashMap::new(),
            topic,
            left_out: BTreeMap::new(),
            said: None,
            recorded: Recorded::default(),
            frames: 0,
            unreadable: 0,
            refusal: None,
            timed: true,
            watched_by: None,
            ours: false,
            unfinished: false,
            ended: false,
        };
        Frames { from, left: length, limit, reader: LinearReader::new_with_options(options), chunk: Vec::new(), at: 0, state }
    }

    /// Frames read so far.
    pub fn frames(&self) -> u64 {
        self.state.frames
    }

    /// Images so far that could not be read.
    pub fn unreadable(&self) -> u64 {
        self.state.unreadable
    }

    /// Why the last of those could not be read.
    pub fn refusal(&self) -> Option<&str> {
        self.state.refusal.as_deref()
    }

    /// Topics met so far that hold pictures and are not played, and why.
    pub fn left_out(&self) -> &BTreeMap<String, String> {
        &self.state.left_out
    }

    /// What the recorded run knew of the last frame.
    pub fn recorded(&self) -> &Recorded {
        &self.state.recorded
    }

    /// Whether the capture times are those of the scene; true unless the recording says otherwise.
    pub fn timed(&self) -> bool {
        self.state.timed
    }

    /// The network that watched when this was recorded, where it says so.
    pub fn watched_by(&self) -> Option<&WatchedBy> {
        self.state.watched_by.as_ref()
    }

    /// Whether we wrote this and never finished it: what was in memory when the program or the power ended is missing.
    pub fn unfinished(&self) -> bool {
        self.state.unfinished
    }

    /// Reads the next frame; false at the end. Images that cannot be read are passed over and counted.
    pub fn next(&mut self, frame: &mut Frame) -> Result<bool, String> {
        loop {
            // What is left of a chunk comes before anything else of the file.
            while self.at < self.chunk.len() {
                let chunk = std::mem::take(&mut self.chunk);
                let taken = self.next_of_chunk(&chunk, frame);
                self.chunk = chunk;
                if taken? {
                    return Ok(true);
                }
            }
            let number = self.state.frames;
            let Some(event) = self.reader.next_event() else { return Ok(false) };
            match event.map_err(|error| broken(error, number))? {
                LinearReadEvent::ReadRequest(need) => {
                    let cut =
                        || format!("the recording ends without its footer after {number} whole frames: it was cut short (power loss?)");
                    // Nothing is set aside for bytes that a damaged length promises.
                    if self.left == 0 && !self.state.ended {
                        return Err(cut());
                    }
                    let need = need.min(usize::try_from(self.left).unwrap_or(usize::MAX)).max(1);
                    let buffer = self.reader.insert(need);
                    let read = loop {
                        match self.from.read(buffer) {
                            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                            result => break result.map_err(|error| format!("cannot read it after frame {number}: {error}"))?,
                        }
                    };
                    if read == 0 && !self.state.ended {
                        return Err(cut());
                    }
                    self.left = self.left.saturating_sub(read as u64);
                    self.reader.notify_read(read);
                }
                LinearReadEvent::Record { data, opcode: records::CHUNK } => {
                    self.at = 0;
                    unpack(data, self.limit, &mut self.chunk)
                        .map_err(|reason| format!("the recording is damaged after frame {number}: {reason}"))?;
                }
                LinearReadEvent::Record { data, opcode } => {
                    if self.state.record(opcode, data, frame)? {
                        return Ok(true);
                    }
                }
            }
        }
    }

    /// The next record of an unpacked chunk; whether it was a frame.
    fn next_of_chunk(&mut self, chunk: &[u8], frame: &mut Frame) -> Result<bool, String> {
        let Some((opcode, record, rest)) = records::split(&chunk[self.at..]) else {
            self.at = chunk.len();
            return Err(self.state.damaged());
        };
        self.at = chunk.len() - rest.len();
        self.state.record(opcode, record, frame)
    }
}

/// Unpacks the records of a chunk into `into`; nothing is taken out of a chunk that is not what it says.
fn unpack(chunk: &[u8], limit: u64, into: &mut Vec<u8>) -> Result<(), String> {
    let chunk = Chunk::read(chunk).ok_or("a chunk is shorter than it says")?;
    let size = usize::try_from(chunk.size).ok().filter(|_| chunk.size <= limit);
    let size = size.ok_or_else(|| format!("a chunk says that it takes {} bytes", chunk.size))?;
    compression::unpack(chunk.compression, chunk.packed, size, into).map_err(|error| match error {
        UnpackError::Damaged(reason) => format!("a chunk cannot be unpacked: {reason}"),
        UnpackError::Unknown => {
            let name = chunk.compression;
            format!("its chunks are packed with {name}, which is not read; zstd and lz4 are (mcap compress --compression zstd)")
        }
    })?;
    if chunk.checksum != 0 && crc32fast::hash(into) != chunk.checksum {
        into.clear();
        return Err("a chunk's checksum is not that of its records".into());
    }
    Ok(())
}

impl State {
    fn damaged(&self) -> String {
        format!("the recording is damaged after frame {}: a record is shorter than it says", self.frames)
    }

    /// Takes in one record; whether it filled `frame`.
    fn record(&mut self, opcode: u8, data: &[u8], frame: &mut Frame) -> Result<bool, String> {
        match opcode {
            records::HEADER => self.ours = records::library(data).is_some_and(|library| library.starts_with("recslowfast")),
            records::DATA_END => self.ended = true,
            records::FOOTER => {
                self.ended = true;
                self.unfinished = self.ours && data.starts_with(&[0; 8]);
            }
            records::SCHEMA => {
                let schema = Schema::read(data).ok_or_else(|| self.damaged())?;
                self.schemas.insert(schema.id, schema.name.to_owned());
            }
            records::CHANNEL if !self.ended => {
                let channel = Channel::read(data).ok_or_else(|| self.damaged())?;
                let schema = self.schemas.get(&channel.schema).map_or("", String::as_str);
                let (kind, why) = kind(&channel, schema, &mut self.topic);
                if let Some(why) = why {
                    self.left_out.insert(channel.topic.to_owned(), why);
                }
                if matches!(kind, Kind::Image { .. }) {
                    self.timed = channel.metadata("timed") != Some("false");
                    self.watched_by = watched_by(&channel);
                }
                self.channels.insert(channel.id, kind);
            }
            records::MESSAGE => {
                let message = Message::read(data).ok_or_else(|| self.damaged())?;
                return Ok(self.message(&message, frame));
            }
            _ => {}
        }
        Ok(false)
    }

    fn message(&mut self, message: &Message, frame: &mut Frame) -> bool {
        let (layout, known) = match self.channels.get(&message.channel) {
            Some(Kind::Frame) => {
                self.said = serde_json::from_slice(message.data).ok();
                return false;
            }
            Some(Kind::Image { layout, format, range }) => (*layout, (*format, *range)),
            _ => return false,
        };
        let said = self.said.take().unwrap_or(FrameRecord { sequence: self.frames + self.unreadable, ..FrameRecord::default() });
        if let Err(reason) = image::fill(frame, message.data, layout, known, self.decode) {
            self.refusal = Some(format!("frame {}: {reason}", said.sequence));
            self.unreadable += 1;
            return false;
        }
        frame.sequence = said.sequence;
        frame.cut = said.cut;
        frame.captured = said.captured_ns.map_or(message.log_time, Duration::from_nanos);
        let wall = said.wall_ns.map(Duration::from_nanos).or(Some(message.log_time)).filter(|wall| *wall > WALL_CLOCK);
        self.recorded = Recorded { wall, run: said.run };
        self.frames += 1;
        true
    }
}

/// The network that a channel of pictures names.
fn watched_by(channel: &Channel) -> Option<WatchedBy> {
    let text = |name: &str| channel.metadata(name).map(str::to_owned);
    let checksum = u32::from_str_radix(channel.metadata("network_checksum")?, 16).ok()?;
    Some(WatchedBy { network: text("network")?, version: text("network_version")?, checksum })
}

/// What a channel carries, and, where it holds pictures that are not played, why not. The first image channel's topic is played where
/// none is asked for.
fn kind(channel: &Channel, schema: &str, topic: &mut Option<String>) -> (Kind, Option<String>) {
    if channel.topic == FRAME_TOPIC && channel.encoding == "json" {
        return (Kind::Frame, None);
    }
    match image::content(schema, channel.encoding) {
        Content::Pictures(layout) => {
            let topic = topic.get_or_insert_with(|| channel.topic.to_owned());
            if topic != channel.topic {
                return (Kind::Other, Some(format!("?topic={} plays it", channel.topic)));
            }
            let format = channel.metadata("format").and_then(|name| name.parse().ok());
            let range = channel.metadata("range").map(|range| if range == "limited" { Range::Limited } else { Range::Full });
            (Kind::Image { layout, format, range }, None)
        }
        Content::NotRead => (Kind::Other, Some(format!("{schema} in {} is not read", channel.encoding))),
        Content::Other => (Kind::Other, None),
    }
}

/// Topics with pictures in `summary` (the records behind the data), and why those that are not `topic` are not played.
pub(super) fn topics(mut summary: &[u8], topic: Option<&str>) -> (Option<String>, BTreeMap<String, String>) {
    let mut schemas: HashMap<u16, &str> = HashMap::new();
    let (mut playing, mut left_out) = (topic.map(str::to_owned), BTreeMap::new());
    let mut channels = Vec::new();
    while let Some((opcode, record, rest)) = records::split(summary) {
        summary = rest;
        match opcode {
            records::SCHEMA => {
                if let Some(schema) = Schema::read(record) {
                    schemas.insert(schema.id, schema.name);
                }
            }
            records::CHANNEL => channels.extend(Channel::read(record)),
            _ => {}
        }
    }
    for channel in channels {
        let schema = schemas.get(&channel.schema).copied().unwrap_or("");
        if let (_, Some(why)) = kind(&channel, schema, &mut playing) {
            left_out.insert(channel.topic.to_owned(), why);
        }
    }
    (playing, left_out)
}

fn broken(error: McapError, frames: u64) -> String {
    match error {
        McapError::BadMagic => "it does not begin and end as an MCAP file does".into(),
        McapError::UnexpectedEof => format!("the recording is cut short after {frames} whole frames"),
        other => format!("the recording is damaged after frame {frames}: {other}"),
    }
}
