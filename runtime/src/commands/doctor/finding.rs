//! One line of the doctor's; `{:#}` tells it at length.

use std::fmt;
use std::str::FromStr;

use serde::Serialize;

/// What a finding is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Area {
    /// The board and its L4T.
    Board,
    /// RAM.
    Memory,
    /// Groups of this user.
    Groups,
    /// Cameras.
    Camera,
    /// The GPU and its driver.
    Gpu,
    /// Power rails and temperatures.
    Power,
    /// Serial ports.
    Serial,
    /// Displays on buses.
    Panel,
    /// The network.
    Model,
    /// The configuration file.
    Config,
}

impl Area {
    /// All of them, in the order they are told.
    pub const ALL: [Area; 10] = [
        Area::Board,
        Area::Memory,
        Area::Groups,
        Area::Camera,
        Area::Gpu,
        Area::Power,
        Area::Serial,
        Area::Panel,
        Area::Model,
        Area::Config,
    ];

    fn name(self) -> String {
        format!("{self:?}").to_lowercase()
    }
}

impl FromStr for Area {
    type Err = String;

    fn from_str(given: &str) -> Result<Area, String> {
        let names = || Area::ALL.map(Area::name).join(", ");
        Area::ALL
            .into_iter()
            .find(|area| area.name() == given)
            .ok_or_else(|| format!("there is no '{given}' to look at; there are: {}", names()))
    }
}

/// How it stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// As it should be.
    Ok,
    /// Not there, and not needed by everybody.
    Note,
    /// In the way of something.
    Problem,
}

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// About what.
    pub area: Area,
    /// How it stands.
    pub state: State,
    /// What was found.
    pub found: String,
    /// How to fix it. The key in the JSON keeps the name it has had from the start.
    #[serde(rename = "mend", skip_serializing_if = "Option::is_none")]
    pub fix: Option<String>,
    /// Everything that is known of it, a line each; shown when this area alone was asked for.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub details: Vec<String>,
}

impl Finding {
    /// All is well.
    pub fn ok(area: Area, found: impl Into<String>) -> Finding {
        Finding { area, state: State::Ok, found: found.into(), fix: None, details: Vec::new() }
    }

    /// The same with the lines of `text` as its details.
    pub fn at_length(mut self, text: &str) -> Finding {
        self.details.extend(text.lines().filter(|line| !line.trim().is_empty()).map(str::to_owned));
        self
    }

    /// Worth knowing.
    pub fn note(area: Area, found: impl Into<String>, fix: impl Into<String>) -> Finding {
        Finding { area, state: State::Note, found: found.into(), fix: Some(fix.into()), details: Vec::new() }
    }

    /// Wrong.
    pub fn problem(area: Area, found: impl Into<String>, fix: impl Into<String>) -> Finding {
        Finding { area, state: State::Problem, found: found.into(), fix: Some(fix.into()), details: Vec::new() }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = match self.state {
            State::Ok => "ok",
            State::Note => "note",
            State::Problem => "problem",
        };
        write!(out, "{state:<8} {:<7} {}", self.area.name(), self.found)?;
        if let Some(fix) = &self.fix {
            write!(out, "\n{:<17}fix: {fix}", "")?;
        }
        if out.alternate() {
            self.details.iter().try_for_each(|detail| write!(out, "\n{:<17}{detail}", ""))?;
        }
        Ok(())
    }
}
