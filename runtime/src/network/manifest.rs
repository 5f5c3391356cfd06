//! `model.toml`: what a network's folder says about itself.

use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::halting::{HaltingRule, Metric, RuleName};
use crate::outcome::MAX_STEPS;

/// The whole of `model.toml`.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// Version of this file's schema; 1.
    pub format: u32,
    /// Name of the network.
    pub name: String,
    /// Version of these weights.
    pub version: String,
    /// Licence of the weights, as an SPDX expression.
    pub licence: String,
    /// Where the weights come from.
    pub origin: String,
    /// What goes in.
    pub input: InputSection,
    /// What the logits mean.
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

/// What the logits mean.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct TaskSection {
    /// The kind of answer.
    pub kind: TaskKind,
    /// Class names, one per logit channel; the first is background.
    pub classes: Vec<String>,
    /// Probability above which a pixel belongs to a class other than background.
    #[serde(default = "half")]
    pub threshold: f32,
}

/// The kind of answer a network gives.
#[derive(Clone, Copy, Debug, Deserialize, Serialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum TaskKind {
    /// One contour, reported as one region.
    Contour,
    /// A class for every pixel.
    Classes,
    /// Separate objects, followed from frame to frame.
    Detections,
}

/// One carried tensor.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct StateSection {
    /// Its input name in the step graph; the output is called `NAME_next`.
    pub name: String,
    /// Its shape, NCHW.
    pub shape: Vec<usize>,
}

/// How many steps make sense.
#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
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
    /// `fixed`, `slow-fast`, `relative-l2`, `relative-l1` or `cosine`.
    pub rule: String,
    /// Below which stepping stops.
    #[serde(default)]
    pub threshold: Option<f32>,
    /// First-step distance above which a carried frame takes the slow path.
    #[serde(default)]
    pub surprise: Option<f32>,
    /// Relative L2 movement of the drive below which no step is taken.
    #[serde(default)]
    pub zero: Option<f32>,
}

fn half() -> f32 {
    0.5
}

/// Something in `model.toml` is wrong.
#[derive(Debug, thiserror::Error)]
pub enum ManifestError {
    /// Not TOML, an unknown key, a missing key, a wrong type: the parser's words name line and column.
    #[error("{0}")]
    Syntax(#[from] toml::de::Error),
    /// A value that makes no sense.
    #[error("[{section}] {key}: {reason}")]
    Value {
        /// The table.
        section: &'static str,
        /// The key.
        key: &'static str,
        /// What is wrong and what would be right.
        reason: String,
    },
}

impl Manifest {
    /// Reads and checks the text of a `model.toml`.
    pub fn parse(text: &str) -> Result<Manifest, ManifestError> {
        let manifest: Manifest = toml::from_str(text)?;
        manifest.check()?;
        Ok(manifest)
    }

    fn check(&self) -> Result<(), ManifestError> {
        let value = |section, key, reason: String| Err(ManifestError::Value { section, key, reason });
        if self.format != 1 {
            return value("top", "format", format!("this runtime reads format 1, not {}", self.format));
        }
        let input = &self.input;
        if !(8..=4096).contains(&input.width) || !(8..=4096).contains(&input.height) {
            return value("input", "width", format!("{}x{} pixels; 8 to 4096 each way are supported", input.width, input.height));
        }
        if input.channels != 1 && input.channels != 3 {
            return value("input", "channels", format!("{} channels; write 1 for luma or 3 for RGB", input.channels));
        }
        for (key, values) in [("mean", &input.mean), ("std", &input.std)] {
            if values.len() != input.channels as usize || values.iter().any(|x| !x.is_finite()) {
                return value("input", key, format!("{} finite numbers are needed, one per channel", input.channels));
            }
        }
        if input.std.contains(&0.0) {
            return value("input", "std", "0 would divide by zero".into());
        }
        if self.task.classes.len() < 2 || self.task.classes.len() > 255 {
            return value("task", "classes", "2 to 255 names are needed, background first".into());
        }
        if !(self.task.threshold > 0.0 && self.task.threshold < 1.0) {
            return value("task", "threshold", format!("{} is no probability between 0 and 1", self.task.threshold));
        }
        for state in &self.states {
            if state.shape.len() != 4 || state.shape[0] != 1 || state.shape.contains(&0) {
                return value("state", "shape", format!("{:?} of '{}' is no [1, channels, height, width]", state.shape, state.name));
            }
        }
        let StepsSection { min, max, slow, fast } = self.steps;
        if min > max || max == 0 || max > MAX_STEPS as u32 {
            return value("steps", "max", format!("min {min} and max {max}; 0 <= min <= max <= {MAX_STEPS} and max >= 1 are needed"));
        }
        for (key, n) in [("slow", slow), ("fast", fast)] {
            if n < min || n > max {
                return value("steps", key, format!("{n} lies outside min {min} to max {max}"));
            }
        }
        if let Some(halting) = &self.halting {
            self.halting_rule(halting)?;
        }
        Ok(())
    }

