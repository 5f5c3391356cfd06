//! A source of frames, as everything beside the room that opens it knows it.

use std::time::Duration;

use crate::frame::Frame;
use crate::telemetry::CameraState;
use crate::threads::Fault;

/// On which clock a source's capture times lie.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Times {
    /// `CLOCK_MONOTONIC` of this machine, now: ages are counted from them.
    Live,
    /// The clock of a recorded run: ages and rates are that run's, and a budget is kept on its clock.
    Replayed,
    /// No clock: a frame's time is when it was read.
    #[default]
    Untimed,
}

/// What a recording keeps of the run it was made by, beside one frame's picture.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Recorded {
    /// When the picture was taken, since 1970 (UTC), where the recording says so.
    pub wall: Option<Duration>,
    /// What was decided for the frame and what that depended on: JSON, written and understood by the service alone.
    pub run: Option<serde_json::Value>,
}

/// The network that watched while a recording was made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WatchedBy {
    /// Its name, from model.toml.
    pub network: String,
    /// Its version, from model.toml.
    pub version: String,
    /// Over its files, as [`crate::network::Network::checksum`].
    pub checksum: u32,
}

/// What one pull brought.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pull {
    /// The frame was filled.
    Frame,
    /// Nothing came within the wait; the source still stands.
    Waiting,
    /// The source has ended; no frame will come again.
    End,
}

/// What a source is, for people and for the newest-frame slot.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SourceInfo {
    /// The URI it was opened by.
    pub uri: String,
    /// One line for a person: device or file, format and size.
    pub description: String,
    /// Width in pixels of what it delivers.
    pub width: u32,
    /// Height in pixels of what it delivers.
    pub height: u32,
    /// Nominal frames per second, where known.
    pub fps: Option<f64>,
    /// True when frames come at their own pace and old ones are worthless.
    pub live: bool,
    /// True when capture times are those of the scene, so that a gap in them is a gap in what was seen: live sources and their recordings.
    pub timed: bool,
    /// What differs from what was asked, and why; one sentence each.
    pub notes: Vec<String>,
    /// The network that watched when this was recorded, where this is a recording that says so.
    pub watched_by: Option<WatchedBy>,
}

/// Frames that did not arrive whole, since the source was opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Losses {
    /// Gaps in the driver's sequence numbers.
    pub dropped: u64,
    /// Frames that arrived whole and were passed over for a newer one (live sources only).
    pub skipped: u64,
    /// Frames the driver flagged as broken, or that could not be decoded.
    pub corrupt: u64,
}

/// A stream of frames.
pub trait Source: Send {
    /// What this source is.
    fn info(&self) -> &SourceInfo;

    /// Waits up to `wait` for the next frame and fills `frame`, reusing its buffer.
    fn pull(&mut self, frame: &mut Frame, wait: Duration) -> Result<Pull, CaptureError>;

    /// What was lost so far.
    fn losses(&self) -> Losses;

    /// On which clock its capture times lie.
    fn times(&self) -> Times {
        if self.info().live { Times::Live } else { Times::Untimed }
    }

    /// What the recorded run knew of the frame pulled last (before the first pull: of the first), where this is a recording.
    fn recorded(&self) -> Option<&Recorded> {
        None
    }

    /// What the frame pulled last is called, where frames have names of their own: a file's in a folder.
    fn called(&self) -> Option<&str> {
        None
    }

    /// What the camera is doing; a source that nobody supervises streams.
    fn state(&self) -> CameraState {
        CameraState::Streaming
    }

    /// Why no frame comes, where that is known.
    fn trouble(&self) -> Option<String> {
        None
    }
}

/// Why a source cannot be opened, or went away.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CaptureError {
    /// The URI is malformed or names no kind of source.
    #[error("source '{uri}': {reason}")]
    Uri {
        /// What was given.
        uri: String,
        /// What is wrong with it, and what would be right.
        reason: String,
    },
    /// The file or device cannot be opened.
    #[error("cannot open {path}: {reason}")]
    Open {
        /// The path.
        path: String,
        /// Why, and what to do.
        reason: String,
    },
    /// The content is not what its format promises.
    #[error("{path}: {reason}")]
    Format {
        /// The file or device.
        path: String,
        /// What is wrong, where, and what to do.
        reason: String,
    },
    /// A device went away while streaming.
    #[error("{path} is gone: {reason}")]
    Gone {
        /// The device.
        path: String,
        /// What the kernel said, in words.
        reason: String,
    },
    /// The capture thread died.
    #[error(transparent)]
    Fault(#[from] Fault),
}
