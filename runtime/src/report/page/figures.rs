//! What has been seen so far, counted for the page and for Prometheus.

use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use super::Heading;
use crate::control::{Budget, ControlQueue};
use crate::latencies::Latencies;
use crate::outcome::StopReason;
use crate::report::history::History;
use crate::telemetry::{CameraState, Detections, LimitReason, Picture, Report, TilesInView};

/// Frames whose steps and ages are kept one by one.
pub const RECENT: usize = 240;
/// Without a result for so long, results are stale.
pub const STALE: Duration = Duration::from_secs(2);
/// Upper bounds of the age histogram, in seconds.
pub const AGES: [f64; 12] = [0.002, 0.005, 0.01, 0.02, 0.033, 0.05, 0.075, 0.1, 0.2, 0.5, 1.0, 5.0];
/// Every reason to stop, as its records name it.
pub const STOPS: [(StopReason, &str); 5] = [
    (StopReason::Halted, "halted"),
    (StopReason::Limit, "limit"),
    (StopReason::Zero, "zero"),
    (StopReason::Reset, "reset"),
    (StopReason::Deadline, "deadline"),
];
/// Every budget that can bind, as its records name it.
pub const LIMITS: [(LimitReason, &str); 5] = [
    (LimitReason::None, "none"),
    (LimitReason::Latency, "latency"),
    (LimitReason::Power, "power"),
    (LimitReason::Heat, "heat"),
    (LimitReason::Camera, "camera"),
];

/// Every state of a camera, as its records name it.
pub const CAMERA: [(CameraState, &str); 5] = [
    (CameraState::Searching, "searching"),
    (CameraState::Negotiating, "negotiating"),
    (CameraState::Streaming, "streaming"),
    (CameraState::Stalled, "stalled"),
    (CameraState::Lost, "lost"),
];

/// A state's name.
pub fn name_of(camera: CameraState) -> &'static str {
    CAMERA.iter().find(|(state, _)| *state == camera).map_or("unknown", |(_, name)| name)
}

/// A picture, what was seen in it, and the number of its result.
#[derive(Clone)]
pub struct Pictured {
    pub number: u64,
    pub at: Instant,
    pub picture: Arc<Picture>,
    pub detections: Detections,
    /// Its tiles, if they were asked for.
    pub tiles: Option<Arc<TilesInView>>,
}

/// Everything counted.
pub struct Metrics {
    pub heading: Heading,
    pub began: Instant,
    pub frames: u64,
    pub steps: u64,
    pub stops: [u64; STOPS.len()],
    pub limits: [u64; LIMITS.len()],
    /// Counts of ages up to each of [`AGES`], and above the last.
    pub ages: [u64; AGES.len() + 1],
    pub age_sum: f64,
    pub latencies: Latencies,
    pub energy_j: f64,
    pub recent: History,
    pub last: Option<(Report, Instant)>,
    /// The newest picture; not every report brings one.
    pub pictured: Option<Pictured>,
    /// Detections so far, by class.
    pub detections: Vec<u64>,
    /// Results older than the deadline.
    pub late: u64,
    /// Times that the camera came back.
    pub reconnects: u64,
    control_queue: ControlQueue,
    /// The camera was lost or stalled, and has brought no frame since.
    away: bool,
    /// Clients that wait for what is yet to happen.
    pub followers: usize,
    /// Connections now, and connections dropped because they were slow or too many.
    pub clients: usize,
    pub clients_dropped: u64,
    /// The sink is gone and the server should go too.
    pub ended: bool,
}

/// The figures, even if a thread panicked over them: they are numbers, and the process is about to end anyway.
pub fn lock(figures: &Mutex<Metrics>) -> MutexGuard<'_, Metrics> {
    figures.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}

impl Metrics {
    /// Nothing counted yet; `control_queue` knows the camera's state and the budget, whether results come or not.
    pub fn new(heading: Heading, control_queue: ControlQueue) -> Metrics {
        Metrics {
            detections: vec![0; heading.classes.len()],
            late: 0,
            reconnects: 0,
            control_queue,
            away: false,
            followers: 0,
            heading,
            began: Instant::now(),
            frames: 0,
            steps: 0,
            stops: Default::default(),
            limits: Default::default(),
            ages: Default::default(),
            age_sum: 0.0,
            latencies: Latencies::default(),
            energy_j: 0.0,
            recent: History::new(RECENT),
            last: None,
            pictured: None,
            clients: 0,
            clients_dropped: 0,
            ended: false,
        }
    }

    /// Counts one report that came at `now`.
    pub fn add(&mut self, report: &Report, now: Instant) {
        self.frames += 1;
        self.steps += u64::from(report.trace.steps);
        if let Some(at) = STOPS.iter().position(|(stop, _)| *stop == report.trace.stop) {
            self.stops[at] += 1;
        }
        if let Some(at) = LIMITS.iter().position(|(limit, _)| *limit == report.limit_reason) {
            self.limits[at] += 1;
        }
        let age = report.age.as_secs_f64();
        self.ages[AGES.iter().position(|bound| age <= *bound).unwrap_or(AGES.len())] += 1;
        self.age_sum += age;
        self.latencies.record(report);
        self.energy_j += f64::from(report.energy_j.unwrap_or(0.0));
        self.recent.add(report);
        for seen in &report.detections {
            if let Some(count) = self.detections.get_mut(usize::from(seen.class)) {
                *count += 1;
            }
        }
        self.late += u64::from(self.budget().deadline.is_some_and(|deadline| report.age > deadline.within));
        self.reconnects += u64::from(std::mem::take(&mut self.away));
        if let Some(picture) = &report.picture {
            let (picture, detections) = (Arc::clone(picture), report.detections.clone());
            self.pictured = Some(Pictured { number: self.frames, at: now, picture, detections, tiles: report.tiles.clone() });
        }
        self.last = Some((Report { picture: None, mask: None, tiles: None, ..report.clone() }, now));
    }

    /// How long ago the last result came, and whether that is too long.
    pub fn staleness(&self, now: Instant) -> (Duration, bool) {
        let since = now.saturating_duration_since(self.last.as_ref().map_or(self.began, |(_, at)| *at));
        (since, since > STALE || self.last.is_none())
    }

    /// What the camera is doing, whether results come or not. One that streams, but brings no result any more, has stalled.
    pub fn camera(&self, now: Instant) -> CameraState {
        match self.control_queue.status().camera {
            CameraState::Streaming if self.last.is_none() => CameraState::Negotiating,
            CameraState::Streaming if self.staleness(now).1 => CameraState::Stalled,
            camera => camera,
        }
    }

    /// Looks at the camera while no result comes.
    pub fn look(&mut self) {
        self.away |= self.last.is_some() && matches!(self.control_queue.status().camera, CameraState::Lost | CameraState::Stalled);
    }

    /// What is kept to.
    pub fn budget(&self) -> Budget {
        self.control_queue.status().budget
    }
}
