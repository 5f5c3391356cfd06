//! `recslowfast calibrate --tiles`: what counts as moved where only that is computed, within a wanted loss against the dense run.
//!
//! Floors and epsilons are tried on a quarter of the videos; of each epsilon the best floor on all; then, with the best of these, thresholds of the state's pixels. What loses no more
//! than wanted on each source, and computes the least, is written into the `[tiles]` of model.toml. Work is counted and not timed, so that a busy
//! machine finds what an idle one does.

use std::fmt::Write;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use indicatif::ProgressBar;
use serde::Serialize;

use super::observe::rounded;
use crate::commands::eval::lane::{CutSource, Lane};
use crate::commands::eval::score::Scores;
use crate::commands::eval::videos::Clip;
use crate::engine::cpu::threads::Threads;
use crate::engine::cpu::tiles::Settings;
use crate::engine::cpu::{CpuEngine, Options};
use crate::engine::{Choice, Tiles};
use crate::network::Network;
use crate::network::graph::Graph;
use crate::network::halting::{HaltingRule, Metric};
use crate::service::exit::{Cause, Failure};

/// Floors in grey levels, and epsilons, that are tried with each other.
const FLOORS: [f32; 5] = [2.5, 4.0, 6.0, 8.5, 12.0];
const EPSILONS: [f32; 5] = [0.0, 0.05, 0.1, 0.2, 0.3];
/// Thresholds of the state's pixels, in parts of the halting rule's; where it has none, by themselves.
const PARTS: [f32; 3] = [0.5, 2.0, 4.0];
const ALONE: [f32; 3] = [0.01, 0.03, 0.1];

/// What was tried.
#[derive(Clone, Serialize)]
pub struct Tried {
    pub floor: f32,
    pub epsilon: f32,
    /// None: that of the halting rule.
    pub threshold: Option<f32>,
    /// Share of the picture that moved, and steps of the whole network a frame.
    pub moved: f64,
    pub work_steps: f64,
    /// Multiply-adds of encoder and steps over those of the dense run.
    pub cost: f64,
    /// Points lost against the dense run on the source where that is most, and its standard error.
    pub loss: f64,
    pub error: f64,
    /// On all videos, not on a quarter.
    pub whole: bool,
    /// What `[tiles]` becomes.
    pub chosen: bool,
}

/// What came of it.
#[derive(Serialize)]
pub struct Found {
    pub tried: Vec<Tried>,
    /// Share of the picture between what moves in a scene and what moves at a cut, where videos with cuts tell.
    pub cut: Option<f32>,
}

impl Found {
    pub fn chosen(&self) -> Option<&Tried> {
        self.tried.iter().find(|tried| tried.chosen)
    }
}

/// What is searched on.
pub struct Search<'a> {
    pub network: &'a Network,
    pub clips: &'a [Vec<Clip>],
    /// Points that may be lost.
    pub loss: f64,
}

/// What a lane did on one source.
struct Measured {
    scores: Scores,
    moved: f64,
    encoded: f64,
    work: f64,
}

