//! `model.toml`: what a network's folder says about itself.

mod mistakes;
mod task;

use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::halting::{Base, Changes, HaltingRule, Metric, RuleName};
use crate::outcome::MAX_STEPS;
use mistakes::Wrong;
pub use mistakes::{ManifestError, Mistake, line_of};
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

/// One carried tensor.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct StateSection {
    /// Its input name in the step graph; the output is called `NAME_next`.
    pub name: String,
    /// Its shape: 1 to 4 sizes, NCHW where there are four.
    pub shape: Vec<usize>,
    /// When it takes its next value.
    #[serde(default, skip_serializing_if = "Moves::is_step")]
    pub moves: Moves,
    /// Whether it counts for how far a step moved the state. A state that moves once a frame never does.
    #[serde(default = "yes", skip_serializing_if = "is_yes")]
    pub halting: bool,
    /// The readout's output whose last value it is: the previous answer as an input. step.onnx then has no `NAME_next`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answer: Option<String>,
}

/// When a state takes its next value.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum Moves {
    /// With every step.
    #[default]
    Step,
    /// Once a frame, with its last step: every step of a frame, and not the readout, sees what the frame before left.
    Frame,
}

impl Moves {
    fn is_step(&self) -> bool {
        *self == Moves::Step
    }
}

impl StateSection {
    /// Whether it moves with every step, by an output of step.onnx.
    pub fn is_stepped(&self) -> bool {
        self.moves == Moves::Step && self.answer.is_none()
    }

    /// Whether it counts for the halting distance.
    pub fn counts(&self) -> bool {
        self.halting && self.is_stepped()
    }
}

fn yes() -> bool {
    true
}

