//! Halting rules as a user writes them.

use std::fmt;
use std::str::FromStr;

use super::Metric;
use crate::outcome::MAX_STEPS;

/// What a user writes after `--halt`: `RULE[,KEY=VALUE]...`, a rule in full or the one the model carries.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct RuleName {
    /// The rule.
    pub base: Base,
    /// What it changes of the model's own figures.
    pub changes: Changes,
}

/// Which rule.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum Base {
    /// `model`: the calibrated rule of model.toml.
    #[default]
    Model,
    /// `fixed:N`
    Fixed(u32),
    /// `slow-fast:S,F`
    SlowFast(u32, u32),
    /// `relative-l2:EPS`, `relative-l1:EPS`, `cosine:EPS`; the step range is the model's.
    Halting(Metric, f32),
    /// `floor:WAKE,SETTLE`; the step range is the model's.
    Floor(f32, f32),
}

/// The figures beside a rule's own; what is not given stays as it is.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Changes {
    /// `zero=X`; see [`super::HaltingRule::zero`].
    pub zero: Option<f32>,
    /// `cut=X`
    pub cut: Option<f32>,
    /// `surprise=X`
    pub surprise: Option<f32>,
    /// `start=X`: the floor after the slow path.
    pub floor: Option<f32>,
    /// `min=N`
    pub min: Option<u32>,
    /// `max=N`: steps at most on a carried state.
    pub max: Option<u32>,
    /// `slow=N`: steps at most after a reset, a cut or a surprise.
    pub slow: Option<u32>,
}

impl RuleName {
    /// The calibrated rule of model.toml.
    pub const MODEL: RuleName = RuleName::plain(Base::Model);

    /// A rule that changes nothing else.
    pub const fn plain(base: Base) -> RuleName {
        let changes = Changes { zero: None, cut: None, surprise: None, floor: None, min: None, max: None, slow: None };
        RuleName { base, changes }
    }
}

/// A halting rule that could not be read.
#[derive(Debug, thiserror::Error, PartialEq)]
#[error(
    "halting rule '{given}': {reason}; write model, fixed:N, slow-fast:S,F, relative-l2:EPS, relative-l1:EPS, cosine:EPS or floor:WAKE,SETTLE, \
     and behind it, where the model's figures are not to hold, ,zero=X ,cut=X ,surprise=X ,start=X ,min=N ,max=N ,slow=N"
)]
pub struct RuleError {
    given: String,
    reason: String,
}

fn steps(text: &str) -> Result<u32, String> {
    match text.parse::<u32>() {
        Ok(n) if (1..=MAX_STEPS as u32).contains(&n) => Ok(n),
        _ => Err(format!("'{text}' is no step count from 1 to {MAX_STEPS}")),
    }
}

fn figure(text: &str) -> Result<f32, String> {
    match text.parse::<f32>() {
        Ok(x) if x.is_finite() && x >= 0.0 => Ok(x),
        _ => Err(format!("'{text}' is no threshold (a number of 0 or more)")),
    }
}

fn base(name: &str, numbers: &[&str]) -> Result<Base, String> {
    let needs = |what: &str| Err(format!("{name} needs {what}"));
    match (name, numbers) {
        ("model", []) => Ok(Base::Model),
        ("fixed", [n]) => Ok(Base::Fixed(steps(n)?)),
        ("fixed", _) => needs("one step count"),
        ("slow-fast", [slow, fast]) => Ok(Base::SlowFast(steps(slow)?, steps(fast)?)),
        ("slow-fast", _) => needs("two step counts"),
        ("floor", [wake, settle]) => Ok(Base::Floor(figure(wake)?, figure(settle)?)),
        ("floor", _) => needs("two thresholds"),
        (name, [eps]) => Ok(Base::Halting(name.parse().map_err(|()| format!("no rule is called '{name}'"))?, figure(eps)?)),
        _ => Err("no such rule".into()),
    }
}

impl Changes {
    fn set(&mut self, key: &str, value: &str) -> Result<(), String> {
        match key {
            "zero" => self.zero = Some(figure(value)?),
            "cut" => self.cut = Some(figure(value)?),
            "surprise" => self.surprise = Some(figure(value)?),
            "start" => {
                self.floor = Some(figure(value).ok().filter(|x| *x > 0.0).ok_or_else(|| format!("start={value}: a floor is above 0"))?)
            }
            "min" => self.min = Some(steps(value)?),
            "max" => self.max = Some(steps(value)?),
            "slow" => self.slow = Some(steps(value)?),
            _ => return Err(format!("'{key}' cannot be set")),
        }
        Ok(())
    }
}

impl FromStr for RuleName {
    type Err = RuleError;

    fn from_str(given: &str) -> Result<RuleName, RuleError> {
        let read = || {
            let (rule, rest) = given.split_once(':').unwrap_or_else(|| given.split_once(',').unwrap_or((given, "")));
            let (mut numbers, mut changes) = (Vec::new(), Changes::default());
            for word in rest.split(',').filter(|_| !rest.is_empty()) {
                match word.split_once('=') {
                    Some((key, value)) => changes.set(key, value)?,
                    None => numbers.push(word),
                }
            }
            let name = RuleName { base: base(rule, &numbers)?, changes };
            match (changes.min, changes.max, changes.slow) {
                (Some(min), Some(cap), _) | (Some(min), _, Some(cap)) if min > cap => Err(format!("min={min} is above {cap}")),
                _ => Ok(name),
            }
        };
        read().map_err(|reason| RuleError { given: given.to_owned(), reason })
    }
}

impl fmt::Display for RuleName {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.base {
            Base::Model => out.write_str("model"),
            Base::Fixed(n) => write!(out, "fixed:{n}"),
            Base::SlowFast(slow, fast) => write!(out, "slow-fast:{slow},{fast}"),
            Base::Halting(metric, eps) => write!(out, "{metric}:{eps}"),
            Base::Floor(wake, settle) => write!(out, "floor:{wake},{settle}"),
        }?;
        let Changes { zero, cut, surprise, floor, min, max, slow } = self.changes;
        for (key, value) in [("zero", zero), ("cut", cut), ("surprise", surprise), ("start", floor)] {
            value.map_or(Ok(()), |value| write!(out, ",{key}={value}"))?;
        }
        for (key, value) in [("min", min), ("max", max), ("slow", slow)] {
            value.map_or(Ok(()), |value| write!(out, ",{key}={value}"))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_read_back_as_they_are_written() {
        for text in [
            "model",
            "model,slow=3",
            "fixed:6",
            "slow-fast:6,1",
            "slow-fast:6,1,cut=0.8",
            "relative-l2:0.02",
            "relative-l1:0.5",
            "cosine:0.001,zero=0.02,surprise=0.3,min=2,max=5,slow=7",
            "floor:0.05,0.012,cut=0.8,start=0.01",
        ] {
            assert_eq!(text.parse::<RuleName>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn a_wrong_rule_is_named_with_what_would_be_right() {
        for text in [
            "",
            "fixed",
            "fixed:0",
            "fixed:65",
            "fixed:x",
            "slow-fast:6",
            "relative-l2:-1",
            "relative-l2:nan",
            "warp:9",
            "floor:0.1",
            "fixed:6,7",
            "model,zero=-1",
            "model,colour=3",
            "floor:1,1,start=0",
            "model,min=3,max=2",
            "model:6",
        ] {
            let message = text.parse::<RuleName>().unwrap_err().to_string();
            assert!(message.contains(text) && message.contains("relative-l2:EPS"), "{message}");
        }
    }
}
