//! How big everything is on a canvas of a given size.

use crate::fixed::ONE;

/// Lengths in 1/4096 pixel, contour lengths in 1/4096 pitch (one pitch = a paddle and the gap after it).
///
/// The original Pathfinder draws paddles 5 long and 2 thick, 3 apart, on 300 x 300. That scale is kept down to 0.6 of it
/// (3 px, 1.2 px, 1.8 px), where it stops shrinking: smaller canvases hold fewer and shorter contours instead, so that a
/// network sees the same paddles at 64 and at 150 pixels.
#[derive(Clone, Debug)]
pub(crate) struct Measures {
    pub size: i32,
    /// One unit of the 300 x 300 canvas.
    pub unit: i32,
    pub paddle: i32,
    pub thickness: i32,
    pub pitch: i32,
    /// Paddle centres stay this far from the border.
    pub margin: i32,
    /// Shortest and longest wish of a leading contour, in 1/4096 pitch.
    pub leader: (i32, i32),
    /// Fewest and most contours beside the leader.
    pub others: (i32, i32),
}

impl Measures {
    pub fn of(size: u32) -> Self {
        let size = size as i32;
        let unit = (size * ONE / 300).max(ONE * 6 / 10);
        let longest = (size * ONE * 10 / 64).min(14 * ONE);
        let most = (4 * size * size / (64 * 64)).clamp(2, 15);
        Measures {
            size,
            unit,
            paddle: 5 * unit,
            thickness: 2 * unit,
            pitch: 8 * unit,
            margin: 5 * unit + ONE / 2,
            leader: (longest * 6 / 10, longest),
            others: ((most + 1) / 2, most),
        }
    }

    /// The visible part of a pitch, in 1/4096 pitch.
    pub fn inked(&self) -> i32 {
        ONE * 5 / 8
    }
}
