//! The same number for the same object from frame to frame.
//!
//! Every track moves on at its own speed until it is seen again. First the sure detections are given to the tracks they fit best, then unsure ones,
//! which are nothing by themselves, to tracks that found none: what is half hidden is seen poorly but stays where it was going. Two rounds by
//! score are the idea of ByteTrack (arXiv 2110.06864).

use std::time::Duration;

use super::boxes::Candidate;
use super::overlap;
use crate::telemetry::{Detection, Detections, Region};

/// Boxes that share less of their union are different objects.
const SAME: f32 = 0.2;
/// The same for a track that was not seen in the last frame, and so is somewhere near where it is looked for.
const SAME_AFTER_GAP: f32 = 0.1;
/// An unsure box has to fit better.
const SAME_UNSURE: f32 = 0.4;
/// What looks like another class is the same object only where it fits as well as this.
const SAME_OTHER_CLASS: f32 = 0.5;
/// Sightings from which on a track's speed is told; fewer give mostly the detector's jitter.
const SPEED_FROM: u32 = 4;
/// How far a sighting moves the track and its speed at least; the first few count for more, as in a least-squares line through them.
const LEAST_POSITION_GAIN: f32 = 0.6;
const LEAST_SPEED_GAIN: f32 = 0.15;
const SIZE_GAIN: f32 = 0.5;

/// How a kind of detection is followed.
#[derive(Clone, Copy, Debug)]
pub(super) struct TrackLimits {
    /// Sightings in a row after which an object has a number.
    pub confirm: u32,
    /// Frames an object may be hidden before its number is given up.
    pub patience: u32,
    /// Time after which it is given up, however few frames that were.
    pub longest_s: f32,
}

/// Blobs hardly flicker, and one has always had a number at once.
pub(super) const BLOBS: TrackLimits = TrackLimits { confirm: 1, patience: 10, longest_s: 3.0 };
/// A single box may be a mistake; people walk behind each other for a while.
pub(super) const BOXES: TrackLimits = TrackLimits { confirm: 2, patience: 30, longest_s: 3.0 };

#[derive(Clone, Copy, Debug)]
struct Track {
    /// 0 until it is confirmed.
    number: u32,
    class: u8,
    centre: [f32; 2],
    size: [f32; 2],
    /// In source pixels per second, or per frame where no times are known.
    speed: [f32; 2],
    sightings: u32,
    /// Since it was seen first.
    frames: u32,
    /// Since it was seen last.
    missed: u32,
    /// The same in seconds, or in frames where no times are known.
    unseen: f32,
}

/// Follows objects; keeps its buffers from frame to frame.
pub(super) struct Tracks {
    habits: TrackLimits,
    known: Vec<Track>,
    last: u32,
    before: Option<Duration>,
    /// Share of the union, track, detection.
    pairs: Vec<(f32, usize, usize)>,
    /// Which detections have a track.
    taken: Vec<bool>,
}

/// Which tracks take part in a round.
#[derive(Clone, Copy, PartialEq)]
enum Round {
    /// Those that have a number.
    Confirmed,
    /// Those that have a number and were seen in the last frame, with unsure boxes.
    Unsure,
    /// Those that were seen once.
    New,
}

impl Tracks {
    pub fn new(habits: TrackLimits) -> Tracks {
        Tracks { habits, known: Vec::new(), last: 0, before: None, pairs: Vec::new(), taken: Vec::new() }
    }

    /// Forgets what is followed, after a cut; numbers go on.
    pub fn forget(&mut self) {
        self.known.clear();
        self.before = None;
    }

    /// Gives every detection the number of the track it continues, or begins one, and adds the `unsure` boxes that continue a track.
    /// `time` is when the picture was taken, where that is known. O(tracks x detections).
    pub fn follow(&mut self, found: &mut Detections, unsure: &[Candidate], time: Option<Duration>) {
        let passed = match (self.before, time) {
            (Some(before), Some(now)) => now.saturating_sub(before).as_secs_f32().max(1e-3),
            _ => 1.0,
        };
        self.before = time;
        let timed = time.is_some();
        for track in &mut self.known {
            track.missed += 1;
            track.frames += 1;
            track.unseen += passed;
            (0..2).for_each(|axis| track.centre[axis] += track.speed[axis] * passed);
        }
        let sure = found.len();
        self.taken.clear();
        self.taken.resize(sure, false);
        self.round(Round::Confirmed, found, timed);
        self.unsure(found, unsure, timed);
        self.round(Round::New, found, timed);
        for at in 0..sure {
            if !self.taken[at] {
                self.begin(&mut found[at]);
            }
        }
        let TrackLimits { patience, longest_s, .. } = self.habits;
        self.known.retain(|track| match track.number {
            0 => track.missed == 0,
            _ => track.missed <= patience && !(timed && track.unseen > longest_s),
        });
    }

