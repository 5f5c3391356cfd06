//! How many frames a second are answered: one definition, for every screen, line and telegram that tells it.

use std::collections::VecDeque;
use std::time::Duration;

use crate::telemetry::Report;

/// Results that are looked at: a second of a camera's, about.
const RESULTS: usize = 32;

/// The rate of the last results: their number but one, over the time from the oldest to the newest answer. Times are those of the
/// reports, so that a replay has the rate of the recorded run.
#[derive(Clone, Debug, Default)]
pub struct FrameRate {
    answered: VecDeque<Duration>,
}

impl FrameRate {
    /// Takes in one result.
    pub fn add(&mut self, report: &Report) {
        if self.answered.len() == RESULTS {
            self.answered.pop_front();
        }
        self.answered.push_back(report.captured + report.age);
    }

    /// Results a second; 0 before there are two.
    pub fn per_second(&self) -> f64 {
        match (self.answered.front(), self.answered.back()) {
            (Some(first), Some(last)) if last > first => (self.answered.len() - 1) as f64 / (*last - *first).as_secs_f64(),
            _ => 0.0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rate_is_that_of_the_last_results() {
        let mut rate = FrameRate::default();
        let mut answered_at = |ms: u64| {
            rate.add(&Report { captured: Duration::from_millis(ms), age: Duration::from_millis(10), ..Report::for_tests(1) });
            rate.per_second()
        };
        assert_eq!((answered_at(0), answered_at(100)), (0.0, 10.0));
        (3..40).for_each(|at| _ = answered_at(1_000 + 40 * at));
        assert!((answered_at(1_000 + 40 * 40) - 25.0).abs() < 1e-9, "what is long past does not count");
    }
}
