//! Halting rules as data: when has the hidden state stopped moving?
//!
//! A rule is executed by the engine, on the CPU or on the device, so it is plain numbers and no callback.
//!
//! Two kinds of stopping are known. With a `threshold` alone a frame is stepped until a step moves the state by less than that. With `wake` beside it
//! the rule is *floor*: while a scene drifts, one step a frame keeps up, and every frame's first step moves the state by about the same amount, the
//! scene's floor; only a first step well above it (the network changes its mind) wakes the rule, which then steps on until the state has settled
//! below `threshold`. The floor is tracked as a slowly rising minimum, as noise floors are (minimum statistics, Martin 2001), and the pair of
//! thresholds is a Schmitt trigger.

mod distance;
mod named;

pub use distance::{Metric, Moments};
pub use named::{Base, Changes, RuleError, RuleName};

use crate::outcome::{MAX_STEPS, StopReason};

/// When to stop stepping on one frame.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct HaltingRule {
    /// The distance in which movement is measured (and reported, also where `threshold` is `None`).
    pub metric: Metric,
    /// Stop once a step moved the state by less than this; `None` never stops early.
    pub threshold: Option<f32>,
    /// On a carried state: stop after the first step if the square of its movement, over the floor, is at most this; `threshold` judges later steps only.
    pub wake: Option<f32>,
    /// The floor that a frame on the slow path leaves behind; above 0. Read only where there is `wake`.
    pub floor: f32,
    /// On a carried state: if the first step moved it by more than this, the frame takes the slow path.
    pub surprise: Option<f32>,
    /// On a carried state: take the slow path, from the first step on, when the drive moved by more than this (relative L2) since the last frame that was stepped.
    pub cut: Option<f32>,
    /// Take no step when the drive moved by less than this (relative L2) since the last frame that was stepped.
    pub zero: Option<f32>,
    /// Steps taken at least, unless the frame takes none at all.
    pub min: u32,
    /// Steps taken at most on a state carried over from the last frame.
    pub fast: u32,
    /// Steps taken at most after a reset, a cut or a surprise.
    pub slow: u32,
}

/// How fast the floor rises from one stepped frame to the next while the state moves more than that.
pub const FLOOR_RISE: f32 = 1.02;
/// The lowest the floor sinks, in parts of [`HaltingRule::floor`]: a scene that stood still must not make every later movement an alarm.
pub const FLOOR_LEAST: f32 = 0.25;

/// Whether the slow or the fast cap holds for a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Path {
    /// After a reset, a cut or a surprise.
    Slow,
    /// On a carried state.
    Fast,
}

impl HaltingRule {
    /// Always `steps` steps.
    pub fn fixed(steps: u32) -> HaltingRule {
        HaltingRule {
            metric: Metric::RelativeL2,
            threshold: None,
            wake: None,
            floor: 1.0,
            surprise: None,
            cut: None,
            zero: None,
            min: 1,
            fast: steps,
            slow: steps,
        }
    }

    /// `slow` steps after a reset and `fast` steps on a carried state: the seed's schedule.
    pub fn slow_fast(slow: u32, fast: u32) -> HaltingRule {
        HaltingRule { fast, ..HaltingRule::fixed(slow) }
    }

    /// Steps until `metric` falls below `threshold`, at most `max` of them.
    pub fn halting(metric: Metric, threshold: f32, max: u32) -> HaltingRule {
        HaltingRule { metric, threshold: Some(threshold), ..HaltingRule::fixed(max) }
    }

    /// One step on a carried state that moves about as it always does; otherwise steps until `metric` falls below `settle`.
    pub fn floor(metric: Metric, wake: f32, settle: f32, floor: f32, max: u32) -> HaltingRule {
        HaltingRule { wake: Some(wake), floor, ..HaltingRule::halting(metric, settle, max) }
    }

    /// The most steps a frame on `path` may take when the governor allows `limit`.
    pub fn cap(&self, path: Path, limit: u32) -> u32 {
        let cap = if path == Path::Slow { self.slow } else { self.fast };
        cap.min(limit).min(MAX_STEPS as u32)
    }

    /// The path of a frame whose drive moved by `drive_distance`: a carried state takes the slow one after a cut.
    pub fn path_before_first(&self, path: Path, drive_distance: f32) -> Path {
        if self.cut.is_some_and(|cut| drive_distance > cut) { Path::Slow } else { path }
    }

    /// Whether a frame whose drive moved by `drive_distance` needs no step at all.
    pub fn rests(&self, path: Path, drive_distance: f32) -> bool {
        path == Path::Fast && self.zero.is_some_and(|zero| drive_distance < zero)
    }

    /// The path of a carried frame after its first step moved the state by `distance`.
    pub fn path_after_first(&self, path: Path, distance: f32) -> Path {
        if self.surprise.is_some_and(|surprise| distance > surprise) { Path::Slow } else { path }
    }

