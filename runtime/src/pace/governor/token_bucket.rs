//! A token bucket of work: what turns an affordable rate of steps into the limit of one frame.

use std::time::Duration;

/// Work, in steps, that may be spent: refilled at the affordable rate, emptied by the frames.
///
/// Calm frames that halt early leave work in the bucket and a scene cut takes it out: the mean stays where the slow loops put it
/// while single frames may take many steps. The depth bounds the burst to what 0.15 s affords (never less than one
/// full frame): at most 10 % above the budget for 2 s. A fractional remainder is carried, so that 3.4 affordable
/// steps become 3, 3, 4, 3, 4: never two apart.
///
/// What overflows is not lost but banked, and comes back slowly (`boost`, a percent or two of the budget) when frames are hungry.
#[derive(Clone, Debug)]
pub struct TokenBucket {
    tokens: f64,
    bank: f64,
    at: Duration,
    rate: f64,
    boost: f64,
    depth: f64,
}

/// How much time a bucket holds, in seconds, at its rate.
const DEPTH_S: f64 = 0.15;
/// How long the bank can give its boost, in seconds.
const BANK_S: f64 = 30.0;

impl TokenBucket {
    /// A bucket that does not limit until a rate is set.
    pub fn new() -> TokenBucket {
        TokenBucket { tokens: 0.0, bank: 0.0, at: Duration::ZERO, rate: f64::INFINITY, boost: 0.0, depth: 0.0 }
    }

    /// Refills at `rate` steps per second from `now` on, and from the bank at up to `boost`; `frame` is the work of the largest
    /// single frame.
    pub fn set_rate(&mut self, now: Duration, rate: Option<f64>, boost: f64, frame: f64) {
        self.settle(now);
        self.rate = rate.unwrap_or(f64::INFINITY).max(0.0);
        self.boost = boost.max(0.0);
        self.depth = if self.rate.is_finite() { (DEPTH_S * self.rate).max(frame) } else { frame };
        self.tokens = self.tokens.min(self.depth);
        self.bank = if self.rate.is_finite() { self.bank.min(BANK_S * self.boost) } else { 0.0 };
    }

    /// Lets the time up to `now` pass.
    fn settle(&mut self, now: Duration) {
        // A camera that stopped for a minute does not earn a minute's work.
        let elapsed = now.saturating_sub(self.at).as_secs_f64().min(1.0);
        self.at = self.at.max(now);
        if self.rate.is_infinite() {
            return;
        }
        self.tokens += self.rate * elapsed;
        let over = self.tokens - self.depth;
        if over > 0.0 {
            (self.tokens, self.bank) = (self.depth, (self.bank + over).min(BANK_S * self.boost));
        } else {
            let back = self.bank.min(self.boost * elapsed).min(-over);
            (self.tokens, self.bank) = (self.tokens + back, self.bank - back);
        }
    }

    /// Work that may be spent since time was last settled; `None` when nothing limits.
    pub fn tokens(&self) -> Option<f64> {
        self.rate.is_finite().then_some(self.tokens)
    }

    /// Takes the work of one frame out. A debt is carried, but never a larger one than the bucket is deep; and what is done although
    /// nothing may be done is the least there is, and no debt.
    pub fn spend(&mut self, now: Duration, work: f64) {
        self.settle(now);
        if self.rate.is_finite() {
            let floor = if self.rate > 0.0 { -self.depth } else { self.tokens.min(0.0) };
            self.tokens = (self.tokens - work).max(floor);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn hungry_frames_get_the_rate_dithered_by_one_step() {
        let mut bucket = TokenBucket::new();
        let steps: Vec<u64> = (0..=10)
            .map(|frame| {
                bucket.set_rate(ms(frame * 100), Some(34.0), 0.0, 8.0);
                let steps = bucket.tokens().unwrap().floor();
                bucket.spend(ms(frame * 100), steps);
                steps as u64
            })
            .collect();
        assert_eq!(steps.iter().sum::<u64>(), 34, "{steps:?}");
        assert!(steps[1..].iter().all(|&steps| steps == 3 || steps == 4), "{steps:?}");
    }

    #[test]
    fn what_calm_frames_leave_a_cut_may_take_but_no_more_than_the_depth() {
        let mut bucket = TokenBucket::new();
        bucket.set_rate(ms(0), Some(34.0), 0.0, 8.0);
        for frame in 1..100 {
            bucket.spend(ms(frame * 100), 1.0);
        }
        bucket.set_rate(ms(60_000), Some(34.0), 0.0, 8.0);
        assert_eq!(bucket.tokens(), Some(8.0));
    }

    #[test]
    fn what_overflows_comes_back_at_the_boost_and_not_faster() {
        let mut bucket = TokenBucket::new();
        (0..100).for_each(|frame| bucket.set_rate(ms(frame * 100), Some(34.0), 2.0, 8.0));
        let mut spent = 0.0;
        for frame in 100..200 {
            bucket.set_rate(ms(frame * 100), Some(34.0), 2.0, 8.0);
            spent += bucket.tokens().unwrap();
            bucket.spend(ms(frame * 100), bucket.tokens().unwrap());
        }
        // The bucket itself, 10 s of the rate, and 10 s of the boost.
        assert!((spent - (8.0 + 340.0 + 20.0)).abs() < 8.0, "{spent}");
    }

    #[test]
    fn without_a_rate_nothing_limits() {
        let mut bucket = TokenBucket::new();
        bucket.spend(ms(5), 100.0);
        assert_eq!(bucket.tokens(), None);
    }
}
