//! What a board draws, for boards without a power sensor.

use std::str::FromStr;

use super::budget::{BudgetError, number_and_unit};

/// What a board draws, for boards without a power sensor: `idle=4W,step=20mJ,at=1020MHz`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct EnergyModel {
    /// Draw of the board beside our work, in mW.
    pub idle_mw: u32,
    /// Energy of one step above that, in mJ.
    pub step_mj: f32,
    /// The GPU clock at which `step_mj` holds, in Hz; 0 when the clock does not matter.
    pub at_clock_hz: u64,
}

impl FromStr for EnergyModel {
    type Err = BudgetError;

    fn from_str(given: &str) -> Result<EnergyModel, BudgetError> {
        let error = |reason: String| {
            BudgetError::new("energy model", given, reason, "for example idle=4W,step=20mJ or idle=4W,step=20mJ,at=1020MHz")
        };
        let (mut idle, mut step, mut clock) = (None, None, None);
        for part in given.split(',') {
            let (key, value) = part.split_once('=').ok_or_else(|| error(format!("'{part}' has no '='")))?;
            let (number, unit) = number_and_unit(value).ok_or_else(|| error(format!("'{value}' does not begin with a number")))?;
            let (place, scale, most) = match (key.trim(), unit) {
                ("idle", "W") => (&mut idle, 1e3, 1e7),
                ("idle", "mW") => (&mut idle, 1.0, 1e7),
                ("step", "J") => (&mut step, 1e3, 1e6),
                ("step", "mJ") => (&mut step, 1.0, 1e6),
                ("at", "GHz") => (&mut clock, 1e9, 1e11),
                ("at", "MHz") => (&mut clock, 1e6, 1e11),
                ("idle" | "step" | "at", _) => return Err(error(format!("'{unit}' is no unit of {key} (W or mW; J or mJ; MHz or GHz)"))),
                _ => return Err(error(format!("'{key}' is unknown; idle, step and at are known"))),
            };
            if !(number > 0.0 && number * scale <= most) {
                return Err(error(format!("{key} cannot be {value}")));
            }
            if place.replace(number * scale).is_some() {
                return Err(error(format!("{key} is given twice")));
            }
        }
        let idle: f64 = idle.ok_or_else(|| error("idle is missing".into()))?;
        let step: f64 = step.ok_or_else(|| error("step is missing".into()))?;
        Ok(EnergyModel { idle_mw: idle as u32, step_mj: step as f32, at_clock_hz: clock.unwrap_or(0.0) as u64 })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_model_is_read_as_people_write_it() {
        assert_eq!("idle=4W,step=20mJ".parse(), Ok(EnergyModel { idle_mw: 4000, step_mj: 20.0, at_clock_hz: 0 }));
        assert_eq!(
            "step=0.02J,at=1.02GHz,idle=3500mW".parse(),
            Ok(EnergyModel { idle_mw: 3500, step_mj: 20.0, at_clock_hz: 1_020_000_000 })
        );
    }

    #[test]
    fn a_wrong_model_is_named_with_what_would_be_right() {
        for text in [
            "",
            "idle=4W",
            "step=1mJ",
            "idle=4,step=1mJ",
            "idle=4W,step=1mJ,idle=5W",
            "idle=-4W,step=1mJ",
            "idle=4W,step=0mJ",
            "idle=4W,watts=3W",
            "idle",
        ] {
            let message = text.parse::<EnergyModel>().unwrap_err().to_string();
            assert!(message.starts_with(&format!("energy model '{text}': ")) && message.contains("idle=4W,step=20mJ"), "{message}");
        }
    }
}
