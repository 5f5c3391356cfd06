//! One contour: a chain of paddles of which a window is visible.

use std::collections::VecDeque;
use std::sync::LazyLock;

use crate::fixed::{ONE, Point, TURN, cos};
use crate::measures::Measures;
use crate::rng::Rng;

/// Where a paddle lies; it is drawn as far as the contour's window covers it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Paddle {
    pub centre: Point,
    pub angle: i32,
}

/// A chain of paddles, and the window `tail..head` of it that shows.
///
/// Positions on the chain count pitches in 1/4096: paddle `k` is inked from `k` to `k + 5/8`, the rest of the pitch is gap.
/// The window moves by fractions of a pitch, so paddles come and go like ink, not in jumps.
#[derive(Clone, Debug, Default)]
pub(crate) struct Contour {
    pub paddles: VecDeque<Paddle>,
    pub tail: i32,
    pub head: i32,
    /// Pitches (1/4096) a frame by which it creeps or grows of its own.
    pub pace: i32,
    /// Speed (1/4096 pixel a frame) and direction of its drift.
    pub speed: i32,
    pub heading: i32,
    /// Length it wants when it leads, in 1/4096 pitch.
    pub wish: i32,
    /// Length it wants otherwise, as a share (1/4096) of the longest.
    pub share: i32,
}

impl Contour {
    /// How long the visible window is, in 1/4096 pitch.
    pub fn length(&self) -> i32 {
        self.head - self.tail
    }

    /// How far the window can reach with the paddles there are.
    pub fn reach(&self, m: &Measures) -> i32 {
        (self.paddles.len() as i32 - 1) * ONE + m.inked()
    }

    /// A place for the next paddle: the direction drawn with the continuity weights, the pivot half-way through the gap.
    pub fn propose(&self, m: &Measures, rng: &mut Rng) -> Paddle {
        let last = self.paddles[self.paddles.len() - 1];
        let angle = (last.angle + draw_bend(rng)).rem_euclid(TURN);
        let centre = last.centre.plus(Point::polar(m.pitch / 2, last.angle)).plus(Point::polar(m.pitch / 2, angle));
        Paddle { centre, angle }
    }

    /// Lets go of paddles the tail has passed.
    pub fn trim(&mut self) {
        while self.tail >= ONE {
            self.paddles.pop_front();
            self.tail -= ONE;
            self.head -= ONE;
        }
    }

    /// Swaps head and tail; the picture stays the same.
    pub fn turn_round(&mut self, m: &Measures) {
        let end = self.reach(m);
        (self.tail, self.head) = (end - self.head, end - self.tail);
        self.paddles = self.paddles.iter().rev().map(|p| Paddle { centre: p.centre, angle: p.angle + TURN / 2 }).collect();
        self.trim();
    }

    pub fn shift(&mut self, by: Point) {
        for paddle in &mut self.paddles {
            paddle.centre = paddle.centre.plus(by);
        }
    }

    /// The paddles that show, each with its inked interval along its own axis, in 1/4096 pixel from its centre.
    pub fn inked<'a>(&'a self, m: &'a Measures) -> impl Iterator<Item = (Paddle, i32, i32)> + 'a {
        self.paddles.iter().enumerate().filter_map(move |(k, &paddle)| {
            let start = k as i32 * ONE;
            let (from, to) = (self.tail.max(start), self.head.min(start + m.inked()));
            let pixels = |at: i32| ((i64::from(at - start) * i64::from(m.pitch)) >> 12) as i32 - m.paddle / 2;
            (from < to).then(|| (paddle, pixels(from), pixels(to)))
        })
    }
}

/// Bends beyond this have no weight: a quarter turn divided by kappa = 1.8.
const MOST_BEND: i32 = TURN * 5 / 36;

/// Running sums of max(0, cos(1.8 d))^2 over the bends d = -142..=142.
static BENDS: LazyLock<Vec<i32>> = LazyLock::new(|| {
    let weight = |d: i32| (cos(d * 9 / 5) >> 4).pow(2) >> 8;
    (-MOST_BEND..=MOST_BEND)
        .scan(0, |sum, d| {
            *sum += weight(d);
            Some(*sum)
        })
        .collect()
});

fn draw_bend(rng: &mut Rng) -> i32 {
    let at = rng.between(0, BENDS[BENDS.len() - 1] - 1);
    BENDS.partition_point(|&sum| sum <= at) as i32 - MOST_BEND
}
