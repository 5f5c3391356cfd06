//! From a frame's bytes to the network's input tensor: convert, crop or pad, resize, normalise, in one pass.
//!
//! Row after row is converted to 8 bits and weighed into rows of sums, sixteen of which are reduced to rows of the tensor together; no picture
//! stands between the driver's bytes and the tensor (JPEG apart, which has to be decoded). The tensor is NCHW `f32`, each value
//! `(level / 255 - mean) / std` with level in 0..=255 full range. A grey picture of the network's own size comes through exactly.
//!
//! Which levels: YUV from cameras and videos is limited-range BT.601 unless the source says otherwise ([`Frame::range`]), JPEG, RGB
//! and grey are full range. Luma of RGB is BT.601. A Bayer mosaic gives one pixel for each 2x2 group.

mod rows;
mod weigh;
mod yuv;

use crate::capture::jpeg;
use crate::frame::{Frame, PixelFormat, Range};
pub use crate::sampling::InputSpec;
use crate::sampling::{Axis, Sampling};
use crate::simd::{Isa, MAX_LANES};
use rows::Pixels;
use weigh::{Accumulate, Reduce, TOGETHER};
use yuv::Lines;

/// What to do when the picture has another shape than the network's input.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// Keep the middle, lose the borders.
    #[default]
    Crop,
    /// Keep everything, fill the borders with black.
    Letterbox,
    /// Keep everything, change the proportions.
    Stretch,
}

impl std::str::FromStr for Mode {
    type Err = String;

    fn from_str(name: &str) -> Result<Mode, String> {
        match name {
            "crop" => Ok(Mode::Crop),
            "letterbox" => Ok(Mode::Letterbox),
            "stretch" => Ok(Mode::Stretch),
            other => Err(format!("'{other}' is no way to fit a picture; known are crop, letterbox and stretch")),
        }
    }
}

/// A rectangle; `x` and `y` are its top left corner.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rect {
    /// Pixels from the left.
    pub x: f64,
    /// Pixels from the top.
    pub y: f64,
    /// Pixels across.
    pub width: f64,
    /// Pixels down.
    pub height: f64,
}

/// Which part of the picture went to which part of the tensor: maps detections back.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Placement {
    /// The part of the picture that was used, in its pixels.
    pub picture: Rect,
    /// The part of the tensor that shows it, in its pixels.
    pub tensor: Rect,
}

impl Placement {
    /// A point of the tensor in the picture.
    pub fn to_picture(&self, x: f64, y: f64) -> (f64, f64) {
        let (picture, tensor) = (&self.picture, &self.tensor);
        (picture.x + (x - tensor.x) * picture.width / tensor.width, picture.y + (y - tensor.y) * picture.height / tensor.height)
    }
}

/// Why a frame gives no tensor. The next one may.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum FitError {
    /// The picture is damaged; it counts as a loss and nothing more.
    #[error("frame {sequence} is damaged: {reason}")]
    Damaged {
        /// Its number.
        sequence: u64,
        /// What is wrong with it.
        reason: String,
    },
    /// The caller's tensor has another size than the network's input.
    #[error("the tensor holds {got} values, the network takes {expected}")]
    Tensor {
        /// Values in the tensor.
        got: usize,
        /// Values the network takes.
        expected: usize,
    },
}

/// Fits frames to one network. Buffers and weights are kept, so a steady stream allocates nothing.
pub struct Fitter {
    spec: InputSpec,
    mode: Mode,
    black: u8,
    plan: Option<Plan>,
    decoder: jpeg::Decoder,
    rows: [Vec<u8>; 3],
    work: Work,
}

/// Working space of a fit.
struct Work {
    lines: Lines,
    /// For each channel, sums of the input's columns for some rows of the tensor.
    sums: [Vec<f32>; 3],
    /// Of one channel, the same with rows and columns exchanged.
    turned: Vec<f32>,
}

/// All that depends on the picture's size.
struct Plan {
    /// Of the frame, before a mosaic is halved.
    size: (usize, usize),
    mosaic: bool,
    sampling: Sampling,
    placement: Placement,
}

impl Fitter {
    /// A fitter for `spec`.
    ///
    /// # Panics
    /// If a size is 0 or `channels` is neither 1 nor 3.
    pub fn new(spec: InputSpec, mode: Mode) -> Fitter {
        assert!(spec.width > 0 && spec.height > 0 && matches!(spec.channels, 1 | 3), "no network takes {spec:?}");
        let work = Work { lines: Lines::new(Isa::best()), sums: Default::default(), turned: Vec::new() };
        Fitter { spec, mode, black: 0, plan: None, decoder: Default::default(), rows: Default::default(), work }
    }

