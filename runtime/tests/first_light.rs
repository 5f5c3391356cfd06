//! The whole path on the built-in stream: what `recslowfast run` promises about its records.

use std::process::Command;

fn records(arguments: &[&str]) -> Vec<serde_json::Value> {
    let output = Command::new(env!("CARGO_BIN_EXE_recslowfast")).args(arguments).output().expect("the binary starts");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let lines = String::from_utf8(output.stdout).expect("records are UTF-8");
    lines.lines().map(|line| serde_json::from_str(line).expect("a record is one JSON object")).collect()
}

const STREAM: &str = "pathfinder:easy?seed=7&size=64";

#[test]
fn every_frame_of_a_pulled_source_gets_one_record_in_order() {
    let records = records(&["run", "--source", STREAM, "--frames", "12", "--report", "json"]);
    let sequence: Vec<u64> = records.iter().map(|record| record["sequence"].as_u64().unwrap()).collect();
    assert_eq!(sequence, (0..12).collect::<Vec<_>>());
    for record in &records {
        assert_eq!(record["engine"], "cpu");
        assert_eq!(record["distances"].as_array().unwrap().len() as u64, record["steps"].as_u64().unwrap());
        assert!(record["age_ms"].as_f64().unwrap() > 0.0);
    }
}

#[test]
fn the_first_frame_takes_the_slow_path_and_later_ones_the_fast_one() {
    let records = records(&["run", "--source", STREAM, "--frames", "4", "--halt", "slow-fast:6,1", "--report", "json"]);
    let steps: Vec<u64> = records.iter().map(|record| record["steps"].as_u64().unwrap()).collect();
    assert_eq!(steps, [6, 1, 1, 1]);
    let stops: Vec<&str> = records.iter().map(|record| record["stop"].as_str().unwrap()).collect();
    assert_eq!(stops, ["reset", "limit", "limit", "limit"]);
}

#[test]
fn a_picture_that_does_not_move_costs_no_step() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("still.y4m");
    let mut bytes = b"YUV4MPEG2 W64 H64 F25:1 Cmono\n".to_vec();
    let picture: Vec<u8> = (0..64 * 64).map(|at| if at % 64 == 20 && at / 64 > 8 && at / 64 < 50 { 255 } else { 0 }).collect();
    for _ in 0..5 {
        bytes.extend(b"FRAME\n");
        bytes.extend(&picture);
    }
    std::fs::write(&out, bytes).unwrap();
    let records = records(&["run", "--source", out.to_str().unwrap(), "--report", "json"]);
    assert!(records[0]["steps"].as_u64().unwrap() > 0);
    for record in &records[1..] {
        assert_eq!((record["steps"].as_u64(), record["stop"].as_str()), (Some(0), Some("zero")));
    }
}

#[test]
fn two_runs_decide_alike() {
    let decisions = || {
        let records = records(&["run", "--source", STREAM, "--frames", "8", "--report", "json"]);
        records
            .into_iter()
            .map(|record| (record["steps"].clone(), record["distances"].clone(), record["detections"].clone()))
            .collect::<Vec<_>>()
    };
    assert_eq!(decisions(), decisions());
}

#[test]
fn an_absent_serial_port_ends_nothing() {
    let records = records(&["run", "--source", STREAM, "--frames", "3", "--report", "json", "--report", "serial:/dev/ttyNOTHERE@115200"]);
    assert_eq!(records.len(), 3);
}
