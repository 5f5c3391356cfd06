//! What the program says unasked.

use std::time::Duration;

use firmware_bridge::{AckResult, CameraState, Command, Engine, SetReportRate, Telemetry};

use crate::board::Board;
use crate::device::Device;
use crate::pty::Socket;

#[test]
fn it_greets_and_then_tells_how_it_is_and_what_it_sees() {
    let socket = Socket::new();
    let mut device = Device::new(socket.plug());
    let board = Board::start(&["--halt", "fixed:1", "--page", "127.0.0.1:0", "--report", &format!("link:{}", socket.path().display())]);
    let Some(Telemetry::Hello(hello)) = device.next(Duration::from_secs(60)) else { panic!("no greeting comes first") };
    assert_eq!((hello.width, hello.height), (64, 64));
    assert!(hello.software.starts_with("recslowfast ") && !hello.board.is_empty() && hello.address.starts_with("127.0.0.1"), "{hello:?}");
    for class in 0..hello.classes {
        assert!(matches!(device.next(Duration::from_secs(60)), Some(Telemetry::ClassName(name)) if name.class == class));
    }
    let status = device.status_that(|status| status.recent.len() > 3);
    assert_eq!((status.camera, status.engine, status.steps, status.paused), (CameraState::Streaming, Engine::Cpu, 1, false));
    assert!(status.inference_cfps > 0 && status.age_us > 0, "{status:?}");
    device.wait(|telegram| matches!(telegram, Telemetry::Detections(seen) if seen.found > 0).then_some(()));
    // Faster, then silent, as the device likes it.
    device.sequence = 5;
    assert_eq!(device.ask(Command::AskHello), AckResult::Done);
    device.wait(|telegram| matches!(telegram, Telemetry::Hello(_)).then_some(()));
    assert_eq!(device.ask(Command::SetReportRate(SetReportRate { status_period_ms: 20, detections_period_ms: 0 })), AckResult::Done);
    // What was found before may still be told; what is found later is not.
    let before = device.status().frame;
    let mut told = Vec::new();
    device.wait(|telegram| {
        told.push(telegram.clone());
        matches!(telegram, Telemetry::Status(status) if status.frame > before + 10).then_some(())
    });
    let late = |telegram: &&Telemetry| matches!(telegram, Telemetry::Detections(seen) if seen.frame > before + 1);
    assert_eq!(told.iter().find(late), None);
    assert_eq!(device.ask(Command::SetReportRate(SetReportRate::default())), AckResult::Done);
    let mut told = device.all(Duration::from_secs(1));
    told.retain(|telegram| !matches!(telegram, Telemetry::Log(_)));
    assert_eq!(told, []);
    assert_eq!(device.ask(Command::AskStatus), AckResult::Done);
    device.status();
    let counters = *device.counters();
    assert_eq!((counters.crc, counters.cobs, counters.malformed, counters.lost), (0, 0, 0, 0), "{counters:?}");
    board.end();
}

#[test]
fn a_line_that_nobody_reads_delays_neither_frames_nor_the_end() {
    let socket = Socket::new();
    let near = socket.plug();
    let _stopped = socket.stop();
    let board = Board::start(&["--halt", "fixed:1", "--report", &format!("link:{}", socket.path().display())]);
    (0..30).for_each(|_| drop(board.record()));
    let log = board.end();
    assert!(log.contains("a link's line stands still"), "{log}");
    drop(near);
}
