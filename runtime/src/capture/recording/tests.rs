//! What goes into a recording comes out of it.

use std::time::Duration;

use super::*;
use crate::capture::{self, Pull, Want};
use crate::frame::{Frame, PixelFormat};

fn frame(format: PixelFormat, number: u64) -> Frame {
    let (width, height) = (6, 4);
    let stride = format.row_bytes(width) + 2 * u32::from(format != PixelFormat::Mjpeg);
    let bytes = format.picture_bytes(width, height, stride).max(40);
    Frame {
        format,
        width,
        height,
        stride,
        range: format.usual_range(),
        data: (0..bytes).map(|i| (i as u64 * 7 + number) as u8).collect(),
        sequence: (1 << 40) + number * 2,
        captured: Duration::from_nanos(1_234_567_890_123 + number * 40_000_001),
        cut: number % 3 == 2,
    }
}

fn spec(path: std::path::PathBuf) -> RecordSpec {
    RecordSpec { path, limit: None, events: None, timed: true }
}

fn replay(path: &std::path::Path) -> Vec<Frame> {
    let mut source = capture::open(path.to_str().unwrap(), &Want::default()).unwrap();
    assert!(source.info().timed && !source.info().live);
    let mut frames = Vec::new();
    let mut frame = Frame::default();
    while source.pull(&mut frame, Duration::ZERO).unwrap() == Pull::Frame {
        frames.push(frame.clone());
    }
    frames
}

fn same(a: &Frame, b: &Frame) -> bool {
    let key = |f: &Frame| (f.format, f.width, f.height, f.stride, f.range, f.sequence, f.captured, f.cut, f.data.clone());
    key(a) == key(b)
}

#[test]
fn every_format_comes_back_bit_for_bit_even_in_one_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("all.mcap");
    let mut recorder = Recorder::create(spec(path.clone())).unwrap();
    let mut put = Vec::new();
    for (number, format) in PixelFormat::all().filter(|format| *format != PixelFormat::Mjpeg).enumerate() {
        let frame = frame(format, number as u64);
        recorder.frame(&frame).unwrap();
        recorder.outcome(frame.captured, r#"{"steps":3}"#).unwrap();
        put.push(frame);
    }
    let summary = recorder.finish().unwrap();
    assert_eq!(summary.frames, put.len() as u64);
    assert_eq!(summary.bytes, std::fs::metadata(&path).unwrap().len());
    let got = replay(&path);
    assert_eq!(got.len(), put.len());
    for (got, put) in got.iter().zip(&put) {
        assert!(same(got, put), "{}", put.format);
    }
}

#[test]
fn a_recording_knows_whether_its_times_are_those_of_the_scene() {
    let folder = tempfile::tempdir().unwrap();
    for timed in [true, false] {
        let path = folder.path().join("t.mcap");
        let mut recorder = Recorder::create(RecordSpec { timed, ..spec(path.clone()) }).unwrap();
        recorder.frame(&frame(PixelFormat::Grey, 0)).unwrap();
        recorder.finish().unwrap();
        let source = capture::open(path.to_str().unwrap(), &Want::default()).unwrap();
        assert_eq!(source.info().timed, timed);
    }
}

#[test]
fn a_jpeg_stays_the_jpeg_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("j.mcap");
    let mut put = frame(PixelFormat::Mjpeg, 5);
    put.data = b"\xff\xd8\xff\xc0\x00\x0b\x08\x00\x04\x00\x06\x01\x01\x11\x00\xff\xda\x00\x02\xff\xd9".to_vec().into();
    let mut recorder = Recorder::create(spec(path.clone())).unwrap();
    recorder.frame(&put).unwrap();
    recorder.finish().unwrap();
    assert!(same(&replay(&path)[0], &put));
}

