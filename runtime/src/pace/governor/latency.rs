//! How long a frame of k steps takes: `t(k) = xi (a + b k)`, xi being the slowdown.

use std::time::Duration;

use super::filter::Slowdown;
use super::{CostModel, Observation};

/// The latency model: offline costs a and b, measured at warm-up, times the slowdown tracked frame by frame.
///
/// The slowdown is common to the whole frame (another process, a lower clock). That a and b may have been measured in the wrong
/// proportion is corrected slowly from the frames themselves, with a time constant of 50 frames.
#[derive(Clone, Debug)]
pub struct Latency {
    /// Fixed part at a slowdown of 1, in seconds.
    a: f64,
    /// One step at a slowdown of 1, in seconds.
    b: f64,
    /// The part of `a` that comes after the last step, in seconds.
    tail: f64,
    /// The engine checks the deadline before every step.
    checked: bool,
    slowdown: Slowdown,
    /// What one frame may hold back for surprises after its last check, in steps: a quantile followed by its own misses.
    margin: f64,
    share: f64,
    /// The age below which frames are not handed over, in seconds: a leaking minimum.
    youngest: f64,
}

/// How fast the proportion of a, b and the tail follows the frames.
const REFINE: f64 = 0.02;
/// How fast the margin follows its misses, in steps.
const MARGIN: f64 = 0.15;

fn percentile_share(percentile: f64) -> f64 {
    (if percentile.is_finite() { percentile } else { 99.0 } / 100.0).clamp(0.5, 0.99999)
}

impl Latency {
    /// A model from warm-up measurements, for a deadline held by `percentile` percent of the frames.
    pub fn new(cost: &CostModel, percentile: f64, checked: bool) -> Latency {
        // A warm-up that measured nothing must not divide by zero: 1 microsecond is less than any step takes.
        let a = cost.base.as_secs_f64().max(1e-6);
        let b = cost.per_step.as_secs_f64().max(1e-6);
        Latency {
            a,
            b,
            tail: a / 2.0,
            margin: 0.25,
            share: percentile_share(percentile),
            checked,
            slowdown: Slowdown::new(percentile, checked),
            youngest: f64::INFINITY,
        }
    }

    /// Wants another percentile from now on.
    pub fn set_percentile(&mut self, percentile: f64) {
        self.slowdown.set_percentile(percentile);
        self.share = percentile_share(percentile);
    }

    /// Learns whether a frame that used its time up was late: the margin grows by `MARGIN p` when it was and shrinks by `MARGIN (1 - p)`
    /// when not, so that in the long run the wanted share is in time, whatever the distribution (adaptive conformal inference,
    /// Gibbs and Candes, NeurIPS 2021).
    pub fn used_up(&mut self, late: bool) {
        self.margin += if late { MARGIN * self.share } else { -MARGIN * (1.0 - self.share) };
        self.margin = self.margin.clamp(0.05, 2.0);
    }

    /// Learns how long a frame took.
    pub fn observe(&mut self, seen: &Observation) {
        let (encode, stepping, readout) = (seen.encode.as_secs_f64(), seen.stepping.as_secs_f64(), seen.readout.as_secs_f64());
        let steps = f64::from(seen.steps);
        let total = encode + stepping + readout;
        if total <= 0.0 {
            return;
        }
        self.slowdown.observe(total / (self.a + self.b * steps));
        let slowdown = self.slowdown.mean();
        // A frame ten times off says something about the machine, not about the proportions.
        let near = |old: f64, new: f64| old + REFINE * (new.clamp(old / 10.0, old * 10.0) - old);
        if encode + readout > 0.0 {
            self.a = near(self.a, (encode + readout) / slowdown);
            self.tail = near(self.tail, readout.max(1e-7) / slowdown);
        }
        if seen.steps > 0 && stepping > 0.0 {
            self.b = near(self.b, stepping / steps / slowdown);
        }
    }

    /// Learns how old frames are when they arrive.
    pub fn see_age(&mut self, age: f64) {
        // The minimum leaks upwards by 1 % a frame, so that a camera that became slower is noticed.
        self.youngest = if self.youngest.is_finite() { (self.youngest * 1.01 + 1e-6).min(age) } else { age };
    }

