//! What decides.

use std::time::Duration;

use recslowfast::pace::{LimitReason, Observation, Reading};

/// The decision for one frame.
#[derive(Clone, Copy, Debug)]
pub struct Choice {
    /// Steps at most.
    pub limit: u32,
    /// Leave the frame out.
    pub skip: bool,
    /// Stop when the state is still.
    pub halting: bool,
    /// Stop when the next step would end after this, on the clock of `now`.
    pub stop_at: Option<Duration>,
    /// What one step is expected to take, for that check.
    pub step_cost: Duration,
    /// Which limit bound.
    pub reason: LimitReason,
}

impl Choice {
    /// Up to `limit` steps with nothing else to stop them.
    pub fn steps(limit: u32, halting: bool) -> Choice {
        Choice { limit, skip: false, halting, stop_at: None, step_cost: Duration::ZERO, reason: LimitReason::None }
    }
}

/// Something that decides how many steps a frame gets, from what a runtime can know.
pub trait Policy {
    /// The decision for a frame that is `age` old at `now`.
    fn choose(&mut self, now: Duration, age: Duration) -> Choice;
    /// What the frame then took.
    fn observe(&mut self, _now: Duration, _seen: &Observation) {}
    /// What the sensors said.
    fn sense(&mut self, _now: Duration, _reading: &Reading) {}
}
