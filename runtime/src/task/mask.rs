//! Logits to a class per pixel.

use crate::network::manifest::{TaskKind, TaskSection};
use crate::outcome::Label;

/// A class and its probability for every pixel of the logits.
#[derive(Clone, Debug, Default)]
pub struct Mask {
    /// Width in pixels of the logits.
    pub width: usize,
    /// Height in pixels of the logits.
    pub height: usize,
    /// Class of each pixel, row by row.
    pub classes: Vec<u8>,
    /// Probability of that class, 0 to 1.
    pub scores: Vec<f32>,
    /// The class that shows nothing, if there is one.
    pub nothing: Option<u8>,
    channels: usize,
    rule: Rule,
    most: Vec<f32>,
}

/// Which class a pixel belongs to.
#[derive(Clone, Debug, PartialEq)]
enum Rule {
    /// The likeliest class other than 0 if it is likelier than this, else 0. Engines pack labels by this rule.
    Over(f32),
    /// The likeliest of those that can be the answer; below the threshold, if there is one, the background.
    Likeliest { left_out: Vec<usize>, threshold: f32 },
    /// One channel tells the second class from the first, which is background: from this probability on.
    Sigmoid { given: bool, threshold: f32 },
}

impl Default for Rule {
    fn default() -> Rule {
        Rule::Over(0.5)
    }
}

impl Mask {
    /// For logits of shape `[1, channels, height, width]`.
    pub(super) fn new(section: &TaskSection, [channels, height, width]: [usize; 3]) -> Mask {
        let rule = match section.kind {
            TaskKind::Classes => Rule::Likeliest {
                left_out: section.ignore.iter().filter_map(|name| section.class(name)).map(usize::from).collect(),
                threshold: section.threshold.unwrap_or(0.0),
            },
            _ => Rule::Over(section.threshold.unwrap_or(0.5)),
        };
        let pixels = width * height;
        let most = if matches!(rule, Rule::Over(_)) { Vec::new() } else { vec![0.0; pixels] };
        let (classes, scores) = (vec![0; pixels], vec![0.0; pixels]);
        Mask { width, height, classes, scores, nothing: section.nothing(), channels, rule, most }
    }

    /// For one channel, which is a logit or, `given`, a probability already.
    pub(super) fn of_one(section: &TaskSection, [height, width]: [usize; 2], given: bool) -> Mask {
        let rule = Rule::Sigmoid { given, threshold: section.threshold.unwrap_or(0.5) };
        Mask { rule, nothing: section.nothing().or(Some(0)), ..Mask::new(section, [1, height, width]) }
    }

    /// Gives every pixel its class from NCHW logits, with the softmax over the channels as its probability. O(channels x pixels).
    pub(super) fn read(&mut self, logits: &[f32]) {
        let pixels = self.width * self.height;
        assert_eq!(logits.len(), self.channels * pixels, "logits have the shape the network was loaded with");
        match self.rule {
            Rule::Over(threshold) => self.over(logits, threshold),
            Rule::Likeliest { threshold, .. } => self.likeliest(logits, threshold),
            Rule::Sigmoid { given, threshold } => {
                for ((score, class), logit) in self.scores.iter_mut().zip(&mut self.classes).zip(logits) {
                    let probability = if given { *logit } else { 1.0 / (1.0 + (-logit).exp()) };
                    let seen = probability > threshold;
                    *class = u8::from(seen);
                    *score = if seen { probability } else { 1.0 - probability };
                }
            }
        }
    }

    fn over(&mut self, logits: &[f32], threshold: f32) {
        let pixels = self.width * self.height;
        for at in 0..pixels {
            let logit = |channel: usize| logits[channel * pixels + at];
            let best = (1..self.channels).fold(1, |best, channel| if logit(channel) > logit(best) { channel } else { best });
            let sum: f32 = (0..self.channels).map(|channel| (logit(channel) - logit(best)).exp()).sum();
            let probability = 1.0 / sum;
            let seen = probability > threshold;
            self.classes[at] = if seen { best as u8 } else { 0 };
            self.scores[at] = if seen { probability } else { 1.0 - probability };
        }
    }

