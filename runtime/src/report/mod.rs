//! Where results go. Every sink has a thread and a bounded queue of its own, so that a slow one delays nobody.

mod colour;
mod json;
mod link;
mod mavlink;
mod outlet;
mod page;
mod panel;
mod port;
mod record;
mod serial;
mod snapshot;
mod telegrams;
mod terminal;

pub use json::JsonLines;
pub use link::{Link, LogEar};
pub use mavlink::{Mavlink, MavlinkSpec};
pub use outlet::{Outlet, Overflow};
pub use page::{Heading, Page};
pub use panel::{PanelSpec, start as panel};
pub use port::{DEFAULT_BAUD, PortSpec};
pub use record::Record;
pub use serial::SerialLines;
pub use snapshot::Snapshot;
pub use telegrams::About;
pub use terminal::Terminal;

use std::time::Duration;

use crate::telemetry::Report;

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

    /// Whether this sink draws pictures.
    fn draws(&self) -> bool {
        false
    }

    /// The stream has ended: flush and tidy up.
    fn finish(&mut self) -> Result<(), SinkError> {
        Ok(())
    }
}

/// Why a sink can show nothing any more.
#[derive(Debug, thiserror::Error)]
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
}
