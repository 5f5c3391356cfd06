//! A scalar Kalman filter on the slow-down factor xi, and the tracked quantile of its surprises.

/// Filters xi, the ratio of a frame's measured time to the time its cost model predicts.
///
/// State: a random walk, `xi' = xi + w`, `z = xi + v` with `w ~ (0, Q)`, `v ~ (0, R)`. Prediction and update are the
/// textbook scalar forms (R. E. Kalman 1960); that Q grows with the corrections the filter had to make lately is
/// ALERT's idea (Wan et al., USENIX ATC 2020, section 3.3). Two things are ours: R follows the measured residuals instead of
/// being a constant, and one outlier is clipped while a second one on the same side opens the filter, so that a
/// single preempted frame hardly moves the mean but a load that came to stay is believed after two frames.
#[derive(Clone, Debug)]
pub struct Slowdown {
    mean: f64,
    var: f64,
    q: f64,
    r: f64,
    /// Sign and count of outliers in a row.
    run: i32,
    /// Believe one fast frame.
    eager: bool,
    quantile: Quantile,
}

/// Process noise per frame, relative to the mean squared: 1 % a frame.
const Q_REL: f64 = 1e-4;
/// Measurement noise floor, relative to the mean squared: 1.5 %.
const R_REL: f64 = 2.25e-4;

impl Slowdown {
    /// A filter that starts at a slowdown of 1, known to within 20 %, and reports the `percentile` (in percent) of what comes.
    ///
    /// An `eager` filter takes one surprisingly fast frame at its word: right where a mid-frame check guards the deadline anyway.
    pub fn new(percentile: f64, eager: bool) -> Slowdown {
        Slowdown { mean: 1.0, var: 0.04, q: Q_REL, r: 1e-3, run: 0, eager, quantile: Quantile::new(percentile) }
    }

    /// The expected slowdown of the next frame.
    pub fn mean(&self) -> f64 {
        self.mean
    }

    /// The standard deviation of the next frame's slowdown.
    pub fn sd(&self) -> f64 {
        (self.var + self.q + self.r).sqrt()
    }

    /// The slowdown which the next frame stays below with the wanted probability.
    pub fn bound(&self) -> f64 {
        self.mean + self.quantile.value * self.sd()
    }

    /// Wants another percentile from now on.
    pub fn set_percentile(&mut self, percentile: f64) {
        self.quantile.set_percentile(percentile);
    }

    /// Takes one frame's slowdown; anything but a positive finite number is ignored.
    pub fn observe(&mut self, z: f64) {
        if !(z.is_finite() && z > 0.0) {
            return;
        }
        // No machine is trusted to be more than 1000 times off its own warm-up.
        let z = z.clamp(1e-3, 1e3);
        let prior = self.var + self.q;
        let sd = (prior + self.r).sqrt();
        let raw = z - self.mean;
        self.quantile.observe(raw / sd);
        let outlier = raw.abs() > 3.5 * sd;
        let side = if raw > 0.0 { 1 } else { -1 };
        self.run = match outlier {
            true if self.run.signum() == side => self.run + side,
            true => side,
            false => 0,
        };
        let opened = self.run.abs() >= 2 || self.eager && self.run < 0;
        let prior = if opened { prior + raw * raw } else { prior };
        let innovation = if outlier && !opened { raw.signum() * 3.5 * sd } else { raw };
        let gain = prior / (prior + self.r);
        let correction = gain * innovation;
        self.mean = (self.mean + correction).clamp(1e-3, 1e3);
        self.var = (1.0 - gain) * prior;
        let scale = self.mean * self.mean;
        // The correction feeds Q (a filter that keeps correcting is too stiff), the rest feeds R.
        self.q = (0.7 * self.q + 0.3 * correction * correction).clamp(Q_REL * scale, 0.04 * scale);
        let residual = if opened { 0.0 } else { (1.0 - gain) * innovation * innovation };
        self.r = (self.r + 0.05 * (residual - self.r)).clamp(R_REL * scale, 0.25 * scale);
    }
}

/// A quantile followed by stochastic approximation (Robbins and Monro 1951): up by `STEP p` on each value above it, down by
/// `STEP (1 - p)` on each value below it, so that in the long run the wanted share lies below, whatever the distribution.
#[derive(Clone, Debug)]
struct Quantile {
    share: f64,
    start: f64,
    value: f64,
}

impl Quantile {
    const STEP: f64 = 0.4;

