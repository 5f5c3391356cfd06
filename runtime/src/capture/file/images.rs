//! Pictures: a folder of them in the order of their names, or one.

mod decode;
mod folder;
#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};
use std::time::Duration;

pub use decode::decode;
pub(super) use decode::is_image;

use super::input::Input;
use super::{cannot_open, ffmpeg};
use crate::capture::{CaptureError, Losses, Pull, Source, SourceInfo};
use crate::clock;
use crate::frame::{Frame, Range};
use std::io::Read;

/// Bytes that a picture's file may have.
const LARGEST_FILE: u64 = 1 << 30;
/// Pictures that could not be read and are named at the end; of the rest the number is told.
const NAMED: usize = 5;

/// Where a picture is.
enum Item {
    File(PathBuf),
    Bytes(Vec<u8>),
}

/// Still pictures as a video: grey ones as grey, others as RGB.
pub(in crate::capture) struct Images {
    items: std::vec::IntoIter<Item>,
    count: usize,
    info: SourceInfo,
    name: String,
    sequence: u64,
    decoder: decode::Decoder,
    broken: Vec<String>,
    losses: Losses,
    /// The file of the picture that was pulled last.
    called: Option<String>,
}

/// The images of a folder in the order of their names; there is at least one.
pub fn listed(folder: &Path) -> Result<Vec<PathBuf>, CaptureError> {
    folder::list(folder).map(|found| found.pictures)
}

impl Images {
    /// Opens a folder.
    pub fn open(uri: &str, folder: &Path) -> Result<Images, CaptureError> {
        let found = folder::list(folder)?;
        let notes = found.left_out().into_iter().collect();
        let mut images = Images::of(uri, &folder.display().to_string(), found.pictures.into_iter().map(Item::File).collect())?;
        images.info.notes = notes;
        Ok(images)
    }

    /// One picture as a video of one frame; one that moves is a film, and ffmpeg's.
    pub(super) fn single(uri: &str, mut input: Input) -> Result<Box<dyn Source>, CaptureError> {
        let name = input.name().to_owned();
        let fail = |error: std::io::Error| CaptureError::Format { path: name.clone(), reason: error.to_string() };
        let start = input.look(1 << 16).map_err(fail)?;
        let moves = decode::moves(start);
        if moves && ffmpeg::is_installed() {
            return Ok(Box::new(ffmpeg::Ffmpeg::open(uri, input, None)?));
        }
        let mut bytes = Vec::new();
        input.joined().take(LARGEST_FILE).read_to_end(&mut bytes).map_err(fail)?;
        let mut images = Images::of(uri, &name, vec![Item::Bytes(bytes)])?;
        if moves {
            images.info.notes.push("it may hold several pictures: only the first is read, since ffmpeg is not installed".into());
        }
        Ok(Box::new(images))
    }

    fn of(uri: &str, name: &str, items: Vec<Item>) -> Result<Images, CaptureError> {
        let mut decoder = decode::Decoder::default();
        // The first that can be read tells the size; the broken ones before it are met again, and counted then.
        let mut frame = Frame::default();
        let mut reason = String::new();
        let size = items.iter().find_map(|item| match item.read(|bytes| decoder.decode(bytes, &mut frame)) {
            Ok(()) => Some((frame.width, frame.height)),
            Err(error) => {
                if reason.is_empty() {
                    reason = error;
                }
                None
            }
        });
        let count = items.len();
        let Some((width, height)) = size else {
            let reason = match count {
                1 => format!("no image can be read from it: {reason}"),
                _ => format!("none of its {count} images can be read: {reason}"),
            };
            return Err(CaptureError::Format { path: name.to_owned(), reason });
        };
        let description = match count {
            1 => format!("{name}, one image {width}x{height}"),
            _ => format!("{name}, {count} images, the first {width}x{height}"),
        };
        let info = SourceInfo { uri: uri.to_owned(), description, width, height, ..SourceInfo::default() };
        let items = items.into_iter();
        Ok(Images {
            items,
            count,
            info,
            name: name.to_owned(),
            sequence: 0,
            decoder,
            broken: Vec::new(),
            losses: Losses::default(),
            called: None,
        })
    }

    /// Names what could not be read.
    fn sum_up(&mut self) {
        let (broken, total) = (self.losses.corrupt, self.count);
        if broken > 0 {
            let more = if broken as usize > NAMED { format!("; and {} more", broken as usize - NAMED) } else { String::new() };
            log::warn!("{}: {broken} of {total} images could not be read: {}{more}", self.name, self.broken.join("; "));
            self.broken.clear();
        }
    }
}

impl Item {
    /// Hands its bytes to `take`; a failure is told with its name.
    fn read(&self, take: impl FnOnce(&[u8]) -> Result<(), String>) -> Result<(), String> {
        let path = match self {
            Item::Bytes(bytes) => return take(bytes),
            Item::File(path) => path,
        };
        let named = |reason: String| format!("{}: {reason}", self.name().unwrap_or_default());
        let length = std::fs::metadata(path).map_err(|error| named(error.to_string()))?.len();
        if length > LARGEST_FILE {
            return Err(named(format!("{length} bytes are more than a picture has")));
        }
        let bytes = std::fs::read(path).map_err(|error| named(why(path, &error)))?;
        take(&bytes).map_err(named)
    }

    fn name(&self) -> Option<String> {
        match self {
            Item::Bytes(_) => None,
            Item::File(path) => Some(path.file_name()?.to_string_lossy().into_owned()),
        }
    }
}

fn why(path: &Path, error: &std::io::Error) -> String {
    match cannot_open(path, error) {
        CaptureError::Open { reason, .. } => reason,
        other => other.to_string(),
    }
}

impl Source for Images {
    fn info(&self) -> &SourceInfo {
        &self.info
    }

    fn pull(&mut self, frame: &mut Frame, _wait: Duration) -> Result<Pull, CaptureError> {
        loop {
            let Some(item) = self.items.next() else {
                self.sum_up();
                return Ok(Pull::End);
            };
            frame.sequence = self.sequence;
            self.sequence += 1;
            if let Err(reason) = item.read(|bytes| self.decoder.load(bytes, frame)) {
                self.losses.corrupt += 1;
                if self.broken.len() < NAMED {
                    self.broken.push(reason);
                }
                continue;
            }
            self.called = item.name();
            frame.range = Range::Full;
            frame.captured = clock::now();
            frame.cut = false;
            return Ok(Pull::Frame);
        }
    }

    fn losses(&self) -> Losses {
        self.losses
    }

    fn called(&self) -> Option<&str> {
        self.called.as_deref()
    }
}
