//! What may be asked of a running service, and where it stands: the plain types between whoever listens to people or devices and the main loop.
//!
//! Askers put a [`Control`] on the [`ControlQueue`]; the main loop takes it between two frames. The queue is bounded, and asking never waits.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::Duration;

pub use crate::pace::{Budget, Celsius, Deadline, Mode, Power};
use crate::telemetry::CameraState;

/// Requests that wait for the main loop at most.
const CAPACITY: usize = 16;
/// The percentile of a deadline that was given without one.
const PERCENTILE: f64 = 99.0;

/// One request.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Control {
    /// Other limits.
    SetBudget(BudgetChange),
    /// Another trade between accuracy and power.
    SetMode(Mode),
    /// Stop looking at frames (true), or look at them again (false); the source stays open.
    Pause(bool),
    /// Forget the hidden state before the next frame.
    Reset,
}

/// Other limits. The outer `None` leaves a limit as it is, the inner one lifts it.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct BudgetChange {
    /// The age a result may have.
    pub deadline: Option<Option<Duration>>,
    /// The share of results that must keep the deadline, in percent.
    pub percentile: Option<f64>,
    /// What the board may draw.
    pub power: Option<Option<Power>>,
    /// How hot the board may get.
    pub temp: Option<Option<Celsius>>,
}

impl BudgetChange {
    /// `budget` with this change made to it.
    pub fn apply(&self, budget: &Budget) -> Budget {
        let before = budget.deadline;
        let percentile = self.percentile.or(before.map(|deadline| deadline.percentile)).unwrap_or(PERCENTILE);
        let within = self.deadline.unwrap_or(before.map(|deadline| deadline.within));
        Budget {
            deadline: within.map(|within| Deadline { within, percentile }),
            power: self.power.unwrap_or(budget.power),
            temp: self.temp.unwrap_or(budget.temp),
            mode: budget.mode,
        }
    }
}

/// How the service stands, as far as reports of single frames do not say it.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct ServiceStatus {
    /// What is kept to.
    pub budget: Budget,
    /// Whether frames are left alone on request.
    pub paused: bool,
    /// What the camera is doing, even while no frame comes.
    pub camera: CameraState,
}

/// The queue is full: the main loop has not handled the earlier requests yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Busy;

/// Where requests are put and taken; every clone is the same queue.
#[derive(Clone, Debug, Default)]
pub struct ControlQueue(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    requests: Mutex<VecDeque<Control>>,
    /// How many requests there are, so that the main loop need not lock to see that there are none.
    waiting: AtomicUsize,
    asked: Condvar,
    status: Mutex<ServiceStatus>,
}

impl ControlQueue {
    /// An empty queue.
    pub fn new() -> ControlQueue {
        ControlQueue::default()
    }

    fn requests(&self) -> MutexGuard<'_, VecDeque<Control>> {
        self.0.requests.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    /// Puts a request down; it holds from the next frame on.
    pub fn ask(&self, control: Control) -> Result<(), Busy> {
        let mut requests = self.requests();
        if requests.len() == CAPACITY {
            return Err(Busy);
        }
        requests.push_back(control);
        self.0.waiting.store(requests.len(), Ordering::Release);
        self.0.asked.notify_all();
        Ok(())
    }

    /// Takes the oldest request.
    pub fn take(&self) -> Option<Control> {
        if self.0.waiting.load(Ordering::Acquire) == 0 {
            return None;
        }
        let mut requests = self.requests();
        let control = requests.pop_front();
        self.0.waiting.store(requests.len(), Ordering::Release);
        control
    }

    /// Waits until there is a request, but no longer than `most`.
    pub fn wait(&self, most: Duration) {
        let requests = self.requests();
        if requests.is_empty() {
            drop(self.0.asked.wait_timeout(requests, most));
        }
    }

    /// How the service stands.
    pub fn status(&self) -> ServiceStatus {
        *self.0.status.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    /// Says how the service stands now.
    pub fn set_status(&self, status: ServiceStatus) {
        *self.0.status.lock().unwrap_or_else(|poisoned| poisoned.into_inner()) = status;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_touches_what_it_names_and_nothing_else() {
        let budget = Budget { deadline: Some(Deadline { within: Duration::from_millis(33), percentile: 95.0 }), ..Budget::default() };
        let power = BudgetChange { power: Some(Some(Power { mw: 9_000 })), ..BudgetChange::default() };
        let with_power = power.apply(&budget);
        assert_eq!((with_power.deadline, with_power.power), (budget.deadline, Some(Power { mw: 9_000 })));
        let sooner = BudgetChange { deadline: Some(Some(Duration::from_millis(10))), ..BudgetChange::default() };
        assert_eq!(sooner.apply(&budget).deadline, Some(Deadline { within: Duration::from_millis(10), percentile: 95.0 }));
        let lifted = BudgetChange { deadline: Some(None), percentile: Some(90.0), ..BudgetChange::default() };
        assert_eq!(lifted.apply(&budget).deadline, None);
        assert_eq!(sooner.apply(&Budget::default()).deadline.unwrap().percentile, PERCENTILE);
    }

    #[test]
    fn a_full_desk_says_so_and_keeps_the_order() {
        let control_queue = ControlQueue::new();
        assert_eq!(control_queue.take(), None);
        for at in 0..CAPACITY {
            assert_eq!(control_queue.ask(Control::Pause(at % 2 == 0)), Ok(()));
        }
        assert_eq!(control_queue.ask(Control::Reset), Err(Busy));
        assert_eq!(control_queue.take(), Some(Control::Pause(true)));
        assert_eq!(control_queue.ask(Control::Reset), Ok(()));
        assert_eq!(std::iter::from_fn(|| control_queue.take()).last(), Some(Control::Reset));
    }
}
