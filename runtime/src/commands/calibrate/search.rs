//! The rules that are tried, and what becomes of them.

use std::fmt::Write;
use std::str::FromStr;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use indicatif::ProgressBar;
use serde::Serialize;

use super::observe::{self, Movements, rounded};
use crate::commands::eval::lane::{CutSource, Lane};
use crate::commands::eval::score::Scores;
use crate::commands::eval::videos::Clip;
use crate::engine::cpu::threads::Threads;
use crate::network::Network;
use crate::network::halting::{Base, Changes, HaltingRule, Metric, RuleName};
use crate::service::exit::Failure;

/// A family of rules.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Criterion {
    SlowFast,
    Halting(Metric),
    Floor,
}

impl Criterion {
    pub const ALL: [Criterion; 5] = [
        Criterion::SlowFast,
        Criterion::Halting(Metric::RelativeL2),
        Criterion::Halting(Metric::RelativeL1),
        Criterion::Halting(Metric::Cosine),
        Criterion::Floor,
    ];
}

impl std::fmt::Display for Criterion {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Criterion::SlowFast => out.write_str("slow-fast"),
            Criterion::Halting(metric) => metric.fmt(out),
            Criterion::Floor => out.write_str("floor"),
        }
    }
}

impl FromStr for Criterion {
    type Err = String;

    fn from_str(name: &str) -> Result<Criterion, String> {
        let known = || Criterion::ALL.map(|criterion| criterion.to_string());
        let found = Criterion::ALL.into_iter().find(|criterion| criterion.to_string() == name);
        found.ok_or_else(|| format!("no criterion is called '{name}'; known are {}", known().join(", ")))
    }
}

/// A rule that was tried.
#[derive(Clone, Serialize)]
pub struct Found {
    pub criterion: String,
    pub rule: String,
    #[serde(skip)]
    pub name: RuleName,
    /// Steps a frame, averaged over the sources.
    pub mean_steps: f64,
    /// By source.
    pub iou: Vec<f64>,
    pub steps: Vec<f64>,
    /// Points lost against `fixed:6` by source, the most of them, and its standard error.
    pub loss: Vec<f64>,
    pub worst_loss: f64,
    pub error: f64,
    /// Points lost on the frames that scenes begin with, on the source where that is most.
    pub lost_at_first: f64,
    /// On all videos, not on a quarter.
    pub whole: bool,
    /// The best of its criterion.
    pub kept: bool,
}

/// What is searched on.
pub struct Search<'a> {
    pub network: &'a Network,
    pub clips: &'a [Vec<Clip>],
    pub movements: &'a Movements,
    pub loss: f64,
}

/// Points that may be lost on the frames that scenes begin with; a mean over all frames hardly shows them.
const LOST_AT_FIRST: f64 = 2.0;
/// Rules of a criterion that go from the quarter to the whole.
const FINALISTS: usize = 3;
/// Steps a carried frame may take at most while thresholds are looked for.
const SLOW: [u32; 3] = [6, 4, 3];

