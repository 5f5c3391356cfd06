//! How well a mask fits: IoU, F1, precision and recall per image, then averaged.

/// Four figures of one image, or the mean over many; each 0 to 1.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Score {
    pub iou: f64,
    pub f1: f64,
    pub precision: f64,
    pub recall: f64,
}

impl Score {
    /// Compares a predicted mask with the target; any value other than 0 is inside.
    pub fn of(predicted: &[u8], target: &[u8]) -> Score {
        let (mut both, mut only_predicted, mut only_target) = (0u32, 0u32, 0u32);
        for (&p, &t) in predicted.iter().zip(target) {
            both += u32::from(p != 0 && t != 0);
            only_predicted += u32::from(p != 0 && t == 0);
            only_target += u32::from(p == 0 && t != 0);
        }
        // An empty prediction of an empty target is right.
        let share = |part: u32, whole: u32| if whole == 0 { 1.0 } else { f64::from(part) / f64::from(whole) };
        Score {
            iou: share(both, both + only_predicted + only_target),
            f1: share(2 * both, 2 * both + only_predicted + only_target),
            precision: share(both, both + only_predicted),
            recall: share(both, both + only_target),
        }
    }
}

/// Scores summed over many images, apart by frame number.
pub struct Scores {
    sum: Score,
    by_frame: Vec<(f64, u64)>,
}

impl Scores {
    /// For videos of at most `frames` frames.
    pub fn new(frames: usize) -> Scores {
        Scores { sum: Score::default(), by_frame: vec![(0.0, 0); frames] }
    }

    /// Adds the image at frame number `at` of a video.
    pub fn add(&mut self, at: usize, predicted: &[u8], target: &[u8]) {
        let score = Score::of(predicted, target);
        self.sum.iou += score.iou;
        self.sum.f1 += score.f1;
        self.sum.precision += score.precision;
        self.sum.recall += score.recall;
        self.by_frame[at].0 += score.iou;
        self.by_frame[at].1 += 1;
    }

    /// Images added.
    pub fn frames(&self) -> u64 {
        self.by_frame.iter().map(|(_, count)| count).sum()
    }

    /// The mean over all images.
    pub fn mean(&self) -> Score {
        let n = self.frames().max(1) as f64;
        Score { iou: self.sum.iou / n, f1: self.sum.f1 / n, precision: self.sum.precision / n, recall: self.sum.recall / n }
    }

    /// Mean IoU of each frame number.
    pub fn iou_by_frame(&self) -> Vec<f64> {
        self.by_frame.iter().map(|&(sum, count)| sum / count.max(1) as f64).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_follow_their_definitions() {
        let score = Score::of(&[1, 1, 0, 0], &[255, 0, 255, 0]);
        assert_eq!(score, Score { iou: 1.0 / 3.0, f1: 0.5, precision: 0.5, recall: 0.5 });
    }

    #[test]
    fn nothing_found_where_nothing_is_counts_as_right() {
        assert_eq!(Score::of(&[0], &[0]).iou, 1.0);
    }
}
