//! Notifications to the service manager: ready, alive, reading its configuration again, ending. Without one, nothing.
//!
//! The watchdog is fed by answered frames, and by waiting while the camera is known to be away. Waiting while the camera
//! is said to stream is what a hang looks like, and feeds nothing.

use std::time::Duration;

use sd_notify::NotifyState;

use crate::frame_rate::FrameRate;
use crate::telemetry::{CameraState, RecordingState, Report};

/// The status line is written at most this often.
const STATUS_EVERY: Duration = Duration::from_secs(5);

/// The line to the service manager.
pub struct Notifier {
    /// Nobody listens without a socket.
    heard: bool,
    /// How often the watchdog is fed; None without one.
    feed_every: Option<Duration>,
    fed: Option<Duration>,
    told: Option<Duration>,
    frames: u64,
    rate: FrameRate,
    steps: u64,
    engine: &'static str,
    /// What the camera was doing when the status last said that it is waited for; None once frames are answered again.
    waiting: Option<CameraState>,
    /// The status has said that the recording cannot go on.
    unrecorded: bool,
}

impl Notifier {
    /// Listens to what the environment says (`NOTIFY_SOCKET`, `WATCHDOG_USEC`).
    pub fn from_environment() -> Notifier {
        // Three meals per period leave room for one late one.
        let feed_every = sd_notify::watchdog_enabled().map(|period| period / 3);
        let heard = std::env::var_os("NOTIFY_SOCKET").is_some();
        Notifier { heard, feed_every, ..Notifier::silent() }
    }

    /// Tells nobody.
    pub fn silent() -> Notifier {
        Notifier {
            heard: false,
            feed_every: None,
            fed: None,
            told: None,
            frames: 0,
            rate: FrameRate::default(),
            steps: 0,
            engine: "no",
            waiting: None,
            unrecorded: false,
        }
    }

    /// Whether a service manager listens.
    pub fn is_heard(&self) -> bool {
        self.heard
    }

    fn say(&self, words: &[NotifyState]) {
        if self.heard
            && let Err(error) = sd_notify::notify(words)
        {
            log::debug!("the service manager does not listen: {error}");
        }
    }

    /// `engine` is warm and `doing` what the status says.
    pub fn ready(&mut self, engine: &'static str, doing: &str) {
        self.engine = engine;
        self.say(&[NotifyState::Ready, NotifyState::Status(&format!("ready on the {engine} engine, {doing}"))]);
    }

    /// `engine` is open; the camera is not there, because of `refusal`.
    pub fn ready_without_camera(&mut self, engine: &'static str, refusal: &str) {
        self.ready(engine, &format!("waiting for the camera: {refusal}"));
        self.waiting = Some(CameraState::Searching);
    }

    /// The first steps may take long (kernels are built): asks for `more` time to start in.
    pub fn starting(&self, status: &str, more: Duration) {
        self.say(&[NotifyState::Status(status), NotifyState::ExtendTimeoutUsec(more.as_micros() as u32)]);
    }

    /// One frame was answered at `now`.
    pub fn answered(&mut self, now: Duration, report: &Report) {
        self.frames += 1;
        self.rate.add(report);
        self.steps += u64::from(report.trace.steps);
        self.engine = report.engine;
        self.feed(now);
        let since = self.told.map_or(STATUS_EVERY, |told| now.saturating_sub(told));
        let fails = report.recording == Some(RecordingState::Failed) && !self.unrecorded;
        if self.heard && (since >= STATUS_EVERY || self.waiting.is_some() || fails) {
            self.unrecorded |= fails;
            let rate = self.rate.per_second();
            let steps = self.steps as f64 / self.frames as f64;
            let age = report.age.as_secs_f64() * 1e3;
            let figures = if self.told.is_some() { format!(", {rate:.1} frames/s, {steps:.2} steps a frame") } else { String::new() };
            let recording = if self.unrecorded { "; THE RECORDING FAILED" } else { "" };
            self.say(&[NotifyState::Status(&format!("{} engine{figures}, age {age:.0} ms{recording}", report.engine))]);
            (self.told, self.waiting, self.frames, self.steps) = (Some(now), None, 0, 0);
        }
    }

    /// No frame came up to `now`, with the camera in state `camera`.
    pub fn waited(&mut self, now: Duration, camera: CameraState) {
        if camera == CameraState::Streaming {
            return;
        }
        self.feed(now);
        if self.heard && self.waiting != Some(camera) {
            let word = format!("{camera:?}").to_lowercase();
            let recording = if self.unrecorded { "; THE RECORDING FAILED" } else { "" };
            self.say(&[NotifyState::Status(&format!("{} engine, waiting for the camera ({word}){recording}", self.engine))]);
            self.waiting = Some(camera);
        }
    }

    /// Frames are left alone on request.
    pub fn paused(&mut self, now: Duration) {
        self.feed(now);
    }

    fn feed(&mut self, now: Duration) {
        let Some(every) = self.feed_every else { return };
        if self.fed.is_none_or(|fed| now.saturating_sub(fed) >= every) {
            self.fed = Some(now);
            self.say(&[NotifyState::Watchdog]);
        }
    }

    /// The configuration is being read again; [`Notifier::ready`] says that it has been.
    pub fn reloading(&self) {
        if let Ok(now) = NotifyState::monotonic_usec_now() {
            self.say(&[NotifyState::Reloading, now]);
        }
    }

    /// The end begins.
    pub fn stopping(&self, why: &str) {
        self.say(&[NotifyState::Stopping, NotifyState::Status(why)]);
    }
}
