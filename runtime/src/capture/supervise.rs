//! Keeps a camera delivering: notices silence and loss, reopens with growing pauses, says each change once.
//!
//! ```text
//! searching --opened--> negotiating --frame--> streaming --silence--> stalled --frame--> streaming
//!                            |                     |                     |
//!                            +---- gone ----> lost <---- gone -----------+      lost --opened--> negotiating
//! ```
//! [`Machine`] is told events and the time and answers what to do; it reads no clock and does nothing itself. [`Supervised`] does.

use std::time::Duration;

use super::{CaptureError, Losses, Pull, Source, SourceInfo};
use crate::clock;
use crate::frame::Frame;
use crate::telemetry::CameraState;

/// How patient supervision is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Patience {
    /// Silence after which a camera counts as stalled.
    pub stalled_after: Duration,
    /// Time in a stall after which the stream is rebuilt; doubled at each further attempt, up to the longest pause.
    pub rebuild_after: Duration,
    /// Pause after the first failed attempt to open; doubled at each further one.
    pub first_pause: Duration,
    /// The longest pause between attempts.
    pub longest_pause: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Patience {
            stalled_after: Duration::from_secs(2),
            rebuild_after: Duration::from_secs(2),
            first_pause: Duration::from_millis(100),
            longest_pause: Duration::from_secs(1),
        }
    }
}

/// What happened to the camera.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// It was opened.
    Opened,
    /// It could not be opened.
    Refused,
    /// A frame came.
    Frame,
    /// A wait brought nothing.
    Silence,
    /// It failed while open.
    Gone,
}

/// What to do now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Try to open it.
    Open,
    /// Nothing, until then.
    PauseUntil(Duration),
    /// Wait for a frame.
    Pull,
    /// Close it and open it anew.
    Rebuild,
}

/// A change of state, for the log and the reports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Change {
    /// The state before.
    pub from: CameraState,
    /// The state now.
    pub to: CameraState,
    /// How long the state before lasted.
    pub after: Duration,
}

/// The states of one camera. Times are on any one clock that does not go back.
#[derive(Clone, Debug)]
pub struct Machine {
    patience: Patience,
    state: CameraState,
    since: Duration,
    open: bool,
    /// The last frame, or the opening.
    heard: Duration,
    /// When to try again, and the pause after that.
    next: Duration,
    pause: Duration,
}

impl Machine {
    /// A camera that is not open yet.
    pub fn new(patience: Patience, now: Duration) -> Machine {
        Machine { patience, state: CameraState::Searching, since: now, open: false, heard: now, next: now, pause: patience.first_pause }
    }

    /// What the camera is doing.
    pub fn state(&self) -> CameraState {
        self.state
    }

    /// What to do at `now`.
    pub fn step(&self, now: Duration) -> Step {
        match (self.open, now >= self.next) {
            (false, true) => Step::Open,
            (false, false) => Step::PauseUntil(self.next),
            (true, true) if self.state == CameraState::Stalled => Step::Rebuild,
            (true, _) => Step::Pull,
        }
    }

    /// Takes note of `event` at `now`; says so when that changes the state.
    pub fn note(&mut self, event: Event, now: Duration) -> Option<Change> {
        use CameraState::*;
        let to = match event {
            Event::Opened => {
                self.open = true;
                self.heard = now;
                match self.state {
                    // A stall lasts until a frame comes: opening a device that stays silent is no cure.
                    Stalled => {
                        self.wait(now);
                        Stalled
                    }
                    _ => Negotiating,
                }
            }
            Event::Refused => {
                self.open = false;
                self.wait(now);
                if self.state == Searching { Searching } else { Lost }
            }
            Event::Frame => {
                self.heard = now;
                self.pause = self.patience.first_pause;
                Streaming
            }
            Event::Silence if now.saturating_sub(self.heard) < self.patience.stalled_after || self.state == Stalled => self.state,
            Event::Silence => {
                self.pause = self.patience.rebuild_after;
                self.wait(now);
                Stalled
            }
            Event::Gone => {
                self.open = false;
                // At once after streaming; a device that fails right after it opens is given its pauses.
                if self.state == Streaming {
                    self.next = now;
                } else {
                    self.wait(now);
                }
                Lost
            }
        };
        if to == self.state {
            return None;
        }
        let change = Change { from: self.state, to, after: now.saturating_sub(self.since) };
        self.state = to;
        self.since = now;
        Some(change)
    }

