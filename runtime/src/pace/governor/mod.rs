//! Closed loop on deadline, watts and heat: from what frames cost to how many steps the next one affords.
//!
//! ```text
//! frame times --> latency: xi (a + b k), percentile ----------------------------------+
//! watts ------+-> power:   P = P0 + e w, once a second --+                      |
//! work done --+                                          +-> token bucket ---------+-> decide --> limit, skip, reason
//! degrees ----+-> heat:    velocity form, once a second -+                      |
//! frame period -----------------------------------------------------------------+
//! ```
//!
//! Work is counted in steps of the whole network (a step of a fifth of its tiles is a fifth of one); encoding and reading out count as as many
//! steps as they take the time of. Everything in here is
//! arithmetic on what the caller reports: a recorded run replays to the same decisions.

mod decide;
mod filter;
mod heat;
mod latency;
mod power;
mod token_bucket;
mod window;

use std::time::Duration;

use serde::Serialize;

use crate::pace::energy_model::EnergyModel;

pub use power::Sight;

pub use crate::telemetry::LimitReason;

use super::budget::Budget;
use decide::{History, decide};
use heat::HeatLoop;
use latency::Latency;
use power::PowerLoop;
use token_bucket::TokenBucket;

/// What the network and the camera allow, whatever the budget.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Limits {
    /// Steps a frame takes at least.
    pub min_steps: u32,
    /// Steps a frame takes at most.
    pub max_steps: u32,
    /// Time between two frames of a live camera; `None` for sources that wait.
    pub frame_period: Option<Duration>,
    /// The engine looks at [`Plan::deadline`] before every step. Then the limit is what fits on average and the check holds
    /// the percentile; otherwise the limit itself must.
    pub checked: bool,
}

/// What a frame costs on this machine, measured at warm-up.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CostModel {
    /// Everything but stepping: fitting, encoding, reading out.
    pub base: Duration,
    /// One step.
    pub per_step: Duration,
    /// What a step draws, where no sensor says so.
    pub energy: Option<EnergyModel>,
}

/// What one frame took.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Observation {
    /// Steps taken.
    pub steps: u32,
    /// From taking the frame to the first step: fitting and encoding.
    pub encode: Duration,
    /// The part of that which is the same however much of the picture moved: fitting.
    pub fit: Duration,
    /// How much of the network was computed.
    pub shares: Shares,
    /// All steps together.
    pub stepping: Duration,
    /// From the last step to the result.
    pub readout: Duration,
    /// Age of the result, counted from capture.
    pub age: Duration,
    /// The limit or the deadline ended the stepping, not the halting rule.
    pub wanted_more: bool,
}

/// How much of a network was computed in a frame, where only what moved is: 1 is all of it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Shares {
    /// Of the encoder.
    pub encoded: f32,
    /// Of each step, on average.
    pub stepped: f32,
}

impl Default for Shares {
    fn default() -> Shares {
        Shares { encoded: 1.0, stepped: 1.0 }
    }
}

/// One look at the sensors; what is missing or makes no sense is treated as absent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Reading {
    /// Draw of the whole board, in mW.
    pub power_mw: Option<f32>,
    /// The temperature that counts, in degrees Celsius.
    pub temp_c: Option<f32>,
    /// GPU clock, in Hz.
    pub gpu_clock_hz: Option<u64>,
    /// The power supply's over-current alarm is up.
    pub over_current: bool,
}

impl std::fmt::Display for LimitReason {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str(match self {
            LimitReason::None => "none",
            LimitReason::Latency => "latency",
            LimitReason::Power => "power",
            LimitReason::Heat => "heat",
            LimitReason::Camera => "camera",
        })
    }
}

