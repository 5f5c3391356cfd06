//! What the logits mean: a mask, and the regions in it.

mod mask;
mod regions;
mod tracks;

pub use mask::Mask;

use crate::network::manifest::{TaskKind, TaskSection};
use crate::outcome::Label;
use crate::telemetry::{Detections, Region};
use regions::Regions;
use tracks::Tracks;

/// Turns logits into a mask and detections; keeps its buffers from frame to frame.
pub struct Task {
    kind: TaskKind,
    mask: Mask,
    regions: Regions,
    tracks: Tracks,
    detections: Detections,
}

impl Task {
    /// A task for logits of shape `[1, classes, height, width]`.
    pub fn new(section: &TaskSection, logits_shape: [usize; 4]) -> Task {
        let [_, classes, height, width] = logits_shape;
        Task {
            kind: section.kind,
            mask: Mask::new(classes, width, height, section.threshold),
            regions: Regions::default(),
            tracks: Tracks::default(),
            detections: Detections::new(),
        }
    }

    /// Reads one frame's logits. `view` is the part of the source's picture that the logits cover.
    pub fn read(&mut self, logits: &[f32], view: Region) -> &Detections {
        self.mask.read(logits);
        self.detect(view)
    }

    /// Reads one frame's labels, packed with [`Task::threshold`]; `view` as in [`Task::read`].
    pub fn take(&mut self, labels: &[Label], view: Region) -> &Detections {
        self.mask.take(labels);
        self.detect(view)
    }

    /// What a pixel's class must be likelier than.
    pub fn threshold(&self) -> f32 {
        self.mask.threshold()
    }

    fn detect(&mut self, view: Region) -> &Detections {
        self.regions.find(&self.mask, self.kind == TaskKind::Detections, view, &mut self.detections);
        if self.kind == TaskKind::Detections {
            self.tracks.follow(&mut self.detections);
        }
        &self.detections
    }

    /// The mask of the last frame read.
    pub fn mask(&self) -> &Mask {
        &self.mask
    }

    /// Forgets the tracks, after a cut.
    pub fn reset(&mut self) {
        self.tracks = Tracks::default();
    }
}
