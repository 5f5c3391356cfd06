//! Figures for what a network saw beside what was there: boxes, tracks, classes of pixels.

mod assignment;
mod flicker;
mod pixels;
mod precision;
mod tracking;

pub use flicker::{BoxFlicker, PixelFlicker};
pub use pixels::{Pixels, UNSEEN};
pub use precision::{ClassPrecision, Precision};
pub use tracking::Tracking;

use crate::telemetry::Region;

/// A labelled box.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Labelled {
    /// Index into the evaluated classes.
    pub class: usize,
    pub region: Region,
    /// Of an object that is followed from frame to frame.
    pub identity: Option<u32>,
    /// A crowd: boxes inside it are neither right nor wrong.
    pub crowd: bool,
}

/// A box that was found.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Seen {
    /// Index into the evaluated classes.
    pub class: usize,
    pub region: Region,
    pub score: f32,
    /// 0 without one.
    pub track: u32,
}

/// Share of their union that two boxes have in common, in double precision: what lies at a threshold lies there for others, too.
fn share(a: &Region, b: &Region) -> f64 {
    let both = shared(a, b);
    let union = area(a) + area(b) - both;
    if union > 0.0 { both / union } else { 0.0 }
}

fn area(a: &Region) -> f64 {
    f64::from(a.width) * f64::from(a.height)
}

fn shared(a: &Region, b: &Region) -> f64 {
    let across = |from: f32, length: f32, other: f32, other_length: f32| {
        let end = (f64::from(from) + f64::from(length)).min(f64::from(other) + f64::from(other_length));
        (end - f64::from(from.max(other))).max(0.0)
    };
    across(a.x, a.width, b.x, b.width) * across(a.y, a.height, b.y, b.height)
}

/// Of two lists of boxes of one frame, how well they fit: 2 x pairs / all boxes, where a pair is of one class and shares half of its union.
/// An empty list fits an empty one.
pub fn fit(labelled: &[Labelled], seen: &[Seen]) -> f64 {
    let crowds = || labelled.iter().filter(|label| label.crowd);
    let labels: Vec<&Labelled> = labelled.iter().filter(|label| !label.crowd).collect();
    let mut found: Vec<&Seen> = seen.iter().collect();
    found.sort_by(|a, b| b.score.total_cmp(&a.score));
    let (mut taken, mut pairs, mut counted) = (vec![false; labels.len()], 0, 0);
    for seen in found {
        let fits = |(at, label): (usize, &&Labelled)| {
            let share = share(&label.region, &seen.region);
            (!taken[at] && label.class == seen.class && share >= 0.5).then_some((share, at))
        };
        if let Some((_, at)) = labels.iter().enumerate().filter_map(fits).max_by(|a, b| a.0.total_cmp(&b.0)) {
            taken[at] = true;
            pairs += 1;
            counted += 1;
        } else if !crowds().any(|crowd| crowd.class == seen.class && shared(&crowd.region, &seen.region) >= 0.5 * area(&seen.region)) {
            counted += 1;
        }
    }
    let all = labels.len() + counted;
    if all == 0 { 1.0 } else { 2.0 * f64::from(pairs) / all as f64 }
}

#[cfg(test)]
mod tests;
