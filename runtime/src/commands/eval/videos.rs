//! Where evaluation videos with their masks come from.

use std::path::Path;

use temporal_pathfinder::{Dataset, Spec, Split};

use crate::service::exit::{Cause, Failure};

/// One video with the mask of its longest contour in every frame.
pub struct Clip {
    pub width: u32,
    pub height: u32,
    pub frames: Vec<Vec<u8>>,
    pub masks: Vec<Vec<u8>>,
}

/// Generated videos, or a folder of them.
pub enum Videos {
    Generated(Spec),
    Folder(Dataset, usize),
}

impl Videos {
    /// Opens `pathfinder:SPLIT?seed=S&size=PX` (size as the network's where none is given) or a dataset folder.
    pub fn open(uri: &str, size: u32, frames: u32) -> Result<Videos, Failure> {
        let Some(rest) = uri.strip_prefix("pathfinder:") else {
            let dataset = Dataset::open(Path::new(uri)).map_err(|error| Failure::new(Cause::Source, error))?;
            return Ok(Videos::Folder(dataset, frames as usize));
        };
        let wrong = |reason: String| Failure::new(Cause::Source, format!("source '{uri}': {reason}"));
        let (split, query) = rest.split_once('?').unwrap_or((rest, ""));
        let split: Split = split.parse().map_err(|error| wrong(format!("{error}")))?;
        let mut spec = Spec { split, seed: 11, size, frames };
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            let number: u64 = value.parse().map_err(|_| wrong(format!("'{pair}' needs a whole number")))?;
            match key {
                "seed" => spec.seed = number,
                "size" => spec.size = number.try_into().map_err(|_| wrong(format!("size {number} is too large")))?,
                _ => return Err(wrong(format!("'{key}' is unknown here; seed and size can be set"))),
            }
        }
        spec.check().map_err(|error| wrong(format!("{error}")))?;
        Ok(Videos::Generated(spec))
    }

    /// How many there are, where that is bounded.
    pub fn count(&self) -> Option<u64> {
        match self {
            Videos::Generated(_) => None,
            Videos::Folder(dataset, _) => Some(dataset.len() as u64),
        }
    }

    /// Video `index`.
    pub fn clip(&self, index: u64) -> Result<Clip, Failure> {
        match self {
            Videos::Generated(spec) => {
                let video = temporal_pathfinder::video(*spec, index);
                Ok(Clip { width: spec.size, height: spec.size, frames: video.frames, masks: video.masks })
            }
            Videos::Folder(dataset, frames) => {
                let read = dataset.read(index as usize).map_err(|error| Failure::new(Cause::Source, error))?;
                let mut clip = Clip { width: read.width, height: read.height, frames: read.video.frames, masks: read.video.masks };
                clip.frames.truncate(*frames);
                clip.masks.truncate(*frames);
                Ok(clip)
            }
        }
    }
}
