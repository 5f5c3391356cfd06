//! Average precision and recall of boxes by COCO's rules: 101 points of recall, ten thresholds of overlap, at most 100 boxes a picture.

use super::{Labelled, Seen, area, share, shared};

/// Overlaps from which on a box is right.
const OVERLAPS: usize = 10;
/// Points of recall at which precision is read.
const POINTS: usize = 101;
/// Boxes of a picture and class that count at most.
const MOST: usize = 100;

/// One box that was found: whether it is right at each overlap, or neither right nor wrong.
struct Judged {
    score: f32,
    verdicts: [Verdict; OVERLAPS],
}

#[derive(Clone, Copy, PartialEq)]
enum Verdict {
    Right,
    Wrong,
    Ignored,
}

/// Boxes over all pictures.
pub struct Precision {
    judged: Vec<Vec<Judged>>,
    labels: Vec<u64>,
}

/// What came of it; each 0 to 1, not a number where nothing was labelled.
#[derive(Clone, Debug, PartialEq)]
pub struct PrecisionSummary {
    pub ap50: f64,
    pub ap75: f64,
    /// Over overlaps of 0.50, 0.55, ..., 0.95.
    pub ap: f64,
    /// Recall of at most 100 boxes a picture over the same overlaps.
    pub ar: f64,
    /// By class: AP50, AP, AR and how many boxes were labelled.
    pub by_class: Vec<ClassPrecision>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct ClassPrecision {
    pub ap50: f64,
    pub ap: f64,
    pub ar: f64,
    pub labels: u64,
}

impl Precision {
    pub fn new(classes: usize) -> Precision {
        Precision { judged: (0..classes).map(|_| Vec::new()).collect(), labels: vec![0; classes] }
    }

    /// Adds a picture.
    pub fn add(&mut self, labelled: &[Labelled], seen: &[Seen]) {
        for class in 0..self.labels.len() {
            // Crowds last: a box goes to a single object first.
            let mut labels: Vec<&Labelled> = labelled.iter().filter(|label| label.class == class).collect();
            labels.sort_by_key(|label| label.crowd);
            let mut found: Vec<&Seen> = seen.iter().filter(|seen| seen.class == class).collect();
            found.sort_by(|a, b| b.score.total_cmp(&a.score));
            found.truncate(MOST);
            self.labels[class] += labels.iter().filter(|label| !label.crowd).count() as u64;
            self.judged[class].extend(judge(&labels, &found));
        }
    }

    pub fn summary(&self) -> PrecisionSummary {
        let by_class: Vec<(ClassPrecision, f64)> =
            self.judged.iter().zip(&self.labels).map(|(judged, labels)| class(judged, *labels)).collect();
        let mean = |of: fn(&(ClassPrecision, f64)) -> f64| mean(by_class.iter().filter(|(class, _)| class.labels > 0).map(of));
        PrecisionSummary {
            ap50: mean(|(class, _)| class.ap50),
            ap75: mean(|(_, ap75)| *ap75),
            ap: mean(|(class, _)| class.ap),
            ar: mean(|(class, _)| class.ar),
            by_class: by_class.into_iter().map(|(class, _)| class).collect(),
        }
    }
}

fn mean(values: impl Iterator<Item = f64>) -> f64 {
    let (sum, count) = values.fold((0.0, 0), |(sum, count), value| (sum + value, count + 1));
    sum / f64::from(count)
}

/// Gives each box, the surest first, the label it overlaps most of those that are left.
fn judge(labels: &[&Labelled], found: &[&Seen]) -> Vec<Judged> {
    let overlaps: Vec<Vec<f64>> = found
        .iter()
        .map(|seen| {
            let overlap = |label: &&Labelled| match label.crowd {
                // A crowd is as large as it likes: what counts is how much of the box lies in it.
                true => shared(&label.region, &seen.region) / area(&seen.region).max(f64::MIN_POSITIVE),
                false => share(&label.region, &seen.region),
            };
            labels.iter().map(overlap).collect()
        })
        .collect();
    let mut judged: Vec<Judged> = found.iter().map(|seen| Judged { score: seen.score, verdicts: [Verdict::Wrong; OVERLAPS] }).collect();
    for at in 0..OVERLAPS {
        let least = 0.5 + 0.05 * at as f64;
        let mut taken = vec![false; labels.len()];
        for (own, judged) in overlaps.iter().zip(&mut judged) {
            let (mut best, mut most) = (None, least.min(1.0 - 1e-10));
            for (label, overlap) in own.iter().enumerate() {
                if taken[label] && !labels[label].crowd {
                    continue;
                }
                if labels[label].crowd && best.is_some_and(|best: usize| !labels[best].crowd) {
                    break;
                }
                if *overlap >= most {
                    (best, most) = (Some(label), *overlap);
                }
            }
            if let Some(best) = best {
                taken[best] = true;
                judged.verdicts[at] = if labels[best].crowd { Verdict::Ignored } else { Verdict::Right };
            }
        }
    }
    judged
}

/// One class over all pictures, and its AP75.
fn class(judged: &[Judged], labels: u64) -> (ClassPrecision, f64) {
    if labels == 0 {
        return (ClassPrecision { ap50: f64::NAN, ap: f64::NAN, ar: f64::NAN, labels }, f64::NAN);
    }
    let mut order: Vec<&Judged> = judged.iter().collect();
    // Equal scores stay in the order of the pictures.
    order.sort_by(|a, b| b.score.total_cmp(&a.score));
    let (mut precisions, mut recalls) = ([0.0; OVERLAPS], [0.0; OVERLAPS]);
    for at in 0..OVERLAPS {
        (precisions[at], recalls[at]) = curve(order.iter().map(|judged| judged.verdicts[at]), labels);
    }
    let all = |values: [f64; OVERLAPS]| values.iter().sum::<f64>() / OVERLAPS as f64;
    (ClassPrecision { ap50: precisions[0], ap: all(precisions), ar: all(recalls), labels }, precisions[5])
}

/// Mean of the best precision at each point of recall or beyond it, and the recall reached.
fn curve(verdicts: impl Iterator<Item = Verdict>, labels: u64) -> (f64, f64) {
    let (mut right, mut wrong) = (0u64, 0u64);
    let mut points: Vec<(f64, f64)> = Vec::new();
    for verdict in verdicts.filter(|verdict| *verdict != Verdict::Ignored) {
        if verdict == Verdict::Right {
            right += 1
        } else {
            wrong += 1
        }
        points.push((right as f64 / labels as f64, right as f64 / (right + wrong) as f64));
    }
    let mut best = 0.0f64;
    for (_, precision) in points.iter_mut().rev() {
        best = best.max(*precision);
        *precision = best;
    }
    let at = |point: usize| {
        let wanted = point as f64 / (POINTS - 1) as f64;
        let first = points.partition_point(|(recall, _)| *recall < wanted);
        points.get(first).map_or(0.0, |(_, precision)| *precision)
    };
    ((0..POINTS).map(at).sum::<f64>() / POINTS as f64, right as f64 / labels as f64)
}
