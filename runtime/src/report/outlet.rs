//! A sink on its own thread behind a bounded queue.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex};
use std::thread::JoinHandle;

use super::{Sink, SinkError};
use crate::priority;
use crate::telemetry::Report;

/// What happens when a sink is slower than the frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Overflow {
    /// Live: the oldest report is dropped and counted.
    DropOldest,
    /// Files: the pipeline waits, so that every frame's report arrives.
    Wait,
}

const CAPACITY: usize = 64;

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

/// The pipeline's end of a sink.
pub struct Outlet {
    shared: Arc<Shared>,
    overflow: Overflow,
    draws: bool,
    thread: Option<JoinHandle<()>>,
}

impl Outlet {
    /// Starts a thread that feeds `sink`.
    pub fn start(name: &str, mut sink: Box<dyn Sink>, overflow: Overflow) -> std::io::Result<Outlet> {
        let queue = Queue { reports: VecDeque::with_capacity(CAPACITY), closed: false, dropped: 0, failure: None, finished: false };
        let shared = Arc::new(Shared { queue: Mutex::new(queue), changed: Condvar::new() });
        let draws = sink.draws();
        let theirs = Arc::clone(&shared);
        let thread = std::thread::Builder::new().name(format!("report-{name}")).spawn(move || {
            if overflow == Overflow::DropOldest {
                priority::stand_back();
            }
            let shown = drain(&theirs, &mut *sink);
            let failure = shown.and(sink.finish()).err();
            let mut queue = theirs.queue.lock().expect("no thread panics while it holds the queue");
            queue.failure = failure;
            queue.finished = true;
            theirs.changed.notify_all();
        })?;
        Ok(Outlet { shared, overflow, draws, thread: Some(thread) })
    }

    /// Whether the sink draws pictures.
    pub fn draws(&self) -> bool {
        self.draws
    }

    /// Queues one report; returns what ended the sink, once, if it has ended.
    pub fn send(&self, report: &Report) -> Result<(), SinkError> {
        let mut queue = self.shared.queue.lock().expect("no thread panics while it holds the queue");
        while self.overflow == Overflow::Wait && queue.reports.len() == CAPACITY && !queue.finished {
            queue = self.shared.changed.wait(queue).expect("no thread panics while it holds the queue");
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

    /// Reports that were dropped because the sink was slow.
    pub fn dropped(&self) -> u64 {
        self.shared.queue.lock().expect("no thread panics while it holds the queue").dropped
    }

    /// Lets the sink show what is queued, then ends it and returns what ended it early, if anything did.
    pub fn close(mut self) -> Result<(), SinkError> {
        self.end();
        let failure = self.shared.queue.lock().expect("the sink's thread has ended").failure.take();
        failure.map_or(Ok(()), Err)
    }

    fn end(&mut self) {
        if let Ok(mut queue) = self.shared.queue.lock() {
            queue.closed = true;
        }
        self.shared.changed.notify_all();
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            log::error!("a report thread panicked; its last reports may be missing");
        }
    }
}

impl Drop for Outlet {
    fn drop(&mut self) {
        self.end();
    }
}

fn drain(shared: &Shared, sink: &mut dyn Sink) -> Result<(), SinkError> {
    loop {
        let report = {
            let pulse = sink.pulse();
            let mut queue = shared.queue.lock().expect("no thread panics while it holds the queue");
            loop {
                if let Some(report) = queue.reports.pop_front() {
                    break Some(report);
                }
                if queue.closed {
                    return Ok(());
                }
                queue = match pulse {
                    None => shared.changed.wait(queue).expect("no thread panics while it holds the queue"),
                    Some(pulse) => {
                        let (queue, waited) = shared.changed.wait_timeout(queue, pulse).expect("no thread panics while it holds the queue");
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
