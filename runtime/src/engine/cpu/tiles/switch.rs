//! Densely or by tiles: whichever is cheaper for what the last frames did.
//!
//! Decided by shares alone, never by a clock: a replay does what the live run did. A run begins densely, and while it is dense only two of four
//! frames are looked at at all, so that a camera that moves pays next to nothing for being asked whether it still does.

/// Share of the encoder's work above which a dense frame is cheaper.
pub const HIGH: f64 = 0.85;
/// Share of the picture above which nearly all of the network is reached: two such frames in a row are not tried by tiles.
pub const BUSY: f32 = 0.45;
/// Share of the picture below which tiles may be worth it again.
pub const LOW: f32 = 0.35;
/// Frames while dense of which two, one behind the other, are compared.
pub const EVERY: u32 = 4;
/// Frames of it in a row before tiles are tried, where every frame is looked at; doubled each time they turn out dear, up to so many.
pub const CALM: u32 = 6;
/// See [`CALM`].
pub const MOST: u32 = 192;
/// The same in comparisons.
const CALM_LOOKS: u32 = CALM.div_ceil(EVERY);
const MOST_LOOKS: u32 = MOST / EVERY;
/// Frames by tiles after which it is forgotten that they were dear.
pub const FORGIVEN: u32 = 200;

/// What is asked of a frame's picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Look {
    /// Nothing.
    No,
    /// The next frame is compared with it.
    Keep,
    /// How much of it changed.
    Compare,
}

/// The decision, with hysteresis.
#[derive(Debug)]
pub struct Switch {
    dense: bool,
    calm: u32,
    wait: u32,
    /// Frames since it became dense.
    since: u32,
    /// Frames by tiles in a row of which much changed.
    busy: u32,
    /// Mean share of work of the last frames by tiles.
    work: f64,
    /// Frames by tiles since they were tried last.
    frames: u32,
}

impl Default for Switch {
    fn default() -> Switch {
        // The first two frames of a fixed camera show that it is one.
        Switch { dense: true, calm: 0, wait: 1, since: 0, busy: 0, work: 0.0, frames: 0 }
    }
}

impl Switch {
    /// What the next frame is looked at for.
    pub fn look(&mut self) -> Look {
        if !self.dense {
            return Look::Compare;
        }
        let at = self.since % EVERY;
        self.since = self.since.wrapping_add(1);
        match at {
            0 => Look::Keep,
            1 => Look::Compare,
            _ => Look::No,
        }
    }

    /// Whether a frame that was compared, and of whose picture `share` changed, is to be run densely; None: it was not.
    pub fn dense(&mut self, share: Option<f32>) -> bool {
        let Some(share) = share else { return self.dense };
        if self.dense {
            self.calm = if share < LOW { self.calm + 1 } else { 0 };
            if self.calm >= self.wait {
                (self.dense, self.calm, self.frames, self.busy) = (false, 0, 0, 0);
                self.wait = self.wait.max(CALM_LOOKS);
            }
        } else {
            self.busy = if share > BUSY { self.busy + 1 } else { 0 };
            if self.busy >= 2 {
                self.begin_dense();
            }
        }
        self.dense
    }

    /// Takes note of a frame by tiles that did `work`, a share of the dense frame's; one that had to fill all tensors does not count.
    pub fn done(&mut self, work: f64) {
        self.work = if self.frames == 0 { work } else { self.work + (work - self.work) / 4.0 };
        self.frames = self.frames.saturating_add(1);
        if self.work > HIGH {
            self.begin_dense();
            self.wait = (2 * self.wait).min(MOST_LOOKS);
        } else if self.frames > FORGIVEN && self.work < HIGH / 2.0 {
            self.wait = CALM_LOOKS;
        }
    }

    fn begin_dense(&mut self) {
        (self.dense, self.since, self.calm) = (true, 0, 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One frame; whether it was run densely.
    fn frame(switch: &mut Switch, share: f32, work: f64) -> bool {
        let look = switch.look();
        let dense = switch.dense((look == Look::Compare).then_some(share));
        if !dense {
            switch.done(work);
        }
        dense
    }

    #[test]
    fn a_moving_camera_is_run_densely_from_its_first_frame_on() {
        let mut switch = Switch::default();
        assert!((0..1000).all(|_| frame(&mut switch, 1.0, 1.0)));
        let frames = (0..1000).take_while(|_| frame(&mut switch, 0.05, 0.3)).count();
        assert!(frames < 12, "it stands for {frames} frames until tiles are tried");
        assert!((0..100).all(|_| !frame(&mut switch, 0.05, 0.3)));
    }

    #[test]
    fn a_fixed_camera_is_run_by_tiles_from_its_second_frame_on() {
        let mut switch = Switch::default();
        assert!(frame(&mut switch, 0.05, 0.3));
        assert!((0..100).all(|_| !frame(&mut switch, 0.05, 0.3)));
        // A cut is one frame, a camera that is moved are many.
        assert!(!frame(&mut switch, 1.0, 1.0) && !frame(&mut switch, 0.05, 0.3));
        assert!(!frame(&mut switch, 1.0, 0.8) && frame(&mut switch, 1.0, 0.8));
    }

    #[test]
    fn a_dense_frame_in_four_is_compared() {
        let mut switch = Switch::default();
        let looks: Vec<Look> = (0..400).map(|_| (switch.look(), switch.dense(Some(1.0))).0).collect();
        assert_eq!(looks.iter().filter(|look| **look == Look::Compare).count(), 100);
        assert!(looks.windows(2).all(|two| two[1] != Look::Compare || two[0] == Look::Keep), "it is compared with the frame before it");
    }

    #[test]
    fn what_is_dear_time_and_again_is_tried_ever_less() {
        let mut switch = Switch::default();
        let tried = (0..4000).filter(|_| !frame(&mut switch, 0.2, 0.95)).count();
        assert!(tried < 60, "{tried} of 4000 frames by tiles although they cost as much");
    }
}
