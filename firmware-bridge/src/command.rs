//! What the device may ask of the board.

use crate::frame::{self, EncodeError, Frame};
use crate::packet::Packet;
use crate::record::{self, OutOfRange, ParseError, Record, within, within_if_some, within_or_lifted};
use crate::sets::Mode;
use serde::{Deserialize, Serialize};

/// New limits. An absent field leaves that limit as it is, a zero lifts it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SetBudget {
    /// Longest capture-to-result age, microseconds: 0 or 1 000..=60 000 000.
    pub deadline_us: Option<u32>,
    /// Frames in a thousand that must meet the deadline, 500..=999.
    pub percentile_pm: Option<u16>,
    /// Board power, milliwatts: 0 or 500..=1 000 000.
    pub power_mw: Option<u32>,
    /// Hottest zone, hundredths of a degree Celsius: 0 or 2 000..=12 000.
    pub temperature_cc: Option<i16>,
}

/// Another trade between accuracy and power.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SetMode {
    /// The mode; [`Mode::Unknown`] is out of range here.
    pub mode: Mode,
}

/// How often the board reports on this link.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SetReportRate {
    /// Time between two Status telegrams, milliseconds: 0 = only when asked, or 20..=60 000.
    pub status_period_ms: u16,
    /// Least time between two Detections telegrams, milliseconds: 0 = never, 1 = every frame, at most 60 000.
    pub detections_period_ms: u16,
}

#[derive(Serialize, Deserialize)]
struct Bare<const KIND: u8>;

impl Record for SetBudget {
    const KIND: u8 = 0x41;
    fn check(&self) -> Result<(), OutOfRange> {
        within_or_lifted("deadline_us", self.deadline_us, 1_000..=60_000_000)?;
        within_if_some("percentile_pm", self.percentile_pm, 500..=999)?;
        within_or_lifted("power_mw", self.power_mw, 500..=1_000_000)?;
        within_or_lifted("temperature_cc", self.temperature_cc, 2_000..=12_000)
    }
}

impl Record for SetMode {
    const KIND: u8 = 0x42;
    fn check(&self) -> Result<(), OutOfRange> {
        if matches!(self.mode, Mode::Unknown(_)) { Err(OutOfRange("mode")) } else { Ok(()) }
    }
}

impl<const KIND: u8> Record for Bare<KIND> {
    const KIND: u8 = KIND;
}

type Pause = Bare<0x43>;
type Resume = Bare<0x44>;
type ResetState = Bare<0x45>;
type AskStatus = Bare<0x46>;
type AskHello = Bare<0x48>;

impl Record for SetReportRate {
    const KIND: u8 = 0x47;
    fn check(&self) -> Result<(), OutOfRange> {
        within_or_lifted("status_period_ms", Some(self.status_period_ms), 20..=60_000)?;
        within("detections_period_ms", self.detections_period_ms, 0..=60_000)
    }
}

/// Everything a device may ask.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Command {
    /// New limits.
    SetBudget(SetBudget),
    /// Another trade between accuracy and power.
    SetMode(SetMode),
    /// Stop looking at frames; the camera stays open.
    Pause,
    /// Look at frames again.
    Resume,
    /// Forget the hidden state before the next frame.
    ResetState,
    /// One [`Status`](crate::Status) now.
    AskStatus,
    /// How often to report.
    SetReportRate(SetReportRate),
    /// [`Hello`](crate::Hello) and the class names now; also opens the command sequence.
    AskHello,
}

impl Command {
    /// Reads the command in a checked packet. Never panics, whatever the payload.
    pub fn parse(packet: &Packet<'_>) -> Result<Self, ParseError> {
        let payload = packet.payload();
        match packet.kind() {
            SetBudget::KIND => record::parse(payload).map(Self::SetBudget),
            SetMode::KIND => record::parse(payload).map(Self::SetMode),
            Pause::KIND => Ok(Self::Pause),
            Resume::KIND => Ok(Self::Resume),
            ResetState::KIND => Ok(Self::ResetState),
            AskStatus::KIND => Ok(Self::AskStatus),
            SetReportRate::KIND => record::parse(payload).map(Self::SetReportRate),
            AskHello::KIND => Ok(Self::AskHello),
            kind => Err(ParseError::UnknownKind(kind)),
        }
    }

    /// The bytes of this command as one frame. Refuses a record that is out of range.
    pub fn encode(&self, sequence: u16) -> Result<Frame, EncodeError> {
        match self {
            Self::SetBudget(record) => frame::encode(record, sequence),
            Self::SetMode(record) => frame::encode(record, sequence),
            Self::Pause => frame::encode(&Bare::<{ Pause::KIND }>, sequence),
            Self::Resume => frame::encode(&Bare::<{ Resume::KIND }>, sequence),
            Self::ResetState => frame::encode(&Bare::<{ ResetState::KIND }>, sequence),
            Self::AskStatus => frame::encode(&Bare::<{ AskStatus::KIND }>, sequence),
            Self::SetReportRate(record) => frame::encode(record, sequence),
            Self::AskHello => frame::encode(&Bare::<{ AskHello::KIND }>, sequence),
        }
    }

    /// The kind byte of this command.
    #[must_use]
    pub fn kind(&self) -> u8 {
        match self {
            Self::SetBudget(_) => SetBudget::KIND,
            Self::SetMode(_) => SetMode::KIND,
            Self::Pause => Pause::KIND,
            Self::Resume => Resume::KIND,
            Self::ResetState => ResetState::KIND,
            Self::AskStatus => AskStatus::KIND,
            Self::SetReportRate(_) => SetReportRate::KIND,
            Self::AskHello => AskHello::KIND,
        }
    }
}

/// Whether a kind byte lies in the command range, known here or not.
#[must_use]
pub fn is_command(kind: u8) -> bool {
    (0x41..=0x7F).contains(&kind)
}
