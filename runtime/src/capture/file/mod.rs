//! Files and folders: every frame is given, in order, as fast as it is pulled.

pub mod avi;
mod ffmpeg;
pub mod images;
pub mod y4m;

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

pub(super) use images::Images;

use super::{CaptureError, Source};

/// Opens a file by what is in it, whatever it is called.
pub(super) fn open(uri: &str, path: &Path) -> Result<Box<dyn Source>, CaptureError> {
    let mut head = [0; 12];
    let length = File::open(path).and_then(|mut file| read_up_to(&mut file, &mut head)).map_err(|error| cannot_open(path, &error))?;
    match &head[..length] {
        [] => Err(CaptureError::Format { path: path.display().to_string(), reason: "the file is empty".into() }),
        start if start.starts_with(b"YUV4MPEG2") => Ok(Box::new(y4m::Y4m::open(uri, path)?)),
        start if start.starts_with(b"RIFF") && start.ends_with(b"AVI ") => avi::open(uri, path),
        start if images::is_image(start) => Ok(Box::new(Images::single(uri, path)?)),
        _ => Ok(Box::new(ffmpeg::Ffmpeg::open(uri, path, None)?)),
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
