//! Pictures over the network, from sensors behind an image signal processor, and from any GStreamer pipeline.
//!
//! A child (ffmpeg or GStreamer, as the system has them) receives and decodes; it writes raw frames into a pipe. Opening starts the
//! child and returns at once; the source negotiates until its first header is there, and its supervisor starts another child
//! when it fails or falls silent.

#![allow(unsafe_code)] // `poll`, `prctl`

mod child;
mod command;

use std::time::Duration;

use super::file::y4m;
use super::{CaptureError, Losses, Pull, Source, SourceInfo};
use crate::clock;
use crate::frame::Frame;
use crate::telemetry::CameraState;
use child::{Child, Read};
pub(super) use command::{SCHEMES, Spec, parse};

/// How long a child may take until its first picture.
const FIRST: Duration = Duration::from_secs(10);
/// The fastest rate that is believed: of a stream that names none, some receivers tell the resolution of its clock.
const FASTEST: f64 = 1000.0;
/// Longest pause between two attempts to receive: a server that is back is found soon, at the cost of a short-lived child twice a second.
pub(super) const LONGEST_PAUSE: Duration = Duration::from_millis(500);
/// Longest line of a header.
const LINE: usize = 1024;

/// A stream that a child receives.
pub(super) struct Stream {
    child: Child,
    info: SourceInfo,
    since: Duration,
    header: Option<y4m::Header>,
    /// What was read of the next frame: its line, then its bytes.
    partial: Vec<u8>,
    /// Where its bytes begin, once its line is there.
    begun: Option<usize>,
    /// When its first byte came.
    captured: Duration,
    sequence: u64,
}

/// What is known of a stream before it has been received.
pub(super) fn info(spec: &Spec) -> SourceInfo {
    let name = spec.name();
    SourceInfo { uri: name.clone(), description: name, live: true, timed: true, ..SourceInfo::default() }
}

impl Stream {
    /// Starts the child.
    pub fn open(spec: &Spec) -> Result<Stream, CaptureError> {
        let fail = |reason: String| CaptureError::Open { path: spec.name(), reason };
        let child = Child::start(spec.command().map_err(fail)?).map_err(fail)?;
        Ok(Stream {
            child,
            info: info(spec),
            since: clock::now(),
            header: None,
            partial: Vec::new(),
            begun: None,
            captured: Duration::ZERO,
            sequence: 0,
        })
    }

    fn gone(&self, reason: String) -> CaptureError {
        CaptureError::Gone { path: self.info.uri.clone(), reason }
    }

    /// Takes a line off what was read; none if it is not there yet.
    fn line(&mut self) -> Result<Option<usize>, CaptureError> {
        match self.partial.iter().take(LINE).position(|byte| *byte == b'\n') {
            Some(at) => Ok(Some(at + 1)),
            None if self.partial.len() < LINE => Ok(None),
            None => Err(self.gone(format!("{} writes something else than frames", self.child.program()))),
        }
    }

    /// Makes a frame of what was read, if all of it is there.
    fn frame(&mut self, frame: &mut Frame) -> Result<bool, CaptureError> {
        if self.header.is_none() {
            let Some(end) = self.line()? else { return Ok(false) };
            let reader = y4m::Reader::new(&self.partial[..end]).map_err(|reason| self.gone(reason))?;
            let header = reader.header().clone();
            self.partial.drain(..end);
            (self.info.width, self.info.height) = (header.width, header.height);
            self.info.fps = header.fps.filter(|fps| *fps <= FASTEST);
            self.info.description = format!("{}, {}x{}, received by {}", self.info.uri, header.width, header.height, self.child.program());
            self.header = Some(header);
        }
        let begun = match self.begun {
            Some(begun) => begun,
            None => {
                let Some(begun) = self.line()? else { return Ok(false) };
                if !self.partial.starts_with(b"FRAME") {
                    return Err(self.gone(format!("{} writes something else than frames", self.child.program())));
                }
                *self.begun.insert(begun)
            }
        };
        let Some(header) = &self.header else { return Ok(false) };
        let bytes = header.format.picture_bytes(header.width, header.height, header.width);
        if self.partial.len() < begun + bytes {
            return Ok(false);
        }
        (frame.format, frame.range) = (header.format, header.range);
        (frame.width, frame.height, frame.stride) = (header.width, header.height, header.width);
        frame.captured = self.captured;
        frame.cut = false;
        frame.sequence = self.sequence;
        frame.data.clear();
        frame.data.extend_from_slice(&self.partial[begun..begun + bytes]);
        self.partial.drain(..begun + bytes);
        self.begun = None;
        self.sequence += 1;
        Ok(true)
    }

    /// How many more bytes the frame that was begun takes.
    fn wanted(&self) -> usize {
        match (&self.header, self.begun) {
            (Some(header), Some(begun)) => {
                (begun + header.format.picture_bytes(header.width, header.height, header.width)).saturating_sub(self.partial.len())
            }
            _ => LINE,
        }
    }
}

impl Source for Stream {
    fn info(&self) -> &SourceInfo {
        &self.info
    }

    fn state(&self) -> CameraState {
        if self.header.is_some() { CameraState::Streaming } else { CameraState::Negotiating }
    }

    fn pull(&mut self, frame: &mut Frame, wait: Duration) -> Result<Pull, CaptureError> {
        let until = clock::now() + wait;
        loop {
            if self.frame(frame)? {
                return Ok(Pull::Frame);
            }
            let wanted = self.wanted().max(1);
            let fresh = self.partial.is_empty();
            match self.child.read(&mut self.partial, wanted, until.saturating_sub(clock::now())) {
                Read::Some => {
                    if fresh {
                        self.captured = clock::now();
                    }
                }
                Read::Nothing => {
                    if self.header.is_none() && clock::now() - self.since > FIRST {
                        return Err(self.gone(format!("no picture within {FIRST:?}")));
                    }
                    return Ok(Pull::Waiting);
                }
                Read::Ended(reason) => return Err(self.gone(reason)),
            }
        }
    }

    fn losses(&self) -> Losses {
        Losses::default()
    }
}
