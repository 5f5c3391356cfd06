//! YUV4MPEG2 (`.y4m`): uncompressed video with a one-line header.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::time::Duration;

use super::cannot_open;
use crate::capture::{CaptureError, Losses, Pull, Source, SourceInfo};
use crate::clock;
use crate::frame::{Frame, PixelFormat, Range};

/// Longest header or frame line, in bytes.
const LINE: u64 = 1024;
/// Widest and tallest picture, in pixels.
const LARGEST: u32 = 16_384;

/// What the header says.
#[derive(Clone, Debug, PartialEq)]
pub struct Header {
    /// Width in pixels.
    pub width: u32,
    /// Height in pixels.
    pub height: u32,
    /// Frames per second, where stated.
    pub fps: Option<f64>,
    /// Grey or I420.
    pub format: PixelFormat,
    /// What black and white are.
    pub range: Range,
}

/// Reads frame after frame from any stream of bytes.
pub struct Reader<R> {
    from: R,
    header: Header,
    line: Vec<u8>,
    frames: u64,
}

impl<R: BufRead> Reader<R> {
    /// Reads the header.
    pub fn new(mut from: R) -> Result<Reader<R>, String> {
        let mut line = Vec::new();
        from.by_ref().take(LINE).read_until(b'\n', &mut line).map_err(|error| format!("cannot read the header: {error}"))?;
        let header = header(&line)?;
        Ok(Reader { from, header, line, frames: 0 })
    }

    /// What the header says.
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// Frames read so far.
    pub fn frames(&self) -> u64 {
        self.frames
    }

    /// Reads the next frame into `data`; false at the end.
    pub fn next(&mut self, data: &mut Vec<u8>) -> Result<bool, String> {
        let number = self.frames;
        let fail = |error: std::io::Error| format!("cannot read frame {number}: {error}");
        self.line.clear();
        self.from.by_ref().take(LINE).read_until(b'\n', &mut self.line).map_err(fail)?;
        if self.line.is_empty() {
            return Ok(false);
        }
        if !self.line.ends_with(b"\n") && b"FRAME".starts_with(&self.line[..self.line.len().min(5)]) {
            return Err(format!("frame {number} is cut short: the file ends in its header; the {number} frames before it are whole"));
        }
        if !self.line.starts_with(b"FRAME") || !self.line.ends_with(b"\n") {
            return Err(format!("frame {number} does not begin with FRAME: the file is damaged after {number} whole frames"));
        }
        let bytes = self.header.format.picture_bytes(self.header.width, self.header.height, self.header.width) as u64;
        data.clear();
        // Grows with what is there, not with what the header claims.
        let read = self.from.by_ref().take(bytes).read_to_end(data).map_err(fail)?;
        if (read as u64) < bytes {
            return Err(format!("frame {number} is cut short: {read} of {bytes} bytes are there; the {number} frames before it are whole"));
        }
        self.frames += 1;
        Ok(true)
    }

    /// Fills in everything but the bytes and the sequence.
    pub fn describe(&self, frame: &mut Frame) {
        frame.format = self.header.format;
        frame.range = self.header.range;
        frame.width = self.header.width;
        frame.height = self.header.height;
        frame.stride = self.header.width;
        frame.captured = clock::now();
        frame.cut = false;
    }
}

fn header(line: &[u8]) -> Result<Header, String> {
    let text = std::str::from_utf8(line).ok().filter(|text| text.ends_with('\n')).ok_or("its YUV4MPEG2 header is not one line of text")?;
    let mut words = text.split_ascii_whitespace();
    if words.next() != Some("YUV4MPEG2") {
        return Err("it does not begin with YUV4MPEG2".into());
    }
    let (mut width, mut height, mut fps, mut space, mut range) = (None, None, None, "420jpeg", None);
    for word in words {
        let (tag, value) = word.split_at_checked(1).ok_or("its header has a parameter that is not text")?;
        let size = || {
            value
                .parse::<u32>()
                .ok()
                .filter(|size| (1..=LARGEST).contains(size))
                .ok_or(format!("its header states {tag}{value}: 1 to {LARGEST} pixels are read"))
        };
        match tag {
            "W" => width = Some(size()?),
            "H" => height = Some(size()?),
            "F" => {
                let ratio = value.split_once(':').and_then(|(a, b)| Some((a.parse::<f64>().ok()?, b.parse::<f64>().ok()?)));
                fps = ratio.map(|(a, b)| a / b).filter(|fps| fps.is_finite() && *fps > 0.0);
            }
            "C" => space = value,
            "X" if value == "COLORRANGE=FULL" => range = Some(Range::Full),
            "X" if value == "COLORRANGE=LIMITED" => range = Some(Range::Limited),
            _ => {}
        }
    }
    let format = match space {
        "420" | "420jpeg" | "420mpeg2" | "420paldv" => PixelFormat::I420,
        "mono" => PixelFormat::Grey,
        other => {
            return Err(format!(
                "its colour layout C{other} is not read; 8-bit C420 and Cmono are (convert with: ffmpeg -i IN -pix_fmt yuv420p OUT.y4m)"
            ));
        }
    };
    let width = width.ok_or("its header states no width")?;
    let height = height.ok_or("its header states no height")?;
    Ok(Header { width, height, fps, format, range: range.unwrap_or(format.usual_range()) })
}

