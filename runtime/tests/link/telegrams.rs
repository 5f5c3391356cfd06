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
        assert!(matches!(device.next(Duration::from_secs(5)), Some(Telemetry::ClassName(name)) if name.class == class));
    }
    let status = device.status_that(|status| status.recent.len() > 3);
    assert_eq!((status.camera, status.engine, status.steps, status.paused), (CameraState::Streaming, Engine::Cpu, 1, false));
    assert!(status.inference_cfps > 100 && status.age_us > 0, "{status:?}");
    device.wait(|telegram| matches!(telegram, Telemetry::Detections(seen) if seen.found > 0).then_some(()));
    // Faster, then silent, as the device likes it.
    device.sequence = 5;
    assert_eq!(device.ask(Command::AskHello), AckResult::Done);
    device.wait(|telegram| matches!(telegram, Telemetry::Hello(_)).then_some(()));
    assert_eq!(device.ask(Command::SetReportRate(SetReportRate { status_period_ms: 20, detections_period_ms: 0 })), AckResult::Done);
    device.all(Duration::from_millis(200));
    let told = device.all(Duration::from_secs(1));
    assert!(told.len() >= 15 && told.iter().all(|one| matches!(one, Telemetry::Status(_))), "{} telegrams", told.len());
    assert_eq!(device.ask(Command::SetReportRate(SetReportRate::default())), AckResult::Done);
    device.all(Duration::from_millis(200));
    assert_eq!(device.all(Duration::from_millis(500)), []);
    assert_eq!(device.ask(Command::AskStatus), AckResult::Done);
    device.status();
    let counters = *device.counters();
    assert_eq!((counters.crc, counters.cobs, counters.malformed, counters.lost), (0, 0, 0, 0), "{counters:?}");
    assert_eq!(board.end().0, Some(0));
}

#[test]
fn a_line_that_nobody_reads_delays_neither_frames_nor_the_end() {
    let socket = Socket::new();
    let near = socket.plug();
    let board = Board::start(&["--halt", "fixed:1", "--report", &format!("link:{}", socket.path().display())]);
    board.record();
    let rate = board.records(Duration::from_secs(3)).len();
    assert!(rate > 2, "{rate} frames in three seconds");
    let began = std::time::Instant::now();
    let (code, log) = board.end();
    assert!(began.elapsed() < Duration::from_secs(3), "{:?}", began.elapsed());
    assert_eq!(code, Some(0), "{log}");
    drop(near);
}
