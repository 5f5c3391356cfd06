//! An engine that computes only what moved, under the governor: energy follows the share, and the budget holds.

use recslowfast_governor_sim::governed::Governed;
use recslowfast_governor_sim::scenario::{Scenario, still_and_moving};
use recslowfast_governor_sim::score::{Score, score};
use recslowfast_governor_sim::world::{Fate, World, run};

fn governed(scenario: &Scenario) -> (World, Score) {
    let world = run(scenario, &mut Governed(scenario.governor()));
    let score = score(scenario, &world);
    (world, score)
}

/// Whether a moment lies in stretches that move (or stand still), but for their first second.
fn settled(scenario: &Scenario, moves: bool, t: f64) -> bool {
    let tiles = scenario.tiles.expect("a scene by tiles");
    t > 1.0 && tiles.moves(t) == moves && tiles.moves(t - 1.0) == moves
}

/// Mean draw above rest in such stretches, in W.
fn drawn(scenario: &Scenario, world: &World, moves: bool) -> f64 {
    let tenths = world.plant.watts.iter().enumerate().filter(|(at, _)| settled(scenario, moves, *at as f64 * 0.1)).map(|(_, watts)| watts);
    let (sum, count) = tenths.fold((0.0, 0), |(sum, count), watts| (sum + watts, count + 1));
    sum / f64::from(count) - scenario.board.idle_w
}

/// Mean seconds of work of a frame in such stretches, by what was computed.
fn worked(scenario: &Scenario, world: &World, moves: bool) -> f64 {
    let board = scenario.board;
    let seconds = |fate: &&Fate| scenario.encode_s(fate.share) + 0.4 * board.base_s + board.step_s * fate.share * f64::from(fate.steps);
    let frames: Vec<f64> = world.fates.iter().filter(|fate| settled(scenario, moves, fate.captured)).map(|fate| seconds(&fate)).collect();
    frames.iter().sum::<f64>() / frames.len() as f64
}

#[test]
fn energy_follows_the_share_that_is_computed_and_frames_are_in_time() {
    for seed in 1..6 {
        let scenario = still_and_moving("").reseeded(seed);
        let whole = Scenario { tiles: None, ..scenario.clone() };
        let ((tiles, by_tiles), (dense, densely)) = (governed(&scenario), governed(&whole));
        assert!(by_tiles.kept(&scenario) && by_tiles.misses <= densely.misses.max(0.01), "seed {seed}: {by_tiles:?}, densely {densely:?}");
        assert!(by_tiles.accuracy >= densely.accuracy - 0.005, "seed {seed}: {by_tiles:?}, densely {densely:?}");
        let [still, moving] = [false, true].map(|moves| (drawn(&scenario, &tiles, moves), worked(&scenario, &tiles, moves)));
        let all = (drawn(&scenario, &dense, true), worked(&scenario, &dense, true));
        for (what, part) in [("still", still), ("moving", moving)] {
            let [energy, work] = [part.0 / all.0, part.1 / all.1];
            assert!((energy - work).abs() < 0.06, "seed {seed}, {what}: {energy:.2} of the dense energy for {work:.2} of the work");
        }
        assert!(still.0 < 0.6 * moving.0 && moving.0 < 0.85 * all.0, "seed {seed}: {still:?}, {moving:?}, densely {all:?}");
    }
}

#[test]
fn watts_that_are_too_few_for_the_whole_network_are_kept_to_when_it_begins_to_move() {
    for seed in 1..6 {
        let scenario = still_and_moving("6.6W").reseeded(seed);
        let (_, by_tiles) = governed(&scenario);
        assert!(by_tiles.kept(&scenario), "seed {seed}: {by_tiles:?}");
        let (_, densely) = governed(&Scenario { tiles: None, ..scenario });
        // Densely these watts are too few for one step of every frame: frames are left out.
        assert!(densely.misses > 0.1 && by_tiles.accuracy > densely.accuracy, "seed {seed}: {by_tiles:?}, densely {densely:?}");
    }
}