impl Search<'_> {
    /// Refuses a network that cannot be run by tiles, saying which operation of which graph is not local.
    pub fn check(network: &Network) -> Result<(), Failure> {
        let options = Options { threads: 1, tiles: Some(Settings::of(&network.manifest.tiles)), ..Options::default() };
        match CpuEngine::with(network, options)?.not_tiled() {
            None => Ok(()),
            Some(reason) => {
                let why = format!("{} is not local and is always computed as a whole: {reason}", network.manifest.name);
                Err(Failure::new(Cause::Model, why))
            }
        }
    }

    /// Everything that was tried, and what is best.
    pub fn run(&self, bar: &ProgressBar) -> Result<Found, Failure> {
        let usual = Settings::of(&self.network.manifest.tiles);
        let with = |floor: f32, epsilon: f32, threshold: Option<f32>| {
            let mut settings = Settings { epsilon, threshold, ..usual };
            settings.acceptance.floor = floor;
            settings
        };
        let pairs: Vec<Settings> = FLOORS.iter().flat_map(|&floor| EPSILONS.map(|epsilon| with(floor, epsilon, None))).collect();
        let thresholds = self.thresholds();
        bar.set_length((2 + pairs.len() + EPSILONS.len() + thresholds.len()) as u64);

        let dense = self.measure(&[None], true, bar)?.remove(0);
        let mut tried = self.tried(&pairs, &self.measure(&wrapped(&pairs), true, bar)?, &dense, false);
        // What a quarter of the videos tells may be wrong by its error, or by more: of every epsilon one is tried on all.
        let hopeless = |tried: &Tried| tried.loss > self.loss + tried.error.max(0.1);
        let best_of = |epsilon: f32| {
            let own = (0..pairs.len()).filter(|&at| pairs[at].epsilon == epsilon);
            let key = |at: usize| if hopeless(&tried[at]) { (true, tried[at].loss) } else { (false, tried[at].cost) };
            own.min_by(|&a, &b| key(a).partial_cmp(&key(b)).expect("work and losses are numbers")).map(|at| pairs[at])
        };
        let finalists: Vec<Settings> = EPSILONS.into_iter().filter_map(best_of).collect();
        let dense = self.measure(&[None], false, bar)?.remove(0);
        let mut whole = self.tried(&finalists, &self.measure(&wrapped(&finalists), false, bar)?, &dense, true);
        let best = |whole: &[Tried]| {
            let kept = (0..whole.len()).filter(|&at| whole[at].loss <= self.loss && whole[at].cost < 1.0);
            kept.min_by(|&a, &b| whole[a].cost.total_cmp(&whole[b].cost))
        };
        if let Some(at) = best(&whole) {
            let more: Vec<Settings> =
                thresholds.iter().map(|&threshold| with(whole[at].floor, whole[at].epsilon, Some(threshold))).collect();
            whole.append(&mut self.tried(&more, &self.measure(&wrapped(&more), false, bar)?, &dense, true));
        }
        let best = best(&whole).map(|at| &mut whole[at]);
        let cut = match best {
            Some(best) => {
                best.chosen = true;
                self.cut(with(best.floor, best.epsilon, best.threshold))?
            }
            None => None,
        };
        tried.append(&mut whole);
        Ok(Found { tried, cut })
    }

    /// Thresholds to try beside the rule's own.
    fn thresholds(&self) -> Vec<f32> {
        let rule = self.rule();
        match rule.threshold {
            _ if self.network.step.is_none() => Vec::new(),
            None => ALONE.to_vec(),
            Some(threshold) => {
                // As the tiles take it: a pixel's movement is a relative L2 distance.
                let own = if rule.metric == Metric::Cosine { (2.0 * threshold).sqrt() } else { threshold };
                PARTS.map(|part| rounded(part * own)).to_vec()
            }
        }
    }

    fn rule(&self) -> HaltingRule {
        self.network.manifest.rule()
    }

    /// Scores and work on each source, one of `all` at a time on every processor; None is the dense run.
    fn measure(&self, all: &[Option<Settings>], quarter: bool, bar: &ProgressBar) -> Result<Vec<Vec<Measured>>, Failure> {
        let (next, results) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
        let work = || -> Result<(), Failure> {
            loop {
                let at = next.fetch_add(1, Ordering::Relaxed);
                let Some(settings) = all.get(at) else { return Ok(()) };
                let measured = self.watch(*settings, quarter)?;
                results.lock().expect("no searcher panics").push((at, measured));
                bar.inc(1);
            }
        };
        std::thread::scope(|scope| {
            let searchers: Vec<_> = (0..Threads::default().get().min(all.len())).map(|_| scope.spawn(work)).collect();
            searchers.into_iter().try_for_each(|searcher| searcher.join().expect("no searcher panics"))
        })?;
        let mut results = results.into_inner().expect("no searcher panics");
        results.sort_by_key(|(at, _)| *at);
        Ok(results.into_iter().map(|(_, measured)| measured).collect())
    }

    fn lane(&self, settings: Option<Settings>) -> Result<Lane, Failure> {
        let tiles = settings.map_or(Tiles::Off, Tiles::Only);
        Lane::open(self.network, self.rule(), 0, Choice::Cpu, Threads::ONE, tiles)
    }

    fn watch(&self, settings: Option<Settings>, quarter: bool) -> Result<Vec<Measured>, Failure> {
        let mut lane = self.lane(settings)?;
        let longest = self.clips.iter().flatten().map(|clip| clip.frames.len()).max().unwrap_or(0);
        let mut all = Vec::new();
        for clips in self.clips {
            lane.begin(self.rule(), longest);
            for (video, clip) in clips.iter().step_by(if quarter { 4 } else { 1 }).enumerate() {
                lane.watch(clip, video, 0..clip.frames.len(), CutSource::Videos, false, |_, _, _| {})?;
            }
            let parts = lane.parts.mean(lane.scores.frames());
            let scores = std::mem::replace(&mut lane.scores, Scores::new(longest));
            all.push(Measured { scores, moved: parts.moved, encoded: parts.encoded, work: parts.work });
        }
        Ok(all)
    }

    fn tried(&self, settings: &[Settings], measured: &[Vec<Measured>], dense: &[Measured], whole: bool) -> Vec<Tried> {
        // A graph that only moves and pools has none, and still is something.
        let macs = |graph: &Graph| graph.macs().max(1) as f64;
        let (encoder, step) = (macs(&self.network.encoder), self.network.step.as_ref().map_or(0.0, macs));
        let one = |(settings, sources): (&Settings, &Vec<Measured>)| {
            let mean = |of: &dyn Fn(&Measured, &Measured) -> f64| {
                sources.iter().zip(dense).map(|(own, dense)| of(own, dense)).sum::<f64>() / sources.len().max(1) as f64
            };
            let losses = sources.iter().zip(dense).map(|(own, dense)| own.scores.loss(&dense.scores));
            let (loss, error) = losses.max_by(|a, b| a.0.total_cmp(&b.0)).unwrap_or_default();
            Tried {
                floor: settings.acceptance.floor,
                epsilon: settings.epsilon,
                threshold: settings.threshold,
                moved: mean(&|own, _| own.moved),
                work_steps: mean(&|own, _| own.work),
                cost: mean(&|own, dense| (encoder * own.encoded + step * own.work) / (encoder * dense.encoded + step * dense.work)),
                loss: 100.0 * loss,
                error: if error.is_finite() { 100.0 * error } else { 0.0 },
                whole,
                chosen: false,
            }
        };
        settings.iter().zip(measured).map(one).collect()
    }

    /// Half way from the largest share that moves inside a scene to the smallest at a cut, where videos have cuts and the two lie apart.
    fn cut(&self, settings: Settings) -> Result<Option<f32>, Failure> {
        let (mut inside, mut at_cuts) = (0f32, f32::INFINITY);
        // Frames of which much moves are compared one by one, and not run densely unseen.
        let mut lane = self.lane(Some(Settings { switches: false, ..settings }))?;
        for clip in self.clips.iter().flatten().filter(|clip| clip.cuts[1..].contains(&true)) {
            lane.begin(self.rule(), clip.frames.len());
            lane.watch(clip, 0, 0..clip.frames.len(), CutSource::Videos, false, |at, trace, _| match clip.cuts[at] {
                true if at > 0 => at_cuts = at_cuts.min(trace.moved),
                false => inside = inside.max(trace.moved),
                _ => {}
            })?;
        }
        Ok((inside < at_cuts && at_cuts.is_finite()).then(|| rounded((inside + at_cuts) / 2.0)))
    }
}

