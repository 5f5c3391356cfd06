//! Nothing that acts on results, keeps or passes them on is given a made-up scene unasked.

use std::path::Path;
use std::process::Stdio;

use crate::program::{QUICK, Running, STREAM, recordings, recslowfast};

fn has_camera() -> bool {
    let found = Path::new("/dev").read_dir().unwrap().flatten().any(|node| node.file_name().to_string_lossy().starts_with("video"));
    if found {
        println!("skipped: this machine has a camera");
    }
    found
}

/// Sinks that must not be fed, as flags; `FOLDER` is a folder of their own.
const TAKERS: [[&str; 2]; 6] = [
    ["--report", "mavlink:/dev/ttyNOWHERE0@57600"],
    ["--report", "link:/dev/ttyNOWHERE0"],
    ["--report", "serial:/dev/ttyNOWHERE0"],
    ["--report", "panel:png:FOLDER/p.png@320x240"],
    ["--record", "FOLDER/seen.mcap"],
    ["--page", "127.0.0.1:0"],
];

#[test]
fn without_a_camera_whoever_acts_on_results_gets_none() {
    if has_camera() {
        return;
    }
    for taker in TAKERS {
        let folder = tempfile::tempdir().unwrap();
        let flags = taker.map(|flag| flag.replace("FOLDER", folder.path().to_str().unwrap()));
        let output = recslowfast().args(["run", "--model", QUICK, "--engine", "cpu", "--frames", "3"]).args(&flags).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(4), "{flags:?}: {said}");
        let last = said.lines().last().unwrap();
        assert!(last.contains("generated scene") && last.contains("pathfinder:"), "{flags:?}: {said}");
        assert_eq!(folder.path().read_dir().unwrap().count(), 0, "{flags:?} left something behind");
    }
}

#[test]
fn the_built_in_stream_is_for_everybody_who_asks_for_it_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("seen.mcap");
    let output = recslowfast()
        .args(["run", "--model", QUICK, "--engine", "cpu", "--frames", "3", "--source", STREAM, "--record"])
        .arg(&file)
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(recordings(folder.path()).len(), 1);
}

#[test]
fn a_service_waits_for_its_camera() {
    if has_camera() {
        return;
    }
    let mut command = recslowfast();
    command
        .env("NOTIFY_SOCKET", "/nowhere")
        .args(["run", "--model", QUICK, "--engine", "cpu", "--report", "link:/dev/ttyNOWHERE0"])
        .stdout(Stdio::null());
    let mut running = Running::start(&mut command);
    running.says("waiting for the camera");
    running.signal(libc::SIGTERM);
    assert_eq!(running.end().0, crate::program::End::Code(0));
}
