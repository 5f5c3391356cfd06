//! The recent results: their steps, limits and ages, for every screen that draws them.

use std::collections::VecDeque;
use std::time::Duration;

use crate::frame_rate::FrameRate;
use crate::telemetry::Report;

/// One result.
#[derive(Clone, Copy)]
struct Moment {
    steps: u32,
    #[cfg(feature = "page")]
    limit: u32,
    /// From capture to the answer.
    age: Duration,
}

/// The last results, as many as it was made for.
pub(super) struct History {
    kept: usize,
    moments: VecDeque<Moment>,
    rate: FrameRate,
}

impl History {
    pub(super) fn new(kept: usize) -> History {
        History { kept, moments: VecDeque::with_capacity(kept), rate: FrameRate::default() }
    }

    /// Takes in one report; the oldest goes where there is no room.
    pub(super) fn add(&mut self, report: &Report) {
        self.rate.add(report);
        if self.moments.len() == self.kept {
            self.moments.pop_front();
        }
        self.moments.push_back(Moment {
            steps: report.trace.steps,
            #[cfg(feature = "page")]
            limit: report.trace.limit,
            age: report.age,
        });
    }

    /// Steps taken, the oldest result first.
    pub(super) fn steps(&self) -> impl Iterator<Item = u32> {
        self.moments.iter().map(|moment| moment.steps)
    }

    /// Steps allowed, the oldest result first.
    #[cfg(feature = "page")]
    pub(super) fn limits(&self) -> impl Iterator<Item = u32> {
        self.moments.iter().map(|moment| moment.limit)
    }

    pub(super) fn mean_steps(&self) -> f64 {
        f64::from(self.steps().sum::<u32>()) / self.moments.len().max(1) as f64
    }

    /// The ages that these shares of the results do not exceed.
    pub(super) fn ages<const N: usize>(&self, shares: [f64; N]) -> [Duration; N] {
        let mut ages: Vec<Duration> = self.moments.iter().map(|moment| moment.age).collect();
        ages.sort_unstable();
        shares.map(|share| match ages.len() {
            0 => Duration::ZERO,
            n => ages[((n as f64 * share).ceil() as usize).clamp(1, n) - 1],
        })
    }

    /// Results per second.
    pub(super) fn rate(&self) -> f64 {
        self.rate.per_second()
    }
}
