//! Readers that go away (`| head`), full disks behind standard output, and a standard error that is gone.

use std::fs::OpenOptions;
use std::process::{Output, Stdio};

use crate::program::{QUICK, STREAM, recslowfast};

/// Verbs that print, each quick enough for here.
fn verbs(folder: &std::path::Path) -> Vec<Vec<String>> {
    let config = folder.join("a.toml");
    std::fs::write(&config, "[engine]\nkind = \"cpu\"\n").unwrap();
    let root = folder.join("root");
    std::fs::create_dir_all(&root).unwrap();
    let of = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
    vec![
        of(&["inspect"]),
        of(&["check", config.to_str().unwrap()]),
        of(&["doctor", "board"]),
        of(&["doctor", "model", "--json"]),
        of(&["bench", "--repeats", "1", "--threads", "1"]),
        of(&["eval", "--videos", "1", "--frames", "2", "--halt", "fixed:1", "--engine", "cpu"]),
        of(&["dataset", "pathfinder", "--videos", "1", "--frames", "2", "--size", "32", "--out", folder.join("set").to_str().unwrap()]),
        of(&["run", "--source", STREAM, "--frames", "3", "--engine", "cpu", "--model", QUICK, "--report", "json"]),
        of(&["--help"]),
        of(&["--version"]),
    ]
}

fn with_closed_pipe(arguments: &[String], standard_error: bool) -> Output {
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let mut command = recslowfast();
    command.args(arguments).stdin(Stdio::null());
    if standard_error {
        command.stderr(writer)
    } else {
        command.stdout(writer)
    };
    command.output().unwrap()
}

#[test]
fn a_reader_that_left_is_no_fault_in_any_verb() {
    let folder = tempfile::tempdir().unwrap();
    for arguments in verbs(folder.path()) {
        let _ = std::fs::remove_dir_all(folder.path().join("set"));
        let output = with_closed_pipe(&arguments, false);
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(0), "{arguments:?}: {said}");
        assert!(!said.contains("fault") && !said.contains("cannot write"), "{arguments:?}: {said}");
    }
}

#[test]
fn a_full_disk_behind_standard_output_is_an_output_that_cannot_be_written() {
    let folder = tempfile::tempdir().unwrap();
    for arguments in verbs(folder.path()) {
        let _ = std::fs::remove_dir_all(folder.path().join("set"));
        let full = OpenOptions::new().write(true).open("/dev/full").unwrap();
        let output = recslowfast().args(&arguments).stdout(full).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(7), "{arguments:?}: {said}");
        assert!(said.contains("cannot write to standard output: No space left on device"), "{arguments:?}: {said}");
    }
}

#[test]
fn failures_keep_their_code_when_standard_error_is_gone() {
    let failures: [(&[&str], i32); 6] = [
        (&["run", "--source", "nosuch"], 4),
        (&["run", "--halt", "vibes"], 2),
        (&["run", "--nosuch"], 2),
        (&["run", "--config", "/nowhere/a.toml"], 3),
        (&["inspect", "nosuch"], 5),
        (&["dataset", "pathfinder", "--videos", "1", "--out", "/proc/nothing"], 7),
    ];
    for (arguments, code) in failures {
        let arguments: Vec<String> = arguments.iter().map(|word| (*word).to_owned()).collect();
        let output = with_closed_pipe(&arguments, true);
        assert_eq!(output.status.code(), Some(code), "{arguments:?}");
    }
}

#[test]
fn a_verb_whose_reader_left_still_does_its_work() {
    let folder = tempfile::tempdir().unwrap();
    let json = folder.path().join("table.json");
    let arguments = ["eval", "--videos", "1", "--frames", "2", "--halt", "fixed:1", "--engine", "cpu", "--json", json.to_str().unwrap()];
    let arguments: Vec<String> = arguments.iter().map(|word| (*word).to_owned()).collect();
    assert_eq!(with_closed_pipe(&arguments, false).status.code(), Some(0));
    let table: serde_json::Value = serde_json::from_slice(&std::fs::read(json).unwrap()).unwrap();
    assert_eq!(table["rows"].as_array().unwrap().len(), 1);
}
