//! A [`Report`] in the words of `firmware-bridge`: what links send and panels draw.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use firmware_bridge as bridge;

use crate::clock;
use crate::control::{Mode, ServiceStatus};
use crate::frame_rate::FrameRate;
use crate::outcome::StopReason;
use crate::telemetry::{CameraState, Detection, LimitReason, Report};

/// Frames over which rates are taken; as many step counts go into a status.
const WINDOW: usize = bridge::MAX_RECENT;

/// What does not change while the service runs.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct About {
    /// Model of the board.
    pub board: String,
    /// Name and version of the network.
    pub network: String,
    /// Where people find the page; empty if nowhere.
    pub address: String,
    /// Width and height of the network's input, in pixels.
    pub input: (u32, u32),
    /// Class names, background first.
    pub classes: Arc<[String]>,
}

impl About {
    /// Who is speaking.
    pub(super) fn hello(&self) -> bridge::Hello {
        bridge::Hello {
            software: bridge::text(concat!("recslowfast ", env!("CARGO_PKG_VERSION"))),
            board: bridge::text(&self.board),
            network: bridge::text(&self.network),
            address: bridge::text(&self.address),
            width: whole(self.input.0),
            height: whole(self.input.1),
            classes: whole(self.classes.len()),
        }
    }

    /// What each class number means.
    pub(super) fn class_names(&self) -> impl Iterator<Item = bridge::ClassName> {
        self.classes.iter().zip(0..).map(|(name, class)| bridge::ClassName { class, name: bridge::text(name) })
    }
}

/// Follows reports, and tells the state of the board at any time.
pub(super) struct Follower {
    began: Duration,
    last: Option<Report>,
    /// Sequence numbers and capture times of the last frames.
    frames: VecDeque<(u64, Duration)>,
    rate: FrameRate,
    steps: VecDeque<u8>,
}

impl Follower {
    pub(super) fn new() -> Follower {
        Follower {
            began: clock::now(),
            last: None,
            frames: VecDeque::with_capacity(WINDOW),
            rate: FrameRate::default(),
            steps: VecDeque::with_capacity(WINDOW),
        }
    }

    /// Takes in one report.
    pub(super) fn see(&mut self, report: &Report) {
        if self.frames.len() == WINDOW {
            self.frames.pop_front();
            self.steps.pop_front();
        }
        self.frames.push_back((report.sequence, report.captured));
        self.steps.push_back(byte(report.trace.steps));
        self.rate.add(report);
        self.last = Some(Report { picture: None, mask: None, ..report.clone() });
    }

    /// Since when the follower follows, in milliseconds modulo 2^32.
    fn uptime_ms(&self) -> u32 {
        clock::now().saturating_sub(self.began).as_millis() as u32
    }

    /// The state of the board.
    pub(super) fn status(&self, status: &ServiceStatus) -> bridge::Status {
        let budget = &status.budget;
        let mut status = bridge::Status {
            uptime_ms: self.uptime_ms(),
            camera: camera(status.camera),
            mode: match budget.mode {
                Mode::Accuracy => bridge::Mode::Accuracy,
                Mode::Balanced => bridge::Mode::Balanced,
                Mode::Saver => bridge::Mode::Saver,
            },
            paused: status.paused,
            deadline_us: budget.deadline.map_or(0, |deadline| micros(deadline.within)),
            power_budget_mw: budget.power.map(|power| power.mw.clamp(1, 1_000_000)),
            ..bridge::Status::default()
        };
        let Some(report) = &self.last else { return status };
        let (capture, inference) = self.rates();
        status.frame = report.sequence as u32;
        status.engine = match report.engine {
            "cpu" => bridge::Engine::Cpu,
            "cuda" => bridge::Engine::Cuda,
            _ => bridge::Engine::None,
        };
        status.steps = byte(report.trace.steps);
        status.limit = byte(report.trace.limit);
        status.limited_by = match report.limit_reason {
            LimitReason::None => bridge::LimitReason::None,
            LimitReason::Latency => bridge::LimitReason::Latency,
            LimitReason::Power => bridge::LimitReason::Power,
            LimitReason::Heat => bridge::LimitReason::Heat,
            LimitReason::Camera => bridge::LimitReason::Camera,
        };
        status.stopped = match report.trace.stop {
            StopReason::Halted => bridge::StopReason::Halted,
            StopReason::Limit => bridge::StopReason::Limit,
            StopReason::Zero => bridge::StopReason::Zero,
            StopReason::Reset => bridge::StopReason::Reset,
            StopReason::Deadline => bridge::StopReason::Deadline,
        };
        status.skip = byte(report.skip);
        status.age_us = micros(report.age);
        status.power_mw = report.power_mw.map(|mw| mw.min(1_000_000));
        status.temperature_cc = report.temp_c.filter(|c| c.is_finite()).map(|c| (c * 100.0).clamp(-5_000.0, 15_000.0) as i16);
        status.capture_cfps = capture;
        status.inference_cfps = inference;
        status.dropped = report.dropped.wrapping_add(report.skipped) as u32;
        status.recent = self.steps.iter().copied().collect();
        status
    }

