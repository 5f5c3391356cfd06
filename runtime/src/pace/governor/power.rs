//! The power loop: how much work per second the watts allow.

use std::time::Duration;

use super::window::{Part, Window};
use crate::pace::energy_model::EnergyModel;

/// An observer of the board's power, `P = P0 + e w`, with w the work rate in steps per second: P0 is what the board draws beside
/// us, e what a step costs in millijoules. The affordable rate is where that line meets the budget.
///
/// Both are estimated by a two-state Kalman filter, once a second. The integral action that brings the mean to the budget is the
/// random walk of P0; because the filter compares measured watts with the work that was really done, it cannot wind up
/// while something else (halting, the deadline, heat) keeps the work below what the watts would allow.
#[derive(Clone, Debug)]
pub struct PowerLoop {
    /// P0 in mW and e in mJ per step; `None` before the first window.
    model: Option<Line>,
    window: Window,
    /// Windows learnt from with work in them.
    windows: u32,
    /// When the last usable sample came.
    sampled: Option<Duration>,
    last_mw: f64,
    clock_hz: Option<f64>,
}

/// What the power loop knows its watts from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Sight {
    /// A sensor answers.
    Measured,
    /// The sensor fell silent a short while ago; the line it taught still holds.
    Coasting,
    /// There is no sensor; the watts come from an energy model and the GPU clock.
    Modelled,
    /// Nothing is known: only latency is governed.
    Blind,
}

/// The shortest time between two corrections.
const PERIOD: Duration = Duration::from_millis(1000);
/// How long after a correction the board and the sensor are given before measuring begins.
const SETTLE: Duration = Duration::from_millis(400);
/// A sensor that is silent for so long is coasted over,
const SILENT: Duration = Duration::from_secs(3);
/// and for so long, given up.
const LOST: Duration = Duration::from_secs(10);
/// A window that stands for one thrown away is so long.
const SHORT: Duration = Duration::from_millis(400);
/// So many standard deviations above the line are no accident.
const SURPRISE: f64 = 3.0;
/// The share of a window by which a sensor may lag.
const LAG: f64 = 0.3;
/// Aim a little below the budget, so that noise does not carry the mean above it.
const AIM: f64 = 0.99;

#[derive(Clone, Debug)]
struct Line {
    p0: f64,
    e: f64,
    /// Covariance: var(P0), cov(P0, e), var(e).
    cov: [f64; 3],
}

impl Line {
    /// Whether far more is drawn than the work explains.
    fn surprised(&self, rate: f64, mw: f64, drift: f64) -> bool {
        let [pp, pe, ee] = self.cov;
        // Three samples say half as much as a window of them.
        let variance = pp + 2.0 * rate * pe + rate * rate * ee + (0.012 * mw).powi(2) + (LAG * self.e * drift).powi(2);
        let innovation = mw - (self.p0 + self.e * rate);
        innovation > 0.03 * mw && innovation * innovation > SURPRISE * SURPRISE * variance
    }
}

impl PowerLoop {
    /// A loop that knows nothing.
    pub fn new() -> PowerLoop {
        PowerLoop { model: None, window: Window::default(), windows: 0, sampled: None, last_mw: 0.0, clock_hz: None }
    }

    /// Takes one power sample; anything but a positive number of milliwatts below 10 kW is a missing sample.
    pub fn sample(&mut self, now: Duration, power_mw: Option<f32>, clock_hz: Option<u64>) {
        self.clock_hz = clock_hz.filter(|&hz| hz > 0).map(|hz| hz as f64).or(self.clock_hz);
        let Some(mw) = power_mw.map(f64::from).filter(|mw| *mw > 0.0 && *mw < 1e7) else { return };
        if self.sampled.is_some_and(|last| now.saturating_sub(last) > SILENT) {
            // Work and watts no longer belong together: measure afresh.
            self.window = Window { widest: self.window.widest, ..Window::default() };
        }
        self.sampled = Some(now);
        self.last_mw = mw;
        if self.window.mark.is_some() {
            self.window.sum_mw += mw;
            self.window.samples += 1;
        }
    }

