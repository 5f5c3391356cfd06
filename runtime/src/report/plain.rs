//! A plain line now and then, for terminals that a dashboard cannot be drawn on and for slow consoles.

use std::io::{ErrorKind, Write};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::{Sink, SinkError};
use crate::frame_rate::FrameRate;
use crate::telemetry::Report;

/// A serial console takes a hundred such lines a second; a person reads one.
const EVERY: Duration = Duration::from_secs(1);

/// Writes one line of ASCII a second, and one for the last frame.
pub struct PlainLines<W> {
    to: W,
    classes: Arc<[String]>,
    written: Option<Instant>,
    rate: FrameRate,
    last: Option<String>,
}

impl<W: Write + Send> PlainLines<W> {
    /// Lines on `to`; `classes` are the network's.
    pub fn new(to: W, classes: Arc<[String]>) -> PlainLines<W> {
        PlainLines { to, classes, written: None, rate: FrameRate::default(), last: None }
    }

    fn compose(&self, report: &Report) -> String {
        let seen = report.detections.first().map_or("nothing seen".to_owned(), |seen| {
            let class = self.classes.get(usize::from(seen.class)).map_or("?", String::as_str);
            let region = seen.region;
            let place = format!("at {:.0},{:.0} size {:.0}x{:.0}", region.x, region.y, region.width, region.height);
            format!("{class} {:.0} % {place}, {} regions", seen.score * 100.0, report.detections.len())
        });
        let rate = self.rate.per_second();
        format!(
            "frame {}: {} of {} steps, age {:.1} ms, {rate:.1} frames/s, {seen}",
            report.sequence,
            report.trace.steps,
            report.trace.limit,
            report.age.as_secs_f64() * 1e3
        )
    }

    fn write(&mut self, line: &str) -> Result<(), SinkError> {
        let written = writeln!(self.to, "{line}").and_then(|()| self.to.flush());
        written.map_err(|reason| match reason.kind() {
            ErrorKind::BrokenPipe => SinkError::Closed,
            _ => SinkError::Write { place: "the terminal".into(), reason },
        })
    }
}

impl<W: Write + Send> Sink for PlainLines<W> {
    fn show(&mut self, report: &Report) -> Result<(), SinkError> {
        self.rate.add(report);
        let line = self.compose(report);
        if self.written.is_some_and(|at| at.elapsed() < EVERY) {
            self.last = Some(line);
            return Ok(());
        }
        self.written = Some(Instant::now());
        self.last = None;
        self.write(&line)
    }

    fn finish(&mut self) -> Result<(), SinkError> {
        self.last.take().map_or(Ok(()), |line| self.write(&line))
    }
}
