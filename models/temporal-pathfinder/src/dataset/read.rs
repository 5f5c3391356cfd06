//! Videos from disk, ours or the public ones.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use image::{GrayImage, ImageFormat};
use serde::Deserialize;

use super::{config_path, file_name, frames_dir, masks_dir, parse_file_name};
use crate::raster::FIFTH;
use crate::video::Video;

/// Why a folder could not be opened as a dataset.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// A file or folder that every dataset has could not be read.
    #[error(
        "{} could not be read ({cause}): give the folder that holds dataset_config.json, imgs/1 and gt/1; \
         a dataset whose writing was cut short has no dataset_config.json and must be written again", .path.display())]
    Unreadable {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        #[source]
        cause: io::Error,
    },
    /// The configuration is not what it should be.
    #[error("{} makes no sense ({cause}): it needs whole numbers n_videos and n_frames, as in {{\"n_videos\": 100, \"n_frames\": 6}}", .path.display())]
    Config {
        /// `dataset_config.json`.
        path: PathBuf,
        /// What JSON said.
        #[source]
        cause: serde_json::Error,
    },
    /// There are fewer videos than promised.
    #[error("{} promises {promised} videos, but imgs/1 beside it holds {found}: copy the missing files or correct n_videos", .path.display())]
    MissingVideos {
        /// `dataset_config.json`.
        path: PathBuf,
        /// n_videos.
        promised: u64,
        /// Videos with a frame in `imgs/1`.
        found: u64,
    },
    /// A video has fewer frames than promised.
    #[error("{} promises {promised} frames a video, but video {video} has {found} in imgs/1: copy the missing files or correct n_frames", .path.display())]
    MissingFrames {
        /// `dataset_config.json`.
        path: PathBuf,
        /// The number in the video's file names.
        video: u64,
        /// n_frames.
        promised: u64,
        /// Its frames in `imgs/1`.
        found: u64,
    },
}

/// Why a video could not be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The dataset ends before that video.
    #[error("video {index} was asked for, but the dataset has {len}, counted from 0: ask for a smaller number")]
    NoSuchVideo {
        /// What was asked for.
        index: usize,
        /// How many videos there are.
        len: usize,
    },
    /// A picture is missing or is no PNG.
    #[error("{} could not be read as a PNG picture ({cause}): copy the file again, or leave the video out", .path.display())]
    Picture {
        /// The file.
        path: PathBuf,
        /// What the decoder said.
        #[source]
        cause: image::ImageError,
    },
    /// A mask's pixels are no grey levels.
    #[error(
        "{} holds no grey brighter than {brightest}, and {values} values in all: these are class indices, not a mask in black and white; \
         evaluate them with `recslowfast eval --data PICTURES --labels MASKS`", .path.display())]
    Indices {
        /// The file.
        path: PathBuf,
        /// Its largest value.
        brightest: u8,
        /// How many values it holds.
        values: usize,
    },
    /// A frame or mask is not of the size of the video's first frame.
    #[error("{} is {} x {} pixels where the video's first frame is {} x {}: all pictures of a video must have one size", .path.display(), .found.0, .found.1, .expected.0, .expected.1)]
    Size {
        /// The file.
        path: PathBuf,
        /// Its width and height.
        found: (u32, u32),
        /// Width and height of the video's first frame.
        expected: (u32, u32),
    },
}

/// A folder of videos in the public layout.
#[derive(Clone, Debug)]
pub struct Dataset {
    dir: PathBuf,
    /// The numbers in the file names: each video's own, and its frames' in order.
    videos: Vec<(u64, Vec<u64>)>,
    seed: Option<u64>,
}

/// One video of a [`Dataset`]; the canvas need not be square.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DatasetVideo {
    /// The number in its file names.
    pub number: u64,
    /// Pixels in a row.
    pub width: u32,
    /// Rows.
    pub height: u32,
    /// Frames and masks, width x height bytes each.
    pub video: Video,
}

#[derive(Deserialize)]
struct Config {
    n_videos: u64,
    n_frames: u64,
    seed: Option<u64>,
}

