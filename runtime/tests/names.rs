//! Names that are no UTF-8 are names like others, wherever a path is taken.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// `stem`, a byte that no UTF-8 has, and the ending.
fn name(folder: &Path, stem: &str, ending: &str) -> PathBuf {
    let mut bytes = stem.as_bytes().to_vec();
    bytes.push(0xe9);
    bytes.extend(ending.as_bytes());
    folder.join(OsString::from_vec(bytes))
}

fn recslowfast(arguments: &[&OsStr]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_recslowfast")).args(arguments).env_remove("NOTIFY_SOCKET").output().expect("the binary starts")
}

#[track_caller]
fn succeeds(arguments: &[&OsStr]) -> String {
    let output = recslowfast(arguments);
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// A film of three frames.
fn film(path: &Path) {
    let mut film = b"YUV4MPEG2 W16 H16 F25:1 Cmono\n".to_vec();
    for frame in 0..3u8 {
        film.extend(b"FRAME\n");
        film.extend((0..=255u8).map(|pixel| pixel.wrapping_add(frame)));
    }
    std::fs::write(path, film).unwrap();
}

/// A network in a new folder of that name.
fn copy_network(to: &Path) {
    std::fs::create_dir(to).unwrap();
    let zoo = Path::new(env!("CARGO_MANIFEST_DIR")).join("../models/zoo/pathfinder-lean");
    for file in ["model.toml", "encoder.onnx", "step.onnx", "readout.onnx"] {
        std::fs::copy(zoo.join(file), to.join(file)).unwrap();
    }
}

fn word(word: &str) -> &OsStr {
    OsStr::new(word)
}

fn joined(prefix: &str, path: &Path) -> OsString {
    let mut word = OsString::from(prefix);
    word.push(path);
    word
}

#[test]
fn films_networks_snapshots_and_recordings_may_be_called_anything() {
    let folder = tempfile::tempdir().unwrap();
    let [walk, network, recording, picture] =
        [("walk", ".y4m"), ("network", ""), ("tape", ".mcap"), ("last", ".png")].map(|(stem, ending)| name(folder.path(), stem, ending));
    film(&walk);
    copy_network(&network);
    assert!(succeeds(&[word("inspect"), network.as_os_str()]).contains("lean"));
    let snapshot = joined("snapshot:", &picture);
    let run = ["run", "--halt", "fixed:1", "--report", "json", "--report"].map(word);
    let more: [&OsStr; 5] = [&snapshot, word("--model"), network.as_os_str(), word("--source"), walk.as_os_str()];
    let said = succeeds(&[&run[..], &more].concat());
    assert_eq!(said.lines().count(), 3, "{said}");
    assert!(picture.is_file());
    succeeds(&[word("record"), walk.as_os_str(), recording.as_os_str()]);
    assert!(recording.is_file());
}

#[test]
fn folders_to_evaluate_and_calibrate_on_may_be_called_anything() {
    let folder = tempfile::tempdir().unwrap();
    let (videos, network) = (name(folder.path(), "videos", ""), name(folder.path(), "network", ""));
    let size = ["--videos", "5", "--frames", "2", "--size", "64", "--seed", "3", "--out"].map(word);
    succeeds(&[&["dataset", "pathfinder"].map(word), &size[..], &[videos.as_os_str()]].concat());
    copy_network(&network);
    let on: [&OsStr; 6] = [word("--source"), videos.as_os_str(), word("--model"), network.as_os_str(), word("--videos"), word("4")];
    let said = succeeds(&[&["eval", "--frames", "2", "--halt", "fixed:1"].map(word)[..], &on].concat());
    assert!(said.contains("fixed:1"), "{said}");
    let loose = ["calibrate", "--frames", "2", "--criterion", "slow-fast", "--loss", "99", "--dry-run"].map(word);
    let said = succeeds(&[&loose[..], &on].concat());
    assert!(said.contains("videos\u{fffd}") && said.contains("chosen"), "{said}");
}

#[test]
fn a_name_that_is_not_there_is_told_as_well_as_it_can_be() {
    let folder = tempfile::tempdir().unwrap();
    let missing = name(folder.path(), "caf", ".avi");
    let output = recslowfast(&[word("run"), word("--report"), word("json"), word("--source"), missing.as_os_str()]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(4), "{said}");
    assert!(said.contains("caf\u{fffd}.avi") && said.contains("no such file"), "{said}");
    let port = OsStr::from_bytes(b"link:/dev/tty\xe9");
    let output = recslowfast(&[word("run"), word("--report"), port]);
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("no UTF-8"));
}
