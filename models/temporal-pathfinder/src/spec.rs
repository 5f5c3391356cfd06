//! What to generate.

use std::fmt;
use std::str::FromStr;

/// How contours treat one another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Split {
    /// Contours keep clear of each other in every frame.
    Easy,
    /// Contours may cross, at 35 degrees or more.
    Hard,
}

impl fmt::Display for Split {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Split::Easy => "easy",
            Split::Hard => "hard",
        })
    }
}

/// A name that is no split.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("there is no split named {0:?}: say easy (contours keep clear) or hard (contours may cross)")]
pub struct UnknownSplit(pub String);

impl FromStr for Split {
    type Err = UnknownSplit;

    fn from_str(name: &str) -> Result<Self, UnknownSplit> {
        match name {
            "easy" => Ok(Split::Easy),
            "hard" => Ok(Split::Hard),
            other => Err(UnknownSplit(other.to_owned())),
        }
    }
}

/// Names a whole family of videos; with an index it names one video, to the bit, on any machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Spec {
    /// How contours treat one another.
    pub split: Split,
    /// Any number; other numbers give other videos.
    pub seed: u64,
    /// Width and height of the square canvas in pixels, 32 to 2048.
    pub size: u32,
    /// Frames in a video, 1 or more. A longer video begins with the shorter one. A [`Stream`](crate::Stream) does not use it.
    pub frames: u32,
}

/// A [`Spec`] nothing can be drawn for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SpecError {
    /// The canvas is too small for a contour, or absurdly large.
    #[error("a canvas of {0} x {0} pixels cannot be drawn: choose a size from 32 to 2048")]
    Size(u32),
    /// A video has at least one frame.
    #[error("a video of 0 frames was asked for: choose 1 or more")]
    NoFrames,
}

impl Spec {
    /// Says what is wrong with this spec, if anything is.
    pub fn check(&self) -> Result<(), SpecError> {
        match self {
            Spec { size, .. } if !(32..=2048).contains(size) => Err(SpecError::Size(*size)),
            Spec { frames: 0, .. } => Err(SpecError::NoFrames),
            _ => Ok(()),
        }
    }

    /// Pixels in a frame.
    pub fn pixels(&self) -> usize {
        self.size as usize * self.size as usize
    }
}
