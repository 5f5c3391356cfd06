//! The figures in Prometheus' text format. Names and units follow its conventions: base units, `_total` on counters.

use std::fmt::{Display, Write};
use std::time::Instant;

use super::figures::{AGES, CAMERA, LIMITS, Metrics, STOPS};
use super::process;
use crate::telemetry::{CameraState, RecordingState};

struct Text(String);

impl Text {
    fn family(&mut self, name: &str, kind: &str, help: &str) {
        let _ = writeln!(self.0, "# HELP recslowfast_{name} {help}\n# TYPE recslowfast_{name} {kind}");
    }

    fn one(&mut self, name: &str, kind: &str, help: &str, value: impl Display) {
        self.family(name, kind, help);
        let _ = writeln!(self.0, "recslowfast_{name} {value}");
    }

    fn each<'a, V: Display>(&mut self, name: &str, kind: &str, help: &str, label: &str, values: impl Iterator<Item = (&'a str, V)>) {
        self.family(name, kind, help);
        for (which, value) in values {
            let _ = writeln!(self.0, "recslowfast_{name}{{{label}=\"{which}\"}} {value}");
        }
    }
}

/// The whole page.
pub fn text(figures: &Metrics, now: Instant) -> String {
    let mut text = Text(String::with_capacity(6 * 1024));
    let escaped = |words: &str| words.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
    let last = figures.last.as_ref().map(|(report, _)| report);
    let (model, engine) = (escaped(&figures.heading.model), last.map_or("none", |report| report.engine));
    text.family("build_info", "gauge", "Version of the program, its network and its engine; always 1.");
    let version = env!("CARGO_PKG_VERSION");
    let _ = writeln!(text.0, "recslowfast_build_info{{version=\"{version}\",model=\"{model}\",engine=\"{engine}\"}} 1");
    text.one("frames_total", "counter", "Frames answered.", figures.frames);
    text.one("steps_total", "counter", "Recurrent steps taken.", figures.steps);
    text.each(
        "stops_total",
        "counter",
        "Frames by what ended their steps.",
        "reason",
        STOPS.iter().map(|(_, name)| *name).zip(figures.stops),
    );
    text.each(
        "limits_total",
        "counter",
        "Frames by the budget that bound their step limit.",
        "reason",
        LIMITS.iter().map(|(_, name)| *name).zip(figures.limits),
    );
    let names: Vec<String> = figures.heading.classes.iter().map(|name| escaped(name)).collect();
    let by_class = names.iter().map(String::as_str).zip(figures.detections.iter());
    text.each("class_detections_total", "counter", "Detections in all frames, by class.", "class", by_class);
    text.one("deadline_misses_total", "counter", "Frames whose answer was older than the deadline.", figures.late);
    text.one(
        "camera_reconnects_total",
        "counter",
        "Times that frames came again after the camera was lost or stalled.",
        figures.reconnects,
    );
    text.family("stage_seconds", "summary", "Time a frame spends in each stage; `step` is one of its steps.");
    for (stage, histogram) in figures.latencies.each().into_iter().filter(|(stage, _)| *stage != "age") {
        let quantiles = histogram.quantiles();
        for (quantile, ms) in [("0.5", quantiles.p50_ms), ("0.9", quantiles.p90_ms), ("0.99", quantiles.p99_ms)] {
            let _ = writeln!(text.0, "recslowfast_stage_seconds{{stage=\"{stage}\",quantile=\"{quantile}\"}} {}", ms / 1e3);
        }
        let _ = writeln!(text.0, "recslowfast_stage_seconds_sum{{stage=\"{stage}\"}} {}", quantiles.mean_ms * quantiles.count as f64 / 1e3);
        let _ = writeln!(text.0, "recslowfast_stage_seconds_count{{stage=\"{stage}\"}} {}", quantiles.count);
    }
    text.family("frame_age_seconds", "histogram", "From a frame's capture to its answer.");
    let mut below = 0;
    for (bound, count) in AGES.iter().zip(figures.ages) {
        below += count;
        let _ = writeln!(text.0, "recslowfast_frame_age_seconds_bucket{{le=\"{bound}\"}} {below}");
    }
    let _ = writeln!(text.0, "recslowfast_frame_age_seconds_bucket{{le=\"+Inf\"}} {}", figures.frames);
    let _ =
        writeln!(text.0, "recslowfast_frame_age_seconds_sum {}\nrecslowfast_frame_age_seconds_count {}", figures.age_sum, figures.frames);
    let (since, stale) = figures.staleness(now);
    text.one("result_staleness_seconds", "gauge", "Since the last answer.", since.as_secs_f64());
    text.one("healthy", "gauge", "1 while answers are fresh.", u8::from(!stale));
    let camera = figures.camera(now);
    let state = |(state, name): &(CameraState, &'static str)| (*name, u8::from(*state == camera));
    text.each("camera_state", "gauge", "1 for the state the camera is in.", "state", CAMERA.iter().map(state));
    text.one("uptime_seconds", "gauge", "Since the page was started.", now.saturating_duration_since(figures.began).as_secs_f64());
    text.one("page_clients", "gauge", "Connections to this page.", figures.clients);
    text.one("page_clients_dropped_total", "counter", "Connections ended because they were slow, or too many.", figures.clients_dropped);
    if let Some(report) = last {
        text.one("step_limit", "gauge", "Steps the last frame was allowed.", report.trace.limit);
        text.one("detections", "gauge", "Detections in the last frame.", report.detections.len());
        if let Some(recording) = report.recording {
            let failed = u8::from(recording == RecordingState::Failed);
            text.one("recording_failed", "gauge", "1 once the recording of this run cannot go on.", failed);
        }
        text.one("frames_dropped_total", "counter", "Frames the camera's driver dropped.", report.dropped);
        text.one("frames_skipped_total", "counter", "Frames skipped because a newer one was there.", report.skipped);
        text.one("frames_corrupt_total", "counter", "Frames that arrived broken.", report.corrupt);
        if let Some(mw) = report.power_mw {
            text.one("power_watts", "gauge", "Total power, where a sensor tells.", f64::from(mw) / 1e3);
        }
        if let Some(mw) = report.power_budget_mw {
            text.one("power_budget_watts", "gauge", "What the board may draw.", f64::from(mw) / 1e3);
        }
        if let Some(celsius) = report.temp_c {
            text.one("temperature_celsius", "gauge", "The hottest zone, where a sensor tells.", celsius);
        }
        if report.energy_j.is_some() {
            text.one("energy_joules_total", "counter", "Energy spent on frames, where a sensor tells.", figures.energy_j);
        }
    }
    process::text(&mut text.0);
    text.0
}
