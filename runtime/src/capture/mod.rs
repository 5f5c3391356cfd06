//! Where frames come from.
//!
//! A [`Source`] is pulled. Files give every frame; live sources give the newest and count what they skip.
//!
//! ```text
//! open(uri) -> V4l2 | Y4m | Avi | ffmpeg child | images | pathfinder      one Source each
//! Supervised -> reopens a live source that fails or falls silent           also a Source
//! Faulty    -> faults on purpose around any source                         also a Source
//! Latest    -> a live source on its own thread behind a newest-frame slot  also a Source
//! start(uri) = all of these in their order
//! fit       -> frame bytes to the network's input tensor, one pass
//! ```

pub mod doctor;
mod faulty;
pub mod file;
pub mod fit;
pub mod jpeg;
mod latest;
mod pathfinder;
pub mod recording;
mod supervise;
mod uri;
mod v4l2;

use std::ffi::OsStr;
use std::time::Duration;

pub use faulty::{FaultSpec, Faults};
pub use latest::Latest;
pub use supervise::{Change, Event, Machine, Opener, Patience, Step, Supervised};

use crate::frame::{Frame, PixelFormat};
use crate::telemetry::CameraState;
use crate::threads::Fault;

/// What is asked of a source; what is left open, the source chooses. Parameters in a URI overrule it.
#[derive(Clone, Debug, PartialEq)]
pub struct Want {
    /// Pixels across.
    pub width: Option<u32>,
    /// Pixels down.
    pub height: Option<u32>,
    /// Frames per second. Paces the built-in stream, which otherwise comes as fast as it is pulled.
    pub fps: Option<f64>,
    /// Pixel format of a device.
    pub format: Option<PixelFormat>,
    /// Buffers to ask a driver for, 2 to 32.
    pub buffers: u32,
    /// Whose memory the driver fills.
    pub memory: Memory,
    /// Bytes from one row to the next, for memory that wants aligned rows; drivers may refuse.
    pub stride: Option<u32>,
    /// Side in pixels of the built-in stream's canvas: best the network's, whose contours are so many pixels wide.
    pub canvas: u32,
}

impl Default for Want {
    fn default() -> Self {
        Want { width: None, height: None, fps: None, format: None, buffers: 4, memory: Memory::Mapped, stride: None, canvas: 150 }
    }
}

/// Whose memory a driver fills.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Memory {
    /// The driver's own, mapped; each picture is copied out once.
    #[default]
    Mapped,
    /// The [`Frame`]'s own buffers (USERPTR): nothing is copied.
    User,
}

/// Opens what `uri` names.
///
/// - `/dev/videoN`, `v4l2:///dev/videoN`, `v4l2:/dev/v4l/by-id/...`, each with `?width=&height=&fps=&format=&buffers=&stride=`: a camera.
/// - `pathfinder:easy?seed=7&size=64`: the built-in stream, paced if `&fps=` is given.
/// - a folder of images (png, jpg, pgm, ppm, bmp), in the order of their names.
/// - a `.y4m` or an MJPEG `.avi` file; any other video through an installed `ffmpeg`.
pub fn open(uri: impl AsRef<OsStr>, want: &Want) -> Result<Box<dyn Source>, CaptureError> {
    let (place, want) = uri::parse(uri.as_ref(), want)?;
    let uri = &*uri.as_ref().to_string_lossy();
    match place {
        uri::Place::Device(path) => Ok(Box::new(v4l2::Camera::open(uri, &path, &want)?)),
        uri::Place::File(path) => file::open(uri, &path),
        uri::Place::Folder(path) => Ok(Box::new(file::Images::open(uri, &path)?)),
        uri::Place::Pathfinder { split, seed, size } => Ok(Box::new(pathfinder::Pathfinder::open(uri, &split, seed, size, want.fps)?)),
    }
}

/// Opens what `uri` names and keeps it going: a live source is supervised and runs on its own thread behind a newest-frame slot; a
/// file is just opened. `faults` are put around it where asked for.
///
/// The first opening decides: what cannot be opened now is an error, and a camera that is lost later is looked for.
pub fn start(uri: impl AsRef<OsStr>, want: &Want, faults: Option<FaultSpec>, patience: Patience) -> Result<Box<dyn Source>, CaptureError> {
    let faults = faults.map(Faults::new);
    let (again, wanted) = (uri.as_ref().to_owned(), want.clone());
    let uri = uri.as_ref().to_string_lossy();
    let mut opener: Opener = Box::new(move || match &faults {
        Some(faults) => faults.open(|| open(&again, &wanted)),
        None => open(&again, &wanted),
    });
    let source = opener()?;
    if !source.info().live {
        return Ok(source);
    }
    let supervised = Supervised::around(source, opener, patience);
    let latest = Latest::spawn(Box::new(supervised))
        .map_err(|error| CaptureError::Open { path: uri.into_owned(), reason: format!("no capture thread: {error}") })?;
    Ok(Box::new(latest))
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

    /// What the camera is doing; a source that nobody supervises streams.
    fn state(&self) -> CameraState {
        CameraState::Streaming
    }
}

/// Why a source cannot be opened, or went away.
#[derive(Debug, thiserror::Error)]
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
