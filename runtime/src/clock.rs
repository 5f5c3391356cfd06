//! The one clock of the runtime: `CLOCK_MONOTONIC`, the one drivers stamp frames with.

use std::time::Duration;

/// Time since an arbitrary start (boot), on `CLOCK_MONOTONIC`.
pub fn now() -> Duration {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `time` is a valid, writable timespec, and CLOCK_MONOTONIC exists on every Linux.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &mut time) };
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}
