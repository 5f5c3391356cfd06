//! Where evaluation videos with their masks come from.

use std::ffi::OsStr;
use std::path::Path;

use temporal_pathfinder::{Dataset, Spec, Split, Stream};

use super::data;
use crate::frame::PixelFormat;
use crate::network::Network;
use crate::network::manifest::TaskKind;
use crate::service::exit::{Cause, Failure};

/// The seed that evaluation uses, and calibration must not.
pub const TEST_SEED: u64 = 11;

/// Refuses a network that was not made for these videos: what it is told, and what its answer is compared with, would mean nothing.
pub fn made_for(network: &Network) -> Result<(), Failure> {
    let (name, kind) = (&network.manifest.name, network.manifest.task.kind);
    if kind == TaskKind::Contour {
        return Ok(());
    }
    let why = format!("{name}: kind {kind:?} is not about contours, which is all that these videos hold; give labelled data with --data");
    Err(Failure::new(Cause::Usage, why))
}

/// One video with what there is to be seen in every frame.
pub struct Clip {
    pub width: u32,
    pub height: u32,
    pub format: PixelFormat,
    pub frames: Vec<Vec<u8>>,
    pub truths: Vec<Truth>,
    /// Whether a new scene begins with a frame; with the first one always does.
    pub cuts: Vec<bool>,
}

/// What there is to be seen in a frame.
#[derive(Clone)]
pub enum Truth {
    /// The longest contour: any value other than 0 is inside.
    Contour(Vec<u8>),
    /// What is labelled in own data, or what another rule saw there.
    Labelled(data::Truth),
}

impl Clip {
    /// A video of grey frames with a mask each.
    pub fn grey((width, height): (u32, u32), frames: Vec<Vec<u8>>, masks: Vec<Vec<u8>>, cuts: Vec<bool>) -> Clip {
        Clip { width, height, format: PixelFormat::Grey, frames, truths: masks.into_iter().map(Truth::Contour).collect(), cuts }
    }

    /// The same picture twice.
    pub fn still(&self, at: usize) -> Clip {
        let twice = [at; 2];
        Clip {
            width: self.width,
            height: self.height,
            format: self.format,
            frames: twice.map(|at| self.frames[at].clone()).to_vec(),
            truths: twice.map(|at| self.truths[at].clone()).to_vec(),
            cuts: vec![true, false],
        }
    }
}

/// Generated videos, pieces of generated streams, or a folder of videos.
pub enum Videos {
    Generated(Spec),
    Streams(Spec),
    Folder(Dataset, usize),
}

