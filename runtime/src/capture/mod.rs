//! Where frames come from.
//!
//! A [`Source`] is pulled. Files give every frame; live sources give the newest and count what they skip. Recordings are another
//! room's: `service::sources` opens those, and everything else through here.
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
mod supervise;
mod uri;
mod v4l2;

use std::ffi::OsStr;

pub use faulty::{FaultSpec, Faults};
pub use latest::Latest;
pub use supervise::{Change, Event, Machine, Opener, Patience, Step, Supervised};

// A source is a plain type, in which rooms meet; it is opened here, and named from here too.
pub use crate::source::{CaptureError, Losses, Pull, Source, SourceInfo, Times};

use crate::frame::PixelFormat;

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

/// Opens what `uri` names and keeps it going, as [`start_by`] does.
pub fn start(uri: impl AsRef<OsStr>, want: &Want, faults: Option<FaultSpec>, patience: Patience) -> Result<Box<dyn Source>, CaptureError> {
    start_by(|uri, want| open(uri, want), uri.as_ref(), want, faults, patience)
}

/// What opens a source by its name.
pub type Open = fn(&OsStr, &Want) -> Result<Box<dyn Source>, CaptureError>;

/// Opens what `uri` names by `open` and keeps it going: a live source is supervised and runs on its own thread behind a newest-frame
/// slot; a file is just opened. `faults` are put around it where asked for.
///
/// The first opening decides: what cannot be opened now is an error, and a camera that is lost later is looked for.
pub fn start_by(
    open: Open,
    uri: &OsStr,
    want: &Want,
    faults: Option<FaultSpec>,
    patience: Patience,
) -> Result<Box<dyn Source>, CaptureError> {
    let faults = faults.map(Faults::new);
    let (again, wanted) = (uri.to_owned(), want.clone());
    let uri = uri.to_string_lossy();
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
