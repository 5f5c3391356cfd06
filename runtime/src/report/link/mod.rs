//! The link to a microcontroller: telegrams of `firmware-bridge` over a serial port, both ways.
//!
//! ```text
//! reports -> Follower --(asked or due)--> writer --> port          Status is made when the line can take it: none waits, none is old
//!         -> TxQueue: detections, log lines --^                    bounded; the oldest goes first
//!            TxQueue: acknowledgements -------^                    never dropped: when they stand full, commands are not read on
//! port -> reader: Decoder -> Gate -> ControlQueue (main loop, between frames)
//! ```
//!
//! The port has two threads of its own. Nothing here is waited for by the main loop: a report is looked at and let go, a command is put on the
//! bounded [`ControlQueue`]. A lost port is opened again, and greeted.

mod reader;
mod tx_queue;
mod understood;
mod writer;

use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use firmware_bridge::{MAX_DETECTIONS, Telemetry};

use super::port::PortSpec;
use super::telegrams::{self, About, Follower};
use super::{Sink, SinkError};
use crate::clock;
use crate::control::ControlQueue;
use crate::priority;
use crate::telemetry::Report;
use crate::threads::{self, Guard};
use tx_queue::TxQueue;

/// How long the port's threads may take to end; one that is stuck in the driver is left behind.
const FAREWELL: Duration = Duration::from_millis(300);

/// How often the sink looks whether the port's threads are still there.
const LOOK: Duration = Duration::from_millis(200);

/// What is said when the last words cannot be.
const STANDS_STILL: &str = "a link's line stands still; what was still to be said is lost";

/// What the threads of one link share.
struct Shared {
    about: About,
    control_queue: ControlQueue,
    began: Duration,
    follower: Mutex<Follower>,
    tx_queue: TxQueue,
}

impl Shared {
    fn follower(&self) -> MutexGuard<'_, Follower> {
        self.follower.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

/// The sink; the port's threads end with it.
pub struct Link {
    shared: Arc<Shared>,
    writer: Guard,
    listed: Option<Instant>,
    /// It was said that a telegram does not hold all of a frame's detections.
    cut_told: bool,
}

/// Where log lines for the other end are left.
#[derive(Clone)]
pub struct LogSender(Arc<Shared>);

impl Link {
    /// Starts speaking on `port`, which need not be there yet, and takes commands from it to `control_queue`.
    pub fn start(port: PortSpec, about: About, control_queue: ControlQueue) -> std::io::Result<Link> {
        let shared =
            Arc::new(Shared { about, control_queue, began: clock::now(), follower: Mutex::new(Follower::new()), tx_queue: TxQueue::new() });
        let (theirs, died) = (Arc::clone(&shared), Arc::clone(&shared));
        let live = move || {
            // The reader is this thread's child and stands where it stands.
            priority::stand_back();
            writer::live(port, &theirs);
            theirs.tx_queue.has_ended();
        };
        let writer = threads::spawn("link", live, move |_| died.tx_queue.has_ended())?;
        Ok(Link { shared, writer, listed: None, cut_told: false })
    }

    /// Where log lines for the other end are left.
    pub fn log_ear(&self) -> LogSender {
        LogSender(Arc::clone(&self.shared))
    }
}

impl LogSender {
    /// Leaves a line; of many in a short time only the first few are sent.
    pub fn hear(&self, level: log::Level, words: &str) {
        // Must not log: the one who logs may be the link itself.
        let uptime = clock::now().saturating_sub(self.0.began);
        self.0.tx_queue.log(level, uptime.as_millis() as u32, words);
    }
}

impl Sink for Link {
    fn pulse(&self) -> Option<Duration> {
        Some(LOOK)
    }

    fn idle(&mut self) -> Result<(), SinkError> {
        self.writer.fault().map_or(Ok(()), |fault| Err(fault.into()))
    }

    fn show(&mut self, report: &Report) -> Result<(), SinkError> {
        self.idle()?;
        self.shared.follower().see(report);
        let every = match self.shared.tx_queue.rates().detections_period_ms {
            0 => return Ok(()),
            1 => Duration::ZERO,
            ms => Duration::from_millis(ms.into()),
        };
        let now = Instant::now();
        if self.listed.is_none_or(|listed| now.duration_since(listed) >= every) {
            self.listed = Some(now);
            if report.detections.len() > MAX_DETECTIONS && !std::mem::replace(&mut self.cut_told, true) {
                log::warn!(
                    "link: a telegram holds {MAX_DETECTIONS} detections; of more the surest are sent, and `found` tells how many there were"
                );
            }
            self.shared.tx_queue.news(Telemetry::Detections(telegrams::detections(report)));
        }
        Ok(())
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.shared.tx_queue.close();
        if !self.shared.tx_queue.wait_for_end(FAREWELL) {
            log::warn!("{STANDS_STILL}");
        }
    }
}
