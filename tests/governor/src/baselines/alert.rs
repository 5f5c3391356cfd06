//! ALERT's rule (Wan et al., USENIX ATC 2020), written from its equations.
//!
//! A global slowdown xi is filtered with an adaptive process noise; a configuration (here: a number of steps) is eligible when
//! the normal distribution says that it meets the deadline with the wanted confidence and when its predicted mean power (active
//! while computing, a filtered share phi of that while idle) is within the budget; among the eligible the most accurate wins, and
//! where none is, the fastest. `anytime` is ALERT on an anytime network: it may stop at the deadline with what it has.
//!
//! It runs on the same halting network as the governor. Its constants are the paper's: K(0) = 0.5, R = 0.001, Q(0) = 0.1,
//! xi(0) = 1, variance(0) = 0.1, alpha = 0.3. Heat is not part of it: it is given the power that the heat limit amounts to.

use std::time::Duration;

use recslowfast::pace::{LimitReason, Observation, Reading};

use crate::policy::{Choice, Policy};
use crate::scenario::Scenario;
use crate::scene::MAX_STEPS;

/// ALERT's controller.
pub struct Alert {
    confidence: f64,
    anytime: bool,
    deadline: f64,
    watts: Option<f64>,
    active_w: f64,
    base: f64,
    step: f64,
    period: f64,
    mean: f64,
    var: f64,
    gain: f64,
    q: f64,
    phi: f64,
    phi_var: f64,
    seen_w: Option<f64>,
    busy: f64,
}

/// Measurement noise.
const R: f64 = 0.001;
/// Least process noise.
const Q0: f64 = 0.1;

impl Alert {
    /// ALERT for a scenario, profiled on its quiet board, at a confidence and aiming at `power` times the watts.
    pub fn new(scenario: &Scenario, confidence: f64, anytime: bool, power: f64) -> Alert {
        let board = scenario.board;
        let warm_up = scenario.warm_up();
        let hot = scenario.degrees().map(|limit| (limit - scenario.around.ambient_c) / (1.2 * board.heat_k_per_w));
        let watts = match (scenario.watts(), hot) {
            (Some(watts), Some(hot)) => Some(watts.min(hot)),
            (watts, hot) => watts.or(hot),
        };
        Alert {
            confidence,
            anytime,
            deadline: scenario.deadline_s().unwrap_or(scenario.period),
            watts: watts.map(|watts| watts * power),
            active_w: board.idle_w + board.dynamic_w,
            base: warm_up.base.as_secs_f64(),
            step: warm_up.per_step.as_secs_f64(),
            period: scenario.period,
            mean: 1.0,
            var: 0.1,
            gain: 0.5,
            q: Q0,
            phi: board.idle_w / (board.idle_w + board.dynamic_w),
            phi_var: 0.01,
            seen_w: None,
            busy: 0.0,
        }
    }

    /// The probability that a standard normal number stays below `x` (Abramowitz and Stegun 26.2.17).
    fn normal(x: f64) -> f64 {
        let t = 1.0 / (1.0 + 0.231_641_9 * x.abs());
        let tail = (-x * x / 2.0).exp() / std::f64::consts::TAU.sqrt()
            * t
            * (0.319_381_53 + t * (-0.356_563_782 + t * (1.781_477_937 + t * (-1.821_255_978 + t * 1.330_274_429))));
        if x > 0.0 { 1.0 - tail } else { tail }
    }
}

impl Policy for Alert {
    fn choose(&mut self, now: Duration, age: Duration) -> Choice {
        let remaining = self.deadline - age.as_secs_f64();
        let eligible = (1..=MAX_STEPS).rev().find(|&steps| {
            let offline = self.base + self.step * f64::from(steps);
            let in_time = Alert::normal((remaining / offline - self.mean) / self.var.sqrt().max(1e-6)) >= self.confidence;
            let busy = (self.mean * offline).min(self.period);
            let watts = self.active_w * (busy + self.phi * (self.period - busy)) / self.period;
            in_time && self.watts.is_none_or(|budget| watts <= budget)
        });
        let choice = Choice::steps(eligible.unwrap_or(1), true);
        if !self.anytime {
            return Choice { reason: LimitReason::None, ..choice };
        }
        let readout = self.mean * 0.4 * self.base;
        Choice {
            stop_at: Some(now + Duration::from_secs_f64((remaining - readout).max(0.0))),
            step_cost: Duration::from_secs_f64(self.mean * self.step),
            ..choice
        }
    }

    fn observe(&mut self, _: Duration, seen: &Observation) {
        let took = (seen.encode + seen.stepping + seen.readout).as_secs_f64();
        let innovation = took / (self.base + self.step * f64::from(seen.steps)) - self.mean;
        self.q = Q0.max(0.3 * self.q + 0.7 * (self.gain * innovation).powi(2));
        let prior = (1.0 - self.gain) * self.var + self.q;
        self.gain = prior / (prior + R);
        self.mean += self.gain * innovation;
        self.var = prior * (1.0 - self.gain) + R;
        self.busy += 0.1 * (took.min(self.period) / self.period - self.busy);
        if let Some(watts) = self.seen_w.take() {
            // What is drawn while idle, as a share of what is drawn while active.
            let idle = ((watts - self.active_w * self.busy) / (1.0 - self.busy).max(0.05) / self.active_w).clamp(0.0, 1.5);
            let gain = (self.phi_var + 1e-4) / (self.phi_var + 1e-4 + 1e-3);
            self.phi += gain * (idle - self.phi);
            self.phi_var = (1.0 - gain) * (self.phi_var + 1e-4);
        }
    }

    fn sense(&mut self, _: Duration, reading: &Reading) {
        self.seen_w = reading.power_mw.filter(|mw| *mw > 0.0 && *mw < 1e6).map(|mw| f64::from(mw) / 1e3).or(self.seen_w);
    }
}
