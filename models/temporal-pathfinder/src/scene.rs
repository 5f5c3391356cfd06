//! The life of one scene: who leads, who grows, who drifts where.

use std::collections::VecDeque;

use crate::contour::{Contour, Paddle};
use crate::fixed::{ONE, Point, TURN, line_angle};
use crate::measures::Measures;
use crate::raster;
use crate::rng::Rng;
use crate::spec::{Spec, Split};

/// Draws for one new paddle before its end counts as walled in.
const DRAWS: usize = 6;
/// Starts tried for a contour before the scene does without it.
const STARTS: usize = 60;
/// Frames lived before the first one shown, so that a video may open in the middle of a change of lead.
const UNSEEN: usize = 12;
/// A settled leader starts to give way once in so many frames.
const LEAD_FRAMES: i32 = 40;
/// Pitches (1/4096) a frame: an heir grows this fast, a contour that is far too long loses its tail this fast.
const HURRY: i32 = ONE * 3 / 10;
const SHED: i32 = ONE * 4 / 10;
/// Lines closer than a pitch must cross at this angle or more (35 degrees).
const CROSSING: i32 = TURN * 35 / 360;

/// A set of contours, one frame old after another.
#[derive(Clone, Debug)]
pub struct Scene {
    split: Split,
    measures: Measures,
    rng: Rng,
    contours: Vec<Contour>,
    leader: usize,
}

impl Scene {
    /// Scene `index` of `spec` at its first frame. Its frame count plays no part, so a longer video begins like a shorter one.
    ///
    /// # Panics
    /// If [`Spec::check`] refuses `spec`.
    pub fn new(spec: Spec, index: u64) -> Self {
        Self::keyed(spec, 0, index)
    }

    pub(crate) fn keyed(spec: Spec, kind: u64, index: u64) -> Self {
        if let Err(error) = spec.check() {
            panic!("{error}");
        }
        let measures = Measures::of(spec.size);
        let rng = Rng::keyed(&[kind, spec.split as u64, spec.seed, index, u64::from(spec.size)]);
        let mut scene = Scene { split: spec.split, measures, rng, contours: Vec::new(), leader: 0 };
        scene.populate();
        for _ in 0..UNSEEN {
            scene.step();
        }
        scene
    }

    /// Lengths of all contours, in pitches (a paddle and the gap after it).
    pub fn lengths(&self) -> Vec<f32> {
        self.contours.iter().map(|c| c.length() as f32 / ONE as f32).collect()
    }

    /// Which contour is the target: the longest now; of equals, the first.
    pub fn target(&self) -> usize {
        (0..self.contours.len()).rev().max_by_key(|&i| self.contours[i].length()).unwrap_or(0)
    }

    /// Draws the scene: luma, and 255 in `mask` where the target's ink covers more than a fifth of a pixel.
    ///
    /// # Panics
    /// If a buffer does not hold size x size pixels.
    pub fn draw(&self, luma: &mut [u8], mask: &mut [u8]) {
        luma.fill(0);
        mask.fill(0);
        let m = &self.measures;
        let target = self.target();
        for (paddle, from, to) in self.contours[target].inked(m) {
            raster::ink(luma, m, paddle, from, to);
        }
        for (mask, &ink) in mask.iter_mut().zip(luma.iter()) {
            *mask = if ink > raster::FIFTH { 255 } else { 0 };
        }
        for (_, contour) in self.contours.iter().enumerate().filter(|&(i, _)| i != target) {
            for (paddle, from, to) in contour.inked(m) {
                raster::ink(luma, m, paddle, from, to);
            }
        }
    }

    /// Lives on for one frame.
    pub fn step(&mut self) {
        self.pass_the_lead();
        let longest = self.contours[self.target()].length();
        for i in 0..self.contours.len() {
            self.evolve(i, longest);
            self.drift(i);
        }
    }

    fn populate(&mut self) {
        let others = self.rng.between(self.measures.others.0, self.measures.others.1);
        let mut longest = 0;
        for i in 0..=others {
            let wish = self.draw_wish();
            let share = self.draw_share();
            let length = if i == 0 { wish } else { share_of(longest, share) };
            // An empty canvas has room for a leader somewhere; the others may find the canvas full.
            let starts = if i == 0 { usize::MAX } else { STARTS };
            if let Some(contour) = (0..starts).find_map(|_| self.place(wish, share, length)) {
                longest = longest.max(contour.length());
                self.contours.push(contour);
            }
        }
    }

    fn draw_wish(&mut self) -> i32 {
        self.rng.between(self.measures.leader.0, self.measures.leader.1)
    }

    fn draw_share(&mut self) -> i32 {
        self.rng.between(ONE * 30 / 100, ONE * 50 / 100)
    }

    /// A contour of `length` somewhere free, if this one start leads to one.
    fn place(&mut self, wish: i32, share: i32, length: i32) -> Option<Contour> {
        let (low, high) = (self.measures.margin, self.measures.size * ONE - self.measures.margin);
        let centre = Point { x: self.rng.between(low, high), y: self.rng.between(low, high) };
        let first = Paddle { centre, angle: self.rng.between(0, TURN - 1) };
        let unit = self.measures.unit;
        let mut contour = Contour {
            paddles: VecDeque::new(),
            tail: 0,
            head: 0,
            pace: self.rng.between(ONE * 4 / 100, ONE * 16 / 100),
            speed: self.rng.between(unit * 10 / 100, unit * 80 / 100),
            heading: self.rng.between(0, TURN - 1),
            wish,
            share,
        };
        let me = self.contours.len();
        if !self.is_free(&contour, me, first) {
            return None;
        }
        contour.paddles.push_back(first);
        while contour.reach(&self.measures) < length {
            if !self.extend(&mut contour, me) {
                return None;
            }
        }
        contour.head = length;
        Some(contour)
    }

