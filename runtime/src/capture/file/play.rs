//! Films that are to be played again and again (`?loop`), or at their own rate as a camera would give them (`?realtime`).

use std::time::Duration;

use super::super::supervise::Opener;
use crate::capture::{CaptureError, Losses, Pull, Source, SourceInfo};
use crate::clock;
use crate::frame::Frame;

/// A film that begins again at its end.
pub(in crate::capture) struct Looped {
    opener: Opener,
    source: Box<dyn Source>,
    /// Of the rounds before this one.
    before: Losses,
    offset: u64,
    next: u64,
    /// A frame came in this round.
    any: bool,
    again: bool,
}

impl Looped {
    pub fn new(mut opener: Opener) -> Result<Looped, CaptureError> {
        let source = opener()?;
        Ok(Looped { opener, source, before: Losses::default(), offset: 0, next: 0, any: false, again: false })
    }
}

impl Source for Looped {
    fn info(&self) -> &SourceInfo {
        self.source.info()
    }

    fn pull(&mut self, frame: &mut Frame, wait: Duration) -> Result<Pull, CaptureError> {
        loop {
            match self.source.pull(frame, wait)? {
                Pull::Frame => {
                    frame.sequence += self.offset;
                    // The beginning does not continue the end.
                    frame.cut |= std::mem::take(&mut self.again);
                    self.next = frame.sequence + 1;
                    self.any = true;
                    return Ok(Pull::Frame);
                }
                Pull::End if self.any => {
                    self.before = self.losses();
                    self.source = (self.opener)()?;
                    (self.offset, self.any, self.again) = (self.next, false, true);
                }
                other => return Ok(other),
            }
        }
    }

    fn losses(&self) -> Losses {
        let now = self.source.losses();
        Losses {
            dropped: self.before.dropped + now.dropped,
            skipped: self.before.skipped + now.skipped,
            corrupt: self.before.corrupt + now.corrupt,
        }
    }

    fn called(&self) -> Option<&str> {
        self.source.called()
    }
}

/// A film at its own rate: live, so that what is not answered in time is passed over.
pub(in crate::capture) struct Realtime {
    source: Box<dyn Source>,
    info: SourceInfo,
    period: Duration,
    /// When the next frame is due; none before the first.
    due: Option<Duration>,
    /// The next frame, where it was read before it was due.
    held: Option<Frame>,
}

impl Realtime {
    /// Plays `source` at `fps`, or at the rate it states.
    pub fn new(source: Box<dyn Source>, fps: Option<f64>) -> Result<Realtime, CaptureError> {
        let mut info = source.info().clone();
        let Some(fps) = fps.or(info.fps) else {
            let reason = "realtime: it states no rate; give one, for example ?realtime&fps=25".into();
            return Err(CaptureError::Uri { uri: info.uri, reason });
        };
        (info.fps, info.live, info.timed) = (Some(fps), true, true);
        info.description = format!("{}, played at {} frames/s", info.description, (fps * 100.0).round() / 100.0);
        Ok(Realtime { source, info, period: Duration::from_secs_f64(1.0 / fps), due: None, held: None })
    }
}

impl Source for Realtime {
    fn info(&self) -> &SourceInfo {
        &self.info
    }

    fn pull(&mut self, frame: &mut Frame, wait: Duration) -> Result<Pull, CaptureError> {
        if self.held.is_none() {
            match self.source.pull(frame, wait)? {
                Pull::Frame => self.held = Some(std::mem::take(frame)),
                other => return Ok(other),
            }
        }
        let now = clock::now();
        let due = *self.due.get_or_insert(now);
        let left = due.saturating_sub(now);
        if left > wait {
            std::thread::sleep(wait);
            return Ok(Pull::Waiting);
        }
        std::thread::sleep(left);
        *frame = self.held.take().unwrap_or_default();
        frame.captured = clock::now();
        // A decoder that is too slow sets the pace: nothing is caught up with.
        self.due = Some(due.max(frame.captured.saturating_sub(self.period)) + self.period);
        Ok(Pull::Frame)
    }

    fn losses(&self) -> Losses {
        self.source.losses()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Two {
        info: SourceInfo,
        next: u64,
    }

    impl Source for Two {
        fn info(&self) -> &SourceInfo {
            &self.info
        }

        fn pull(&mut self, frame: &mut Frame, _: Duration) -> Result<Pull, CaptureError> {
            if self.next == 2 {
                return Ok(Pull::End);
            }
            *frame = Frame { sequence: self.next, ..Frame::default() };
            self.next += 1;
            Ok(Pull::Frame)
        }

        fn losses(&self) -> Losses {
            Losses { corrupt: self.next, ..Losses::default() }
        }
    }

    fn two() -> Result<Box<dyn Source>, CaptureError> {
        Ok(Box::new(Two { info: SourceInfo { fps: Some(50.0), ..SourceInfo::default() }, next: 0 }))
    }

    #[test]
    fn a_looped_film_counts_on_and_marks_where_it_begins_again() {
        let mut film = Looped::new(Box::new(two)).unwrap();
        let mut frame = Frame::default();
        let mut seen = Vec::new();
        for _ in 0..5 {
            assert_eq!(film.pull(&mut frame, Duration::ZERO).unwrap(), Pull::Frame);
            seen.push((frame.sequence, frame.cut));
        }
        assert_eq!(seen, [(0, false), (1, false), (2, true), (3, false), (4, true)]);
        assert_eq!(film.losses().corrupt, 5);
    }

    #[test]
    fn a_film_at_its_own_rate_takes_its_own_time() {
        let mut film = Realtime::new(two().unwrap(), None).unwrap();
        assert!(film.info().live && film.info().timed);
        let mut frame = Frame::default();
        let mut times = Vec::new();
        while times.len() < 2 {
            if film.pull(&mut frame, Duration::from_millis(7)).unwrap() == Pull::Frame {
                times.push(frame.captured);
            }
        }
        assert!(times[1] - times[0] >= Duration::from_millis(19), "{times:?}");
        assert_eq!(film.pull(&mut frame, Duration::ZERO).unwrap(), Pull::End);
    }

    #[test]
    fn a_film_without_a_rate_is_to_be_given_one() {
        let silent = Two { info: SourceInfo::default(), next: 0 };
        let error = Realtime::new(Box::new(silent), None).err().unwrap().to_string();
        assert!(error.contains("?realtime&fps=25"), "{error}");
    }
}
