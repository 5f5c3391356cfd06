//! Scenes: how much of the last frame's answer still holds, and what a step adds.
//!
//! The answer's error is a number in [0, 1]. A new frame adds its drift to it (a cut sets it to 1), a step multiplies what is above
//! the network's own floor by [`RHO`], and accuracy is one minus the error. That is a contraction, which is what a
//! stable recurrence is; its numbers follow the published scores by step (0.28 0.57 0.70 ... 0.99 after 6).

use crate::noise::{normal, uniform};

/// What a step leaves of the error.
pub const RHO: f64 = 0.62;
/// The error no step removes.
pub const FLOOR: f64 = 0.02;
/// The halting rule: stop after a step that moved the state by less than this.
pub const STILL: f64 = 0.02;
/// The most steps the network is calibrated for.
pub const MAX_STEPS: u32 = 12;

/// What happens before the camera.
#[derive(Clone, Copy, Debug)]
pub struct Scene {
    /// Seed of the scene.
    pub seed: u64,
    /// Drift of a frame in calm stretches.
    pub calm: f64,
    /// Drift of a frame in busy stretches.
    pub busy: f64,
    /// Share of the time that is busy, in stretches of 3 s.
    pub busy_share: f64,
    /// Mean time between cuts, in seconds.
    pub cut_every_s: f64,
}

impl Scene {
    /// The drift of frame `index`, taken at `t`; 1 for a cut.
    pub fn drift(&self, index: u64, t: f64, period: f64) -> f64 {
        if index == 0 || uniform(self.seed, 1, index) < period / self.cut_every_s {
            return 1.0;
        }
        let busy = uniform(self.seed, 2, (t / 3.0) as u64) < self.busy_share;
        let mean = if busy { self.busy } else { self.calm };
        (mean * (1.0 + 0.3 * normal(self.seed, 3, index))).max(0.0)
    }
}

/// What an engine computes that recomputes only what moved: shares of the network, in stretches in which nearly nothing moves and in which much does.
#[derive(Clone, Copy, Debug)]
pub struct ByTiles {
    /// Share of encoder and steps that is computed while the scene stands still.
    pub still: f64,
    /// And while it moves.
    pub moving: f64,
    /// Length of a stretch of either kind, in seconds; the first stands still.
    pub stretch_s: f64,
}

impl ByTiles {
    /// Whether the scene moves at `t`.
    pub fn moves(&self, t: f64) -> bool {
        (t / self.stretch_s) as u64 % 2 == 1
    }

    /// The share that is computed of a frame taken at `t`.
    pub fn share(&self, t: f64) -> f64 {
        if self.moves(t) { self.moving } else { self.still }
    }
}

/// The error after one more step.
pub fn step(error: f64) -> f64 {
    FLOOR + (error - FLOOR).max(0.0) * RHO
}