    /// Counts the work of a frame that ended at `now`, and corrects the line when a window is full.
    pub fn worked(&mut self, now: Duration, work: f64) {
        let window = &mut self.window;
        let start = *window.start.get_or_insert(now);
        let Some(mark) = window.mark else {
            window.before = Part { work: window.before.work + work, frames: window.before.frames + 1 };
            if now.saturating_sub(start) >= SETTLE {
                let before = window.before;
                *window = Window { start: window.start, mark: Some(now), before, widest: window.widest, ..Window::default() };
            }
            return;
        };
        window.work += work;
        window.frames += 1;
        let elapsed = now.saturating_sub(mark).as_secs_f64();
        // Sparse frames need a longer look: fewer than six of them make a poor mean.
        let enough = window.frames >= 6 || elapsed >= 3.0;
        if elapsed <= (PERIOD - SETTLE).as_secs_f64() / 2.0 {
            window.early = Part { work: window.work, frames: window.frames };
        }
        let (rate, mw) = (window.work / elapsed.max(1e-3), window.sum_mw / f64::from(window.samples.max(1)));
        let drift = window.drift(elapsed);
        let full = now.saturating_sub(start) >= PERIOD && window.samples >= 2 && elapsed > 0.0 && enough;
        // Somebody else began to draw power within this window, by all that a few samples can say: it is thrown away for a short one that has nothing of
        // before.
        let broken = !window.anew && window.samples >= 3 && window.frames >= 6;
        if broken && self.model.as_ref().is_some_and(|line| line.surprised(rate, mw, drift)) {
            let start = (now + SHORT).saturating_sub(PERIOD);
            self.window = Window { start: Some(start), mark: Some(now), anew: true, widest: window.widest, ..Window::default() };
        } else if full {
            let widest = window.widest.max(rate);
            self.window = Window { start: Some(now), widest, ..Window::default() };
            if elapsed < 5.0 {
                self.learn(rate, mw, drift);
            }
        }
    }

    /// Corrects the line by one window: mean work rate and its drift within the window (steps per second), and mean power (mW).
    fn learn(&mut self, rate: f64, mw: f64, drift: f64) {
        let line = self.model.get_or_insert_with(|| {
            // Before anything is known: half of the draw is not ours, give or take as much.
            let e = 0.5 * mw / rate.max(1e-3);
            Line { p0: 0.5 * mw, e, cov: [(0.5 * mw).powi(2), 0.0, e.powi(2)] }
        });
        if rate > 0.0 {
            self.windows = self.windows.saturating_add(1);
        }
        let [mut pp, mut pe, mut ee] = line.cov;
        pp += (0.004 * mw).powi(2);
        ee += (0.03 * line.e).powi(2);
        // A sensor lags by part of a window: what the work drifted by, its watts may not show yet, or show still.
        let noise = (0.006 * mw).powi(2) + (LAG * line.e * drift).powi(2);
        let innovation = mw - (line.p0 + line.e * rate);
        let spread = |pp: f64, pe: f64, ee: f64| pp + 2.0 * rate * pe + rate * rate * ee + noise;
        if innovation * innovation > 4.0 * spread(pp, pe, ee) {
            // Somebody else began or stopped drawing power, or a step got dearer: believe the former more, but leave room for
            // the latter, or a wrong e would make the loop swing.
            pp += innovation * innovation;
            ee += (0.7 * innovation / rate.max(1.0)).powi(2);
        }
        let s = spread(pp, pe, ee);
        let (gain_p, gain_e) = ((pp + rate * pe) / s, (pe + rate * ee) / s);
        line.p0 += gain_p * innovation;
        line.e += gain_e * innovation;
        let (row_p, row_e) = (pp + rate * pe, pe + rate * ee);
        (pp, pe, ee) = (pp - gain_p * row_p, pe - gain_p * row_e, ee - gain_e * row_e);
        // What is not exercised is not known, but it is not unknown without bounds either.
        let shrink = |var: f64, bound: f64| if var > bound { bound / var } else { 1.0 };
        let (by_p, by_e) = (shrink(pp, (0.5 * mw).powi(2)), shrink(ee, (1.5 * line.e).powi(2)));
        line.cov = [pp.max(1e-9) * by_p, pe * (by_p * by_e).sqrt(), ee.max(1e-12) * by_e];
        // Our share of the draw lies between a twentieth and all of it.
        let whole = mw / rate.max(1e-3);
        line.e = line.e.clamp(0.05 * whole, whole);
        line.p0 = line.p0.clamp(0.0, mw);
    }

    /// What the loop knows its watts from at `now`.
    pub fn sight(&self, now: Duration, energy: Option<&EnergyModel>) -> Sight {
        let silence = self.sampled.map(|last| now.saturating_sub(last));
        match silence {
            Some(silence) if silence <= SILENT => Sight::Measured,
            Some(silence) if silence <= LOST && self.model.is_some() => Sight::Coasting,
            _ if energy.is_some() => Sight::Modelled,
            _ => Sight::Blind,
        }
    }

