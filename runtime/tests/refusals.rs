//! Everything a user can get wrong gets one sentence and a stable exit code.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

const USAGE: i32 = 2;
const SOURCE: i32 = 4;
const MODEL: i32 = 5;
const ENGINE: i32 = 6;
const OUTPUT: i32 = 7;

fn recslowfast(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_recslowfast")).args(arguments).output().expect("the binary starts")
}

/// Runs, and expects exit code `code` and one sentence that holds all of `words`.
#[track_caller]
fn refused(arguments: &[&str], code: i32, words: &[&str]) {
    let output = recslowfast(arguments);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(code), "{arguments:?} said: {said}");
    let sentence = if code == USAGE { said.as_str() } else { said.lines().last().unwrap_or_default() };
    for word in words {
        assert!(sentence.contains(word), "{arguments:?}: '{word}' is not in: {said}");
    }
    assert!(!said.contains("panicked"), "{said}");
}

fn zoo() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../models/zoo/pathfinder-hgru")
}

/// A copy of the reference network, spoiled by `spoil`.
fn spoiled(spoil: impl Fn(&Path)) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for file in ["model.toml", "encoder.onnx", "step.onnx", "readout.onnx"] {
        fs::copy(zoo().join(file), folder.path().join(file)).unwrap();
    }
    spoil(folder.path());
    folder
}

#[track_caller]
fn model_refused(spoil: impl Fn(&Path), words: &[&str]) {
    let folder = spoiled(spoil);
    refused(&["inspect", folder.path().to_str().unwrap()], MODEL, words);
}

fn edit(path: PathBuf, change: impl Fn(Vec<u8>) -> Vec<u8>) {
    let bytes = fs::read(&path).unwrap();
    fs::write(path, change(bytes)).unwrap();
}

#[test]
fn a_device_that_is_not_there() {
    refused(&["run", "--source", "/dev/video99"], SOURCE, &["/dev/video99"]);
}

#[test]
fn a_device_that_is_no_camera() {
    refused(&["run", "--source", "v4l2:/dev/null"], SOURCE, &["/dev/null"]);
}

#[test]
fn a_source_of_an_unknown_kind() {
    refused(&["run", "--source", "warp://9"], SOURCE, &["warp://9"]);
}

#[test]
fn a_film_of_an_unsupported_format() {
    let folder = tempfile::tempdir().unwrap();
    let film = folder.path().join("film.y4m");
    fs::write(&film, b"YUV4MPEG2 W8 H8 F25:1 C999\nFRAME\n").unwrap();
    refused(&["run", "--source", film.to_str().unwrap()], SOURCE, &["film.y4m", "C999"]);
}

#[test]
fn a_truncated_film_is_answered_up_to_the_break() {
    let folder = tempfile::tempdir().unwrap();
    let film = folder.path().join("film.y4m");
    let mut bytes = b"YUV4MPEG2 W16 H16 F25:1 Cmono\n".to_vec();
    for _ in 0..3 {
        bytes.extend(b"FRAME\n");
        bytes.extend([128; 256]);
    }
    bytes.truncate(bytes.len() - 100);
    fs::write(&film, bytes).unwrap();
    let output = recslowfast(&["run", "--source", film.to_str().unwrap(), "--report", "json"]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(SOURCE), "{said}");
    assert_eq!(String::from_utf8_lossy(&output.stdout).lines().count(), 2, "the two whole frames are answered first");
    assert!(said.contains("film.y4m"), "{said}");
}

#[test]
fn a_network_that_is_not_there() {
    refused(&["inspect", "nothing-of-that-name"], MODEL, &["nothing-of-that-name", "pathfinder-hgru"]);
}

#[test]
fn a_network_with_a_missing_graph() {
    model_refused(|folder| fs::remove_file(folder.join("step.onnx")).unwrap(), &["step.onnx"]);
}

#[test]
fn a_network_whose_shapes_disagree_with_its_manifest() {
    let narrow = |folder: &Path| {
        edit(folder.join("model.toml"), |bytes| String::from_utf8(bytes).unwrap().replace("width = 64", "width = 32").into_bytes());
    };
    model_refused(narrow, &["encoder.onnx", "[input]", "32"]);
}

#[test]
fn a_network_with_nan_weights() {
    // Eight bytes of ones hold at least one whole NaN wherever the floats are aligned.
    let poison = |folder: &Path| {
        edit(folder.join("step.onnx"), |mut bytes| {
            let middle = bytes.len() / 2;
            bytes[middle..middle + 8].fill(0xff);
            bytes
        });
    };
    model_refused(poison, &["step.onnx", "NaN"]);
}

#[test]
fn a_network_with_a_truncated_graph() {
    let cut = |folder: &Path| edit(folder.join("step.onnx"), |bytes| bytes[..bytes.len() / 2].to_vec());
    model_refused(cut, &["step.onnx", "export it again"]);
}

#[test]
fn a_network_with_a_mistake_in_its_manifest() {
    let misspell = |folder: &Path| {
        edit(folder.join("model.toml"), |bytes| String::from_utf8(bytes).unwrap().replace("width =", "widht =").into_bytes());
    };
    let folder = spoiled(misspell);
    let output = recslowfast(&["inspect", folder.path().to_str().unwrap()]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(MODEL));
    assert!(said.contains("widht") && said.contains("line"), "{said}");
}

#[test]
fn an_unknown_halting_rule() {
    refused(&["run", "--halt", "vibes"], USAGE, &["vibes", "relative-l2:EPS"]);
}

#[test]
fn an_unknown_report() {
    refused(&["run", "--report", "pigeon"], USAGE, &["pigeon", "serial:PORT"]);
}

#[test]
fn an_engine_this_machine_does_not_have() {
    if Path::new("/dev/nvidiactl").exists() || Path::new("/dev/nvhost-gpu").exists() {
        println!("skipped: this machine has a GPU");
        return;
    }
    refused(&["run", "--engine", "cuda", "--frames", "1"], ENGINE, &["cuda"]);
}

#[test]
fn an_unwritable_output() {
    refused(&["eval", "--videos", "1", "--frames", "1", "--json", "/proc/nothing/here.json"], OUTPUT, &["/proc/nothing/here.json"]);
    refused(&["dataset", "pathfinder", "--videos", "1", "--out", "/proc/nothing"], OUTPUT, &["/proc/nothing"]);
}

#[test]
fn a_comparison_with_onnx_runtime_says_what_it_needs_wherever_it_is_started() {
    let folder = tempfile::tempdir().unwrap();
    let compared = |python: &str| {
        let output = Command::new(env!("CARGO_BIN_EXE_recslowfast"))
            .args(["bench", "--against", "onnxruntime"])
            .env("PYTHON", python)
            .env("TMPDIR", folder.path())
            .current_dir(folder.path())
            .output()
            .unwrap();
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "the network's files are gone again");
        (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    for python in ["/bin/false", "/nowhere/python3"] {
        let (code, said) = compared(python);
        assert_eq!(code, Some(6), "{said}");
        assert!(said.contains("pip install onnxruntime numpy") && said.contains(python), "{said}");
    }
}
