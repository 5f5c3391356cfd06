//! Pauses between attempts at something that is away: doubled from one attempt to the next, up to a longest.

use std::time::Duration;

/// The pauses between attempts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Backoff {
    first: Duration,
    longest: Duration,
    next: Duration,
}

impl Backoff {
    /// Begins with a pause of `first`, and never pauses longer than `longest`.
    pub const fn new(first: Duration, longest: Duration) -> Backoff {
        Backoff { first, longest, next: first }
    }

    /// The pause after the attempt that failed now.
    pub fn failed(&mut self) -> Duration {
        self.failed_within(self.longest)
    }

    /// As [`Backoff::failed`], with another longest pause this once.
    pub fn failed_within(&mut self, longest: Duration) -> Duration {
        let pause = self.next.min(longest);
        self.next = (self.next * 2).min(longest);
        pause
    }

    /// The pause that the next failure costs.
    pub fn pause(&self) -> Duration {
        self.next
    }

    /// It worked: the next failure costs the first pause again.
    pub fn succeeded(&mut self) {
        self.next = self.first;
    }

    /// The next failure costs `pause`.
    pub fn begin_at(&mut self, pause: Duration) {
        self.next = pause;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pause_doubles_up_to_the_longest_and_starts_again_after_a_success() {
        let ms = Duration::from_millis;
        let mut backoff = Backoff::new(ms(100), ms(350));
        assert_eq!([(); 4].map(|()| backoff.failed()), [ms(100), ms(200), ms(350), ms(350)]);
        backoff.succeeded();
        assert_eq!((backoff.pause(), backoff.failed()), (ms(100), ms(100)));
    }
}
