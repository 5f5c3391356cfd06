//! What is told of a run at an interval: means over the results since the last time, and how many of each class there are.

use std::time::Instant;

use serde::Serialize;
use serde_json::{Map, Value};

use crate::clock;
use crate::telemetry::{CameraState, LimitReason, Report};

/// The payload of `state`; names carry their units.
#[derive(Serialize)]
struct State<'a> {
    wall: String,
    camera: CameraState,
    network: &'a str,
    frames: u64,
    fps: f64,
    /// Null where no frame was answered since the last state.
    steps: Option<f64>,
    age_ms: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    limit_reason: Option<LimitReason>,
    /// Null while the camera does not stream: nobody knows.
    occupancy: Option<Map<String, Value>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    power_w: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    temperature_c: Option<f64>,
    dropped: u64,
    skipped: u64,
    corrupt: u64,
}

pub(super) struct Gathered {
    network: String,
    /// Classes that can be reported: their numbers and names.
    classes: Vec<(u8, String)>,
    frames: u64,
    last: Option<Report>,
    /// Results since the last state: how many, their steps, their ages in seconds.
    since: (u64, u64, f64),
    began: Instant,
    told: Option<(CameraState, Vec<u32>)>,
    /// Whether a power and a temperature sensor tell anything, and whether that is new.
    sensors: (bool, bool),
    news: bool,
}

fn rounded(value: f64, digits: i32) -> f64 {
    let scale = 10f64.powi(digits);
    (value * scale).round() / scale
}

impl Gathered {
    /// Nothing yet. `classes` are all of the network's, `sees` those that can be reported.
    pub(super) fn new(network: &str, classes: &[String], sees: &[String]) -> Gathered {
        let numbered = classes.iter().zip(0..).filter(|(name, _)| sees.contains(name)).map(|(name, number)| (number, name.clone()));
        Gathered {
            network: network.to_owned(),
            classes: numbered.collect(),
            frames: 0,
            last: None,
            since: (0, 0, 0.0),
            began: Instant::now(),
            told: None,
            sensors: (false, false),
            news: false,
        }
    }

    pub(super) fn add(&mut self, report: &Report) {
        self.frames += 1;
        self.since.0 += 1;
        self.since.1 += u64::from(report.trace.steps);
        self.since.2 += report.age.as_secs_f64();
        let sensors = (self.sensors.0 || report.power_mw.is_some(), self.sensors.1 || report.temp_c.is_some());
        self.news |= sensors != self.sensors;
        self.sensors = sensors;
        self.last = Some(Report { picture: None, ..report.clone() });
    }

    /// Whether a sensor has spoken for the first time since this was asked last.
    pub(super) fn sensors_changed(&mut self) -> bool {
        std::mem::take(&mut self.news)
    }

    pub(super) fn has_power(&self) -> bool {
        self.sensors.0
    }

    pub(super) fn has_temperature(&self) -> bool {
        self.sensors.1
    }

    fn counts(&self, camera: CameraState) -> Vec<u32> {
        let Some(report) = self.last.as_ref().filter(|_| camera == CameraState::Streaming) else { return Vec::new() };
        let count = |class: u8| report.detections.iter().filter(|seen| seen.class == class).count() as u32;
        self.classes.iter().map(|(class, _)| count(*class)).collect()
    }

    /// Whether the camera's state or the counts are others than those that were told last.
    pub(super) fn has_changed(&self, camera: CameraState) -> bool {
        self.told.as_ref().is_none_or(|(told, counts)| *told != camera || *counts != self.counts(camera))
    }

    /// The payload; a new interval begins `now`.
    pub(super) fn json(&mut self, camera: CameraState, now: Instant) -> String {
        let counts = self.counts(camera);
        let occupancy = || self.classes.iter().zip(&counts).map(|((_, name), count)| (name.clone(), Value::from(*count))).collect();
        let (results, steps, ages) = std::mem::take(&mut self.since);
        let mean = |sum: f64| (results > 0).then(|| rounded(sum / results as f64, 3));
        let passed = now.saturating_duration_since(std::mem::replace(&mut self.began, now)).as_secs_f64();
        let last = self.last.as_ref();
        let state = State {
            wall: clock::rfc3339(clock::wall()),
            camera,
            network: &self.network,
            frames: self.frames,
            fps: rounded(results as f64 / passed.max(1e-3), 2),
            steps: mean(steps as f64),
            age_ms: mean(ages * 1e3),
            limit_reason: last.map(|report| report.limit_reason),
            occupancy: (!counts.is_empty()).then(occupancy),
            power_w: last.and_then(|report| report.power_mw).map(|mw| rounded(f64::from(mw) / 1e3, 2)),
            temperature_c: last.and_then(|report| report.temp_c).map(|celsius| rounded(f64::from(celsius), 1)),
            dropped: last.map_or(0, |report| report.dropped),
            skipped: last.map_or(0, |report| report.skipped),
            corrupt: last.map_or(0, |report| report.corrupt),
        };
        let json = serde_json::to_string(&state).expect("a state has no failing serializer");
        self.told = Some((camera, counts));
        json
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::{Detection, Detections};

    fn gathered() -> Gathered {
        let names = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect::<Vec<_>>();
        Gathered::new("street 1", &names(&["background", "person", "car"]), &names(&["person", "car"]))
    }

    fn seen(classes: &[u8]) -> Report {
        let detections: Detections = classes.iter().map(|&class| Detection { class, ..Detection::default() }).collect();
        Report { detections, ..Report::for_tests(1) }
    }

    fn value(gathered: &mut Gathered, camera: CameraState) -> Value {
        serde_json::from_str(&gathered.json(camera, Instant::now())).unwrap()
    }

    #[test]
    fn there_are_as_many_of_a_class_as_the_last_result_says() {
        let mut gathered = gathered();
        gathered.add(&seen(&[1, 2, 1]));
        let state = value(&mut gathered, CameraState::Streaming);
        assert_eq!(state["occupancy"], serde_json::json!({ "person": 2, "car": 1 }));
        assert_eq!((&state["steps"], &state["frames"], &state["camera"]), (&1.0.into(), &1.into(), &"streaming".into()));
        assert!(state.get("power_w").is_none());
    }

    #[test]
    fn nobody_knows_who_is_there_while_the_camera_is_lost() {
        let mut gathered = gathered();
        gathered.add(&seen(&[1]));
        assert_eq!(value(&mut gathered, CameraState::Lost)["occupancy"], Value::Null);
        assert_eq!(value(&mut gathered, CameraState::Lost)["steps"], Value::Null, "no result since the last state");
    }

    #[test]
    fn a_change_is_another_count_or_another_state_of_the_camera() {
        let mut gathered = gathered();
        assert!(gathered.has_changed(CameraState::Searching), "nothing was told yet");
        gathered.add(&seen(&[1]));
        gathered.json(CameraState::Streaming, Instant::now());
        gathered.add(&seen(&[1]));
        assert!(!gathered.has_changed(CameraState::Streaming));
        assert!(gathered.has_changed(CameraState::Lost));
        gathered.add(&seen(&[1, 1]));
        assert!(gathered.has_changed(CameraState::Streaming));
    }

    #[test]
    fn a_sensor_is_new_once() {
        let mut gathered = gathered();
        gathered.add(&seen(&[]));
        assert!(!gathered.sensors_changed());
        gathered.add(&Report { power_mw: Some(7_040), ..seen(&[]) });
        assert!(gathered.sensors_changed() && !gathered.sensors_changed() && gathered.has_power() && !gathered.has_temperature());
        assert_eq!(value(&mut gathered, CameraState::Streaming)["power_w"], 7.04);
    }
}