fn wrapped(settings: &[Settings]) -> Vec<Option<Settings>> {
    settings.iter().copied().map(Some).collect()
}

/// All that was tried on all videos, and the rest of it below, for people.
pub fn text(found: &Found) -> String {
    let mut out = String::new();
    let mut line = |text: String| writeln!(out, "{text}").expect("writing to a string cannot fail");
    line(format!(
        "  {:>6} {:>8} {:>9} {:>6} {:>6} {:>10} {:>13}",
        "floor", "epsilon", "threshold", "moved", "work", "computed", "points lost"
    ));
    let mut rows = |title: &str, whole: bool| {
        line(title.to_owned());
        for tried in found.tried.iter().filter(|tried| tried.whole == whole) {
            line(format!(
                "{} {:>6} {:>8} {:>9} {:>6.3} {:>6.2} {:>8.1} % {:>7.2} ±{:<4.2}",
                if tried.chosen { '*' } else { ' ' },
                tried.floor,
                tried.epsilon,
                tried.threshold.map_or("rule's".into(), |threshold| threshold.to_string()),
                tried.moved,
                tried.work_steps,
                100.0 * tried.cost,
                tried.loss,
                tried.error
            ));
        }
    };
    rows("on a quarter of the videos, against the dense run:", false);
    rows("on all videos:", true);
    out
}
