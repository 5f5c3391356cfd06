//! The stretch of time over which work and watts are compared.

use std::time::Duration;

/// Watts and work side by side.
#[derive(Clone, Debug, Default)]
pub struct Window {
    /// When it began.
    pub start: Option<Duration>,
    /// When measuring began, at a frame's end.
    pub mark: Option<Duration>,
    /// Work done since the mark, in steps.
    pub work: f64,
    /// The part of it that was done in the first half.
    pub early: Part,
    /// What was done while the board settled, before measuring began.
    pub before: Part,
    /// Sum of the samples since the mark, in mW.
    pub sum_mw: f64,
    /// How many there were.
    pub samples: u32,
    /// Frames since the mark.
    pub frames: u32,
    /// It stands for one that was thrown away.
    pub anew: bool,
    /// The largest mean work rate so far: how far out the line has been seen.
    pub widest: f64,
}

/// What was done in a part of a window.
#[derive(Clone, Copy, Debug, Default)]
pub struct Part {
    /// Work, in steps.
    pub work: f64,
    /// Frames it was done for.
    pub frames: u32,
}

impl Part {
    fn mean(&self) -> Option<f64> {
        (self.frames > 0).then(|| self.work / f64::from(self.frames))
    }
}

impl Window {
    /// By how many steps per second the work changed within the window of `elapsed` seconds, or since just before it.
    pub fn drift(&self, elapsed: f64) -> f64 {
        let later = Part { work: self.work - self.early.work, frames: self.frames - self.early.frames };
        let whole = Part { work: self.work, frames: self.frames };
        // By frame, not by second: how many frames fall into a part is chance.
        let change = |before: Part, after: Part| before.mean().zip(after.mean()).map_or(0.0, |(before, after)| (after - before).abs());
        change(self.early, later).max(change(self.before, whole)) * f64::from(self.frames) / elapsed.max(1e-3)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn window(before: f64, early: f64, late: f64) -> Window {
        let part = |work: f64| Part { work: work * 6.0, frames: 6 };
        Window { before: part(before), early: part(early), work: (early + late) * 6.0, frames: 12, ..Window::default() }
    }

    #[test]
    fn steady_work_does_not_drift() {
        assert_eq!(window(3.0, 3.0, 3.0).drift(0.6), 0.0);
    }

    #[test]
    fn work_that_changed_within_the_window_or_just_before_it_drifts() {
        // Twelve frames in 0.6 s: one step a frame more is 20 steps a second.
        assert!((window(3.0, 3.0, 4.0).drift(0.6) - 20.0).abs() < 1e-9);
        assert!((window(3.0, 4.0, 4.0).drift(0.6) - 20.0).abs() < 1e-9);
    }

    #[test]
    fn an_empty_window_does_not_drift() {
        assert_eq!(Window::default().drift(0.0), 0.0);
    }
}
