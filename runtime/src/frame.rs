//! One picture as its source delivered it: bytes, layout, sequence and capture time.

mod bytes;

use std::time::Duration;

pub use bytes::{Block, Bytes};

/// How the bytes of a [`Frame`] encode pixels.
///
/// Names follow the V4L2 FourCC meanings; planar formats lie plane after plane in one buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PixelFormat {
    /// 8-bit luma, one byte a pixel.
    Grey,
    /// 10-bit luma in the low bits of little-endian 16-bit words.
    Y10,
    /// 16-bit luma, little-endian.
    Y16,
    /// Packed 4:2:2, bytes `Y0 U Y1 V`.
    Yuyv,
    /// Packed 4:2:2, bytes `U Y0 V Y1`.
    Uyvy,
    /// 4:2:0, a luma plane and then an interleaved `U V` plane of half height.
    Nv12,
    /// 4:2:0, a luma plane and then an interleaved `V U` plane of half height.
    Nv21,
    /// 4:2:0, luma plane, `U` plane, `V` plane (the Y4M default).
    I420,
    /// 24-bit `R G B`.
    Rgb24,
    /// 24-bit `B G R`.
    Bgr24,
    /// A complete JPEG image; `Frame::stride` is 0.
    Mjpeg,
    /// Raw Bayer mosaic straight from a sensor.
    Bayer(BayerOrder, BayerDepth),
}

/// The colours of the first two pixels of the first two rows of a Bayer mosaic.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum BayerOrder {
    /// `R G / G B`
    Rggb,
    /// `B G / G R`
    Bggr,
    /// `G R / B G`
    Grbg,
    /// `G B / R G`
    Gbrg,
}

/// Bits per sample of a Bayer mosaic; more than 8 lie in the low bits of little-endian 16-bit words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum BayerDepth {
    /// One byte a sample.
    Eight,
    /// 10 bits in a 16-bit word.
    Ten,
    /// 12 bits in a 16-bit word.
    Twelve,
}

/// Which numbers mean black and white in a luma or chroma sample.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Range {
    /// 0 is black, 255 is white: grey, RGB and JPEG pictures.
    #[default]
    Full,
    /// 16 is black, 235 is white (BT.601): what YUV from a camera or a video is unless it says otherwise.
    Limited,
}

/// One picture. The buffer is meant to be handed back to the source, so that a steady stream allocates nothing.
#[derive(Clone, Debug)]
pub struct Frame {
    /// How `data` encodes pixels.
    pub format: PixelFormat,
    /// Width in pixels.
    pub width: u32,
    /// Height in pixels.
    pub height: u32,
    /// Bytes from one row of the first plane to the next; may exceed width times bytes per pixel.
    pub stride: u32,
    /// What black and white are; matters to YUV formats only.
    pub range: Range,
    /// The bytes in use, and no more.
    pub data: Bytes,
    /// The source's own count; a gap means that the driver dropped frames.
    pub sequence: u64,
    /// When the picture was taken, on `CLOCK_MONOTONIC` (files: when it was read).
    pub captured: Duration,
    /// True when the source knows that this picture does not continue the one before it (a new video, a seek).
    pub cut: bool,
}

impl Default for Frame {
    fn default() -> Self {
        Frame {
            format: PixelFormat::Grey,
            width: 0,
            height: 0,
            stride: 0,
            range: Range::Full,
            data: Bytes::default(),
            sequence: 0,
            captured: Duration::ZERO,
            cut: false,
        }
    }
}

impl PixelFormat {
    /// How YUV of this format is to be read when nobody says.
    pub fn usual_range(self) -> Range {
        match self {
            PixelFormat::Yuyv | PixelFormat::Uyvy | PixelFormat::Nv12 | PixelFormat::Nv21 | PixelFormat::I420 => Range::Limited,
            _ => Range::Full,
        }
    }