    fn new(percentile: f64) -> Quantile {
        let share = (if percentile.is_finite() { percentile } else { 99.0 } / 100.0).clamp(0.5, 0.99999);
        let start = normal_quantile(share);
        Quantile { share, start, value: start }
    }

    fn set_percentile(&mut self, percentile: f64) {
        let fresh = Quantile::new(percentile);
        if fresh.share != self.share {
            *self = fresh;
        }
    }

    fn observe(&mut self, standardised: f64) {
        self.value += if standardised > self.value { Self::STEP * self.share } else { -Self::STEP * (1.0 - self.share) };
        // Never below two thirds of the normal quantile, never beyond three times: a broken sensor must not own the governor.
        self.value = self.value.clamp(0.67 * self.start, (3.0 * self.start).max(1.0));
    }
}

/// The standard normal quantile, by bisection on `erf` in the series and tail forms of Abramowitz and Stegun 7.1.26
/// (absolute error below 2e-7, far below what a latency model can know). Called when a percentile changes, not per frame.
fn normal_quantile(share: f64) -> f64 {
    let (mut low, mut high) = (-8.0f64, 8.0f64);
    for _ in 0..60 {
        let mid = 0.5 * (low + high);
        if normal_cdf(mid) < share {
            low = mid;
        } else {
            high = mid;
        }
    }
    0.5 * (low + high)
}

/// The standard normal distribution function.
fn normal_cdf(x: f64) -> f64 {
    let t = 1.0 / (1.0 + 0.327_591_1 * (x.abs() / std::f64::consts::SQRT_2));
    let poly = t * (0.254_829_592 + t * (-0.284_496_736 + t * (1.421_413_741 + t * (-1.453_152_027 + t * 1.061_405_429))));
    let erf = 1.0 - poly * (-x * x / 2.0).exp();
    0.5 * (1.0 + x.signum() * erf)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn normal_quantiles_are_those_of_the_tables() {
        for (share, z) in [(0.5, 0.0), (0.9, 1.281_55), (0.99, 2.326_35), (0.999, 3.090_23)] {
            assert!((normal_quantile(share) - z).abs() < 1e-3, "{share}");
        }
    }

    #[test]
    fn a_steady_machine_is_known_within_a_second_of_frames() {
        let mut slowdown = Slowdown::new(99.0, false);
        for i in 0..30 {
            slowdown.observe(1.5 + if i % 2 == 0 { 0.02 } else { -0.02 });
        }
        assert!((slowdown.mean() - 1.5).abs() < 0.02 && slowdown.bound() < 1.62 && slowdown.bound() > 1.5, "{slowdown:?}");
    }

    #[test]
    fn one_preempted_frame_hardly_moves_the_mean_and_a_load_that_stays_is_believed_after_three() {
        let mut slowdown = Slowdown::new(99.0, false);
        (0..60).for_each(|i| slowdown.observe(1.0 + 0.02 * f64::from(i % 3 - 1)));
        let calm = slowdown.mean();
        slowdown.observe(4.0);
        assert!(slowdown.mean() < calm + 0.15, "{}", slowdown.mean());
        (0..2).for_each(|_| slowdown.observe(4.0));
        assert!(slowdown.mean() > 3.0, "{}", slowdown.mean());
    }

    #[test]
    fn the_bound_covers_the_wanted_share_of_a_heavy_tailed_machine() {
        // A tail far from normal: one frame in 50 takes 40 % longer. p95 must hold; deterministic sequence.
        let mut slowdown = Slowdown::new(95.0, false);
        let mut above = 0;
        let mut seed = 1u64;
        for i in 0..4000 {
            seed = seed.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            let noise = ((seed >> 33) as f64 / 2f64.powi(31) - 0.5) * 0.1;
            let z = 1.0 + noise + if i % 50 == 49 { 0.4 } else { 0.0 };
            above += usize::from(i >= 100 && z > slowdown.bound());
            slowdown.observe(z);
        }
        assert!(above < 3900 * 6 / 100, "{above} of 3900");
    }

    #[test]
    fn nonsense_is_ignored() {
        let mut slowdown = Slowdown::new(f64::NAN, false);
        let before = format!("{slowdown:?}");
        [f64::NAN, f64::INFINITY, -1.0, 0.0].into_iter().for_each(|z| slowdown.observe(z));
        assert_eq!(format!("{slowdown:?}"), before);
        slowdown.observe(1e300);
        assert!(slowdown.bound().is_finite());
    }
}
