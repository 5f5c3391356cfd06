//! The governor of the runtime, as a policy.

use std::time::Duration;

use recslowfast::pace::{Governor, Observation, Reading};

use crate::policy::{Choice, Policy};

/// The governor under test.
pub struct Governed(
    /// The runtime's own.
    pub Governor,
);

impl Policy for Governed {
    fn choose(&mut self, now: Duration, age: Duration) -> Choice {
        let plan = self.0.plan(now, age);
        Choice { limit: plan.limit, skip: plan.skip, halting: true, stop_at: plan.deadline, step_cost: plan.step_cost, reason: plan.reason }
    }

    fn observe(&mut self, now: Duration, seen: &Observation) {
        self.0.observe(now, seen);
    }

    fn sense(&mut self, now: Duration, reading: &Reading) {
        self.0.sense(now, reading);
    }
}
