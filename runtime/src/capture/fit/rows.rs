//! One row of any pixel format as 8-bit full-range luma or RGB.
//!
//! Written as plain loops over fixed-size groups, which the compiler turns into vector code on x86_64 and aarch64 alike; what colour pictures
//! pass through (`yuv`) is compiled for every instruction set. A limited-range luma sample is clamped to its range and then stretched, as a
//! display would.

use super::yuv::{Every, Lines, Planes};
use crate::frame::{BayerDepth, BayerOrder, Frame, PixelFormat, Range, chroma_stride};

/// A picture whose rows can be read; JPEG is decoded before.
#[derive(Clone, Copy)]
pub(super) struct Pixels<'a> {
    pub format: PixelFormat,
    pub range: Range,
    pub width: usize,
    pub height: usize,
    pub stride: usize,
    pub data: &'a [u8],
    /// Sensor counts that mean black, on the 8-bit scale (Bayer only).
    pub black: u8,
}

impl<'a> Pixels<'a> {
    pub fn of(frame: &'a Frame, black: u8) -> Pixels<'a> {
        Pixels {
            format: frame.format,
            range: frame.range,
            width: frame.width as usize,
            height: frame.height as usize,
            stride: frame.stride as usize,
            data: &frame.data,
            black,
        }
    }

    /// Width and height of the picture that rows make: a Bayer mosaic gives one pixel for each 2x2 group.
    pub fn size(&self) -> (usize, usize) {
        match self.format {
            PixelFormat::Bayer(..) => (self.width / 2, self.height / 2),
            _ => (self.width, self.height),
        }
    }

    /// Row `y` as luma: the driver's own bytes when they already are that, else converted into `scratch`.
    pub fn luma<'r>(&self, y: usize, scratch: &'r mut [u8]) -> &'r [u8]
    where
        'a: 'r,
    {
        let width = self.size().0;
        let out = &mut scratch[..width];
        let row = self.row(y);
        match (self.format, self.range) {
            (PixelFormat::Grey | PixelFormat::Nv12 | PixelFormat::Nv21 | PixelFormat::I420, Range::Full) => return &row[..width],
            (PixelFormat::Grey | PixelFormat::Nv12 | PixelFormat::Nv21 | PixelFormat::I420, Range::Limited) => {
                out.iter_mut().zip(row).for_each(|(out, luma)| *out = stretch(*luma));
            }
            (PixelFormat::Yuyv, Range::Limited) => pairs(out, row, |pair| stretch(pair[0])),
            (PixelFormat::Yuyv, Range::Full) => pairs(out, row, |pair| pair[0]),
            (PixelFormat::Uyvy, Range::Limited) => pairs(out, row, |pair| stretch(pair[1])),
            (PixelFormat::Uyvy, Range::Full) => pairs(out, row, |pair| pair[1]),
            (PixelFormat::Y10, _) => pairs(out, row, |pair| (u16::from_le_bytes(pair) >> 2).min(255) as u8),
            (PixelFormat::Y16, _) => pairs(out, row, |pair| pair[1]),
            (PixelFormat::Rgb24, _) => triples(out, row, |[r, g, b]| luma_of(r, g, b)),
            (PixelFormat::Bgr24, _) => triples(out, row, |[b, g, r]| luma_of(r, g, b)),
            (PixelFormat::Bayer(..), _) => {
                for (x, out) in out.iter_mut().enumerate() {
                    let [r, g, b] = self.group(x, y);
                    *out = luma_of(r, g, b);
                }
            }
            (PixelFormat::Mjpeg, _) => unreachable!("a JPEG is decoded before its rows are read"),
        }
        &scratch[..width]
    }

