//! The same number for the same object from frame to frame.

use crate::telemetry::{Detections, Region};

/// How many frames an object may be hidden before its number is given up.
const PATIENCE: u32 = 10;
/// Boxes that overlap by less than this share of their union are different objects.
const SAME: f32 = 0.2;

#[derive(Clone, Copy)]
struct Track {
    number: u32,
    class: u8,
    region: Region,
    missed: u32,
}

/// Greedy matching by intersection over union, largest detection first.
#[derive(Default)]
pub(super) struct Tracks {
    known: Vec<Track>,
    last: u32,
}

impl Tracks {
    /// Gives every detection the number of the track it continues, or a new one.
    pub(super) fn follow(&mut self, detections: &mut Detections) {
        for track in &mut self.known {
            track.missed += 1;
        }
        for detection in detections.iter_mut() {
            let candidates = self.known.iter_mut().filter(|track| track.missed > 0 && track.class == detection.class);
            let nearest = candidates
                .map(|track| (overlap(&track.region, &detection.region), track))
                .max_by(|a, b| a.0.total_cmp(&b.0))
                .filter(|(share, _)| *share >= SAME);
            match nearest {
                Some((_, track)) => {
                    track.region = detection.region;
                    track.missed = 0;
                    detection.track = track.number;
                }
                None => {
                    self.last += 1;
                    detection.track = self.last;
                    self.known.push(Track { number: self.last, class: detection.class, region: detection.region, missed: 0 });
                }
            }
        }
        self.known.retain(|track| track.missed <= PATIENCE);
    }
}

fn overlap(a: &Region, b: &Region) -> f32 {
    let width = (a.x + a.width).min(b.x + b.width) - a.x.max(b.x);
    let height = (a.y + a.height).min(b.y + b.height) - a.y.max(b.y);
    let shared = width.max(0.0) * height.max(0.0);
    let union = a.width * a.height + b.width * b.height - shared;
    if union > 0.0 { shared / union } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::Detection;

    fn frame(boxes: &[(f32, f32)]) -> Detections {
        let region = |&(x, y)| Region { x, y, width: 10.0, height: 10.0 };
        boxes.iter().map(|at| Detection { class: 1, region: region(at), area: 100.0, score: 1.0, track: 0 }).collect()
    }

    #[test]
    fn a_moving_object_keeps_its_number_through_a_short_absence() {
        let mut tracks = Tracks::default();
        let mut numbers = Vec::new();
        for boxes in [&[(0.0, 0.0), (50.0, 0.0)][..], &[(52.0, 1.0), (2.0, 0.0)], &[(4.0, 0.0)], &[(54.0, 2.0), (6.0, 0.0)]] {
            let mut detections = frame(boxes);
            tracks.follow(&mut detections);
            numbers.push(detections.iter().map(|d| d.track).collect::<Vec<_>>());
        }
        assert_eq!(numbers, [vec![1, 2], vec![2, 1], vec![1], vec![2, 1]]);
    }

    #[test]
    fn an_object_elsewhere_is_another_one() {
        let mut tracks = Tracks::default();
        tracks.follow(&mut frame(&[(0.0, 0.0)]));
        let mut later = frame(&[(200.0, 0.0)]);
        tracks.follow(&mut later);
        assert_eq!(later[0].track, 2);
    }
}
