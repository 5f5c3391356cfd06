//! Where frames come from.
//!
//! A [`Source`] is pulled. Files give every frame; live sources give the newest and count what they skip. Recordings are another
//! room's: `sources` opens those, and everything else through here.
//!
//! ```text
//! open(uri) -> V4l2 | Y4m | Avi | ffmpeg child | images | pipe | stream | pathfinder      one Source each
//! Looped, Realtime -> a film again and again, or at its own rate           also Sources
//! Supervised -> reopens a live source that fails or falls silent           also a Source
//! Faulty    -> faults on purpose around any source                         also a Source
//! NewestFrame -> a live source on its own thread behind a newest-frame slot  also a Source
//! start(uri) = all of these in their order
//! fit       -> frame bytes to the network's input tensor, one pass
//! ```

#[cfg(feature = "v4l2")]
pub mod doctor;
mod faulty;
pub mod file;
pub mod fit;
pub mod jpeg;
mod newest_frame;
mod pathfinder;
mod request;
mod stream;
mod supervise;
mod uri;
#[cfg(feature = "v4l2")]
mod v4l2;

use std::ffi::OsStr;

pub use faulty::{FaultSpec, Faults};
pub use newest_frame::NewestFrame;
pub use request::{CaptureRequest, Memory};
pub use supervise::{Change, Event, Machine, Opener, Step, Supervised, Timeouts};

// A source is a plain type, in which rooms meet; it is opened here, and named from here too.
pub use crate::source::{CaptureError, Losses, Pull, Source, SourceInfo, Times};

/// Opens what `uri` names.
///
/// - `/dev/videoN` or `N`, `v4l2:///dev/videoN`, `v4l2:/dev/v4l/by-id/...`, each with `?width=&height=&fps=&format=&buffers=&stride=`: a camera.
/// - `pathfinder:easy?seed=7&size=64`: the built-in stream, paced if `&fps=` is given.
/// - a folder of images (png, jpg, pgm, ppm, bmp, gif, webp, tif), in the order of their names; a single one.
/// - a `.y4m` or an MJPEG `.avi` file; any other video through an installed `ffmpeg`. `?loop` plays it again, `?realtime` at its rate.
/// - `-`, `/dev/stdin`, `/dev/fd/N` or a FIFO: a film that comes through a pipe.
/// - `rtsp://`, `http://`, `csi://N`, `gst:PIPELINE`: what an ffmpeg or GStreamer of the system receives.
pub fn open(uri: impl AsRef<OsStr>, want: &CaptureRequest) -> Result<Box<dyn Source>, CaptureError> {
    let (place, want) = uri::parse(uri.as_ref(), want)?;
    let uri = &*uri.as_ref().to_string_lossy();
    if !want.again {
        return open_place(uri, &place, &want).and_then(|source| paced(source, &want));
    }
    let (again, wanted) = (uri.to_owned(), want.clone());
    let looped = file::play::Looped::new(Box::new(move || open_place(&again, &place, &wanted)))?;
    paced(Box::new(looped), &want)
}

/// At its own rate, where that is wanted.
fn paced(source: Box<dyn Source>, want: &CaptureRequest) -> Result<Box<dyn Source>, CaptureError> {
    if want.realtime && !source.info().live { Ok(Box::new(file::play::Realtime::new(source, want.fps)?)) } else { Ok(source) }
}

fn open_place(uri: &str, place: &uri::Place, want: &CaptureRequest) -> Result<Box<dyn Source>, CaptureError> {
    match place {
        #[cfg(feature = "v4l2")]
        uri::Place::Device(path) => Ok(Box::new(v4l2::Camera::open(uri, path, want)?)),
        #[cfg(not(feature = "v4l2"))]
        uri::Place::Device(path) => {
            let reason = "this build reads no Video4Linux cameras: build it with the feature v4l2".into();
            Err(CaptureError::Open { path: path.display().to_string(), reason })
        }
        uri::Place::File(path) => file::open(uri, path),
        uri::Place::Folder(path) => Ok(Box::new(file::Images::open(uri, path)?)),
        uri::Place::Descriptor(number) => file::open_descriptor(uri, *number),
        uri::Place::Stream(spec) => Ok(Box::new(stream::Stream::open(spec)?)),
        uri::Place::Pathfinder { split, seed, size } => Ok(Box::new(pathfinder::Pathfinder::open(uri, split, *seed, *size, want.fps)?)),
    }
}

