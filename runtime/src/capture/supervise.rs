//! Keeps a camera delivering: notices silence and loss, reopens with growing pauses, says each change once.
//!
//! ```text
//! searching --opened--> negotiating --frame--> streaming --silence--> stalled --frame--> streaming
//!                            |                     |                     |
//!                            +---- gone ----> lost <---- gone -----------+      lost --opened--> negotiating
//! ```
//! [`Machine`] is told events and the time and answers what to do; it reads no clock and does nothing itself. [`Supervised`] does.

mod machine;

use std::time::Duration;

use crate::clock;
use crate::frame::Frame;
use crate::source::{CaptureError, Losses, Pull, Source, SourceInfo};
use crate::telemetry::CameraState;
pub use machine::{Change, Event, Machine, Step, Timeouts};

/// Opens a source; called again whenever it has to be opened anew.
pub type Opener = Box<dyn FnMut() -> Result<Box<dyn Source>, CaptureError> + Send>;

/// A source that is opened again whenever it fails or falls silent. It never ends of itself.
pub struct Supervised {
    opener: Opener,
    source: Option<Box<dyn Source>>,
    machine: Machine,
    info: SourceInfo,
    /// Losses of sources that were closed.
    before: Losses,
    /// What to add to the source's count, so that ours goes on where it left off.
    offset: u64,
    next: u64,
    first: bool,
    /// The source was opened and has not said yet what it gives: as long as it negotiates, it counts as being opened.
    opening: bool,
    last_error: String,
}

impl Supervised {
    /// Goes on supervising a source that `opener` has just opened.
    pub fn around(source: Box<dyn Source>, opener: Opener, timeouts: Timeouts) -> Supervised {
        let info = source.info().clone();
        let mut supervised = Supervised::searching(info, opener, timeouts);
        supervised.source = Some(source);
        supervised.note(Event::Opened, clock::now());
        supervised
    }

    /// Starts without a source and looks for one. `info`: what is known of it, at least its URI.
    pub fn searching(info: SourceInfo, opener: Opener, timeouts: Timeouts) -> Supervised {
        Supervised {
            opener,
            source: None,
            machine: Machine::new(timeouts, clock::now()),
            info,
            before: Losses::default(),
            offset: 0,
            next: 0,
            first: true,
            opening: false,
            last_error: String::new(),
        }
    }

    fn note(&mut self, event: Event, now: Duration) {
        let Some(change) = self.machine.note(event, now) else { return };
        let (from, to, seconds) = (name(change.from), name(change.to), change.after.as_secs_f64());
        let why = if self.last_error.is_empty() { String::new() } else { format!(": {}", self.last_error) };
        match change.to {
            CameraState::Streaming => {
                log::info!("camera {}: {from} -> {to} after {seconds:.1} s: {}", self.info.uri, self.info.description)
            }
            CameraState::Stalled => {
                log::warn!("camera {}: {from} -> {to}: no frame for {:?}", self.info.uri, self.machine.timeouts().stalled_after)
            }
            CameraState::Lost => log::warn!("camera {}: {from} -> {to} after {seconds:.1} s{why}; looking for it", self.info.uri),
            _ => log::info!("camera {}: {from} -> {to} after {seconds:.1} s", self.info.uri),
        }
    }

    fn open(&mut self) {
        match (self.opener)() {
            Ok(source) => {
                self.first = true;
                self.opening = source.state() == CameraState::Negotiating;
                self.source = Some(source);
                self.opened();
            }
            Err(error) => {
                self.last_error = error.to_string();
                self.note(Event::Refused, clock::now());
            }
        }
    }

    /// Takes note of an opening once the source has told what it gives.
    fn opened(&mut self) {
        if let Some(source) = &self.source
            && !self.opening
        {
            self.info = source.info().clone();
            self.note(Event::Opened, clock::now());
        }
    }

    /// Waits for a source that negotiates.
    fn negotiate(&mut self, frame: &mut Frame, wait: Duration) -> Option<Pull> {
        let source = self.source.as_mut()?;
        match source.pull(frame, wait) {
            Ok(Pull::End) => self.refused("it ended".into()),
            Err(error) => self.refused(error.to_string()),
            Ok(pulled) => {
                self.opening = source.state() == CameraState::Negotiating && pulled != Pull::Frame;
                self.opened();
                return (pulled == Pull::Frame).then(|| self.counted(frame));
            }
        }
        None
    }

    fn refused(&mut self, why: String) {
        self.last_error = why;
        self.opening = false;
        self.close();
        self.note(Event::Refused, clock::now());
    }

