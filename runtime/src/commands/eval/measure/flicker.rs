//! What comes and goes: a pixel or a box that differs in one frame from the frames before and after it, which agree.

use super::{Seen, share};

/// Two boxes of neighbouring frames that share less are not of one thing.
const LEAST: f64 = 0.3;

/// Pixels over a film.
#[derive(Default)]
pub struct PixelFlicker {
    /// Classes of the two frames before.
    before: [Vec<u8>; 2],
    frames: usize,
    changed: u64,
    pixels: u64,
}

impl PixelFlicker {
    /// Adds a frame; after a cut nothing is compared with what was before.
    pub fn add(&mut self, classes: &[u8], cut: bool) {
        if cut || self.before[1].len() != classes.len() {
            self.frames = 0;
        }
        if self.frames >= 2 {
            let [first, second] = &self.before;
            self.changed += first.iter().zip(second).zip(classes).filter(|((a, b), c)| a == c && a != b).count() as u64;
            self.pixels += classes.len() as u64;
        }
        self.before.swap(0, 1);
        self.before[1].clear();
        self.before[1].extend_from_slice(classes);
        self.frames += 1;
    }

    /// Share of the pixels that came or went for one frame.
    pub fn share(&self) -> f64 {
        self.changed as f64 / self.pixels.max(1) as f64
    }
}

/// Boxes over a film.
#[derive(Default)]
pub struct BoxFlicker {
    before: [Vec<Seen>; 2],
    frames: usize,
    changed: u64,
    boxes: u64,
}

impl BoxFlicker {
    /// Adds a frame; after a cut nothing is compared with what was before.
    pub fn add(&mut self, seen: &[Seen], cut: bool) {
        if cut {
            self.frames = 0;
        }
        if self.frames >= 2 {
            let [first, second] = &self.before;
            let in_list =
                |one: &Seen, list: &[Seen]| list.iter().any(|other| other.class == one.class && share(&other.region, &one.region) >= LEAST);
            // There for one frame, or away for one.
            let came = second.iter().filter(|one| !in_list(one, first) && !in_list(one, seen)).count();
            let went = first.iter().filter(|one| !in_list(one, second) && in_list(one, seen)).count();
            self.changed += (came + went) as u64;
            self.boxes += (second.len() + went) as u64;
        }
        self.before.swap(0, 1);
        self.before[1].clear();
        self.before[1].extend_from_slice(seen);
        self.frames += 1;
    }

    /// Share of the boxes that came or went for one frame.
    pub fn share(&self) -> f64 {
        self.changed as f64 / self.boxes.max(1) as f64
    }
}
