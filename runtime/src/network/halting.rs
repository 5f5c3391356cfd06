//! Halting rules as data: when has the hidden state stopped moving?
//!
//! A rule is executed by the engine, on the CPU or on the device, so it is plain numbers and no callback.

use std::fmt;
use std::str::FromStr;

use crate::outcome::{MAX_STEPS, Stop};

/// How far apart two hidden states `a` (before) and `b` (after a step) are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Metric {
    /// `||b - a||2 / ||b||2`
    RelativeL2,
    /// `||b - a||1 / ||b||1`
    RelativeL1,
    /// `1 - <a, b> / (||a||2 ||b||2)`
    Cosine,
}

/// Sums over one step from which every [`Metric`] follows, so that one pass over the state serves all.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Moments {
    /// `sum (b - a)^2`
    pub diff_sq: f64,
    /// `sum |b - a|`
    pub diff_abs: f64,
    /// `sum b^2`
    pub after_sq: f64,
    /// `sum |b|`
    pub after_abs: f64,
    /// `sum a^2`
    pub before_sq: f64,
    /// `sum a b`
    pub dot: f64,
}

impl Moments {
    /// The moments of two equally long states, in one pass. O(len).
    pub fn between(before: &[f32], after: &[f32]) -> Moments {
        const LANES: usize = 16;
        let mut total = Moments::default();
        // Short blocks in f32 lanes vectorise; the f64 totals keep long sums exact enough.
        for (a, b) in before.chunks(4096).zip(after.chunks(4096)) {
            let mut lanes = [[0f32; LANES]; 6];
            let (a_body, a_tail) = a.as_chunks::<LANES>();
            let (b_body, b_tail) = b.as_chunks::<LANES>();
            for (a, b) in a_body.iter().zip(b_body) {
                for i in 0..LANES {
                    let d = b[i] - a[i];
                    lanes[0][i] += d * d;
                    lanes[1][i] += d.abs();
                    lanes[2][i] += b[i] * b[i];
                    lanes[3][i] += b[i].abs();
                    lanes[4][i] += a[i] * a[i];
                    lanes[5][i] += a[i] * b[i];
                }
            }
            for (&a, &b) in a_tail.iter().zip(b_tail) {
                let d = b - a;
                for (lane, value) in lanes.iter_mut().zip([d * d, d.abs(), b * b, b.abs(), a * a, a * b]) {
                    lane[0] += value;
                }
            }
            let sums = lanes.map(|lane| lane.iter().map(|&x| f64::from(x)).sum::<f64>());
            total +=
                Moments { diff_sq: sums[0], diff_abs: sums[1], after_sq: sums[2], after_abs: sums[3], before_sq: sums[4], dot: sums[5] };
        }
        total
    }

    /// The distance these sums amount to; 0 for two zero states, infinite where the sums are not finite.
    pub fn distance(&self, metric: Metric) -> f32 {
        let ratio = |num: f64, den: f64| if num == 0.0 { 0.0 } else { num / den };
        let distance = match metric {
            Metric::RelativeL2 => ratio(self.diff_sq, self.after_sq).sqrt(),
            Metric::RelativeL1 => ratio(self.diff_abs, self.after_abs),
            Metric::Cosine if self.diff_sq == 0.0 => 0.0,
            // `clamp` keeps a NaN (one state is zero: no angle), where `max` would turn it into 0, which means "has not moved".
            Metric::Cosine => (1.0 - self.dot / (self.before_sq * self.after_sq).sqrt()).clamp(0.0, 2.0),
        };
        if distance.is_nan() { f32::INFINITY } else { distance as f32 }
    }
}

impl std::ops::AddAssign for Moments {
    fn add_assign(&mut self, other: Moments) {
        self.diff_sq += other.diff_sq;
        self.diff_abs += other.diff_abs;
        self.after_sq += other.after_sq;
        self.after_abs += other.after_abs;
        self.before_sq += other.before_sq;
        self.dot += other.dot;
    }
}

/// When to stop stepping on one frame.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct HaltingRule {
    /// The distance in which movement is measured (and reported, also where `threshold` is `None`).
    pub metric: Metric,
    /// Stop once a step moved the state by less than this; `None` never stops early.
    pub threshold: Option<f32>,
    /// On a carried state: if the first step moved it by more than this, the frame takes the slow path.
    pub surprise: Option<f32>,
    /// Take no step when the drive moved by less than this (relative L2) since the last frame that was stepped.
    pub zero: Option<f32>,
    /// Steps taken at least, unless the frame takes none at all.
    pub min: u32,
    /// Steps taken at most on a state carried over from the last frame.
    pub fast: u32,
    /// Steps taken at most after a reset, a cut or a surprise.
    pub slow: u32,
}

