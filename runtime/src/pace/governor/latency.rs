//! How long a frame of k steps takes: `t(k) = xi (a + b k)`, xi being the slowdown.
//!
//! Where only what moved is computed, a step of a share s of the network takes `b s`, and encoding a share e of a frame takes all of `a` but
//! `(1 - f)(1 - e)` of it, f being the part that is the same for every frame. What the next frame's shares will be is taken from the last
//! ones: at once where they rise, slowly where they fall. With shares of 1 this is the plain model.

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
    percentile: f64,
    /// The part of `a` that every frame takes.
    fixed: f64,
    /// Shares of the network that the next frame is expected to compute: of the encoder, and of each step.
    shares: [f64; 2],
    /// The age below which frames are not handed over, in seconds: a leaking minimum.
    youngest: f64,
}

/// How fast the proportion of a, b and the tail follows the frames.
const REFINE: f64 = 0.02;
/// How fast the margin follows its misses, in steps.
const MARGIN: f64 = 0.15;
/// How fast the expected shares fall.
const CALM: f64 = 0.1;
/// The least share that is believed: even a frame in which nothing moved is looked at.
const LEAST: f64 = 0.02;

/// A share that makes sense; what is no number is all of it.
fn believed(share: f32) -> f64 {
    if share.is_finite() { f64::from(share).clamp(LEAST, 1.0) } else { 1.0 }
}

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
            percentile: percentile_share(percentile),
            fixed: 0.5,
            shares: [1.0; 2],
            checked,
            slowdown: Slowdown::new(percentile, checked),
            youngest: f64::INFINITY,
        }
    }

    /// Wants another percentile from now on.
    pub fn set_percentile(&mut self, percentile: f64) {
        self.slowdown.set_percentile(percentile);
        self.percentile = percentile_share(percentile);
    }

    /// Learns whether a frame that used its time up was late: the margin grows by `MARGIN p` when it was and shrinks by `MARGIN (1 - p)`
    /// when not, so that in the long run the wanted share is in time, whatever the distribution (adaptive conformal inference,
    /// Gibbs and Candes, NeurIPS 2021).
    pub fn used_up(&mut self, late: bool) {
        self.margin += if late { MARGIN * self.percentile } else { -MARGIN * (1.0 - self.percentile) };
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
        let shares = [seen.shares.encoded, seen.shares.stepped].map(believed);
        self.slowdown.observe(total / (self.base(shares[0]) + self.b * steps * shares[1]));
        let slowdown = self.slowdown.mean();
        // A frame ten times off says something about the machine, not about the proportions.
        let near = |old: f64, new: f64| old + REFINE * (new.clamp(old / 10.0, old * 10.0) - old);
        if encode + readout > 0.0 {
            self.a = near(self.a, (encode + readout) / slowdown / self.part(shares[0]));
            self.tail = near(self.tail, readout.max(1e-7) / slowdown);
        }
        if seen.steps > 0 && stepping > 0.0 {
            self.b = near(self.b, stepping / steps / slowdown / shares[1]);
        }
        let same = seen.fit.as_secs_f64().min(encode) + readout;
        let whole = same + (encode - seen.fit.as_secs_f64()).max(0.0) / shares[0];
        if whole > 0.0 {
            self.fixed += REFINE * (same / whole - self.fixed);
        }
        for (expected, seen) in self.shares.iter_mut().zip(shares) {
            *expected = if seen > *expected { seen } else { *expected + CALM * (seen - *expected) };
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
        self.slowdown.mean() * (self.base(self.shares[0]) + self.b * self.shares[1] * steps)
    }

    /// Steps (real-valued, may be negative) that may be begun when `seconds` are left: as many as fit at the wanted percentile or,
    /// where the engine checks the deadline before every step, one more than fit on average (the check holds
    /// the percentile, and only what is begun can be finished).
    pub fn fits(&self, seconds: f64) -> f64 {
        if self.checked {
            self.fits_on_average(seconds)
        } else {
            (seconds / self.slowdown.bound() - self.base(self.shares[0])) / (self.b * self.shares[1])
        }
    }

    /// The same for time that is better kept than exceeded, but no deadline.
    pub fn fits_on_average(&self, seconds: f64) -> f64 {
        (seconds / self.slowdown.mean() - self.base(self.shares[0])) / (self.b * self.shares[1]) + f64::from(u8::from(self.checked))
    }

    /// Whether the engine checks the time before every step.
    pub fn checked(&self) -> bool {
        self.checked
    }

    /// What must still be left of the time when the last step ends: the readout, and a margin that keeps the percentile.
    pub fn reserve(&self) -> f64 {
        self.slowdown.mean() * (self.tail + self.margin * self.b * self.shares[1])
    }

    /// One step at the wanted percentile.
    pub fn step_cost(&self) -> Duration {
        Duration::from_secs_f64((self.slowdown.bound() * self.b * self.shares[1]).clamp(0.0, 3600.0))
    }

    /// What the next frame is expected to take beside stepping, in steps of the whole network.
    pub fn overhead_in_steps(&self) -> f64 {
        self.base(self.shares[0]) / self.b
    }

    /// The share of the network that a step of the next frame is expected to compute.
    pub fn share(&self) -> f64 {
        self.shares[1]
    }

    /// The work of a frame, in steps of the whole network.
    pub fn work(&self, seen: &Observation) -> f64 {
        self.base(believed(seen.shares.encoded)) / self.b + f64::from(seen.steps) * believed(seen.shares.stepped)
    }

    /// The part of `a` that encoding a share of a frame takes.
    fn part(&self, encoded: f64) -> f64 {
        1.0 - (1.0 - self.fixed) * (1.0 - encoded)
    }

    /// Seconds of a frame beside stepping, of which so much is encoded, before any slowdown.
    fn base(&self, encoded: f64) -> f64 {
        self.a * self.part(encoded)
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
            ..Observation::default()
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

    fn by_tiles(steps: u32, share: f32) -> Observation {
        // 2 ms to fit, 8 ms to encode all of a frame, 4 ms a whole step, 1 ms to read out.
        let ms = |ms: f64| Duration::from_secs_f64(ms / 1e3);
        let part = f64::from(share);
        Observation {
            steps,
            fit: ms(2.0),
            encode: ms(2.0 + 8.0 * part),
            stepping: ms(4.0 * part * f64::from(steps)),
            readout: ms(1.0),
            shares: crate::pace::Shares { encoded: share, stepped: share },
            ..Observation::default()
        }
    }

    #[test]
    fn work_follows_the_share_of_tiles_and_the_machine_is_not_taken_for_faster() {
        let mut model = Latency::new(&cost(), 95.0, true);
        (0..400).for_each(|i| model.observe(&by_tiles(3, if i % 50 < 45 { 0.2 } else { 1.0 })));
        (0..60).for_each(|_| model.observe(&by_tiles(3, 0.2)));
        let whole = model.work(&by_tiles(3, 1.0)) - model.work(&by_tiles(0, 1.0));
        let part = model.work(&by_tiles(3, 0.2)) - model.work(&by_tiles(0, 0.2));
        assert!((whole - 3.0).abs() < 1e-6 && (part - 0.6).abs() < 1e-6, "{whole} and {part} steps of the whole network");
        let (expected, true_ms) = (model.expected(3.0) * 1e3, 2.0 + 8.0 * 0.2 + 3.0 * 4.0 * 0.2 + 1.0);
        assert!((expected / true_ms - 1.0).abs() < 0.2, "{expected} ms where it takes {true_ms}");
        // A calm scene affords more steps before a deadline; one that moves again at once affords no more than it did.
        let calm = model.fits(0.015);
        model.observe(&by_tiles(3, 1.0));
        assert!(calm > 3.0 * model.fits(0.015).max(1.0), "{calm} and {} steps", model.fits(0.015));
    }

    #[test]
    fn a_dense_run_is_the_plain_model() {
        let [mut plain, mut told] = [(); 2].map(|()| Latency::new(&cost(), 95.0, true));
        for i in 0..300 {
            let seen = frame(1 + i % 8, 2.0 + f64::from(i % 3), 4.0);
            plain.observe(&seen);
            told.observe(&Observation { fit: Duration::from_millis(1), ..seen });
        }
        assert_eq!((plain.expected(5.0), plain.fits(0.03), plain.reserve()), (told.expected(5.0), told.fits(0.03), told.reserve()));
    }
}
