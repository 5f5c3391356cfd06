//! What the user asks the runtime to keep to.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// A budget: every part may be missing, and a missing part never limits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Budget {
    /// The age a result may have, counted from the frame's capture.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deadline: Option<Deadline>,
    /// What the board may draw.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub power: Option<Power>,
    /// How hot the board may get.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub temp: Option<Celsius>,
    /// What to do with room inside the budget.
    pub mode: Mode,
}

/// "This share of results is no older than this": `33ms@p99`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Deadline {
    /// The age, counted from capture.
    pub within: Duration,
    /// The share in percent, from 50 to below 100.
    pub percentile: f64,
}

/// A power budget in milliwatts: `10W`, `8500mW`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Power {
    /// Milliwatts, above 0.
    pub mw: u32,
}

/// A temperature in degrees Celsius: `85C`.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Celsius(
    /// Degrees.
    pub f32,
);

/// What to do with room inside the budget.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// Spend it all on steps, even if the camera then runs ahead and frames are dropped.
    Accuracy,
    /// Spend it on steps as long as every frame of the camera still gets its turn.
    #[default]
    Balanced,
    /// Keep 15 % of every budget and of the frame period unspent.
    Saver,
}

impl Mode {
    /// The share of the deadline, the frame period and the watts that may be spent.
    pub fn share(self) -> f64 {
        if self == Mode::Saver { 0.85 } else { 1.0 }
    }
}

/// Part of a budget could not be read.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
#[error("{what} '{given}': {reason}; write {form}")]
pub struct BudgetError {
    what: &'static str,
    given: String,
    reason: String,
    form: &'static str,
}

impl BudgetError {
    pub(super) fn new(what: &'static str, given: &str, reason: String, form: &'static str) -> BudgetError {
        BudgetError { what, given: given.to_owned(), reason, form }
    }
}

/// A number, and the unit written after it.
pub(super) fn number_and_unit(text: &str) -> Option<(f64, &str)> {
    let text = text.trim();
    let end = text.find(|c: char| !(c.is_ascii_digit() || matches!(c, '.' | '-' | '+'))).unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    number.parse::<f64>().ok().filter(|number| number.is_finite()).map(|number| (number, unit.trim()))
}

impl FromStr for Deadline {
    type Err = BudgetError;

    fn from_str(given: &str) -> Result<Deadline, BudgetError> {
        let error = |reason: String| BudgetError {
            what: "deadline",
            given: given.to_owned(),
            reason,
            form: "an age and, if wanted, a percentile, for example 33ms or 33ms@p99",
        };
        let (age, percentile) = match given.split_once('@') {
            None => (given, 99.0),
            Some((age, share)) => {
                let number = share.trim().strip_prefix('p').and_then(|digits| digits.parse::<f64>().ok());
                match number {
                    Some(p) if (50.0..100.0).contains(&p) => (age, p),
                    _ => return Err(error(format!("'{share}' is no percentile from p50 to below p100"))),
                }
            }
        };
        let (value, unit) = number_and_unit(age).ok_or_else(|| error(format!("'{}' does not begin with a number", age.trim())))?;
        let seconds = match unit {
            "us" => value * 1e-6,
            "ms" => value * 1e-3,
            "s" => value,
            "" => return Err(error("the unit is missing".into())),
            _ => return Err(error(format!("'{unit}' is no unit of time (us, ms or s)"))),
        };
        if !(1e-4..=3600.0).contains(&seconds) {
            return Err(error("an age lies between 0.1 ms and an hour".into()));
        }
        Ok(Deadline { within: Duration::from_nanos((seconds * 1e9).round() as u64), percentile })
    }
}

impl fmt::Display for Deadline {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}ms@p{}", self.within.as_nanos() as f64 / 1e6, self.percentile)
    }
}

impl FromStr for Power {
    type Err = BudgetError;

    fn from_str(given: &str) -> Result<Power, BudgetError> {
        let error = |reason: String| BudgetError {
            what: "power budget",
            given: given.to_owned(),
            reason,
            form: "watts or milliwatts, for example 10W or 8500mW",
        };
        let (value, unit) = number_and_unit(given).ok_or_else(|| error("it does not begin with a number".into()))?;
        let mw = match unit {
            "W" | "w" => value * 1e3,
            "mW" | "mw" => value,
            "" => return Err(error("the unit is missing".into())),
            _ => return Err(error(format!("'{unit}' is no unit of power (W or mW)"))),
        };
        if !(1.0..=10_000_000.0).contains(&mw) {
            return Err(error("a power budget lies between 1 mW and 10 kW".into()));
        }
        Ok(Power { mw: mw.round() as u32 })
    }
}

