//! Cameras through Video4Linux2.

#![allow(unsafe_code)] // ioctl arguments and buffer mappings; each block says why it is sound

mod describe;
mod device;
mod errno;
mod interlace;
mod negotiate;
mod pixel;
mod ring;

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use super::jpeg;
use super::request::{CaptureRequest, Memory};
use crate::clock;
use crate::frame::{Frame, PixelFormat};
use crate::source::{CaptureError, Losses, Pull, Source, SourceInfo};
pub(super) use describe::describe;
use device::{Device, Setting};
use errno::words;
use interlace::Rows;
use ring::Ring;

/// A streaming camera.
pub(super) struct Camera {
    ring: Ring,
    device: Arc<Device>,
    info: SourceInfo,
    losses: Losses,
    format: PixelFormat,
    setting: Setting,
    /// The driver's last count, and ours, which does not wrap.
    last: Option<(u32, u64)>,
    /// Decodes pictures whose two fields come as a JPEG each.
    fields: jpeg::Decoder,
    /// Memory for pictures whose rows are put in order.
    woven: Vec<u8>,
}

impl Camera {
    /// Opens `path`, agrees on a format and starts the stream.
    pub fn open(uri: &str, path: &Path, want: &CaptureRequest) -> Result<Camera, CaptureError> {
        let device = Arc::new(Device::open(path)?);
        device.subscribe();
        let agreed = negotiate::negotiate(&device, want)?;
        let fail = |error: io::Error| CaptureError::Open { path: path.display().to_string(), reason: words(&error, path) };
        let setting = agreed.setting;
        let bytes = (setting.bytes as usize).max(agreed.format.picture_bytes(setting.width, setting.height, setting.stride));
        let mut notes = agreed.notes;
        let ring = match (want.memory, Ring::start(device.clone(), want.memory, want.buffers, bytes)) {
            (Memory::User, Err(error)) if error.raw_os_error() == Some(libc::EINVAL) => {
                notes.push("the driver cannot fill our memory (USERPTR): each picture is copied once".into());
                Ring::start(device.clone(), Memory::Mapped, want.buffers, bytes)
            }
            (_, ring) => ring,
        }
        .map_err(fail)?;
        let rate = agreed.fps.map_or(String::new(), |fps| format!(" at {fps:.4} frames/s").replace(".0000", ""));
        let description = format!("{} ({}), {} {}x{}{rate}", device.card, path.display(), agreed.format, setting.width, setting.height);
        let info = SourceInfo {
            uri: uri.to_owned(),
            description,
            width: setting.width,
            height: setting.height,
            fps: agreed.fps,
            live: true,
            timed: true,
            notes,
            ..SourceInfo::default()
        };
        Ok(Camera {
            ring,
            device,
            info,
            losses: Losses::default(),
            format: agreed.format,
            setting,
            last: None,
            fields: jpeg::Decoder::default(),
            woven: Vec::new(),
        })
    }

    /// Our count for the driver's; a gap is a loss.
    fn count(&mut self, driver: u32) -> u64 {
        let (count, gap) = match self.last {
            None => (u64::from(driver), 0),
            Some((last, count)) => match driver.wrapping_sub(last) {
                // Some drivers count every frame as 0, or start again: go on from where we were.
                0 => (count + 1, 0),
                step if step > u32::MAX / 2 => (count + 1, 0),
                step => (count + u64::from(step), u64::from(step) - 1),
            },
        };
        self.losses.dropped += gap;
        self.last = Some((driver, count));
        count
    }

    fn whole(&self, bytes: &[u8]) -> bool {
        match self.format {
            // Whether its data is whole shows when it is decoded: what follows it is not the picture.
            PixelFormat::Mjpeg => jpeg::size(bytes).is_ok(),
            format => bytes.len() >= format.picture_bytes(self.setting.width, self.setting.height, self.setting.stride),
        }
    }

    /// Makes one picture of two fields; false where that cannot be.
    fn weave(&mut self, frame: &mut Frame) -> bool {
        match (self.format, self.setting.rows) {
            (PixelFormat::Mjpeg, _) => interlace::weave_jpegs(&mut self.fields, frame, self.setting.height),
            (_, Rows::Apart { bottom_first }) => {
                interlace::weave_rows(frame, bottom_first, &mut self.woven);
                true
            }
            _ => true,
        }
    }

    fn gone(&self, error: &io::Error) -> CaptureError {
        CaptureError::Gone { path: self.device.path().display().to_string(), reason: words(error, self.device.path()) }
    }
}

impl Source for Camera {
    fn info(&self) -> &SourceInfo {
        &self.info
    }

    fn pull(&mut self, frame: &mut Frame, wait: Duration) -> Result<Pull, CaptureError> {
        let until = clock::now() + wait;
        loop {
            let left = until.saturating_sub(clock::now());
            let Some(filled) = self.ring.take(left).map_err(|error| self.gone(&error))? else {
                if clock::now() >= until {
                    return Ok(Pull::Waiting);
                }
                continue;
            };
            let sequence = self.count(filled.sequence);
            if filled.broken || !self.whole(self.ring.bytes(&filled)) {
                self.losses.corrupt += 1;
                self.ring.release(filled).map_err(|error| self.gone(&error))?;
                continue;
            }
            frame.format = self.format;
            frame.width = self.setting.width;
            frame.height = self.setting.height;
            frame.stride = if self.format == PixelFormat::Mjpeg { 0 } else { self.setting.stride };
            frame.range = self.setting.range;
            frame.sequence = sequence;
            // A stamp from the future is a driver's mistake, and would make ages negative.
            let now = clock::now();
            frame.captured = filled.captured.unwrap_or(now).min(now);
            frame.cut = false;
            self.ring.exchange(filled, &mut frame.data).map_err(|error| self.gone(&error))?;
            if !self.weave(frame) {
                self.losses.corrupt += 1;
                continue;
            }
            return Ok(Pull::Frame);
        }
    }

    fn losses(&self) -> Losses {
        self.losses
    }
}