    /// Gives sure detections without a track to the tracks of `round` that they fit best.
    fn round(&mut self, round: Round, found: &mut Detections, timed: bool) {
        self.pairs.clear();
        for (at, track) in self.known.iter().enumerate().filter(|(_, track)| track.takes_part(round)) {
            // Behind those that were sure lie unsure ones that continue a track already.
            for (seen, detection) in found.iter().take(self.taken.len()).enumerate().filter(|(seen, _)| !self.taken[*seen]) {
                if let Some(share) = track.fits(detection.class, &detection.region, round) {
                    self.pairs.push((share, at, seen));
                }
            }
        }
        self.pairs.sort_unstable_by(best_first);
        for &(_, at, seen) in &self.pairs {
            let track = &mut self.known[at];
            if track.missed > 0 && !self.taken[seen] {
                self.taken[seen] = true;
                track.see(found[seen].class, &found[seen].region);
                if track.number == 0 && track.sightings >= self.habits.confirm {
                    self.last += 1;
                    track.number = self.last;
                }
                track.tell(&mut found[seen], timed);
            }
        }
    }

    /// Adds to `found` the unsure boxes that continue a track.
    fn unsure(&mut self, found: &mut Detections, unsure: &[Candidate], timed: bool) {
        self.pairs.clear();
        for (at, track) in self.known.iter().enumerate().filter(|(_, track)| track.takes_part(Round::Unsure)) {
            for (seen, candidate) in unsure.iter().enumerate() {
                if let Some(share) = track.fits(candidate.class, &candidate.region, Round::Unsure) {
                    self.pairs.push((share, at, seen));
                }
            }
        }
        self.pairs.sort_unstable_by(best_first);
        let sure = self.taken.len();
        self.taken.resize(sure + unsure.len(), false);
        for &(_, at, seen) in &self.pairs {
            let (track, candidate) = (&mut self.known[at], &unsure[seen]);
            if track.missed > 0 && !self.taken[sure + seen] {
                self.taken[sure + seen] = true;
                let mut detection = Detection::from(candidate);
                track.see(candidate.class, &candidate.region);
                // Its class is what it was surely seen as.
                detection.class = track.class;
                track.tell(&mut detection, timed);
                if found.push(detection).is_err() {
                    break;
                }
            }
        }
        self.taken.truncate(sure);
    }

    fn begin(&mut self, detection: &mut Detection) {
        let mut track = Track {
            number: 0,
            class: detection.class,
            centre: centre(&detection.region),
            size: [detection.region.width, detection.region.height],
            speed: [0.0; 2],
            sightings: 1,
            frames: 0,
            missed: 0,
            unseen: 0.0,
        };
        if self.habits.confirm <= 1 {
            self.last += 1;
            track.number = self.last;
        }
        track.tell(detection, false);
        self.known.push(track);
    }
}

/// The best fit first; of equal ones the oldest track's, so that nothing depends on chance.
fn best_first(a: &(f32, usize, usize), b: &(f32, usize, usize)) -> std::cmp::Ordering {
    b.0.total_cmp(&a.0).then((a.1, a.2).cmp(&(b.1, b.2)))
}

fn centre(region: &Region) -> [f32; 2] {
    [region.x + region.width / 2.0, region.y + region.height / 2.0]
}

impl Track {
    fn takes_part(&self, round: Round) -> bool {
        let waits = self.missed > 0;
        match round {
            Round::Confirmed => waits && self.number > 0,
            Round::Unsure => self.missed == 1 && self.number > 0,
            Round::New => waits && self.number == 0,
        }
    }

    /// Which share of their union the track, where it should be by now, has in common with what was seen, if that is enough.
    fn fits(&self, class: u8, region: &Region, round: Round) -> Option<f32> {
        let own = Region {
            x: self.centre[0] - self.size[0] / 2.0,
            y: self.centre[1] - self.size[1] / 2.0,
            width: self.size[0],
            height: self.size[1],
        };
        let least = match round {
            _ if class != self.class => SAME_OTHER_CLASS,
            Round::Unsure => SAME_UNSURE,
            _ if self.missed > 1 => SAME_AFTER_GAP,
            _ => SAME,
        };
        Some(overlap(&own, region)).filter(|share| *share >= least)
    }

    /// Goes where it was seen.
    fn see(&mut self, class: u8, region: &Region) {
        self.sightings += 1;
        let n = self.sightings as f32;
        let position = (2.0 * (2.0 * n - 1.0) / (n * (n + 1.0))).max(LEAST_POSITION_GAIN);
        let speed = (6.0 / (n * (n + 1.0))).max(LEAST_SPEED_GAIN);
        let seen = centre(region);
        for axis in 0..2 {
            let off = seen[axis] - self.centre[axis];
            self.centre[axis] += position * off;
            self.speed[axis] += speed * off / self.unseen;
            let size = [region.width, region.height][axis];
            self.size[axis] += SIZE_GAIN * (size - self.size[axis]);
        }
        // A name that was wrong once is put right by the next sure look.
        self.class = if self.missed == 1 { class } else { self.class };
        (self.missed, self.unseen) = (0, 0.0);
    }

    fn tell(&self, detection: &mut Detection, timed: bool) {
        if self.number == 0 {
            return;
        }
        detection.track = self.number;
        detection.track_frames = self.frames;
        detection.speed_px_s = (timed && self.sightings >= SPEED_FROM).then_some(self.speed);
    }
}

#[cfg(test)]
mod tests;
