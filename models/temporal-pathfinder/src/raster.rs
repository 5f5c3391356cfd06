//! Ink on pixels.

use crate::contour::Paddle;
use crate::fixed::{ONE, Point};
use crate::measures::Measures;

/// The grey above which a pixel counts as contour: a fifth of white.
pub(crate) const FIFTH: u8 = 51;

/// Draws the part `from..to` (1/4096 pixel along its axis, from its centre) of a paddle, anti-aliased, keeping the brighter of old and new.
///
/// Coverage is the overlap of a unit pixel with the paddle along its axis times that across it: exact for upright and level paddles.
pub(crate) fn ink(luma: &mut [u8], m: &Measures, paddle: Paddle, from: i32, to: i32) {
    assert_eq!(luma.len(), (m.size * m.size) as usize, "the buffer holds size x size pixels");
    let radius = (m.paddle + m.thickness) / 2 + ONE;
    let first = |at: i32| ((at - radius) / ONE).max(0);
    let last = |at: i32| ((at + radius) / ONE).min(m.size - 1);
    for y in first(paddle.centre.y)..=last(paddle.centre.y) {
        for x in first(paddle.centre.x)..=last(paddle.centre.x) {
            let centre = Point { x: x * ONE + ONE / 2, y: y * ONE + ONE / 2 };
            let (along, across) = centre.minus(paddle.centre).along_across(paddle.angle);
            let cover = overlap(along, from, to) * overlap(across, -m.thickness / 2, m.thickness / 2);
            let grey = ((cover >> 12) * 255 + ONE / 2) >> 12;
            let pixel = &mut luma[(y * m.size + x) as usize];
            *pixel = (*pixel).max(grey as u8);
        }
    }
}

/// How much of the unit interval around `at` lies in `from..to`, 0 to [`ONE`].
fn overlap(at: i32, from: i32, to: i32) -> i32 {
    ((at + ONE / 2).min(to) - (at - ONE / 2).max(from)).max(0)
}
