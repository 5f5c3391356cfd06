//! What the page draws, in one answer: a JSON head and two planes of pixels.

use std::time::Instant;

use serde::Serialize;

use super::figures::Figures;
use crate::report::Record;
use crate::telemetry::CameraState;

#[derive(Serialize)]
struct Head<'a> {
    title: &'a str,
    model: &'a str,
    classes: &'a [String],
    width: u32,
    height: u32,
    frames: u64,
    rate: f64,
    /// Ages of the recent results in milliseconds: median, 90 %, 99 %, worst.
    ages_ms: [f64; 4],
    stale: bool,
    since_s: f64,
    camera: CameraState,
    /// Null without a budget.
    power_budget_mw: Option<u32>,
    steps: Vec<u32>,
    limits: Vec<u32>,
    last: Option<Record<'a>>,
}

/// The answer to `/live`: length of the JSON (u32, little-endian), the JSON, luma, mask.
pub fn body(figures: &Figures, now: Instant) -> Vec<u8> {
    let picture = figures.pictured.as_ref().and_then(|report| report.picture.as_deref());
    let (since, stale) = figures.staleness(now);
    let ms = |age: std::time::Duration| (age.as_secs_f64() * 1e5).round() / 100.0;
    let heading = &figures.heading;
    let head = Head {
        title: &heading.title,
        model: &heading.model,
        classes: &heading.classes,
        width: picture.map_or(0, |picture| picture.width),
        height: picture.map_or(0, |picture| picture.height),
        frames: figures.frames,
        rate: figures.rate(),
        ages_ms: figures.percentiles([0.5, 0.9, 0.99, 1.0]).map(ms),
        stale,
        since_s: since.as_secs_f64(),
        camera: figures.camera(now),
        power_budget_mw: figures.last.as_ref().and_then(|(report, _)| report.power_budget_mw),
        steps: figures.recent.iter().map(|moment| moment.steps).collect(),
        limits: figures.recent.iter().map(|moment| moment.limit).collect(),
        last: figures.last.as_ref().map(|(report, _)| Record::new(report, &heading.classes)),
    };
    let mut body = vec![0; 4];
    serde_json::to_writer(&mut body, &head).expect("a head has no failing serializer");
    let length = body.len() as u32 - 4;
    body[..4].copy_from_slice(&length.to_le_bytes());
    if let Some(picture) = picture {
        body.extend(&picture.luma);
        body.extend(&picture.mask);
    }
    body
}