    /// The rule this network was calibrated with.
    pub fn rule(&self) -> HaltingRule {
        match &self.halting {
            Some(halting) => self.halting_rule(halting).expect("checked when the manifest was read"),
            None => HaltingRule::slow_fast(self.steps.slow, self.steps.fast),
        }
    }

    fn halting_rule(&self, halting: &HaltingSection) -> Result<HaltingRule, ManifestError> {
        let steps = self.steps;
        let value = |key, reason: String| ManifestError::Value { section: "halting", key, reason };
        for (key, x) in [("threshold", halting.threshold), ("surprise", halting.surprise), ("zero", halting.zero)] {
            if x.is_some_and(|x| !x.is_finite() || x < 0.0) {
                return Err(value(key, "a finite number of 0 or more is needed".into()));
            }
        }
        let rule = match halting.rule.as_str() {
            "fixed" => HaltingRule::fixed(steps.slow),
            "slow-fast" => HaltingRule::slow_fast(steps.slow, steps.fast),
            name => {
                let metric = Metric::from_str(name)
                    .map_err(|()| value("rule", format!("'{name}' is none of fixed, slow-fast, relative-l2, relative-l1, cosine")))?;
                let threshold = halting.threshold.ok_or_else(|| value("threshold", format!("{name} needs one")))?;
                HaltingRule::halting(metric, threshold, steps.max)
            }
        };
        Ok(HaltingRule { surprise: halting.surprise, zero: halting.zero, min: steps.min, ..rule })
    }

    /// The rule a user asked for, with this network's step range.
    pub fn rule_named(&self, name: RuleName) -> HaltingRule {
        match name {
            RuleName::Model => self.rule(),
            RuleName::Fixed(steps) => HaltingRule::fixed(steps),
            RuleName::SlowFast(slow, fast) => HaltingRule::slow_fast(slow, fast),
            RuleName::Halting(metric, threshold) => HaltingRule {
                min: self.steps.min,
                zero: self.halting.as_ref().and_then(|halting| halting.zero),
                ..HaltingRule::halting(metric, threshold, self.steps.max)
            },
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
    fn the_calibrated_rule_carries_the_step_range() {
        let rule = Manifest::parse(GOOD).unwrap().rule();
        assert_eq!((rule.min, rule.fast, rule.slow), (1, 8, 8));
        assert_eq!((rule.threshold, rule.zero), (Some(0.02), Some(0.001)));
    }

    #[test]
    fn every_mistake_is_named_where_it_stands() {
        for (from, to, words) in [
            ("format = 1", "format = 2", "format 1"),
            ("width = 16", "width = 0", "[input] width"),
            ("channels = 1", "channels = 2", "1 for luma or 3 for RGB"),
            ("mean = [0.0]", "mean = []", "[input] mean"),
            ("std = [1.0]", "std = [0.0]", "divide by zero"),
            ("kind = \"contour\"", "kind = \"poem\"", "poem"),
            ("\"background\", ", "", "[task] classes"),
            ("shape = [1, 2, 16, 16]", "shape = [2, 16]", "hidden"),
            ("slow = 6", "slow = 9", "[steps] slow"),
            ("max = 8", "max = 0", "[steps] max"),
            ("rule = \"relative-l2\"", "rule = \"vibes\"", "vibes"),
            ("threshold = 0.02", "", "relative-l2 needs one"),
            ("zero = 0.001", "zero = nan", "[halting] zero"),
            ("origin = \"a test\"", "origin = \"a test\"\ncolour = 3", "line 7"),
        ] {
            let message = refused(from, to);
            assert!(message.contains(words), "{to:?} gave: {message}");
        }
    }
}
