//! What was found, for people: the text of `doctor power`.

use std::fmt;

use serde::Serialize;

use super::board::Board;

/// What was found under a root.
#[derive(Clone, Debug, Serialize)]
pub struct Found {
    /// The board.
    pub board: Board,
    /// Power rails in the order they were found.
    pub rails: Vec<FoundRail>,
    /// What is taken as the draw of the whole board, and why; `None` without one.
    pub total: Option<String>,
    /// Thermal zones.
    pub zones: Vec<FoundZone>,
    /// The GPU's clock: device and highest Hz.
    pub clock: Option<(String, Option<u64>)>,
    /// How many over-current alarms and counters are watched.
    pub alarms: usize,
    /// Milliseconds between two looks.
    pub interval_ms: u64,
    /// What is missing, and what follows from it.
    pub notes: Vec<String>,
}

/// A rail that was found.
#[derive(Clone, Debug, Serialize)]
pub struct FoundRail {
    /// Its label.
    pub label: String,
    /// Its chip.
    pub chip: String,
    /// Draw just now, in mW.
    pub power_mw: Option<f32>,
    /// Part of what is taken as the total.
    pub in_total: bool,
}

/// A thermal zone that was found.
#[derive(Clone, Debug, Serialize)]
pub struct FoundZone {
    /// Its type.
    pub kind: String,
    /// Temperature just now, in degrees Celsius.
    pub temp_c: Option<f32>,
    /// Whether it counts.
    pub counts: bool,
}

impl fmt::Display for Found {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let board = &self.board;
        let or = |text: &Option<String>, none: &str| text.clone().unwrap_or_else(|| none.to_owned());
        writeln!(out, "board        {}", or(&board.model, "unknown (no device tree)"))?;
        let jetpack = board.jetpack.map_or(String::new(), |jetpack| format!(" (JetPack {jetpack})"));
        writeln!(out, "Jetson Linux {}{jetpack}", or(&board.l4t, "none"))?;
        writeln!(out, "power mode   {}", or(&board.power_mode, "unknown"))?;
        let value = |value: Option<f32>, unit: &str, scale: f32| value.map_or("silent".to_owned(), |v| format!("{:.2} {unit}", v / scale));
        for rail in &self.rails {
            let mark = if rail.in_total { "*" } else { " " };
            writeln!(out, "rail       {mark} {:<20} {:>10}  {}", rail.label, value(rail.power_mw, "W", 1e3), rail.chip)?;
        }
        writeln!(out, "total        {}", or(&self.total, "none"))?;
        for zone in &self.zones {
            let mark = if zone.counts { "*" } else { " " };
            writeln!(out, "zone       {mark} {:<20} {:>10}", zone.kind, value(zone.temp_c, "C", 1.0))?;
        }
        match &self.clock {
            Some((device, highest)) => {
                let highest = highest.map_or(String::new(), |hz| format!(", at most {:.0} MHz", hz as f64 / 1e6));
                writeln!(out, "GPU clock    {device}{highest}")?;
            }
            None => writeln!(out, "GPU clock    none")?,
        }
        writeln!(out, "alarms       {}", self.alarms)?;
        writeln!(out, "sampled      every {} ms", self.interval_ms)?;
        self.notes.iter().try_for_each(|note| writeln!(out, "note         {note}"))
    }
}
