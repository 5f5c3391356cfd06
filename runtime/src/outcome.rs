//! What the engine did for one frame.

use serde::{Deserialize, Serialize};

/// Why stepping ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum StopReason {
    /// The state stopped moving: the halting criterion was met.
    Halted,
    /// The step limit of the rule, the network or the governor was reached.
    Limit,
    /// The drive had not moved, so no step was taken.
    Zero,
    /// The state had been reset before this frame, and the slow path ran its course.
    Reset,
    /// The next step would have missed the frame's deadline.
    Deadline,
}

/// The most steps one frame can take, and so the most distances a [`StepTrace`] holds.
pub const MAX_STEPS: usize = 64;

/// The steps of one frame: how many, why they ended, and how far the state moved in each.
#[derive(Clone, Debug, PartialEq)]
pub struct StepTrace {
    /// Steps taken.
    pub steps: u32,
    /// The most steps this frame was allowed.
    pub limit: u32,
    /// Why stepping ended.
    pub stop: StopReason,
    /// Distance of the hidden state before and after each step, in the rule's metric; length `steps`.
    pub distances: heapless::Vec<f32, MAX_STEPS>,
    /// Relative L2 distance of this frame's drive to that of the last frame that was stepped, infinite after a reset: what creeps too slowly
    /// to be seen from frame to frame adds up until it is.
    pub drive_distance: f32,
    /// Share of the picture that changed beyond its noise and was taken anew, 0 to 1; 1 where an engine takes all of it.
    pub moved: f32,
    /// Share of the network that was computed in the steps, on average, 0 to 1; 1 where an engine steps all of it, and without a step.
    pub stepped: f32,
    /// Share of the encoder that was computed, 0 to 1; 1 where an engine encodes all of a frame.
    pub encoded: f32,
}

impl StepTrace {
    /// The steps of this frame as so many steps of the whole network.
    pub fn work(&self) -> f32 {
        self.steps as f32 * self.stepped
    }
}

/// What one pixel shows, as an engine packs it where it computes: the same answer as the logits', in two bytes instead of one number a class.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Label {
    /// Class of the pixel, 0 for background.
    pub class: u8,
    /// Probability of that class, in 1/255.
    pub score: u8,
}