    /// Sets the level that means black in a Bayer mosaic, on the 8-bit scale (a 10-bit sensor's 64 is 16 here).
    pub fn with_black_level(mut self, black: u8) -> Fitter {
        self.black = black;
        self
    }

    /// What the network takes.
    pub fn spec(&self) -> &InputSpec {
        &self.spec
    }

    /// Where the last frame went, once there was one.
    pub fn placement(&self) -> Option<Placement> {
        self.plan.as_ref().map(|plan| plan.placement)
    }

    /// How `frame` is to become the tensor, for whoever does it in place of [`Fitter::fit`]; `None` where a JPEG must be decoded first.
    pub fn sampling(&mut self, frame: &Frame) -> Result<Option<&Sampling>, FitError> {
        if frame.format == PixelFormat::Mjpeg {
            return Ok(None);
        }
        let pixels = Pixels::of(frame, self.black);
        check(&pixels, frame)?;
        Ok(Some(&plan_for(&mut self.plan, &pixels, &self.spec, self.mode).sampling))
    }

    /// Fills `tensor` (NCHW) from `frame`.
    pub fn fit(&mut self, frame: &Frame, tensor: &mut [f32]) -> Result<(), FitError> {
        if tensor.len() != self.spec.values() {
            return Err(FitError::Tensor { got: tensor.len(), expected: self.spec.values() });
        }
        let pixels = if frame.format == PixelFormat::Mjpeg {
            let colour = if self.spec.channels == 1 { jpeg::Colour::Luma } else { jpeg::Colour::Rgb };
            let damaged = |reason: String| FitError::Damaged { sequence: frame.sequence, reason };
            let picture = self.decoder.decode(&frame.data, colour).map_err(damaged)?;
            let format = if self.spec.channels == 1 { PixelFormat::Grey } else { PixelFormat::Rgb24 };
            let jpeg::Picture { width, height, stride, pixels: data, .. } = picture;
            Pixels { format, range: Range::Full, width, height, stride, data, black: 0 }
        } else {
            Pixels::of(frame, self.black)
        };
        check(&pixels, frame)?;
        let plan = plan_for(&mut self.plan, &pixels, &self.spec, self.mode);
        let (width, spec) = (pixels.size().0, &self.spec);
        for row in &mut self.rows[..spec.channels] {
            row.resize(width, 0);
        }
        self.work.begin(width, spec.channels);
        plan.blacken(spec, tensor);
        plan.fit(spec, &pixels, &mut self.rows, &mut self.work, tensor);
        Ok(())
    }
}

impl Work {
    /// A picture of this width begins.
    fn begin(&mut self, width: usize, channels: usize) {
        self.lines.begin();
        let pitch = width.next_multiple_of(MAX_LANES);
        self.sums[..channels].iter_mut().for_each(|sums| sums.resize(TOGETHER * pitch, 0.0));
        self.turned.resize(TOGETHER * pitch, 0.0);
    }
}

/// Refuses a picture whose bytes do not reach as far as its size says.
fn check(pixels: &Pixels<'_>, frame: &Frame) -> Result<(), FitError> {
    let (width, height) = pixels.size();
    let needed = pixels.format.picture_bytes(pixels.width as u32, pixels.height as u32, pixels.stride as u32);
    if width == 0 || height == 0 || pixels.stride < pixels.format.row_bytes(pixels.width as u32) as usize || pixels.data.len() < needed {
        let reason = format!(
            "{} bytes in rows of {} are no {} picture of {}x{}",
            pixels.data.len(),
            pixels.stride,
            frame.format,
            pixels.width,
            pixels.height
        );
        return Err(FitError::Damaged { sequence: frame.sequence, reason });
    }
    Ok(())
}

/// The plan for pictures like `pixels`, made anew where they differ from those before.
fn plan_for<'p>(kept: &'p mut Option<Plan>, pixels: &Pixels<'_>, spec: &InputSpec, mode: Mode) -> &'p Plan {
    let mosaic = matches!(pixels.format, PixelFormat::Bayer(..));
    let plan = kept.take().filter(|plan| plan.size == (pixels.width, pixels.height) && plan.mosaic == mosaic);
    kept.insert(plan.unwrap_or_else(|| Plan::new(pixels, spec, mode)))
}

