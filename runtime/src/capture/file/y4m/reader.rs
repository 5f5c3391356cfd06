//! Reads YUV4MPEG2 from any stream of bytes.

use std::io::{BufRead, Read};

use super::layout::Layout;
use crate::clock;
use crate::frame::{Frame, PixelFormat, Range};

/// Longest header or frame line, in bytes.
pub(super) const LINE: u64 = 1024;
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
    /// How the file lays them down.
    layout: Layout,
}

/// Reads frame after frame from any stream of bytes.
pub struct Reader<R> {
    from: R,
    header: Header,
    line: Vec<u8>,
    /// A frame as the file lays it down, where that is not as we do.
    raw: Vec<u8>,
    frames: u64,
}

impl<R: BufRead> Reader<R> {
    /// Reads the header.
    pub fn new(mut from: R) -> Result<Reader<R>, String> {
        let mut line = Vec::new();
        from.by_ref().take(LINE).read_until(b'\n', &mut line).map_err(|error| format!("cannot read the header: {error}"))?;
        let header = header(&line)?;
        Ok(Reader { from, header, line, raw: Vec::new(), frames: 0 })
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
        let Header { width, height, layout, .. } = self.header;
        let bytes = layout.bytes(width, height);
        let into = if layout.is_ours() { &mut *data } else { &mut self.raw };
        into.clear();
        // Grows with what is there, not with what the header claims.
        let read = self.from.by_ref().take(bytes).read_to_end(into).map_err(fail)?;
        if (read as u64) < bytes {
            return Err(format!("frame {number} is cut short: {read} of {bytes} bytes are there; the {number} frames before it are whole"));
        }
        if !layout.is_ours() {
            layout.convert(&self.raw, width, height, data);
        }
        self.frames += 1;
        Ok(true)
    }

    /// Reads the next frame; false at the end.
    pub fn read(&mut self, frame: &mut Frame) -> Result<bool, String> {
        let read = self.next(frame.data.vec())?;
        if read {
            self.describe(frame);
        }
        Ok(read)
    }

    /// Fills in everything but the bytes.
    fn describe(&self, frame: &mut Frame) {
        frame.sequence = self.frames - 1;
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
    let layout = Layout::named(space)
        .ok_or_else(|| format!("its colour layout C{space} is not read (convert with: ffmpeg -i IN -pix_fmt yuv420p OUT.y4m)"))?;
    let format = layout.format();
    let width = width.ok_or("its header states no width")?;
    let height = height.ok_or("its header states no height")?;
    Ok(Header { width, height, fps, format, range: range.unwrap_or(format.usual_range()), layout })
}

/// The colour layout that a header states, where it is none that we read: ffmpeg may know it.
pub(super) fn foreign_layout(head: &[u8]) -> Option<String> {
    let line = std::str::from_utf8(head.split(|byte| *byte == b'\n').next()?).ok()?;
    let space = line.split_ascii_whitespace().skip(1).find_map(|word| word.strip_prefix('C'))?;
    Layout::named(space).is_none().then(|| space.to_owned())
}
