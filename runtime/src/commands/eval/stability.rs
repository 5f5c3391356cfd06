//! Does accuracy last? Over many steps on one frame, and over many frames with the state carried.

use std::fmt::Write;
use std::ops::RangeInclusive;

use serde::Serialize;

use super::lane::{CutSource, Lane};
use super::score::Score;
use super::table::{Model, Row};
use super::videos::{Clip, Truth};
use crate::network::halting::HaltingRule;
use crate::service::exit::Failure;

/// Numbers of steps that are scored.
const STEPS: [usize; 11] = [1, 2, 3, 4, 6, 8, 12, 20, 30, 40, 50];
/// Frames that are averaged over, counted from 1, because one frame number of a few videos says little.
const WINDOWS: [RangeInclusive<usize>; 4] = [1..=10, 51..=60, 291..=300, 591..=600];

/// What is found out beside the rows.
#[derive(Serialize)]
pub struct Stability {
    model: String,
    /// IoU of the videos' first frames from a cleared state after so many steps.
    iou_by_steps: Vec<(usize, f64)>,
    /// IoU of `fixed:6` from a cleared state in each of the windows, to hold the carried state against: later frames may be harder in themselves.
    cold_by_window: Vec<(String, f64)>,
}

/// Steps one frame of each video again and again.
pub struct Steps {
    lane: Lane,
    sums: [f64; STEPS.len()],
    videos: u64,
}

impl Steps {
    /// Takes a lane of its own.
    pub fn new(mut lane: Lane) -> Steps {
        lane.begin(HaltingRule::fixed(1), 1);
        Steps { lane, sums: [0.0; STEPS.len()], videos: 0 }
    }

    /// Takes the most steps on the first frame of `clip`, one at a time: the same picture, with the state carried.
    pub fn watch(&mut self, clip: &Clip) -> Result<(), Failure> {
        let most = STEPS[STEPS.len() - 1];
        let still = clip.still(0);
        let Truth::Contour(mask) = &still.truths[0] else { return Ok(()) };
        self.lane.begin(HaltingRule::fixed(1), 2);
        for step in 1..=most {
            let at = usize::from(step > 1);
            let mut iou = 0.0;
            self.lane.watch(&still, 0, at..at + 1, CutSource::Videos, false, |_, _, classes| iou = Score::of(classes, mask).iou)?;
            if let Some(sum) = STEPS.iter().position(|wanted| *wanted == step) {
                self.sums[sum] += iou;
            }
        }
        self.videos += 1;
        Ok(())
    }

    /// What came of it; `cold` has the frames of the windows only.
    pub fn finish(&self, model: &Model, cold: &[f64]) -> Stability {
        let n = self.videos.max(1) as f64;
        Stability {
            model: model.name.clone(),
            iou_by_steps: STEPS.into_iter().zip(self.sums.map(|sum| sum / n)).collect(),
            cold_by_window: windows(cold),
        }
    }
}

/// Whether frame `at` (from 0) lies in a window.
pub fn in_window(at: usize) -> bool {
    WINDOWS.iter().any(|window| window.contains(&(at + 1)))
}

fn windows(by_frame: &[f64]) -> Vec<(String, f64)> {
    let whole = WINDOWS.into_iter().filter(|window| *window.end() <= by_frame.len());
    whole
        .map(|window| {
            let frames = &by_frame[window.start() - 1..*window.end()];
            (format!("{}-{}", window.start(), window.end()), frames.iter().sum::<f64>() / frames.len() as f64)
        })
        .collect()
}

/// Both tables, for people.
pub fn text(stabilities: &[Stability], rows: &[Row]) -> String {
    let mut out = String::new();
    let name = rows.iter().map(|row| row.rule.len() + row.model.len() + 2).max().unwrap_or(0).max(20);
    let mut line = |what: &str, figures: Vec<String>| {
        let figures: String = figures.iter().map(|figure| format!(" {figure:>9}")).collect();
        writeln!(out, "{what:<name$}{figures}").expect("writing to a string cannot fail");
    };
    line("IoU of a first frame after steps", STEPS.iter().map(usize::to_string).collect());
    for stability in stabilities {
        line(&stability.model, stability.iou_by_steps.iter().map(|(_, iou)| format!("{iou:.4}")).collect());
    }
    let figures = |values: Vec<(String, f64)>| values.into_iter().map(|(_, iou)| format!("{iou:.4}")).collect::<Vec<_>>();
    let known = stabilities.first().map_or(Vec::new(), |stability| stability.cold_by_window.iter().map(|(name, _)| name.clone()).collect());
    line("IoU over frames", known);
    for stability in stabilities {
        line(&format!("{}  fixed:6, cleared", stability.model), figures(stability.cold_by_window.clone()));
        for row in rows.iter().filter(|row| row.model == stability.model) {
            line(&format!("{}  {}", row.model, row.rule), figures(windows(&row.iou_by_frame)));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_is_shown_only_whole() {
        let by_frame: Vec<f64> = (1..=60).map(|frame| if frame <= 10 { 0.8 } else { 0.9 }).collect();
        let found = windows(&by_frame);
        assert_eq!(found.len(), 2);
        assert!((found[0].1 - 0.8).abs() < 1e-9 && (found[1].1 - 0.9).abs() < 1e-9);
        assert!(windows(&by_frame[..59]).len() == 1 && in_window(0) && !in_window(10) && in_window(599));
    }
}
