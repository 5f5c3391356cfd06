//! One head's numbers to boxes in network pixels.

use super::{Candidate, Head};
use crate::network::manifest::{BoxFormat, BoxesSection, Distance, ScoreForm, Unit};
use crate::telemetry::Region;

/// The largest exponent of a distance; e^12 strides is larger than any picture.
const LARGEST_EXPONENT: f32 = 12.0;

/// Adds the boxes of `head` whose score reaches their class's floor. Anything that is no number is no box. O(scores).
pub(super) fn head(section: &BoxesSection, head: &Head, input: [f32; 2], floors: &[f32], answer: &[f32], found: &mut Vec<Candidate>) {
    let (scores, boxes) = (&answer[head.scores.clone()], &answer[head.boxes.clone()]);
    let classes = floors.len();
    let [rows, columns] = head.cells;
    let cells = rows * columns;
    let ready = head.stride == 0.0;
    for (class, floor) in floors.iter().enumerate() {
        // Compared before the sigmoid, which few scores need then.
        let floor = if section.scores == ScoreForm::Logits { (floor / (1.0 - floor)).ln() } else { *floor };
        let score = |cell: usize| if ready { scores[cell * classes + class] } else { scores[class * cells + cell] };
        for cell in 0..cells {
            let value = score(cell);
            if value.is_nan() || value < floor || (section.peak && !is_peak(&score, cell, [rows, columns])) {
                continue;
            }
            let numbers: [f32; 4] =
                std::array::from_fn(|side| if ready { boxes[cell * 4 + side] } else { number(section.distance, boxes, side, cells, cell) });
            let Some(region) = region(section, head, input, numbers, cell) else { continue };
            let score = if section.scores == ScoreForm::Logits { 1.0 / (1.0 + (-value).exp()) } else { value.min(1.0) };
            found.push(Candidate { class: class as u8, score, region });
        }
    }
}

/// Whether no neighbour's score is higher; of equal ones the first is the peak.
fn is_peak(score: &impl Fn(usize) -> f32, cell: usize, [rows, columns]: [usize; 2]) -> bool {
    let (y, x, own) = (cell / columns, cell % columns, score(cell));
    let mut neighbours =
        (y.saturating_sub(1)..(y + 2).min(rows)).flat_map(|y| (x.saturating_sub(1)..(x + 2).min(columns)).map(move |x| y * columns + x));
    neighbours.all(|at| at == cell || score(at) < own || (at > cell && score(at) == own))
}

/// One of a cell's four numbers, read from its planes.
fn number(distance: Distance, boxes: &[f32], side: usize, cells: usize, cell: usize) -> f32 {
    let plane = |at: usize| boxes[at * cells + cell];
    let Distance::Dfl(bins) = distance else { return plane(side) };
    let own = || (0..bins).map(|bin| plane(side * bins + bin));
    let most = own().fold(f32::NEG_INFINITY, f32::max);
    let (sum, weighed) = own().enumerate().fold((0.0, 0.0), |(sum, weighed), (bin, logit)| {
        let weight = (logit - most).exp();
        (sum + weight, weighed + weight * bin as f32)
    });
    weighed / sum
}

/// A box in network pixels, cut at the picture's edges; None if nothing of it is inside.
fn region(section: &BoxesSection, head: &Head, input: [f32; 2], numbers: [f32; 4], cell: usize) -> Option<Region> {
    // Comparisons would pass over it.
    if numbers.iter().any(|number| number.is_nan()) {
        return None;
    }
    let unit = match section.unit {
        Unit::Stride => [head.stride; 2],
        Unit::Pixels => [1.0; 2],
        Unit::Normalised => input,
    };
    let exp = |x: f32| if section.distance == Distance::Exp { x.min(LARGEST_EXPONENT).exp() } else { x };
    let centre = match head.stride {
        0.0 => [0.0; 2],
        stride => [((cell % head.cells[1]) as f32 + 0.5) * stride, ((cell / head.cells[1]) as f32 + 0.5) * stride],
    };
    let [a, b, c, d] = numbers;
    let [left, top, right, bottom] = match section.format {
        BoxFormat::Ltrb => {
            [centre[0] - exp(a) * unit[0], centre[1] - exp(b) * unit[1], centre[0] + exp(c) * unit[0], centre[1] + exp(d) * unit[1]]
        }
        BoxFormat::Cxcywh => {
            let (x, y) = (centre[0] + a * unit[0], centre[1] + b * unit[1]);
            let (w, h) = (exp(c) * unit[0] / 2.0, exp(d) * unit[1] / 2.0);
            [x - w, y - h, x + w, y + h]
        }
        BoxFormat::Xyxy => [a * unit[0], b * unit[1], c * unit[0], d * unit[1]],
    };
    if [left, top, right, bottom].iter().any(|edge| edge.is_nan()) {
        return None;
    }
    let (left, top) = (left.max(0.0), top.max(0.0));
    let (right, bottom) = (right.min(input[0]), bottom.min(input[1]));
    (right > left && bottom > top).then_some(Region { x: left, y: top, width: right - left, height: bottom - top })
}
