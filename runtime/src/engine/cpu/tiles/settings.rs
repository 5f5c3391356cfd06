//! What a network, a configuration and the command line say of tiles.

use crate::acceptance;
use crate::network::manifest::TilesSection;

/// How tiles are run.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Settings {
    /// What of the input is accepted.
    pub acceptance: acceptance::Settings,
    /// What a pixel between the convolutions of encoder and step, or of the drive, has to move by to be handed on: its channels' Euclidean norm, in
    /// parts of the tensor's root mean square. With 0 the answer is the dense one on the accepted input, bit for bit.
    pub epsilon: f32,
    /// Epsilon is multiplied with this for each halving of rows and columns behind the first: what is deep in a network counts for more.
    pub halving: f32,
    /// Times epsilon that a pixel has to move by, since they were told last, until its neighbours are told of it.
    pub spread: f32,
    /// What a pixel of the state has to move by to be stepped again, in parts of the state's root mean square; None takes the halting rule's threshold.
    pub threshold: Option<f32>,
    /// Share of the picture from which on a carried frame takes the slow path.
    pub cut: Option<f32>,
    /// Share of the state's pixels that moved in a carried frame's first step from which on it takes the slow path.
    pub surprise: Option<f32>,
    /// Run a frame densely where that is cheaper.
    pub switches: bool,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            acceptance: acceptance::Settings::default(),
            epsilon: EPSILON,
            halving: 0.6,
            spread: 4.0,
            threshold: None,
            cut: None,
            surprise: None,
            switches: true,
        }
    }
}

impl Settings {
    /// What a network's `model.toml` says.
    pub fn of(section: &TilesSection) -> Settings {
        let usual = Settings::default();
        let floor = section.floor.unwrap_or(usual.acceptance.floor);
        Settings {
            acceptance: acceptance::Settings { floor, ..usual.acceptance },
            epsilon: section.epsilon.unwrap_or(usual.epsilon),
            halving: section.halving.unwrap_or(usual.halving),
            spread: section.spread.unwrap_or(usual.spread),
            threshold: section.threshold,
            cut: section.cut,
            surprise: section.surprise,
            ..usual
        }
    }

    /// Epsilon for a tensor of so many `rows`, of the `whole` picture's.
    pub fn epsilon_at(&self, whole: usize, rows: usize) -> f32 {
        let halvings = (whole as f32 / rows as f32).log2() - 1.0;
        self.epsilon * self.halving.powf(halvings.max(0.0))
    }

    /// Every change of the input counts, everywhere.
    pub fn exact() -> Settings {
        Settings { acceptance: acceptance::Settings::exact(), epsilon: 0.0, switches: false, ..Settings::default() }
    }
}

/// See [`Settings::epsilon`].
const EPSILON: f32 = 0.2;