    /// Bytes one row of the first plane takes at least; 0 for JPEG. Of a width that no memory holds it is the largest number there is.
    pub fn row_bytes(self, width: u32) -> u32 {
        match self {
            PixelFormat::Grey | PixelFormat::Nv12 | PixelFormat::Nv21 | PixelFormat::I420 => width,
            PixelFormat::Y10 | PixelFormat::Y16 => width.saturating_mul(2),
            PixelFormat::Yuyv | PixelFormat::Uyvy => width.div_ceil(2).saturating_mul(4),
            PixelFormat::Rgb24 | PixelFormat::Bgr24 => width.saturating_mul(3),
            PixelFormat::Mjpeg => 0,
            PixelFormat::Bayer(_, BayerDepth::Eight) => width,
            PixelFormat::Bayer(_, _) => width.saturating_mul(2),
        }
    }

    /// Bytes a whole picture takes at least; the last row may go without its padding. 0 for JPEG.
    pub fn picture_bytes(self, width: u32, height: u32, stride: u32) -> usize {
        let (width, height, stride) = (width as usize, height as usize, stride as usize);
        if width == 0 || height == 0 || self == PixelFormat::Mjpeg {
            return 0;
        }
        let row = self.row_bytes(width as u32) as usize;
        let half = height.div_ceil(2);
        // Sizes come from files and drivers: one that no memory holds is to be refused, not to wrap round to a small one.
        let rows = |stride: usize, count: usize, last: usize| stride.saturating_mul(count).saturating_add(last);
        match self {
            PixelFormat::Nv12 | PixelFormat::Nv21 => rows(stride, height.saturating_add(half - 1), width.div_ceil(2) * 2),
            PixelFormat::I420 => rows(stride, height, 0).saturating_add(rows(chroma_stride(stride), 2 * half - 1, width.div_ceil(2))),
            _ => rows(stride, height - 1, row),
        }
    }
}

/// Bytes from one chroma row of [`PixelFormat::I420`] to the next.
pub fn chroma_stride(luma_stride: usize) -> usize {
    luma_stride.div_ceil(2)
}

impl std::fmt::Display for PixelFormat {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str(match self {
            PixelFormat::Grey => "grey",
            PixelFormat::Y10 => "y10",
            PixelFormat::Y16 => "y16",
            PixelFormat::Yuyv => "yuyv",
            PixelFormat::Uyvy => "uyvy",
            PixelFormat::Nv12 => "nv12",
            PixelFormat::Nv21 => "nv21",
            PixelFormat::I420 => "i420",
            PixelFormat::Rgb24 => "rgb24",
            PixelFormat::Bgr24 => "bgr24",
            PixelFormat::Mjpeg => "mjpeg",
            PixelFormat::Bayer(order, depth) => {
                let order = match order {
                    BayerOrder::Rggb => "rggb",
                    BayerOrder::Bggr => "bggr",
                    BayerOrder::Grbg => "grbg",
                    BayerOrder::Gbrg => "gbrg",
                };
                let depth = match depth {
                    BayerDepth::Eight => "8",
                    BayerDepth::Ten => "10",
                    BayerDepth::Twelve => "12",
                };
                return write!(out, "bayer-{order}{depth}");
            }
        })
    }
}

impl std::str::FromStr for PixelFormat {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        let wanted = name.to_ascii_lowercase();
        PixelFormat::all().find(|format| format.to_string() == wanted).ok_or_else(|| {
            let names: Vec<_> = PixelFormat::all().map(|format| format.to_string()).collect();
            format!("'{name}' is no pixel format; known are {}", names.join(", "))
        })
    }
}

impl PixelFormat {
    /// Every format, those with colour and cheapest to use first: what a negotiation tries in turn.
    pub fn all() -> impl Iterator<Item = PixelFormat> {
        use PixelFormat::*;
        let plain = [Yuyv, Uyvy, Nv12, Nv21, I420, Rgb24, Bgr24, Mjpeg, Grey, Y16, Y10];
        let orders = [BayerOrder::Rggb, BayerOrder::Bggr, BayerOrder::Grbg, BayerOrder::Gbrg];
        let depths = [BayerDepth::Eight, BayerDepth::Ten, BayerDepth::Twelve];
        plain.into_iter().chain(depths.into_iter().flat_map(move |depth| orders.into_iter().map(move |order| Bayer(order, depth))))
    }
}
