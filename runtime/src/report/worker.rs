//! A sink on its own thread behind a bounded queue.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use super::{Audience, Sink, SinkError};
use crate::priority;
use crate::telemetry::Report;
use crate::threads::{self, Fault, Guard};

/// What happens when a sink is slower than the frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Overflow {
    /// Live: the oldest report is dropped and counted.
    DropOldest,
    /// Files: the pipeline waits, so that every frame's report arrives.
    Wait,
}

const CAPACITY: usize = 64;
/// How long a sink has to finish once the end is asked for, unless it says otherwise.
const GRACE: Duration = Duration::from_millis(900);
/// How often a wait for a sink looks whether there is still something to wait for.
const LOOK: Duration = Duration::from_millis(50);

struct Shared {
    queue: Mutex<Queue>,
    changed: Condvar,
}

struct Queue {
    reports: VecDeque<Report>,
    closed: bool,
    dropped: u64,
    failure: Option<SinkError>,
    finished: bool,
}

impl Shared {
    fn queue(&self) -> MutexGuard<'_, Queue> {
        // Nothing that may panic happens while the queue is held.
        self.queue.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    fn finish(&self, failure: Option<SinkError>) {
        let mut queue = self.queue();
        if !queue.finished {
            (queue.failure, queue.finished) = (failure, true);
        }
        drop(queue);
        self.changed.notify_all();
    }

    fn wait<'a>(&'a self, queue: MutexGuard<'a, Queue>, most: Duration) -> MutexGuard<'a, Queue> {
        self.changed.wait_timeout(queue, most).unwrap_or_else(|poisoned| poisoned.into_inner()).0
    }
}

/// The pipeline's end of a sink.
pub struct SinkWorker {
    name: String,
    shared: Arc<Shared>,
    overflow: Overflow,
    audience: Option<Audience>,
    tiles_audience: Option<Audience>,
    wants_mask: bool,
    grace: Duration,
    /// None once it was left alone.
    thread: Option<Guard>,
}

impl SinkWorker {
    /// Starts a thread that feeds `sink`, called `name` in messages. A panic of the sink is its failure, and ends nothing else.
    pub fn start(name: &str, mut sink: Box<dyn Sink>, overflow: Overflow) -> std::io::Result<SinkWorker> {
        let queue = Queue { reports: VecDeque::with_capacity(CAPACITY), closed: false, dropped: 0, failure: None, finished: false };
        let shared = Arc::new(Shared { queue: Mutex::new(queue), changed: Condvar::new() });
        let (audience, tiles_audience, wants_mask) = (sink.audience(), sink.tiles_audience(), sink.wants_mask());
        let (theirs, died) = (Arc::clone(&shared), Arc::clone(&shared));
        let body = move || {
            if overflow == Overflow::DropOldest {
                priority::stand_back();
            }
            let shown = drain(&theirs, &mut *sink);
            // Finished even after a failure: a terminal is to be left as it was.
            let finished = sink.finish();
            theirs.finish(shown.and(finished).err());
        };
        let thread = threads::spawn(&format!("report-{name}"), body, move |fault| died.finish(Some(SinkError::Fault(fault.clone()))))?;
        let name = name.to_owned();
        Ok(SinkWorker { name, shared, overflow, audience, tiles_audience, wants_mask, grace: GRACE, thread: Some(thread) })
    }

    /// Gives the sink so long to finish once the end is asked for.
    pub fn with_grace(mut self, grace: Duration) -> SinkWorker {
        self.grace = grace;
        self
    }

    /// How long the sink may take to finish once the end is asked for.
    pub fn grace(&self) -> Duration {
        self.grace
    }

    /// What it is called in messages.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether the sink draws pictures that somebody looks at.
    pub fn draws(&self) -> bool {
        self.audience.as_ref().is_some_and(Audience::looks)
    }

    /// Whether the sink shows tiles that somebody looks at.
    pub fn shows_tiles(&self) -> bool {
        self.tiles_audience.as_ref().is_some_and(Audience::looks)
    }