/// Whether the slow or the fast cap holds for a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Path {
    /// After a reset or a surprise.
    Slow,
    /// On a carried state.
    Fast,
}

impl HaltingRule {
    /// Always `steps` steps.
    pub fn fixed(steps: u32) -> HaltingRule {
        HaltingRule { threshold: None, surprise: None, zero: None, ..HaltingRule::halting(Metric::RelativeL2, 0.0, steps) }
    }

    /// `slow` steps after a reset and `fast` steps on a carried state: the seed's schedule.
    pub fn slow_fast(slow: u32, fast: u32) -> HaltingRule {
        HaltingRule { slow, fast, ..HaltingRule::fixed(slow) }
    }

    /// Steps until `metric` falls below `threshold`, at most `max` of them.
    pub fn halting(metric: Metric, threshold: f32, max: u32) -> HaltingRule {
        HaltingRule { metric, threshold: Some(threshold), surprise: None, zero: None, min: 1, fast: max, slow: max }
    }

    /// The most steps a frame on `path` may take when the governor allows `limit`.
    pub fn cap(&self, path: Path, limit: u32) -> u32 {
        let cap = if path == Path::Slow { self.slow } else { self.fast };
        cap.min(limit).min(MAX_STEPS as u32)
    }

    /// Whether a frame whose drive moved by `drive_distance` needs no step at all.
    pub fn rests(&self, path: Path, drive_distance: f32) -> bool {
        path == Path::Fast && self.zero.is_some_and(|zero| drive_distance < zero)
    }

    /// The path of a carried frame after its first step moved the state by `distance`.
    pub fn path_after_first(&self, path: Path, distance: f32) -> Path {
        if self.surprise.is_some_and(|surprise| distance > surprise) { Path::Slow } else { path }
    }

    /// Whether to stop after `steps` steps, the last of which moved the state by `distance`; `cap` as [`HaltingRule::cap`] gave it.
    pub fn decide(&self, path: Path, cap: u32, steps: u32, distance: f32) -> Option<Stop> {
        let still = self.threshold.is_some_and(|threshold| distance < threshold);
        if still && steps >= self.min {
            Some(Stop::Halted)
        } else if steps >= cap {
            Some(if path == Path::Slow { Stop::Reset } else { Stop::Limit })
        } else {
            None
        }
    }
}

/// What a user writes after `--halt`: a rule in full, or the one the model carries.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum RuleName {
    /// `model`: the calibrated rule of model.toml.
    Model,
    /// `fixed:N`
    Fixed(u32),
    /// `slow-fast:S,F`
    SlowFast(u32, u32),
    /// `relative-l2:EPS`, `relative-l1:EPS`, `cosine:EPS`; the step range is the model's.
    Halting(Metric, f32),
}

/// A halting rule that could not be read.
#[derive(Debug, thiserror::Error, PartialEq)]
#[error("halting rule '{given}': {reason}; write model, fixed:N, slow-fast:S,F, relative-l2:EPS, relative-l1:EPS or cosine:EPS")]
pub struct RuleError {
    given: String,
    reason: String,
}

impl FromStr for RuleName {
    type Err = RuleError;

    fn from_str(given: &str) -> Result<RuleName, RuleError> {
        let error = |reason: String| RuleError { given: given.to_owned(), reason };
        let steps = |text: &str| match text.parse::<u32>() {
            Ok(n) if (1..=MAX_STEPS as u32).contains(&n) => Ok(n),
            _ => Err(error(format!("'{text}' is no step count from 1 to {MAX_STEPS}"))),
        };
        let threshold = |text: &str| match text.parse::<f32>() {
            Ok(x) if x.is_finite() && x >= 0.0 => Ok(x),
            _ => Err(error(format!("'{text}' is no threshold (a number of 0 or more)"))),
        };
        match given.split_once(':') {
            None if given == "model" => Ok(RuleName::Model),
            Some(("fixed", n)) => Ok(RuleName::Fixed(steps(n)?)),
            Some(("slow-fast", pair)) => {
                let (slow, fast) = pair.split_once(',').ok_or_else(|| error("two step counts are needed".into()))?;
                Ok(RuleName::SlowFast(steps(slow)?, steps(fast)?))
            }
            Some((name, eps)) => {
                Ok(RuleName::Halting(name.parse().map_err(|()| error(format!("no rule is called '{name}'")))?, threshold(eps)?))
            }
            None => Err(error("no such rule".into())),
        }
    }
}