    fn wait(&mut self, now: Duration) {
        let longest = self.patience.longest_pause.max(if self.open { self.patience.rebuild_after * 4 } else { Duration::ZERO });
        self.next = now + self.pause.min(longest);
        self.pause = (self.pause * 2).min(longest);
    }
}

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
    pub fn around(source: Box<dyn Source>, opener: Opener, patience: Patience) -> Supervised {
        let info = source.info().clone();
        let mut supervised = Supervised::searching(info, opener, patience);
        supervised.source = Some(source);
        supervised.note(Event::Opened, clock::now());
        supervised
    }

    /// Starts without a source and looks for one. `info`: what is known of it, at least its URI.
    pub fn searching(info: SourceInfo, opener: Opener, patience: Patience) -> Supervised {
        Supervised {
            opener,
            source: None,
            machine: Machine::new(patience, clock::now()),
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
                log::warn!("camera {}: {from} -> {to}: no frame for {:?}", self.info.uri, self.machine.patience.stalled_after)
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

    fn machine() -> Machine {
        Machine::new(Patience::default(), ms(0))
    }

    fn streaming() -> Machine {
        let mut machine = machine();
        machine.note(Event::Opened, ms(0));
        machine.note(Event::Frame, ms(10));
        machine
    }

    #[test]
    fn a_camera_is_searched_opened_and_streams() {
        let mut machine = machine();
        assert_eq!((machine.state(), machine.step(ms(0))), (Searching, Step::Open));
        assert_eq!(machine.note(Event::Opened, ms(30)), Some(Change { from: Searching, to: Negotiating, after: ms(30) }));
        assert_eq!(machine.step(ms(30)), Step::Pull);
        assert_eq!(machine.note(Event::Frame, ms(70)).unwrap().to, Streaming);
        assert_eq!(machine.note(Event::Frame, ms(110)), None);
    }

    #[test]
    fn failed_attempts_come_at_growing_pauses_up_to_the_cap() {
        let mut machine = machine();
        let mut now = ms(0);
        let mut pauses = Vec::new();
        for _ in 0..7 {
            assert_eq!(machine.step(now), Step::Open);
            assert_eq!(machine.note(Event::Refused, now), None);
            let Step::PauseUntil(next) = machine.step(now) else { panic!() };
            pauses.push((next - now).as_millis());
            now = next;
        }
        assert_eq!(pauses, [100, 200, 400, 800, 1000, 1000, 1000]);
    }

    #[test]
    fn a_frame_makes_the_next_pause_short_again() {
        let mut machine = machine();
        for _ in 0..5 {
            machine.note(Event::Refused, ms(0));
        }
        machine.note(Event::Opened, ms(5000));
        machine.note(Event::Frame, ms(5010));
        machine.note(Event::Gone, ms(6000));
        machine.note(Event::Refused, ms(6000));
        assert_eq!(machine.step(ms(6000)), Step::PauseUntil(ms(6100)));
    }

    #[test]
    fn an_unplugged_camera_is_lost_and_looked_for_at_once() {
        let mut machine = streaming();
        assert_eq!(machine.note(Event::Gone, ms(500)), Some(Change { from: Streaming, to: Lost, after: ms(490) }));
        assert_eq!(machine.step(ms(500)), Step::Open);
        assert_eq!(machine.note(Event::Refused, ms(501)), None);
        assert_eq!(machine.note(Event::Opened, ms(900)).unwrap().to, Negotiating);
        assert_eq!(machine.note(Event::Frame, ms(950)).unwrap().to, Streaming);
    }

    #[test]
    fn silence_is_a_stall_after_its_time_and_the_stream_is_rebuilt() {
        let mut machine = streaming();
        assert_eq!(machine.note(Event::Silence, ms(2009)), None);
        assert_eq!(machine.note(Event::Silence, ms(2010)).unwrap().to, Stalled);
        assert_eq!(machine.step(ms(2500)), Step::Pull);
        assert_eq!(machine.step(ms(4010)), Step::Rebuild);
        assert_eq!(machine.note(Event::Opened, ms(4020)), None, "reopening cures no stall");
        assert_eq!(machine.step(ms(4020)), Step::Pull);
        assert_eq!(machine.step(ms(8020)), Step::Rebuild, "the second attempt waits twice as long");
        assert_eq!(machine.note(Event::Frame, ms(8100)), Some(Change { from: Stalled, to: Streaming, after: ms(6090) }));
    }

    #[test]
    fn a_stalled_camera_that_cannot_be_reopened_is_lost() {
        let mut machine = streaming();
        machine.note(Event::Silence, ms(3000));
        assert_eq!(machine.note(Event::Refused, ms(5000)).unwrap().to, Lost);
    }

    #[test]
    fn a_camera_that_fails_right_after_opening_is_given_its_pauses() {
        let mut machine = machine();
        machine.note(Event::Opened, ms(0));
        machine.note(Event::Gone, ms(1));
        assert_eq!(machine.step(ms(1)), Step::PauseUntil(ms(101)));
        machine.note(Event::Opened, ms(101));
        machine.note(Event::Gone, ms(102));
        assert_eq!(machine.step(ms(102)), Step::PauseUntil(ms(302)));
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
        let patience = Patience { first_pause: ms(1), longest_pause: ms(2), ..Patience::default() };
        let mut source = Supervised::searching(info, opener, patience);
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
