//! The board's own sensors: found under a root, read no faster than they convert, never written.
//!
//! ```text
//! sys/bus/i2c/drivers/{ina3221,ina3221x,ina238}/*/   rails (hwmon of JetPack 5 to 7, iio of JetPack 4)
//! sys/class/powercap/*/                              RAPL counters (x86)
//! sys/class/thermal/thermal_zone*/                   temperatures
//! sys/class/devfreq/*gpu*/                           GPU clock
//! sys/class/hwmon/*/oc*_event_cnt                    over-current throttling of the SoC
//! proc/device-tree/model, etc/nv_tegra_release, etc/nvpmodel.conf, var/lib/nvpmodel/status
//! ```
//!
//! A read may wait for the chip to finish converting (milliseconds over I2C): give [`Sensors`] a thread of its own. Do not tie its
//! rhythm to the frames either: a sampling in step with them sees one phase of every frame only, which is off by several
//! percent. [`Sensors::read`] therefore varies its own interval by 10 %.

mod board;
mod doctor;
mod file;
mod heat;
mod rails;

use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

pub use board::Board;
pub use doctor::{Found, FoundRail, FoundZone};

use super::governor::Reading;
use heat::{Clock, Zone};
use rails::{Rail, Rapl, Total};

/// The sensors of a board.
#[derive(Debug)]
pub struct Sensors {
    root: PathBuf,
    wanted: Option<String>,
    power: PowerMeter,
    zones: Vec<Zone>,
    chosen: Vec<usize>,
    clock: Option<Clock>,
    counters: Vec<(PathBuf, Option<i64>)>,
    interval: Duration,
    next: Option<Duration>,
    reads: u64,
    sought: Duration,
    watched: [Watched; 2],
    events: Vec<Event>,
}

/// Where the draw of the board comes from.
#[derive(Debug)]
enum PowerMeter {
    Rails(Vec<Rail>, Option<Total>),
    Rapl(Rapl),
    None,
}

/// A sensor fell silent or answers again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// `power` or `temperature`.
    pub sensor: &'static str,
    /// True when it answers again.
    pub returned: bool,
}

impl fmt::Display for Event {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sensor = self.sensor;
        match self.returned {
            true => write!(out, "the {sensor} sensor answers again: its limit is kept again"),
            false => {
                write!(out, "the {sensor} sensor fell silent: unless it returns soon, its limit is not kept and only latency is governed")
            }
        }
    }
}

/// Whether a sensor answered when last asked; `None` before it first did.
#[derive(Clone, Copy, Debug, Default)]
struct Watched(Option<bool>);

impl Watched {
    /// One event for each change, none for a sensor that was never there.
    fn update(&mut self, sensor: &'static str, answers: bool, events: &mut Vec<Event>) {
        let before = self.0;
        if answers || before.is_some() {
            self.0 = Some(answers);
        }
        if before.is_some_and(|before| before != answers) {
            events.push(Event { sensor, returned: answers });
        }
    }
}

/// The shortest time between two looks: 10 Hz.
const SHORTEST: Duration = Duration::from_millis(100);
/// How often a missing power sensor is looked for.
const SEEK: Duration = Duration::from_secs(2);

impl Sensors {
    /// Everything found under `root` (`/` on a real board).
    pub fn discover(root: &Path) -> Sensors {
        Sensors::discover_with(root, None)
    }

    /// The same, with the rail that measures the whole board named by the user: its label, or `CHIP BUS-ADDRESS LABEL`.
    pub fn discover_with(root: &Path, rail: Option<&str>) -> Sensors {
        let (power, converts) = PowerMeter::find(root, rail);
        let zones = heat::zones(root);
        Sensors {
            wanted: rail.map(str::to_owned),
            power,
            chosen: heat::chosen(&zones),
            zones,
            clock: Clock::find(root),
            counters: heat::throttle_counters(root).into_iter().map(|path| (path, None)).collect(),
            interval: converts.unwrap_or(SHORTEST).clamp(SHORTEST, Duration::from_secs(2)),
            next: None,
            reads: 0,
            sought: Duration::ZERO,
            watched: [Watched::default(); 2],
            events: Vec::new(),
            root: root.to_owned(),
        }
    }

