//! The last frames as one PNG: the source's picture, the answer over it, and how many steps that took.

use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::Arc;

use image::imageops::{self, FilterType};
use image::{Rgb, RgbImage};

use super::{Audience, Sink, SinkError, painting};
use crate::telemetry::{Detections, Picture, Report};
use crate::whole_file;

const FRAMES: usize = 8;
const GAP: u32 = 4;
/// Longer side of one frame, in pixels of the PNG: larger pictures are scaled down, smaller ones up by a whole factor.
const SIDE: u32 = 320;
/// Height of the step bars, in pixels of the PNG.
const BARS: u32 = 48;
const INK: Rgb<u8> = Rgb([90, 170, 250]);
const PAPER: Rgb<u8> = Rgb([24, 24, 28]);

/// One frame that is kept.
struct Kept {
    picture: Arc<Picture>,
    detections: Detections,
    steps: u32,
}

/// Keeps the last frames that brought a picture, and writes them when the stream ends.
pub struct Snapshot {
    path: PathBuf,
    classes: Arc<[String]>,
    kept: VecDeque<Kept>,
}

impl Snapshot {
    /// A snapshot to be written to `path`; `classes` are the model's class names.
    pub fn new(path: PathBuf, classes: Arc<[String]>) -> Snapshot {
        Snapshot { path, classes, kept: VecDeque::with_capacity(FRAMES) }
    }

    /// Frames side by side: the picture above, the answer below, and under each one mark for each of its steps.
    fn compose(&self) -> Option<RgbImage> {
        let frames: Vec<[RgbImage; 2]> = self.kept.iter().map(|kept| self.pair(kept)).collect();
        let (width, height) = frames.first()?[0].dimensions();
        let columns = self.kept.len() as u32;
        let mut sheet = RgbImage::from_pixel(columns * (width + GAP) + GAP, 2 * (height + GAP) + BARS + 2 * GAP, PAPER);
        let top = self.kept.iter().map(|kept| kept.steps).max().unwrap_or(1).max(1);
        for (column, ([plain, answered], kept)) in frames.iter().zip(&self.kept).enumerate() {
            let left = GAP + column as u32 * (width + GAP);
            imageops::replace(&mut sheet, plain, i64::from(left), i64::from(GAP));
            imageops::replace(&mut sheet, answered, i64::from(left), i64::from(2 * GAP + height));
            let base = 3 * GAP + 2 * height + BARS;
            let bar = width / top;
            for step in 0..kept.steps {
                for x in 0..bar.saturating_sub(2).max(1) {
                    for y in 0..BARS / 2 {
                        sheet.put_pixel(left + step * bar + x, base - 1 - y, INK);
                    }
                }
            }
        }
        Some(sheet)
    }

    fn pair(&self, kept: &Kept) -> [RgbImage; 2] {
        [painting::plain(&kept.picture), painting::answered(&kept.picture, &kept.detections, &self.classes)].map(|image| {
            let (width, height) = image.dimensions();
            let long = width.max(height).max(1);
            if long > SIDE {
                let scaled = |side: u32| (side * SIDE / long).max(1);
                imageops::resize(&image, scaled(width), scaled(height), FilterType::Triangle)
            } else {
                let factor = SIDE / long;
                imageops::resize(&image, width * factor, height * factor, FilterType::Nearest)
            }
        })
    }
}

impl Sink for Snapshot {
    fn show(&mut self, report: &Report) -> Result<(), SinkError> {
        if let Some(picture) = &report.picture {
            if self.kept.len() == FRAMES {
                self.kept.pop_front();
            }
            self.kept.push_back(Kept { picture: Arc::clone(picture), detections: report.detections.clone(), steps: report.trace.steps });
        }
        Ok(())
    }

    fn audience(&self) -> Option<Audience> {
        Some(Audience::always())
    }

    fn finish(&mut self) -> Result<(), SinkError> {
        let Some(sheet) = self.compose() else { return Ok(()) };
        let mut png = std::io::Cursor::new(Vec::new());
        let encoded = sheet.write_to(&mut png, image::ImageFormat::Png).map_err(std::io::Error::other);
        let written = encoded.and_then(|()| whole_file::write(&self.path, png.get_ref(), whole_file::Keep::Durable));
        written.map_err(|reason| SinkError::Write { place: self.path.display().to_string(), reason })
    }
}
