//! The source's own picture in colour, for people: copied beside the frame's path, converted where and when somebody looks at it.

use std::fmt;
use std::sync::OnceLock;

use crate::frame::Frame;

/// A picture in 24-bit RGB.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rgb {
    /// Width in pixels.
    pub width: u32,
    /// Height in pixels.
    pub height: u32,
    /// `R G B`, row by row, without padding.
    pub pixels: Vec<u8>,
}

/// Makes RGB of a frame, scaled down to at most so many pixels in width; None if the frame is damaged.
pub type Convert = fn(&Frame, u32) -> Option<Rgb>;

/// Width that pictures for people have at most, in pixels.
pub const WIDEST: u32 = 640;

/// A frame's picture that becomes RGB when it is asked for first, on the thread that asks.
pub struct SourcePicture {
    frame: Frame,
    convert: Convert,
    rgb: OnceLock<Option<Rgb>>,
}

impl SourcePicture {
    /// Copies `frame`'s bytes, which go back to the camera; O(bytes).
    pub fn new(frame: &Frame, convert: Convert) -> SourcePicture {
        let frame = Frame { data: frame.data.to_vec().into(), ..*frame };
        SourcePicture { frame, convert, rgb: OnceLock::new() }
    }

    /// Width and height of the source's picture, in pixels.
    pub fn size(&self) -> (u32, u32) {
        (self.frame.width, self.frame.height)
    }

    /// The picture, at most [`WIDEST`] pixels wide. Converted once; whoever else asks meanwhile waits for it.
    pub fn rgb(&self) -> Option<&Rgb> {
        self.rgb.get_or_init(|| (self.convert)(&self.frame, WIDEST)).as_ref()
    }
}

impl fmt::Debug for SourcePicture {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "SourcePicture {}x{} {}", self.frame.width, self.frame.height, self.frame.format)
    }
}
