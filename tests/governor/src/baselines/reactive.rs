//! Thresholds: one step less at once when something is too high, one more after a while when everything is low.

use std::time::Duration;

use recslowfast::pace::{Observation, Reading};

use crate::policy::{Choice, Policy};
use crate::scenario::Scenario;
use crate::scene::MAX_STEPS;

/// A threshold controller on the last age, the last watts and the last temperature.
pub struct Reactive {
    low: f64,
    high: f64,
    calm: u32,
    deadline: Option<f64>,
    watts: Option<f64>,
    degrees: Option<f64>,
    age: f64,
    /// Draw and temperature as shares of what is allowed; watts smoothed over 0.5 s, and acted on twice a second.
    power: f64,
    heat: f64,
    acted: Duration,
    quiet: u32,
    limit: u32,
}

impl Reactive {
    /// Less above `high`, more after `calm` frames below `low` (shares of the budget).
    pub fn new(scenario: &Scenario, low: f64, high: f64, calm: u32) -> Reactive {
        Reactive {
            low,
            high,
            calm,
            deadline: scenario.deadline_s(),
            watts: scenario.watts(),
            degrees: scenario.degrees(),
            age: 0.0,
            power: 0.0,
            heat: 0.0,
            acted: Duration::ZERO,
            quiet: 0,
            limit: MAX_STEPS / 2,
        }
    }
}

impl Policy for Reactive {
    fn choose(&mut self, now: Duration, _: Duration) -> Choice {
        let slow = self.power.max(self.heat);
        let fast = self.deadline.map_or(0.0, |deadline| self.age / deadline);
        let due = now.saturating_sub(self.acted) > Duration::from_millis(500);
        // Near the watts the band is narrower: aiming at 70 % of the power budget would be an unfair opponent.
        let too_much = slow > 0.5 + self.high / 2.0;
        if fast > self.high || too_much && due {
            self.limit = self.limit.saturating_sub(1).max(1);
            (self.quiet, self.acted) = (0, now);
        } else if fast < self.low && slow < 0.5 + self.low / 2.0 {
            self.quiet += 1;
            if self.quiet >= self.calm {
                self.limit = (self.limit + 1).min(MAX_STEPS);
                self.quiet = 0;
            }
        }
        Choice::steps(self.limit, true)
    }

    fn observe(&mut self, _: Duration, seen: &Observation) {
        self.age = seen.age.as_secs_f64();
    }

    fn sense(&mut self, _: Duration, reading: &Reading) {
        if let (Some(budget), Some(mw)) = (self.watts, reading.power_mw.filter(|mw| *mw > 0.0 && *mw < 1e6)) {
            self.power += 0.2 * (f64::from(mw) / 1e3 / budget - self.power);
        }
        if let (Some(limit), Some(temp)) = (self.degrees, reading.temp_c.filter(|temp| (0.0..150.0).contains(temp))) {
            // 10 degrees below the limit count as 80 % of it.
            self.heat = 1.0 - (limit - f64::from(temp)).max(-10.0) / 50.0;
        }
    }
}
