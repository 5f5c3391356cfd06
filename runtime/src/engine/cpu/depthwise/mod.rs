//! Convolutions in which every channel is on its own, and the greatest of a window.
//!
//! A work item is a band of rows of one channel (of several, where planes are small). The band's input is laid out in the first-level cache
//! with its border, and for strides cut into phases (every `s`-th column), so that each tap is one fixed distance away whatever the pixel.
//! Several output rows are computed at a time: an input row that is in registers serves all of them.

mod rows;

use std::ops::Range;

use super::conv_direct::Geometry;
use super::lay_out::LayOut;
use super::planes::Shared;
use super::pool::Pool;
use super::simd::{Isa, MAX_LANES};
use super::tiles::Rect;
use rows::{Band, Rows};

/// Floats of a band's input, about: half of a first-level cache.
const BAND: usize = 4096;
/// Output pixels of a work item, at least.
const ITEM: usize = 4096;

/// What is done in a window.
#[derive(Clone, Debug, PartialEq)]
pub enum Window {
    /// The sum of its pixels, each with its weight, and a bias.
    Sum {
        /// `[channel][kernel]`
        weights: Vec<f32>,
        /// `[channel]`
        bias: Vec<f32>,
    },
    /// Its greatest pixel; the border is below all.
    Greatest,
}

/// One window over every channel.
pub struct Depthwise {
    geometry: Geometry,
    isa: Isa,
    window: Window,
    /// Bounds of the outputs.
    bounds: [f32; 2],
    /// Floats of one phase of a row, and of all.
    phase: usize,
    pitch: usize,
    /// For each column of the kernel, how far along the row it is.
    columns: Vec<usize>,
    /// Output rows of a band.
    band: usize,
}

impl Depthwise {
    /// A window over each of the geometry's channels, of which it has as many groups.
    pub fn new(geometry: Geometry, isa: Isa, window: Window) -> Depthwise {
        let Geometry { cin, cout, groups, kernel, stride, dilation, .. } = geometry;
        assert!(cin == groups && cout == groups, "a group of {geometry:?} is not one channel");
        if let Window::Sum { weights, bias } = &window {
            assert!(weights.len() == cout * kernel[0] * kernel[1] && bias.len() == cout, "weights of {geometry:?}");
        }
        let [oh, ow] = geometry.output();
        // Whole vectors of outputs read past what is laid out for them, and what comes of it is dropped.
        let phase = (ow.next_multiple_of(MAX_LANES) + (kernel[1] - 1) * dilation[1] / stride[1] + MAX_LANES).next_multiple_of(MAX_LANES);
        let pitch = phase * stride[1];
        let columns = (0..kernel[1]).map(|x| x * dilation[1]).map(|at| at % stride[1] * phase + at / stride[1]).collect();
        let reach = (kernel[0] - 1) * dilation[0] + 1;
        let band = ((BAND / pitch).saturating_sub(reach) / stride[0] + 1).min(oh.max(1));
        // Bands as even as they come.
        let band = oh.max(1).div_ceil(oh.max(1).div_ceil(band));
        Depthwise { geometry, isa, window, bounds: [f32::NEG_INFINITY, f32::INFINITY], phase, pitch, columns, band }
    }

    /// What is convolved.
    pub fn geometry(&self) -> &Geometry {
        &self.geometry
    }

    /// Keeps the outputs between two bounds.
    pub fn bound(&mut self, bounds: [f32; 2]) {
        self.bounds = bounds;
    }

    /// Bounds of the outputs.
    pub fn bounds(&self) -> [f32; 2] {
        self.bounds
    }

    /// What is done in a window.
    pub fn window(&self) -> &Window {
        &self.window
    }

    fn rows_of_band(&self) -> usize {
        (self.band - 1) * self.geometry.stride[0] + (self.geometry.kernel[0] - 1) * self.geometry.dilation[0] + 1
    }

    fn band_floats(&self) -> usize {
        self.rows_of_band() * self.pitch + MAX_LANES
    }

    /// Floats of working space that [`Depthwise::run`] needs with so many threads.
    pub fn scratch_floats(&self, threads: usize) -> usize {
        threads * self.band_floats()
    }

