//! The heat loop: how much work per second the temperature allows.

use std::time::Duration;

/// A velocity-form controller: once a second the allowed work rate is multiplied by a factor that depends on where the temperature
/// will be in a few seconds at its present slope. Its memory is the rate itself, held to at most a quarter above what was
/// really used (tracking anti-wind-up), so that a calm hour cannot store up a hot minute.
#[derive(Clone, Debug)]
pub struct HeatLoop {
    /// Allowed work, in steps per second.
    rate: f64,
    /// Filtered temperature, in degrees Celsius, and its slope per second.
    temp: Option<(f64, f64)>,
    seen: Duration,
    ticked: Duration,
    work: f64,
    /// Smoothed work rate that was really used.
    used: f64,
    /// Whether the temperature came near the limit and has not gone far from it since.
    engaged: bool,
}

/// The time between two corrections.
const PERIOD: Duration = Duration::from_millis(1000);
/// A sensor that is silent for so long is forgotten.
const SILENT: Duration = Duration::from_secs(10);
/// How far ahead the temperature is extrapolated, in seconds: the time constant of a small heat sink.
const AHEAD_S: f64 = 30.0;
/// Degrees below the limit that are aimed at.
const AIM: f64 = 0.5;
/// Degrees below the limit from which on the loop has a say, if the limit is in sight;
const NEAR: f64 = 6.0;
/// and degrees below it at which it loses it again.
const FAR: f64 = 9.0;
/// Logarithm of the rate's factor per degree of error and second.
const GAIN: f64 = 0.004;

impl HeatLoop {
    /// A loop that has not felt anything.
    pub fn new() -> HeatLoop {
        HeatLoop { rate: f64::INFINITY, temp: None, seen: Duration::ZERO, ticked: Duration::ZERO, work: 0.0, used: 0.0, engaged: false }
    }

    /// Takes one temperature; anything outside -40 to 150 degrees is a missing sample.
    pub fn sample(&mut self, now: Duration, temp_c: Option<f32>) {
        let Some(felt) = temp_c.map(f64::from).filter(|t| (-40.0..=150.0).contains(t)) else { return };
        let dt = now.saturating_sub(self.seen).as_secs_f64();
        self.temp = match self.temp {
            Some((temp, slope)) if dt < SILENT.as_secs_f64() => {
                // Alpha-beta filter with time constants of 1 s and 2 s, discretised at the sampling interval.
                let alpha = 1.0 - (-dt).exp();
                let beta = 1.0 - (-dt / 2.0).exp();
                let next = temp + alpha * (felt - temp);
                let steep = if dt > 0.0 { ((next - temp) / dt).clamp(-20.0, 20.0) } else { slope };
                Some((next, slope + beta * (steep - slope)))
            }
            _ => Some((felt, 0.0)),
        };
        self.seen = now;
    }

    /// Counts the work of a frame that ended at `now`, and corrects the rate when a period is over.
    pub fn worked(&mut self, now: Duration, work: f64, limit_c: Option<f64>) {
        self.work += work;
        let elapsed = now.saturating_sub(self.ticked);
        if elapsed < PERIOD {
            return;
        }
        self.used += 0.5 * (self.work / elapsed.as_secs_f64() - self.used);
        (self.work, self.ticked) = (0.0, now);
        let (Some(limit), Some(ahead)) = (limit_c, self.ahead(now)) else {
            (self.rate, self.engaged) = (f64::INFINITY, false);
            return;
        };
        let felt = self.temp.map_or(ahead, |(temp, _)| temp);
        self.engaged = felt > limit - NEAR && ahead > limit - AIM || self.engaged && felt > limit - FAR;
        let factor = (GAIN * (limit - AIM - ahead)).clamp(-0.35, 0.1).exp();
        self.rate = self.rate.min(1.25 * self.used.max(1.0)) * factor;
    }

    /// The temperature expected shortly, in degrees Celsius.
    fn ahead(&self, now: Duration) -> Option<f64> {
        let (temp, slope) = self.temp?;
        (now.saturating_sub(self.seen) < SILENT).then_some(temp + AHEAD_S * slope)
    }

    /// The work, in steps per second, that `limit_c` allows at `now`; `None` while it is cool or nothing is felt.
    pub fn affords(&self, now: Duration, limit_c: f64) -> Option<f64> {
        self.ahead(now)?;
        // Too hot in earnest: the least work there is.
        if self.temp.is_some_and(|(temp, _)| temp > limit_c + 3.0) {
            return Some(0.0);
        }
        (self.engaged && self.rate.is_finite()).then_some(self.rate)
    }

    /// True when the temperature felt last is above the limit.
    pub fn exceeds(&self, limit_c: f64) -> bool {
        self.temp.is_some_and(|(temp, _)| temp > limit_c)
    }

    /// True when a temperature was felt lately.
    pub fn feels(&self, now: Duration) -> bool {
        self.ahead(now).is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A board of one thermal mass: 25 C ambient, 0.1 C per step and second at rest, time constant `tau` s, lag 2 s.
    fn settle(limit: f64, tau: f64, seconds: u64) -> Vec<(f64, f64)> {
        let mut heat = HeatLoop::new();
        let (mut board, mut die) = (40.0, 40.0);
        let mut trace = Vec::new();
        for tick in 0..seconds * 20 {
            let now = Duration::from_millis(tick * 50);
            let rate = heat.affords(now, limit).unwrap_or(f64::INFINITY).clamp(30.0, 800.0);
            board += 0.05 / tau * (25.0 + 0.1 * rate - board);
            die += 0.05 / 2.0 * (board - die);
            heat.sample(now, Some(die as f32));
            heat.worked(now, rate * 0.05, Some(limit));
            trace.push((die, rate));
        }
        trace
    }

    #[test]
    fn the_board_settles_just_below_its_limit() {
        for tau in [30.0, 60.0, 150.0] {
            let trace = settle(70.0, tau, 900);
            let hottest = trace.iter().map(|(temp, _)| *temp).fold(0.0, f64::max);
            assert!(hottest < 72.0, "tau {tau}: {hottest}");
            let end = &trace[trace.len() - 2000..];
            assert!(
                end.iter().all(|(temp, _)| (67.5..70.5).contains(temp)),
                "tau {tau}: {:?}",
                end.iter().step_by(100).collect::<Vec<_>>()
            );
        }
    }

    #[test]
    fn a_cool_board_is_not_limited_and_a_silent_sensor_is_forgotten() {
        let mut heat = HeatLoop::new();
        heat.sample(Duration::ZERO, Some(50.0));
        heat.worked(Duration::from_secs(2), 10.0, Some(85.0));
        assert_eq!(heat.affords(Duration::from_secs(2), 85.0), None);
        (2..30).for_each(|tenth| heat.sample(Duration::from_millis(2000 + tenth * 100), Some(95.0)));
        heat.worked(Duration::from_millis(4900), 10.0, Some(85.0));
        assert!(heat.affords(Duration::from_secs(5), 85.0).is_some());
        assert_eq!(heat.affords(Duration::from_secs(30), 85.0), None);
    }

    #[test]
    fn broken_readings_are_missing_readings() {
        let mut heat = HeatLoop::new();
        for nonsense in [f32::NAN, f32::INFINITY, -256.0, 1e30] {
            heat.sample(Duration::from_secs(1), Some(nonsense));
        }
        assert!(!heat.feels(Duration::from_secs(1)));
    }
}