impl fmt::Display for Power {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.mw.is_multiple_of(100) { write!(out, "{}W", f64::from(self.mw) / 1e3) } else { write!(out, "{}mW", self.mw) }
    }
}

impl FromStr for Celsius {
    type Err = BudgetError;

    fn from_str(given: &str) -> Result<Celsius, BudgetError> {
        let error =
            |reason: String| BudgetError { what: "temperature", given: given.to_owned(), reason, form: "degrees Celsius, for example 85C" };
        let (value, unit) = number_and_unit(given).ok_or_else(|| error("it does not begin with a number".into()))?;
        match unit {
            "C" | "c" | "°C" => {}
            "" => return Err(error("the unit is missing".into())),
            _ => return Err(error(format!("'{unit}' is no unit of temperature (C)"))),
        }
        if !(20.0..=120.0).contains(&value) {
            return Err(error("a limit lies between 20C and 120C".into()));
        }
        Ok(Celsius(value as f32))
    }
}

impl fmt::Display for Celsius {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}C", self.0)
    }
}

impl FromStr for Mode {
    type Err = BudgetError;

    fn from_str(given: &str) -> Result<Mode, BudgetError> {
        match given {
            "accuracy" => Ok(Mode::Accuracy),
            "balanced" => Ok(Mode::Balanced),
            "saver" => Ok(Mode::Saver),
            _ => Err(BudgetError {
                what: "mode",
                given: given.to_owned(),
                reason: "there is no such mode".into(),
                form: "accuracy, balanced or saver",
            }),
        }
    }
}

impl fmt::Display for Mode {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Mode::Accuracy => "accuracy",
            Mode::Balanced => "balanced",
            Mode::Saver => "saver",
        })
    }
}

macro_rules! as_text {
    ($($kind:ty),*) => {$(
        impl TryFrom<String> for $kind {
            type Error = BudgetError;

            fn try_from(text: String) -> Result<$kind, BudgetError> {
                text.parse()
            }
        }

        impl From<$kind> for String {
            fn from(value: $kind) -> String {
                value.to_string()
            }
        }
    )*};
}
as_text!(Deadline, Power, Celsius);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn budgets_are_read_as_people_write_them() {
        assert_eq!("33ms@p99".parse(), Ok(Deadline { within: Duration::from_millis(33), percentile: 99.0 }));
        assert_eq!("0.5s".parse(), Ok(Deadline { within: Duration::from_millis(500), percentile: 99.0 }));
        assert_eq!("16.7ms@p99.9".parse(), Ok(Deadline { within: Duration::from_micros(16_700), percentile: 99.9 }));
        assert_eq!("10W".parse(), Ok(Power { mw: 10_000 }));
        assert_eq!("8500 mW".parse(), Ok(Power { mw: 8_500 }));
        assert_eq!("85C".parse(), Ok(Celsius(85.0)));
        assert_eq!("saver".parse(), Ok(Mode::Saver));
    }

    #[test]
    fn budgets_read_back_as_they_are_printed() {
        for text in ["33ms@p99", "16.7ms@p99.9", "500ms@p50"] {
            assert_eq!(text.parse::<Deadline>().unwrap().to_string(), text);
        }
        for text in ["10W", "8.5W", "8555mW"] {
            assert_eq!(text.parse::<Power>().unwrap().to_string(), text);
        }
        assert_eq!("72.5C".parse::<Celsius>().unwrap().to_string(), "72.5C");
    }

    #[test]
    fn a_wrong_deadline_is_named_with_what_would_be_right() {
        for text in ["", "33", "ms", "33ms@99", "33ms@p100", "33ms@p49", "33parsec", "-3ms", "0ms", "nanms", "9999s", "infs"] {
            let message = text.parse::<Deadline>().unwrap_err().to_string();
            assert!(message.starts_with(&format!("deadline '{text}': ")) && message.contains("33ms@p99"), "{message}");
        }
    }

    #[test]
    fn a_wrong_power_temperature_or_mode_is_named_too() {
        for text in ["", "10", "W", "-1W", "0W", "10V", "99999999W"] {
            assert!(text.parse::<Power>().unwrap_err().to_string().contains("10W or 8500mW"));
        }
        for text in ["", "85", "C", "500C", "85F", "-5C"] {
            assert!(text.parse::<Celsius>().unwrap_err().to_string().contains("85C"));
        }
        assert!("turbo".parse::<Mode>().unwrap_err().to_string().contains("accuracy, balanced or saver"));
    }
}