    /// Adds a paddle at the head of `contour`, which is (or will be) number `me`. False if no draw found room.
    fn extend(&mut self, contour: &mut Contour, me: usize) -> bool {
        for _ in 0..DRAWS {
            let paddle = contour.propose(&self.measures, &mut self.rng);
            if self.is_free(contour, me, paddle) {
                contour.paddles.push_back(paddle);
                return true;
            }
        }
        false
    }

    /// May `paddle` be the next of `contour`: on the canvas, not running into itself, and fine with the others?
    fn is_free(&self, contour: &Contour, me: usize, paddle: Paddle) -> bool {
        let m = &self.measures;
        let earlier = contour.paddles.len().saturating_sub(2);
        self.on_canvas(paddle.centre)
            && !contour.paddles.iter().take(earlier).any(|p| p.centre.closer_than(paddle.centre, m.pitch * 3 / 2))
            && self.suits_others(me, paddle)
    }

    fn on_canvas(&self, p: Point) -> bool {
        let range = self.measures.margin..=self.measures.size * ONE - self.measures.margin;
        range.contains(&p.x) && range.contains(&p.y)
    }

    fn suits_others(&self, me: usize, paddle: Paddle) -> bool {
        let pitch = self.measures.pitch;
        let mut others = self.contours.iter().enumerate().filter(|&(i, _)| i != me).flat_map(|(_, c)| &c.paddles);
        match self.split {
            Split::Easy => !others.any(|p| p.centre.closer_than(paddle.centre, pitch * 3 / 2)),
            Split::Hard => !others.any(|p| line_angle(p.angle, paddle.angle) < CROSSING && p.centre.closer_than(paddle.centre, pitch)),
        }
    }

    /// Now and then a settled leader gives way to an heir of its choice.
    fn pass_the_lead(&mut self) {
        let target = self.target();
        let settled = target == self.leader && self.contours[target].length() >= self.contours[target].wish * 8 / 10;
        if settled && self.contours.len() > 1 && self.rng.one_in(LEAD_FRAMES) {
            let heir = self.rng.between(0, self.contours.len() as i32 - 2) as usize;
            let heir = if heir >= self.leader { heir + 1 } else { heir };
            self.contours[heir].wish = self.draw_wish();
            self.contours[self.leader].share = self.draw_share();
            self.leader = heir;
        }
    }

    /// Moves the window of contour `i` along its chain, towards the length it wants.
    fn evolve(&mut self, i: usize, longest: i32) {
        let contour = &self.contours[i];
        let (length, pace) = (contour.length(), contour.pace);
        let leads = i == self.leader;
        let goal = if leads { contour.wish } else { share_of(longest, contour.share) };
        let (grow, lose) = if length > goal + ONE / 2 {
            (0, SHED.min(length - goal))
        } else if length >= goal {
            (pace, pace)
        } else if leads && length < goal * 8 / 10 {
            (HURRY, 0)
        } else {
            (pace, 0)
        };
        let gained = if grow > 0 { self.grow(i, grow) } else { 0 };
        let contour = &mut self.contours[i];
        contour.tail += if lose > grow { lose } else { lose.min(gained) };
        contour.trim();
        if leads && gained < grow && length < longest {
            // An heir with no room: the longest keeps the lead.
            self.leader = self.target();
        }
    }

    /// Advances the head of contour `i` by up to `by`; a head that is walled in hands over to the tail. Returns the advance.
    fn grow(&mut self, i: usize, by: i32) -> i32 {
        let mut contour = std::mem::take(&mut self.contours[i]);
        if contour.head + by > contour.reach(&self.measures) && !self.extend(&mut contour, i) {
            contour.turn_round(&self.measures);
            if contour.head + by > contour.reach(&self.measures) {
                self.extend(&mut contour, i);
            }
        }
        let advance = by.min(contour.reach(&self.measures) - contour.head);
        contour.head += advance;
        self.contours[i] = contour;
        advance
    }

    /// Moves contour `i` on; where it may not go it looks for another heading, else rests for this frame.
    fn drift(&mut self, i: usize) {
        let wobble = self.rng.between(-TURN / 64, TURN / 64);
        let heading = &mut self.contours[i].heading;
        *heading = (*heading + wobble).rem_euclid(TURN);
        for _ in 0..4 {
            let contour = &self.contours[i];
            let by = Point::polar(contour.speed, contour.heading);
            let fits = contour.paddles.iter().all(|p| {
                let moved = Paddle { centre: p.centre.plus(by), angle: p.angle };
                self.on_canvas(moved.centre) && self.suits_others(i, moved)
            });
            if fits {
                self.contours[i].shift(by);
                return;
            }
            self.contours[i].heading = self.rng.between(0, TURN - 1);
        }
    }
}

fn share_of(longest: i32, share: i32) -> i32 {
    ((i64::from(longest) * i64::from(share)) >> 12) as i32
}

#[cfg(test)]
mod tests;