    /// Channel after channel, so that memory is read in its order.
    fn likeliest(&mut self, logits: &[f32], threshold: f32) {
        let Rule::Likeliest { left_out, .. } = &self.rule else { return };
        let planes = || logits.chunks_exact(self.width * self.height).enumerate().filter(|(channel, _)| !left_out.contains(channel));
        self.most.fill(f32::NEG_INFINITY);
        self.classes.fill(0);
        for (channel, plane) in planes() {
            for ((most, class), logit) in self.most.iter_mut().zip(&mut self.classes).zip(plane) {
                if logit > most {
                    (*most, *class) = (*logit, channel as u8);
                }
            }
        }
        self.scores.fill(0.0);
        for (_, plane) in planes() {
            for ((sum, most), logit) in self.scores.iter_mut().zip(&self.most).zip(plane) {
                *sum += (logit - most).exp();
            }
        }
        for (score, class) in self.scores.iter_mut().zip(&mut self.classes) {
            *score = 1.0 / *score;
            if let Some(nothing) = self.nothing
                && *score < threshold
                && *class != nothing
            {
                (*class, *score) = (nothing, 1.0 - *score);
            }
        }
    }

    /// Takes what an engine packed by [`Mask::packing`]. O(pixels).
    pub(super) fn take(&mut self, labels: &[Label]) {
        for ((class, score), label) in self.classes.iter_mut().zip(&mut self.scores).zip(labels) {
            *class = label.class;
            *score = f32::from(label.score) / 255.0;
        }
    }

    /// What a pixel's class must be likelier than, where that is the whole rule and engines can pack by it.
    pub(super) fn packing(&self) -> Option<f32> {
        if let Rule::Over(threshold) = self.rule { Some(threshold) } else { None }
    }

    /// What is drawn over a pixel of `class`: 0 for nothing, and for class 0, where that is something, another number.
    pub fn shown(&self, class: u8) -> u8 {
        match self.nothing {
            Some(0) => class,
            Some(nothing) if nothing == class => 0,
            _ => class + 1,
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A mask of `classes` classes by the words of a manifest.
    pub fn mask(kind: &str, classes: usize, more: &str, [height, width]: [usize; 2]) -> Mask {
        let names: Vec<String> = (0..classes).map(|at| format!("\"c{at}\"")).collect();
        let section = toml::from_str(&format!("kind = \"{kind}\"\nclasses = [{}]\n{more}", names.join(", "))).unwrap();
        Mask::new(&section, [classes, height, width])
    }

    #[test]
    fn a_pixel_takes_the_likeliest_class_above_the_threshold() {
        let mut mask = mask("contour", 3, "", [1, 2]);
        mask.read(&[0.0, 3.0, 4.0, 0.0, 1.0, 1.0]);
        assert_eq!(mask.classes, [1, 0]);
        assert!((mask.scores[0] - 0.936).abs() < 1e-3);
        assert_eq!((mask.packing(), mask.shown(1), mask.shown(0)), (Some(0.5), 1, 0));
    }

    #[test]
    fn without_a_background_every_pixel_takes_its_likeliest_class() {
        let mut mask = mask("classes", 3, "", [1, 3]);
        // The third pixel's likeliest class is no likelier than 0.4, and it is class 0 that leads in the first.
        mask.read(&[2.0, 0.0, 0.1, 1.0, 1.0, 0.0, 0.0, 3.0, 0.3]);
        assert_eq!(mask.classes, [0, 2, 2]);
        assert!(mask.scores[2] < 0.4 && (mask.scores[0] - 0.665).abs() < 1e-3, "{:?}", mask.scores);
        assert_eq!((mask.packing(), mask.shown(0), mask.shown(2)), (None, 1, 3));
    }

    #[test]
    fn a_class_that_is_ignored_is_never_the_answer() {
        let mut mask = mask("classes", 3, "ignore = [\"c2\"]", [1, 1]);
        mask.read(&[0.0, 1.0, 9.0]);
        assert_eq!(mask.classes, [1]);
        assert!((mask.scores[0] - 0.731).abs() < 1e-3, "the others share the whole: {:?}", mask.scores);
    }

    #[test]
    fn an_unsure_pixel_is_background_where_the_manifest_says_so() {
        let mut mask = mask("classes", 3, "background = \"c1\"\nthreshold = 0.6", [1, 2]);
        mask.read(&[1.0, 4.0, 0.9, 0.0, 0.0, 0.0]);
        assert_eq!(mask.classes, [1, 0]);
        assert_eq!((mask.shown(1), mask.shown(0)), (0, 1));
    }
}