    /// Camera rate and result rate in hundredths of a frame per second.
    fn rates(&self) -> (u16, u16) {
        let hundredths = |per_second: f64| (100.0 * per_second).round().min(f64::from(u16::MAX)) as u16;
        let (Some(first), Some(last)) = (self.frames.front(), self.frames.back()) else { return (0, 0) };
        let seconds = last.1.saturating_sub(first.1).as_secs_f64();
        let captured = if seconds > 0.0 { last.0.saturating_sub(first.0) as f64 / seconds } else { 0.0 };
        (hundredths(captured), hundredths(self.rate.per_second()))
    }
}

/// What is in one frame, the surest first.
pub(super) fn detections(report: &Report) -> bridge::Detections {
    let mut best: Vec<&Detection> = report.detections.iter().collect();
    best.sort_by(|a, b| b.score.total_cmp(&a.score));
    bridge::Detections {
        frame: report.sequence as u32,
        age_us: micros(report.age_at(clock::now())),
        found: whole(report.detections.len()),
        items: best.into_iter().take(bridge::MAX_DETECTIONS).map(|detection| detected(detection, report.size)).collect(),
    }
}

fn detected(detection: &Detection, (width, height): (u32, u32)) -> bridge::Detection {
    // Edges, not sizes, are rounded, so that what lies inside the picture stays inside.
    let span = |start: f32, length: f32, whole: u32| {
        let edge = |at: f32| (at / whole.max(1) as f32 * 10_000.0).round().clamp(0.0, 10_000.0) as u16;
        let (from, to) = (edge(start), edge(start + length));
        (from, to.saturating_sub(from))
    };
    let (left, across) = span(detection.region.x, detection.region.width, width);
    let (top, down) = span(detection.region.y, detection.region.height, height);
    let pixels = f64::from(width.max(1)) * f64::from(height.max(1));
    bridge::Detection {
        class: detection.class.into(),
        score: (detection.score * 1000.0).round().clamp(0.0, 1000.0) as u16,
        track: detection.track,
        left,
        top,
        width: across,
        height: down,
        area: (f64::from(detection.area) / pixels * 1e6).round().clamp(0.0, 1e6) as u32,
    }
}

fn camera(state: CameraState) -> bridge::CameraState {
    match state {
        CameraState::Searching => bridge::CameraState::Searching,
        CameraState::Negotiating => bridge::CameraState::Negotiating,
        CameraState::Streaming => bridge::CameraState::Streaming,
        CameraState::Stalled => bridge::CameraState::Stalled,
        CameraState::Lost => bridge::CameraState::Lost,
    }
}

fn micros(duration: Duration) -> u32 {
    duration.as_micros().min(u32::MAX.into()) as u32
}

fn byte(number: u32) -> u8 {
    number.min(u8::MAX.into()) as u8
}

