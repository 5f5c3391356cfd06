//! Each message, from what is known.

use std::time::{Duration, SystemTime};

use ::mavlink::dialects::common::*;

use super::MavlinkSpec;
use crate::clock;
use crate::control::ServiceStatus;
use crate::telemetry::{CameraState, Detection, Report};

/// "Not known" in each type of field.
const UNKNOWN_U8: u8 = u8::MAX;
const UNKNOWN_I8: i8 = i8::MAX;
const UNKNOWN_U16: u16 = u16::MAX;
const UNKNOWN_U32: u32 = u32::MAX;
/// Sectors of OBSTACLE_DISTANCE: 5 degrees each, the first straight ahead.
const SECTORS: usize = 72;
const SECTOR_DEG: f32 = 360.0 / SECTORS as f32;
const NEAREST_CM: u16 = 20;
const FARTHEST_CM: u16 = 10_000;

pub(super) fn heartbeat(status: &ServiceStatus) -> MavMessage {
    let working = !status.paused && status.camera == CameraState::Streaming;
    MavMessage::HEARTBEAT(HEARTBEAT_DATA {
        custom_mode: 0,
        mavtype: MavType::MAV_TYPE_ONBOARD_CONTROLLER,
        autopilot: MavAutopilot::MAV_AUTOPILOT_INVALID,
        base_mode: MavModeFlag::empty(),
        system_status: if working { MavState::MAV_STATE_ACTIVE } else { MavState::MAV_STATE_STANDBY },
        mavlink_version: 3,
    })
}

pub(super) fn computer(uptime: Duration, temp_c: Option<f32>) -> MavMessage {
    let memory = memory_mib();
    MavMessage::ONBOARD_COMPUTER_STATUS(ONBOARD_COMPUTER_STATUS_DATA {
        time_usec: unix_us(),
        uptime: uptime.as_millis() as u32,
        mavtype: 0,
        ram_usage: memory.map_or(UNKNOWN_U32, |(used, _)| used),
        ram_total: memory.map_or(UNKNOWN_U32, |(_, total)| total),
        storage_type: [UNKNOWN_U32; 4],
        storage_usage: [UNKNOWN_U32; 4],
        storage_total: [UNKNOWN_U32; 4],
        link_type: [UNKNOWN_U32; 6],
        link_tx_rate: [UNKNOWN_U32; 6],
        link_rx_rate: [UNKNOWN_U32; 6],
        link_tx_max: [UNKNOWN_U32; 6],
        link_rx_max: [UNKNOWN_U32; 6],
        fan_speed: [i16::MAX; 4],
        cpu_cores: [UNKNOWN_U8; 8],
        cpu_combined: [UNKNOWN_U8; 10],
        gpu_cores: [UNKNOWN_U8; 4],
        gpu_combined: [UNKNOWN_U8; 10],
        temperature_board: temp_c.map_or(UNKNOWN_I8, |c| c.round().clamp(-100.0, 126.0) as i8),
        temperature_core: [UNKNOWN_I8; 8],
        status_flags: ComputerStatusFlags::empty(),
    })
}

/// The detection with the highest score; of equal ones the first.
pub(super) fn surest(report: &Report) -> Option<&Detection> {
    report.detections.iter().rev().max_by(|a, b| a.score.total_cmp(&b.score))
}

/// The surest detection; None when nothing is seen.
pub(super) fn landing_target(report: &Report, spec: &MavlinkSpec) -> Option<MavMessage> {
    let best = surest(report)?;
    let (left, right) = across(best, report, spec.fov_deg);
    // Pixels are square: the angle down the picture is measured with the same focal length.
    let focal = focal_px(report, spec.fov_deg);
    let down = |y: f32| ((y - report.size.1 as f32 / 2.0) / focal).atan();
    let (top, bottom) = (down(best.region.y), down(best.region.y + best.region.height));
    Some(MavMessage::LANDING_TARGET(LANDING_TARGET_DATA {
        time_usec: taken_us(report),
        angle_x: (left + right) / 2.0,
        angle_y: (top + bottom) / 2.0,
        distance: 0.0,
        size_x: right - left,
        size_y: bottom - top,
        target_num: best.class,
        frame: MavFrame::MAV_FRAME_BODY_FRD,
        x: 0.0,
        y: 0.0,
        z: 0.0,
        q: [1.0, 0.0, 0.0, 0.0],
        mavtype: LandingTargetType::LANDING_TARGET_TYPE_VISION_OTHER,
        position_valid: MavBool::empty(),
    }))
}

/// Bearings of everything seen, as far away as a thing of `width_m` looks.
pub(super) fn obstacles(report: &Report, spec: &MavlinkSpec, width_m: f32) -> MavMessage {
    let mut distances = [UNKNOWN_U16; SECTORS];
    for seen in &report.detections {
        let (left, right) = across(seen, report, spec.fov_deg);
        let apart = (right - left).max(1e-3);
        let metres = width_m / (2.0 * (apart / 2.0).tan());
        let centimetres = (metres * 100.0).clamp(f32::from(NEAREST_CM), f32::from(FARTHEST_CM)) as u16;
        let sector = |angle: f32| (angle.to_degrees() / SECTOR_DEG).round() as i32;
        for at in sector(left)..=sector(right) {
            let nearest = &mut distances[at.rem_euclid(SECTORS as i32) as usize];
            *nearest = centimetres.min(*nearest);
        }
    }
    MavMessage::OBSTACLE_DISTANCE(OBSTACLE_DISTANCE_DATA {
        time_usec: taken_us(report),
        distances,
        min_distance: NEAREST_CM,
        max_distance: FARTHEST_CM,
        sensor_type: MavDistanceSensor::MAV_DISTANCE_SENSOR_UNKNOWN,
        increment: SECTOR_DEG as u8,
        increment_f: SECTOR_DEG,
        angle_offset: 0.0,
        frame: MavFrame::MAV_FRAME_BODY_FRD,
    })
}