    /// Gives a frame our own count.
    fn counted(&mut self, frame: &mut Frame) -> Pull {
        if self.first {
            self.first = false;
            self.offset = self.next.wrapping_sub(frame.sequence);
        }
        frame.sequence = frame.sequence.wrapping_add(self.offset);
        self.next = frame.sequence.wrapping_add(1);
        self.note(Event::Frame, clock::now());
        Pull::Frame
    }

    fn close(&mut self) {
        if let Some(source) = self.source.take() {
            let losses = source.losses();
            self.before.dropped += losses.dropped;
            self.before.skipped += losses.skipped;
            self.before.corrupt += losses.corrupt;
        }
    }
}

impl Source for Supervised {
    fn info(&self) -> &SourceInfo {
        &self.info
    }

    fn state(&self) -> CameraState {
        self.machine.state()
    }

    fn trouble(&self) -> Option<String> {
        (!self.last_error.is_empty()).then(|| self.last_error.clone())
    }

    fn pull(&mut self, frame: &mut Frame, wait: Duration) -> Result<Pull, CaptureError> {
        let until = clock::now() + wait;
        loop {
            let now = clock::now();
            let left = until.saturating_sub(now);
            if self.opening {
                if let Some(pulled) = self.negotiate(frame, left) {
                    return Ok(pulled);
                }
                if clock::now() >= until {
                    return Ok(Pull::Waiting);
                }
                continue;
            }
            match self.machine.step(now) {
                Step::Open => self.open(),
                Step::Rebuild => {
                    self.close();
                    self.open();
                }
                Step::PauseUntil(time) => std::thread::sleep(time.saturating_sub(now).min(left)),
                Step::Pull => {
                    let Some(source) = &mut self.source else { return Ok(Pull::End) };
                    match source.pull(frame, left) {
                        Ok(Pull::Frame) => return Ok(self.counted(frame)),
                        Ok(Pull::Waiting) => self.note(Event::Silence, clock::now()),
                        Ok(Pull::End) => {
                            self.last_error = "it ended".into();
                            self.close();
                            self.note(Event::Gone, clock::now());
                        }
                        Err(error) => {
                            self.last_error = error.to_string();
                            self.close();
                            self.note(Event::Gone, clock::now());
                        }
                    }
                }
            }
            if clock::now() >= until {
                return Ok(Pull::Waiting);
            }
        }
    }

    fn losses(&self) -> Losses {
        let now = self.source.as_ref().map(|source| source.losses()).unwrap_or_default();
        Losses {
            dropped: self.before.dropped + now.dropped,
            skipped: self.before.skipped + now.skipped,
            corrupt: self.before.corrupt + now.corrupt,
        }
    }
}

fn name(state: CameraState) -> &'static str {
    match state {
        CameraState::Searching => "searching",
        CameraState::Negotiating => "negotiating",
        CameraState::Streaming => "streaming",
        CameraState::Stalled => "stalled",
        CameraState::Lost => "lost",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use CameraState::*;

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    /// A camera that gives `frames` frames and then fails.
    struct Flaky {
        info: SourceInfo,
        left: u64,
        next: u64,
    }

    impl Source for Flaky {
        fn info(&self) -> &SourceInfo {
            &self.info
        }

        fn pull(&mut self, frame: &mut Frame, _: Duration) -> Result<Pull, CaptureError> {
            if self.left == 0 {
                return Err(CaptureError::Gone { path: "flaky".into(), reason: "unplugged".into() });
            }
            self.left -= 1;
            frame.sequence = self.next;
            self.next += 1;
            Ok(Pull::Frame)
        }

        fn losses(&self) -> Losses {
            Losses { dropped: 1, skipped: 0, corrupt: 2 }
        }
    }

    #[test]
    fn frames_are_numbered_on_and_losses_added_up_over_any_number_of_cameras() {
        let info = SourceInfo { uri: "flaky".into(), ..SourceInfo::default() };
        let theirs = info.clone();
        let mut refusals = 0;
        let opener: Opener = Box::new(move || {
            refusals += 1;
            if refusals % 2 == 1 {
                return Err(CaptureError::Open { path: "flaky".into(), reason: "not there yet".into() });
            }
            Ok(Box::new(Flaky { info: theirs.clone(), left: 3, next: 1000 }) as Box<dyn Source>)
        });
        let timeouts = Timeouts { first_pause: ms(1), longest_pause: ms(2), ..Timeouts::default() };
        let mut source = Supervised::searching(info, opener, timeouts);
        assert_eq!(source.state(), Searching);
        let mut frame = Frame::default();
        for expected in 0..9 {
            while source.pull(&mut frame, ms(50)).unwrap() != Pull::Frame {}
            assert_eq!(frame.sequence, expected);
            assert_eq!(source.state(), Streaming);
        }
        assert_eq!(source.losses(), Losses { dropped: 3, skipped: 0, corrupt: 6 });
    }
}
