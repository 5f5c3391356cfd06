//! Recordings: decided again as they were, never written over, never read while they are written, opened whoever wrote them.

mod cases;

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use cases::case;

fn program() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_recslowfast"));
    command.stdin(Stdio::null());
    command
}

fn run(source: &str, more: &[&str]) -> Output {
    program()
        .args(["run", "--engine", "cpu", "--report", "json", "--model", "pathfinder-hgru", "--source", source])
        .args(more)
        .output()
        .unwrap()
}

fn answers(output: &Output) -> Vec<serde_json::Value> {
    assert!(output.status.success(), "{}", said(output));
    let text = std::str::from_utf8(&output.stdout).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// The records of `run`, but for what is measured on this machine.
fn decisions(source: &str, more: &[&str], kept: &[&str]) -> Vec<serde_json::Value> {
    let records = answers(&run(source, more));
    records.iter().map(|record| kept.iter().map(|key| (key.to_string(), record[key].clone())).collect()).collect()
}

const DECIDED: [&str; 6] = ["steps", "stop", "distances", "drive_distance", "detections", "sequence"];
/// What a replay on the recorded clock says again besides.
const TIMED: [&str; 8] = ["limit", "limit_reason", "age_ms", "captured_s", "wall", "dropped", "skipped", "stages_ms"];

/// Recordings in a folder, by name.
fn recordings(folder: &Path) -> Vec<PathBuf> {
    let paths = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut found: Vec<PathBuf> = paths.filter(|path| path.extension().is_some_and(|ending| ending == "mcap")).collect();
    found.sort();
    found
}

/// Frames of this source come as fast as they are asked for: their capture times are not those of the scene.
#[test]
fn a_source_without_a_clock_replays_bit_for_bit() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("untimed.mcap");
    let path = path.to_str().unwrap();
    let day = decisions("pathfinder:easy?seed=11", &["--frames", "40", "--record", path], &DECIDED);
    assert_eq!(day.len(), 40);
    assert!(day.iter().any(|record| record["steps"] != day[0]["steps"]), "every frame took the same number of steps");
    assert_eq!(decisions(path, &[], &DECIDED), day);
}

/// A deadline that binds, kept on the clock of the recorded run: whatever this machine does meanwhile, the same is decided.
#[test]
fn a_run_under_a_deadline_replays_to_the_same_plan_ages_and_answers() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("timed.mcap");
    let path = path.to_str().unwrap();
    let kept: Vec<&str> = DECIDED.into_iter().chain(TIMED).collect();
    let budget = ["--deadline", "40ms@p90", "--mode", "saver"];
    let day = decisions("pathfinder:easy?seed=5&fps=15", &[&budget[..], &["--frames", "30", "--record", path]].concat(), &kept);
    assert_eq!(day.len(), 30);
    for more in [&[][..], &budget[..]] {
        let replayed = decisions(path, more, &kept);
        assert_eq!(replayed.len(), day.len());
        for (replayed, day) in replayed.iter().zip(&day) {
            assert_eq!(replayed, day, "with {more:?}");
        }
    }
    // Under another budget the governor plans anew, with the recorded costs: no step is too dear for a minute, if it may be for the frame rate.
    let free = decisions(path, &["--deadline", "60s"], &["limit_reason", "captured_s"]);
    assert!(free.iter().all(|record| record["limit_reason"] != "latency"), "{free:?}");
}

/// Case 02: a service that is started again keeps what it recorded before.
#[test]
fn every_start_keeps_the_recordings_before_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("seen.mcap");
    let path = path.to_str().unwrap();
    let mut sizes = Vec::new();
    for frames in ["8", "3", "1"] {
        answers(&run("pathfinder:easy", &["--frames", frames, "--record", path]));
        sizes.push(recordings(folder.path()).iter().map(|path| path.metadata().unwrap().len()).collect::<Vec<_>>());
    }
    assert!(program().args(["record", "pathfinder:easy", path, "--frames", "2"]).output().unwrap().status.success());
    let found = recordings(folder.path());
    assert_eq!(found.len(), 4, "{found:?}");
    let mut counts: Vec<usize> = found.iter().map(|path| answers(&run(path.to_str().unwrap(), &[])).len()).collect();
    counts.sort_unstable();
    assert_eq!(counts, [1, 2, 3, 8], "{sizes:?}");
}