pub(super) fn text(level: log::Level, line: &str) -> MavMessage {
    let severity = match level {
        log::Level::Error => MavSeverity::MAV_SEVERITY_ERROR,
        log::Level::Warn => MavSeverity::MAV_SEVERITY_WARNING,
        log::Level::Info => MavSeverity::MAV_SEVERITY_INFO,
        log::Level::Debug | log::Level::Trace => MavSeverity::MAV_SEVERITY_DEBUG,
    };
    // A line longer than the field ends at a character, not within one.
    let end = (0..=line.len().min(50)).rev().find(|at| line.is_char_boundary(*at)).unwrap_or(0);
    MavMessage::STATUSTEXT(STATUSTEXT_DATA { severity, text: line[..end].into(), id: 0, chunk_seq: 0 })
}

fn focal_px(report: &Report, fov_deg: f32) -> f32 {
    report.size.0.max(1) as f32 / 2.0 / (fov_deg.to_radians() / 2.0).tan()
}

/// The angles of a detection's left and right edge from straight ahead, to the right, in radians.
fn across(seen: &Detection, report: &Report, fov_deg: f32) -> (f32, f32) {
    let angle = |x: f32| ((x - report.size.0 as f32 / 2.0) / focal_px(report, fov_deg)).atan();
    (angle(seen.region.x), angle(seen.region.x + seen.region.width))
}

/// When the picture was taken, since 1970: a replay's frames are as old as they were in the recorded run.
fn taken_us(report: &Report) -> u64 {
    unix_us().saturating_sub(report.age_at(clock::now()).as_micros() as u64)
}

fn unix_us() -> u64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_micros() as u64)
}

/// Memory used and there, in MiB.
fn memory_mib() -> Option<(u32, u32)> {
    let text = std::fs::read_to_string("/proc/meminfo").ok()?;
    let field = |name: &str| text.lines().find_map(|line| line.strip_prefix(name)?.split_whitespace().next()?.parse::<u32>().ok());
    let (total, free) = (field("MemTotal:")?, field("MemAvailable:")?);
    Some((total.saturating_sub(free) / 1024, total / 1024))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::telegrams::tests::report;
    use crate::telemetry::Region;

    fn spec() -> MavlinkSpec {
        "/dev/null,fov=90,object=1".parse().unwrap()
    }

    #[test]
    fn a_target_in_the_middle_is_straight_ahead() {
        let mut seen = report(1);
        seen.detections[0].region = Region { x: 300.0, y: 220.0, width: 40.0, height: 40.0 };
        let Some(MavMessage::LANDING_TARGET(target)) = landing_target(&seen, &spec()) else { panic!("a target") };
        assert!(target.angle_x.abs() < 1e-6 && target.angle_y.abs() < 1e-6 && (target.size_x - target.size_y).abs() < 1e-6, "{target:?}");
        // The right edge of a picture 90 degrees wide is 45 degrees to the right.
        seen.detections[0].region = Region { x: 639.0, y: 0.0, width: 2.0, height: 480.0 };
        let Some(MavMessage::LANDING_TARGET(target)) = landing_target(&seen, &spec()) else { panic!("a target") };
        assert!((target.angle_x.to_degrees() - 45.0).abs() < 0.1 && target.angle_y.abs() < 1e-6, "{target:?}");
        seen.detections.clear();
        assert!(landing_target(&seen, &spec()).is_none());
    }

    #[test]
    fn a_replayed_target_is_as_old_as_it_was_in_the_recorded_run() {
        let seen = Report { captured: clock::now() + Duration::from_secs(900), age: Duration::from_secs(7), ..report(1) };
        let Some(MavMessage::LANDING_TARGET(target)) = landing_target(&seen, &spec()) else { panic!("a target") };
        let age = unix_us() - target.time_usec;
        assert!((7_000_000..60_000_000).contains(&age), "{age}");
    }

    #[test]
    fn an_obstacle_is_where_it_is_seen_and_nowhere_else() {
        let mut seen = report(1);
        // One metre that fills 90 degrees is half a metre away.
        seen.detections[0].region = Region { x: 0.0, y: 0.0, width: 640.0, height: 480.0 };
        let MavMessage::OBSTACLE_DISTANCE(all) = obstacles(&seen, &spec(), 1.0) else { panic!("obstacles") };
        let known: Vec<usize> = (0..SECTORS).filter(|at| all.distances[*at] != UNKNOWN_U16).collect();
        assert_eq!(known, (0..=9).chain(63..72).collect::<Vec<_>>());
        assert!(known.iter().all(|at| all.distances[*at].abs_diff(50) <= 1), "{:?}", all.distances);
        assert_eq!(all.frame, MavFrame::MAV_FRAME_BODY_FRD);
    }

    #[test]
    fn a_long_line_ends_at_a_character() {
        let MavMessage::STATUSTEXT(sent) = text(log::Level::Warn, &"ü".repeat(60)) else { panic!("a text") };
        assert_eq!(std::str::from_utf8(&sent.text[..]).unwrap().trim_end_matches('\0'), "ü".repeat(25));
    }
}
