//! Carries out, between two frames, what was asked over the links.

use std::time::Duration;

use super::pacing::Pacing;
use super::pipeline::Pipeline;
use crate::control::{Control, Desk, Standing};
use crate::telemetry::CameraState;

/// What may bind the main loop: requests that come over links, and the budget they may change.
pub struct Steering {
    desk: Desk,
    pacing: Option<Pacing>,
    standing: Standing,
}

impl Steering {
    /// Takes requests from `desk`; without `pacing` no budget binds.
    pub fn new(desk: Desk, pacing: Option<Pacing>) -> Steering {
        let standing = desk.standing();
        Steering { desk, pacing, standing }
    }

    /// What keeps frames within a budget.
    pub fn pacing(&mut self) -> Option<&mut Pacing> {
        self.pacing.as_mut()
    }

    /// Carries out what was asked since the last call, and says where things stand.
    pub fn attend(&mut self, pipeline: &mut Pipeline, camera: CameraState) {
        let before = self.standing;
        // The configuration may have changed it meanwhile.
        self.standing.budget = self.pacing.as_ref().map_or(before.budget, |pacing| *pacing.budget());
        let kept = self.standing.budget;
        self.standing.camera = camera;
        while let Some(control) = self.desk.take() {
            log::debug!("asked over a link: {control:?}");
            match control {
                Control::SetBudget(change) => self.standing.budget = change.apply(&self.standing.budget),
                Control::SetMode(mode) => self.standing.budget.mode = mode,
                Control::Pause(paused) => self.standing.paused = paused,
                Control::Reset => pipeline.reset(),
            }
        }
        if let (Some(pacing), true) = (&mut self.pacing, self.standing.budget != kept) {
            pacing.set_budget(self.standing.budget);
        }
        if self.standing != before {
            self.desk.stand(self.standing);
        }
    }

    /// Whether frames are to be left alone.
    pub fn paused(&self) -> bool {
        self.standing.paused
    }

    /// Waits for a request while paused, but no longer than `most`.
    pub fn rest(&self, most: Duration) {
        self.desk.wait(most);
    }
}
