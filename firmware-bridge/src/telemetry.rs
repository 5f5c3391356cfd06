//! What the board tells the device.

use crate::frame::{self, EncodeError, Frame};
use crate::packet::Packet;
use crate::record::{self, OutOfRange, ParseError, Record, within, within_if_some};
use crate::sets::{AckResult, CameraState, Engine, LimitReason, LogLevel, Mode, StopReason};
use crate::text::{self, Text};
use serde::{Deserialize, Serialize};

/// Most detections in one [`Detections`].
pub const MAX_DETECTIONS: usize = 8;
/// Most frames in [`Status::recent`].
pub const MAX_RECENT: usize = 32;

/// Who is speaking. Sent at start, after a reconnect and when asked.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hello {
    /// Name and version of the software.
    pub software: Text<24>,
    /// Model of the board.
    pub board: Text<32>,
    /// Name and version of the network.
    pub network: Text<32>,
    /// Where people find the page; empty if nowhere.
    pub address: Text<48>,
    /// Network input width, pixels.
    pub width: u16,
    /// Network input height, pixels.
    pub height: u16,
    /// How many [`ClassName`] telegrams describe the classes.
    pub classes: u16,
}

/// One line of the state of the board.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// Sequence number of the last frame looked at, modulo 2^32.
    pub frame: u32,
    /// Time since the runtime started, milliseconds, modulo 2^32.
    pub uptime_ms: u32,
    /// How the camera is doing.
    pub camera: CameraState,
    /// What the network runs on.
    pub engine: Engine,
    /// What is traded against what.
    pub mode: Mode,
    /// Whether a command or an operator paused inference.
    pub paused: bool,
    /// Recurrent steps spent on the last frame.
    pub steps: u8,
    /// Steps the governor allowed for it.
    pub limit: u8,
    /// What set that limit.
    pub limited_by: LimitReason,
    /// Why stepping ended.
    pub stopped: StopReason,
    /// Frames passed over on purpose between two looked at.
    pub skip: u8,
    /// Capture to result of the last frame, microseconds.
    pub age_us: u32,
    /// What the age is held to, microseconds; 0 = no deadline.
    pub deadline_us: u32,
    /// Measured board power, milliwatts, at most 1 000 000; `None` without a sensor.
    pub power_mw: Option<u32>,
    /// Power budget, milliwatts, 1..=1 000 000; `None` without a limit.
    pub power_budget_mw: Option<u32>,
    /// Hottest zone, hundredths of a degree Celsius, -5 000..=15 000; `None` without a sensor.
    pub temperature_cc: Option<i16>,
    /// Camera rate, hundredths of a frame per second.
    pub capture_cfps: u16,
    /// Result rate, hundredths of a frame per second.
    pub inference_cfps: u16,
    /// Frames replaced by newer ones before they were looked at, modulo 2^32.
    pub dropped: u32,
    /// Steps of the last frames, oldest first.
    pub recent: heapless::Vec<u8, MAX_RECENT>,
}

impl Default for Status {
    /// A board that has just started and found nothing yet.
    fn default() -> Self {
        Self {
            frame: 0,
            uptime_ms: 0,
            camera: CameraState::Searching,
            engine: Engine::None,
            mode: Mode::Balanced,
            paused: false,
            steps: 0,
            limit: 0,
            limited_by: LimitReason::None,
            stopped: StopReason::Reset,
            skip: 0,
            age_us: 0,
            deadline_us: 0,
            power_mw: None,
            power_budget_mw: None,
            temperature_cc: None,
            capture_cfps: 0,
            inference_cfps: 0,
            dropped: 0,
            recent: heapless::Vec::new(),
        }
    }
}

/// What is in one frame.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Detections {
    /// Sequence number of the frame.
    pub frame: u32,
    /// Capture to this telegram, microseconds.
    pub age_us: u32,
    /// How many were found; at least as many as listed.
    pub found: u16,
    /// The best of them, best first.
    pub items: heapless::Vec<Detection, MAX_DETECTIONS>,
}

/// One thing seen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Detection {
    /// Class number.
    pub class: u16,
    /// Confidence, thousandths, at most 1000.
    pub score: u16,
    /// Track number, 0 if not tracked.
    pub track: u32,
    /// Left edge, ten-thousandths of the picture's width.
    pub left: u16,
    /// Top edge, ten-thousandths of the picture's height.
    pub top: u16,
    /// Width, ten-thousandths of the picture's width; left + width is at most 10 000.
    pub width: u16,
    /// Height, ten-thousandths of the picture's height; top + height is at most 10 000.
    pub height: u16,
    /// Part of the picture the mask covers, millionths, at most 1 000 000.
    pub area: u32,
}