    /// The work, in steps per second, that `budget_mw` allows at `now`; `None` when nothing is known.
    pub fn affords(&self, now: Duration, budget_mw: f64, energy: Option<&EnergyModel>) -> Option<f64> {
        match (self.sight(now, energy), &self.model, energy) {
            (Sight::Measured | Sight::Coasting, Some(line), _) => {
                let rate = ((AIM * budget_mw - line.p0) / line.e).max(0.0);
                // Two points make a line: until then, and beyond three times what was ever seen, go there in steps.
                let leap = if self.windows < 2 { 2.0 } else { 3.0 };
                // One point does not say how much of the draw is ours: a quarter of its work teaches more than none.
                let least = if self.windows == 1 { 0.25 * self.window.widest } else { 0.0 };
                Some(if self.windows == 0 { 0.0 } else { rate.clamp(least, leap * self.window.widest.max(1e-3)) })
            }
            // A sensor answers but no window is full yet: begin with the least work.
            (Sight::Measured, None, _) => Some(0.0),
            (Sight::Modelled, _, Some(energy)) => {
                // Dynamic power falls with voltage squared, and voltage about with frequency.
                let scale = match self.clock_hz {
                    Some(hz) if energy.at_clock_hz > 0 => (hz / energy.at_clock_hz as f64).powi(2).clamp(0.05, 4.0),
                    _ => 1.0,
                };
                Some(((AIM * budget_mw - f64::from(energy.idle_mw)) / (f64::from(energy.step_mj).max(1e-6) * scale)).max(0.0))
            }
            _ => None,
        }
    }

    /// True until the first full window: the least work is done, but no frame is skipped.
    pub fn starting(&self) -> bool {
        self.windows == 0
    }

    /// P0 in mW and e in mJ per step, once known.
    pub fn line(&self) -> Option<(f64, f64)> {
        self.model.as_ref().map(|line| (line.p0, line.e))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Runs the loop on a board `P = p0 + e w` that obeys it at once, and returns the power of every second.
    fn settle(p0: impl Fn(u64) -> f64, e: f64, budget: f64, seconds: u64) -> Vec<f64> {
        let mut power = PowerLoop::new();
        let mut trace = Vec::new();
        for ms in (0..seconds * 1000).step_by(50) {
            let now = Duration::from_millis(ms);
            let rate = power.affords(now, budget, None).unwrap_or(0.0).clamp(60.0, 600.0);
            let mw = p0(ms) + e * rate;
            power.sample(now, Some(mw as f32), None);
            power.worked(now, rate * 0.05);
            if ms % 1000 == 0 {
                trace.push(mw);
            }
        }
        trace
    }

    #[test]
    fn power_comes_within_5_percent_of_the_budget_within_5_seconds_and_never_overshoots() {
        for (p0, e) in [(1000.0, 30.0), (4000.0, 20.0), (6000.0, 10.0)] {
            let trace = settle(|_| p0, e, 10_000.0, 30);
            assert!(trace[5..].iter().all(|mw| (9_500.0..=10_000.0).contains(mw)), "{p0} {e}: {trace:?}");
            assert!(trace.iter().all(|mw| *mw < 11_000.0), "{p0} {e}: {trace:?}");
        }
    }

    #[test]
    fn another_load_is_made_room_for_within_two_seconds() {
        let trace = settle(|ms| if ms < 15_300 { 3000.0 } else { 5500.0 }, 20.0, 10_000.0, 30);
        assert!(trace[18..].iter().all(|mw| *mw < 10_300.0), "{trace:?}");
        assert!(trace[22..].iter().all(|mw| (9_500.0..=10_000.0).contains(mw)), "{trace:?}");
    }

    #[test]
    fn a_silent_sensor_is_coasted_over_and_then_given_up() {
        let mut power = PowerLoop::new();
        for ms in (0..5000).step_by(50) {
            power.sample(Duration::from_millis(ms), Some(8000.0), None);
            power.worked(Duration::from_millis(ms), 5.0);
        }
        let at = |s: u64| Duration::from_secs(s);
        assert_eq!(power.sight(at(5), None), Sight::Measured);
        assert_eq!(power.sight(at(9), None), Sight::Coasting);
        assert!(power.affords(at(9), 10_000.0, None).is_some());
        assert_eq!(power.sight(at(16), None), Sight::Blind);
        assert_eq!(power.affords(at(16), 10_000.0, None), None);
    }

    #[test]
    fn an_energy_model_stands_in_for_a_sensor_and_follows_the_clock() {
        let energy = EnergyModel { idle_mw: 4000, step_mj: 20.0, at_clock_hz: 1_000_000_000 };
        let mut power = PowerLoop::new();
        let afforded = |power: &PowerLoop| power.affords(Duration::ZERO, 10_000.0, Some(&energy)).unwrap();
        let whole = (AIM * 10_000.0 - 4000.0) / 20.0;
        assert!((afforded(&power) - whole).abs() < 0.1);
        power.sample(Duration::ZERO, None, Some(500_000_000));
        assert!((afforded(&power) - 4.0 * whole).abs() < 0.5);
    }
}
