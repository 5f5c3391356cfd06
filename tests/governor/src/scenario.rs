//! The scenarios: a board, its surroundings, a scene, and a budget.

use std::time::Duration;

use recslowfast::pace::{Budget, CostModel, Governor, Limits, Mode};

use crate::board::{AGX_ORIN_30W, Board, Load, NANO_10W, ORIN_NANO_7W, ORIN_NANO_15W, ORIN_NANO_25W, Surroundings};
use crate::scene::{ByTiles, MAX_STEPS, Scene};

/// One scenario.
#[derive(Clone, Debug)]
pub struct Scenario {
    /// Its name in tables and file names.
    pub name: &'static str,
    /// What is hard about it.
    pub about: &'static str,
    /// The board.
    pub board: Board,
    /// What surrounds it.
    pub around: Surroundings,
    /// What happens before the camera.
    pub scene: Scene,
    /// Which part of the network is computed; None for all of it.
    pub tiles: Option<ByTiles>,
    /// Time between frames, in seconds.
    pub period: f64,
    /// Length, in seconds.
    pub seconds: f64,
    /// What must be kept to.
    pub budget: Budget,
}

impl Scenario {
    /// The deadline in seconds.
    pub fn deadline_s(&self) -> Option<f64> {
        self.budget.deadline.map(|deadline| deadline.within.as_secs_f64())
    }

    /// The power budget in W.
    pub fn watts(&self) -> Option<f64> {
        self.budget.power.map(|power| f64::from(power.mw) / 1e3)
    }

    /// The temperature limit in C.
    pub fn degrees(&self) -> Option<f64> {
        self.budget.temp.map(|limit| f64::from(limit.0))
    }

    /// When the surroundings last changed before `t`, in seconds: settling is counted from there.
    pub fn last_change(&self, t: f64) -> f64 {
        let edges = self.around.loads.iter().filter(|load| load.every_s > 5.0).flat_map(|load| [load.from_s, load.to_s]);
        // After a silence the loop has to see again before it can settle again.
        let returns = self.around.silences.iter().map(|&(_, to)| to);
        edges.chain(returns).filter(|&edge| edge <= t).fold(0.0, f64::max)
    }

    /// What comes before the steps on a quiet board at its highest clock, in seconds, where such a share of the network is computed: a quarter of
    /// it is fitting the picture, which is the same for every frame.
    pub fn encode_s(&self, share: f64) -> f64 {
        let encode = 0.6 * self.board.base_s;
        if share >= 1.0 { encode } else { encode * (0.25 + 0.75 * share) }
    }

    /// The same scenario with other dice.
    pub fn reseeded(&self, seed: u64) -> Scenario {
        let mut other = self.clone();
        other.around.seed = seed;
        other.scene.seed = seed + 1000;
        other
    }

    /// What a warm-up on this board would have measured: on a quiet board at its highest clock, 5 % off.
    pub fn warm_up(&self) -> CostModel {
        CostModel {
            base: Duration::from_secs_f64(self.board.base_s * 1.05),
            per_step: Duration::from_secs_f64(self.board.step_s * 0.95),
            energy: None,
        }
    }

    /// The runtime's governor for this scenario.
    pub fn governor(&self) -> Governor {
        let limits = Limits { min_steps: 1, max_steps: MAX_STEPS, frame_period: Some(Duration::from_secs_f64(self.period)), checked: true };
        Governor::new(limits, self.warm_up(), self.budget)
    }
}

fn around() -> Surroundings {
    Surroundings {
        seed: 1,
        ambient_c: 25.0,
        start_c: 45.0,
        loads: Vec::new(),
        sensor_lag_s: 0.15,
        silences: Vec::new(),
        nonsense: 0.0,
        ramps: false,
    }
}

fn budget(deadline: &str, power: &str, temp: &str) -> Budget {
    let wrong = "a scenario's own budget is well-formed";
    Budget {
        deadline: (!deadline.is_empty()).then(|| deadline.parse().expect(wrong)),
        power: (!power.is_empty()).then(|| power.parse().expect(wrong)),
        temp: (!temp.is_empty()).then(|| temp.parse().expect(wrong)),
        mode: Mode::Balanced,
    }
}

