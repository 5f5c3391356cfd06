//! The oracle: it knows every frame, every load and every delay to come.
//!
//! Stretch by stretch (4 s, with 2 s of foresight beyond) it solves for the steps of every frame by dynamic programming over the
//! error of the hidden state, maximising accuracy minus a price on work; the price is bisected, each try played out on a copy of
//! the real plant, until the stretch keeps the watts and the heat. Deadlines are kept by trying out each frame and taking back the
//! steps that would be late.

use recslowfast::pace::LimitReason;

use crate::policy::Choice;
use crate::scenario::Scenario;
use crate::scene::{self, FLOOR, MAX_STEPS};
use crate::world::World;

/// Length of a stretch, in seconds.
const STRETCH: f64 = 4.0;
/// Foresight beyond it, in seconds.
const BEYOND: f64 = 2.0;
/// Errors are told apart on a logarithmic grid of so many cells from [`FLOOR`] to 1.
const CELLS: usize = 64;

/// Steps by frame (from `first`) and error cell; 0 leaves the frame out.
struct Plan {
    first: u64,
    steps: Vec<[u8; CELLS]>,
}

fn cell(error: f64) -> usize {
    let place = (error / FLOOR).max(1.0).ln() / (1.0 / FLOOR).ln() * (CELLS - 1) as f64;
    (place.round() as usize).min(CELLS - 1)
}

fn error_of(cell: usize) -> f64 {
    FLOOR * (1.0 / FLOOR).powf(cell as f64 / (CELLS - 1) as f64)
}

fn plan(scenario: &Scenario, world: &World, price: f64, until: f64) -> Plan {
    let first = world.next;
    let frames = (((until + BEYOND - World::capture(scenario, first)) / scenario.period).ceil() as i64).max(1) as usize;
    let overhead = scenario.board.base_s / scenario.board.step_s;
    // With a deadline, steps that keep up with the camera on the board as it is now; the deadline itself is seen to frame by frame.
    let room = (scenario.period / world.plant.slowdown() - scenario.board.base_s) / scenario.board.step_s;
    let most = if scenario.budget.deadline.is_some() { room.floor().clamp(1.0, f64::from(MAX_STEPS)) } else { f64::from(MAX_STEPS) } as u8;
    let mut steps = vec![[0u8; CELLS]; frames];
    let mut values = vec![[0.0f64; CELLS]; frames + 1];
    let drift = |frame: usize| {
        let index = first + frame as u64;
        scenario.scene.drift(index, World::capture(scenario, index), scenario.period)
    };
    let drifts: Vec<f64> = (0..frames).map(drift).collect();
    for frame in (0..frames).rev() {
        for before in 0..CELLS {
            let mut error = (error_of(before) + drifts[frame]).min(1.0);
            let mut best = f64::NEG_INFINITY;
            for taken in 0..=most {
                if taken > 0 {
                    error = scene::step(error);
                }
                let work = if taken == 0 { 0.0 } else { overhead + f64::from(taken) };
                // A frame that takes longer than the period costs the frames behind it their own answers.
                let span = (work * scenario.board.step_s * world.plant.slowdown() / scenario.period).ceil().max(1.0) as usize;
                let (mut after, mut worth) = (error, 1.0 - error - price * work);
                for drift in drifts.iter().skip(frame + 1).take(span - 1) {
                    after = (after + drift).min(1.0);
                    worth += 1.0 - after;
                }
                worth += values[(frame + span).min(frames)][cell(after)];
                if worth > best {
                    (best, steps[frame][before]) = (worth, taken);
                }
            }
            values[frame][before] = best;
        }
    }
    Plan { first, steps }
}

/// Plays `plan` on a copy of `world` until `until`.
fn play(scenario: &Scenario, world: &World, plan: &Plan, until: f64) -> World {
    let mut world = world.clone();
    let until = until.min(scenario.seconds);
    while world.plant.t < until {
        // The grid is told the error before the frame's own drift.
        let before = world.state_error;
        let index = world.take(scenario);
        world.plant.readings.clear();
        let row = ((index - plan.first) as usize).min(plan.steps.len() - 1);
        let wanted = u32::from(plan.steps[row][cell(before)]);
        if wanted == 0 {
            world.pass_over(scenario, LimitReason::Power);
            continue;
        }
        let in_time = |steps: &u32| {
            let mut next = world.clone_lightly();
            next.serve(scenario, &Choice::steps(*steps, false));
            !next.fates.last().expect("a frame was served").late
        };
        let served = (1..=wanted).rev().find(in_time);
        world.serve(scenario, &Choice::steps(served.unwrap_or(1), false));
    }
    world
}

impl World {
    /// A copy without the past.
    fn clone_lightly(&self) -> World {
        let mut plant = self.plant.clone();
        plant.watts = Vec::new();
        plant.degrees = Vec::new();
        World { plant, fates: Vec::new(), ..*self }
    }
}

/// Runs a scenario as well as it can be run.
pub fn run(scenario: &Scenario) -> World {
    let mut world = World::new(scenario);
    while world.plant.t < scenario.seconds {
        let (from, joules) = (world.plant.t, world.plant.joules);
        let until = from + STRETCH;
        let keeps = |tried: &World| {
            let watts = (tried.plant.joules - joules) / (tried.plant.t - from).max(1e-6);
            scenario.watts().is_none_or(|budget| watts <= budget) && scenario.degrees().is_none_or(|limit| tried.plant.die_c <= limit)
        };
        let attempt = |price: f64| play(scenario, &world, &plan(scenario, &world, price, until), until);
        let free = attempt(1e-6);
        world = if keeps(&free) {
            free
        } else {
            let (mut low, mut high, mut best) = (1e-6f64, 1.0f64, None);
            for _ in 0..12 {
                let price = (low * high).sqrt();
                let tried = attempt(price);
                if keeps(&tried) {
                    (high, best) = (price, Some(tried));
                } else {
                    low = price;
                }
            }
            best.unwrap_or_else(|| attempt(1.0))
        };
    }
    world
}
