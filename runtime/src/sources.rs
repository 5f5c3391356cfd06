//! What a source's name names, whichever room reads it: recordings are opened here, everything else by `capture`.

use std::ffi::OsStr;
#[cfg(feature = "record")]
use std::io::Cursor;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use crate::capture::{self, CaptureRequest, FaultSpec, Kind, Timeouts};
#[cfg(feature = "record")]
use crate::source::WatchedBy;
use crate::source::{CaptureError, Source};

#[cfg(feature = "record")]
use crate::capture::{file::images, jpeg};
#[cfg(feature = "record")]
use crate::frame::{Frame, PixelFormat, Range};
#[cfg(feature = "record")]
use crate::recording::{self, Replay};

/// Opens what `uri` names: a recording (`FILE.mcap?topic=/camera/image`), or anything [`capture::open`] knows.
pub fn open(uri: &OsStr, want: &CaptureRequest) -> Result<Box<dyn Source>, CaptureError> {
    #[cfg(feature = "record")]
    if let Some((path, topic)) = recording(uri)? {
        return Ok(Box::new(Replay::open(&uri.to_string_lossy(), &path, topic.as_deref(), picture)?));
    }
    capture::open(uri, want)
}

/// Opens what `uri` names and keeps it going, as [`capture::start`] does.
pub fn start(uri: &OsStr, want: &CaptureRequest, faults: Option<FaultSpec>, timeouts: Timeouts) -> Result<Box<dyn Source>, CaptureError> {
    capture::start_by(open, uri, want, faults, timeouts)
}

/// Whether `uri` can be meant at all, and where it leads, as [`capture::check`] does. Opens nothing but a file that may be a recording.
pub fn check(uri: &OsStr) -> Result<Kind, CaptureError> {
    #[cfg(feature = "record")]
    if recording(uri)?.is_some() {
        return Ok(Kind::Film);
    }
    capture::check(uri)
}

/// The network that watched while the recording that `uri` names was made, where it is one and says so.
#[cfg(feature = "record")]
pub fn watched_by(uri: &OsStr) -> Option<WatchedBy> {
    let (path, _) = recording(uri).ok()??;
    recording::watched_by(&path)
}

/// The file, folder or device that `uri` names, as far as its name says; None for the built-in stream and what has another scheme.
pub fn path(uri: &OsStr) -> Option<PathBuf> {
    if Path::new(uri).exists() {
        return Some(uri.into());
    }
    let (base, _) = parts(uri);
    let named = !base.is_empty() && !base.starts_with(b"pathfinder") && !base.windows(3).any(|three| three == b"://");
    named.then(|| OsStr::from_bytes(base).into())
}

/// A name without its scheme, if it is a file's or a device's, and the parameters behind it.
fn parts(uri: &OsStr) -> (&[u8], &[u8]) {
    let bytes = uri.as_bytes();
    let (base, query) = bytes.iter().position(|byte| *byte == b'?').map_or((bytes, &[][..]), |at| (&bytes[..at], &bytes[at + 1..]));
    let bare = base.strip_prefix(b"file:").or_else(|| base.strip_prefix(b"v4l2:"));
    (bare.map_or(base, |bare| bare.strip_prefix(b"//").unwrap_or(bare)), query)
}

/// The recording that `uri` names, and the topic asked for.
#[cfg(feature = "record")]
fn recording(uri: &OsStr) -> Result<Option<(PathBuf, Option<String>)>, CaptureError> {
    // A file may have a question mark in its name.
    if recording::is_recording(Path::new(uri)) {
        return Ok(Some((uri.into(), None)));
    }
    let (base, query) = parts(uri);
    let path = Path::new(OsStr::from_bytes(base));
    // One that is not there is a recording by its name, so that its being away is what is said.
    let away = path.extension().is_some_and(|ending| ending == "mcap") && !path.exists();
    if !recording::is_recording(path) && !away {
        return Ok(None);
    }
    let fail = |reason: String| CaptureError::Uri { uri: uri.to_string_lossy().into_owned(), reason };
    let query = std::str::from_utf8(query).map_err(|_| fail("its parameters are no UTF-8".into()))?;
    let mut topic = None;
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        match pair.split_once('=') {
            Some(("topic", value)) if !value.is_empty() => topic = Some(value.to_owned()),
            Some(("topic", _)) => return Err(fail("topic= names no topic, for example ?topic=/camera/image".into())),
            _ => return Err(fail(format!("unknown parameter '{pair}'; a recording knows topic"))),
        }
    }
    Ok(Some((path.into(), topic)))
}

/// Fills `frame` from one encoded picture; what is in it decides what it is. A JPEG stays one: it is decoded where it is fitted.
#[cfg(feature = "record")]
pub fn picture(bytes: &[u8], frame: &mut Frame) -> Result<(), String> {
    if bytes.starts_with(&[0xff, 0xd8]) {
        frame.format = PixelFormat::Mjpeg;
        // A damaged one is found out where it is decoded.
        (frame.width, frame.height) = jpeg::size(bytes).unwrap_or_default();
        frame.stride = 0;
        frame.data.clear();
        frame.data.extend_from_slice(bytes);
    } else {
        images::decode(Cursor::new(bytes), frame)?;
    }
    frame.range = Range::Full;
    Ok(())
}

#[cfg(all(test, feature = "record"))]
mod tests {
    use super::*;
    use crate::recording::{OutcomeFormat, RecordSpec, RecordedFrame, Recorder};
    use std::time::Duration;

    #[test]
    fn a_recording_is_one_by_what_is_in_it_and_takes_a_topic() {
        let folder = tempfile::tempdir().unwrap();
        let made = folder.path().join("seen.mcap");
        let spec = RecordSpec { path: made.clone(), limit: None, events: None, timed: true, watched_by: None };
        let mut recorder = Recorder::create(spec, OutcomeFormat::default()).unwrap();
        let frame = Frame { width: 4, height: 4, stride: 4, data: vec![1; 16].into(), ..Frame::default() };
        recorder.take(RecordedFrame::plain(frame, Duration::from_secs(1_700_000_000))).unwrap();
        recorder.finish().unwrap();
        let other = folder.path().join("seen.bin?topic=x");
        std::fs::rename(made, &other).unwrap();
        let plain = folder.path().join("seen.bin");
        std::fs::copy(&other, &plain).unwrap();
        let refusal = |uri: String| open(OsStr::new(&uri), &CaptureRequest::default()).err().map(|error| error.to_string());
        assert_eq!(refusal(other.display().to_string()), None, "a question mark in a name is part of the name");
        assert_eq!(refusal(plain.display().to_string()), None);
        assert_eq!(refusal(format!("file://{}?topic=/camera/image", plain.display())), None);
        assert!(refusal(format!("{}?topic=/none", plain.display())).unwrap().contains("/camera/image: ?topic=/camera/image plays it"));
        assert!(refusal(format!("{}?fps=3", plain.display())).unwrap().contains("a recording knows topic"));
        assert!(refusal(format!("{}?topic=", plain.display())).unwrap().contains("names no topic"));
    }

    #[test]
    fn a_path_is_what_a_name_names_on_disk() {
        let path = |uri: &str| path(OsStr::new(uri));
        assert_eq!(path("in.mcap?topic=/x"), Some("in.mcap".into()));
        assert_eq!(path("file:///tmp/none/in.mcap"), Some("/tmp/none/in.mcap".into()));
        assert_eq!(path("v4l2:///dev/video9?fps=3"), Some("/dev/video9".into()));
        assert_eq!((path("pathfinder:easy"), path("rtsp://camera/1")), (None, None));
    }
}