/// Case 03: an output that is the source, under whatever name, is refused before anything is touched.
#[test]
fn no_output_is_the_source() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    assert!(program().args(["record", "pathfinder:easy", &at("in.mcap"), "--frames", "5"]).output().unwrap().status.success());
    std::fs::hard_link(at("in.mcap"), at("hard.mcap")).unwrap();
    std::os::unix::fs::symlink(at("in.mcap"), at("link.mcap")).unwrap();
    std::fs::copy(at("in.mcap"), at("ring-0000.mcap")).unwrap();
    let whole = std::fs::read(at("in.mcap")).unwrap();
    for (source, output, limit) in [
        ("in.mcap", "in.mcap", false),
        ("in.mcap", "../in.mcap", false),
        ("in.mcap?topic=/camera/image", "hard.mcap", false),
        ("link.mcap", "in.mcap", false),
        ("ring-0000.mcap", "ring.mcap", true),
    ] {
        let output = if output.starts_with("..") {
            at(&format!("../{}/in.mcap", folder.path().file_name().unwrap().to_str().unwrap()))
        } else {
            at(output)
        };
        let bound: &[&str] = if limit { &["--record-limit", "4"] } else { &[] };
        let refused = run(&at(source), &[&["--record", &output][..], bound].concat());
        assert_eq!(refused.status.code(), Some(2), "{source} to {output}: {}", said(&refused));
        assert!(said(&refused).contains("source"), "{}", said(&refused));
        let bound: &[&str] = if limit { &["--limit", "4"] } else { &[] };
        let refused = program().args(["record", &at(source), &output]).args(bound).output().unwrap();
        assert_eq!(refused.status.code(), Some(2), "record {source} to {output}: {}", said(&refused));
    }
    let refused = run(&at("in.mcap"), &["--report", &format!("snapshot:{}", at("in.mcap"))]);
    assert_eq!(refused.status.code(), Some(2), "{}", said(&refused));
    let config = at("c.toml");
    std::fs::write(&config, format!("[source]\nuri = \"{}\"\n[record]\nto = \"{}\"\n", at("in.mcap"), at("link.mcap"))).unwrap();
    let checked = program().args(["check", &config]).output().unwrap();
    assert_eq!(checked.status.code(), Some(3), "{}", said(&checked));
    assert!(said(&checked).contains("is the source"), "{}", said(&checked));
    assert!(std::fs::read(at("in.mcap")).unwrap() == whole, "the source was touched");
    assert_eq!(recordings(folder.path()).len(), 4, "something was made");
}

/// Case 05: what was answered more than a second ago survives the end of the program.
#[test]
fn a_killed_run_leaves_a_whole_recording() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("k.mcap");
    let (log, path) = (folder.path().join("answers"), path.to_str().unwrap());
    let mut child = program()
        .args(["run", "--engine", "cpu", "--source", "pathfinder:easy?size=64&fps=20", "--report", "json", "--record", path])
        .stdout(std::fs::File::create(&log).unwrap())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let answered = || std::fs::read_to_string(&log).unwrap().lines().count();
    let until = std::time::Instant::now() + std::time::Duration::from_secs(120);
    while answered() < 60 && std::time::Instant::now() < until {
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    let replay = run(path, &[]);
    let (kept, answered) = (answers(&replay).len(), answered());
    assert!(answered >= 60 && kept + 25 >= answered, "{kept} of {answered} answered frames are left");
    assert!(said(&replay).contains("was not finished"), "{}", said(&replay));
}

/// Case 15: a recording none of whose pictures can be read is a failure with a reason.
#[test]
fn no_answer_at_all_is_a_failure_with_a_reason() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("short.mcap");
    // Four pictures that say they are 8x800 and hold 64 bytes.
    let whole = std::fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/recordings/none.mcap")).unwrap();
    let (from, to) = (b"\x1d\x08\0\0\0\x22\x05mono8", b"\x1d\x20\x03\0\0\x22\x05mono8");
    let mut broken = whole.clone();
    for at in 0..broken.len() - from.len() {
        if broken[at..].starts_with(from) {
            broken[at..at + to.len()].copy_from_slice(to);
        }
    }
    assert!(broken != whole);
    // The chunk's checksum is not that of its records any more: none is taken instead.
    let chunk = broken.windows(9).position(|bytes| bytes[0] == 6 && bytes[7..] == [0, 0] && bytes[2..4] != [0, 0]).unwrap();
    broken[chunk + 9 + 24..chunk + 9 + 28].fill(0);
    std::fs::write(&path, broken).unwrap();
    let refused = run(path.to_str().unwrap(), &[]);
    assert_eq!(refused.status.code(), Some(4), "{}", said(&refused));
    assert!(said(&refused).contains("no frame was answered: all 4 are damaged"), "{}", said(&refused));
}

/// Cases 15, 16 and 28, where they are.
#[test]
fn recordings_of_others_are_answered() {
    for (name, expected, words) in [
        ("15-mcap-that-answers-nothing/step-zero.mcap", 4, ""),
        ("16-mcap-image-names/mime-name.mcap", 4, ""),
        ("28-missing-mcap-kinds/jpeg-zstd.mcap", 4, ""),
        ("28-missing-mcap-kinds/jpeg-lz4.mcap", 4, ""),
        ("28-missing-mcap-kinds/ros2-compressed.mcap", 3, ""),
        ("28-missing-mcap-kinds/json-encoded.mcap", 3, ""),
        ("28-missing-mcap-kinds/two-cameras.mcap", 4, "/right are left out: ?topic=/right plays it"),
        ("28-missing-mcap-kinds/two-cameras.mcap?topic=/right", 4, "/left are left out"),
    ] {
        let Some(path) = case(name) else { continue };
        let output = run(path.to_str().unwrap(), &[]);
        assert_eq!(answers(&output).len(), expected, "{name}: {}", said(&output));
        assert!(said(&output).contains(words), "{name}: {}", said(&output));
    }
}