impl Search<'_> {
    /// Everything that was tried, `fixed:6` first.
    pub fn run(&self, criteria: &[Criterion], bar: &ProgressBar) -> Result<Vec<Found>, Failure> {
        let six = RuleName::plain(Base::Fixed(6));
        let candidates: Vec<(Criterion, Vec<RuleName>)> =
            criteria.iter().map(|criterion| (*criterion, self.candidates(*criterion))).collect();
        let first: Vec<RuleName> = candidates.iter().flat_map(|(_, rules)| rules.clone()).collect();
        bar.set_length((1 + first.len() + criteria.len() * (FINALISTS + SLOW.len())) as u64);
        let lanes = &mut self.lanes()?;
        let quarter = self.measure(lanes, &[six], true, bar)?;
        let tried = self.found(&first, &self.measure(lanes, &first, true, bar)?, &quarter[0], false, &candidates);

        let finalists: Vec<RuleName> = candidates.iter().flat_map(|(criterion, _)| self.finalists(*criterion, &tried)).collect();
        let whole = self.measure(lanes, &[six], false, bar)?;
        let mut all = self.found(&[six], &whole, &whole[0], true, &candidates);
        all.extend(self.found(&finalists, &self.measure(lanes, &finalists, false, bar)?, &whole[0], true, &candidates));
        // How many steps the slow path needs is asked last, of the best only.
        let shorter: Vec<RuleName> = criteria.iter().flat_map(|criterion| self.shorter(*criterion, &all)).collect();
        all.extend(self.found(&shorter, &self.measure(lanes, &shorter, false, bar)?, &whole[0], true, &candidates));
        for criterion in criteria {
            if let Some(best) = self.best(&all, |found| found.criterion == criterion.to_string()) {
                all[best].kept = true;
            }
        }
        all.extend(tried);
        Ok(all)
    }

    /// The rule that keeps within the loss on every source in the fewest steps, if that is fewer than six.
    pub fn chosen<'a>(&self, tried: &'a [Found]) -> Option<&'a Found> {
        let best = self.best(tried, |found| found.kept)?;
        Some(&tried[best]).filter(|found| self.keeps(found) && found.mean_steps < 6.0)
    }

    /// Whether a rule loses no more than it may.
    fn keeps(&self, found: &Found) -> bool {
        found.worst_loss <= self.loss && found.lost_at_first <= LOST_AT_FIRST
    }

    /// Of those measured on all videos: the fewest steps within the loss, else the least loss.
    fn best(&self, tried: &[Found], of: impl Fn(&Found) -> bool) -> Option<usize> {
        let cost = |found: &Found| if self.keeps(found) { (false, found.mean_steps) } else { (true, found.worst_loss) };
        let own = tried.iter().enumerate().filter(|(_, found)| found.whole && of(found));
        own.min_by(|(_, a), (_, b)| cost(a).partial_cmp(&cost(b)).expect("steps and losses are numbers")).map(|(at, _)| at)
    }

    fn candidates(&self, criterion: Criterion) -> Vec<RuleName> {
        let changes = Changes { cut: self.movements.cut, slow: Some(SLOW[0]), ..Changes::default() };
        let first = |metric, p| rounded(self.movements.first(metric, p));
        match criterion {
            Criterion::SlowFast => {
                let pairs = [1, 2, 3, 4].map(|fast| (SLOW[0], fast));
                let changes = Changes { slow: None, ..changes };
                pairs.into_iter().map(|(slow, fast)| RuleName { base: Base::SlowFast(slow, fast), changes }).collect()
            }
            Criterion::Halting(metric) => {
                let shares = [0.98, 0.9, 0.75, 0.55, 0.35, 0.2, 0.05];
                let rule = |p| RuleName { base: Base::Halting(metric, first(metric, p)), changes };
                shares.into_iter().map(rule).collect()
            }
            Criterion::Floor => {
                let metric = Metric::RelativeL2;
                let mut rules = Vec::new();
                for start in [0.1, 0.4].map(|p| first(metric, p)) {
                    for settle in [0.1, 0.3].map(|p| first(metric, p)) {
                        for wake in [0.55, 0.7, 0.85, 0.95] {
                            let base = Base::Floor(rounded(self.movements.wake(start, wake)), settle);
                            rules.push(RuleName { base, changes: Changes { floor: Some(start), ..changes } });
                        }
                    }
                }
                rules
            }
        }
    }

    /// As far as a quarter of the videos tells: the cheapest that may keep within the loss, and the cheapest that does even at the worst of its error.
    fn finalists(&self, criterion: Criterion, tried: &[Found]) -> Vec<RuleName> {
        let mut own: Vec<&Found> = tried.iter().filter(|found| found.criterion == criterion.to_string()).collect();
        let error = |found: &Found| found.error.max(0.1);
        let hopeless = |found: &Found| found.worst_loss > self.loss + error(found);
        own.sort_by(|a, b| (hopeless(a), a.mean_steps).partial_cmp(&(hopeless(b), b.mean_steps)).expect("steps are numbers"));
        if let Some(safe) = own.iter().position(|found| found.worst_loss + error(found) <= self.loss).filter(|at| *at >= FINALISTS) {
            own.swap(FINALISTS - 1, safe);
        }
        own.iter().take(FINALISTS).map(|found| found.name).collect()
    }

    /// The best of a criterion with fewer steps on the slow path.
    fn shorter(&self, criterion: Criterion, all: &[Found]) -> Vec<RuleName> {
        let Some(best) = self.best(all, |found| found.criterion == criterion.to_string()) else { return Vec::new() };
        let name = all[best].name;
        let with = |slow: u32| match name.base {
            Base::SlowFast(_, fast) => RuleName { base: Base::SlowFast(slow, fast), ..name },
            _ => RuleName { changes: Changes { slow: Some(slow), ..name.changes }, ..name },
        };
        SLOW[1..].iter().map(|slow| with(*slow)).collect()
    }

    /// One for every processor.
    fn lanes(&self) -> Result<Vec<Lane>, Failure> {
        (0..Threads::default().get()).map(|_| observe::lane(self.network, HaltingRule::fixed(1))).collect()
    }

    /// Scores and steps of every rule on every source, a rule at a time on every lane.
    fn measure(
        &self,
        lanes: &mut [Lane],
        rules: &[RuleName],
        quarter: bool,
        bar: &ProgressBar,
    ) -> Result<Vec<Vec<(Scores, f64)>>, Failure> {
        let (next, results) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
        let work = |lane: &mut Lane| -> Result<(), Failure> {
            loop {
                let at = next.fetch_add(1, Ordering::Relaxed);
                let Some(rule) = rules.get(at) else { return Ok(()) };
                let measured = self.watch(lane, *rule, quarter)?;
                results.lock().expect("no searcher panics").push((at, measured));
                bar.inc(1);
            }
        };
        std::thread::scope(|scope| {
            let searchers: Vec<_> = lanes.iter_mut().map(|lane| scope.spawn(|| work(lane))).collect();
            searchers.into_iter().try_for_each(|searcher| searcher.join().expect("no searcher panics"))
        })?;
        let mut results = results.into_inner().expect("no searcher panics");
        results.sort_by_key(|(at, _)| *at);
        Ok(results.into_iter().map(|(_, measured)| measured).collect())
    }

    fn watch(&self, lane: &mut Lane, rule: RuleName, quarter: bool) -> Result<Vec<(Scores, f64)>, Failure> {
        let rule = self.network.manifest.rule_named(rule);
        let longest = self.clips.iter().flatten().map(|clip| clip.frames.len()).max().unwrap_or(0);
        let mut measured = Vec::new();
        for clips in self.clips {
            lane.begin(rule, longest);
            for (video, clip) in clips.iter().step_by(if quarter { 4 } else { 1 }).enumerate() {
                lane.watch(clip, video, 0..clip.frames.len(), CutSource::Videos, false, |_, _, _| {})?;
            }
            let steps = lane.mean_steps();
            measured.push((std::mem::replace(&mut lane.scores, Scores::new(longest)), steps));
        }
        Ok(measured)
    }

    fn found(
        &self,
        rules: &[RuleName],
        measured: &[Vec<(Scores, f64)>],
        six: &[(Scores, f64)],
        whole: bool,
        of: &[(Criterion, Vec<RuleName>)],
    ) -> Vec<Found> {
        let same = |a: Base, b: Base| match (a, b) {
            (Base::Halting(a, _), Base::Halting(b, _)) => a == b,
            _ => std::mem::discriminant(&a) == std::mem::discriminant(&b),
        };
        let criterion = |name: RuleName| {
            let own = of.iter().find(|(_, rules)| rules.iter().any(|rule| same(rule.base, name.base)));
            own.map_or_else(|| "fixed".to_owned(), |(criterion, _)| criterion.to_string())
        };
        let found = |(name, sources): (&RuleName, &Vec<(Scores, f64)>)| {
            let losses: Vec<(f64, f64)> = sources.iter().zip(six).map(|(own, six)| own.0.loss(&six.0)).collect();
            let first = sources.iter().zip(six).map(|(own, six)| six.0.scenes_begin_with() - own.0.scenes_begin_with());
            let worst = losses.iter().copied().max_by(|a, b| a.0.total_cmp(&b.0)).unwrap_or_default();
            Found {
                criterion: criterion(*name),
                rule: name.to_string(),
                name: *name,
                mean_steps: sources.iter().map(|(_, steps)| steps).sum::<f64>() / sources.len().max(1) as f64,
                iou: sources.iter().map(|(scores, _)| scores.mean().iou).collect(),
                steps: sources.iter().map(|(_, steps)| *steps).collect(),
                loss: losses.iter().map(|(loss, _)| 100.0 * loss).collect(),
                worst_loss: 100.0 * worst.0,
                error: if worst.1.is_finite() { 100.0 * worst.1 } else { 0.0 },
                lost_at_first: 100.0 * first.fold(f64::NEG_INFINITY, f64::max),
                whole,
                kept: false,
            }
        };
        rules.iter().zip(measured).map(found).collect()
    }
}