impl Videos {
    /// Opens `pathfinder:SPLIT?seed=S&size=PX` (size as the network's where none is given), the same with `&stream`, or a dataset folder.
    pub fn open(uri: impl AsRef<OsStr>, size: u32, frames: u32) -> Result<Videos, Failure> {
        // A folder may be called anything, also what is no UTF-8.
        let folder = uri.as_ref();
        let Some((uri, rest)) = folder.to_str().and_then(|uri| Some((uri, uri.strip_prefix("pathfinder:")?))) else {
            let dataset = Dataset::open(Path::new(folder)).map_err(|error| Failure::new(Cause::Source, error))?;
            return Ok(Videos::Folder(dataset, frames as usize));
        };
        let wrong = |reason: String| Failure::new(Cause::Source, format!("source '{uri}': {reason}"));
        let (split, query) = rest.split_once('?').unwrap_or((rest, ""));
        let split: Split = split.parse().map_err(|error| wrong(format!("{error}")))?;
        let mut spec = Spec { split, seed: TEST_SEED, size, frames };
        let mut stream = false;
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            if pair == "stream" {
                stream = true;
                continue;
            }
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            let number: u64 = value.parse().map_err(|_| wrong(format!("'{pair}' needs a whole number")))?;
            match key {
                "seed" => spec.seed = number,
                "size" => spec.size = number.try_into().map_err(|_| wrong(format!("size {number} is too large")))?,
                _ => return Err(wrong(format!("'{key}' is unknown here; seed, size and stream can be set"))),
            }
        }
        spec.check().map_err(|error| wrong(format!("{error}")))?;
        Ok(if stream { Videos::Streams(spec) } else { Videos::Generated(spec) })
    }

    /// Refuses networks that want colours where pictures are read as grey.
    pub fn takes(&self, networks: &[Network]) -> Result<(), Failure> {
        let colour = networks.iter().find(|network| network.manifest.input.channels == 3);
        let (Videos::Folder(..), Some(network)) = (self, colour) else { return Ok(()) };
        let why =
            format!("{} takes colours, but folders of videos are read as grey; give --data PICTURES --labels MASKS", network.manifest.name);
        Err(Failure::new(Cause::Usage, why))
    }

    /// How many there are, where that is bounded.
    pub fn count(&self) -> Option<u64> {
        match self {
            Videos::Generated(_) | Videos::Streams(_) => None,
            Videos::Folder(dataset, _) => Some(dataset.len() as u64),
        }
    }

    /// Whether scenes change within a video.
    pub fn has_cuts(&self) -> bool {
        matches!(self, Videos::Streams(_))
    }

    /// The seed they were generated with, where that is known.
    pub fn seed(&self) -> Option<u64> {
        match self {
            Videos::Generated(spec) | Videos::Streams(spec) => Some(spec.seed),
            Videos::Folder(dataset, _) => dataset.seed(),
        }
    }

    /// Video `index`.
    pub fn clip(&self, index: u64) -> Result<Clip, Failure> {
        let whole = |length: usize| (0..length).map(|at| at == 0).collect();
        match self {
            Videos::Generated(spec) => {
                let video = temporal_pathfinder::video(*spec, index);
                let cuts = whole(video.frames.len());
                Ok(Clip::grey((spec.size, spec.size), video.frames, video.masks, cuts))
            }
            Videos::Streams(spec) => {
                let (mut frames, mut masks, mut cuts) = (Vec::new(), Vec::new(), Vec::new());
                for next in Stream::numbered(*spec, index as u32).take(spec.frames as usize) {
                    frames.push(next.frame);
                    masks.push(next.mask);
                    cuts.push(next.cut);
                }
                Ok(Clip::grey((spec.size, spec.size), frames, masks, cuts))
            }
            Videos::Folder(dataset, frames) => {
                let read = dataset.read(index as usize).map_err(|error| Failure::new(Cause::Source, error))?;
                let (mut frames_read, mut masks) = (read.video.frames, read.video.masks);
                frames_read.truncate(*frames);
                masks.truncate(*frames);
                let cuts = whole(frames_read.len());
                Ok(Clip::grey((read.width, read.height), frames_read, masks, cuts))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_have_cuts_and_no_scene_in_common() {
        let open = |frames| Videos::open("pathfinder:easy?seed=5&stream", 32, frames).unwrap();
        let (one, two) = (open(130).clip(0).unwrap(), open(130).clip(1).unwrap());
        assert!(one.cuts[0] && one.cuts.iter().filter(|cut| **cut).count() >= 3);
        assert_ne!(one.frames[0], two.frames[0]);
        let live: Vec<_> =
            Stream::new(Spec { split: Split::Easy, seed: 5, size: 32, frames: 1 }).take(130).map(|next| next.frame).collect();
        assert_eq!(one.frames, live, "the first is the stream that `run` shows");
    }

    #[test]
    fn a_source_that_cannot_be_meant_is_refused() {
        for (uri, words) in [
            ("pathfinder:easy?colour=1", "seed, size and stream"),
            ("pathfinder:easy?seed=x", "whole number"),
            ("pathfinder:medium", "medium"),
            ("no/such/folder", "dataset_config.json"),
        ] {
            let refused = Videos::open(uri, 64, 6).err().expect(uri).to_string();
            assert!(refused.contains(words), "{uri}: {refused}");
        }
    }
}
