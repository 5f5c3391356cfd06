//! A recording decides as the day did.

use std::process::Command;

/// The records of `run`, each without its times.
fn decisions(source: &str, more: &[&str]) -> Vec<serde_json::Value> {
    let output = Command::new(env!("CARGO_BIN_EXE_recslowfast"))
        .args(["run", "--engine", "cpu", "--report", "json", "--frames", "40", "--model", "pathfinder-hgru", "--source", source])
        .args(more)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let kept = ["steps", "stop", "distances", "drive_distance", "detections", "sequence"];
    let text = String::from_utf8(output.stdout).unwrap();
    let record = |line| -> serde_json::Value { serde_json::from_str(line).unwrap() };
    text.lines().map(|line| kept.iter().map(|key| (key.to_string(), record(line)[key].clone())).collect()).collect()
}

/// Frames of this source come as fast as they are asked for: their capture times are not those of the scene.
#[test]
fn a_source_without_a_clock_replays_bit_for_bit() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("untimed.mcap");
    let path = path.to_str().unwrap();
    let day = decisions("pathfinder:easy?seed=11", &["--record", path]);
    assert_eq!(day.len(), 40);
    assert!(day.iter().any(|record| record["steps"] != day[0]["steps"]), "every frame took the same number of steps");
    assert_eq!(decisions(path, &[]), day);
}
