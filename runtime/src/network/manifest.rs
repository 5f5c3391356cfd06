//! `model.toml`: what a network's folder says about itself.

mod mistakes;
mod state;
mod task;

use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::halting::{Base, Changes, HaltingRule, Metric, RuleName};
use crate::outcome::MAX_STEPS;
use crate::sampling::InputSpec;
use mistakes::Wrong;
pub use mistakes::{ManifestError, Mistake, line_of};
pub use state::{Moves, StateSection};
pub use task::{BoxFormat, BoxesSection, Distance, ScoreForm, TaskKind, TaskSection, Unit};

/// The whole of `model.toml`.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// Version of this file's schema: 1, or 2 where the encoder gives features beside the drive or the readout several answers.
    pub format: u32,
    /// Name of the network; a folder's own name where it is left out.
    #[serde(default)]
    pub name: String,
    /// Version of these weights; "0" where it is left out.
    #[serde(default = "no_version")]
    pub version: String,
    /// Licence of the weights, as an SPDX expression; empty where it is left out.
    #[serde(default)]
    pub licence: String,
    /// Where the weights come from; empty where it is left out.
    #[serde(default)]
    pub origin: String,
    /// What goes in.
    pub input: InputSection,
    /// What the readout's numbers mean.
    pub task: TaskSection,
    /// The tensors carried from step to step and from frame to frame; empty for a feed-forward network.
    #[serde(default, rename = "state")]
    pub states: Vec<StateSection>,
    /// How many steps make sense; absent for a feed-forward network.
    #[serde(default)]
    pub steps: StepsSection,
    /// The calibrated halting rule; absent for a feed-forward network.
    #[serde(default)]
    pub halting: Option<HaltingSection>,
    /// What `--tiles auto` means for this network; the usual figures where it is absent.
    #[serde(default)]
    pub tiles: TilesSection,
    /// Measured quality, in whatever figures the training wrote.
    #[serde(default)]
    pub quality: toml::Table,
}

/// Size and normalisation of the input tensor.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct InputSection {
    /// Width in pixels.
    pub width: u32,
    /// Height in pixels.
    pub height: u32,
    /// 1 for luma, 3 for RGB.
    pub channels: u32,
    /// Per channel: tensor = (value / 255 - mean) / std.
    pub mean: Vec<f32>,
    /// Per channel; see `mean`.
    pub std: Vec<f32>,
}

fn no_version() -> String {
    "0".into()
}

/// How many steps make sense.
#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct StepsSection {
    /// At least, on a frame that steps at all.
    pub min: u32,
    /// At most.
    pub max: u32,
    /// After a reset or a cut.
    pub slow: u32,
    /// On a carried state.
    pub fast: u32,
}

impl Default for StepsSection {
    fn default() -> Self {
        StepsSection { min: 1, max: 8, slow: 6, fast: 1 }
    }
}

/// The calibrated halting rule.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct HaltingSection {
    /// `fixed`, `slow-fast`, `relative-l2`, `relative-l1`, `cosine` or `floor`.
    pub rule: String,
    /// Below which stepping stops; for `floor` once the first step has woken it.
    #[serde(default)]
    pub threshold: Option<f32>,
    /// For `floor`: square of a first step's movement, over the floor, up to which a carried frame takes that step only.
    #[serde(default)]
    pub wake: Option<f32>,
    /// For `floor`: the floor after the slow path.
    #[serde(default)]
    pub floor: Option<f32>,
    /// First-step distance above which a carried frame takes the slow path.
    #[serde(default)]
    pub surprise: Option<f32>,
    /// Relative L2 movement of the drive above which a carried frame takes the slow path from its first step.
    #[serde(default)]
    pub cut: Option<f32>,
    /// Relative L2 movement of the drive below which no step is taken.
    #[serde(default)]
    pub zero: Option<f32>,
}

/// What counts as moved where only that is computed; see `engine::cpu::tiles::Settings`. Figures that are left out are the usual ones.
#[derive(Clone, Copy, Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct TilesSection {
    /// Root mean square of a tile's change, in grey levels, below which it has not moved: `zero`, tile by tile.
    #[serde(default)]
    pub floor: Option<f32>,
    /// Movement of a pixel, in parts of its tensor's root mean square, below which it is not handed on.
    #[serde(default)]
    pub epsilon: Option<f32>,
    /// Epsilon is multiplied with this for each halving of rows and columns.
    #[serde(default)]
    pub halving: Option<f32>,
    /// Times epsilon that a pixel has to move by until its neighbours are told.
    #[serde(default)]
    pub spread: Option<f32>,
    /// Movement of a pixel of the state, in parts of the state's root mean square, below which it is not stepped again; without it the
    /// `threshold` of `[halting]`.
    #[serde(default)]
    pub threshold: Option<f32>,
    /// Share of tiles, 0 to 1, from which on a carried frame takes the slow path; without it only `[halting]` says so.
    #[serde(default)]
    pub cut: Option<f32>,
    /// Share of the state, 0 to 1, that a carried frame's first step has to move to make it take the slow path; without it only `[halting]` says so.
    #[serde(default)]
    pub surprise: Option<f32>,
}

