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

/// Frames after a cut that are looked at one by one; the cut itself is number 0.
pub const AFTER_CUT: usize = 20;

/// Scores summed over many images, apart by video, by frame number and by frames since a cut.
pub struct Scores {
    sum: Score,
    by_frame: Vec<Sum>,
    by_video: Vec<Sum>,
    after_cut: [Sum; AFTER_CUT + 1],
    since_cut: Option<usize>,
}

/// A sum and how many it is of.
#[derive(Clone, Copy, Debug, Default)]
struct Sum(f64, u64);

impl Sum {
    fn add(&mut self, value: f64) {
        self.0 += value;
        self.1 += 1;
    }

    fn mean(&self) -> f64 {
        self.0 / self.1 as f64
    }
}

impl Scores {
    /// For videos of at most `frames` frames.
    pub fn new(frames: usize) -> Scores {
        let none = Sum::default();
        Scores {
            sum: Score::default(),
            by_frame: vec![none; frames],
            by_video: Vec::new(),
            after_cut: [none; AFTER_CUT + 1],
            since_cut: None,
        }
    }

    /// Adds the image at frame number `at` of video `video`; `cut` where a new scene begins with it.
    pub fn add(&mut self, video: usize, at: usize, cut: bool, predicted: &[u8], target: &[u8]) {
        self.add_score(video, at, cut, Score::of(predicted, target));
    }

    /// The same where one share alone tells how well the image fits: all four figures are that share.
    pub fn add_share(&mut self, video: usize, at: usize, cut: bool, share: f64) {
        self.add_score(video, at, cut, Score { iou: share, f1: share, precision: share, recall: share });
    }

    fn add_score(&mut self, video: usize, at: usize, cut: bool, score: Score) {
        self.sum.iou += score.iou;
        self.sum.f1 += score.f1;
        self.sum.precision += score.precision;
        self.sum.recall += score.recall;
        self.by_frame[at].add(score.iou);
        self.by_video.resize(self.by_video.len().max(video + 1), Sum::default());
        self.by_video[video].add(score.iou);
        // A video's first frame follows nothing: there is nothing to recover from.
        self.since_cut = match self.since_cut {
            _ if at == 0 => None,
            _ if cut => Some(0),
            since => since.map(|since| since + 1),
        };
        if let Some(sum) = self.since_cut.and_then(|since| self.after_cut.get_mut(since)) {
            sum.add(score.iou);
        }
    }

    /// Images added.
    pub fn frames(&self) -> u64 {
        self.by_frame.iter().map(|sum| sum.1).sum()
    }

    /// The mean over all images.
    pub fn mean(&self) -> Score {
        let n = self.frames().max(1) as f64;
        Score { iou: self.sum.iou / n, f1: self.sum.f1 / n, precision: self.sum.precision / n, recall: self.sum.recall / n }
    }

    /// Mean IoU of each frame number; of those never added, not a number.
    pub fn iou_by_frame(&self) -> Vec<f64> {
        self.by_frame.iter().map(Sum::mean).collect()
    }

    /// Mean IoU of the cut's frame and of each after it, with how many there were; the series ends where there is none.
    pub fn after_cut(&self) -> Vec<(f64, u64)> {
        self.after_cut.iter().take_while(|sum| sum.1 > 0).map(|sum| (sum.mean(), sum.1)).collect()
    }

    /// Mean IoU of the frames that scenes begin with: those at cuts, where there are any, else the videos' first.
    pub fn scenes_begin_with(&self) -> f64 {
        if self.after_cut[0].1 > 0 { self.after_cut[0].mean() } else { self.by_frame[0].mean() }
    }

    /// How much IoU was lost against `reference` on the same videos, with its standard error: frames of a video are not independent, videos are.
    pub fn loss(&self, reference: &Scores) -> (f64, f64) {
        let loss = reference.mean().iou - self.mean().iou;
        let differences: Vec<f64> = self.by_video.iter().zip(&reference.by_video).map(|(own, other)| other.mean() - own.mean()).collect();
        let n = differences.len() as f64;
        if n < 2.0 {
            return (loss, f64::NAN);
        }
        let mean = differences.iter().sum::<f64>() / n;
        let variance = differences.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / (n - 1.0);
        (loss, (variance / n).sqrt())
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

    #[test]
    fn frames_are_counted_from_the_last_cut() {
        let mut scores = Scores::new(5);
        for (at, cut) in [(0, true), (1, false), (2, true), (3, false), (4, false)] {
            scores.add(0, at, cut, &[1], &[if at == 3 { 0 } else { 1 }]);
        }
        assert_eq!(scores.after_cut(), [(1.0, 1), (0.0, 1), (1.0, 1)], "frames 2, 3 and 4");
    }

    #[test]
    fn a_loss_that_is_the_same_in_every_video_is_certain() {
        let (mut good, mut bad) = (Scores::new(1), Scores::new(1));
        for video in 0..4 {
            good.add(video, 0, true, &[1, 1], &[1, 1]);
            bad.add(video, 0, true, &[1, 0], &[1, 1]);
        }
        assert_eq!(bad.loss(&good), (0.5, 0.0));
        assert_eq!(good.loss(&good), (0.0, 0.0));
    }
}
