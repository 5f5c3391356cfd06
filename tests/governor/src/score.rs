//! What a run is judged by.

use recslowfast::pace::LimitReason;

use crate::scenario::Scenario;
use crate::world::World;

/// The measures of one run.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Score {
    /// Mean accuracy over all frames of the camera after the first second, answered or not.
    pub accuracy: f64,
    /// Share of frames that had no answer of their own by the deadline (late, skipped or dropped), after the first second; 0 without
    /// a deadline.
    pub misses: f64,
    /// Share of frames without an answer of their own.
    pub unanswered: f64,
    /// Mean steps of an answered frame.
    pub steps: f64,
    /// Mean draw after 5 s, in W.
    pub watts: f64,
    /// Longest time the draw (mean of half a second) stood more than 10 % above the budget, in seconds.
    pub above_s: f64,
    /// Where power bound and 5 s had passed since the last change: how far the mean of 3 s strayed from the budget at worst, as a share.
    pub astray: f64,
    /// 5 s after the last change: the worst mean of 3 s above the budget, whatever bound, as a share; 0 when never above.
    pub excess: f64,
    /// Hottest die temperature, in C.
    pub hottest: f64,
}

/// Whether the sensors have been silent for longer than the governor coasts, or came back less than 5 s ago.
fn blind(scenario: &Scenario, t: f64) -> bool {
    scenario.around.silences.iter().any(|&(from, to)| to - from > 10.0 && t > from + 10.0 && t < to + 5.0)
}

/// The measures of `world` after a run of `scenario`.
pub fn score(scenario: &Scenario, world: &World) -> Score {
    let counted: Vec<_> = world.fates.iter().filter(|fate| fate.captured >= 1.0).collect();
    let answered: Vec<_> = counted.iter().filter(|fate| fate.answered).collect();
    let share = |part: usize, whole: usize| part as f64 / whole.max(1) as f64;
    let watts = &world.plant.watts;
    let mean = |slice: &[f64]| slice.iter().sum::<f64>() / slice.len().max(1) as f64;

    let (mut above_s, mut above) = (0.0f64, 0.0f64);
    let (mut astray, mut excess) = (0.0f64, 0.0f64);
    if let Some(budget) = scenario.watts() {
        for (i, window) in watts.windows(5).enumerate() {
            let t = (i + 5) as f64 * 0.1;
            above = if mean(window) > 1.10 * budget && !blind(scenario, t) { above + 0.1 } else { 0.0 };
            above_s = above_s.max(above);
        }
        for (i, window) in watts.windows(30).enumerate() {
            let (from, to) = (i as f64 * 0.1, (i + 30) as f64 * 0.1);
            let settled = from - scenario.last_change(to) >= 5.0 && !blind(scenario, from) && !blind(scenario, to);
            let during = || world.fates.iter().filter(|fate| fate.captured >= from - 0.1 && fate.captured < to);
            let bound = settled
                && during().filter(|fate| fate.answered || fate.reason == LimitReason::Power).all(|fate| fate.reason == LimitReason::Power);
            let off = mean(window) / budget - 1.0;
            if bound && off.abs() > astray.abs() {
                astray = off;
            }
            if settled {
                excess = excess.max(off);
            }
        }
    }
    Score {
        accuracy: mean(&counted.iter().map(|fate| fate.accuracy).collect::<Vec<_>>()),
        misses: share(
            counted.iter().filter(|fate| scenario.budget.deadline.is_some() && (fate.late || !fate.answered)).count(),
            counted.len(),
        ),
        unanswered: share(counted.len() - answered.len(), counted.len()),
        steps: mean(&answered.iter().map(|fate| f64::from(fate.steps)).collect::<Vec<_>>()),
        watts: mean(&watts[50.min(watts.len())..]),
        above_s,
        astray,
        excess,
        hottest: world.plant.degrees.iter().copied().fold(0.0, f64::max),
    }
}

impl Score {
    /// Whether the budget was kept: misses at most 1 %; never more than 10 % above the watts for more than 2 s, never more than 5 % for 3 s once 5 s have passed since the
    /// last change, and not above them on average; at most 1 degree too hot.
    pub fn kept(&self, scenario: &Scenario) -> bool {
        self.misses <= 0.01
            && self.above_s <= 2.0
            && self.excess <= 0.05
            && scenario.watts().is_none_or(|watts| self.watts <= 1.01 * watts)
            && scenario.degrees().is_none_or(|limit| self.hottest <= limit + 1.0)
    }
}
