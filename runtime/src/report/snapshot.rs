//! The last frames as one PNG: what the network saw, what it answered, and how many steps that took.

use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::Arc;

use image::{Rgb, RgbImage};

use super::colour::overlay;
use super::{Sink, SinkError};
use crate::telemetry::{Picture, Report};
use crate::whole_file;

const FRAMES: usize = 8;
const GAP: u32 = 4;
/// Height of the step bars, in pixels of the PNG.
const BARS: u32 = 48;
const INK: Rgb<u8> = Rgb([90, 170, 250]);
const PAPER: Rgb<u8> = Rgb([24, 24, 28]);

/// Keeps the last frames that brought a picture, and writes them when the stream ends.
pub struct Snapshot {
    path: PathBuf,
    kept: VecDeque<(Arc<Picture>, u32)>,
}

impl Snapshot {
    /// A snapshot to be written to `path`.
    pub fn new(path: PathBuf) -> Snapshot {
        Snapshot { path, kept: VecDeque::with_capacity(FRAMES) }
    }

    /// Frames side by side: input above, overlay below, and under each one mark for each of its steps.
    fn compose(&self) -> Option<RgbImage> {
        let (first, _) = self.kept.front()?;
        let scale = (160 / first.width.max(first.height)).max(1);
        let (width, height) = (first.width * scale, first.height * scale);
        let columns = self.kept.len() as u32;
        let mut sheet = RgbImage::from_pixel(columns * (width + GAP) + GAP, 2 * (height + GAP) + BARS + 2 * GAP, PAPER);
        let top = self.kept.iter().map(|(_, steps)| *steps).max().unwrap_or(1).max(1);
        for (column, (picture, steps)) in self.kept.iter().enumerate() {
            let left = GAP + column as u32 * (width + GAP);
            for y in 0..height {
                for x in 0..width {
                    let at = ((y / scale) * picture.width + x / scale) as usize;
                    let grey = picture.luma[at];
                    let answer = if picture.mask[at] == 0 { [grey; 3] } else { overlay(picture.mask[at], grey) };
                    sheet.put_pixel(left + x, GAP + y, Rgb([grey; 3]));
                    sheet.put_pixel(left + x, 2 * GAP + height + y, Rgb(answer));
                }
            }
            let base = 3 * GAP + 2 * height + BARS;
            let bar = width / top;
            for step in 0..*steps {
                for x in 0..bar.saturating_sub(2).max(1) {
                    for y in 0..BARS / 2 {
                        sheet.put_pixel(left + step * bar + x, base - 1 - y, INK);
                    }
                }
            }
        }
        Some(sheet)
    }
}

impl Sink for Snapshot {
    fn show(&mut self, report: &Report) -> Result<(), SinkError> {
        if let Some(picture) = &report.picture {
            if self.kept.len() == FRAMES {
                self.kept.pop_front();
            }
            self.kept.push_back((Arc::clone(picture), report.trace.steps));
        }
        Ok(())
    }

    fn draws(&self) -> bool {
        true
    }

    fn finish(&mut self) -> Result<(), SinkError> {
        let Some(sheet) = self.compose() else { return Ok(()) };
        let mut png = std::io::Cursor::new(Vec::new());
        let encoded = sheet.write_to(&mut png, image::ImageFormat::Png).map_err(std::io::Error::other);
        let written = encoded.and_then(|()| whole_file::write(&self.path, png.get_ref(), whole_file::Keep::Durable));
        written.map_err(|reason| SinkError::Write { place: self.path.display().to_string(), reason })
    }
}
