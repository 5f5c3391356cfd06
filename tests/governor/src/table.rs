//! The table of all scenarios.

use std::fmt::Write;

use crate::baselines::{Best, Family, best};
use crate::governed::Governed;
use crate::oracle;
use crate::scenario::Scenario;
use crate::score::{Score, score};
use crate::world::{World, run};

/// Everything measured on one scenario.
pub struct Verdict {
    /// The scenario.
    pub scenario: Scenario,
    /// The governor's run.
    pub run: World,
    /// The governor's measures.
    pub governor: Score,
    /// The oracle's measures.
    pub oracle: Score,
    /// Each family's best at equal misses and equal energy.
    pub baselines: Vec<(Family, Best)>,
}

/// Runs a scenario under the governor, the oracle and every setting of every baseline.
pub fn judge(scenario: &Scenario) -> Verdict {
    let world = run(scenario, &mut Governed(scenario.governor()));
    let governor = score(scenario, &world);
    let baselines = Family::ALL.map(|family| (family, best(family, scenario, governor.misses, governor.watts))).into();
    Verdict { scenario: scenario.clone(), governor, oracle: score(scenario, &oracle::run(scenario)), baselines, run: world }
}

fn line(out: &mut String, name: &str, setting: &str, score: &Score, oracle: &Score, note: &str) {
    let _ = writeln!(
        out,
        "  {name:<14} {setting:<20} {:>6.2} {:>6.1} {:>7.2} {:>6.1} {:>6.2} {:>7.2} {:>6.1} {:>7.1} {:>7.1} {:>7.1}  {note}",
        100.0 * score.accuracy,
        100.0 * score.accuracy / oracle.accuracy,
        100.0 * score.misses,
        100.0 * score.unanswered,
        score.steps,
        score.watts,
        score.above_s,
        100.0 * score.astray,
        100.0 * score.excess,
        score.hottest,
    );
}

/// The table of some verdicts.
pub fn table(verdicts: &[Verdict]) -> String {
    let mut out = String::from(
        "Accuracy in % and as % of the oracle's; misses and unanswered frames in %; steps of an answered frame; mean watts after 5 s; longest time more than 10 %\n\
         above the power budget; worst 3 s mean off the power budget while power binds, and worst above it at all, in %; hottest. Baselines: best setting with hindsight at equal misses and energy.\n",
    );
    for verdict in verdicts {
        let scenario = &verdict.scenario;
        let budget = &scenario.budget;
        let parts = [budget.deadline.map(|d| d.to_string()), budget.power.map(|p| p.to_string()), budget.temp.map(|t| t.to_string())];
        let parts: Vec<String> = parts.into_iter().flatten().collect();
        let _ = writeln!(out, "\n{}: {}; {}; {}", scenario.name, scenario.about, scenario.board.name, parts.join(" "));
        let _ = writeln!(
            out,
            "  {:<14} {:<20} {:>6} {:>6} {:>7} {:>6} {:>6} {:>7} {:>6} {:>7} {:>7} {:>7}",
            "", "", "acc", "of or.", "misses", "unans", "steps", "watts", "above", "astray", "excess", "hot"
        );
        line(&mut out, "oracle", "", &verdict.oracle, &verdict.oracle, "");
        let kept = if verdict.governor.kept(scenario) { "" } else { "BUDGET NOT KEPT" };
        line(&mut out, "governor", "", &verdict.governor, &verdict.oracle, kept);
        for (family, best) in &verdict.baselines {
            let note = match (best.equal, best.score.accuracy < verdict.governor.accuracy) {
                (false, _) => "no setting at equal misses and energy".to_owned(),
                (true, true) => String::new(),
                (true, false) => format!("above the governor by {:.2}", 100.0 * (best.score.accuracy - verdict.governor.accuracy)),
            };
            line(&mut out, &family.to_string(), &best.setting, &best.score, &verdict.oracle, &note);
        }
    }
    out
}
