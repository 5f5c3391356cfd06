//! Where results go. Every sink has a thread and a bounded queue of its own, so that a slow one delays nobody.

mod audience;
mod boxes;
mod colour;
mod filter;
mod history;
#[cfg(any(feature = "page", feature = "mqtt"))]
mod jpeg;
mod json;
mod link;
mod masks;
#[cfg(feature = "mavlink")]
mod mavlink;
#[cfg(feature = "mqtt")]
mod mqtt;
#[cfg(feature = "page")]
pub(crate) mod page;
#[cfg(any(feature = "page", feature = "panel", feature = "mqtt"))]
mod painting;
#[cfg(feature = "panel")]
mod panel;
mod plain;
mod port;
mod record;
mod serial;
#[cfg(feature = "panel")]
mod snapshot;
mod telegrams;
mod terminal;
mod worker;

pub use audience::Audience;
pub use boxes::BoxFile;
pub use filter::{Filter, Filtered};
pub use json::JsonLines;
pub use link::{Link, LogSender};
pub use masks::MaskFiles;
#[cfg(feature = "mavlink")]
pub use mavlink::{Mavlink, MavlinkSpec};
#[cfg(feature = "mqtt")]
pub use mqtt::{Mqtt, MqttOptions, MqttSpec, Period, tls as mqtt_tls};
#[cfg(feature = "page")]
pub use page::{Heading, HeadingHandle, Page};
#[cfg(feature = "panel")]
pub use panel::{PanelSpec, start as panel};
pub use plain::PlainLines;
pub use port::{DEFAULT_BAUD, PortSpec};
pub use record::Record;
pub use serial::SerialLines;
#[cfg(feature = "panel")]
pub use snapshot::Snapshot;
pub use telegrams::About;
pub use terminal::{Terminal, restore as restore_terminal, take_log_line};
pub use worker::{Overflow, SinkWorker};

use std::time::Duration;

use crate::telemetry::Report;
use crate::threads::Fault;

/// Shows reports one after the other, on a thread of its own.
pub trait Sink: Send {
    /// Shows one report.
    fn show(&mut self, report: &Report) -> Result<(), SinkError>;

    /// How often [`Sink::idle`] wants to be called, whether reports come or not.
    fn pulse(&self) -> Option<Duration> {
        None
    }

    /// Time has passed.
    fn idle(&mut self) -> Result<(), SinkError> {
        Ok(())
    }

    /// Who looks at the pictures that this sink draws; None for a sink that draws none.
    fn audience(&self) -> Option<Audience> {
        None
    }

    /// Who looks at the tiles that it shows ([`Report::tiles`]); None for a sink that shows none.
    fn tiles_audience(&self) -> Option<Audience> {
        None
    }

    /// Whether it keeps the answer of every pixel ([`Report::mask`]).
    fn wants_mask(&self) -> bool {
        false
    }

    /// The stream has ended: flush and tidy up.
    fn finish(&mut self) -> Result<(), SinkError> {
        Ok(())
    }
}

/// Why a sink can show nothing any more.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SinkError {
    /// The reader of a pipe has gone away: a wish to end, and no failure.
    #[error("the reader of the output has closed it")]
    Closed,
    /// Writing failed.
    #[error("cannot write to {place}: {reason}")]
    Write {
        /// Where to.
        place: String,
        /// Why.
        reason: std::io::Error,
    },
    /// The sink's thread, or one of its own, died.
    #[error(transparent)]
    Fault(#[from] Fault),
}

impl SinkError {
    /// Writing to standard output, called `place`, failed for `reason`: a reader that went away, or a terminal that hung up, has closed it.
    pub fn of_stdout(place: impl Into<String>, reason: std::io::Error) -> SinkError {
        match reason.raw_os_error() {
            Some(libc::EPIPE) => SinkError::Closed,
            Some(libc::EIO) if stdout_is_a_device() => SinkError::Closed,
            _ => SinkError::Write { place: place.into(), reason },
        }
    }
}

/// What a terminal stays even after it has hung up.
fn stdout_is_a_device() -> bool {
    // SAFETY: all zeros are a valid `stat`, which `fstat` fills.
    let (mut stat, read) = (unsafe { std::mem::zeroed::<libc::stat>() }, libc::STDOUT_FILENO);
    // SAFETY: `stat` is writable for the length of the call.
    unsafe { libc::fstat(read, &mut stat) == 0 && stat.st_mode & libc::S_IFMT == libc::S_IFCHR }
}
