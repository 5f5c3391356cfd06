//! Wall and processor time.

use std::time::Duration;

use crate::clock;

/// A moment, or the time between two.
#[derive(Clone, Copy, Default)]
pub struct Time {
    /// By the wall clock.
    pub wall: Duration,
    /// By the processors, all threads of this program together.
    pub cpu: Duration,
}

impl Time {
    /// This moment.
    pub fn now() -> Time {
        let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
        // SAFETY: `time` is a valid, writable timespec, and the clock exists on every Linux.
        unsafe { libc::clock_gettime(libc::CLOCK_PROCESS_CPUTIME_ID, &mut time) };
        Time { wall: clock::now(), cpu: Duration::new(time.tv_sec as u64, time.tv_nsec as u32) }
    }

    /// From this moment until now.
    pub fn since(self) -> Time {
        let now = Time::now();
        Time { wall: now.wall - self.wall, cpu: now.cpu - self.cpu }
    }
}
