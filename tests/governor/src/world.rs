//! One camera, one board, one policy: what happens frame by frame.

use std::time::Duration;

use recslowfast::pace::{LimitReason, Observation, Shares};

use crate::board::Plant;
use crate::noise::{normal, uniform};
use crate::policy::{Choice, Policy};
use crate::scenario::Scenario;
use crate::scene::{self, MAX_STEPS, STILL};

/// What became of one frame of the camera.
#[derive(Clone, Copy, Debug, Default)]
pub struct Fate {
    /// When it was taken, in seconds.
    pub captured: f64,
    /// Whether an answer was computed for it.
    pub answered: bool,
    /// Age of the answer, in seconds; 0 without one.
    pub age: f64,
    /// Whether the answer came after the deadline.
    pub late: bool,
    /// Steps taken.
    pub steps: u32,
    /// Steps allowed.
    pub limit: u32,
    /// Which limit bound.
    pub reason: LimitReason,
    /// Accuracy of the best answer at hand by the frame's deadline: its own, or the last one in time, grown stale.
    pub accuracy: f64,
    /// Share of encoder and steps that was computed.
    pub share: f64,
}

/// The state of a run; cheap to copy, so that an oracle can try out futures.
#[derive(Clone, Debug)]
pub struct World {
    /// The board.
    pub plant: Plant,
    /// The frame that comes next.
    pub next: u64,
    /// Error of the hidden state with respect to the newest frame seen.
    pub state_error: f64,
    /// Error of the last answer in time.
    pub answer_error: f64,
    /// Fates of the frames so far, in order.
    pub fates: Vec<Fate>,
}

impl World {
    /// The world of a scenario, at rest.
    pub fn new(scenario: &Scenario) -> World {
        World {
            plant: Plant::new(scenario.board, scenario.around.clone()),
            next: 0,
            state_error: 1.0,
            answer_error: 1.0,
            fates: Vec::new(),
        }
    }

    /// When frame `index` is taken: the camera's period, with a little jitter.
    pub fn capture(scenario: &Scenario, index: u64) -> f64 {
        scenario.period * (index as f64 + 1.0) + 2e-4 * normal(scenario.around.seed, 5, index).clamp(-3.0, 3.0)
    }

    /// Frames reach the runtime 2 ms after they were taken.
    const DELIVERY: f64 = 0.002;

    /// Waits until a frame is there, lets go of all but the newest, and returns its index.
    pub fn take(&mut self, scenario: &Scenario) -> u64 {
        let due = World::capture(scenario, self.next) + World::DELIVERY;
        if due > self.plant.t {
            let wait = due - self.plant.t;
            self.plant.pass(wait, false);
        }
        while World::capture(scenario, self.next + 1) + World::DELIVERY <= self.plant.t {
            self.leave(scenario);
        }
        self.arrive(scenario, self.next);
        self.next
    }

    fn arrive(&mut self, scenario: &Scenario, index: u64) {
        let drift = scenario.scene.drift(index, World::capture(scenario, index), scenario.period);
        self.state_error = (self.state_error + drift).min(1.0);
        self.answer_error = (self.answer_error + drift).min(1.0);
    }

    /// Frame `next` goes by without an answer (it was overwritten by a newer one).
    fn leave(&mut self, scenario: &Scenario) {
        self.arrive(scenario, self.next);
        self.pass_over(scenario, LimitReason::Camera);
    }

    /// The frame at hand is left out.
    pub fn pass_over(&mut self, scenario: &Scenario, reason: LimitReason) {
        let captured = World::capture(scenario, self.next);
        self.fates.push(Fate { captured, accuracy: 1.0 - self.answer_error, reason, ..Fate::default() });
        self.next += 1;
    }

    /// How many times longer than on the quiet board at its highest clock piece `part` of frame `index` takes.
    fn jitter(&self, index: u64, part: u64) -> f64 {
        let seed = self.plant.around.seed;
        let frame = 0.02 * normal(seed, 6, index);
        let piece = 0.02 * normal(seed, 7, index * 64 + part);
        // One piece in 4000 is preempted for some milliseconds: what a desktop kernel does to anyone.
        let hiccup = if uniform(seed, 8, index * 64 + part) < 2.5e-4 { 1.0 } else { 0.0 };
        (1.0 + frame + piece + hiccup).max(0.7)
    }

    fn work(&mut self, index: u64, part: u64, seconds: f64) -> f64 {
        let took = seconds * self.jitter(index, part) * self.plant.slowdown();
        self.plant.pass(took, true);
        took
    }

    /// Serves the frame at hand as `choice` says, and returns what the engine would report.
    pub fn serve(&mut self, scenario: &Scenario, choice: &Choice) -> Observation {
        let index = self.next;
        let captured = World::capture(scenario, index);
        let board = scenario.board;
        let cut = scenario.scene.drift(index, captured, scenario.period) >= 1.0;
        let share = scenario.tiles.filter(|_| !cut).map_or(1.0, |tiles| tiles.share(captured));
        let encode = self.work(index, 0, scenario.encode_s(share));
        let (mut steps, mut stepping, mut last, mut wanted_more) = (0u32, 0.0, choice.step_cost.as_secs_f64(), false);
        while steps < choice.limit.min(MAX_STEPS) {
            if steps > 0 && choice.stop_at.is_some_and(|at| self.plant.t + last > at.as_secs_f64()) {
                wanted_more = true;
                break;
            }
            last = self.work(index, 1 + u64::from(steps), board.step_s * share);
            stepping += last;
            steps += 1;
            let moved = self.state_error - scene::step(self.state_error);
            self.state_error -= moved;
            wanted_more = true;
            if choice.halting && moved < STILL {
                wanted_more = false;
                break;
            }
        }
        let readout = self.work(index, 63, board.base_s * 0.4);
        let age = self.plant.t - captured;
        let late = scenario.deadline_s().is_some_and(|deadline| age > deadline);
        if !late {
            self.answer_error = self.state_error;
        }
        self.fates.push(Fate {
            captured,
            answered: true,
            age,
            late,
            steps,
            limit: choice.limit,
            reason: choice.reason,
            accuracy: 1.0 - self.answer_error,
            share,
        });
        self.next += 1;
        Observation {
            steps,
            // Only an engine that computes less has to say what it never saves.
            fit: Duration::from_secs_f64(if scenario.tiles.is_some() {
                encode * scenario.encode_s(0.0) / scenario.encode_s(share)
            } else {
                0.0
            }),
            shares: Shares { encoded: share as f32, stepped: share as f32 },
            encode: Duration::from_secs_f64(encode),
            stepping: Duration::from_secs_f64(stepping),
            readout: Duration::from_secs_f64(readout),
            age: Duration::from_secs_f64(age),
            wanted_more,
        }
    }
}

/// Runs a scenario under a policy to its end.
pub fn run(scenario: &Scenario, policy: &mut dyn Policy) -> World {
    let mut world = World::new(scenario);
    while world.plant.t < scenario.seconds {
        let index = world.take(scenario);
        for (t, reading) in std::mem::take(&mut world.plant.readings) {
            policy.sense(Duration::from_secs_f64(t), &reading);
        }
        let now = world.plant.now();
        let age = world.plant.t - World::capture(scenario, index);
        let choice = policy.choose(now, Duration::from_secs_f64(age.max(0.0)));
        if choice.skip {
            world.pass_over(scenario, choice.reason);
            continue;
        }
        let seen = world.serve(scenario, &choice);
        policy.observe(world.plant.now(), &seen);
    }
    world
}
