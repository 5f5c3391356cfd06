//! MAVLink v2 to an autopilot: who we are, how we are, what is seen. The `mavlink` crate packs the bytes; the port is ours.
//!
//! | message | when | what |
//! |---|---|---|
//! | HEARTBEAT | every second | an onboard controller; STANDBY while paused or without a camera |
//! | ONBOARD_COMPUTER_STATUS | every second | uptime, memory, hottest zone |
//! | LANDING_TARGET | 10 times a second at most | the surest detection as angles from the picture's centre |
//! | OBSTACLE_DISTANCE | the same, with `object=METRES` | bearings of what is seen, far away by its apparent size |
//! | STATUSTEXT | when it happens, tracks once a second at most | the camera's comings and goings, warnings, class and track of the target when it is another one |
//!
//! One camera measures no distance. LANDING_TARGET leaves it 0 (unknown), and OBSTACLE_DISTANCE is only sent when `object=` says how wide the things are
//! that the network knows; bearings where nothing is seen are *unknown*, never *free*. Of many detections LANDING_TARGET tells the surest alone, and
//! says so once in a STATUSTEXT; OBSTACLE_DISTANCE tells all.

mod messages;
mod spec;

use std::io::Write;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::{Duration, Instant};

use ::mavlink::MavHeader;
use ::mavlink::dialects::common::MavMessage;

use super::port::{Reopening, Wire};
use super::{Sink, SinkError};
use crate::clock;
use crate::control::ControlQueue;
use crate::telemetry::{CameraState, Report};
pub use spec::MavlinkSpec;

/// MAV_COMP_ID_ONBOARD_COMPUTER.
const COMPONENT: u8 = 191;
const HEARTBEAT: Duration = Duration::from_secs(1);
const TARGETS: Duration = Duration::from_millis(100);
/// Lines that wait to be sent at most.
const LINES: usize = 8;

/// The sink.
pub struct Mavlink {
    spec: MavlinkSpec,
    control_queue: ControlQueue,
    reopening: Reopening,
    port: Option<Wire>,
    header: MavHeader,
    began: Duration,
    beat: Option<Instant>,
    told: Option<Instant>,
    camera: Option<CameraState>,
    temp_c: Option<f32>,
    classes: Arc<[String]>,
    /// The target's track as it was told last, and when.
    named: Option<(u32, Instant)>,
    /// It was said that not everything seen is a target.
    cut_told: bool,
    lines: (TextSender, Receiver<Line>),
    bytes: Vec<u8>,
}

/// One line for people.
type Line = (log::Level, String);

/// Where log lines for the autopilot are left.
pub type TextSender = SyncSender<Line>;

impl Mavlink {
    /// A sink for the port of `spec`, which need not be there yet; `control_queue` says how the service stands, `classes` what things are called.
    pub fn new(spec: MavlinkSpec, control_queue: ControlQueue, classes: Arc<[String]>) -> Mavlink {
        Mavlink {
            reopening: Reopening::new(spec.port.clone()),
            header: MavHeader { system_id: spec.system, component_id: COMPONENT, sequence: 0 },
            spec,
            control_queue,
            port: None,
            began: clock::now(),
            beat: None,
            told: None,
            camera: None,
            temp_c: None,
            classes,
            named: None,
            cut_told: false,
            lines: sync_channel(LINES),
            bytes: Vec::with_capacity(280),
        }
    }

    /// Where log lines for the autopilot are left; those too many are lost.
    pub fn text_sender(&self) -> TextSender {
        self.lines.0.clone()
    }

    fn say(&mut self, message: &MavMessage) {
        if self.port.is_none() {
            self.port = self.reopening.open();
        }
        let Some(port) = &mut self.port else { return };
        self.bytes.clear();
        ::mavlink::write_v2_msg(&mut self.bytes, self.header, message).expect("writing to memory cannot fail");
        self.header.sequence = self.header.sequence.wrapping_add(1);
        if let Err(error) = port.write_all(&self.bytes) {
            self.port = None;
            self.reopening.lost(&error.to_string());
        }
    }

    /// Tells what the target is, when it is another one than before.
    fn name_target(&mut self, report: &Report) {
        let Some(best) = messages::surest(report) else { return };
        if report.detections.len() > 1 && !std::mem::replace(&mut self.cut_told, true) {
            self.say(&messages::text(log::Level::Info, "LANDING_TARGET is the surest of several"));
        }
        if best.track == 0 || self.named.is_some_and(|(track, told)| track == best.track || told.elapsed() < HEARTBEAT) {
            return;
        }
        self.named = Some((best.track, Instant::now()));
        let class = self.classes.get(usize::from(best.class)).map_or("?", String::as_str);
        let line = format!("target {class} {:.0} % track {}", 100.0 * best.score, best.track);
        self.say(&messages::text(log::Level::Info, &line));
    }

    /// What is due by the clock.
    fn beat(&mut self) {
        let status = self.control_queue.status();
        if self.beat.is_none_or(|beat| beat.elapsed() >= HEARTBEAT) {
            self.beat = Some(Instant::now());
            self.say(&messages::heartbeat(&status));
            let uptime = clock::now().saturating_sub(self.began);
            self.say(&messages::computer(uptime, self.temp_c));
        }
        if self.camera.replace(status.camera) != Some(status.camera) {
            let word = format!("camera {:?}", status.camera).to_lowercase();
            let level = if status.camera == CameraState::Lost { log::Level::Warn } else { log::Level::Info };
            self.say(&messages::text(level, &word));
        }
        while let Ok((level, line)) = self.lines.1.try_recv() {
            self.say(&messages::text(level, &line));
        }
    }
}

impl Sink for Mavlink {
    fn show(&mut self, report: &Report) -> Result<(), SinkError> {
        self.temp_c = report.temp_c;
        self.beat();
        if self.told.is_none_or(|told| told.elapsed() >= TARGETS) {
            self.told = Some(Instant::now());
            if let Some(target) = messages::landing_target(report, &self.spec) {
                self.say(&target);
                self.name_target(report);
            }
            if let Some(width) = self.spec.object_m {
                self.say(&messages::obstacles(report, &self.spec, width));
            }
        }
        Ok(())
    }

    fn pulse(&self) -> Option<Duration> {
        Some(Duration::from_millis(200))
    }

    fn idle(&mut self) -> Result<(), SinkError> {
        self.beat();
        Ok(())
    }
}
