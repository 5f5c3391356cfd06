//! What the world hands in: films, pictures and pipes as people really have them, watched by the program.
//!
//! Where the reported files are at hand (`shared/cases`), they are watched too; what they stand for is made here.

mod cases;

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use cases::case;

const SOURCE: i32 = 4;

fn watch(source: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_recslowfast"));
    command.args(["run", "--source", source, "--report", "json", "--halt", "fixed:1"]).env_remove("RUST_LOG");
    command
}

/// Exit code, records and log.
struct Seen {
    code: Option<i32>,
    records: Vec<serde_json::Value>,
    log: String,
}

fn seen(output: Output) -> Seen {
    let lines = String::from_utf8(output.stdout).expect("records are text");
    let records = lines.lines().map(|line| serde_json::from_str(line).expect("a record is an object")).collect();
    Seen { code: output.status.code(), records, log: String::from_utf8_lossy(&output.stderr).into_owned() }
}

fn run(source: impl AsRef<Path>) -> Seen {
    seen(watch(source.as_ref().to_str().unwrap()).output().expect("the binary starts"))
}

/// The case is answered `frames` times and ends well, with all of `words` in the log.
#[track_caller]
fn answered(name: &str, frames: usize, words: &[&str]) -> Option<Seen> {
    let seen = run(case(name)?);
    assert_eq!((seen.code, seen.records.len()), (Some(0), frames), "{name}: {}", seen.log);
    for word in words {
        assert!(seen.log.contains(word), "{name}: '{word}' is not in: {}", seen.log);
    }
    Some(seen)
}

/// Grey frames of 16x16, each of its own level.
fn y4m(frames: usize) -> Vec<u8> {
    let mut out = b"YUV4MPEG2 W16 H16 F25:1 Cmono\n".to_vec();
    for number in 0..frames {
        out.extend(b"FRAME\n");
        out.extend([number as u8 * 20; 256]);
    }
    out
}

#[test]
fn a_jpeg_of_any_sampling_and_with_any_tail_is_read() {
    answered("09-jpeg-vertical-sampling/ffmpeg-444.avi", 10, &[]);
    answered("09-jpeg-vertical-sampling/opencv-440.avi", 24, &[]);
    answered("10-bytes-after-the-end-of-a-jpeg/ff-padding.avi", 3, &[]);
    answered("10-bytes-after-the-end-of-a-jpeg/no-eoi.avi", 3, &[]);
}

#[test]
fn one_broken_picture_costs_that_picture_and_is_named() {
    for (name, words) in [
        ("11-one-bad-picture-ends-the-run/three-quarters.avi", "1 frames could not be read: frame 3"),
        ("11-one-bad-picture-ends-the-run/folder", "1 of 6 images could not be read: 3.jpg: the file is empty"),
    ] {
        if let Some(seen) = answered(name, 5, &[words]) {
            assert_eq!(seen.records.last().unwrap()["corrupt"], 1, "{name}");
        }
    }
    answered("11-one-bad-picture-ends-the-run/not-a-jpeg.avi", 5, &[]);
}

#[test]
fn films_whose_chunks_are_out_of_step_are_read_whole() {
    answered("12-avi-lost-between-chunks/odd-unpadded.avi", 4, &[]);
    answered("12-avi-lost-between-chunks/vlc-nulls-before-movi.avi", 4, &[]);
    answered("13-avi-written-into-a-pipe/ffmpeg-pipe.avi", 10, &[]);
}

#[test]
fn two_fields_make_one_picture_of_full_height() {
    answered("14-two-fields-in-one-picture/fields.avi", 4, &[]);
}

#[test]
fn pictures_beside_others_are_read_passed_over_or_counted() {
    if let Some(seen) = answered("17-apple-double-files/folder", 3, &[]) {
        assert!(!seen.log.contains("._"), "{}", seen.log);
    }
    answered("27-holes-in-a-folder-of-pictures/mixed", 6, &[]);
}

#[test]
fn layouts_of_y4m_are_read() {
    for name in ["c422.y4m", "c444.y4m"] {
        if let Some(path) = case(&format!("29-missing-y4m-layouts/{name}")) {
            let seen = run(path);
            assert_eq!(seen.code, Some(0), "{name}: {}", seen.log);
            assert!(!seen.records.is_empty(), "{name}");
        }
    }
}

#[test]
fn a_film_is_watched_through_standard_input() {
    for name in ["-", "/dev/stdin", "/dev/fd/0"] {
        let mut child = watch(name).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(&y4m(5)).unwrap();
        let seen = seen(child.wait_with_output().unwrap());
        assert_eq!((seen.code, seen.records.len()), (Some(0), 5), "{name}: {}", seen.log);
    }
}

#[test]
fn a_fifo_is_waited_for_and_read_once() {
    let folder = tempfile::tempdir().unwrap();
    let fifo = folder.path().join("film");
    assert!(Command::new("mkfifo").arg(&fifo).status().unwrap().success());
    let child = watch(fifo.to_str().unwrap()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    std::thread::sleep(Duration::from_millis(300));
    fs::write(&fifo, y4m(4)).unwrap();
    let seen = seen(child.wait_with_output().unwrap());
    assert_eq!((seen.code, seen.records.len()), (Some(0), 4), "{}", seen.log);
}

#[test]
fn a_source_that_ends_without_a_frame_is_a_failure_with_a_reason() {
    let folder = tempfile::tempdir().unwrap();
    let film = folder.path().join("none.y4m");
    fs::write(&film, y4m(0)).unwrap();
    let seen = run(&film);
    assert_eq!(seen.code, Some(SOURCE), "{}", seen.log);
    assert!(seen.log.contains("none.y4m: no frame was answered"), "{}", seen.log);
}

#[test]
fn a_film_is_played_again_and_marks_nothing_as_lost() {
    let folder = tempfile::tempdir().unwrap();
    let film = folder.path().join("film.y4m");
    fs::write(&film, y4m(3)).unwrap();
    let output = watch(&format!("{}?loop", film.display())).args(["--frames", "8"]).output().unwrap();
    let seen = seen(output);
    let sequence: Vec<u64> = seen.records.iter().map(|record| record["sequence"].as_u64().unwrap()).collect();
    assert_eq!((seen.code, sequence), (Some(0), (0..8).collect()), "{}", seen.log);
}

#[test]
fn a_scheme_that_does_not_exist_and_a_server_that_is_not_there_are_refused() {
    let output = run("rstp://camera/1");
    assert_eq!(output.code, Some(SOURCE));
    assert!(output.log.contains("'rstp' is no scheme of ours; known are v4l2, file, pathfinder, rtsp"), "{}", output.log);
}

/// What the table of sources in configs/README.md names is what `--source` understands.
#[test]
fn every_kind_of_source_in_the_handbook_is_known() {
    let handbook = include_str!("../../configs/README.md");
    let table: Vec<&str> = handbook.split("## Sources").nth(1).unwrap().lines().filter(|line| line.starts_with("| ")).skip(1).collect();
    assert!(table.len() >= 10, "{table:?}");
    for uri in
        ["/dev/video0", "0", "film.y4m", "-", "/dev/fd/5", "rtsp://host/1", "http://host/", "csi://0", "gst:videotestsrc is-live=true"]
    {
        recslowfast::capture::check(uri).unwrap_or_else(|error| panic!("{uri}: {error}"));
    }
    for written in ["`csi://0`", "`gst:videotestsrc is-live=true`", "`-`", "`/dev/fd/5`", "`#transport=udp`", "`?loop`"] {
        assert!(table.iter().any(|line| line.contains(written)), "{written} is not in the table");
    }
}