/// What the next frame may spend.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Plan {
    /// Steps at most; always between the network's least and most.
    pub limit: u32,
    /// Leave this frame out: even the fewest steps are too much.
    pub skip: bool,
    /// The skip is for want of watts or coolness (and not because the frame is too old).
    pub starved: bool,
    /// Which limit bound.
    pub reason: LimitReason,
    /// When the last step must have ended for the result to be in time, on the clock of `now`: the engine's mid-frame check.
    pub deadline: Option<Duration>,
    /// What one step takes at the wanted percentile.
    pub step_cost: Duration,
}

/// Decides how many steps the next frame affords.
#[derive(Clone, Debug)]
pub struct Governor {
    limits: Limits,
    energy: Option<EnergyModel>,
    budget: Budget,
    history: History,
    unmet_demand: f64,
}

/// What the governor believes; for metrics and for `doctor`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Status {
    /// Measured frame time over the warm-up's: mean.
    pub slowdown: f64,
    /// Its standard deviation.
    pub slowdown_sd: f64,
    /// Draw beside our work, in mW, and energy per step, in mJ, once known.
    pub power_line: Option<(f64, f64)>,
    /// Steps per second (with overhead) that power and heat allow; `None` when they do not limit.
    pub afforded_rate: Option<f64>,
    /// What the power loop sees; `None` without a power budget.
    pub power: Option<Sight>,
    /// Whether the heat loop feels anything; `None` without a temperature limit.
    pub heat: Option<bool>,
    /// Share of recent frames that would have taken more steps.
    pub wanted_more: f64,
}

/// How far the rate may lie from what the slow loops say, as a share.
const BACKLASH: f64 = 0.015;
/// How long an over-current alarm is heeded.
const ALARM: Duration = Duration::from_secs(2);

impl Governor {
    /// A governor that knows the warm-up's measurements and nothing else.
    ///
    /// Limits that make no sense are put right: at most `max_steps`, at least one step possible.
    pub fn new(limits: Limits, cost: CostModel, budget: Budget) -> Governor {
        let max_steps = limits.max_steps.max(1);
        let limits = Limits { min_steps: limits.min_steps.min(max_steps), max_steps, ..limits };
        let percentile = budget.deadline.map_or(99.0, |deadline| deadline.percentile);
        let history = History {
            latency: Latency::new(&cost, percentile, limits.checked),
            power: PowerLoop::new(),
            heat: HeatLoop::new(),
            token_bucket: TokenBucket::new(),
            allowed_by: LimitReason::None,
            rate: None,
            last_fit: limits.max_steps,
            pair: limits.max_steps,
            interval: limits.frame_period.map_or(1.0 / 30.0, |period| period.as_secs_f64()).clamp(1e-4, 10.0),
            planned: None,
            taken: None,
            skipped: 0,
            skipping: false,
            short_since: None,
            alarmed_until: Duration::ZERO,
        };
        Governor { limits, energy: cost.energy, budget, history, unmet_demand: 0.0 }
    }

    /// What the next frame may spend. `now` is the time of the call, `frame_age` how long ago the frame was captured.
    pub fn plan(&mut self, now: Duration, frame_age: Duration) -> Plan {
        let history = &mut self.history;
        if let Some(last) = history.planned.replace(now) {
            let interval = now.saturating_sub(last).as_secs_f64().min(1.0);
            history.interval = (history.interval + 0.1 * (interval - history.interval)).clamp(1e-4, 10.0);
        }
        history.latency.see_age(frame_age.as_secs_f64());
        self.afford(now);
        let (plan, fit, pair) = decide(&self.history, &self.budget, &self.limits, now, frame_age);
        let history = &mut self.history;
        (history.last_fit, history.pair) = (fit, pair);
        history.skipping = plan.starved;
        history.skipped = if plan.skip { history.skipped.saturating_add(1) } else { 0 };
        if !plan.skip {
            history.taken = Some(now);
        }
        plan
    }

