//! JSON lines over a serial port that may be slow, absent, or gone for a while.

use std::io::Write;
use std::sync::Arc;

use super::port::{PortSpec, Reopening, Wire};
use super::{Record, Sink, SinkError};
use crate::telemetry::Report;

/// Writes [`Record`]s as lines, and opens the port again whenever it is lost.
pub struct SerialLines {
    reopening: Reopening,
    classes: Arc<[String]>,
    port: Option<Wire>,
    line: Vec<u8>,
}

impl SerialLines {
    /// A sink for `port`; it is opened when the first report comes, and need not be there yet.
    pub fn new(port: PortSpec, classes: Arc<[String]>) -> SerialLines {
        SerialLines { reopening: Reopening::new(port), classes, port: None, line: Vec::new() }
    }
}

impl Sink for SerialLines {
    fn show(&mut self, report: &Report) -> Result<(), SinkError> {
        if self.port.is_none() {
            self.port = self.reopening.open();
        }
        if let Some(port) = &mut self.port {
            self.line.clear();
            serde_json::to_writer(&mut self.line, &Record::new(report, &self.classes)).expect("a record has no failing serializer");
            self.line.push(b'\n');
            if let Err(error) = port.write_all(&self.line) {
                self.port = None;
                self.reopening.lost(&error.to_string());
            }
        }
        Ok(())
    }
}
