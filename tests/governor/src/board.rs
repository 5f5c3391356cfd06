//! Boards: how long a step takes, what it draws, how hot it gets, and what the sensors say about it.

use recslowfast::pace::Reading;
use std::time::Duration;

use crate::noise::{normal, uniform};

/// The constants of a board in one power mode.
#[derive(Clone, Copy, Debug)]
pub struct Board {
    /// Board and mode.
    pub name: &'static str,
    /// Encoding and reading out at the highest clock, in seconds.
    pub base_s: f64,
    /// One step at the highest clock, in seconds.
    pub step_s: f64,
    /// Draw of the whole board at rest at 50 C, in W.
    pub idle_w: f64,
    /// Draw on top of that while busy at the highest clock, in W.
    pub dynamic_w: f64,
    /// Lowest clock as a share of the highest.
    pub slowest: f64,
    /// Degrees above ambient per W in the steady state.
    pub heat_k_per_w: f64,
    /// Time constant of the heat sink, in seconds.
    pub sink_s: f64,
    /// Temperature at which the firmware throttles, in C.
    pub throttle_c: f64,
}

/// Jetson Orin Nano, 7 W mode.
pub const ORIN_NANO_7W: Board =
    Board { name: "Orin Nano 7 W", base_s: 0.011, step_s: 0.0062, idle_w: 3.4, dynamic_w: 3.4, ..ORIN_NANO_25W };
/// Jetson Orin Nano, 15 W mode.
pub const ORIN_NANO_15W: Board =
    Board { name: "Orin Nano 15 W", base_s: 0.008, step_s: 0.0040, idle_w: 4.2, dynamic_w: 7.5, ..ORIN_NANO_25W };
/// Jetson Orin Nano Super, 25 W mode.
pub const ORIN_NANO_25W: Board = Board {
    name: "Orin Nano 25 W",
    base_s: 0.006,
    step_s: 0.0025,
    idle_w: 4.6,
    dynamic_w: 14.0,
    slowest: 0.3,
    heat_k_per_w: 2.6,
    sink_s: 60.0,
    throttle_c: 95.0,
};
/// Jetson AGX Orin, 30 W mode.
pub const AGX_ORIN_30W: Board = Board {
    name: "AGX Orin 30 W",
    base_s: 0.004,
    step_s: 0.0012,
    idle_w: 9.0,
    dynamic_w: 20.0,
    slowest: 0.4,
    heat_k_per_w: 1.6,
    sink_s: 90.0,
    throttle_c: 99.0,
};
/// The original Jetson Nano, 10 W mode, on a passive heat sink.
pub const NANO_10W: Board = Board {
    name: "Nano 10 W",
    base_s: 0.014,
    step_s: 0.0070,
    idle_w: 1.9,
    dynamic_w: 6.5,
    slowest: 0.4,
    heat_k_per_w: 6.0,
    sink_s: 70.0,
    throttle_c: 97.0,
};

/// A load beside ours, from `from_s` to `to_s`, on for `on_s` of every `every_s` seconds.
#[derive(Clone, Copy, Debug)]
pub struct Load {
    /// When it begins, in seconds.
    pub from_s: f64,
    /// When it ends, in seconds.
    pub to_s: f64,
    /// Period of its bursts, in seconds.
    pub every_s: f64,
    /// Length of a burst, in seconds.
    pub on_s: f64,
    /// How many times longer our work takes meanwhile.
    pub slowdown: f64,
    /// What it draws, in W.
    pub watts: f64,
}

impl Load {
    fn on(&self, t: f64) -> bool {
        (self.from_s..self.to_s).contains(&t) && (t - self.from_s) % self.every_s < self.on_s
    }
}

/// What surrounds a board.
#[derive(Clone, Debug)]
pub struct Surroundings {
    /// Seed of all noise.
    pub seed: u64,
    /// Ambient temperature, in C.
    pub ambient_c: f64,
    /// Temperature of the board at the start, in C.
    pub start_c: f64,
    /// Other loads.
    pub loads: Vec<Load>,
    /// Time constant of the power sensor, in seconds.
    pub sensor_lag_s: f64,
    /// Stretches of time in which the sensors do not answer.
    pub silences: Vec<(f64, f64)>,
    /// Share of readings that are nonsense (NaN, zero, huge).
    pub nonsense: f64,
    /// Whether the clock follows the load (else it stays at its highest).
    pub ramps: bool,
}

/// A board in time.
#[derive(Clone, Debug)]
pub struct Plant {
    /// Its constants.
    pub board: Board,
    /// What surrounds it.
    pub around: Surroundings,
    /// Simulated time, in seconds.
    pub t: f64,
    /// Clock as a share of the highest.
    pub clock: f64,
    /// Temperature of the heat sink, in C.
    sink_c: f64,
    /// Temperature of the die, in C.
    pub die_c: f64,
    /// Busy share of the last tenth of a second.
    busy: f64,
    throttled: bool,
    sensed_w: f64,
    next_sample: f64,
    samples: u64,
    /// Readings nobody has fetched yet.
    pub readings: Vec<(f64, Reading)>,
    /// Energy drawn since the start, in J.
    pub joules: f64,
    /// Mean draw of every tenth of a second, in W.
    pub watts: Vec<f64>,
    tenth_j: f64,
    /// Die temperature at every tenth of a second.
    pub degrees: Vec<f64>,
}