fn is_yes(given: &bool) -> bool {
    *given
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

/// A mean or deviation above this is told in levels of 0 to 255.
const IN_LEVELS: f32 = 1.5;
/// Most numbers of one state.
const MAX_STATE: usize = 1 << 28;

impl InputSection {
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
mod tests {
    use super::*;

    const GOOD: &str = r#"
format = 1
name = "tiny"
version = "0.1.0"
licence = "MIT"
origin = "a test"
[input]
width = 16
height = 16
channels = 1
mean = [0.0]
std = [1.0]
[task]
kind = "contour"
classes = ["background", "contour"]
[[state]]
name = "hidden"
shape = [1, 2, 16, 16]
[steps]
min = 1
max = 8
slow = 6
fast = 1
[halting]
rule = "relative-l2"
threshold = 0.02
zero = 0.001
"#;

    fn refused(from: &str, to: &str) -> String {
        assert!(GOOD.contains(from));
        Manifest::parse(&GOOD.replace(from, to)).unwrap_err().to_string()
    }

    #[test]
    fn states_have_one_to_four_sizes() {
        for shape in ["[32]", "[1, 32]", "[1, 1, 32]", "[2, 1, 32]", "[1, 2, 16, 16]"] {
            let text = GOOD.replace("shape = [1, 2, 16, 16]", &format!("shape = {shape}"));
            assert!(Manifest::parse(&text).is_ok(), "{shape}");
        }
    }

    #[test]
    fn the_calibrated_rule_carries_the_step_range() {
        let rule = Manifest::parse(GOOD).unwrap().rule();
        assert_eq!((rule.min, rule.fast, rule.slow), (1, 8, 8));
        assert_eq!((rule.threshold, rule.zero), (Some(0.02), Some(0.001)));
    }

    #[test]
    fn the_floor_rule_is_read_with_all_its_figures() {
        let text = GOOD.replace("rule = \"relative-l2\"", "rule = \"floor\"\nwake = 0.05\nfloor = 0.01\ncut = 0.8\nsurprise = 0.4");
        let rule = Manifest::parse(&text).unwrap().rule();
        assert_eq!((rule.wake, rule.threshold, rule.floor), (Some(0.05), Some(0.02), 0.01));
        assert_eq!((rule.cut, rule.surprise, rule.zero), (Some(0.8), Some(0.4), Some(0.001)));
        assert_eq!((rule.min, rule.fast, rule.slow), (1, 8, 6));
    }

    #[test]
    fn a_named_rule_takes_what_it_leaves_open_from_the_network() {
        let manifest = Manifest::parse(GOOD).unwrap();
        let named = |text: &str| manifest.rule_named(text.parse().unwrap());
        assert_eq!(named("model"), manifest.rule());
        assert_eq!(named("model,slow=3,cut=0.7"), HaltingRule { slow: 3, cut: Some(0.7), ..manifest.rule() });
        assert_eq!(named("fixed:6"), HaltingRule::fixed(6));
        assert_eq!(named("slow-fast:6,1,surprise=0.3"), HaltingRule { surprise: Some(0.3), ..HaltingRule::slow_fast(6, 1) });
        let floor = named("floor:0.05,0.01,min=2,max=5");
        assert_eq!((floor.floor, floor.zero, floor.min, floor.fast, floor.slow), (0.01, Some(0.001), 2, 5, 6));
        for metric in [Metric::RelativeL1, Metric::Cosine] {
            assert_eq!(named(&format!("{metric}:0.1")).metric, metric);
        }
    }

    #[test]
    fn every_mistake_is_named_where_it_stands() {
        for (from, to, words) in [
            ("format = 1", "format = 3", "formats 1 and 2"),
            ("width = 16", "width = 0", "[input] width"),
            ("channels = 1", "channels = 2", "1 for luma or 3 for RGB"),
            ("mean = [0.0]", "mean = []", "[input] mean"),
            ("std = [1.0]", "std = [0.0]", "divide by zero"),
            ("kind = \"contour\"", "kind = \"poem\"", "poem"),
            ("\"background\", ", "", "[task] classes"),
            ("shape = [1, 2, 16, 16]", "shape = [2, 2, 16, 16]", "hidden"),
            ("shape = [1, 2, 16, 16]", "shape = [1, 1, 2, 16, 16]", "hidden"),
            ("shape = [1, 2, 16, 16]", "shape = []", "hidden"),
            ("shape = [1, 2, 16, 16]", "shape = [1, 0]", "hidden"),
            ("shape = [1, 2, 16, 16]", "shape = [1, 2, 16, 16]\n[[state]]\nname = \"hidden\"\nshape = [1, 2]", "given twice"),
            ("name = \"hidden\"", "name = \"drive\"", "cannot be a state's name"),
            ("slow = 6", "slow = 9", "[steps] slow"),
            ("max = 8", "max = 0", "[steps] max"),
            ("rule = \"relative-l2\"", "rule = \"vibes\"", "vibes"),
            ("threshold = 0.02", "", "relative-l2 needs one"),
            ("zero = 0.001", "zero = nan", "[halting] zero"),
            ("mean = [0.0]", "mean = [127.5]", "write mean = [0.5000]"),
            ("shape = [1, 2, 16, 16]", "shape = [1, 2, 16, 16]\nhalting = false", "no [[state]] counts"),
            ("zero = 0.001", "zero = 0.5\ncut = 0.4", "[halting] cut"),
            ("zero = 0.001", "floor = 0.0", "[halting] floor"),
            ("zero = 0.001", "wake = 0.1", "rule = \"floor\" does"),
            ("rule = \"relative-l2\"", "rule = \"floor\"", "floor needs one"),
            ("origin = \"a test\"", "origin = \"a test\"\ncolour = 3", "line 7"),
        ] {
            let message = refused(from, to);
            assert!(message.contains(words), "{to:?} gave: {message}");
        }
    }

    #[test]
    fn all_mistakes_are_told_at_once_with_their_lines() {
        let text = GOOD
            .replace("width = 16", "width = \"sixteen\"")
            .replace("std = [1.0]", "std = [0.0]\ncolour = 7")
            .replace("[steps]\nmin = 1", "[[state]]\nname = \"hidden\"\nshape = [1, 0]\n[steps]\nmin = 20")
            .replace("rule = \"relative-l2\"\n", "");
        let told = Manifest::parse(&text).unwrap_err().to_string();
        let lines: Vec<&str> = told.lines().collect();
        let expected = [
            "line 8: ",
            "line 12: [input] std: 0 would",
            "line 13: ",
            "line 21: [state] name: 'hidden'",
            "line 22: [state] shape",
            "[steps] max",
            "rule",
        ];
        assert_eq!(lines.len(), expected.len(), "{told}");
        for (line, words) in lines.iter().zip(expected) {
            assert!(line.contains(words), "'{words}' is not in '{line}' of\n{told}");
        }
    }

    #[test]
    fn what_only_people_read_may_be_left_out() {
        let text = ["version = \"0.1.0\"", "licence = \"MIT\"", "origin = \"a test\"", "name = \"tiny\"", "slow = 6", "fast = 1"];
        let text = text.iter().fold(GOOD.to_owned(), |text, line| text.replace(line, ""));
        let manifest = Manifest::parse(&text).unwrap();
        assert_eq!((manifest.version.as_str(), manifest.steps.slow, manifest.steps.fast), ("0", 6, 1));
    }

    #[test]
    fn states_may_move_once_a_frame_or_be_the_last_answer() {
        let text = GOOD.replace("[steps]", "[[state]]\nname = \"before\"\nshape = [1, 1, 16, 16]\nmoves = \"frame\"\n[[state]]\nname = \"mask\"\nshape = [1, 2, 8, 8]\nanswer = \"logits\"\n[steps]");
        let manifest = Manifest::parse(&text).unwrap();
        let counts: Vec<_> = manifest.states.iter().map(|state| (state.counts(), state.is_stepped())).collect();
        assert_eq!(counts, [(true, true), (false, false), (false, false)]);
    }
}