/// All scenarios.
pub fn all() -> Vec<Scenario> {
    let street = Scene { seed: 1001, calm: 0.02, busy: 0.08, busy_share: 0.4, cut_every_s: 6.0 };
    let crowd = Scene { seed: 1001, calm: 0.06, busy: 0.16, busy_share: 0.6, cut_every_s: 4.0 };
    let base = Scenario {
        name: "quiet",
        about: "nothing but noise",
        board: ORIN_NANO_15W,
        around: around(),
        scene: street,
        tiles: None,
        period: 1.0 / 30.0,
        seconds: 60.0,
        budget: budget("33ms@p99", "", ""),
    };
    let burst = Load { from_s: 3.0, to_s: 57.0, every_s: 2.0, on_s: 0.7, slowdown: 1.8, watts: 0.0 };
    let neighbour = Load { from_s: 20.0, to_s: 40.0, every_s: 1e9, on_s: 1e9, slowdown: 1.0, watts: 1.4 };
    vec![
        base.clone(),
        Scenario {
            name: "bursts",
            about: "another process takes its share, 0.7 s in every 2 s",
            around: Surroundings { loads: vec![burst], ..around() },
            scene: crowd,
            ..base.clone()
        },
        Scenario {
            name: "clock-ramp",
            about: "the clock follows the load",
            board: ORIN_NANO_25W,
            around: Surroundings { ramps: true, ..around() },
            scene: crowd,
            budget: budget("25ms@p99", "", ""),
            ..base.clone()
        },
        Scenario {
            name: "power",
            about: "10 W on a 25 W board; a neighbour draws 1.4 W for 20 s",
            board: ORIN_NANO_25W,
            around: Surroundings { loads: vec![neighbour], ..around() },
            scene: crowd,
            budget: budget("33ms@p99", "10W", ""),
            ..base.clone()
        },
        Scenario {
            name: "power-7w",
            about: "the smallest mode and little above its idle draw",
            board: ORIN_NANO_7W,
            scene: crowd,
            period: 1.0 / 15.0,
            budget: budget("66ms@p99", "4.8W", ""),
            ..base.clone()
        },
        Scenario {
            name: "starving",
            about: "one step a frame is too much: frames must be skipped",
            board: NANO_10W,
            scene: street,
            budget: budget("", "2.9W", ""),
            ..base.clone()
        },
        Scenario {
            name: "heat",
            about: "a hot box: 45 C around, 72 C allowed",
            board: AGX_ORIN_30W,
            around: Surroundings { ambient_c: 45.0, start_c: 58.0, ..around() },
            scene: crowd,
            seconds: 300.0,
            budget: budget("20ms@p99", "", "72C"),
            ..base.clone()
        },
        Scenario {
            name: "throttle",
            about: "no heat limit asked for: the firmware throttles, the deadline must hold",
            board: NANO_10W,
            around: Surroundings { ambient_c: 50.0, start_c: 85.0, ..around() },
            scene: crowd,
            tiles: None,
            period: 1.0 / 15.0,
            seconds: 120.0,
            budget: budget("66ms@p99", "", ""),
        },
        Scenario {
            name: "dropouts",
            about: "a slow sensor that falls silent for 2, 6 and 15 s, and talks nonsense",
            around: Surroundings {
                sensor_lag_s: 0.4,
                silences: vec![(12.0, 14.0), (22.0, 28.0), (36.0, 51.0)],
                nonsense: 0.05,
                ..around()
            },
            scene: crowd,
            seconds: 70.0,
            budget: budget("33ms@p99", "8W", ""),
            ..base.clone()
        },
        Scenario {
            name: "everything",
            about: "deadline, watts, heat, bursts and a ramping clock at once",
            board: AGX_ORIN_30W,
            around: Surroundings { ramps: true, ambient_c: 40.0, start_c: 55.0, loads: vec![Load { watts: 1.5, ..burst }], ..around() },
            scene: crowd,
            seconds: 120.0,
            budget: budget("25ms@p99", "16W", "75C"),
            ..base.clone()
        },
    ]
}

/// A scene that stands still and moves in turn, 6 s each, before an engine that computes only what moved: a tenth of the network while it stands still
/// and 60 % while it moves; after a cut, all of it.
pub fn still_and_moving(power: &str) -> Scenario {
    let mut scenario = all().remove(0);
    scenario.name = "still-and-moving";
    scenario.about = "what is computed follows what moves";
    scenario.tiles = Some(ByTiles { still: 0.1, moving: 0.6, stretch_s: 6.0 });
    scenario.budget = budget("33ms@p99", power, "");
    scenario
}