/// The largest step of the integration, in seconds; divides a tenth of a second.
const DT: f64 = 0.005;

impl Plant {
    /// A board that has rested.
    pub fn new(board: Board, around: Surroundings) -> Plant {
        let clock = if around.ramps { board.slowest } else { 1.0 };
        Plant {
            board,
            t: 0.0,
            clock,
            sink_c: around.start_c,
            die_c: around.start_c,
            busy: 0.0,
            throttled: false,
            sensed_w: board.idle_w,
            next_sample: 0.0,
            samples: 0,
            readings: Vec::new(),
            joules: 0.0,
            watts: Vec::new(),
            tenth_j: 0.0,
            degrees: Vec::new(),
            around,
        }
    }

    /// How many times longer than at the highest clock with no other load work takes now, without noise.
    pub fn slowdown(&self) -> f64 {
        let others: f64 = self.around.loads.iter().filter(|load| load.on(self.t)).map(|load| load.slowdown).product();
        others / self.effective_clock()
    }

    fn effective_clock(&self) -> f64 {
        if self.throttled { self.clock.min(0.55) } else { self.clock }
    }

    /// What the board draws now, in W: dynamic power with clock x voltage squared, voltage falling to 0.6 at the lowest clocks.
    fn draw(&self, busy: bool) -> f64 {
        let clock = self.effective_clock();
        let volt = 0.55 + 0.45 * clock;
        let others: f64 = self.around.loads.iter().filter(|load| load.on(self.t)).map(|load| load.watts).sum();
        let leak = self.board.idle_w * 0.004 * (self.die_c - 50.0);
        self.board.idle_w + leak + others + if busy { self.board.dynamic_w * clock * volt * volt } else { 0.0 }
    }

    /// Draw of everything but our work, in W: what no policy can change.
    pub fn floor_w(&self) -> f64 {
        self.draw(false)
    }

    /// Lets `seconds` pass, busy or at rest.
    pub fn pass(&mut self, seconds: f64, busy: bool) {
        let mut left = seconds;
        while left > 1e-9 {
            let edge = ((self.t / DT).floor() + 1.0) * DT - self.t;
            let dt = left.min(if edge < 1e-9 { DT } else { edge });
            self.step(dt, busy);
            left -= dt;
        }
    }

    fn step(&mut self, dt: f64, busy: bool) {
        let watts = self.draw(busy);
        self.joules += watts * dt;
        self.tenth_j += watts * dt;
        self.t += dt;
        let target = self.around.ambient_c + self.board.heat_k_per_w * watts;
        self.sink_c += dt / self.board.sink_s * (target - self.sink_c);
        // The die stands above its sink by a fifth of the whole rise, within about 2 s.
        let die = self.sink_c + 0.2 * self.board.heat_k_per_w * watts;
        self.die_c += dt / 2.0 * (die - self.die_c);
        self.throttled = self.die_c > self.board.throttle_c || self.throttled && self.die_c > self.board.throttle_c - 3.0;
        self.busy += dt / 0.1 * (f64::from(u8::from(busy)) - self.busy);
        if self.around.ramps {
            let rate = if self.busy > 0.6 {
                2.5
            } else if self.busy < 0.35 {
                -1.0
            } else {
                0.0
            };
            self.clock = (self.clock + rate * dt).clamp(self.board.slowest, 1.0);
        }
        self.sensed_w += (1.0 - (-dt / self.around.sensor_lag_s.max(1e-3)).exp()) * (watts - self.sensed_w);
        let tenths = (self.t / 0.1 + 1e-6) as usize;
        while self.watts.len() < tenths {
            self.watts.push(self.tenth_j / 0.1);
            self.degrees.push(self.die_c);
            self.tenth_j = 0.0;
        }
        if self.t >= self.next_sample {
            // The reading thread wakes when it wakes: a sampling that keeps step with the frames would see one phase of them only.
            self.next_sample += 0.08 + 0.04 * uniform(self.around.seed, 13, self.samples);
            self.sample();
        }
    }

    fn sample(&mut self) {
        self.samples += 1;
        let (seed, n, t) = (self.around.seed, self.samples, self.t);
        if self.around.silences.iter().any(|&(from, to)| (from..to).contains(&t)) {
            return;
        }
        // 1 % noise and an 8 mA step at 5 V; half a degree.
        let mw = 1e3 * self.sensed_w * (1.0 + 0.01 * normal(seed, 11, n));
        let mut reading = Reading {
            power_mw: Some(((mw / 40.0).round() * 40.0) as f32),
            temp_c: Some(((self.die_c * 2.0).round() / 2.0) as f32),
            gpu_clock_hz: Some((1.02e9 * self.effective_clock()) as u64),
            over_current: false,
        };
        if uniform(seed, 12, n) < self.around.nonsense {
            let wrong = [f32::NAN, 0.0, -5.0, f32::INFINITY, 1e12][(n % 5) as usize];
            reading.power_mw = Some(wrong);
            reading.temp_c = Some(wrong);
        }
        self.readings.push((t, reading));
    }

    /// Seconds as the runtime's clock would say them.
    pub fn now(&self) -> Duration {
        Duration::from_secs_f64(self.t)
    }
}
