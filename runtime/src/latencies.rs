//! Latencies of a run, in histograms of bounded size and bounded error.

use std::fmt;
use std::time::Duration;

use serde::Serialize;

use crate::telemetry::Report;

/// Durations from 1 microsecond to 5 minutes, to within 1 %, in a few kilobytes; recording allocates nothing.
#[derive(Clone, Debug)]
pub struct Histogram(hdrhistogram::Histogram<u64>);

/// A histogram in a few numbers, all in milliseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Quantiles {
    /// How many durations were recorded.
    pub count: u64,
    /// Arithmetic mean.
    pub mean_ms: f64,
    /// Median.
    pub p50_ms: f64,
    /// 90th percentile.
    pub p90_ms: f64,
    /// 99th percentile.
    pub p99_ms: f64,
    /// 99.9th percentile.
    pub p999_ms: f64,
    /// Largest.
    pub max_ms: f64,
}

/// Longest duration kept apart, in microseconds; longer ones count as this.
const LONGEST_US: u64 = 300_000_000;

impl Default for Histogram {
    fn default() -> Histogram {
        Histogram::new()
    }
}

impl Histogram {
    /// An empty histogram.
    pub fn new() -> Histogram {
        Histogram(
            hdrhistogram::Histogram::new_with_bounds(1, LONGEST_US, 2).expect("the bounds and digits are within what the library takes"),
        )
    }

    /// Counts one duration.
    pub fn record(&mut self, duration: Duration) {
        self.0.saturating_record((duration.as_micros() as u64).clamp(1, LONGEST_US));
    }

    /// The duration, in ms, below which `percent` of the recorded ones lie; 0 when empty.
    pub fn percentile_ms(&self, percent: f64) -> f64 {
        if self.0.is_empty() { 0.0 } else { self.0.value_at_percentile(percent) as f64 / 1e3 }
    }

    /// The histogram in a few numbers.
    pub fn quantiles(&self) -> Quantiles {
        if self.0.is_empty() {
            return Quantiles::default();
        }
        Quantiles {
            count: self.0.len(),
            mean_ms: self.0.mean() / 1e3,
            p50_ms: self.percentile_ms(50.0),
            p90_ms: self.percentile_ms(90.0),
            p99_ms: self.percentile_ms(99.0),
            p999_ms: self.percentile_ms(99.9),
            max_ms: self.0.max() as f64 / 1e3,
        }
    }

    /// How many durations were recorded.
    pub fn count(&self) -> u64 {
        self.0.len()
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        self.0.reset();
    }
}

/// The latencies of a run, stage by stage.
#[derive(Clone, Debug, Default)]
pub struct Latencies {
    /// From capture to the answer.
    pub age: Histogram,
    /// Conversion and resizing into the input tensor.
    pub fit: Histogram,
    /// Frame to drive.
    pub encode: Histogram,
    /// One step, on average over those of its frame; frames without a step are not counted.
    pub step: Histogram,
    /// All steps of a frame.
    pub steps: Histogram,
    /// State to logits, and logits to detections.
    pub readout: Histogram,
}

impl Latencies {
    /// Counts one frame.
    pub fn record(&mut self, report: &Report) {
        let stages = &report.stages;
        self.age.record(report.age);
        self.fit.record(stages.fit);
        self.encode.record(stages.encode);
        self.steps.record(stages.steps);
        self.readout.record(stages.readout);
        if report.trace.steps > 0 {
            self.step.record(stages.steps / report.trace.steps);
        }
    }

    /// Every histogram with its name.
    pub fn each(&self) -> [(&'static str, &Histogram); 6] {
        let Latencies { age, fit, encode, step, steps, readout } = self;
        [("age", age), ("fit", fit), ("encode", encode), ("step", step), ("steps", steps), ("readout", readout)]
    }
}

/// `median / 99th percentile / longest in ms: age 12.1 / 14.0 / 20.3, ...`
impl fmt::Display for Latencies {
    fn fmt(&self, out: &mut fmt::Formatter) -> fmt::Result {
        write!(out, "median / 99th percentile / longest in ms:")?;
        for (at, (name, histogram)) in self.each().into_iter().enumerate() {
            let Quantiles { p50_ms, p99_ms, max_ms, .. } = histogram.quantiles();
            write!(out, "{} {name} {p50_ms:.2} / {p99_ms:.2} / {max_ms:.2}", if at == 0 { "" } else { "," })?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_right_to_a_percent() {
        let mut histogram = Histogram::new();
        (1..=10_000u64).for_each(|us| histogram.record(Duration::from_micros(us * 10)));
        for (percent, ms) in [(50.0, 50.0), (99.0, 99.0), (99.9, 99.9)] {
            assert!((histogram.percentile_ms(percent) / ms - 1.0).abs() < 0.01, "{percent}");
        }
        assert_eq!(histogram.quantiles().count, 10_000);
    }

    #[test]
    fn an_empty_histogram_and_extremes_are_survived() {
        let mut histogram = Histogram::new();
        assert_eq!(histogram.quantiles(), Quantiles::default());
        histogram.record(Duration::ZERO);
        histogram.record(Duration::MAX);
        assert!(histogram.quantiles().max_ms >= 299_000.0);
    }
}