    /// Whether the sink keeps the answer of every pixel.
    pub fn wants_mask(&self) -> bool {
        self.wants_mask
    }

    /// Queues one report, waiting for room where nothing may be lost; returns what ended the sink, once, if it has ended.
    pub fn send(&self, report: &Report) -> Result<(), SinkError> {
        self.offer(report, &|| true)
    }

    /// As [`SinkWorker::send`], but waits for room only as long as it `goes_on`; after that the report is dropped and counted.
    pub fn offer(&self, report: &Report, goes_on: &dyn Fn() -> bool) -> Result<(), SinkError> {
        self.check()?;
        let mut queue = self.shared.queue();
        while self.overflow == Overflow::Wait && queue.reports.len() == CAPACITY && !queue.finished {
            queue = self.shared.wait(queue, LOOK);
            if queue.reports.len() == CAPACITY && !queue.finished {
                drop(queue);
                self.check()?;
                if !goes_on() {
                    self.shared.queue().dropped += 1;
                    return Ok(());
                }
                queue = self.shared.queue();
            }
        }
        if queue.finished {
            return queue.failure.take().map_or(Ok(()), Err);
        }
        if queue.reports.len() == CAPACITY {
            queue.reports.pop_front();
            queue.dropped += 1;
        }
        queue.reports.push_back(report.clone());
        // A thread woken while the queue is held would only run into it.
        drop(queue);
        self.shared.changed.notify_all();
        Ok(())
    }

    /// What ended the sink, once, if it has ended.
    pub fn check(&self) -> Result<(), SinkError> {
        if let Some(fault) = self.fault() {
            self.shared.finish(Some(SinkError::Fault(fault)));
        }
        self.shared.queue().failure.take().map_or(Ok(()), Err)
    }

    /// Whether the sink has ended and shows nothing any more.
    pub fn is_over(&self) -> bool {
        self.shared.queue().finished
    }

    /// Reports that were dropped because the sink was slow.
    pub fn dropped(&self) -> u64 {
        self.shared.queue().dropped
    }

    /// Reports that the sink has not shown yet.
    pub fn waiting(&self) -> usize {
        self.shared.queue().reports.len()
    }

    /// Nothing more will be sent: lets the sink show what is queued, and end.
    pub fn end(&self) {
        self.shared.queue().closed = true;
        self.shared.changed.notify_all();
    }

    /// Waits up to `most` for the sink to end; false if it takes longer.
    pub fn has_ended(&self, most: Duration) -> bool {
        let began = Instant::now();
        let mut queue = self.shared.queue();
        while !queue.finished {
            let left = most.saturating_sub(began.elapsed());
            if left.is_zero() || self.fault().is_some() {
                return self.fault().is_some();
            }
            queue = self.shared.wait(queue, left.min(LOOK));
        }
        true
    }

    /// Lets the sink show what is queued, then ends it and returns what ended it early, if anything did.
    pub fn close(mut self) -> Result<(), SinkError> {
        self.finish();
        self.check()
    }

    /// Leaves the sink's thread alone: one that is stuck in a driver or a full pipe is not waited for.
    pub fn abandon(mut self) {
        self.thread = None;
    }

    fn fault(&self) -> Option<Fault> {
        self.thread.as_ref().and_then(Guard::fault)
    }

    fn finish(&mut self) {
        self.end();
        if let Some(thread) = self.thread.take()
            && let Err(fault) = thread.join()
        {
            self.shared.finish(Some(SinkError::Fault(fault)));
        }
    }
}

impl Drop for SinkWorker {
    fn drop(&mut self) {
        if self.thread.is_some() {
            self.finish();
        }
    }
}