/// A mean or deviation above this is told in levels of 0 to 255.
const IN_LEVELS: f32 = 1.5;
/// Most numbers of one state.
const MAX_STATE: usize = 1 << 28;

impl InputSection {
    /// As a picture is fitted to it: a mean or a deviation that is given once holds for every channel.
    pub fn spec(&self) -> InputSpec {
        let channel = |values: &[f32]| std::array::from_fn(|at| values[at.min(values.len() - 1)]);
        InputSpec {
            width: self.width as usize,
            height: self.height as usize,
            channels: self.channels as usize,
            mean: channel(&self.mean),
            std: channel(&self.std),
        }
    }

    /// The shape of the input tensor, `[1, channels, height, width]`.
    pub fn shape(&self) -> [usize; 4] {
        [1, self.channels as usize, self.height as usize, self.width as usize]
    }
}

impl Manifest {
    /// Reads and checks the text of a `model.toml`; all that is wrong with it is told at once.
    pub fn parse(text: &str) -> Result<Manifest, ManifestError> {
        match mistakes::read(text) {
            (Some(manifest), mistakes) if mistakes.is_empty() => Ok(manifest),
            (_, mistakes) => Err(ManifestError(mistakes)),
        }
    }

    /// As [`Manifest::parse`], but what could be read comes with the mistakes: None where the file's form leaves that open.
    pub fn parse_with_mistakes(text: &str) -> (Option<Manifest>, Vec<Mistake>) {
        mistakes::read(text)
    }

    fn check(&self, found: &mut Vec<Wrong>) {
        let mut value = |section, key, nth, reason: String| found.push(Wrong { section, key, nth, reason });
        if !matches!(self.format, 1 | 2) {
            value("top", "format", 0, format!("this runtime reads formats 1 and 2, not {}", self.format));
        }
        let input = &self.input;
        for (key, size) in [("width", input.width), ("height", input.height)] {
            if !(8..=4096).contains(&size) {
                value("input", key, 0, format!("{size} pixels; 8 to 4096 each way are supported"));
            }
        }
        if input.channels != 1 && input.channels != 3 {
            value("input", "channels", 0, format!("{} channels; write 1 for luma or 3 for RGB", input.channels));
        }
        for (key, values) in [("mean", &input.mean), ("std", &input.std)] {
            if values.len() != input.channels as usize || values.iter().any(|x| !x.is_finite()) {
                value("input", key, 0, format!("{} finite numbers are needed, one per channel", input.channels));
            }
            if let Some(most) = values.iter().copied().filter(|x| x.abs() > IN_LEVELS).reduce(f32::max) {
                let parts: Vec<_> = values.iter().map(|x| format!("{:.4}", x / 255.0)).collect();
                value(
                    "input",
                    key,
                    0,
                    format!("{most} is in 0..255, but tensor = (value / 255 - mean) / std: write {key} = [{}]", parts.join(", ")),
                );
            }
        }
        if input.std.contains(&0.0) {
            value("input", "std", 0, "0 would divide by zero".into());
        }
        for (at, state) in self.states.iter().enumerate() {
            let (name, shape) = (&state.name, &state.shape);
            if name.is_empty() || name == "drive" {
                value("state", "name", at, format!("'{name}' cannot be a state's name; the drive is the encoder's answer"));
            }
            if self.states[..at].iter().any(|earlier| earlier.name == *name) {
                value("state", "name", at, format!("'{name}' is given twice; every state needs a name of its own"));
            }
            let numbers = shape.iter().try_fold(1usize, |numbers, size| numbers.checked_mul(*size)).unwrap_or(usize::MAX);
            if !(1..=4).contains(&shape.len()) || !(1..=MAX_STATE).contains(&numbers) || (shape.len() == 4 && shape[0] != 1) {
                let reason = format!("{shape:?} of '{name}' is none of 1 to 4 sizes of 1 or more, nor [1, channels, height, width]");
                value("state", "shape", at, reason);
            }
            if state.answer.is_some() && state.moves == Moves::Frame {
                value("state", "moves", at, format!("'{name}' is the last frame's answer and so moves once a frame; leave it out"));
            }
        }
        let StepsSection { min, max, slow, fast } = self.steps;
        if min > max || max == 0 || max > MAX_STEPS as u32 {
            value("steps", "max", 0, format!("min {min} and max {max}; 0 <= min <= max <= {MAX_STEPS} and max >= 1 are needed"));
        } else {
            for (key, n) in [("slow", slow), ("fast", fast)] {
                if n < min || n > max {
                    value("steps", key, 0, format!("{n} lies outside min {min} to max {max}"));
                }
            }
        }
        let TilesSection { floor, epsilon, halving, spread, threshold, cut, surprise } = self.tiles;
        let numbers = [("floor", floor), ("epsilon", epsilon), ("halving", halving), ("spread", spread), ("threshold", threshold)];
        for (key, figure) in numbers.into_iter().chain([("cut", cut), ("surprise", surprise)]) {
            let share = matches!(key, "cut" | "surprise");
            let most = if share { 1.0 } else { f32::MAX };
            if let Some(figure) = figure.filter(|x| !(0.0..=most).contains(x)) {
                let wanted = if share { "a share from 0 to 1" } else { "a number from 0 on" };
                value("tiles", key, 0, format!("{figure} is not {wanted}"));
            }
        }
        self.task.check(found);
        if let Some(halting) = &self.halting {
            match self.halting_rule(halting) {
                Err(wrong) => found.push(wrong),
                Ok(rule) if rule.threshold.is_some() && !self.states.is_empty() && !self.states.iter().any(StateSection::counts) => {
                    let reason =
                        format!("{} measures how far the state moved, but no [[state]] counts; write fixed or slow-fast", halting.rule);
                    found.push(Wrong { section: "halting", key: "rule", nth: 0, reason });
                }
                Ok(_) => {}
            }
        }
    }