#[test]
fn a_recording_that_was_cut_gives_its_whole_frames_and_then_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("cut.mcap");
    let mut recorder = Recorder::create(spec(path.clone())).unwrap();
    for number in 0..10 {
        recorder.frame(&frame(PixelFormat::Grey, number)).unwrap();
    }
    recorder.finish().unwrap();
    let whole = std::fs::read(&path).unwrap();
    let mut most = 0;
    for length in 0..whole.len() {
        let mut frames = reader::Frames::new(&whole[..length], length as u64);
        let mut frame = Frame::default();
        while let Ok(true) = frames.next(&mut frame) {}
        assert!(frames.next(&mut frame).is_err() || frames.frames() == 10, "{length} of {}", whole.len());
        assert!(frames.frames() >= most, "more bytes gave fewer frames");
        most = frames.frames();
    }
    assert_eq!(most, 10);
}

#[test]
fn a_bounded_recording_keeps_the_newest_and_never_passes_its_limit() {
    let folder = tempfile::tempdir().unwrap();
    let limit = 2 << 20;
    let mut recorder = Recorder::create(RecordSpec { limit: Some(limit), ..spec(folder.path().join("ring.mcap")) }).unwrap();
    let used = || -> u64 { std::fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().metadata().unwrap().len()).sum() };
    for number in 0..100 {
        let mut frame = frame(PixelFormat::Grey, number);
        (frame.width, frame.height, frame.stride) = (320, 240, 320);
        frame.data = vec![number as u8; 320 * 240].into();
        recorder.frame(&frame).unwrap();
        assert!(used() <= limit, "{} bytes at frame {number}", used());
    }
    let summary = recorder.finish().unwrap();
    assert!(summary.frames == 100 && summary.bytes <= limit && summary.bytes > limit / 2, "{summary:?}");
    let kept: Vec<Frame> = summary.files.iter().flat_map(|path| replay(path)).collect();
    assert_eq!(kept.last().unwrap().sequence, (1 << 40) + 198);
    assert!(kept.windows(2).all(|pair| pair[1].sequence == pair[0].sequence + 2));
}

#[test]
fn an_event_keeps_the_time_before_and_after_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("event.mcap");
    let around = Events { before: Duration::from_millis(100), after: Duration::from_millis(50) };
    let mut recorder = Recorder::create(RecordSpec { events: Some(around), ..spec(path.clone()) }).unwrap();
    for number in 0..100_u64 {
        let mut frame = frame(PixelFormat::Grey, number);
        frame.captured = Duration::from_millis(number * 10);
        frame.sequence = number;
        recorder.frame(&frame).unwrap();
        recorder.outcome(frame.captured, "{}").unwrap();
        if number == 40 || number == 43 || number == 90 {
            recorder.event(frame.captured).unwrap();
        }
    }
    recorder.finish().unwrap();
    let kept: Vec<u64> = replay(&path).iter().map(|frame| frame.sequence).collect();
    assert_eq!(kept, (30..=48).chain(80..=95).collect::<Vec<_>>());
}

#[test]
fn what_cannot_be_recorded_is_refused_in_words() {
    let folder = tempfile::tempdir().unwrap();
    let refuse = |path: &str, limit| Recorder::create(RecordSpec { limit, ..spec(folder.path().join(path)) }).err().unwrap().to_string();
    assert!(refuse("a.avi", None).contains("must end in .mcap"));
    assert!(refuse("none/a.mcap", None).contains("its folder does not exist"));
    assert!(refuse("a.mcap", Some(7)).contains("at least 1048576"));
    if std::path::Path::new("/dev/full").exists() {
        let link = folder.path().join("full.mcap");
        std::os::unix::fs::symlink("/dev/full", &link).unwrap();
        let error = Recorder::create(spec(link)).and_then(|mut recorder| {
            for number in 0..10_000 {
                recorder.frame(&frame(PixelFormat::Grey, number))?;
            }
            recorder.finish()
        });
        let error = error.unwrap_err().to_string();
        assert!(error.contains("the disk is full"), "{error}");
    }
}