impl Plan {
    fn new(pixels: &Pixels<'_>, spec: &InputSpec, mode: Mode) -> Plan {
        let (width, height) = pixels.size();
        let (w, h, out_w, out_h) = (width as f64, height as f64, spec.width as f64, spec.height as f64);
        let mut picture = Rect { x: 0.0, y: 0.0, width: w, height: h };
        let mut at = [0, 0, spec.width, spec.height];
        match mode {
            Mode::Stretch => {}
            Mode::Crop => {
                let scale = (w / out_w).min(h / out_h);
                let (kept_w, kept_h) = (out_w * scale, out_h * scale);
                picture = Rect { x: (w - kept_w) / 2.0, y: (h - kept_h) / 2.0, width: kept_w, height: kept_h };
            }
            Mode::Letterbox => {
                let scale = (w / out_w).max(h / out_h);
                let shown_w = ((w / scale).round() as usize).clamp(1, spec.width);
                let shown_h = ((h / scale).round() as usize).clamp(1, spec.height);
                at = [(spec.width - shown_w) / 2, (spec.height - shown_h) / 2, shown_w, shown_h];
            }
        }
        let across = Axis::new(picture.x, picture.width, width, at[2]);
        let down = Axis::new(picture.y, picture.height, height, at[3]);
        let double = if matches!(pixels.format, PixelFormat::Bayer(..)) { 2.0 } else { 1.0 };
        let picture = Rect { x: picture.x * double, y: picture.y * double, width: picture.width * double, height: picture.height * double };
        let tensor = Rect { x: at[0] as f64, y: at[1] as f64, width: at[2] as f64, height: at[3] as f64 };
        let sampling = Sampling { spec: spec.clone(), across, down, at, black: pixels.black };
        Plan { size: (pixels.width, pixels.height), mosaic: double == 2.0, sampling, placement: Placement { picture, tensor } }
    }

    /// Fills the borders, if there are any.
    fn blacken(&self, spec: &InputSpec, tensor: &mut [f32]) {
        let [left, top, width, height] = self.sampling.at;
        if (width, height) == (spec.width, spec.height) {
            return;
        }
        for (channel, plane) in tensor.chunks_exact_mut(spec.width * spec.height).enumerate() {
            let black = (0.0 - spec.mean[channel]) / spec.std[channel];
            for (y, row) in plane.chunks_exact_mut(spec.width).enumerate() {
                if (top..top + height).contains(&y) {
                    row[..left].fill(black);
                    row[left + width..].fill(black);
                } else {
                    row.fill(black);
                }
            }
        }
    }

    /// Fills what of the tensor shows the picture.
    fn fit(&self, spec: &InputSpec, pixels: &Pixels<'_>, rows: &mut [Vec<u8>; 3], work: &mut Work, tensor: &mut [f32]) {
        let (Work { lines, sums, turned }, down, across) = (work, &self.sampling.down, &self.sampling.across);
        let [left, top, width, height] = self.sampling.at;
        let (isa, wide) = (lines.isa, pixels.size().0);
        let pitch = wide.next_multiple_of(MAX_LANES);
        // Neighbouring output rows share an input row: it is converted once.
        let mut held = usize::MAX;
        for begin in (0..height).step_by(TOGETHER) {
            let count = TOGETHER.min(height - begin);
            for y in 0..count {
                let (start, weights) = down.of(begin + y);
                let mut first = true;
                for (tap, &weight) in weights.iter().enumerate().filter(|(_, weight)| **weight > 0.0) {
                    let mut add = |channel: usize, row: &[u8]| {
                        let sums: &mut Vec<f32> = &mut sums[channel];
                        isa.run(Accumulate { sums: &mut sums[y * pitch..][..wide], row, weight, first });
                    };
                    if spec.channels == 1 {
                        add(0, pixels.luma(start + tap, &mut rows[0]));
                    } else {
                        if held != start + tap {
                            held = start + tap;
                            pixels.rgb(held, lines, rows.each_mut().map(Vec::as_mut_slice));
                        }
                        rows.iter().enumerate().for_each(|(channel, row)| add(channel, row));
                    }
                    first = false;
                }
            }
            for (channel, sums) in sums[..spec.channels].iter().enumerate() {
                let out = &mut tensor[(channel * spec.height + top + begin) * spec.width + left..];
                let (mean, std) = (spec.mean[channel], spec.std[channel]);
                isa.run(Reduce { across, sums, pitch, rows: count, turned, out, step: spec.width, width, mean, std });
            }
        }
    }
}

#[cfg(test)]
mod tests;