impl Dataset {
    /// Reads the configuration and the list of files; pictures are read one video at a time.
    ///
    /// Videos and frames may be numbered from any number; they are taken in order. More of them than the configuration
    /// promises is fine (videos are then kept, frames cut to the promise), fewer is an error.
    pub fn open(dir: impl AsRef<Path>) -> Result<Self, OpenError> {
        let dir = dir.as_ref();
        let path = config_path(dir);
        let text = fs::read(&path).map_err(|cause| OpenError::Unreadable { path: path.clone(), cause })?;
        let config: Config = serde_json::from_slice(&text).map_err(|cause| OpenError::Config { path: path.clone(), cause })?;
        let mut videos = list(&frames_dir(dir))?;
        let found = videos.len() as u64;
        if found < config.n_videos {
            return Err(OpenError::MissingVideos { path, promised: config.n_videos, found });
        }
        for (video, frames) in &mut videos {
            let (promised, found) = (config.n_frames, frames.len() as u64);
            if found < promised {
                return Err(OpenError::MissingFrames { path, video: *video, promised, found });
            }
            frames.truncate(promised as usize);
        }
        Ok(Dataset { dir: dir.to_owned(), videos, seed: config.seed })
    }

    /// How many videos there are.
    pub fn len(&self) -> usize {
        self.videos.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.videos.is_empty()
    }

    /// The seed it was generated with, where its configuration says so (ours does, the public data's does not).
    pub fn seed(&self) -> Option<u64> {
        self.seed
    }

    /// Reads video `index`, counted from 0 in the order of the numbers in the file names.
    pub fn read(&self, index: usize) -> Result<DatasetVideo, ReadError> {
        let (number, frames) = self.videos.get(index).ok_or(ReadError::NoSuchVideo { index, len: self.len() })?;
        let mut expected = None;
        let mut picture = |dir: PathBuf, frame: u64| -> Result<Vec<u8>, ReadError> {
            let path = dir.join(file_name(*number, frame));
            let grey = read_grey(&path)?;
            let (found, expected) = (grey.dimensions(), *expected.get_or_insert(grey.dimensions()));
            if found != expected {
                return Err(ReadError::Size { path, found, expected });
            }
            Ok(grey.into_raw())
        };
        let mut video = Video { frames: Vec::new(), masks: Vec::new() };
        for &frame in frames {
            video.frames.push(picture(frames_dir(&self.dir), frame)?);
            let mut mask = picture(masks_dir(&self.dir), frame)?;
            if let Some((brightest, values)) = indices(&mask) {
                let path = masks_dir(&self.dir).join(file_name(*number, frame));
                return Err(ReadError::Indices { path, brightest, values });
            }
            mask.iter_mut().for_each(|grey| *grey = if *grey > FIFTH { 255 } else { 0 });
            video.masks.push(mask);
        }
        let (width, height) = expected.unwrap_or_default();
        Ok(DatasetVideo { number: *number, width, height, video })
    }

    /// All videos, one after another, each read when its turn comes.
    pub fn videos(&self) -> impl Iterator<Item = Result<DatasetVideo, ReadError>> + '_ {
        (0..self.len()).map(|index| self.read(index))
    }
}

/// The brightest value and how many values there are, where all that is not black is too dark to be inside: drawn in black and white, even
/// smoothed, a mask is not like that.
fn indices(mask: &[u8]) -> Option<(u8, usize)> {
    let mut seen = [false; 256];
    mask.iter().for_each(|grey| seen[usize::from(*grey)] = true);
    let brightest = seen.iter().rposition(|seen| *seen).unwrap_or(0) as u8;
    (brightest > 0 && brightest <= FIFTH).then(|| (brightest, seen.iter().filter(|seen| **seen).count()))
}

/// The videos with a frame in `dir`, and their frames, both in order of their numbers.
fn list(dir: &Path) -> Result<Vec<(u64, Vec<u64>)>, OpenError> {
    let unreadable = |cause| OpenError::Unreadable { path: dir.to_owned(), cause };
    let mut videos = BTreeMap::<u64, Vec<u64>>::new();
    for entry in fs::read_dir(dir).map_err(unreadable)? {
        let name = entry.map_err(unreadable)?.file_name();
        if let Some((video, frame)) = name.to_str().and_then(parse_file_name) {
            videos.entry(video).or_default().push(frame);
        }
    }
    videos.values_mut().for_each(|frames| frames.sort_unstable());
    Ok(videos.into_iter().collect())
}

/// A PNG of any kind as 8-bit grey.
fn read_grey(path: &Path) -> Result<GrayImage, ReadError> {
    let failed = |cause| ReadError::Picture { path: path.to_owned(), cause };
    let file = fs::File::open(path).map_err(|error| failed(error.into()))?;
    let picture = image::load(io::BufReader::new(file), ImageFormat::Png).map_err(failed)?;
    Ok(picture.into_luma8())
}
