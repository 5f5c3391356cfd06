//! What the main loop asks and tells while it runs: signals, faults and the service manager, in one place.

use std::sync::atomic::Ordering;

use super::exit::{Cause, Failure};
use super::notify::Notifier;
use super::signals::Signals;
use crate::clock;
use crate::telemetry::{CameraState, Report};

/// The lifecycle of one run.
pub struct Lifecycle {
    signals: Signals,
    notifier: Notifier,
}

impl Lifecycle {
    /// Listens to signals from now on; `reload` says whether there is a configuration to read again.
    pub fn begin(reload: bool) -> Result<Lifecycle, Failure> {
        let notifier = Notifier::from_environment();
        Ok(Lifecycle { signals: Signals::listen(reload)?, notifier })
    }

    /// A lifecycle without signals and without a service manager, for programs that embed this library: `signals` is theirs to set.
    pub fn embedded(signals: Signals) -> Lifecycle {
        Lifecycle { signals, notifier: Notifier::silent() }
    }

    /// The service manager's ear.
    pub fn notifier(&mut self) -> &mut Notifier {
        &mut self.notifier
    }

    /// Whether a service manager started this.
    pub fn is_service(&self) -> bool {
        self.notifier.is_heard()
    }

    /// Whether to go on: false once asked to end, or once nobody could ask any more.
    pub fn goes_on(&self) -> bool {
        !self.asked_to_end() && self.signals.fault().is_none()
    }

    /// Whether somebody asked for the end.
    pub fn asked_to_end(&self) -> bool {
        self.signals.stop().load(Ordering::Relaxed)
    }

    /// Whether the configuration is to be read again; true once per request.
    pub fn reload(&self) -> bool {
        self.signals.reload()
    }

    /// One frame was answered.
    pub fn answered(&mut self, report: &Report) {
        self.notifier.answered(clock::now(), report);
    }

    /// No frame came.
    pub fn waited(&mut self, camera: CameraState) {
        self.notifier.waited(clock::now(), camera);
    }

    /// Frames are left alone on request.
    pub fn paused(&mut self) {
        self.notifier.paused(clock::now());
    }

    /// The loop has ended: that nobody could ask for it any more is a failure.
    pub fn verdict(&self) -> Result<(), Failure> {
        self.signals.fault().map_or(Ok(()), |fault| Err(Failure::new(Cause::Internal, fault)))
    }
}