    /// The age, in seconds, of frames that did not wait; 0 before the first.
    pub fn youngest(&self) -> f64 {
        if self.youngest.is_finite() { self.youngest } else { 0.0 }
    }

    /// Expected seconds of a frame of `steps` steps.
    pub fn expected(&self, steps: f64) -> f64 {
        self.slowdown.mean() * (self.a + self.b * steps)
    }

    /// Steps (real-valued, may be negative) that may be begun when `seconds` are left: as many as fit at the wanted percentile or,
    /// where the engine checks the deadline before every step, one more than fit on average (the check holds
    /// the percentile, and only what is begun can be finished).
    pub fn fits(&self, seconds: f64) -> f64 {
        if self.checked { self.fits_on_average(seconds) } else { (seconds / self.slowdown.bound() - self.a) / self.b }
    }

    /// The same for time that is better kept than exceeded, but no deadline.
    pub fn fits_on_average(&self, seconds: f64) -> f64 {
        (seconds / self.slowdown.mean() - self.a) / self.b + f64::from(u8::from(self.checked))
    }

    /// Whether the engine checks the time before every step.
    pub fn checked(&self) -> bool {
        self.checked
    }

    /// What must still be left of the time when the last step ends: the readout, and a margin that keeps the percentile.
    pub fn reserve(&self) -> f64 {
        self.slowdown.mean() * (self.tail + self.margin * self.b)
    }

    /// One step at the wanted percentile.
    pub fn step_cost(&self) -> Duration {
        Duration::from_secs_f64((self.slowdown.bound() * self.b).clamp(0.0, 3600.0))
    }

    /// The fixed part of a frame, in steps: what encoding and reading out cost beside stepping.
    pub fn overhead_in_steps(&self) -> f64 {
        self.a / self.b
    }

    /// Mean and standard deviation of the slowdown.
    pub fn slowdown(&self) -> (f64, f64) {
        (self.slowdown.mean(), self.slowdown.sd())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cost() -> CostModel {
        CostModel { base: Duration::from_millis(4), per_step: Duration::from_millis(2), energy: None }
    }

    fn frame(steps: u32, base_ms: f64, step_ms: f64) -> Observation {
        let ms = |ms: f64| Duration::from_secs_f64(ms / 1e3);
        Observation {
            steps,
            encode: ms(base_ms / 2.0),
            stepping: ms(step_ms * f64::from(steps)),
            readout: ms(base_ms / 2.0),
            age: ms(base_ms + step_ms * f64::from(steps)),
            wanted_more: false,
        }
    }

    #[test]
    fn the_steps_that_fit_follow_the_measured_machine() {
        let mut model = Latency::new(&cost(), 99.0, false);
        (0..60).for_each(|_| model.observe(&frame(6, 8.0, 4.0)));
        assert!((model.slowdown().0 - 2.0).abs() < 0.02);
        // 33 ms at twice the cost: (33 - 8) / 4 = 6.25, less what the percentile holds back.
        assert!((5.0..6.25).contains(&model.fits(0.033)), "{}", model.fits(0.033));
    }

    #[test]
    fn a_wrong_proportion_of_base_and_step_is_learnt() {
        let mut model = Latency::new(&cost(), 99.0, false);
        (0..600).for_each(|i| model.observe(&frame(1 + i % 8, 2.0, 4.0)));
        assert!((model.expected(8.0) - 0.034).abs() < 0.001 && (model.expected(1.0) - 0.006).abs() < 0.001, "{model:?}");
    }

    #[test]
    fn a_warm_up_that_measured_nothing_is_survived() {
        let mut model = Latency::new(&CostModel { base: Duration::ZERO, per_step: Duration::ZERO, energy: None }, 99.0, false);
        assert!(model.fits(0.033).is_finite());
        (0..200).for_each(|_| model.observe(&frame(4, 4.0, 2.0)));
        assert!((model.expected(4.0) - 0.012).abs() < 0.002);
    }
}
