//! How planes of luma and chroma lie in a Y4M, and how they become ours: 8-bit grey, or 4:2:0. Luma stays what it is.

use crate::frame::{PixelFormat, chroma_stride};

/// A colour layout.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Layout {
    /// Luma samples for one of chroma, across and down; none where there is no chroma.
    chroma: Option<(usize, usize)>,
    /// Bits a sample; more than 8 lie in little-endian words of 16.
    bits: u32,
    /// A fourth plane, of the picture's size, that is passed over.
    alpha: bool,
}

impl Layout {
    /// The layout of a `C` parameter.
    pub fn named(name: &str) -> Option<Layout> {
        let plain = |chroma| Some(Layout { chroma: Some(chroma), bits: 8, alpha: false });
        match name {
            "420" | "420jpeg" | "420mpeg2" | "420paldv" => return plain((2, 2)),
            "422" => return plain((2, 1)),
            "444" => return plain((1, 1)),
            "411" => return plain((4, 1)),
            "410" => return plain((4, 4)),
            "440" => return plain((1, 2)),
            "mono" => return Some(Layout { chroma: None, bits: 8, alpha: false }),
            "444alpha" => return Some(Layout { chroma: Some((1, 1)), bits: 8, alpha: true }),
            _ => {}
        }
        let (chroma, bits) = match name.strip_prefix("mono") {
            Some(bits) => (None, bits),
            None => {
                let (chroma, bits) = name.split_once('p')?;
                let chroma = match chroma {
                    "420" => (2, 2),
                    "422" => (2, 1),
                    "444" => (1, 1),
                    _ => return None,
                };
                (Some(chroma), bits)
            }
        };
        let bits = bits.parse().ok().filter(|bits| (9..=16).contains(bits))?;
        Some(Layout { chroma, bits, alpha: false })
    }

    /// What it becomes.
    pub fn format(self) -> PixelFormat {
        if self.chroma.is_some() { PixelFormat::I420 } else { PixelFormat::Grey }
    }

    /// Whether a frame is taken as it is.
    pub fn is_ours(self) -> bool {
        self.bits == 8 && !self.alpha && matches!(self.chroma, None | Some((2, 2)))
    }

    fn sample_bytes(self) -> usize {
        if self.bits > 8 { 2 } else { 1 }
    }

    /// Samples of a chroma plane across and down.
    fn chroma_size(self, width: usize, height: usize) -> (usize, usize) {
        self.chroma.map_or((0, 0), |(across, down)| (width.div_ceil(across), height.div_ceil(down)))
    }

    /// Bytes of a frame.
    pub fn bytes(self, width: u32, height: u32) -> u64 {
        let (width, height) = (width as usize, height as usize);
        let (across, down) = self.chroma_size(width, height);
        let samples = width * height * if self.alpha { 2 } else { 1 } + 2 * across * down;
        (samples * self.sample_bytes()) as u64
    }

    /// Turns a frame into ours.
    pub fn convert(self, raw: &[u8], width: u32, height: u32, data: &mut Vec<u8>) {
        let (width, height) = (width as usize, height as usize);
        let plane = |first: usize, samples: usize| Plane { raw: &raw[first * self.sample_bytes()..], bits: self.bits, samples };
        data.clear();
        data.extend((0..width * height).map(|at| plane(0, width * height).level(at)));
        let Some((right, below)) = self.chroma else { return };
        let (across, down) = self.chroma_size(width, height);
        let (half_width, half_height) = (chroma_stride(width), height.div_ceil(2));
        for number in 0..2 {
            let plane = plane(width * height + number * across * down, across * down);
            for y in 0..half_height {
                for x in 0..half_width {
                    // The samples that a half-size one stands for: one, two or four; a coarser plane gives the same one again.
                    let (left, top) = (2 * x / right, 2 * y / below);
                    let (end, bottom) = ((2 * x + 1) / right, (2 * y + 1) / below);
                    let corner = |x: usize, y: usize| u32::from(plane.level(y.min(down - 1) * across + x.min(across - 1)));
                    let sum = corner(left, top) + corner(end, top) + corner(left, bottom) + corner(end, bottom);
                    data.push(((sum + 2) / 4) as u8);
                }
            }
        }
    }
}

struct Plane<'a> {
    raw: &'a [u8],
    bits: u32,
    samples: usize,
}

impl Plane<'_> {
    /// A sample as a level of 8 bits.
    fn level(&self, at: usize) -> u8 {
        debug_assert!(at < self.samples);
        if self.bits == 8 {
            return self.raw[at];
        }
        let word = u32::from(u16::from_le_bytes([self.raw[2 * at], self.raw[2 * at + 1]]));
        let shift = self.bits - 8;
        ((word + (1 << (shift - 1))) >> shift).min(255) as u8
    }
}
