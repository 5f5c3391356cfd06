//! Files, folders and pipes: every frame is given, in order, as fast as it is pulled.

pub mod avi;
mod ffmpeg;
pub mod images;
mod input;
mod mjpeg;
mod pipe;
pub(super) mod play;
mod window;
pub mod y4m;

use std::io::{self, Read};
use std::path::Path;

pub(super) use images::Images;
use input::Input;

use super::{CaptureError, Source};

/// Opens a file by what is in it, whatever it is called; a FIFO by what comes through it.
pub(super) fn open(uri: &str, path: &Path) -> Result<Box<dyn Source>, CaptureError> {
    // Looked at before it is opened: opening a FIFO waits for its writer.
    let kind = std::fs::metadata(path).map_err(|error| cannot_open(path, &error))?;
    if kind.is_file() { open_input(uri, Input::file(path)?) } else { pipe::open_path(uri, path) }
}

/// Opens what this process was given as descriptor `number`.
pub(super) fn open_descriptor(uri: &str, number: u32) -> Result<Box<dyn Source>, CaptureError> {
    pipe::open_descriptor(uri, number)
}

fn open_input(uri: &str, mut input: Input) -> Result<Box<dyn Source>, CaptureError> {
    let name = input.name().to_owned();
    let fail = |reason: &str| CaptureError::Format { path: name.clone(), reason: reason.into() };
    let head = input.look(12).map_err(|error| fail(&error.to_string()))?.to_vec();
    match &head[..] {
        [] if input.path().is_none() => Err(fail("it ended before anything came through it")),
        [] => Err(fail("the file is empty")),
        start if start.starts_with(b"YUV4MPEG2") => y4m::open(uri, input),
        start if start.starts_with(b"RIFF") && start.ends_with(b"AVI ") => avi::open(uri, input),
        start if start.starts_with(b"\x89MCAP0\r\n") => Err(fail("an MCAP recording is not read through a pipe; name its file")),
        start if start.starts_with(&[0xff, 0xd8]) && mjpeg::is_film(&mut input) => mjpeg::open(uri, input),
        start if images::is_image(start) => Images::single(uri, input),
        _ => Ok(Box::new(ffmpeg::Ffmpeg::open(uri, input, None)?)),
    }
}

fn read_up_to(from: &mut impl Read, into: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while filled < into.len() {
        match from.read(&mut into[filled..]) {
            Ok(0) => break,
            Ok(count) => filled += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

/// Why a file does not open, in words.
fn cannot_open(path: &Path, error: &io::Error) -> CaptureError {
    let reason = match error.kind() {
        io::ErrorKind::NotFound => "there is no such file, folder or device".into(),
        io::ErrorKind::PermissionDenied => "permission denied: this user may not read it".into(),
        _ => error.to_string(),
    };
    CaptureError::Open { path: path.display().to_string(), reason }
}
