//! Generated videos, to disk.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use image::codecs::png::PngEncoder;
use image::{ExtendedColorType, ImageEncoder};
use serde::Serialize;

use super::{config_path, file_name, frames_dir, masks_dir};
use crate::spec::{Spec, SpecError};
use crate::video::video;

/// Why a dataset could not be written.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// Nothing can be generated for the spec.
    #[error(transparent)]
    Spec(#[from] SpecError),
    /// A dataset is there already.
    #[error("{} already holds a dataset: choose another folder, or remove that one first", .0.display())]
    Occupied(PathBuf),
    /// A folder or file could not be made.
    #[error("{} could not be written ({cause}): check free space and permissions, then remove what was written and start again", .path.display())]
    File {
        /// The folder or file.
        path: PathBuf,
        /// What the system said.
        #[source]
        cause: io::Error,
    },
}

/// What `dataset_config.json` says; readers need the first two, the rest tells how to make the same data again.
#[derive(Serialize)]
struct Config {
    n_videos: u64,
    n_frames: u32,
    split: String,
    seed: u64,
    size: u32,
    generator: String,
}

/// Writes videos 0 to `videos - 1` of `spec` to `dir`, which is made if need be; `progress` hears how many are done after each.
///
/// `dataset_config.json` comes last, so a run that was cut short is not taken for a dataset.
pub fn write_dataset(spec: Spec, videos: u64, dir: &Path, mut progress: impl FnMut(u64)) -> Result<(), WriteError> {
    spec.check()?;
    if config_path(dir).exists() {
        return Err(WriteError::Occupied(dir.to_owned()));
    }
    let (frames, masks) = (frames_dir(dir), masks_dir(dir));
    for path in [&frames, &masks] {
        fs::create_dir_all(path).map_err(|cause| WriteError::File { path: path.clone(), cause })?;
    }
    for index in 0..videos {
        let video = video(spec, index);
        for (t, (frame, mask)) in (0..).zip(video.frames.iter().zip(&video.masks)) {
            write_png(&frames.join(file_name(index, t)), frame, spec.size)?;
            write_png(&masks.join(file_name(index, t)), mask, spec.size)?;
        }
        progress(index + 1);
    }
    let config = Config {
        n_videos: videos,
        n_frames: spec.frames,
        split: spec.split.to_string(),
        seed: spec.seed,
        size: spec.size,
        generator: concat!("temporal-pathfinder ", env!("CARGO_PKG_VERSION")).to_owned(),
    };
    let text = serde_json::to_string_pretty(&config).expect("numbers and strings are always JSON");
    let path = config_path(dir);
    write_whole(&path, (text + "\n").as_bytes()).map_err(|cause| WriteError::File { path, cause })
}

fn write_png(path: &Path, grey: &[u8], size: u32) -> Result<(), WriteError> {
    let mut png = Vec::new();
    let encoded = PngEncoder::new(&mut png).write_image(grey, size, size, ExtendedColorType::L8).map_err(io::Error::other);
    encoded.and_then(|()| write_whole(path, &png)).map_err(|cause| WriteError::File { path: path.to_owned(), cause })
}

/// Writes a file, or leaves none behind: half a picture would be taken for one.
fn write_whole(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let written = fs::write(path, bytes);
    if written.is_err() {
        // What the error says is what matters.
        let _ = fs::remove_file(path);
    }
    written
}