impl fmt::Display for RuleName {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RuleName::Model => out.write_str("model"),
            RuleName::Fixed(n) => write!(out, "fixed:{n}"),
            RuleName::SlowFast(slow, fast) => write!(out, "slow-fast:{slow},{fast}"),
            RuleName::Halting(metric, eps) => write!(out, "{metric}:{eps}"),
        }
    }
}

impl FromStr for Metric {
    type Err = ();

    fn from_str(name: &str) -> Result<Metric, ()> {
        match name {
            "relative-l2" => Ok(Metric::RelativeL2),
            "relative-l1" => Ok(Metric::RelativeL1),
            "cosine" => Ok(Metric::Cosine),
            _ => Err(()),
        }
    }
}

impl fmt::Display for Metric {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Metric::RelativeL2 => "relative-l2",
            Metric::RelativeL1 => "relative-l1",
            Metric::Cosine => "cosine",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances_follow_their_definitions() {
        let moments = Moments::between(&[1.0, 0.0, 2.0], &[1.0, 2.0, 4.0]);
        assert!((moments.distance(Metric::RelativeL2) - (8f32 / 21.0).sqrt()).abs() < 1e-6);
        assert!((moments.distance(Metric::RelativeL1) - 4.0 / 7.0).abs() < 1e-6);
        assert!((moments.distance(Metric::Cosine) - (1.0 - 9.0 / (5f32 * 21.0).sqrt())).abs() < 1e-6);
    }

    #[test]
    fn two_empty_states_have_not_moved_and_a_broken_one_has_moved_for_ever() {
        assert_eq!(Moments::between(&[0.0; 40], &[0.0; 40]).distance(Metric::Cosine), 0.0);
        assert_eq!(Moments::between(&[1.0], &[f32::NAN]).distance(Metric::RelativeL2), f32::INFINITY);
    }

    #[test]
    fn a_first_step_from_zero_has_moved_in_every_metric() {
        for metric in [Metric::RelativeL2, Metric::RelativeL1, Metric::Cosine] {
            assert!(Moments::between(&[0.0; 3], &[1.0, 2.0, 3.0]).distance(metric) >= 1.0, "{metric}");
        }
    }

    #[test]
    fn a_rule_halts_at_its_threshold_but_not_before_its_minimum() {
        let rule = HaltingRule { min: 2, ..HaltingRule::halting(Metric::RelativeL2, 0.1, 8) };
        assert_eq!(rule.decide(Path::Fast, 8, 1, 0.05), None);
        assert_eq!(rule.decide(Path::Fast, 8, 2, 0.05), Some(Stop::Halted));
        assert_eq!(rule.decide(Path::Fast, 8, 8, 0.5), Some(Stop::Limit));
        assert_eq!(rule.decide(Path::Slow, 8, 8, 0.5), Some(Stop::Reset));
    }

    #[test]
    fn the_governor_can_only_lower_the_cap() {
        let rule = HaltingRule::slow_fast(6, 1);
        assert_eq!(rule.cap(Path::Slow, 64), 6);
        assert_eq!(rule.cap(Path::Slow, 3), 3);
        assert_eq!(rule.cap(Path::Fast, 64), 1);
    }

    #[test]
    fn rules_read_back_as_they_are_written() {
        for text in ["model", "fixed:6", "slow-fast:6,1", "relative-l2:0.02", "relative-l1:0.5", "cosine:0.001"] {
            assert_eq!(text.parse::<RuleName>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn a_wrong_rule_is_named_with_what_would_be_right() {
        for text in ["", "fixed", "fixed:0", "fixed:65", "fixed:x", "slow-fast:6", "relative-l2:-1", "relative-l2:nan", "warp:9"] {
            let message = text.parse::<RuleName>().unwrap_err().to_string();
            assert!(message.contains(text) && message.contains("relative-l2:EPS"), "{message}");
        }
    }
}
