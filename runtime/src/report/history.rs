//! The recent frames' steps and ages.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use crate::telemetry::Report;

const KEPT: usize = 120;

/// The recent frames.
#[derive(Default)]
pub struct History {
    frames: VecDeque<(u32, Duration, Instant)>,
}

impl History {
    pub fn add(&mut self, report: &Report, now: Instant) {
        if self.frames.len() == KEPT {
            self.frames.pop_front();
        }
        self.frames.push_back((report.trace.steps, report.age, now));
    }

    /// Steps, the oldest first.
    pub fn steps(&self) -> impl Iterator<Item = u32> {
        self.frames.iter().map(|(steps, _, _)| *steps)
    }

    pub fn mean_steps(&self) -> f64 {
        f64::from(self.steps().sum::<u32>()) / self.frames.len().max(1) as f64
    }

    /// The ages that these shares of the frames do not exceed.
    pub fn ages<const N: usize>(&self, shares: [f64; N]) -> [Duration; N] {
        let mut ages: Vec<Duration> = self.frames.iter().map(|(_, age, _)| *age).collect();
        ages.sort_unstable();
        shares.map(|share| match ages.len() {
            0 => Duration::ZERO,
            n => ages[((n as f64 * share).ceil() as usize).clamp(1, n) - 1],
        })
    }

    /// Frames per second, over those that are kept.
    pub fn rate(&self) -> f64 {
        match (self.frames.front(), self.frames.back()) {
            (Some((_, _, first)), Some((_, _, last))) if last > first => (self.frames.len() - 1) as f64 / (*last - *first).as_secs_f64(),
            _ => 0.0,
        }
    }
}