fn drain(shared: &Shared, sink: &mut dyn Sink) -> Result<(), SinkError> {
    loop {
        let report = {
            let pulse = sink.pulse();
            let mut queue = shared.queue();
            loop {
                if let Some(report) = queue.reports.pop_front() {
                    break Some(report);
                }
                if queue.closed {
                    return Ok(());
                }
                queue = match pulse {
                    None => shared.changed.wait(queue).unwrap_or_else(|poisoned| poisoned.into_inner()),
                    Some(pulse) => {
                        let waited = shared.changed.wait_timeout(queue, pulse);
                        let (queue, waited) = waited.unwrap_or_else(|poisoned| poisoned.into_inner());
                        if waited.timed_out() && queue.reports.is_empty() && !queue.closed {
                            break None;
                        }
                        queue
                    }
                };
            }
        };
        shared.changed.notify_all();
        match report {
            Some(report) => sink.show(&report)?,
            None => sink.idle()?,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc::{Receiver, Sender, channel};

    /// Does as it is told for each report, and tells when it is finished.
    struct Told<F>(F, Sender<&'static str>);

    impl<F: FnMut(u64) -> Result<(), SinkError> + Send> Sink for Told<F> {
        fn show(&mut self, report: &Report) -> Result<(), SinkError> {
            (self.0)(report.sequence)
        }

        fn finish(&mut self) -> Result<(), SinkError> {
            let _ = self.1.send("finished");
            Ok(())
        }
    }

    fn worker(overflow: Overflow, show: impl FnMut(u64) -> Result<(), SinkError> + Send + 'static) -> (SinkWorker, Receiver<&'static str>) {
        let (told, hears) = channel();
        (SinkWorker::start("test", Box::new(Told(show, told)), overflow).unwrap(), hears)
    }

    const SOON: Duration = Duration::from_secs(10);

    #[test]
    fn a_sink_that_panics_is_an_error_and_holds_nobody_up() {
        for overflow in [Overflow::Wait, Overflow::DropOldest] {
            let (worker, _) = worker(overflow, |sequence| if sequence >= 3 { panic!("planted") } else { Ok(()) });
            let sent: Result<(), SinkError> = (0..4 * CAPACITY as u64).try_for_each(|sequence| worker.send(&Report::for_tests(sequence)));
            let failure = if sent.is_err() {
                sent
            } else {
                assert!(worker.has_ended(SOON));
                worker.check()
            }
            .unwrap_err()
            .to_string();
            assert!(failure.contains("a fault in thread 'report-test': ") && failure.contains("planted"), "{failure}");
            assert!(worker.is_over() && worker.send(&Report::for_tests(9)).is_ok(), "it is told once");
            worker.close().unwrap();
        }
    }

    #[test]
    fn a_sink_whose_thread_is_taken_away_is_an_error_too() {
        // SAFETY: ends the sink's thread alone.
        let (worker, _) = worker(Overflow::Wait, |_| unsafe {
            libc::syscall(libc::SYS_exit, 0);
            Ok(())
        });
        let failure = (0..4 * CAPACITY as u64).find_map(|sequence| worker.send(&Report::for_tests(sequence)).err());
        assert!(failure.unwrap().to_string().contains("gone without a word"));
        worker.close().unwrap();
    }

    #[test]
    fn whoever_is_asked_to_end_does_not_wait_for_a_stuck_sink() {
        let (free, stuck) = channel::<()>();
        let (worker, hears) = worker(Overflow::Wait, move |_| {
            stuck.recv().unwrap_or_default();
            Ok(())
        });
        for sequence in 0..=CAPACITY as u64 + 1 {
            worker.offer(&Report::for_tests(sequence), &|| false).unwrap();
        }
        assert!(worker.dropped() >= 1);
        worker.end();
        assert!(!worker.has_ended(Duration::from_millis(20)) && worker.waiting() > 0);
        drop(free);
        assert!(worker.has_ended(SOON) && worker.waiting() == 0);
        assert_eq!(hears.recv_timeout(SOON), Ok("finished"));
        worker.abandon();
    }

    #[test]
    fn a_sink_that_fails_is_finished_and_its_failure_told_once() {
        let (worker, hears) = worker(Overflow::Wait, |_| Err(SinkError::Closed));
        let failure = (0..4 * CAPACITY as u64).find_map(|sequence| worker.send(&Report::for_tests(sequence)).err());
        assert!(matches!(failure, Some(SinkError::Closed)));
        assert_eq!(hears.recv_timeout(SOON), Ok("finished"));
        worker.close().unwrap();
    }
}
