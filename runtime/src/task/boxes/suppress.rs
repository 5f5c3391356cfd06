//! Which of many boxes stay: the surest, and of those that overlap only one.

use super::Candidate;
use crate::task::overlap;

/// Sorts the surest first and leaves at most `most`. O(n log n).
pub(super) fn surest(found: &mut Vec<Candidate>, most: usize) {
    let order = |a: &Candidate, b: &Candidate| b.score.total_cmp(&a.score);
    if found.len() > most {
        found.select_nth_unstable_by(most, order);
        found.truncate(most);
    }
    // Equal scores in the order of their place, whatever order they were found in.
    found.sort_unstable_by(|a, b| {
        order(a, b).then(a.class.cmp(&b.class)).then(a.region.y.total_cmp(&b.region.y)).then(a.region.x.total_cmp(&b.region.x))
    });
}

/// Takes the surest box, leaves out what is of its class and overlaps it by more than `share`, and so on, up to `limit` boxes.
/// `found` is sorted, the surest first. O(found x kept).
pub(super) fn overlapping(found: &[Candidate], share: f32, limit: usize, kept: &mut Vec<Candidate>) {
    kept.clear();
    for candidate in found {
        if kept.len() == limit {
            return;
        }
        let hides = |other: &Candidate| other.class == candidate.class && overlap(&other.region, &candidate.region) > share;
        if !kept.iter().any(hides) {
            kept.push(*candidate);
        }
    }
}
