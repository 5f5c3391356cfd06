//! The folder layout of the public data.
//!
//! ```text
//! dataset_config.json        {"n_videos": 2, "n_frames": 3}, other entries are ignored
//! imgs/1/0_0.png             frame 0 of video 0
//! gt/1/0_0.png               its mask: grey above 0.2 is target
//! ```

mod read;
mod write;

use std::path::{Path, PathBuf};

pub use read::{Dataset, DatasetVideo, OpenError, ReadError};
pub use write::{WriteError, write_dataset};

fn config_path(dir: &Path) -> PathBuf {
    dir.join("dataset_config.json")
}

fn frames_dir(dir: &Path) -> PathBuf {
    dir.join("imgs").join("1")
}

fn masks_dir(dir: &Path) -> PathBuf {
    dir.join("gt").join("1")
}

fn file_name(video: u64, frame: u64) -> String {
    format!("{video}_{frame}.png")
}

/// The numbers in `{video}_{frame}.png`; other files are none of ours.
fn parse_file_name(name: &str) -> Option<(u64, u64)> {
    let (video, frame) = name.strip_suffix(".png")?.split_once('_')?;
    let (video, frame) = (video.parse().ok()?, frame.parse().ok()?);
    (file_name(video, frame) == name).then_some((video, frame))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_as_they_are_written() {
        assert_eq!(parse_file_name(&file_name(12, 3)), Some((12, 3)));
        for other in ["12_3.jpg", "12-3.png", "_3.png", "12_.png", "+1_2.png", "01_2.png", "1_2_3.png", "preview.png"] {
            assert_eq!(parse_file_name(other), None, "{other}");
        }
    }
}
