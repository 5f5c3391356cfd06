//! One report as a JSON object: the same record on standard output, in files and on the wire.

use serde::Serialize;

use crate::clock;
use crate::outcome::StopReason;
use crate::telemetry::{CameraState, LimitReason, RecordingState, Report};

/// The JSON form of a [`Report`]; field names carry their units.
#[derive(Serialize)]
pub struct Record<'a> {
    sequence: u64,
    captured_s: f64,
    /// The same moment on the wall clock, as RFC 3339 has it.
    #[serde(skip_serializing_if = "Option::is_none")]
    wall: Option<String>,
    age_ms: f64,
    steps: u32,
    /// Share of the picture that moved and was taken anew, and share of the network that each step computed; absent where that is all.
    #[serde(skip_serializing_if = "Option::is_none")]
    moved: Option<f32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    stepped: Option<f32>,
    limit: u32,
    limit_reason: LimitReason,
    stop: StopReason,
    distances: &'a [f32],
    /// Null on the first frame and after a reset, when there is no earlier drive.
    drive_distance: Option<f32>,
    engine: &'a str,
    detections: Vec<Seen<'a>>,
    camera: CameraState,
    dropped: u64,
    skipped: u64,
    corrupt: u64,
    stages_ms: StagesMs,
    #[serde(skip_serializing_if = "Option::is_none")]
    recording: Option<RecordingState>,
    #[serde(skip_serializing_if = "Option::is_none")]
    power_mw: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    temp_c: Option<f32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    energy_j: Option<f32>,
}

#[derive(Serialize)]
struct Seen<'a> {
    class: &'a str,
    /// x, y, width, height in pixels of the source's picture.
    #[serde(rename = "box")]
    region: [f32; 4],
    area: f32,
    score: f32,
    #[serde(skip_serializing_if = "is_zero")]
    track: u32,
    /// Frames since the track's object was seen first.
    #[serde(skip_serializing_if = "Option::is_none")]
    track_frames: Option<u32>,
    /// To the right and down.
    #[serde(skip_serializing_if = "Option::is_none")]
    speed_px_s: Option<[f32; 2]>,
}

#[derive(Serialize)]
struct StagesMs {
    fit: f64,
    encode: f64,
    steps: f64,
    readout: f64,
}

fn is_zero(n: &u32) -> bool {
    *n == 0
}

impl<'a> Record<'a> {
    /// The record of `report` as JSON; `classes` are the model's class names.
    pub fn json(report: &Report, classes: &[String]) -> String {
        serde_json::to_string(&Record::new(report, classes)).expect("a record has no failing serializer")
    }

    /// The record of `report`; `classes` are the model's class names.
    pub fn new(report: &'a Report, classes: &'a [String]) -> Record<'a> {
        let ms = |duration: std::time::Duration| (duration.as_secs_f64() * 1e6).round() / 1e3;
        let seen = report.detections.iter().map(|detection| Seen {
            class: classes.get(usize::from(detection.class)).map_or("?", String::as_str),
            region: [detection.region.x, detection.region.y, detection.region.width, detection.region.height],
            area: detection.area,
            score: detection.score,
            track: detection.track,
            track_frames: (detection.track > 0).then_some(detection.track_frames),
            speed_px_s: detection.speed_px_s.map(|speed| speed.map(|axis| (axis * 10.0).round() / 10.0)),
        });
        let drive = report.trace.drive_distance;
        let part = |share: f32| (share < 1.0).then(|| (share * 1e4).round() / 1e4);
        Record {
            sequence: report.sequence,
            captured_s: report.captured.as_secs_f64(),
            wall: report.wall.map(clock::rfc3339),
            age_ms: ms(report.age),
            steps: report.trace.steps,
            moved: part(report.trace.moved),
            stepped: part(report.trace.stepped),
            limit: report.trace.limit,
            limit_reason: report.limit_reason,
            stop: report.trace.stop,
            distances: &report.trace.distances,
            drive_distance: drive.is_finite().then_some(drive),
            engine: report.engine,
            detections: seen.collect(),
            camera: report.camera,
            dropped: report.dropped,
            skipped: report.skipped,
            corrupt: report.corrupt,
            stages_ms: StagesMs {
                fit: ms(report.stages.fit),
                encode: ms(report.stages.encode),
                steps: ms(report.stages.steps),
                readout: ms(report.stages.readout),
            },
            recording: report.recording,
            power_mw: report.power_mw,
            temp_c: report.temp_c,
            energy_j: report.energy_j,
        }
    }
}