    /// The rule this network was calibrated with.
    pub fn rule(&self) -> HaltingRule {
        match &self.halting {
            Some(halting) => self.halting_rule(halting).expect("checked when the manifest was read"),
            None => HaltingRule::slow_fast(self.steps.slow, self.steps.fast),
        }
    }

    fn halting_rule(&self, halting: &HaltingSection) -> Result<HaltingRule, Wrong> {
        let steps = self.steps;
        let value = |key, reason: String| Wrong { section: "halting", key, nth: 0, reason };
        let figures = [
            ("threshold", halting.threshold),
            ("wake", halting.wake),
            ("surprise", halting.surprise),
            ("cut", halting.cut),
            ("zero", halting.zero),
        ];
        for (key, x) in figures {
            if x.is_some_and(|x| !x.is_finite() || x < 0.0) {
                return Err(value(key, "a finite number of 0 or more is needed".into()));
            }
        }
        if halting.floor.is_some_and(|x| !x.is_finite() || x <= 0.0) {
            return Err(value("floor", "a finite number above 0 is needed".into()));
        }
        if let (Some(zero), Some(cut)) = (halting.zero, halting.cut)
            && zero >= cut
        {
            return Err(value("cut", format!("{cut} is not above zero = {zero}: the same movement cannot be none and a cut")));
        }
        let needed = |key, x: Option<f32>| x.ok_or_else(|| value(key, format!("{} needs one", halting.rule)));
        let rule = match halting.rule.as_str() {
            "fixed" => HaltingRule::fixed(steps.slow),
            "slow-fast" => HaltingRule::slow_fast(steps.slow, steps.fast),
            "floor" => HaltingRule {
                slow: steps.slow,
                ..HaltingRule::floor(
                    Metric::RelativeL2,
                    needed("wake", halting.wake)?,
                    needed("threshold", halting.threshold)?,
                    needed("floor", halting.floor)?,
                    steps.max,
                )
            },
            name => {
                let metric = Metric::from_str(name).map_err(|()| {
                    value("rule", format!("'{name}' is none of fixed, slow-fast, relative-l2, relative-l1, cosine, floor"))
                })?;
                HaltingRule::halting(metric, needed("threshold", halting.threshold)?, steps.max)
            }
        };
        if rule.wake.is_none() && (halting.wake.is_some() || halting.floor.is_some()) {
            return Err(value("wake", format!("{} knows neither wake nor floor; rule = \"floor\" does", halting.rule)));
        }
        Ok(HaltingRule { surprise: halting.surprise, cut: halting.cut, zero: halting.zero, min: steps.min, ..rule })
    }

    /// The rule a user asked for. What it leaves open is this network's: the step range and `zero`, for `floor` also `cut` and where the floor starts.
    pub fn rule_named(&self, name: RuleName) -> HaltingRule {
        let own = |get: fn(&HaltingSection) -> Option<f32>| self.halting.as_ref().and_then(get);
        let (min, zero) = (self.steps.min, own(|halting| halting.zero));
        let rule = match name.base {
            Base::Model => self.rule(),
            Base::Fixed(steps) => HaltingRule::fixed(steps),
            Base::SlowFast(slow, fast) => HaltingRule::slow_fast(slow, fast),
            Base::Halting(metric, threshold) => HaltingRule { min, zero, ..HaltingRule::halting(metric, threshold, self.steps.max) },
            Base::Floor(wake, settle) => {
                // A threshold that is never reached says nothing about usual movement.
                let start = own(|halting| halting.floor).unwrap_or(if settle > 0.0 { settle } else { 0.01 });
                let rule = HaltingRule::floor(Metric::RelativeL2, wake, settle, start, self.steps.max);
                HaltingRule { min, zero, cut: own(|halting| halting.cut), slow: self.steps.slow, ..rule }
            }
        };
        let Changes { zero, cut, surprise, floor, min, max, slow } = name.changes;
        HaltingRule {
            zero: zero.or(rule.zero),
            cut: cut.or(rule.cut),
            surprise: surprise.or(rule.surprise),
            floor: floor.unwrap_or(rule.floor),
            min: min.unwrap_or(rule.min),
            fast: max.unwrap_or(rule.fast),
            slow: slow.unwrap_or(rule.slow),
            ..rule
        }
    }
}

#[cfg(test)]
mod tests;
