//! What others do, each tuned with hindsight on the very run it is judged on.

mod alert;
mod fixed;
mod reactive;

use std::fmt;

pub use alert::Alert;
pub use fixed::{Capped, Fixed, SkipInterval};
pub use reactive::Reactive;

use crate::policy::Policy;
use crate::scenario::Scenario;
use crate::scene::MAX_STEPS;
use crate::score::{Score, score};
use crate::world::run;

/// The families compared with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// The same number of steps for every frame.
    Fixed,
    /// At most so many steps for every frame, halting by itself.
    Capped,
    /// Every n-th frame, so many steps.
    SkipInterval,
    /// One step less when late or above the watts, one more when there is room.
    Reactive,
    /// ALERT's rule.
    Alert,
}

impl Family {
    /// All of them.
    pub const ALL: [Family; 5] = [Family::Fixed, Family::Capped, Family::SkipInterval, Family::Reactive, Family::Alert];

    /// Every setting that tuning tries.
    pub fn settings(self, scenario: &Scenario) -> Vec<(String, Box<dyn Policy>)> {
        let steps = 1..=MAX_STEPS;
        let boxed = |name: String, policy: Box<dyn Policy>| (name, policy);
        match self {
            Family::Fixed => steps.map(|k| boxed(format!("{k}"), Box::new(Fixed(k)))).collect(),
            Family::Capped => steps.map(|k| boxed(format!("{k}"), Box::new(Capped(k)))).collect(),
            Family::SkipInterval => [2u32, 3, 4, 6, 8, 12]
                .into_iter()
                .flat_map(|n| {
                    (1..=MAX_STEPS).map(move |k| (format!("{k} of every {n}th"), Box::new(SkipInterval::new(n, k)) as Box<dyn Policy>))
                })
                .collect(),
            Family::Reactive => {
                let mut all = Vec::new();
                for high in [0.7, 0.8, 0.9, 0.97] {
                    for low in [0.5, 0.65, 0.8, 0.9] {
                        for calm in [3, 10, 30] {
                            if low < high {
                                all.push(boxed(format!("{low}-{high} after {calm}"), Box::new(Reactive::new(scenario, low, high, calm))));
                            }
                        }
                    }
                }
                all
            }
            Family::Alert => {
                let mut all = Vec::new();
                for confidence in [0.9, 0.95, 0.99, 0.999, 0.99999] {
                    for anytime in [false, true] {
                        for power in [0.9, 0.95, 1.0] {
                            if power == 1.0 || scenario.watts().is_some() {
                                let name = format!("p{}{} x{power}", confidence * 100.0, if anytime { " anytime" } else { "" });
                                all.push(boxed(name, Box::new(Alert::new(scenario, confidence, anytime, power))));
                            }
                        }
                    }
                }
                all
            }
        }
    }
}

impl fmt::Display for Family {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.pad(match self {
            Family::Fixed => "fixed steps",
            Family::Capped => "cap + halting",
            Family::SkipInterval => "skip interval",
            Family::Reactive => "reactive",
            Family::Alert => "ALERT",
        })
    }
}

/// A family's best on a scenario.
#[derive(Clone, Debug)]
pub struct Best {
    /// The setting.
    pub setting: String,
    /// Its measures.
    pub score: Score,
    /// Whether it kept the budget, missed no more and drew no more than was asked of it.
    pub equal: bool,
}

/// The best setting of a family among those that keep the budget, miss no more than `misses` (or 1 %) and draw no more than 1 % above `watts`; where none does, the one that misses and draws least too much, marked as such.
pub fn best(family: Family, scenario: &Scenario, misses: f64, watts: f64) -> Best {
    let mut best: Option<(bool, f64, Best)> = None;
    for (setting, mut policy) in family.settings(scenario) {
        let score = score(scenario, &run(scenario, policy.as_mut()));
        let equal = score.kept(scenario) && score.misses <= misses.max(0.01) && score.watts <= 1.01 * watts;
        let excess = score.misses.max(0.01) + (score.watts / watts - 1.0).max(0.0) + score.above_s / 100.0;
        let merit = if equal { score.accuracy } else { -excess };
        if best.as_ref().is_none_or(|(ok, value, _)| (equal, merit) > (*ok, *value)) {
            best = Some((equal, merit, Best { setting, score, equal }));
        }
    }
    best.expect("every family has settings").2
}
