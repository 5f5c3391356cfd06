//! Scores and boxes to the boxes that stay: decoded, the surest of each place, at most so many.

mod decode;
mod suppress;

use std::ops::Range;

use crate::network::answers::Answer;
use crate::network::manifest::{BoxesSection, TaskSection};
use crate::telemetry::Region;

/// Boxes that may go into the search for overlaps; more, and the least sure are left out.
const MOST: usize = 1000;
/// Share of a class's threshold from which on a box can continue a track.
const UNSURE: f32 = 0.4;

/// A box and what it may be.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Candidate {
    /// Index into the class names.
    pub class: u8,
    /// 0 to 1.
    pub score: f32,
    /// Where: in network pixels while decoding, then in pixels of the source's picture.
    pub region: Region,
}

/// One pair of outputs, and where they lie in the answer.
struct Head {
    scores: Range<usize>,
    boxes: Range<usize>,
    /// Network pixels from cell to cell; 0 where boxes come ready.
    stride: f32,
    /// Cells down and across; ready boxes are one row.
    cells: [usize; 2],
}

/// Reads boxes; keeps its buffers from frame to frame.
pub(super) struct Boxes {
    section: BoxesSection,
    heads: Vec<Head>,
    /// Width and height of the network's input.
    input: [f32; 2],
    /// Score of each class from which on a box is reported.
    thresholds: Vec<f32>,
    /// Score of each class from which on a box is decoded.
    floors: Vec<f32>,
    found: Vec<Candidate>,
    kept: Vec<Candidate>,
}

impl Boxes {
    /// For the outputs `answers` of a network whose input is `input` (width, height); None if the manifest describes no boxes.
    pub fn new(section: &TaskSection, answers: &[Answer], input: [f32; 2]) -> Option<Boxes> {
        let boxes = section.boxes.clone()?;
        let place = |name: &str| {
            let at = answers.iter().position(|answer| answer.name == name).expect("checked when the network was read");
            let before: usize = answers[..at].iter().map(Answer::len).sum();
            (before..before + answers[at].len(), &answers[at].shape)
        };
        let head = |(at, (scores, of)): (usize, (String, String))| {
            let ((scores, shape), (of, _)) = (place(&scores), place(&of));
            let stride = boxes.strides.get(at).map_or(0.0, |stride| *stride as f32);
            Head { scores, boxes: of, stride, cells: if stride > 0.0 { [shape[2], shape[3]] } else { [1, shape[1]] } }
        };
        let heads = boxes.outputs().into_iter().enumerate().map(head).collect();
        let thresholds: Vec<f32> = section.classes.iter().map(|name| *section.thresholds.get(name).unwrap_or(&boxes.threshold)).collect();
        let floors = thresholds.iter().map(|threshold| threshold * UNSURE).collect();
        let (found, kept) = (Vec::with_capacity(MOST), Vec::with_capacity(boxes.limit));
        Some(Boxes { section: boxes, heads, input, thresholds, floors, found, kept })
    }

    /// Decodes every box of at least this score, for whoever measures them.
    pub fn keep_from(&mut self, score: f32) {
        self.floors.iter_mut().for_each(|floor| *floor = floor.min(score));
    }

    /// The boxes of `answer`, the surest first, sure and unsure ones, in pixels of the source's picture of `size`, of which the network sees `view`.
    pub fn read(&mut self, answer: &[f32], view: Region, size: [f32; 2]) -> &[Candidate] {
        self.found.clear();
        for head in &self.heads {
            decode::head(&self.section, head, self.input, &self.floors, answer, &mut self.found);
        }
        suppress::surest(&mut self.found, MOST);
        suppress::overlapping(&self.found, self.section.nms, self.section.limit, &mut self.kept);
        let (sx, sy) = (view.width / self.input[0], view.height / self.input[1]);
        // In borders there is nothing to be seen.
        self.kept.retain_mut(|kept| {
            let Region { x, y, width, height } = kept.region;
            let (left, top) = ((view.x + x * sx).max(0.0), (view.y + y * sy).max(0.0));
            let (right, bottom) = ((view.x + (x + width) * sx).min(size[0]), (view.y + (y + height) * sy).min(size[1]));
            kept.region = Region { x: left, y: top, width: right - left, height: bottom - top };
            right > left && bottom > top
        });
        &self.kept
    }

    /// The boxes read last.
    pub fn kept(&self) -> &[Candidate] {
        &self.kept
    }

    /// Whether a box is to be reported on its own account.
    pub fn sure(&self, candidate: &Candidate) -> bool {
        candidate.score >= self.thresholds[usize::from(candidate.class)]
    }

    /// Whether a box may continue a track.
    pub fn may_continue(&self, candidate: &Candidate) -> bool {
        candidate.score >= self.thresholds[usize::from(candidate.class)] * UNSURE
    }
}

#[cfg(test)]
mod tests;
