//! Power rails: INA3221 and INA238 monitors, and Intel's RAPL counters.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::file::{entries, name, number, text};

/// A measured supply rail.
#[derive(Clone, Debug)]
pub struct Rail {
    /// Its label, as the board's device tree names it.
    pub label: String,
    /// The chip and its place on the bus, for example `ina3221 1-0040`.
    pub chip: String,
    /// True when the label came from the board, false when it is only the channel's number.
    pub named: bool,
    meter: Meter,
    /// Files that read 1 while the rail's current is above its limits.
    alarms: Vec<PathBuf>,
}

#[derive(Clone, Debug)]
enum Meter {
    /// JetPack 4's driver: milliwatts.
    Milliwatts(PathBuf),
    /// hwmon of a chip that computes power itself: microwatts.
    Microwatts(PathBuf),
    /// hwmon of the INA3221: millivolts and milliamperes.
    VoltsAmperes(PathBuf, PathBuf),
}

impl Rail {
    /// Draw in mW; `None` while the rail does not answer.
    pub fn read(&self) -> Option<f32> {
        match &self.meter {
            Meter::Milliwatts(path) => number(path).map(|mw| mw as f32),
            Meter::Microwatts(path) => number(path).map(|uw| uw as f32 / 1e3),
            Meter::VoltsAmperes(mv, ma) => Some((number(mv)? as f64 * number(ma)? as f64 / 1e3) as f32),
        }
    }

    /// Whether anything watches the current of this rail.
    pub fn has_alarms(&self) -> bool {
        !self.alarms.is_empty()
    }

    /// Whether the rail's current is above one of its limits.
    pub fn alarmed(&self) -> bool {
        self.alarms.iter().any(|path| number(path).is_some_and(|value| value != 0))
    }
}

/// All rails under `root`, and the longest time one of the chips takes to convert.
pub fn find(root: &Path) -> (Vec<Rail>, Option<Duration>) {
    let mut rails = Vec::new();
    let mut interval = None;
    for driver in ["ina3221x", "ina3221", "ina238"] {
        for device in entries(&root.join("sys/bus/i2c/drivers").join(driver)) {
            // Devices are links named bus-address; the rest of the folder is bind, unbind, module, uevent.
            if !name(&device).contains('-') {
                continue;
            }
            let chip = format!("{} {}", driver.trim_end_matches('x'), name(&device));
            for iio in entries(&device).iter().filter(|path| name(path).starts_with("iio:device")) {
                rails.extend((0..3).filter_map(|channel| iio_rail(iio, channel, &chip)));
            }
            for hwmon in entries(&device.join("hwmon")) {
                let millis = number(&hwmon.join("update_interval")).filter(|ms| (1..=10_000).contains(ms));
                interval = interval.max(millis.map(|ms| Duration::from_millis(ms as u64)));
                if driver == "ina238" {
                    rails.extend(ina238_rail(&hwmon, &chip));
                } else {
                    // Channels 1 to 3 are rails; 4 to 6 are shunt voltages and 7 is their sum.
                    rails.extend((1..=3).filter_map(|channel| hwmon_rail(&hwmon, channel, &chip)));
                }
            }
        }
    }
    (rails, interval)
}

/// Unconnected channels carry NC in their label.
fn connected(label: &str) -> bool {
    label != "NC" && !label.starts_with("NC_") && !label.ends_with("_NC")
}

fn iio_rail(iio: &Path, channel: u32, chip: &str) -> Option<Rail> {
    let label = text(&iio.join(format!("rail_name_{channel}")))?;
    let power = iio.join(format!("in_power{channel}_input"));
    (connected(&label) && power.exists()).then(|| Rail {
        label,
        chip: chip.to_owned(),
        named: true,
        meter: Meter::Milliwatts(power),
        alarms: Vec::new(),
    })
}

fn hwmon_rail(hwmon: &Path, channel: u32, chip: &str) -> Option<Rail> {
    let label = text(&hwmon.join(format!("in{channel}_label")));
    let (volts, amperes) = (hwmon.join(format!("in{channel}_input")), hwmon.join(format!("curr{channel}_input")));
    let switched_off = number(&hwmon.join(format!("in{channel}_enable"))) == Some(0);
    if switched_off || !volts.exists() || !amperes.exists() || label.as_deref().is_some_and(|label| !connected(label)) {
        return None;
    }
    let alarms = ["crit", "max"].map(|kind| hwmon.join(format!("curr{channel}_{kind}_alarm")));
    Some(Rail {
        named: label.is_some(),
        label: label.unwrap_or_else(|| format!("channel {channel}")),
        chip: chip.to_owned(),
        meter: Meter::VoltsAmperes(volts, amperes),
        alarms: alarms.into_iter().filter(|path| path.exists()).collect(),
    })
}