/// Whether `uri` can be meant at all, and where it leads. Opens nothing.
pub fn check(uri: impl AsRef<OsStr>) -> Result<Kind, CaptureError> {
    uri::parse(uri.as_ref(), &CaptureRequest::default()).map(|(place, _)| match place {
        uri::Place::Device(_) => Kind::Camera,
        uri::Place::Stream(_) => Kind::Stream,
        uri::Place::File(_) | uri::Place::Folder(_) | uri::Place::Descriptor(_) | uri::Place::Pathfinder { .. } => Kind::Film,
    })
}

/// Where a URI leads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A device of this machine, which may be away.
    Camera,
    /// Something that a child receives, whose other end may be away.
    Stream,
    /// All else: it is there or it is not.
    Film,
}

/// Opens what `uri` names and keeps it going, as [`start_by`] does.
pub fn start(
    uri: impl AsRef<OsStr>,
    want: &CaptureRequest,
    faults: Option<FaultSpec>,
    timeouts: Timeouts,
) -> Result<Box<dyn Source>, CaptureError> {
    start_by(|uri, want| open(uri, want), uri.as_ref(), want, faults, timeouts)
}

/// What opens a source by its name.
pub type Open = fn(&OsStr, &CaptureRequest) -> Result<Box<dyn Source>, CaptureError>;

/// Opens what `uri` names by `open` and keeps it going: a live source is supervised and runs on its own thread behind a newest-frame
/// slot; a file is just opened. `faults` are put around it where asked for.
///
/// The first opening decides: what cannot be opened now is an error, and a camera that is lost later is looked for. A stream is not waited
/// for: it is searched for until it is there, and [`Source::trouble`] tells why it is not.
pub fn start_by(
    open: Open,
    uri: &OsStr,
    want: &CaptureRequest,
    faults: Option<FaultSpec>,
    timeouts: Timeouts,
) -> Result<Box<dyn Source>, CaptureError> {
    // What `open` knows and this room does not is no stream; what nobody knows is refused when it is opened.
    let parsed = uri::parse(uri, want).ok();
    let realtime = parsed.as_ref().is_some_and(|(_, wanted)| wanted.realtime);
    let stream = if let Some((uri::Place::Stream(spec), _)) = &parsed { Some(stream::info(spec)) } else { None };
    let faults = faults.map(Faults::new);
    let (again, want) = (uri.to_owned(), want.clone());
    let uri = &*uri.to_string_lossy();
    let mut opener: Opener = Box::new(move || match &faults {
        Some(faults) => faults.open(|| open(&again, &want)),
        None => open(&again, &want),
    });
    let supervised = match stream {
        Some(info) => {
            let longest_pause = timeouts.longest_pause.min(stream::LONGEST_PAUSE);
            Supervised::searching(info, opener, Timeouts { longest_pause, ..timeouts })
        }
        None => {
            let source = opener()?;
            match source.info().live {
                false => return Ok(source),
                // A film has an end, and nothing brings it back.
                true if realtime => return latest(uri, source),
                true => Supervised::around(source, opener, timeouts),
            }
        }
    };
    latest(uri, Box::new(supervised))
}

fn latest(uri: &str, source: Box<dyn Source>) -> Result<Box<dyn Source>, CaptureError> {
    let latest = NewestFrame::spawn(source)
        .map_err(|error| CaptureError::Open { path: uri.to_owned(), reason: format!("no capture thread: {error}") })?;
    Ok(Box::new(latest))
}
