//! JPEGs one behind the other with nothing around them (`.mjpeg`), or with the boundaries of a multipart stream between them.

use std::io::Read;
use std::time::Duration;

use super::input::{Input, Joined};
use crate::capture::{CaptureError, Losses, Pull, Source, SourceInfo, jpeg};
use crate::clock;
use crate::frame::{Frame, PixelFormat, Range};

/// Bytes read at once.
const PART: usize = 1 << 16;
/// The longest picture, in bytes.
const LONGEST: usize = 256 << 20;
/// Lower-case endings of names that such films have.
const ENDINGS: [&str; 2] = ["mjpeg", "mjpg"];

/// Whether what begins with a JPEG is a film of them: by its name, and always where it comes through a pipe.
pub(super) fn is_film(input: &mut Input) -> bool {
    let Some(path) = input.path() else { return true };
    let ending = path.extension().map(|ending| ending.to_string_lossy().to_lowercase());
    ending.is_some_and(|ending| ENDINGS.contains(&ending.as_str()))
}

pub(super) fn open(uri: &str, input: Input) -> Result<Box<dyn Source>, CaptureError> {
    let path = input.name().to_owned();
    let fail = |reason: String| CaptureError::Format { path: path.clone(), reason };
    let mut pictures = Pictures { from: input.joined(), held: Vec::new(), ended: false };
    let mut first = Vec::new();
    pictures.next(&mut first).map_err(fail)?;
    let (width, height) = jpeg::size(&first).map_err(fail)?;
    let description = format!("{path}, Motion JPEG {width}x{height}");
    let info = SourceInfo { uri: uri.to_owned(), description, width, height, ..SourceInfo::default() };
    Ok(Box::new(Film { pictures, first: Some(first), info, path, sequence: 0, losses: Losses::default() }))
}

/// Finds one JPEG after another.
struct Pictures {
    from: Joined,
    held: Vec<u8>,
    ended: bool,
}

impl Pictures {
    /// The next picture; false at the end.
    fn next(&mut self, data: &mut Vec<u8>) -> Result<bool, String> {
        loop {
            match self.held.windows(3).position(|three| three == [0xff, 0xd8, 0xff]) {
                Some(start) => {
                    self.held.drain(..start);
                    let end = jpeg::end(&self.held).or(self.ended.then_some(self.held.len()));
                    if let Some(end) = end {
                        data.clear();
                        data.extend_from_slice(&self.held[..end]);
                        self.held.drain(..end);
                        return Ok(true);
                    }
                }
                None if self.ended => return Ok(false),
                None => {
                    self.held.drain(..self.held.len().saturating_sub(2));
                }
            }
            if self.held.len() > LONGEST {
                return Err(format!("no picture ends within {LONGEST} bytes"));
            }
            let there = self.held.len();
            self.held.resize(there + PART, 0);
            let read = self.from.read(&mut self.held[there..]);
            self.held.truncate(there + *read.as_ref().unwrap_or(&0));
            self.ended = read.map_err(|error| error.to_string())? == 0;
        }
    }
}

struct Film {
    pictures: Pictures,
    first: Option<Vec<u8>>,
    info: SourceInfo,
    path: String,
    sequence: u64,
    losses: Losses,
}

impl Source for Film {
    fn info(&self) -> &SourceInfo {
        &self.info
    }

    fn pull(&mut self, frame: &mut Frame, _wait: Duration) -> Result<Pull, CaptureError> {
        loop {
            match self.first.take() {
                Some(first) => frame.data = first.into(),
                None => {
                    let fail = |reason| CaptureError::Format { path: self.path.clone(), reason };
                    if !self.pictures.next(frame.data.vec()).map_err(fail)? {
                        return Ok(Pull::End);
                    }
                }
            }
            frame.sequence = self.sequence;
            self.sequence += 1;
            let Ok((width, height)) = jpeg::size(&frame.data) else {
                self.losses.corrupt += 1;
                log::warn!("{}: frame {} is no picture", self.path, frame.sequence);
                continue;
            };
            (frame.width, frame.height, frame.stride) = (width, height, 0);
            (frame.format, frame.range, frame.cut) = (PixelFormat::Mjpeg, Range::Full, false);
            frame.captured = clock::now();
            return Ok(Pull::Frame);
        }
    }

    fn losses(&self) -> Losses {
        self.losses
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use image::codecs::jpeg::JpegEncoder;

    fn jpeg(level: u8) -> Vec<u8> {
        let mut out = Vec::new();
        JpegEncoder::new(&mut out).encode(&[level; 16 * 8], 16, 8, image::ExtendedColorType::L8).unwrap();
        out
    }

    #[test]
    fn pictures_are_found_behind_one_another_and_between_boundaries() {
        let without_end = &jpeg(9)[..jpeg(9).len() - 2];
        let bytes = [b"--b\r\nContent-Type: image/jpeg\r\n\r\n", &jpeg(1)[..], &jpeg(2), b"\r\n--b\r\n", &jpeg(3), without_end].concat();
        let input = Input::once("pipe", Box::new(std::io::Cursor::new(bytes)));
        let mut film = open("x", input).unwrap();
        let (mut frame, mut sizes) = (Frame::default(), Vec::new());
        while film.pull(&mut frame, Duration::ZERO).unwrap() == Pull::Frame {
            sizes.push((frame.sequence, frame.width, frame.height));
        }
        assert_eq!(sizes, [(0, 16, 8), (1, 16, 8), (2, 16, 8), (3, 16, 8)]);
    }
}