    /// Puts the slow loops' smallest rate into the token bucket.
    fn afford(&mut self, now: Duration) {
        let history = &mut self.history;
        let share = self.budget.mode.share();
        let power = self.budget.power.and_then(|power| history.power.affords(now, f64::from(power.mw) * share, self.energy.as_ref()));
        let heat = self.budget.temp.and_then(|limit| history.heat.affords(now, f64::from(limit.0)));
        let (rate, by) = match (power, heat) {
            (Some(power), Some(heat)) if heat < power => (Some(heat), LimitReason::Heat),
            (Some(power), _) => (Some(power), LimitReason::Power),
            (None, Some(heat)) => (Some(heat), LimitReason::Heat),
            (None, None) => (None, LimitReason::None),
        };
        // Backlash: what a second's noise moves the rate by does not move the limits.
        let rate = match (rate, history.rate) {
            (Some(rate), Some(last)) => Some(last.clamp((1.0 - BACKLASH) * rate, (1.0 + BACKLASH) * rate)),
            (rate, _) => rate,
        };
        (history.rate, history.allowed_by) = (rate, by);
        let least = history.latency.overhead_in_steps() + history.latency.share() * f64::from(self.limits.min_steps);
        let short = rate.is_some_and(|rate| rate * history.interval < least);
        history.short_since = short.then(|| history.short_since.unwrap_or(now));
        let frame = history.latency.overhead_in_steps() + history.latency.share() * f64::from(self.limits.max_steps);
        // What calm minutes saved comes back slowly: as at most 1 % of the watts, 2 % of what heat allows.
        let boost = match (by, self.budget.power, history.power.line()) {
            (LimitReason::Power, Some(power), Some((_, e))) => 0.01 * f64::from(power.mw) * share / e,
            (LimitReason::Heat, ..) => 0.02 * rate.unwrap_or(0.0),
            _ => 0.0,
        };
        history.token_bucket.set_rate(now, rate, boost, frame);
    }

    /// Learns what a frame took. Skipped frames are not reported.
    pub fn observe(&mut self, now: Duration, seen: &Observation) {
        let history = &mut self.history;
        history.latency.observe(seen);
        // A frame that was late after its fewest steps says nothing about what the check held back.
        if let (Some(deadline), true) = (self.budget.deadline, seen.wanted_more && seen.steps > self.limits.min_steps) {
            history.latency.used_up(seen.age > deadline.within);
        }
        let work = history.latency.work(seen);
        history.token_bucket.spend(now, work);
        history.power.worked(now, work);
        history.heat.worked(now, work, self.budget.temp.map(|limit| f64::from(limit.0)));
        self.unmet_demand += 0.05 * (f64::from(u8::from(seen.wanted_more)) - self.unmet_demand);
    }

    /// Takes one look at the sensors. Call it as often as they are read, and not at all when nothing is new.
    pub fn sense(&mut self, now: Duration, reading: &Reading) {
        let history = &mut self.history;
        history.power.sample(now, reading.power_mw, reading.gpu_clock_hz);
        history.heat.sample(now, reading.temp_c);
        if reading.over_current {
            history.alarmed_until = now + ALARM;
        }
    }

    /// Keeps to another budget from the next frame on; what was learnt stays.
    pub fn set_budget(&mut self, budget: Budget) {
        if let Some(deadline) = budget.deadline {
            self.history.latency.set_percentile(deadline.percentile);
        }
        self.budget = budget;
    }

    /// The budget kept to.
    pub fn budget(&self) -> &Budget {
        &self.budget
    }

    /// What the governor believes at `now`.
    pub fn status(&self, now: Duration) -> Status {
        let (slowdown, slowdown_sd) = self.history.latency.slowdown();
        Status {
            slowdown,
            slowdown_sd,
            power_line: self.history.power.line(),
            afforded_rate: self.history.rate,
            power: self.budget.power.map(|_| self.history.power.sight(now, self.energy.as_ref())),
            heat: self.budget.temp.map(|_| self.history.heat.feels(now)),
            wanted_more: self.unmet_demand,
        }
    }
}

#[cfg(test)]
mod tests;
