//! What the readout's numbers mean: a mask and the regions in it, or boxes; and which object is which from frame to frame.

mod boxes;
mod mask;
mod regions;
mod tracks;

use std::time::Duration;

pub use boxes::Candidate;
pub use mask::Mask;

use crate::network::Network;
use crate::network::manifest::TaskKind;
use crate::outcome::Label;
use crate::telemetry::{Detection, Detections, Region};
use boxes::Boxes;
use regions::Regions;
use tracks::Tracks;

/// Where and when an answer was seen.
#[derive(Clone, Copy, Debug, Default)]
pub struct Scene {
    /// The part of the source's picture that the network's input covers; more than the picture where it was given borders.
    pub view: Region,
    /// Width and height of the source's picture.
    pub size: [f32; 2],
    /// When the picture was taken, on whatever clock, where that is known: tracks have a speed then.
    pub time: Option<Duration>,
}

/// Turns a readout's answer into a mask or boxes and into detections; keeps its buffers from frame to frame.
pub struct Task {
    kind: TaskKind,
    /// Numbers of the first output, which is the task's where others come with it.
    logits: usize,
    mask: Mask,
    regions: Regions,
    boxes: Option<Boxes>,
    unsure: Vec<Candidate>,
    tracks: Tracks,
    detections: Detections,
}

impl Task {
    /// The task of `network`.
    pub fn new(network: &Network) -> Task {
        let (section, input, answers) = (&network.manifest.task, &network.manifest.input, network.answers());
        let boxes = Boxes::new(section, &answers, [input.width as f32, input.height as f32]);
        let mask = match answers[0].shape[..] {
            _ if section.kind == TaskKind::Raw => Mask::default(),
            [_, 1, height, width] if boxes.is_none() => Mask::of_one(section, [height, width], network.gives_probabilities()),
            [_, channels, height, width] if boxes.is_none() => Mask::new(section, [channels, height, width]),
            // A class for the whole picture is a mask of one pixel.
            [_, channels] if boxes.is_none() => Mask::new(section, [channels, 1, 1]),
            _ => Mask::default(),
        };
        let tracks = Tracks::new(if boxes.is_some() { tracks::BOXES } else { tracks::BLOBS });
        Task {
            kind: section.kind,
            logits: answers[0].len(),
            mask,
            regions: Regions::default(),
            boxes,
            unsure: Vec::new(),
            tracks,
            detections: Detections::new(),
        }
    }

    /// Reads one frame's answer, as [`Engine::readout`](crate::network::engine::Engine::readout) gives it.
    pub fn read(&mut self, answer: &[f32], scene: &Scene) -> &Detections {
        match &mut self.boxes {
            Some(boxes) => {
                self.detections.clear();
                self.unsure.clear();
                boxes.read(answer, scene.view, scene.size);
                for candidate in boxes.kept() {
                    if boxes.sure(candidate) {
                        self.detections.push(candidate.into()).expect("a manifest allows no more boxes than there is room for");
                    } else if boxes.may_continue(candidate) {
                        self.unsure.push(*candidate);
                    }
                }
                self.tracks.follow(&mut self.detections, &self.unsure, scene.time);
                &self.detections
            }
            None if self.kind == TaskKind::Raw => &self.detections,
            None => {
                self.mask.read(&answer[..self.logits]);
                self.detect(scene)
            }
        }
    }

    /// Reads one frame's labels, packed with [`Task::packing`].
    pub fn take(&mut self, labels: &[Label], scene: &Scene) -> &Detections {
        self.mask.take(labels);
        self.detect(scene)
    }

    /// What a pixel's class must be likelier than, where engines can pack labels by that alone; None where the answer itself has to be read.
    pub fn packing(&self) -> Option<f32> {
        if self.boxes.is_none() && self.kind != TaskKind::Raw { self.mask.packing() } else { None }
    }

    fn detect(&mut self, scene: &Scene) -> &Detections {
        self.regions.find(&self.mask, self.kind == TaskKind::Detections, scene.view, &mut self.detections);
        if self.kind == TaskKind::Detections {
            self.tracks.follow(&mut self.detections, &[], scene.time);
        }
        &self.detections
    }

    /// Whether the answer is how much of each pixel is foreground.
    pub fn is_matte(&self) -> bool {
        self.kind == TaskKind::Matte
    }

    /// The mask of the last frame read; empty where boxes are seen.
    pub fn mask(&self) -> &Mask {
        &self.mask
    }

    /// What was reported of the last frame.
    pub fn detections(&self) -> &Detections {
        &self.detections
    }

    /// All boxes of the last frame down to [`Task::keep_boxes_from`], the surest first, as the network alone saw them.
    pub fn boxes(&self) -> &[Candidate] {
        self.boxes.as_ref().map_or(&[], Boxes::kept)
    }

    /// Keeps boxes of at least this score for [`Task::boxes`]; what is reported stays the same.
    pub fn keep_boxes_from(&mut self, score: f32) {
        if let Some(boxes) = &mut self.boxes {
            boxes.keep_from(score);
        }
    }

    /// Forgets the tracks, after a cut.
    pub fn reset(&mut self) {
        self.tracks.forget();
    }
}

impl From<&Candidate> for Detection {
    fn from(candidate: &Candidate) -> Detection {
        let Candidate { class, score, region } = *candidate;
        Detection { class, region, area: region.width * region.height, score, ..Detection::default() }
    }
}

/// Which share of their union two regions have in common.
pub fn overlap(a: &Region, b: &Region) -> f32 {
    let width = (a.x + a.width).min(b.x + b.width) - a.x.max(b.x);
    let height = (a.y + a.height).min(b.y + b.height) - a.y.max(b.y);
    let shared = width.max(0.0) * height.max(0.0);
    let union = a.width * a.height + b.width * b.height - shared;
    if union > 0.0 { shared / union } else { 0.0 }
}
