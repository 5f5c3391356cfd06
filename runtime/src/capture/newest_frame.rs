//! A live source on its own thread, behind a slot that keeps the newest frame.

use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use super::{CaptureError, Losses, Pull, Source, SourceInfo};
use crate::frame::Frame;
use crate::telemetry::CameraState;
use crate::threads::{self, Guard};

/// How long the capture thread waits for its source before it looks whether it should stop.
const LOOK: Duration = Duration::from_millis(100);
/// How long the capture thread may take to stop; one that is stuck in a driver is left behind.
const FAREWELL: Duration = Duration::from_millis(700);

/// Pulls a source on a thread and hands over its newest frame; frames passed over are counted as skipped.
///
/// Three frames go round (in capture, in the slot, with the consumer), so a steady stream allocates nothing. Dropping it stops and
/// joins the thread.
pub struct NewestFrame {
    shared: Arc<Shared>,
    thread: Guard,
    info: SourceInfo,
}

struct Shared {
    slot: Mutex<Slot>,
    arrived: Condvar,
}

#[derive(Default)]
struct Slot {
    frame: Frame,
    fresh: bool,
    losses: Losses,
    skipped: u64,
    state: CameraState,
    trouble: Option<String>,
    info: Option<SourceInfo>,
    end: Option<Result<(), CaptureError>>,
    ended: bool,
    stop: bool,
}

impl NewestFrame {
    /// Starts the capture thread.
    pub fn spawn(mut source: Box<dyn Source>) -> std::io::Result<NewestFrame> {
        let slot = Slot { state: source.state(), ..Slot::default() };
        let shared = Arc::new(Shared { slot: Mutex::new(slot), arrived: Condvar::new() });
        let info = source.info().clone();
        let (theirs, died) = (shared.clone(), shared.clone());
        let thread = threads::spawn(
            "capture",
            move || theirs.capture(source.as_mut()),
            move |fault| {
                died.slot().end = Some(Err(fault.clone().into()));
                died.arrived.notify_one();
            },
        )?;
        Ok(NewestFrame { shared, thread, info })
    }
}

impl Shared {
    fn slot(&self) -> MutexGuard<'_, Slot> {
        // A consumer that panicked leaves the slot as good as it was.
        self.slot.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    fn capture(&self, source: &mut dyn Source) {
        let mut frame = Frame::default();
        let mut info = source.info().clone();
        loop {
            let pulled = source.pull(&mut frame, LOOK);
            let mut slot = self.slot();
            if slot.stop {
                return;
            }
            slot.losses = source.losses();
            slot.state = source.state();
            if slot.state != CameraState::Streaming {
                slot.trouble = source.trouble();
            }
            if *source.info() != info {
                info = source.info().clone();
                slot.info = Some(info.clone());
            }
            match pulled {
                Ok(Pull::Frame) => {
                    slot.skipped += u64::from(slot.fresh);
                    // A cut that was passed over still is one for whoever sees the next frame.
                    frame.cut |= slot.fresh && slot.frame.cut;
                    std::mem::swap(&mut slot.frame, &mut frame);
                    slot.fresh = true;
                }
                Ok(Pull::Waiting) => continue,
                Ok(Pull::End) => slot.end = Some(Ok(())),
                Err(error) => slot.end = Some(Err(error)),
            }
            self.arrived.notify_one();
            if slot.end.is_some() {
                return;
            }
        }
    }
}

impl Source for NewestFrame {
    fn info(&self) -> &SourceInfo {
        &self.info
    }

    fn pull(&mut self, frame: &mut Frame, wait: Duration) -> Result<Pull, CaptureError> {
        let until = Instant::now() + wait;
        let mut slot = self.shared.slot();
        loop {
            if let Some(info) = slot.info.take() {
                self.info = info;
            }
            if slot.fresh {
                slot.fresh = false;
                std::mem::swap(&mut slot.frame, frame);
                return Ok(Pull::Frame);
            }
            if slot.ended {
                return Ok(Pull::End);
            }
            if let Some(end) = slot.end.take() {
                slot.ended = true;
                return end.map(|()| Pull::End);
            }
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                // One that the kernel took away cannot say so itself.
                return match self.thread.fault() {
                    Some(fault) if slot.end.is_none() && !slot.ended => {
                        slot.ended = true;
                        Err(fault.into())
                    }
                    _ => Ok(Pull::Waiting),
                };
            }
            slot = self.shared.arrived.wait_timeout(slot, left).unwrap_or_else(|poisoned| poisoned.into_inner()).0;
        }
    }

    fn losses(&self) -> Losses {
        let slot = self.shared.slot();
        Losses { skipped: slot.losses.skipped + slot.skipped, ..slot.losses }
    }

    fn state(&self) -> CameraState {
        self.shared.slot().state
    }

    fn trouble(&self) -> Option<String> {
        self.shared.slot().trouble.clone()
    }
}

