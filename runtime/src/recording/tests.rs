//! What goes into a recording comes out of it.

mod events;
mod foreign;

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::*;
use crate::frame::{Frame, PixelFormat};
use crate::source::{Pull, Source, Times};
use crate::telemetry::{Detection, Region, Report};

/// When the first frame was taken, on the wall clock.
const WALL: Duration = Duration::from_secs(1_795_684_590);

fn frame(format: PixelFormat, number: u64) -> Frame {
    let (width, height) = (6, 4);
    // Nothing between rows: what lies there is no part of a picture.
    let stride = format.row_bytes(width);
    let bytes = format.picture_bytes(width, height, stride).max(40);
    let bytes = if format == PixelFormat::Mjpeg { bytes } else { format.picture_bytes(width, height, stride) };
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

/// A report about `frame`, with or without a detection.
fn report(frame: &Frame, seen: bool) -> Report {
    let region = Region { x: 1.0, y: 1.0, width: 3.0, height: 2.0 };
    let detection = Detection { class: 1, region, area: 6.0, score: 0.875, track: 7, track_frames: 2, speed_px_s: None };
    Report {
        captured: frame.captured,
        wall: Some(WALL),
        size: (frame.width, frame.height),
        detections: if seen { [detection].into_iter().collect() } else { Default::default() },
        ..Report::for_tests(frame.sequence)
    }
}

fn spec(path: PathBuf) -> RecordSpec {
    RecordSpec { path, limit: None, events: None, timed: true, watched_by: None }
}

fn create(spec: RecordSpec) -> Result<Recorder, RecordError> {
    Recorder::create(
        spec,
        OutcomeFormat { classes: ["background".to_owned(), "path".to_owned()].into(), outcome: |_, _| r#"{"steps":3}"#.into() },
    )
}

/// JPEG alone, as it stands.
fn jpeg(bytes: &[u8], frame: &mut Frame) -> Result<(), String> {
    if !bytes.starts_with(b"\xff\xd8") {
        return Err("it is no JPEG".into());
    }
    (frame.format, frame.width, frame.height, frame.stride) = (PixelFormat::Mjpeg, 6, 4, 0);
    frame.data.clear();
    frame.data.extend_from_slice(bytes);
    Ok(())
}

fn open(path: &Path) -> Replay {
    Replay::open("test", path, None, jpeg).unwrap()
}

fn replay(path: &Path) -> Vec<Frame> {
    let mut source = open(path);
    assert!(source.info().timed && source.times() == Times::Replayed);
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
    let mut recorder = create(spec(path.clone())).unwrap();
    let mut put = Vec::new();
    for (number, format) in PixelFormat::all().filter(|format| *format != PixelFormat::Mjpeg).enumerate() {
        let frame = frame(format, number as u64);
        let report = Some(report(&frame, true));
        recorder.take(RecordedFrame { frame: frame.clone(), wall: WALL, run: None, report, shapes: None }).unwrap();
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
fn every_picture_is_written_in_an_encoding_that_foxglove_draws() {
    let drawn = "8UC1 8UC3 16UC1 32FC1 bayer_bggr8 bayer_gbrg8 bayer_grbg8 bayer_rggb8 bgr8 bgra8 mono8 mono16 rgb8 rgba8 uyvy yuyv";
    for format in PixelFormat::all().filter(|format| *format != PixelFormat::Mjpeg) {
        let mut message = Vec::new();
        proto::write(&frame(format, 0), WALL, &mut message);
        let image = proto::read(&message, false).unwrap();
        assert!(drawn.split(' ').any(|drawn| drawn == image.encoding), "{format}: {}", image.encoding);
        assert!(image.data.len() >= image.step as usize * (image.height as usize - 1), "{format}");
    }
}

#[test]
fn a_recording_keeps_both_clocks_and_what_was_decided() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("t.mcap");
    let mut recorder = create(spec(path.clone())).unwrap();
    let run = Some(r#"{"at_ns":12345678901234567,"plan":{"limit":3}}"#.to_owned());
    let put = frame(PixelFormat::Grey, 0);
    recorder.take(RecordedFrame { run, ..RecordedFrame::plain(put.clone(), WALL + Duration::from_nanos(7)) }).unwrap();
    recorder.finish().unwrap();
    let source = open(&path);
    let recorded = source.recorded().unwrap();
    assert_eq!(recorded.wall, Some(WALL + Duration::from_nanos(7)));
    let run = recorded.run.as_ref().unwrap();
    assert_eq!((run["at_ns"].as_u64(), run["plan"]["limit"].as_u64()), (Some(12_345_678_901_234_567), Some(3)));
    assert_eq!(replay(&path)[0].captured, put.captured);
}

#[test]
fn a_recording_knows_whether_its_times_are_those_of_the_scene() {
    let folder = tempfile::tempdir().unwrap();
    for timed in [true, false] {
        let path = folder.path().join(format!("{timed}.mcap"));
        let mut recorder = create(RecordSpec { timed, ..spec(path.clone()) }).unwrap();
        recorder.take(RecordedFrame::plain(frame(PixelFormat::Grey, 0), WALL)).unwrap();
        recorder.finish().unwrap();
        assert_eq!(open(&path).info().timed, timed);
    }
}

#[test]
fn a_jpeg_stays_the_jpeg_it_was_and_a_damaged_one_stays_damaged() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("j.mcap");
    let mut put = frame(PixelFormat::Mjpeg, 5);
    put.data = b"\xff\xd8\xff\xc0\x00\x0b\x08\x00\x04\x00\x06\x01\x01\x11\x00\xff\xda\x00\x02\xff\xd9".to_vec().into();
    let mut damaged = put.clone();
    damaged.data[0] = 0;
    let mut recorder = create(spec(path.clone())).unwrap();
    recorder.take(RecordedFrame::plain(put.clone(), WALL)).unwrap();
    recorder.take(RecordedFrame::plain(damaged.clone(), WALL)).unwrap();
    recorder.finish().unwrap();
    let got = replay(&path);
    assert!(same(&got[0], &put));
    assert_eq!((got[1].format, &got[1].data[..]), (PixelFormat::Mjpeg, &damaged.data[..]));
}

#[test]
fn a_recording_that_was_cut_gives_its_whole_frames_and_then_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("cut.mcap");
    let mut recorder = create(spec(path.clone())).unwrap();
    for number in 0..10 {
        recorder.take(RecordedFrame::plain(frame(PixelFormat::Grey, number), WALL)).unwrap();
        recorder.flush().unwrap();
    }
    recorder.finish().unwrap();
    let whole = std::fs::read(&path).unwrap();
    let mut most = 0;
    for length in 0..whole.len() {
        let mut frames = Frames::new(&whole[..length], length as u64, None, jpeg);
        let mut frame = Frame::default();
        while let Ok(true) = frames.next(&mut frame) {}
        assert!(frames.next(&mut frame).is_err() || frames.frames() == 10, "{length} of {}", whole.len());
        assert!(frames.frames() >= most, "more bytes gave fewer frames");
        most = frames.frames();
    }
    assert_eq!(most, 10);
}

/// As `kill -9`, or the end of the power, leaves it.
#[test]
fn the_file_is_whole_after_every_flush() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("k.mcap");
    let mut recorder = create(spec(path.clone())).unwrap();
    for number in 0..5 {
        assert_eq!(read_whole(&path), number, "before frame {number}");
        recorder.take(RecordedFrame::plain(frame(PixelFormat::Grey, number), WALL)).unwrap();
        recorder.flush().unwrap();
    }
    recorder.finish().unwrap();
    assert_eq!(read_whole(&path), 5);
}

/// Frames in a file that must be whole.
fn read_whole(path: &Path) -> u64 {
    let bytes = std::fs::read(path).unwrap();
    let mut frames = Frames::new(&bytes[..], bytes.len() as u64, None, jpeg);
    let mut frame = Frame::default();
    while frames.next(&mut frame).unwrap() {}
    frames.frames()
}

#[test]
fn a_bounded_recording_keeps_the_newest_and_never_passes_its_limit_over_any_number_of_starts() {
    let folder = tempfile::tempdir().unwrap();
    let limit = 2 << 20;
    let used = || -> u64 { std::fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().metadata().unwrap().len()).sum() };
    let mut noise = 1_u32;
    for start in 0..3 {
        let mut recorder = create(RecordSpec { limit: Some(limit), ..spec(folder.path().join("ring.mcap")) }).unwrap();
        for number in 0..40 {
            let mut frame = frame(PixelFormat::Grey, start * 40 + number);
            (frame.width, frame.height, frame.stride) = (320, 240, 320);
            // Nothing that gets smaller.
            let mut random = || {
                noise = noise.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                (noise >> 24) as u8
            };
            frame.data = (0..320 * 240).map(|_| random()).collect();
            recorder.take(RecordedFrame::plain(frame, WALL)).unwrap();
            recorder.flush().unwrap();
            assert!(used() <= limit, "{} bytes at frame {number} of start {start}", used());
        }
        let summary = recorder.finish().unwrap();
        assert!(summary.frames == 40 && used() <= limit && used() > limit / 2, "{summary:?}");
    }
    let kept: Vec<Frame> = family(&folder.path().join("ring.mcap")).iter().flat_map(|path| replay(path)).collect();
    assert_eq!(kept.last().unwrap().sequence, (1 << 40) + 2 * 119);
    assert!(kept.windows(2).all(|pair| pair[1].sequence == pair[0].sequence + 2));
}