fn ina238_rail(hwmon: &Path, chip: &str) -> Option<Rail> {
    let power = hwmon.join("power1_input");
    let label = text(&hwmon.join("power1_label")).or_else(|| text(&hwmon.join("in1_label")));
    let alarms = ["power1_max_alarm"].map(|alarm| hwmon.join(alarm));
    power.exists().then(|| Rail {
        // The one INA238 on Jetson boards stands before the carrier's input.
        label: label.unwrap_or_else(|| "VIN".to_owned()),
        chip: chip.to_owned(),
        named: true,
        meter: Meter::Microwatts(power),
        alarms: alarms.into_iter().filter(|path| path.exists()).collect(),
    })
}

/// Which rails make up the draw of the whole board.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Total {
    /// Indices into the rails found.
    pub rails: Vec<usize>,
    /// Why these.
    pub because: String,
}

/// Rails that measure everything alone, the outermost first.
const WHOLE: [&str; 4] = ["VIN", "VDD_IN", "POM_5V_IN", "VDD_SYS_IN"];
/// Rails beside each other (none contains another) on boards that have no rail for everything. On the AGX Orin, VDDQ_VDD2_1V8AO is
/// fed from VIN_SYS_5V0 and must not be added again.
const BESIDE: [&[&str]; 2] = [&["VDD_GPU_SOC", "VDD_CPU_CV", "VIN_SYS_5V0"], &["GPU", "CPU", "SOC", "CV", "VDDRQ", "SYS5V"]];

/// The rails that make up the whole board: the one named by the user, the one that measures everything, or those beside each other.
pub fn total(rails: &[Rail], wanted: Option<&str>) -> Option<Total> {
    let at = |label: &str| rails.iter().position(|rail| rail.label == label);
    if let Some(wanted) = wanted {
        let index = rails.iter().position(|rail| rail.label == wanted || format!("{} {}", rail.chip, rail.label) == wanted)?;
        return Some(Total { rails: vec![index], because: "named in the configuration".into() });
    }
    if let Some(index) = WHOLE.iter().find_map(|label| at(label)) {
        return Some(Total { rails: vec![index], because: "it feeds everything else".into() });
    }
    for set in BESIDE {
        let rails: Vec<usize> = set.iter().filter_map(|label| at(label)).collect();
        if rails.len() == set.len() {
            return Some(Total { rails, because: "no rail feeds everything; these lie beside each other".into() });
        }
    }
    if !rails.is_empty() && rails.iter().all(|rail| !rail.named) {
        return Some(Total { rails: vec![0], because: "no rail has a name; the first channel is assumed to feed the rest".into() });
    }
    None
}

/// Intel's running average power limit: counters of energy.
#[derive(Clone, Debug)]
pub struct Rapl {
    /// Names of the domains added up.
    pub domains: Vec<String>,
    counters: Vec<(PathBuf, u64)>,
    last: Option<(Duration, Vec<u64>)>,
}

impl Rapl {
    /// The whole platform if it is counted, all packages otherwise.
    pub fn find(root: &Path) -> Option<Rapl> {
        let mut all = Vec::new();
        for domain in entries(&root.join("sys/class/powercap")) {
            let counter = domain.join("energy_uj");
            if let Some(label) = text(&domain.join("name"))
                && counter.exists()
            {
                let range = number(&domain.join("max_energy_range_uj")).filter(|range| *range > 0).unwrap_or(i64::MAX);
                all.push((label, counter, range as u64));
            }
        }
        let platform: Vec<_> = all.iter().filter(|(label, ..)| label == "psys").cloned().collect();
        let chosen =
            if platform.is_empty() { all.into_iter().filter(|(label, ..)| label.starts_with("package-")).collect() } else { platform };
        (!chosen.is_empty()).then(|| Rapl {
            domains: chosen.iter().map(|(label, ..)| label.clone()).collect(),
            counters: chosen.into_iter().map(|(_, path, range)| (path, range)).collect(),
            last: None,
        })
    }

    /// Mean draw since the last call, in mW; `None` the first time and while the counters cannot be read.
    pub fn read(&mut self, now: Duration) -> Option<f32> {
        let counts: Option<Vec<u64>> = self.counters.iter().map(|(path, _)| number(path).map(|uj| uj as u64)).collect();
        let Some(counts) = counts else {
            self.last = None;
            return None;
        };
        let (before, old) = self.last.replace((now, counts.clone()))?;
        let seconds = now.checked_sub(before)?.as_secs_f64();
        let spent =
            |((new, old), (_, range)): ((&u64, &u64), &(PathBuf, u64))| if new >= old { new - old } else { new + (range - old.min(range)) };
        let uj: u64 = counts.iter().zip(&old).zip(&self.counters).map(spent).sum();
        (seconds > 0.0).then(|| (uj as f64 / seconds / 1e3) as f32)
    }

    /// Whether the counters may be read (they belong to root).
    pub fn readable(&self) -> bool {
        self.counters.iter().all(|(path, _)| number(path).is_some())
    }
}