impl Drop for NewestFrame {
    fn drop(&mut self) {
        self.shared.slot().stop = true;
        if !self.thread.wait(FAREWELL) {
            log::warn!("the capture thread does not come back from its camera, and is left behind");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicBool, Ordering};

    /// Gives numbered frames, one every `every`, then the given end.
    struct Clockwork {
        info: SourceInfo,
        every: Duration,
        next: u64,
        end: u64,
        fail: bool,
        dropped: Arc<AtomicBool>,
    }

    fn clockwork(every_ms: u64, end: u64) -> Clockwork {
        let info = SourceInfo {
            uri: "test".into(),
            description: "test".into(),
            width: 1,
            height: 1,
            fps: None,
            live: true,
            timed: true,
            ..SourceInfo::default()
        };
        Clockwork { info, every: Duration::from_millis(every_ms), next: 0, end, fail: false, dropped: Arc::default() }
    }

    impl Source for Clockwork {
        fn info(&self) -> &SourceInfo {
            &self.info
        }

        fn pull(&mut self, frame: &mut Frame, _: Duration) -> Result<Pull, CaptureError> {
            std::thread::sleep(self.every);
            if self.next == self.end {
                return if self.fail { Err(CaptureError::Gone { path: "test".into(), reason: "unplugged".into() }) } else { Ok(Pull::End) };
            }
            frame.sequence = self.next;
            frame.cut = self.next == 3;
            self.next += 1;
            Ok(Pull::Frame)
        }

        fn losses(&self) -> Losses {
            Losses { dropped: 2, ..Losses::default() }
        }
    }

    impl Drop for Clockwork {
        fn drop(&mut self) {
            self.dropped.store(true, Ordering::SeqCst);
        }
    }

    fn last_of(latest: &mut NewestFrame) -> Vec<Frame> {
        let mut seen = Vec::new();
        let mut frame = Frame::default();
        while latest.pull(&mut frame, Duration::from_secs(5)).unwrap() == Pull::Frame {
            seen.push(frame.clone());
            std::thread::sleep(Duration::from_millis(20));
        }
        seen
    }

    #[test]
    fn a_slow_consumer_sees_the_newest_and_every_other_is_counted() {
        let mut latest = NewestFrame::spawn(Box::new(clockwork(2, 60))).unwrap();
        let seen = last_of(&mut latest);
        assert!(seen.len() < 60 && seen.windows(2).all(|pair| pair[0].sequence < pair[1].sequence));
        assert_eq!(seen.last().unwrap().sequence, 59);
        assert_eq!(seen.len() as u64 + latest.losses().skipped, 60);
        assert_eq!(latest.losses().dropped, 2);
        assert!(seen.iter().any(|frame| frame.cut), "the cut at frame 3 was passed over and forgotten");
    }

    #[test]
    fn the_end_and_an_error_reach_the_consumer_once() {
        let mut source = clockwork(1, 1);
        source.fail = true;
        let mut latest = NewestFrame::spawn(Box::new(source)).unwrap();
        let mut frame = Frame::default();
        assert_eq!(latest.pull(&mut frame, Duration::from_secs(5)).unwrap(), Pull::Frame);
        assert!(latest.pull(&mut frame, Duration::from_secs(5)).is_err());
        assert_eq!(latest.pull(&mut frame, Duration::from_secs(5)).unwrap(), Pull::End);
    }

    #[test]
    fn a_capture_thread_that_dies_is_an_error_for_whoever_waits_for_its_frames() {
        struct Doomed(SourceInfo, bool);
        impl Source for Doomed {
            fn info(&self) -> &SourceInfo {
                &self.0
            }

            fn pull(&mut self, _: &mut Frame, _: Duration) -> Result<Pull, CaptureError> {
                if self.1 {
                    panic!("planted");
                }
                // SAFETY: ends the capture thread alone.
                unsafe { libc::syscall(libc::SYS_exit, 0) };
                Ok(Pull::Waiting)
            }

            fn losses(&self) -> Losses {
                Losses::default()
            }
        }
        for (panics, words) in [(true, "planted"), (false, "gone without a word")] {
            let mut latest = NewestFrame::spawn(Box::new(Doomed(SourceInfo::default(), panics))).unwrap();
            let mut pulled = Ok(Pull::Waiting);
            while matches!(pulled, Ok(Pull::Waiting)) {
                pulled = latest.pull(&mut Frame::default(), Duration::from_millis(50));
            }
            let error = pulled.unwrap_err().to_string();
            assert!(error.contains("a fault in thread 'capture': ") && error.contains(words), "{error}");
            let after = latest.pull(&mut Frame::default(), Duration::ZERO).unwrap();
            assert_eq!(after, Pull::End);
        }
    }

    #[test]
    fn nothing_within_the_wait_is_said_and_dropping_stops_the_thread() {
        let source = clockwork(50, u64::MAX);
        let dropped = source.dropped.clone();
        let mut latest = NewestFrame::spawn(Box::new(source)).unwrap();
        assert_eq!(latest.pull(&mut Frame::default(), Duration::from_millis(1)).unwrap(), Pull::Waiting);
        drop(latest);
        assert!(dropped.load(Ordering::SeqCst));
    }
}