    /// Reads the sensors if it is time to, `None` otherwise. What does not answer is absent from the reading.
    pub fn read(&mut self, now: Duration) -> Option<Reading> {
        if self.next.is_some_and(|next| now < next) {
            return None;
        }
        self.reads += 1;
        // The golden ratio's multiples spread evenly: between 0.9 and 1.1 of the interval, never in step with anything.
        let part = (self.reads as f64 * 0.618_033_988_749_894_9).fract();
        self.next = Some(now + self.interval.mul_f64(0.9 + 0.2 * part));

        let mut power_mw = self.power.read(now);
        if power_mw.is_none() && now.saturating_sub(self.sought) >= SEEK {
            // A driver that was bound again has another hwmon number.
            self.sought = now;
            if !matches!(self.power, PowerMeter::Rapl(_)) {
                self.power = PowerMeter::find(&self.root, self.wanted.as_deref()).0;
                power_mw = self.power.read(now);
            }
        }
        let temp_c = self.chosen.iter().filter_map(|&zone| self.zones[zone].read()).reduce(f32::max);
        if !matches!(self.power, PowerMeter::Rapl(_)) || power_mw.is_some() {
            self.watched[0].update("power", power_mw.is_some(), &mut self.events);
        }
        self.watched[1].update("temperature", temp_c.is_some(), &mut self.events);
        let throttled = self.counters.iter_mut().fold(false, |any, (path, last)| {
            let count = file::number(path);
            let before = std::mem::replace(last, count);
            any || matches!((before, count), (Some(before), Some(count)) if count > before)
        });
        Some(Reading {
            power_mw,
            temp_c,
            gpu_clock_hz: self.clock.as_ref().and_then(Clock::read),
            over_current: throttled || self.power.alarmed(),
        })
    }

    /// What happened to the sensors since the last call: one event when one falls silent, one when it returns.
    pub fn take_events(&mut self) -> Vec<Event> {
        std::mem::take(&mut self.events)
    }

    /// Whether the draw of the whole board can be known.
    pub fn has_power(&self) -> bool {
        match &self.power {
            PowerMeter::Rails(_, total) => total.is_some(),
            PowerMeter::Rapl(rapl) => rapl.readable(),
            PowerMeter::None => false,
        }
    }

    /// Whether a temperature can be known.
    pub fn has_temperature(&self) -> bool {
        !self.chosen.is_empty()
    }

    /// What was found, with what it reads just now.
    pub fn found(&self) -> Found {
        let mut notes = Vec::new();
        let (mut rails, mut total, mut alarms) = (Vec::new(), None, self.counters.len());
        match &self.power {
            PowerMeter::Rails(found, chosen) => {
                for (index, rail) in found.iter().enumerate() {
                    let in_total = chosen.as_ref().is_some_and(|total| total.rails.contains(&index));
                    alarms += usize::from(in_total && rail.has_alarms());
                    rails.push(FoundRail { label: rail.label.clone(), chip: rail.chip.clone(), power_mw: rail.read(), in_total });
                }
                total = chosen.as_ref().map(|total| {
                    let labels: Vec<&str> = total.rails.iter().map(|&index| found[index].label.as_str()).collect();
                    format!("{} ({})", labels.join(" + "), total.because)
                });
                if chosen.is_none() {
                    notes.push("none of these rails is known to measure the whole board: name one in the configuration".into());
                }
            }
            PowerMeter::Rapl(rapl) => {
                total = Some(format!("RAPL {} (the processor alone, not the board)", rapl.domains.join(" + ")));
                if !rapl.readable() {
                    notes.push("the RAPL counters belong to root: allow this user to read sys/class/powercap/*/energy_uj".into());
                }
            }
            PowerMeter::None => {
                notes.push("no power sensor: a power budget is kept by an energy model if one is configured, not at all otherwise".into())
            }
        }
        if self.chosen.is_empty() {
            notes.push("no thermal zone: a temperature limit is not kept".into());
        }
        Found {
            board: Board::find(&self.root),
            rails,
            total,
            zones: self
                .zones
                .iter()
                .enumerate()
                .map(|(index, zone)| FoundZone { kind: zone.kind.clone(), temp_c: zone.read(), counts: self.chosen.contains(&index) })
                .collect(),
            clock: self.clock.as_ref().map(|clock| (clock.device.clone(), clock.highest_hz)),
            alarms,
            interval_ms: self.interval.as_millis() as u64,
            notes,
        }
    }
}

impl PowerMeter {
    fn find(root: &Path, wanted: Option<&str>) -> (PowerMeter, Option<Duration>) {
        let (rails, interval) = rails::find(root);
        if !rails.is_empty() {
            let total = rails::total(&rails, wanted);
            return (PowerMeter::Rails(rails, total), interval);
        }
        (Rapl::find(root).map_or(PowerMeter::None, PowerMeter::Rapl), None)
    }

    fn read(&mut self, now: Duration) -> Option<f32> {
        match self {
            PowerMeter::Rails(rails, Some(total)) => total.rails.iter().map(|&index| rails[index].read()).sum(),
            PowerMeter::Rapl(rapl) => rapl.read(now),
            _ => None,
        }
    }

    fn alarmed(&self) -> bool {
        match self {
            PowerMeter::Rails(rails, Some(total)) => total.rails.iter().any(|&index| rails[index].alarmed()),
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests;
