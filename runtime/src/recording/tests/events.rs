//! The time around events, and what bounds it; what a recording says of its run.

use super::*;

#[test]
fn an_event_keeps_the_time_before_and_after_it_and_every_answer_with_its_frame() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("event.mcap");
    let around = Events { before: Duration::from_millis(100), after: Duration::from_millis(50) };
    let naming = OutcomeFormat { outcome: |report, _| format!("{{\"sequence\":{}}}", report.sequence), ..OutcomeFormat::default() };
    let mut recorder = Recorder::create(RecordSpec { events: Some(around), ..spec(path.clone()) }, naming).unwrap();
    for number in 0..100_u64 {
        let mut frame = frame(PixelFormat::Grey, number);
        frame.captured = Duration::from_millis(number * 10);
        frame.sequence = number;
        let report = report(&frame, number == 40 || number == 43 || number == 90);
        let wall = WALL + frame.captured;
        recorder.take(RecordedFrame { frame, wall, run: None, report: Some(report), shapes: None }).unwrap();
    }
    recorder.finish().unwrap();
    let expected: Vec<u64> = (30..=48).chain(80..=95).collect();
    assert_eq!(replay(&path).iter().map(|frame| frame.sequence).collect::<Vec<_>>(), expected);
    // Each outcome lies at its frame's time.
    let bytes = std::fs::read(&path).unwrap();
    let mut said = Vec::new();
    for (channel, log_time, data) in messages(&bytes) {
        if channel == OUTCOME_TOPIC {
            let outcome: serde_json::Value = serde_json::from_slice(&data).unwrap();
            let number = outcome["sequence"].as_u64().unwrap();
            assert_eq!(log_time, WALL + Duration::from_millis(number * 10));
            said.push(number);
        }
    }
    assert_eq!(said, expected);
}

#[test]
fn the_time_around_an_event_is_bounded() {
    let around = |seconds| Events::around(Duration::from_secs(seconds));
    assert_eq!(around(3600).unwrap().before, Duration::from_secs(3600));
    assert!(around(3601).unwrap_err().contains("3600 are the most"));
    assert!(around(u64::MAX).is_err());
    let folder = tempfile::tempdir().unwrap();
    let events = Some(Events { before: Duration::ZERO, after: Duration::MAX });
    let refusal = create(RecordSpec { events, ..spec(folder.path().join("a.mcap")) }).err().unwrap().to_string();
    assert!(refusal.contains("a.mcap") && refusal.contains("3600 are the most"), "{refusal}");
}

#[test]
fn memory_bounds_the_time_before_an_event_and_the_newest_frames_are_kept() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("event.mcap");
    let events = Some(Events::around(Duration::from_secs(3600)).unwrap());
    let mut recorder = create(RecordSpec { events, ..spec(path.clone()) }).unwrap();
    // 40 MiB each: six of them are held.
    let mut frame = Frame { width: 8192, height: 5120, stride: 8192, data: vec![7; 8192 * 5120].into(), ..Frame::default() };
    let mut take = |number: u64, seen: bool| {
        frame.sequence = number;
        frame.captured = Duration::from_secs(number);
        let report = Some(report(&frame, seen));
        let taken =
            recorder.take(RecordedFrame { frame: std::mem::take(&mut frame), wall: WALL, run: None, report, shapes: None }).unwrap();
        frame = taken.unwrap_or_else(|| Frame {
            width: 8192,
            height: 5120,
            stride: 8192,
            data: vec![7; 8192 * 5120].into(),
            ..Frame::default()
        });
    };
    (0..12).for_each(|number| take(number, false));
    take(12, true);
    recorder.finish().unwrap();
    let kept: Vec<u64> = replay(&path).iter().map(|frame| frame.sequence).collect();
    assert_eq!(kept, [6, 7, 8, 9, 10, 11, 12]);
}

#[test]
fn a_recording_names_the_network_that_watched() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("named.mcap");
    let by = crate::source::WatchedBy { network: "street".into(), version: "2".into(), checksum: 0x00c0_ffee };
    let mut recorder = create(RecordSpec { watched_by: Some(by.clone()), ..spec(path.clone()) }).unwrap();
    recorder.take(RecordedFrame::plain(frame(PixelFormat::Grey, 1), WALL)).unwrap();
    // As kill -9 would leave it: without a summary.
    recorder.flush().unwrap();
    assert_eq!(watched_by(&path), Some(by.clone()));
    recorder.finish().unwrap();
    assert_eq!(watched_by(&path), Some(by));
    let none = folder.path().join("none.mcap");
    let mut recorder = create(spec(none.clone())).unwrap();
    recorder.take(RecordedFrame::plain(frame(PixelFormat::Mjpeg, 1), WALL)).unwrap();
    recorder.finish().unwrap();
    assert_eq!((watched_by(&none), watched_by(folder.path())), (None, None));
}
