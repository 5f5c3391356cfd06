//! Datasets on disk: ours come back as they were, the public kind is read, and mistakes are named.

use std::fs;
use std::path::Path;

use image::{GrayImage, Luma, Rgb, RgbImage};
use temporal_pathfinder::{Dataset, OpenError, ReadError, Spec, SpecError, Split, WriteError, video, write_dataset};

const SPEC: Spec = Spec { split: Split::Hard, seed: 8, size: 48, frames: 3 };

fn written() -> tempfile::TempDir {
    let dir = tempfile::tempdir().expect("a folder");
    write_dataset(SPEC, 2, dir.path(), |_| ()).expect("room on disk");
    dir
}

/// A dataset laid out by hand, with pictures of another kind and size.
fn by_hand(dir: &Path, config: &str) {
    for part in ["imgs/1", "gt/1"] {
        fs::create_dir_all(dir.join(part)).expect("a folder");
    }
    fs::write(dir.join("dataset_config.json"), config).expect("a file");
}

#[test]
fn what_was_written_is_read() {
    let dir = tempfile::tempdir().expect("a folder");
    let mut heard = Vec::new();
    write_dataset(SPEC, 12, dir.path(), |done| heard.push(done)).expect("room on disk");
    assert_eq!(heard, (1..=12).collect::<Vec<_>>());
    let dataset = Dataset::open(dir.path()).expect("a dataset");
    assert_eq!(dataset.len(), 12);
    for (index, read) in (0..).zip(dataset.videos()) {
        let read = read.expect("a video");
        assert_eq!((read.number, read.width, read.height), (index, 48, 48));
        assert_eq!(read.video, video(SPEC, index));
    }
}

#[test]
fn other_sizes_colours_and_numbers_are_fine() {
    let dir = tempfile::tempdir().expect("a folder");
    by_hand(dir.path(), r#"{"n_videos": 1, "n_frames": 2, "anything": ["else"]}"#);
    for frame in [1, 2] {
        let picture = RgbImage::from_fn(5, 4, |x, _| Rgb([x as u8 * 60; 3]));
        picture.save(dir.path().join(format!("imgs/1/7_{frame}.png"))).expect("a file");
        let mask = GrayImage::from_fn(5, 4, |x, _| Luma([[0, 51, 52, 200, 255][x as usize]]));
        mask.save(dir.path().join(format!("gt/1/7_{frame}.png"))).expect("a file");
    }
    fs::write(dir.path().join("imgs/1/Thumbs.db"), "").expect("a file");
    let read = Dataset::open(dir.path()).expect("a dataset").read(0).expect("a video");
    assert_eq!((read.number, read.width, read.height, read.video.frames.len()), (7, 5, 4, 2));
    assert_eq!(read.video.frames[0][..5], [0, 60, 120, 180, 240]);
    assert_eq!(read.video.masks[1][..5], [0, 0, 255, 255, 255]);
}

#[test]
fn a_dataset_is_not_written_over_another() {
    let dir = written();
    let error = write_dataset(SPEC, 1, dir.path(), |_| ()).expect_err("occupied");
    assert!(matches!(error, WriteError::Occupied(_)) && error.to_string().contains("choose another folder"), "{error}");
    let error = write_dataset(Spec { size: 8, ..SPEC }, 1, dir.path(), |_| ()).expect_err("too small");
    assert!(matches!(error, WriteError::Spec(SpecError::Size(8))), "{error}");
    let file = dir.path().join("dataset_config.json");
    let error = write_dataset(SPEC, 1, &file, |_| ()).expect_err("a file is no folder");
    assert!(matches!(error, WriteError::File { .. }) && error.to_string().contains("dataset_config.json"), "{error}");
}

#[test]
fn a_folder_without_a_configuration_is_no_dataset() {
    let dir = written();
    fs::remove_file(dir.path().join("dataset_config.json")).expect("was there");
    let error = Dataset::open(dir.path()).expect_err("no configuration");
    assert!(matches!(error, OpenError::Unreadable { .. }) && error.to_string().contains("dataset_config.json"), "{error}");
}

#[test]
fn a_senseless_configuration_is_named() {
    let dir = written();
    fs::write(dir.path().join("dataset_config.json"), r#"{"n_videos": "many"}"#).expect("a file");
    let error = Dataset::open(dir.path()).expect_err("not numbers");
    assert!(matches!(error, OpenError::Config { .. }) && error.to_string().contains("n_frames"), "{error}");
}

#[test]
fn missing_files_are_named() {
    let dir = written();
    let frame = dir.path().join("imgs/1/1_2.png");
    fs::remove_file(&frame).expect("was there");
    let error = Dataset::open(dir.path()).expect_err("a frame is missing");
    assert!(matches!(error, OpenError::MissingFrames { video: 1, promised: 3, found: 2, .. }), "{error}");
    for t in 0..2 {
        fs::remove_file(dir.path().join(format!("imgs/1/1_{t}.png"))).expect("was there");
    }
    let error = Dataset::open(dir.path()).expect_err("a video is missing");
    assert!(matches!(error, OpenError::MissingVideos { promised: 2, found: 1, .. }), "{error}");
}

#[test]
fn bad_pictures_are_named() {
    let dir = written();
    let dataset = Dataset::open(dir.path()).expect("a dataset");
    let mask = dir.path().join("gt/1/0_1.png");
    GrayImage::new(3, 2).save(&mask).expect("a file");
    let error = dataset.read(0).expect_err("another size");
    assert!(matches!(error, ReadError::Size { found: (3, 2), expected: (48, 48), .. }), "{error}");
    fs::write(&mask, "no picture").expect("a file");
    let error = dataset.read(0).expect_err("no picture");
    assert!(matches!(error, ReadError::Picture { .. }) && error.to_string().contains("0_1.png"), "{error}");
    fs::remove_file(&mask).expect("was there");
    assert!(matches!(dataset.read(0), Err(ReadError::Picture { .. })));
    assert!(dataset.read(1).is_ok());
    let error = dataset.read(2).expect_err("there are two");
    assert!(matches!(error, ReadError::NoSuchVideo { index: 2, len: 2 }), "{error}");
}
