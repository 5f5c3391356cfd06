//! No feedback at all.

use std::time::Duration;

use recslowfast::pace::LimitReason;

use crate::policy::{Choice, Policy};

/// The same number of steps for every frame.
pub struct Fixed(
    /// Steps.
    pub u32,
);

impl Policy for Fixed {
    fn choose(&mut self, _: Duration, _: Duration) -> Choice {
        Choice::steps(self.0, false)
    }
}

/// The halting rule under a constant cap.
pub struct Capped(
    /// Steps at most.
    pub u32,
);

impl Policy for Capped {
    fn choose(&mut self, _: Duration, _: Duration) -> Choice {
        Choice::steps(self.0, true)
    }
}

/// Every n-th frame, as video analytics pipelines skip frames by a constant interval.
pub struct SkipInterval {
    every: u32,
    steps: u32,
    count: u32,
}

impl SkipInterval {
    /// `steps` steps on every `every`-th frame.
    pub fn new(every: u32, steps: u32) -> SkipInterval {
        SkipInterval { every, steps, count: 0 }
    }
}

impl Policy for SkipInterval {
    fn choose(&mut self, _: Duration, _: Duration) -> Choice {
        let skip = !self.count.is_multiple_of(self.every);
        self.count += 1;
        Choice { skip, reason: LimitReason::None, ..Choice::steps(self.steps, false) }
    }
}
