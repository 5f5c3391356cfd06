//! Logits to a class per pixel.

use crate::outcome::Label;

/// A class and its probability for every pixel of the logits.
#[derive(Clone, Debug)]
pub struct Mask {
    /// Width in pixels of the logits.
    pub width: usize,
    /// Height in pixels of the logits.
    pub height: usize,
    /// Class of each pixel, 0 for background, row by row.
    pub classes: Vec<u8>,
    /// Probability of that class, 0 to 1.
    pub scores: Vec<f32>,
    channels: usize,
    threshold: f32,
}

impl Mask {
    pub(super) fn new(channels: usize, width: usize, height: usize, threshold: f32) -> Mask {
        let pixels = width * height;
        Mask { width, height, classes: vec![0; pixels], scores: vec![0.0; pixels], channels, threshold }
    }

    /// Softmax over the channels of NCHW logits; a pixel belongs to the likeliest class other than background if that class's
    /// probability exceeds the threshold. O(channels x pixels).
    pub(super) fn read(&mut self, logits: &[f32]) {
        let pixels = self.width * self.height;
        assert_eq!(logits.len(), self.channels * pixels, "logits have the shape the network was loaded with");
        for at in 0..pixels {
            let logit = |channel: usize| logits[channel * pixels + at];
            let best = (1..self.channels).fold(1, |best, channel| if logit(channel) > logit(best) { channel } else { best });
            let sum: f32 = (0..self.channels).map(|channel| (logit(channel) - logit(best)).exp()).sum();
            let probability = 1.0 / sum;
            let seen = probability > self.threshold;
            self.classes[at] = if seen { best as u8 } else { 0 };
            self.scores[at] = if seen { probability } else { 1.0 - probability };
        }
    }

    /// Takes what an engine packed by the same rule. O(pixels).
    pub(super) fn take(&mut self, labels: &[Label]) {
        for ((class, score), label) in self.classes.iter_mut().zip(&mut self.scores).zip(labels) {
            *class = label.class;
            *score = f32::from(label.score) / 255.0;
        }
    }

    /// What a pixel's class must be likelier than.
    pub(super) fn threshold(&self) -> f32 {
        self.threshold
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pixel_takes_the_likeliest_class_above_the_threshold() {
        let mut mask = Mask::new(3, 2, 1, 0.5);
        mask.read(&[0.0, 3.0, 4.0, 0.0, 1.0, 1.0]);
        assert_eq!(mask.classes, [1, 0]);
        assert!((mask.scores[0] - 0.936).abs() < 1e-3);
    }
}
