//! One JSON object per line, on standard output.

use std::io::Write;
use std::sync::Arc;

use super::{Record, Sink, SinkError};
use crate::telemetry::Report;

/// Writes [`Record`]s as lines.
pub struct JsonLines<W: Write + Send> {
    out: W,
    place: String,
    classes: Arc<[String]>,
    line: Vec<u8>,
}

impl<W: Write + Send> JsonLines<W> {
    /// Writes to `out`, called `place` in messages.
    pub fn new(out: W, place: &str, classes: Arc<[String]>) -> JsonLines<W> {
        JsonLines { out, place: place.to_owned(), classes, line: Vec::new() }
    }
}

impl<W: Write + Send> Sink for JsonLines<W> {
    fn show(&mut self, report: &Report) -> Result<(), SinkError> {
        self.line.clear();
        serde_json::to_writer(&mut self.line, &Record::new(report, &self.classes)).expect("a record has no failing serializer");
        self.line.push(b'\n');
        self.out.write_all(&self.line).and_then(|()| self.out.flush()).map_err(|reason| SinkError::of_stdout(&self.place, reason))
    }
}
