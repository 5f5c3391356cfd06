//! Pictures and model.toml: whole or as they were before, and an error if they are not what was asked for.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::process::Command;

use crate::program::{QUICK, STREAM, recslowfast, zoo};

/// A file system of 64 KiB that is full, mounted over `folder` until dropped; None where this user may mount nothing.
struct Full<'a>(&'a Path);

impl<'a> Full<'a> {
    fn mount(folder: &'a Path) -> Option<Full<'a>> {
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", "size=64k", "tmpfs"]).arg(folder).output();
        if !mounted.is_ok_and(|output| output.status.success()) {
            println!("skipped: this user cannot mount a small file system");
            return None;
        }
        Some(Full(folder))
    }

    fn fill(&self) {
        // It ends with an error, as it must.
        let _ = fs::write(self.0.join("fill"), vec![0; 1 << 20]);
    }
}

impl Drop for Full<'_> {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(self.0).status();
    }
}

fn files(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn a_snapshot_on_a_full_disk_is_an_error_and_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let Some(full) = Full::mount(folder.path()) else { return };
    full.fill();
    let to = format!("snapshot:{}/s.png", folder.path().display());
    let output = recslowfast()
        .args(["run", "--model", QUICK, "--source", STREAM, "--engine", "cpu", "--frames", "2", "--report", &to])
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(7), "{said}");
    assert!(said.contains("s.png: No space left on device"), "{said}");
    assert_eq!(files(folder.path()), ["fill"]);
}

#[test]
fn a_panel_on_a_full_disk_warns_and_keeps_its_last_picture() {
    let folder = tempfile::tempdir().unwrap();
    let Some(full) = Full::mount(folder.path()) else { return };
    let picture = folder.path().join("p.png");
    fs::write(&picture, "the last good one").unwrap();
    full.fill();
    let to = format!("panel:png:{}@320x240", picture.display());
    let output = recslowfast()
        .args(["run", "--model", QUICK, "--source", STREAM, "--engine", "cpu", "--frames", "9", "--report", &to])
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "a panel is looked for again: {said}");
    assert!(said.contains("warn: panel") && said.contains("No space left on device"), "{said}");
    assert_eq!(fs::read_to_string(&picture).unwrap(), "the last good one");
    assert_eq!(files(folder.path()), ["fill", "p.png"]);
}

#[test]
fn a_panel_through_a_link_changes_the_file_behind_it() {
    let folder = tempfile::tempdir().unwrap();
    let (link, place) = (folder.path().join("p.png"), folder.path().join("root/index.png"));
    fs::create_dir(folder.path().join("root")).unwrap();
    symlink(&place, &link).unwrap();
    let to = format!("panel:png:{}@320x240", link.display());
    let output = recslowfast()
        .args(["run", "--model", QUICK, "--source", STREAM, "--engine", "cpu", "--frames", "3", "--report", &to])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
    assert!(fs::read(&place).unwrap().starts_with(b"\x89PNG"));
}

#[test]
fn a_dataset_on_a_full_disk_is_an_error_and_has_no_empty_picture() {
    let folder = tempfile::tempdir().unwrap();
    let Some(_full) = Full::mount(folder.path()) else { return };
    let out = folder.path().join("set");
    let arguments = ["dataset", "pathfinder", "--videos", "50", "--frames", "4", "--size", "64", "--out"];
    let output = recslowfast().args(arguments).arg(&out).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(7), "{said}");
    let mut folders = vec![out.clone()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
            if entry.file_type().unwrap().is_dir() {
                folders.push(entry.path());
            } else {
                assert!(fs::read(entry.path()).unwrap().ends_with(b"IEND\xaeB`\x82"), "{:?} is no whole picture", entry.path());
            }
        }
    }
}

#[test]
fn calibrate_changes_the_file_behind_a_link_and_keeps_its_mode() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    for graph in ["encoder.onnx", "step.onnx", "readout.onnx"] {
        symlink(zoo("pathfinder-lean").join(graph), at(graph)).unwrap();
    }
    fs::copy(zoo("pathfinder-lean").join("model.toml"), at("shared.toml")).unwrap();
    fs::set_permissions(at("shared.toml"), fs::Permissions::from_mode(0o640)).unwrap();
    symlink("shared.toml", at("model.toml")).unwrap();
    let before = fs::read_to_string(at("shared.toml")).unwrap();
    let arguments = ["--videos", "4", "--frames", "2", "--source", "pathfinder:easy?seed=3", "--criterion", "slow-fast", "--loss", "99"];
    let output = recslowfast().args(["calibrate", "--model"]).arg(folder.path()).args(arguments).output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(fs::symlink_metadata(at("model.toml")).unwrap().is_symlink());
    let after = fs::read_to_string(at("shared.toml")).unwrap();
    assert!(after != before && after.contains("rule = \"slow-fast\""), "{after}");
    assert_eq!(fs::metadata(at("shared.toml")).unwrap().permissions().mode() & 0o7777, 0o640);
    assert_eq!(files(folder.path()), ["encoder.onnx", "model.toml", "readout.onnx", "shared.toml", "step.onnx"]);
}
