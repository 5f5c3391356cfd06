//! Where a change counts or does not: pixels that moved are handed on, the others are not.

use super::region::Region;
use crate::engine::cpu::channels_last::Pixel;
use crate::engine::cpu::machine::Buffer;
use crate::engine::cpu::planes::Shared;
use crate::engine::cpu::simd::{Kernel, Simd};

/// Between a tensor as it was made and the one that is read.
#[derive(Clone, Debug)]
pub struct Gate {
    /// As it was made.
    pub from: Buffer,
    /// As it is read.
    pub to: Buffer,
    /// Channels of both.
    pub channels: usize,
    /// A pixel moved if its channels moved by more than this, in parts of the tensor's root mean square over pixels (Euclidean norm of the
    /// channels); with 0, by anything at all.
    pub threshold: f32,
    /// Pixels that moved by less are handed over too, only not reported; what they moved adds up until it is.
    pub commits: bool,
    /// The sum of squares of `to`.
    pub energy: f64,
    /// And that of its magnitudes.
    pub sum: f64,
    /// Pixels that moved.
    pub moved: Region,
    /// Of these, those whose neighbours are told, so that windows over them see it.
    pub spread: Region,
    /// Times the threshold that a pixel has to move by until its neighbours are told.
    pub carries: f32,
    /// What a pixel moved without its neighbours being told.
    pub untold: Vec<f32>,
    /// What a pixel moved without being reported.
    pub unsaid: Vec<f32>,
    /// Times it was passed through.
    pub passes: u32,
}

impl Gate {
    /// A gate of this size that lets everything through.
    pub fn new(from: Buffer, to: Buffer, channels: usize, size: [usize; 2], threshold: f32, commits: bool) -> Gate {
        let unsaid = if commits { vec![0.0; size[0] * size[1]] } else { Vec::new() };
        // They start apart, so that no two of a network are measured in the same frame again and again.
        let passes = 7 * to.0 as u32;
        let (moved, spread, untold) = (Region::new(size), Region::new(size), vec![0.0; size[0] * size[1]]);
        let (energy, sum, carries) = (0.0, 0.0, 1.0);
        Gate { from, to, channels, threshold, commits, energy, sum, moved, spread, carries, untold, unsaid, passes }
    }

    /// Tells neighbours only of so many times the threshold.
    pub fn carrying(self, carries: f32) -> Gate {
        Gate { carries, ..self }
    }

    /// Takes a pixel in among those that moved, if what it moved by is more than the limit, alone or with what was not reported before; and
    /// among those whose neighbours are told, if it has moved by so much since they were told last.
    pub fn judge(&mut self, y: usize, x: usize, score: f32, limit: f32) {
        let at = y * self.moved.size()[1] + x;
        if self.threshold <= 0.0 {
            if score != 0.0 {
                self.moved.set(y, x);
                self.spread.set(y, x);
            }
            return;
        }
        let by = if self.commits {
            self.unsaid[at] += score;
            self.unsaid[at]
        } else {
            score
        };
        if by <= limit {
            return;
        }
        self.moved.set(y, x);
        if self.commits {
            self.unsaid[at] = 0.0;
        }
        self.untold[at] += by;
        if self.untold[at].is_nan() || self.untold[at] > self.carries * limit {
            self.untold[at] = 0.0;
            self.spread.set(y, x);
        }
    }

    /// [`Gate::judge`] of all listed pixels, given the scores of the whole plane.
    pub fn judge_listed(&mut self, pixels: &[Pixel], scores: &[f32], limit: f32) {
        let wide = self.moved.size()[1];
        if self.threshold <= 0.0 || self.commits {
            pixels.iter().for_each(|pixel| self.judge(pixel.row.into(), pixel.column.into(), scores[pixel.flat(wide)], limit));
            return;
        }
        // About half of the pixels move: a branch would be guessed wrong as often as not.
        let carries = self.carries * limit;
        for pixel in pixels {
            let (y, x, at) = (pixel.row.into(), pixel.column.into(), pixel.flat(wide));
            let moved = beyond(scores[at], limit);
            let untold = self.untold[at] + if moved { scores[at] } else { 0.0 };
            let tells = moved & beyond(untold, carries);
            self.untold[at] = if tells { 0.0 } else { untold };
            self.moved.set_if(moved, y, x);
            self.spread.set_if(tells, y, x);
        }
    }

    /// Everything is handed on, and nothing is left unsaid.
    pub fn opened(&mut self) {
        self.unsaid.fill(0.0);
        self.untold.fill(0.0);
        self.moved.fill();
        self.spread.fill();
    }

    /// What the channels of a pixel have to move by.
    pub fn limit(&self) -> f32 {
        let [high, wide] = self.moved.size();
        self.threshold * ((self.energy / (high * wide) as f64).max(0.0) as f32).sqrt()
    }
}

/// Whether it is more, or no number.
#[inline(always)]
fn beyond(score: f32, limit: f32) -> bool {
    (score > limit) | score.is_nan()
}

/// Sums over the pixels that a gate looked at.
#[derive(Clone, Copy, Debug, Default)]
pub struct Sums {
    /// Of the squares of what changed.
    pub diff_sq: f64,
    /// Of its magnitudes.
    pub diff_abs: f64,
    /// Of the squares after, less those before.
    pub more_sq: f64,
    /// Of the magnitudes after, less those before.
    pub more_abs: f64,
}

impl std::ops::AddAssign for Sums {
    fn add_assign(&mut self, other: Sums) {
        self.diff_sq += other.diff_sq;
        self.diff_abs += other.diff_abs;
        self.more_sq += other.more_sq;
        self.more_abs += other.more_abs;
    }
}

/// One row of pixels of all channels.
pub(in crate::engine::cpu) struct Row<'a> {
    pub before: &'a [Shared],
    pub after: &'a [Shared],
    /// The first pixel's flat index, and how many.
    pub first: usize,
    pub count: usize,
    /// Takes what each pixel moved by: the sum of magnitudes, or of squares.
    pub to: *mut f32,
    pub squares: bool,
}

impl Kernel for Row<'_> {
    type Out = Sums;
    #[inline(always)]
    fn run<S: Simd>(self, s: S) -> Sums {
        let zero = s.splat(0.0);
        let mut sums = Sums::default();
        let mut at = 0;
        while at < self.count {
            let (n, first) = ((self.count - at).min(S::LANES), self.first + at);
            let mut lanes = [zero; 4];
            for (before, after) in self.before.iter().zip(self.after) {
                // SAFETY: planes hold these pixels.
                let (a, b) = unsafe {
                    if n == S::LANES {
                        (s.load(before.at(first)), s.load(after.at(first)))
                    } else {
                        (s.load_first(before.at(first), n), s.load_first(after.at(first), n))
                    }
                };
                let d = s.sub(b, a);
                lanes = [
                    s.fma(d, d, lanes[0]),
                    s.add(s.abs(d), lanes[1]),
                    s.add(lanes[2], s.fnma(a, a, s.mul(b, b))),
                    s.add(lanes[3], s.sub(s.abs(b), s.abs(a))),
                ];
            }
            // SAFETY: room for `count`.
            unsafe { s.store_first(self.to.add(at), if self.squares { lanes[0] } else { lanes[1] }, n) };
            let [diff_sq, diff_abs, more_sq, more_abs] = lanes.map(|lane| f64::from(s.sum(lane)));
            sums += Sums { diff_sq, diff_abs, more_sq, more_abs };
            at += S::LANES;
        }
        sums
    }
}
