//! AVI files with Motion JPEG inside; others are passed to ffmpeg.

mod reader;
#[cfg(test)]
mod tests;

use std::time::Duration;

pub use reader::{Header, Reader};

use super::ffmpeg;
use super::input::{Input, Joined};
use crate::capture::{CaptureError, Losses, Pull, Source, SourceInfo, jpeg};
use crate::clock;
use crate::frame::{Frame, PixelFormat, Range};

/// Longest header that is looked through for the codec.
const HEADER: usize = 4 << 20;

/// Opens an AVI: Motion JPEG here, anything else by ffmpeg.
pub(super) fn open(uri: &str, mut input: Input) -> Result<Box<dyn Source>, CaptureError> {
    let name = input.name().to_owned();
    let fail = |reason: String| CaptureError::Format { path: name.clone(), reason };
    // The headers are read from a copy, because ffmpeg wants the whole file where the codec is not ours.
    let mut wanted = 1 << 14;
    let (header, missing) = loop {
        let length = input.length();
        let there = input.look(wanted).map_err(|error| fail(error.to_string()))?;
        let all = there.len() < wanted || wanted >= HEADER;
        match Reader::new(there, length) {
            Ok(reader) => break (reader.header().clone(), reader.missing()),
            Err(reason) if all => return Err(fail(reason)),
            Err(_) => wanted *= 4,
        }
    };
    if !header.is_mjpeg() {
        return Ok(Box::new(ffmpeg::Ffmpeg::open(uri, input, Some(ffmpeg::Stated { codec: spell(header.codec), missing }))?));
    }
    let length = input.length();
    let reader = Reader::new(input.joined(), length).map_err(fail)?;
    let Header { width, height, fps, .. } = header;
    let description = format!("{name}, Motion JPEG {width}x{height}");
    let info =
        SourceInfo { uri: uri.to_owned(), description, width, height, fps, live: false, timed: false, notes: Vec::new(), watched_by: None };
    Ok(Box::new(Avi { reader, info, path: name, losses: Losses::default(), done: false, fields: Fields::default() }))
}

fn spell(codec: [u8; 4]) -> String {
    match &codec.map(|byte| byte.to_ascii_lowercase()) {
        b"div3" | b"mp43" => "MS MPEG-4 v3 (div3)".into(),
        b"xvid" | b"divx" | b"dx50" | b"fmp4" | b"mp4v" => "MPEG-4 part 2".into(),
        b"h264" | b"avc1" | b"x264" => "H.264".into(),
        [0, 0, 0, 0] | b"dib " => "uncompressed RGB".into(),
        _ => format!("'{}'", codec.map(|byte| if byte.is_ascii_graphic() { byte as char } else { '.' }).iter().collect::<String>()),
    }
}

struct Avi {
    reader: Reader<Joined>,
    info: SourceInfo,
    path: String,
    losses: Losses,
    done: bool,
    fields: Fields,
}

/// What pictures of two fields are woven with.
#[derive(Default)]
struct Fields {
    decoder: jpeg::Decoder,
    woven: Vec<u8>,
}

impl Avi {
    /// Describes the picture in `frame`; false where it is none.
    fn describe(&mut self, frame: &mut Frame) -> bool {
        let Ok((width, height)) = jpeg::size(&frame.data) else { return false };
        frame.sequence = self.reader.frames() - 1;
        (frame.width, frame.height) = (width, height);
        frame.format = PixelFormat::Mjpeg;
        frame.range = Range::Full;
        frame.stride = 0;
        if let Some(second) = jpeg::second_field(&frame.data, self.info.height) {
            let Fields { decoder, woven } = &mut self.fields;
            let Ok((width, height, samples)) = jpeg::weave(decoder, &frame.data, second, woven) else { return false };
            (frame.width, frame.height) = (width as u32, height as u32);
            frame.format = if samples == 1 { PixelFormat::Grey } else { PixelFormat::Rgb24 };
            frame.stride = (width * samples) as u32;
            std::mem::swap(frame.data.vec(), woven);
        }
        frame.captured = clock::now();
        frame.cut = false;
        true
    }
}

impl Source for Avi {
    fn info(&self) -> &SourceInfo {
        &self.info
    }

    fn pull(&mut self, frame: &mut Frame, _wait: Duration) -> Result<Pull, CaptureError> {
        while !self.done {
            match self.reader.next(frame.data.vec()) {
                // The recorder had no picture for this tick.
                Ok(true) if frame.data.is_empty() => self.losses.dropped += 1,
                Ok(true) if self.describe(frame) => return Ok(Pull::Frame),
                Ok(true) => {
                    self.losses.corrupt += 1;
                    log::warn!("{}: frame {} is no picture", self.path, self.reader.frames() - 1);
                }
                Ok(false) => {
                    self.done = true;
                    if let Some(remark) = self.reader.remark() {
                        log::warn!("{}: {remark}", self.path);
                    }
                }
                Err(reason) => {
                    self.done = true;
                    return Err(CaptureError::Format { path: self.path.clone(), reason });
                }
            }
        }
        Ok(Pull::End)
    }

    fn losses(&self) -> Losses {
        self.losses
    }
}