    /// Convolves `input` (one pointer per channel plane) into `output`.
    ///
    /// # Safety
    /// The planes hold `input` and `output` pixels of the geometry (16 more floats can be read after each input), outputs overlap nothing, and `scratch` points to
    /// [`Depthwise::scratch_floats`] for this pool.
    pub unsafe fn run(&self, pool: &mut Pool, scratch: Shared, input: &[Shared], output: &[Shared]) {
        let channels = self.geometry.cout;
        assert!(input.len() == channels && output.len() == channels, "{} and {} planes", input.len(), output.len());
        let [oh, ow] = self.geometry.output();
        let bands = oh.div_ceil(self.band);
        let each = if bands > 1 { 1 } else { (ITEM / (oh * ow)).clamp(1, channels) };
        pool.run(channels.div_ceil(each) * bands, &|thread, item| {
            let (group, band) = (item / bands, item % bands);
            let laid_out = scratch.at(thread * self.band_floats());
            let (top, bottom) = (band * self.band, oh.min((band + 1) * self.band));
            for channel in group * each..channels.min((group + 1) * each) {
                // SAFETY: the caller's promise; the scratch is this thread's, the rows are this item's.
                unsafe { self.rows(channel, top..bottom, input[channel], laid_out, output[channel]) };
            }
        });
    }

    /// Some rows of one channel, a band at a time.
    ///
    /// # Safety
    /// Rows of `plane` that these outputs see can be read, and a vector behind the last; `laid_out` is working space for one thread.
    pub(super) unsafe fn rows(&self, channel: usize, rows: Range<usize>, plane: Shared, laid_out: *mut f32, to: Shared) {
        for top in rows.clone().step_by(self.band) {
            // SAFETY: the caller's promise.
            unsafe { self.band(channel, top..rows.end.min(top + self.band), 0..self.geometry.output()[1], plane, laid_out, to) };
        }
    }

    /// Convolves only the outputs of `rects`.
    ///
    /// # Safety
    /// As for [`Depthwise::run`]; the rectangles lie in the output.
    pub(super) unsafe fn run_rects(&self, pool: &mut Pool, scratch: Shared, input: &[Shared], output: &[Shared], rects: &[Rect]) {
        let channels = self.geometry.cout;
        assert!(input.len() == channels && output.len() == channels, "{} and {} planes", input.len(), output.len());
        let each = channels.div_ceil(4 * pool.threads());
        pool.run(channels.div_ceil(each), &|thread, item| {
            let laid_out = scratch.at(thread * self.band_floats());
            for channel in item * each..channels.min((item + 1) * each) {
                for rect in rects {
                    for top in (rect.top..rect.bottom).step_by(self.band) {
                        let (rows, columns) = (top..rect.bottom.min(top + self.band), rect.left..rect.right);
                        // SAFETY: the caller's promise; the scratch is this thread's, the channel is this item's.
                        unsafe { self.band(channel, rows, columns, input[channel], laid_out, output[channel]) };
                    }
                }
            }
        });
    }

    /// Some columns of a band of one channel.
    ///
    /// # Safety
    /// `plane` and `to` are planes of the geometry, `laid_out` holds a band.
    unsafe fn band(&self, channel: usize, rows: Range<usize>, columns: Range<usize>, plane: Shared, laid_out: *mut f32, to: Shared) {
        let Geometry { input, kernel, begin, stride, dilation, .. } = self.geometry;
        let taps = kernel[0] * kernel[1];
        let (weights, bias): (&[f32], f32) = match &self.window {
            Window::Sum { weights, bias } => (&weights[channel * taps..][..taps], bias[channel]),
            Window::Greatest => (&[], f32::NEG_INFINITY),
        };
        let (wide, line) = (columns.len(), self.geometry.output()[1]);
        // The first column that these see, counted with the border: what lies left of it is not looked at.
        let first = columns.start * stride[1];
        let skipped = first.saturating_sub(begin[1]).min(input[1]);
        self.isa.run(Band {
            plane: plane.at(skipped),
            line: input[1],
            high: input[0],
            first: rows.start * stride[0],
            rows: (rows.len() - 1) * stride[0] + (kernel[0] - 1) * dilation[0] + 1,
            above: begin[0],
            row: LayOut {
                wide: input[1] - skipped,
                begin: begin[1].saturating_sub(first),
                stride: stride[1],
                phase: wide + (kernel[1] - 1) * dilation[1] / stride[1],
                border: if self.window == Window::Greatest { f32::NEG_INFINITY } else { 0.0 },
            },
            phase: self.phase,
            to: laid_out,
        });
        self.isa.run(Rows {
            weights,
            bias,
            kernel,
            down: [stride[0], dilation[0]],
            columns: &self.columns,
            pitch: self.pitch,
            bounds: self.bounds,
            from: laid_out,
            rows: rows.len(),
            wide,
            line,
            to: to.at(rows.start * line + columns.start),
        });
    }
}

#[cfg(test)]
mod tests;
