//! Densely or by tiles: whichever is cheaper for what the last frames did.
//!
//! Decided by shares alone, never by a clock: a replay does what the live run did.

/// Share of the encoder's work above which a dense frame is cheaper.
pub const HIGH: f64 = 0.85;
/// Share of the picture below which tiles may be worth it again.
pub const LOW: f32 = 0.35;
/// Frames of it in a row before tiles are tried; doubled each time they turn out dear, up to so many.
pub const CALM: u32 = 6;
/// See [`CALM`].
pub const MOST: u32 = 192;

/// The decision, with hysteresis.
#[derive(Debug)]
pub struct Switch {
    dense: bool,
    calm: u32,
    wait: u32,
    /// Mean share of work of the last frames by tiles.
    work: f64,
    /// Frames by tiles since they were tried last.
    frames: u32,
}

impl Default for Switch {
    fn default() -> Switch {
        Switch { dense: false, calm: 0, wait: CALM, work: 0.0, frames: 0 }
    }
}

impl Switch {
    /// Whether a frame of whose picture `share` changed is to be run densely.
    pub fn dense(&mut self, share: f32) -> bool {
        if self.dense {
            self.calm = if share < LOW { self.calm + 1 } else { 0 };
            if self.calm >= self.wait {
                (self.dense, self.calm, self.frames) = (false, 0, 0);
            }
        }
        self.dense
    }

    /// Takes note of a frame by tiles that did `work`, a share of the dense frame's; one that had to fill all tensors does not count.
    pub fn done(&mut self, work: f64) {
        self.work = if self.frames == 0 { work } else { self.work + (work - self.work) / 4.0 };
        self.frames = self.frames.saturating_add(1);
        if self.work > HIGH {
            self.dense = true;
            self.wait = (2 * self.wait).min(MOST);
        } else if self.frames > MOST && self.work < HIGH / 2.0 {
            self.wait = CALM;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moving_camera_is_run_densely_and_a_fixed_one_by_tiles() {
        let mut switch = Switch::default();
        let mut dense = 0;
        for _ in 0..1000 {
            if switch.dense(1.0) {
                dense += 1;
            } else {
                switch.done(1.0);
            }
        }
        assert!(dense > 980, "{dense} of 1000 frames of a moving camera");
        let frames = (0..1000).take_while(|_| switch.dense(0.05)).count();
        assert!(frames < MOST as usize, "it stands for {frames} frames until tiles are tried");
        assert!((0..100).all(|_| {
            switch.done(0.3);
            !switch.dense(0.05)
        }));
    }

    #[test]
    fn what_is_dear_time_and_again_is_tried_ever_less() {
        let mut switch = Switch::default();
        let mut tried = 0;
        for _ in 0..4000 {
            if !switch.dense(0.2) {
                tried += 1;
                switch.done(0.95);
            }
        }
        assert!(tried < 300, "{tried} of 4000 frames by tiles although they cost as much");
    }
}
