//! Temperatures and the GPU clock.

use std::path::{Path, PathBuf};

use super::file::{entries, name, number, text};

/// A thermal zone.
#[derive(Clone, Debug)]
pub struct Zone {
    /// Its type, for example `gpu-thermal`.
    pub kind: String,
    path: PathBuf,
}

impl Zone {
    /// Degrees Celsius; `None` while the zone is off (an error, or -256).
    pub fn read(&self) -> Option<f32> {
        number(&self.path).map(|millis| millis as f32 / 1e3).filter(|degrees| (-40.0..150.0).contains(degrees))
    }
}

/// The thermal zones under `root` that say something about the chip.
pub fn zones(root: &Path) -> Vec<Zone> {
    entries(&root.join("sys/class/thermal"))
        .into_iter()
        .filter(|zone| name(zone).starts_with("thermal_zone"))
        .filter_map(|zone| Some(Zone { kind: text(&zone.join("type"))?, path: zone.join("temp") }))
        // PMIC-Die always reads 100, and a fan's estimate is no temperature.
        .filter(|zone| !zone.kind.starts_with("PMIC") && !zone.kind.contains("fan"))
        .collect()
}

/// The zones that count: the junction (which is the hottest of the chip) or the package where there is one, all of them otherwise.
pub fn chosen(zones: &[Zone]) -> Vec<usize> {
    let by = |wanted: fn(&str) -> bool| -> Vec<usize> { (0..zones.len()).filter(|&i| wanted(&zones[i].kind)).collect() };
    [by(|kind| kind == "tj" || kind == "tj-thermal" || kind == "tj-therm"), by(|kind| kind == "x86_pkg_temp")]
        .into_iter()
        .find(|chosen| !chosen.is_empty())
        .unwrap_or_else(|| (0..zones.len()).collect())
}

/// The GPU's clock.
#[derive(Clone, Debug)]
pub struct Clock {
    /// Its device, for example `17000000.gpu`.
    pub device: String,
    current: PathBuf,
    /// The highest clock the power mode allows, in Hz.
    pub highest_hz: Option<u64>,
}

impl Clock {
    /// The GPU among the devices with a scaled frequency under `root`.
    pub fn find(root: &Path) -> Option<Clock> {
        let names = ["gpu", "ga10b", "gv11b", "gp10b", "gm20b"];
        let device =
            entries(&root.join("sys/class/devfreq")).into_iter().find(|device| names.iter().any(|part| name(device).contains(part)))?;
        Some(Clock {
            device: name(&device).to_owned(),
            highest_hz: number(&device.join("max_freq")).map(|hz| hz as u64),
            current: device.join("cur_freq"),
        })
    }

    /// Hz.
    pub fn read(&self) -> Option<u64> {
        number(&self.current).filter(|hz| *hz > 0).map(|hz| hz as u64)
    }
}

/// Counters of the SoC's own over-current throttling.
pub fn throttle_counters(root: &Path) -> Vec<PathBuf> {
    let hwmons = entries(&root.join("sys/class/hwmon"));
    let counters =
        hwmons.iter().flat_map(|hwmon| entries(hwmon)).filter(|path| name(path).starts_with("oc") && name(path).ends_with("_event_cnt"));
    counters.collect()
}