fn whole(number: impl TryInto<u16>) -> u16 {
    number.try_into().unwrap_or(u16::MAX)
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::control::{Budget, Deadline, Power};
    use crate::outcome::StepTrace;
    use crate::telemetry::{Region, Stages};

    /// A report of frame `sequence`, captured at 25 frames a second, with one detection.
    pub fn report(sequence: u64) -> Report {
        let region = Region { x: 160.0, y: 60.0, width: 320.0, height: 120.0 };
        let detection = crate::telemetry::Detection { class: 1, region, area: 19_200.0, score: 0.934, track: 7, ..Default::default() };
        Report {
            sequence,
            captured: Duration::from_millis(40 * sequence),
            wall: Some(Duration::from_secs(1_795_684_590) + Duration::from_millis(40 * sequence)),
            size: (640, 480),
            live: false,
            age: Duration::from_micros(23_456),
            trace: StepTrace {
                steps: 3,
                limit: 64,
                stop: StopReason::Halted,
                distances: heapless::Vec::new(),
                drive_distance: 0.1,
                moved: 1.0,
                stepped: 1.0,
                encoded: 1.0,
            },
            limit_reason: LimitReason::Latency,
            engine: "cpu",
            detections: [detection].into_iter().collect(),
            stages: Stages::default(),
            camera: CameraState::Streaming,
            dropped: 2,
            skipped: 3,
            skip: 2,
            corrupt: 0,
            power_mw: Some(7_250),
            power_budget_mw: None,
            temp_c: Some(48.125),
            energy_j: None,
            recording: None,
            picture: None,
            mask: None,
            tiles: None,
        }
    }

    #[test]
    fn a_status_says_what_the_reports_and_the_budget_say() {
        let mut follower = Follower::new();
        let budget = Budget {
            deadline: Some(Deadline { within: Duration::from_millis(33), percentile: 99.0 }),
            power: Some(Power { mw: 10_000 }),
            mode: Mode::Saver,
            ..Budget::default()
        };
        let status = ServiceStatus { budget, paused: true, camera: CameraState::Stalled };
        let before = follower.status(&status);
        assert_eq!((before.camera, before.deadline_us, before.recent.len()), (bridge::CameraState::Stalled, 33_000, 0));
        // Every second frame is answered.
        (0..40).for_each(|at| follower.see(&report(2 * at)));
        let status = follower.status(&status);
        assert_eq!((status.frame, status.steps, status.limit, status.skip, status.recent.len()), (78, 3, 64, 2, 32));
        assert_eq!((status.capture_cfps, status.inference_cfps, status.dropped), (2_500, 1_250, 5));
        assert_eq!((status.power_mw, status.power_budget_mw, status.temperature_cc), (Some(7_250), Some(10_000), Some(4_812)));
        assert_eq!((status.mode, status.paused, status.engine), (bridge::Mode::Saver, true, bridge::Engine::Cpu));
        bridge::Telemetry::Status(status).encode(0).unwrap();
    }

    #[test]
    fn a_live_answer_grows_older_while_it_waits_and_a_replayed_one_does_not() {
        let taken = |live, captured| Report { live, captured, ..report(1) };
        let now = clock::now();
        let live = detections(&taken(true, now.saturating_sub(Duration::from_millis(500)))).age_us;
        assert!((500_000..60_000_000).contains(&live), "{live}");
        // A recorded clock may be before or after this machine's.
        for captured in [now, now + Duration::from_secs(3600), Duration::ZERO] {
            assert_eq!(detections(&taken(false, captured)).age_us, 23_456);
        }
    }

    #[test]
    fn boxes_are_told_as_shares_of_the_picture_and_never_leave_it() {
        let mut given = report(1);
        let told = detections(&given).items[0];
        assert_eq!((told.left, told.top, told.width, told.height), (2_500, 1_250, 5_000, 2_500));
        assert_eq!((told.score, told.area, told.class, told.track), (934, 62_500, 1, 7));
        given.detections[0].region = Region { x: -5.0, y: 470.5, width: 900.0, height: 30.0 };
        given.detections[0].area = f32::NAN;
        bridge::Telemetry::Detections(detections(&given)).encode(0).unwrap();
    }

    #[test]
    fn the_best_are_told_first_and_all_are_counted() {
        let mut given = report(1);
        given.detections =
            (0..20).map(|at| crate::telemetry::Detection { score: at as f32 / 20.0, ..given.detections[0].clone() }).collect();
        let told = detections(&given);
        assert_eq!((told.found, told.items.len(), told.items[0].score), (20, 8, 950));
        bridge::Telemetry::Detections(told).encode(0).unwrap();
    }
}