/// One line for people.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Log {
    /// How much it matters.
    pub level: LogLevel,
    /// When, milliseconds since start.
    pub uptime_ms: u32,
    /// The line.
    pub text: Text<160>,
}

/// What a class number means.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClassName {
    /// Class number.
    pub class: u16,
    /// Its name.
    pub name: Text<24>,
}

/// The answer to one command.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ack {
    /// Sequence number of the command.
    pub sequence: u16,
    /// Kind of the command.
    pub kind: u8,
    /// What became of it.
    pub result: AckResult,
}

impl Record for Hello {
    const KIND: u8 = 0x01;
    fn check(&self) -> Result<(), OutOfRange> {
        text::check("software", &self.software)?;
        text::check("board", &self.board)?;
        text::check("network", &self.network)?;
        text::check("address", &self.address)
    }
}

impl Record for Status {
    const KIND: u8 = 0x02;
    fn check(&self) -> Result<(), OutOfRange> {
        within_if_some("power_mw", self.power_mw, 0..=1_000_000)?;
        within_if_some("power_budget_mw", self.power_budget_mw, 1..=1_000_000)?;
        within_if_some("temperature_cc", self.temperature_cc, -5_000..=15_000)
    }
}

impl Record for Detections {
    const KIND: u8 = 0x03;
    fn check(&self) -> Result<(), OutOfRange> {
        within("found", usize::from(self.found), self.items.len()..=usize::from(u16::MAX))?;
        self.items.iter().try_for_each(Detection::check)
    }
}

impl Detection {
    fn check(&self) -> Result<(), OutOfRange> {
        within("score", self.score, 0..=1000)?;
        within("left + width", u32::from(self.left) + u32::from(self.width), 0..=10_000)?;
        within("top + height", u32::from(self.top) + u32::from(self.height), 0..=10_000)?;
        within("area", self.area, 0..=1_000_000)
    }
}

impl Record for Log {
    const KIND: u8 = 0x04;
    fn check(&self) -> Result<(), OutOfRange> {
        text::check("text", &self.text)
    }
}

impl Record for ClassName {
    const KIND: u8 = 0x05;
    fn check(&self) -> Result<(), OutOfRange> {
        text::check("name", &self.name)
    }
}

impl Record for Ack {
    const KIND: u8 = 0x06;
}

/// Everything the board may say.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(clippy::large_enum_variant, reason = "there is no heap to put the large ones on, and one lives at a time")]
pub enum Telemetry {
    /// Who is speaking.
    Hello(Hello),
    /// State of the board.
    Status(Status),
    /// What is in one frame.
    Detections(Detections),
    /// One line for people.
    Log(Log),
    /// What a class number means.
    ClassName(ClassName),
    /// The answer to one command.
    Ack(Ack),
}

impl Telemetry {
    /// Reads the record in a checked packet. Never panics, whatever the payload.
    pub fn parse(packet: &Packet<'_>) -> Result<Self, ParseError> {
        let payload = packet.payload();
        match packet.kind() {
            Hello::KIND => record::parse(payload).map(Self::Hello),
            Status::KIND => record::parse(payload).map(Self::Status),
            Detections::KIND => record::parse(payload).map(Self::Detections),
            Log::KIND => record::parse(payload).map(Self::Log),
            ClassName::KIND => record::parse(payload).map(Self::ClassName),
            Ack::KIND => record::parse(payload).map(Self::Ack),
            kind => Err(ParseError::UnknownKind(kind)),
        }
    }

    /// The bytes of this message as one frame. Refuses a record that is out of range.
    pub fn encode(&self, sequence: u16) -> Result<Frame, EncodeError> {
        match self {
            Self::Hello(record) => frame::encode(record, sequence),
            Self::Status(record) => frame::encode(record, sequence),
            Self::Detections(record) => frame::encode(record, sequence),
            Self::Log(record) => frame::encode(record, sequence),
            Self::ClassName(record) => frame::encode(record, sequence),
            Self::Ack(record) => frame::encode(record, sequence),
        }
    }

    /// The kind byte of this message.
    #[must_use]
    pub fn kind(&self) -> u8 {
        match self {
            Self::Hello(_) => Hello::KIND,
            Self::Status(_) => Status::KIND,
            Self::Detections(_) => Detections::KIND,
            Self::Log(_) => Log::KIND,
            Self::ClassName(_) => ClassName::KIND,
            Self::Ack(_) => Ack::KIND,
        }
    }
}
