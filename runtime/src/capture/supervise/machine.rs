//! The states of one camera: told events and the time, it answers what to do.

use std::time::Duration;

use crate::backoff::Backoff;
use crate::telemetry::CameraState;

/// How patient supervision is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Timeouts {
    /// Silence after which a camera counts as stalled.
    pub stalled_after: Duration,
    /// Time in a stall after which the stream is rebuilt; doubled at each further attempt, up to the longest pause.
    pub rebuild_after: Duration,
    /// Pause after the first failed attempt to open; doubled at each further one.
    pub first_pause: Duration,
    /// The longest pause between attempts.
    pub longest_pause: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Timeouts {
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
    timeouts: Timeouts,
    state: CameraState,
    since: Duration,
    open: bool,
    /// The last frame, or the opening.
    heard: Duration,
    /// When to try again, and the pauses between attempts.
    next: Duration,
    backoff: Backoff,
}

impl Machine {
    /// A camera that is not open yet.
    pub fn new(timeouts: Timeouts, now: Duration) -> Machine {
        let backoff = Backoff::new(timeouts.first_pause, timeouts.longest_pause);
        Machine { timeouts, state: CameraState::Searching, since: now, open: false, heard: now, next: now, backoff }
    }

    /// How patient it is.
    pub fn timeouts(&self) -> Timeouts {
        self.timeouts
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
                self.backoff.succeeded();
                Streaming
            }
            Event::Silence if now.saturating_sub(self.heard) < self.timeouts.stalled_after || self.state == Stalled => self.state,
            Event::Silence => {
                self.backoff.begin_at(self.timeouts.rebuild_after);
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
        let longest = self.timeouts.longest_pause.max(if self.open { self.timeouts.rebuild_after * 4 } else { Duration::ZERO });
        self.next = now + self.backoff.failed_within(longest);
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
        Machine::new(Timeouts::default(), ms(0))
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
}
