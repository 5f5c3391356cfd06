//! Energy from sampled power.

use std::time::Duration;

/// Integrates sampled power by the trapezoid rule; beyond the newest sample the last value is held until the next one corrects it,
/// so that the energies of successive frames always add up to the integral.
#[derive(Clone, Debug, Default)]
pub struct EnergyMeter {
    /// Time and power (W) of the newest sample.
    last: Option<(Duration, f64)>,
    /// Joules up to the newest sample.
    joules: f64,
    /// Joules already given to frames.
    given: f64,
    /// Whether a frame has been begun since the meter last saw a gap.
    begun: bool,
}

/// Samples further apart than this have nothing to say about the time between them.
const GAP: Duration = Duration::from_secs(2);

impl EnergyMeter {
    /// A meter that has seen nothing.
    pub fn new() -> EnergyMeter {
        EnergyMeter::default()
    }

    /// Takes a power sample, in mW. Values that are no power are ignored.
    pub fn sample(&mut self, now: Duration, power_mw: f32) {
        let watts = f64::from(power_mw) / 1e3;
        if !(0.0..1e5).contains(&watts) {
            return;
        }
        match self.last {
            Some((before, _)) if now < before => return,
            Some((before, old)) if now - before <= GAP => self.joules += 0.5 * (old + watts) * (now - before).as_secs_f64(),
            _ => {
                // The time of the gap belongs to no frame.
                self.given = self.joules;
                self.begun = false;
            }
        }
        self.last = Some((now, watts));
    }

    /// Joules up to `now`; `None` when no sample is near enough.
    fn until(&self, now: Duration) -> Option<f64> {
        let (at, watts) = self.last?;
        let since = now.saturating_sub(at);
        (since <= GAP).then_some(self.joules + watts * since.as_secs_f64())
    }

    /// Energy since the last call, in J: what the frame that ends at `now` drew, its waiting included. `None` when power was not known
    /// throughout.
    pub fn frame(&mut self, now: Duration) -> Option<f64> {
        let Some(until) = self.until(now) else {
            self.begun = false;
            return None;
        };
        // A held value that turned out too high is paid back by the next frames, never below zero.
        let energy = (until - self.given).max(0.0);
        self.given = self.given.max(until);
        std::mem::replace(&mut self.begun, true).then_some(energy)
    }

    /// Energy since the meter began, gaps left out, in J.
    pub fn total(&self) -> f64 {
        self.joules
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn a_ramp_is_integrated_exactly() {
        let mut meter = EnergyMeter::new();
        for tenth in 0..=100u16 {
            meter.sample(ms(u64::from(tenth) * 100), f32::from(tenth) * 100.0);
        }
        // From 0 to 10 W in 10 s.
        assert!((meter.total() - 50.0).abs() < 1e-3, "{}", meter.total());
    }

    #[test]
    fn the_energies_of_frames_add_up_to_the_integral() {
        let mut meter = EnergyMeter::new();
        let (mut next, mut sum, mut first) = (0, 0.0, None);
        for frame in 0..900u64 {
            let now = frame * 33;
            while next <= now {
                meter.sample(ms(next), 8000.0 + 2000.0 * (next as f32 / 3000.0).sin());
                next += 100;
            }
            if let Some(energy) = meter.frame(ms(now)) {
                sum += energy;
            } else {
                first = Some(now);
            }
        }
        let whole = meter.total() + 8.0 * 0.05;
        assert_eq!(first, Some(0), "only the first frame has no beginning");
        assert!((sum - whole).abs() < 1.0, "{sum} {whole}");
    }

    #[test]
    fn a_gap_is_nobodys_energy() {
        let mut meter = EnergyMeter::new();
        meter.sample(ms(0), 10_000.0);
        meter.sample(ms(1000), 10_000.0);
        assert_eq!(meter.frame(ms(1000)), None);
        assert_eq!(meter.frame(ms(9000)), None, "the sensor fell silent");
        meter.sample(ms(10_000), 10_000.0);
        assert_eq!(meter.frame(ms(10_000)), None, "the first frame after it has no beginning");
        meter.sample(ms(10_500), 10_000.0);
        assert!((meter.frame(ms(10_500)).unwrap() - 5.0).abs() < 1e-9);
        assert!((meter.total() - 15.0).abs() < 1e-9);
    }

    #[test]
    fn nonsense_and_time_running_backwards_are_ignored() {
        let mut meter = EnergyMeter::new();
        meter.sample(ms(1000), 5000.0);
        for (at, mw) in [(1100, f32::NAN), (1200, -1.0), (500, 5000.0), (1300, f32::INFINITY)] {
            meter.sample(ms(at), mw);
        }
        meter.sample(ms(2000), 5000.0);
        assert!((meter.total() - 5.0).abs() < 1e-9);
    }
}
