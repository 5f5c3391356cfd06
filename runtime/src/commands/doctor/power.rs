//! Power rails and temperatures.

use std::path::Path;

use super::{Area, Finding};
use crate::pace::sensors::Sensors;

/// What can tell watts and degrees.
pub fn power(root: &Path) -> Vec<Finding> {
    let found = Sensors::discover(root).found();
    let mut findings = Vec::new();
    let whole = match (&found.total, found.rails.is_empty()) {
        (Some(total), _) if found.notes.iter().any(|note| note.contains("RAPL")) => Finding::note(
            Area::Power,
            format!("{total} may not be read: a watt budget cannot be kept"),
            "sudo chmod a+r /sys/class/powercap/*/energy_uj, after every start",
        ),
        (Some(total), _) => Finding::ok(Area::Power, format!("taken as the whole board's draw: {total}")),
        (None, false) => {
            let rails = found.rails.iter().map(|rail| rail.label.as_str()).collect::<Vec<_>>().join(", ");
            Finding::note(
                Area::Power,
                format!("no total power among the rails {rails}: a watt budget cannot be kept"),
                "name the one that measures the whole board: --power-rail, or power_rail under [budget]",
            )
        }
        (None, true) => Finding::note(
            Area::Power,
            "no power sensor: a watt budget cannot be kept, a deadline can",
            "none on this board, or its driver is not loaded (sudo modprobe ina3221)",
        ),
    };
    findings.push(whole.at_length(&found.to_string()));
    findings.push(match found.zones.iter().filter(|zone| zone.counts).count() {
        0 => Finding::note(Area::Power, "no temperature can be read: a heat budget cannot be kept", "none on this machine"),
        n => Finding::ok(Area::Power, format!("{n} temperatures can be read")),
    });
    findings
}
