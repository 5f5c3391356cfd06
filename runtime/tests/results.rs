//! Results as files: masks, boxes, and everything a network holds.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

fn run(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_recslowfast")).args(arguments).output().expect("the binary starts")
}

#[track_caller]
fn ran(arguments: &[&str]) {
    let output = run(arguments);
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
}

fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

/// The entry called `name` of a NumPy archive without compression, as floats.
fn entry(archive: &[u8], name: &str) -> Vec<f32> {
    let name = format!("{name}.npy");
    let at = archive.windows(name.len()).position(|window| window == name.as_bytes()).unwrap_or_else(|| panic!("no {name}"));
    let size = u32::from_le_bytes(archive[at - 8..at - 4].try_into().unwrap()) as usize;
    let file = &archive[at + name.len()..at + name.len() + size];
    let header = u16::from_le_bytes([file[8], file[9]]) as usize;
    file[10 + header..].as_chunks().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect()
}

#[test]
fn a_film_leaves_a_mask_a_frame_a_file_of_boxes_and_all_tensors() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let (masks, boxes, dump) = (at("masks"), at("boxes.json"), at("dump"));
    let (mask, found) = (format!("mask:{masks}"), format!("boxes:{boxes}"));
    let source = "pathfinder:easy?seed=5";
    ran(&["run", "--source", source, "--frames", "3", "--report", &mask, "--report", &found, "--dump", &dump]);

    let found: serde_json::Value = serde_json::from_slice(&fs::read(&boxes).unwrap()).unwrap();
    let frames: Vec<u64> = found.as_array().unwrap().iter().map(|entry| entry["image_id"].as_u64().unwrap()).collect();
    assert!(frames.is_sorted() && frames.iter().all(|frame| *frame < 3), "{found}");
    assert_eq!(names(Path::new(&masks)), ["000000.png", "000001.png", "000002.png"]);
    assert_eq!(names(Path::new(&dump)), ["000000.npz", "000001.npz", "000002.npz"]);

    let archive = fs::read(Path::new(&dump).join("000002.npz")).unwrap();
    let (logits, input) = (entry(&archive, "answer.logits"), entry(&archive, "input"));
    assert_eq!(input.len(), 64 * 64);
    let mask = image::open(Path::new(&masks).join("000002.png")).unwrap().to_luma8();
    // The mask says of each pixel what the dumped logits say.
    let side = ((logits.len() / 2) as f64).sqrt() as usize;
    for (at, pixel) in mask.pixels().enumerate() {
        let (x, y) = (at % 64 * side / 64, at / 64 * side / 64);
        let seen = logits[side * side + y * side + x] > logits[y * side + x];
        assert_eq!(pixel.0[0], u8::from(seen), "pixel {at}");
    }
    assert!(mask.pixels().any(|pixel| pixel.0[0] == 1), "there is a contour");
}

#[test]
fn a_dump_is_not_mixed_with_an_earlier_one_and_not_made_on_the_gpu() {
    let folder = tempfile::tempdir().unwrap();
    let dump = folder.path().join("dump").to_str().unwrap().to_owned();
    let arguments = ["run", "--source", "pathfinder:easy", "--frames", "1", "--report", "json", "--dump", &dump];
    ran(&arguments);
    let again = run(&arguments);
    assert_eq!(again.status.code(), Some(7));
    assert!(String::from_utf8_lossy(&again.stderr).contains("holds what an earlier run wrote"));
    let cuda = run(&[&arguments[..], &["--engine", "cuda"]].concat());
    assert_eq!(cuda.status.code(), Some(2));
}

#[test]
fn what_cannot_be_written_is_an_error_that_names_it() {
    for report in ["mask:/proc/nothing/masks", "boxes:/proc/nothing/boxes.json"] {
        let output = run(&["run", "--source", "pathfinder:easy", "--frames", "1", "--report", report]);
        assert_eq!(output.status.code(), Some(7), "{}", String::from_utf8_lossy(&output.stderr));
        assert!(String::from_utf8_lossy(&output.stderr).contains("/proc/nothing"));
    }
}

#[test]
fn a_network_of_boxes_has_no_mask_to_write() {
    let output = run(&["run", "--model", "street", "--source", "pathfinder:easy", "--frames", "1", "--report", "mask:never"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("it has no class for every pixel"));
}