/// A `.y4m` file.
pub(in crate::capture) struct Y4m {
    reader: Reader<BufReader<File>>,
    info: SourceInfo,
    path: String,
    done: bool,
}

impl Y4m {
    pub fn open(uri: &str, path: &Path) -> Result<Y4m, CaptureError> {
        let file = File::open(path).map_err(|error| cannot_open(path, &error))?;
        let path = path.display().to_string();
        let reader =
            Reader::new(BufReader::with_capacity(1 << 16, file)).map_err(|reason| CaptureError::Format { path: path.clone(), reason })?;
        let Header { width, height, fps, format, .. } = *reader.header();
        let description = format!("{path}, uncompressed {format} {width}x{height}");
        let info = SourceInfo { uri: uri.to_owned(), description, width, height, fps, live: false, timed: false, notes: Vec::new() };
        Ok(Y4m { reader, info, path, done: false })
    }
}

impl Source for Y4m {
    fn info(&self) -> &SourceInfo {
        &self.info
    }

    fn pull(&mut self, frame: &mut Frame, _wait: Duration) -> Result<Pull, CaptureError> {
        if self.done {
            return Ok(Pull::End);
        }
        match self.reader.next(frame.data.vec()) {
            Ok(true) => {
                self.reader.describe(frame);
                frame.sequence = self.reader.frames() - 1;
                Ok(Pull::Frame)
            }
            Ok(false) => {
                self.done = true;
                Ok(Pull::End)
            }
            Err(reason) => {
                self.done = true;
                Err(CaptureError::Format { path: self.path.clone(), reason })
            }
        }
    }

    fn losses(&self) -> Losses {
        Losses::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn video(header: &str, frames: usize, bytes: usize) -> Vec<u8> {
        let mut out = format!("{header}\n").into_bytes();
        for number in 0..frames {
            out.extend_from_slice(b"FRAME\n");
            out.extend(std::iter::repeat_n(number as u8, bytes));
        }
        out
    }

    #[test]
    fn every_frame_comes_once_and_in_order() {
        let bytes = video("YUV4MPEG2 W5 H3 F30000:1001 Ip A1:1 C420jpeg XYSCSS=420JPEG", 4, 15 + 2 * 6);
        let mut reader = Reader::new(&bytes[..]).unwrap();
        assert!((reader.header().fps.unwrap() - 29.97).abs() < 0.01);
        assert_eq!((reader.header().format, reader.header().range), (PixelFormat::I420, Range::Limited));
        let mut data = Vec::new();
        for number in 0..4 {
            assert_eq!(reader.next(&mut data), Ok(true));
            assert_eq!(data, vec![number; 27]);
        }
        assert_eq!(reader.next(&mut data), Ok(false));
    }

    #[test]
    fn a_cut_file_names_the_frame_after_the_whole_ones() {
        let bytes = video("YUV4MPEG2 W4 H4 Cmono", 3, 16);
        for (length, what) in [(bytes.len() - 1, "15 of 16 bytes"), (bytes.len() - 18, "in its header")] {
            let mut reader = Reader::new(&bytes[..length]).unwrap();
            let mut data = Vec::new();
            assert_eq!((reader.next(&mut data), reader.next(&mut data)), (Ok(true), Ok(true)));
            let error = reader.next(&mut data).unwrap_err();
            assert!(error.contains("frame 2 is cut short") && error.contains(what), "{error}");
        }
    }

    #[test]
    fn a_header_that_cannot_be_served_says_why() {
        let refuse = |text: &str| Reader::new(text.as_bytes()).err().unwrap();
        assert!(refuse("YUV4MPEG2 W4 H4 C444\n").contains("C444 is not read"));
        assert!(refuse("YUV4MPEG2 W0 H4\n").contains("W0"));
        assert!(refuse("YUV4MPEG2 W99999999 H4\n").contains("W99999999"));
        assert!(refuse("YUV4MPEG2 H4\n").contains("no width"));
        assert!(refuse("RIFF").contains("not one line"));
        assert!(refuse("YUV4MPEG2 W4 H4 \u{e9}\n").contains("not text"));
    }

    #[test]
    fn a_vast_size_claimed_by_a_small_file_takes_no_memory() {
        let mut data = Vec::new();
        let mut reader = Reader::new(&b"YUV4MPEG2 W16384 H16384\nFRAME\nabc"[..]).unwrap();
        assert!(reader.next(&mut data).is_err());
        assert!(data.capacity() < 1 << 16);
    }
}