/// Topic, log time and content of every message of a recording.
fn messages(file: &[u8]) -> Vec<(String, Duration, Vec<u8>)> {
    let mut topics = std::collections::HashMap::new();
    let mut found = Vec::new();
    let mut rest = &file[8..];
    while let Some((opcode, record, after)) = records::split(rest) {
        rest = after;
        let chunk = if opcode == records::CHUNK { Some(records::Chunk::read(record).unwrap()) } else { None };
        let Some(chunk) = chunk else { continue };
        let mut unpacked = Vec::new();
        compression::unpack(chunk.compression, chunk.packed, chunk.size as usize, &mut unpacked).unwrap();
        let mut inner = &unpacked[..];
        while let Some((opcode, record, after)) = records::split(inner) {
            inner = after;
            if opcode == records::CHANNEL {
                let channel = records::Channel::read(record).unwrap();
                topics.insert(channel.id, channel.topic.to_owned());
            } else if opcode == records::MESSAGE {
                let message = records::Message::read(record).unwrap();
                found.push((topics[&message.channel].clone(), message.log_time, message.data.to_vec()));
            }
        }
    }
    found
}

#[test]
fn what_cannot_be_recorded_is_refused_in_words() {
    let folder = tempfile::tempdir().unwrap();
    let refuse = |path: &str, limit| create(RecordSpec { limit, ..spec(folder.path().join(path)) }).err().unwrap().to_string();
    assert!(refuse("a.avi", None).contains("must end in .mcap"));
    assert!(refuse("none/a.mcap", None).contains("its folder does not exist"));
    assert!(refuse("a.mcap", Some(7)).contains("at least 1048576"));
    if Path::new("/dev/full").exists() {
        let link = folder.path().join("full.mcap");
        std::os::unix::fs::symlink("/dev/full", &link).unwrap();
        let error = create(spec(link)).err().unwrap().to_string();
        assert!(error.contains("the disk is full"), "{error}");
    }
}