    /// Row `y` as three planes. `lines` are those of one picture.
    pub fn rgb(&self, y: usize, lines: &mut Lines, [red, green, blue]: [&mut [u8]; 3]) {
        let width = self.size().0;
        let (red, green, blue) = (&mut red[..width], &mut green[..width], &mut blue[..width]);
        let (row, isa) = (self.row(y), lines.isa);
        match self.format {
            PixelFormat::Grey | PixelFormat::Y10 | PixelFormat::Y16 => {
                let same = self.luma(y, red);
                green.copy_from_slice(same);
                blue.copy_from_slice(same);
                if self.format == PixelFormat::Grey && self.range == Range::Full {
                    red.copy_from_slice(&row[..width]);
                }
            }
            PixelFormat::Rgb24 => isa.run(Planes { row, out: [red, green, blue] }),
            PixelFormat::Bgr24 => isa.run(Planes { row, out: [blue, green, red] }),
            PixelFormat::Yuyv | PixelFormat::Uyvy => {
                let (y0, u, v) = if self.format == PixelFormat::Yuyv { (0, 1, 3) } else { (1, 0, 2) };
                let [luma, us, vs] = lines.samples(width);
                isa.run(Every::<2> { row, at: y0, out: luma });
                isa.run(Every::<4> { row, at: u, out: us });
                isa.run(Every::<4> { row, at: v, out: vs });
                lines.chroma(self.range, None);
                lines.convert(self.range, None, [red, green, blue]);
            }
            PixelFormat::Nv12 | PixelFormat::Nv21 => {
                if !lines.holds(y / 2) {
                    let pairs = &self.data[self.stride * self.height + y / 2 * self.stride..];
                    let (u, v) = if self.format == PixelFormat::Nv12 { (0, 1) } else { (1, 0) };
                    let [_, us, vs] = lines.samples(width);
                    isa.run(Every::<2> { row: pairs, at: u, out: us });
                    isa.run(Every::<2> { row: pairs, at: v, out: vs });
                    lines.chroma(self.range, None);
                }
                lines.convert(self.range, Some(row), [red, green, blue]);
            }
            PixelFormat::I420 => {
                if !lines.holds(y / 2) {
                    let stride = chroma_stride(self.stride);
                    let planes = &self.data[self.stride * self.height..];
                    let (u, v) = (&planes[y / 2 * stride..], &planes[(self.height.div_ceil(2) + y / 2) * stride..]);
                    lines.samples(width);
                    lines.chroma(self.range, Some([u, v]));
                }
                lines.convert(self.range, Some(row), [red, green, blue]);
            }
            PixelFormat::Bayer(..) => {
                for x in 0..width {
                    [red[x], green[x], blue[x]] = self.group(x, y);
                }
            }
            PixelFormat::Mjpeg => unreachable!("a JPEG is decoded before its rows are read"),
        }
    }

    fn row(&self, y: usize) -> &'a [u8] {
        let rows = if let PixelFormat::Bayer(..) = self.format { 2 } else { 1 };
        &self.data[y * rows * self.stride..]
    }

    /// The pixel of one 2x2 group of the mosaic: its red, the mean of its greens, its blue, less black.
    fn group(&self, x: usize, y: usize) -> [u8; 3] {
        let PixelFormat::Bayer(order, depth) = self.format else { return [0; 3] };
        let at = |row: usize, column: usize| {
            let start = (2 * y + row) * self.stride;
            match depth {
                BayerDepth::Eight => u16::from(self.data[start + 2 * x + column]) << 4,
                BayerDepth::Ten => self.word(start + 2 * (2 * x + column)) << 2,
                BayerDepth::Twelve => self.word(start + 2 * (2 * x + column)),
            }
        };
        let [[a, b], [c, d]] = [[at(0, 0), at(0, 1)], [at(1, 0), at(1, 1)]];
        let (red, green, blue) = match order {
            BayerOrder::Rggb => (a, (b + c) / 2, d),
            BayerOrder::Bggr => (d, (b + c) / 2, a),
            BayerOrder::Grbg => (b, (a + d) / 2, c),
            BayerOrder::Gbrg => (c, (a + d) / 2, b),
        };
        // 12-bit counts to 8 bits, stretched so that white stays white.
        let black = u32::from(self.black) << 4;
        let level = |counts: u16| (u32::from(counts.min(4095)).saturating_sub(black) * 255 / (4080 - black.min(4000))).min(255) as u8;
        [level(red), level(green), level(blue)]
    }

    fn word(&self, at: usize) -> u16 {
        u16::from_le_bytes([self.data[at], self.data[at + 1]]) & 0x0fff
    }
}

/// Limited range to full: 16 to 0, 235 to 255.
#[inline]
fn stretch(luma: u8) -> u8 {
    // 219 * 298 + 128 just fits in 16 bits.
    ((u16::from(luma.clamp(16, 235) - 16) * 298 + 128) >> 8) as u8
}

/// BT.601 weights.
#[inline]
fn luma_of(red: u8, green: u8, blue: u8) -> u8 {
    ((u16::from(red) * 77 + u16::from(green) * 150 + u16::from(blue) * 29 + 128) >> 8) as u8
}

#[inline]
fn pairs(out: &mut [u8], row: &[u8], convert: impl Fn([u8; 2]) -> u8) {
    out.iter_mut().zip(row.as_chunks().0).for_each(|(out, pair)| *out = convert(*pair));
}

#[inline]
fn triples(out: &mut [u8], row: &[u8], convert: impl Fn([u8; 3]) -> u8) {
    out.iter_mut().zip(row.as_chunks().0).for_each(|(out, pixel)| *out = convert(*pixel));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limited_luma_is_stretched_within_one_level_of_exact_arithmetic() {
        for luma in 0..=255_u8 {
            let exact = ((f64::from(luma) - 16.0) * 255.0 / 219.0).clamp(0.0, 255.0);
            assert!((f64::from(stretch(luma)) - exact).abs() <= 0.6, "{luma}");
        }
        assert_eq!((stretch(16), stretch(235)), (0, 255));
    }
}