/// The rules measured on all videos, for people: the best of each criterion marked.
pub fn text(tried: &[Found], sources: &[String]) -> String {
    let mut out = String::new();
    let shown: Vec<&Found> = tried.iter().filter(|found| found.whole).collect();
    let name = shown.iter().map(|found| found.rule.len()).max().unwrap_or(0);
    let heads: String =
        (1..=sources.len()).map(|at| format!(" | {:>6} {:>7} {:>6}", format!("steps{at}"), format!("IoU{at}"), "lost")).collect();
    let mut line = |text: String| writeln!(out, "{text}").expect("writing to a string cannot fail");
    line(format!("  {:<name$} {:>6} {:>12} {:>8}{heads}", "rule", "steps", "lost at most", "at first"));
    for found in shown {
        let sources: String =
            (0..found.iou.len()).map(|at| format!(" | {:>6.2} {:>7.4} {:>6.2}", found.steps[at], found.iou[at], found.loss[at])).collect();
        let mark = if found.kept { '*' } else { ' ' };
        line(format!(
            "{mark} {:<name$} {:>6.2} {:>6.2} ±{:<4.2} {:>8.2}{sources}",
            found.rule, found.mean_steps, found.worst_loss, found.error, found.lost_at_first
        ));
    }
    for (at, source) in sources.iter().enumerate() {
        line(format!("  source {}: {source}", at + 1));
    }
    out
}
