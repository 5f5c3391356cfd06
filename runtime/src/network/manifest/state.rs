//! `[[state]]`: a tensor carried from step to step and from frame to frame.

use serde::{Deserialize, Serialize};

/// One carried tensor.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct StateSection {
    /// Its input name in the step graph; the output is called `NAME_next`.
    pub name: String,
    /// Its shape: 1 to 4 sizes, NCHW where there are four.
    pub shape: Vec<usize>,
    /// When it takes its next value.
    #[serde(default, skip_serializing_if = "Moves::is_step")]
    pub moves: Moves,
    /// Whether it counts for how far a step moved the state. A state that moves once a frame never does.
    #[serde(default = "yes", skip_serializing_if = "is_yes")]
    pub halting: bool,
    /// The readout's output whose last value it is: the previous answer as an input. step.onnx then has no `NAME_next`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answer: Option<String>,
}

/// When a state takes its next value.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum Moves {
    /// With every step.
    #[default]
    Step,
    /// Once a frame, with its last step: every step of a frame, and not the readout, sees what the frame before left.
    Frame,
}

impl Moves {
    fn is_step(&self) -> bool {
        *self == Moves::Step
    }
}

impl StateSection {
    /// Whether it moves with every step, by an output of step.onnx.
    pub fn is_stepped(&self) -> bool {
        self.moves == Moves::Step && self.answer.is_none()
    }

    /// Whether it counts for the halting distance.
    pub fn counts(&self) -> bool {
        self.halting && self.is_stepped()
    }
}

fn yes() -> bool {
    true
}

fn is_yes(given: &bool) -> bool {
    *given
}
