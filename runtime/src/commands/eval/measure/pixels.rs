//! Classes of pixels beside labelled ones: IoU of each class over all pictures, their mean, and the share of pixels that are right.

/// No class: a pixel that the network did not look at.
pub const UNSEEN: u8 = u8::MAX;

/// Counted over all pictures.
pub struct Pixels {
    classes: usize,
    /// Labelled class by row; what was seen by column, the last for unseen pixels.
    counts: Vec<u64>,
}

impl Pixels {
    pub fn new(classes: usize) -> Pixels {
        Pixels { classes, counts: vec![0; classes * (classes + 1)] }
    }

    /// Adds a picture's pixels: class labelled (None is left out) and class seen.
    pub fn add(&mut self, pixels: impl Iterator<Item = (Option<u8>, u8)>) {
        for (label, seen) in pixels {
            if let Some(label) = label {
                self.counts[usize::from(label) * (self.classes + 1) + usize::from(seen).min(self.classes)] += 1;
            }
        }
    }

    fn count(&self, label: usize, seen: usize) -> u64 {
        self.counts[label * (self.classes + 1) + seen]
    }

    /// IoU of each class; not a number for one that is neither labelled nor seen.
    pub fn iou(&self) -> Vec<f64> {
        let own = |class: usize| {
            let labelled: u64 = (0..=self.classes).map(|seen| self.count(class, seen)).sum();
            let seen: u64 = (0..self.classes).map(|label| self.count(label, class)).sum();
            let both = self.count(class, class);
            both as f64 / (labelled + seen - both) as f64
        };
        (0..self.classes).map(own).collect()
    }

    /// Mean IoU over the classes that are labelled or seen.
    pub fn mean_iou(&self) -> f64 {
        let known: Vec<f64> = self.iou().into_iter().filter(|iou| !iou.is_nan()).collect();
        known.iter().sum::<f64>() / known.len() as f64
    }

    /// Share of the labelled pixels that are right.
    pub fn accuracy(&self) -> f64 {
        let right: u64 = (0..self.classes).map(|class| self.count(class, class)).sum();
        right as f64 / self.counts.iter().sum::<u64>() as f64
    }
}
