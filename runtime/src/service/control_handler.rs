//! Carries out, between two frames, what was asked over the links.

use std::time::Duration;

use super::budget_controller::BudgetController;
use crate::control::{Control, ControlQueue, ServiceStatus};
use crate::pipeline::Pipeline;
use crate::telemetry::CameraState;

/// What may bind the main loop: requests that come over links, and the budget they may change.
pub struct ControlHandler {
    control_queue: ControlQueue,
    budget_controller: Option<BudgetController>,
    status: ServiceStatus,
}

impl ControlHandler {
    /// Takes requests from `control_queue`; without `budget_controller` no budget binds.
    pub fn new(control_queue: ControlQueue, budget_controller: Option<BudgetController>) -> ControlHandler {
        let status = control_queue.status();
        ControlHandler { control_queue, budget_controller, status }
    }

    /// What keeps frames within a budget.
    pub fn budget_controller(&mut self) -> Option<&mut BudgetController> {
        self.budget_controller.as_mut()
    }

    /// Carries out what was asked since the last call, and says where things stand.
    pub fn attend(&mut self, pipeline: &mut Pipeline, camera: CameraState) {
        let before = self.status;
        // The configuration may have changed it meanwhile.
        self.status.budget = self.budget_controller.as_ref().map_or(before.budget, |budget_controller| *budget_controller.budget());
        let kept = self.status.budget;
        self.status.camera = camera;
        while let Some(control) = self.control_queue.take() {
            log::debug!("asked over a link: {control:?}");
            match control {
                Control::SetBudget(change) => self.status.budget = change.apply(&self.status.budget),
                Control::SetMode(mode) => self.status.budget.mode = mode,
                Control::Pause(paused) => self.status.paused = paused,
                Control::Reset => pipeline.reset(),
            }
        }
        if let (Some(budget_controller), true) = (&mut self.budget_controller, self.status.budget != kept) {
            budget_controller.set_budget(self.status.budget);
        }
        if self.status != before {
            self.control_queue.set_status(self.status);
        }
    }

    /// Whether frames are to be left alone.
    pub fn paused(&self) -> bool {
        self.status.paused
    }

    /// Waits for a request while paused, but no longer than `most`.
    pub fn rest(&self, most: Duration) {
        self.control_queue.wait(most);
    }
}
