//! A mask to regions: one per class, or one per connected blob.

use super::mask::Mask;
use crate::telemetry::{Detection, Detections, Region};

/// Finds regions; keeps its buffers from frame to frame.
#[derive(Default)]
pub(super) struct Regions {
    labels: Vec<u32>,
    parents: Vec<u32>,
    blobs: Vec<Blob>,
}

#[derive(Clone, Copy)]
struct Blob {
    class: u8,
    left: usize,
    top: usize,
    right: usize,
    bottom: usize,
    pixels: u32,
    score: f32,
}

impl Regions {
    /// Fills `found` with the regions of `mask`, largest first: all pixels of a class together, or (`separate`) each
    /// 8-connected blob by itself. O(pixels).
    pub(super) fn find(&mut self, mask: &Mask, separate: bool, view: Region, found: &mut Detections) {
        if separate {
            self.connect(mask);
        } else {
            self.labels.clear();
            self.labels.extend(mask.classes.iter().map(|&class| if mask.nothing == Some(class) { 0 } else { 1 + u32::from(class) }));
            self.parents.clear();
            self.parents.extend(0..=256);
        }
        self.measure(mask);
        found.clear();
        self.blobs.retain(|blob| blob.pixels > 0);
        self.blobs.sort_unstable_by_key(|blob| (std::cmp::Reverse(blob.pixels), blob.top, blob.left));
        let (sx, sy) = (view.width / mask.width as f32, view.height / mask.height as f32);
        for blob in &self.blobs {
            let detection = Detection {
                class: blob.class,
                region: Region {
                    x: view.x + blob.left as f32 * sx,
                    y: view.y + blob.top as f32 * sy,
                    width: (blob.right - blob.left + 1) as f32 * sx,
                    height: (blob.bottom - blob.top + 1) as f32 * sy,
                },
                area: blob.pixels as f32 * sx * sy,
                score: blob.score / blob.pixels as f32,
                ..Detection::default()
            };
            if found.push(detection).is_err() {
                break;
            }
        }
    }

    /// Two-pass connected components by union-find over 8-neighbours of the same class.
    fn connect(&mut self, mask: &Mask) {
        let width = mask.width;
        self.labels.clear();
        self.labels.resize(mask.classes.len(), 0);
        self.parents.clear();
        self.parents.push(0);
        for at in 0..mask.classes.len() {
            let class = mask.classes[at];
            if mask.nothing == Some(class) {
                continue;
            }
            let (x, y) = (at % width, at / width);
            let neighbours = [
                (x > 0).then(|| at - 1),
                (y > 0).then(|| at - width),
                (x > 0 && y > 0).then(|| at - width - 1),
                (x + 1 < width && y > 0).then(|| at - width + 1),
            ];
            let mut label = 0;
            for neighbour in neighbours.into_iter().flatten().filter(|&n| mask.classes[n] == class) {
                let other = root(&mut self.parents, self.labels[neighbour]);
                if label == 0 {
                    label = other;
                } else if label != other {
                    let (low, high) = (label.min(other), label.max(other));
                    self.parents[high as usize] = low;
                    label = low;
                }
            }
            if label == 0 {
                label = self.parents.len() as u32;
                self.parents.push(label);
            }
            self.labels[at] = label;
        }
    }

    fn measure(&mut self, mask: &Mask) {
        let empty = Blob { class: 0, left: usize::MAX, top: usize::MAX, right: 0, bottom: 0, pixels: 0, score: 0.0 };
        self.blobs.clear();
        self.blobs.resize(self.parents.len(), empty);
        for (at, &label) in self.labels.iter().enumerate().filter(|(_, label)| **label != 0) {
            let blob = &mut self.blobs[root(&mut self.parents, label) as usize];
            let (x, y) = (at % mask.width, at / mask.width);
            blob.class = mask.classes[at];
            blob.left = blob.left.min(x);
            blob.right = blob.right.max(x);
            blob.top = blob.top.min(y);
            blob.bottom = blob.bottom.max(y);
            blob.pixels += 1;
            blob.score += mask.scores[at];
        }
    }
}

fn root(parents: &mut [u32], mut label: u32) -> u32 {
    while parents[label as usize] != label {
        let grandparent = parents[parents[label as usize] as usize];
        parents[label as usize] = grandparent;
        label = grandparent;
    }
    label
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::task::mask;

    fn drawn(rows: &[&str]) -> Mask {
        let mut mask = mask::tests::mask("detections", 3, "", [rows.len(), rows[0].len()]);
        mask.classes = rows.concat().bytes().map(|byte| byte - b'0').collect();
        mask.scores.fill(0.75);
        mask
    }

    fn found(rows: &[&str], separate: bool) -> Detections {
        let mask = drawn(rows);
        let view = Region { x: 10.0, y: 0.0, width: 2.0 * mask.width as f32, height: mask.height as f32 };
        let mut found = Detections::new();
        Regions::default().find(&mask, separate, view, &mut found);
        found
    }

    #[test]
    fn a_contour_is_one_region_in_source_pixels() {
        let found = found(&["0110", "0000", "0001"], false);
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].region, Region { x: 12.0, y: 0.0, width: 6.0, height: 3.0 });
        assert_eq!((found[0].area, found[0].score), (6.0, 0.75));
    }

    #[test]
    fn blobs_that_meet_late_are_one_and_blobs_apart_are_two() {
        let found = found(&["10101", "11100", "00002"], true);
        assert_eq!(found.iter().map(|d| (d.class, d.area)).collect::<Vec<_>>(), [(1, 10.0), (1, 2.0), (2, 2.0)]);
    }

    #[test]
    fn without_a_background_class_0_is_a_region_as_well() {
        let mut mask = drawn(&["001", "111"]);
        mask.nothing = None;
        let mut found = Detections::new();
        Regions::default().find(&mask, false, Region { width: 3.0, height: 2.0, ..Region::default() }, &mut found);
        assert_eq!(found.iter().map(|d| (d.class, d.area)).collect::<Vec<_>>(), [(1, 4.0), (0, 2.0)]);
    }

    #[test]
    fn an_empty_mask_has_no_regions() {
        assert!(found(&["000", "000"], true).is_empty());
    }
}