    /// The floor after a frame on `path` whose first step moved the state by `distance`; `before` is what this gave for the last stepped frame.
    pub fn floor_after_first(&self, path: Path, before: f32, distance: f32) -> f32 {
        match path {
            Path::Slow => self.floor,
            Path::Fast => (before * FLOOR_RISE).min(distance).max(self.floor * FLOOR_LEAST),
        }
    }

    /// Whether to stop after `steps` steps, the last of which moved the state by `distance`; `cap` as [`HaltingRule::cap`] gave it, `floor` as
    /// [`HaltingRule::floor_after_first`].
    pub fn decide(&self, path: Path, cap: u32, steps: u32, distance: f32, floor: f32) -> Option<StopReason> {
        let still = match self.wake {
            Some(wake) if steps == 1 && path == Path::Fast => distance * distance <= wake * floor,
            _ => self.threshold.is_some_and(|threshold| distance < threshold),
        };
        if still && steps >= self.min {
            Some(StopReason::Halted)
        } else if steps >= cap {
            Some(if path == Path::Slow { StopReason::Reset } else { StopReason::Limit })
        } else {
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_halts_at_its_threshold_but_not_before_its_minimum() {
        let rule = HaltingRule { min: 2, ..HaltingRule::halting(Metric::RelativeL2, 0.1, 8) };
        assert_eq!(rule.decide(Path::Fast, 8, 1, 0.05, 1.0), None);
        assert_eq!(rule.decide(Path::Fast, 8, 2, 0.05, 1.0), Some(StopReason::Halted));
        assert_eq!(rule.decide(Path::Fast, 8, 8, 0.5, 1.0), Some(StopReason::Limit));
        assert_eq!(rule.decide(Path::Slow, 8, 8, 0.5, 1.0), Some(StopReason::Reset));
    }

    #[test]
    fn the_governor_can_only_lower_the_cap() {
        let rule = HaltingRule::slow_fast(6, 1);
        assert_eq!(rule.cap(Path::Slow, 64), 6);
        assert_eq!(rule.cap(Path::Slow, 3), 3);
        assert_eq!(rule.cap(Path::Fast, 64), 1);
    }

    #[test]
    fn a_drive_that_jumped_is_a_cut_and_never_rests() {
        let rule = HaltingRule { cut: Some(0.8), zero: Some(0.02), ..HaltingRule::slow_fast(6, 1) };
        assert_eq!(rule.path_before_first(Path::Fast, 1.1), Path::Slow);
        assert_eq!(rule.path_before_first(Path::Fast, 0.8), Path::Fast);
        assert!(rule.rests(Path::Fast, 0.01) && !rule.rests(Path::Slow, 0.01));
        assert_eq!(HaltingRule::fixed(6).path_before_first(Path::Fast, f32::INFINITY), Path::Fast);
    }

    #[test]
    fn a_first_step_that_jumps_takes_the_slow_path() {
        let rule = HaltingRule { surprise: Some(0.2), ..HaltingRule::slow_fast(6, 1) };
        assert_eq!(rule.path_after_first(Path::Fast, 0.3), Path::Slow);
        assert_eq!(rule.path_after_first(Path::Fast, 0.2), Path::Fast);
    }

    #[test]
    fn the_floor_falls_at_once_rises_slowly_and_starts_again_after_a_cut() {
        let rule = HaltingRule::floor(Metric::RelativeL2, 0.05, 0.01, 0.02, 8);
        assert_eq!(rule.floor_after_first(Path::Slow, 7.0, 0.9), 0.02);
        assert_eq!(rule.floor_after_first(Path::Fast, 0.02, 0.012), 0.012);
        assert_eq!(rule.floor_after_first(Path::Fast, 0.012, 0.5), 0.012 * FLOOR_RISE);
        assert_eq!(rule.floor_after_first(Path::Fast, 0.012, 0.0), 0.02 * FLOOR_LEAST);
        assert_eq!(rule.floor_after_first(Path::Fast, 0.012, f32::INFINITY), 0.012 * FLOOR_RISE);
    }

    #[test]
    fn movement_about_the_floor_costs_one_step_and_movement_above_it_is_seen_through() {
        let rule = HaltingRule::floor(Metric::RelativeL2, 0.05, 0.01, 0.02, 8);
        let carried = |steps, distance| rule.decide(Path::Fast, 8, steps, distance, 0.02);
        assert_eq!(carried(1, 0.03), Some(StopReason::Halted), "0.03 is no alarm where 0.02 is usual");
        assert_eq!(carried(1, 0.04), None, "0.04 is");
        assert_eq!((carried(2, 0.03), carried(3, 0.009)), (None, Some(StopReason::Halted)), "awake, it steps until it has settled");
        assert_eq!(rule.decide(Path::Slow, 6, 1, 0.03, 0.02), None, "after a cut there is no usual movement");
        assert_eq!(carried(1, f32::INFINITY), None);
    }

    #[test]
    fn a_state_that_does_not_move_at_all_never_wakes() {
        let rule = HaltingRule::floor(Metric::Cosine, 0.0, 0.0, 1e-3, 8);
        assert_eq!(rule.decide(Path::Fast, 8, 1, 0.0, 1e-3), Some(StopReason::Halted));
    }
}
