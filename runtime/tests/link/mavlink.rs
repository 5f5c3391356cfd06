//! What an autopilot hears. The bytes are judged by the `mavlink` crate and, where it is installed, by pymavlink.

use std::collections::BTreeMap;
use std::io::Read;
use std::process::Command;
use std::time::{Duration, Instant};

use mavlink::dialects::common::{MavFrame, MavMessage, MavState, MavType};
use mavlink::{MavlinkVersion, peek_reader::PeekReader};
use serialport::SerialPort;

use crate::board::Board;
use crate::pty::Socket;

/// What the program says on a MAVLink port in five seconds, in which it has answered thirty frames or else takes longer; and how long that was.
fn recorded() -> (Vec<u8>, Duration) {
    let socket = Socket::new();
    let mut near = socket.plug();
    near.set_timeout(Duration::from_millis(50)).unwrap();
    let to = format!("mavlink:{}@921600,fov=78,object=0.5,system=7", socket.path().display());
    let board = Board::start(&["--halt", "fixed:1", "--report", &to]);
    board.record();
    let (mut bytes, mut chunk, mut answered, began) = (Vec::new(), [0; 4096], 0, Instant::now());
    while began.elapsed() < Duration::from_secs(5) || answered < 30 {
        assert!(began.elapsed() < Duration::from_secs(60), "{answered} frames in a minute");
        answered += board.records().len();
        if let Ok(n) = near.read(&mut chunk) {
            bytes.extend_from_slice(&chunk[..n]);
        }
    }
    let time = began.elapsed();
    board.end();
    // Bytes of a frame cut by the end of listening are no bad frame.
    while let Ok(n) = near.read(&mut chunk) {
        bytes.extend_from_slice(&chunk[..n]);
    }
    (bytes, time)
}

#[test]
fn an_autopilot_understands_every_frame() {
    let (bytes, time) = recorded();
    let mut counts = BTreeMap::<&str, usize>::new();
    let mut reader = PeekReader::new(bytes.as_slice());
    let mut taken = 0;
    let mut last = None;
    while let Ok((header, message)) = mavlink::read_v2_msg::<MavMessage, _>(&mut reader) {
        assert_eq!((header.system_id, header.component_id), (7, 191));
        assert!(last.is_none_or(|last: u8| header.sequence == last.wrapping_add(1)), "a frame was skipped after {last:?}");
        last = Some(header.sequence);
        let mut again = Vec::new();
        mavlink::write_versioned_msg(&mut again, MavlinkVersion::V2, header, &message).unwrap();
        taken += again.len();
        let name = match message {
            MavMessage::HEARTBEAT(beat) => {
                assert_eq!((beat.mavtype, beat.system_status), (MavType::MAV_TYPE_ONBOARD_CONTROLLER, MavState::MAV_STATE_ACTIVE));
                "HEARTBEAT"
            }
            MavMessage::ONBOARD_COMPUTER_STATUS(status) => {
                assert!(status.ram_total > 0 && status.ram_usage < status.ram_total);
                "ONBOARD_COMPUTER_STATUS"
            }
            MavMessage::LANDING_TARGET(target) => {
                assert!(target.angle_x.abs() < 0.7 && target.size_x > 0.0, "{target:?}");
                "LANDING_TARGET"
            }
            MavMessage::OBSTACLE_DISTANCE(all) => {
                assert_eq!((all.frame, all.increment), (MavFrame::MAV_FRAME_BODY_FRD, 5));
                "OBSTACLE_DISTANCE"
            }
            MavMessage::STATUSTEXT(_) => "STATUSTEXT",
            other => panic!("{other:?} is not said here"),
        };
        *counts.entry(name).or_default() += 1;
    }
    println!("{counts:?}");
    assert_eq!(taken, bytes.len(), "no byte lies outside a frame");
    assert!((3..=3 + time.as_secs() as usize).contains(&counts["HEARTBEAT"]), "{counts:?} in {time:?}");
    assert!(counts.len() == 5 && counts["LANDING_TARGET"] > 5, "{counts:?}");
    by_pymavlink(&bytes, counts.values().sum());
}

/// Asks pymavlink. `LINK_PYTHON` names an interpreter that has it.
fn by_pymavlink(bytes: &[u8], frames: usize) {
    let python = std::env::var("LINK_PYTHON").unwrap_or_else(|_| "python3".into());
    if !Command::new(&python).args(["-c", "import pymavlink"]).output().is_ok_and(|tried| tried.status.success()) {
        println!("skipped: {python} has no pymavlink (pip install pymavlink; LINK_PYTHON names an interpreter)");
        return;
    }
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), bytes).unwrap();
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/link/mavlink.py");
    let judged = Command::new(python).arg(script).arg(file.path()).output().unwrap();
    let (said, errors) = (String::from_utf8_lossy(&judged.stdout), String::from_utf8_lossy(&judged.stderr));
    println!("pymavlink: {said}");
    assert!(judged.status.success(), "{said}{errors}");
    assert!(said.starts_with(&format!("{frames} frames, 0 bad")), "{said}");
}
