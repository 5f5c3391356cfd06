//! Tracks beside labelled identities: MOTA (Bernardin and Stiefelhagen, CLEAR MOT) and IDF1 (Ristani et al.), a pair sharing half of its union.

use std::collections::{BTreeMap, HashMap};

use super::assignment::cheapest;
use super::{Labelled, Seen, share};

/// Two boxes that share less are not of one object.
const LEAST: f64 = 0.5;
/// What a pair that may not be costs; more than all that may be together.
const NEVER: f64 = 1e6;

/// A class, and the number of an identity or a track in it.
type Named = (usize, u32);

/// A film, frame after frame.
#[derive(Default)]
pub struct Tracking {
    /// The track that each identity had last.
    last: HashMap<Named, u32>,
    misses: u64,
    false_positives: u64,
    switches: u64,
    labels: u64,
    tracks: u64,
    /// Frames in which an identity and a track fit.
    together: BTreeMap<(Named, Named), u64>,
}

/// What came of it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TrackingSummary {
    pub mota: f64,
    pub idf1: f64,
    pub switches: u64,
    pub misses: u64,
    pub false_positives: u64,
    pub labels: u64,
}

impl Tracking {
    /// Adds a frame; boxes without an identity or a track take no part.
    pub fn add(&mut self, labelled: &[Labelled], seen: &[Seen]) {
        let labels: Vec<(&Labelled, Named)> = labelled.iter().filter_map(|label| Some((label, (label.class, label.identity?)))).collect();
        let tracks: Vec<(&Seen, Named)> = seen.iter().filter(|seen| seen.track > 0).map(|seen| (seen, (seen.class, seen.track))).collect();
        self.labels += labels.len() as u64;
        self.tracks += tracks.len() as u64;
        let distance = |label: usize, track: usize| {
            let ((label, _), (track, _)) = (labels[label], tracks[track]);
            let share = if label.class == track.class { share(&label.region, &track.region) } else { 0.0 };
            (share >= LEAST).then_some(1.0 - share)
        };
        for (at, (_, identity)) in labels.iter().enumerate() {
            for (other, (_, track)) in tracks.iter().enumerate() {
                if distance(at, other).is_some() {
                    *self.together.entry((*identity, *track)).or_default() += 1;
                }
            }
        }
        let (mut with, mut taken) = (vec![None; labels.len()], vec![false; tracks.len()]);
        // An identity stays with its track while the two fit, even if another would fit better.
        for (at, (_, identity)) in labels.iter().enumerate() {
            let Some(last) = self.last.get(identity) else { continue };
            let same = tracks.iter().position(|(seen, _)| seen.track == *last && seen.class == identity.0);
            if let Some(same) = same.filter(|same| !taken[*same] && distance(at, *same).is_some()) {
                (with[at], taken[same]) = (Some(same), true);
            }
        }
        let rows: Vec<usize> = (0..labels.len()).filter(|at| with[*at].is_none()).collect();
        let columns: Vec<usize> = (0..tracks.len()).filter(|at| !taken[*at]).collect();
        let assigned = cheapest(rows.len(), columns.len(), |row, column| distance(rows[row], columns[column]).unwrap_or(NEVER));
        for (row, column) in assigned.into_iter().enumerate() {
            let Some(column) = column.filter(|column| distance(rows[row], columns[*column]).is_some()) else { continue };
            let (label, track) = (rows[row], columns[column]);
            with[label] = Some(track);
            self.switches += u64::from(self.last.get(&labels[label].1).is_some_and(|last| *last != tracks[track].0.track));
        }
        for (at, track) in with.iter().enumerate() {
            match track {
                Some(track) => drop(self.last.insert(labels[at].1, tracks[*track].0.track)),
                None => self.misses += 1,
            }
        }
        self.false_positives += (tracks.len() - with.iter().flatten().count()) as u64;
    }

    pub fn summary(&self) -> TrackingSummary {
        let identities: Vec<_> =
            self.together.keys().map(|(identity, _)| *identity).collect::<std::collections::BTreeSet<_>>().into_iter().collect();
        let tracks: Vec<_> = self.together.keys().map(|(_, track)| *track).collect::<std::collections::BTreeSet<_>>().into_iter().collect();
        let together = |row: usize, column: usize| self.together.get(&(identities[row], tracks[column])).copied().unwrap_or(0);
        let assigned = cheapest(identities.len(), tracks.len(), |row, column| -(together(row, column) as f64));
        let right: u64 = assigned.iter().enumerate().filter_map(|(row, column)| Some(together(row, (*column)?))).sum();
        let wrong = self.misses + self.false_positives + self.switches;
        TrackingSummary {
            mota: 1.0 - wrong as f64 / self.labels as f64,
            idf1: 2.0 * right as f64 / (self.labels + self.tracks) as f64,
            switches: self.switches,
            misses: self.misses,
            false_positives: self.false_positives,
            labels: self.labels,
        }
    }
}
