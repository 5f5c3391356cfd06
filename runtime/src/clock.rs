//! The clocks of the runtime: `CLOCK_MONOTONIC`, the one drivers stamp frames with and everything is decided by, and beside it the wall
//! clock, for people and other programs.

use std::time::Duration;

/// Time since an arbitrary start (boot), on `CLOCK_MONOTONIC`.
pub fn now() -> Duration {
    read(libc::CLOCK_MONOTONIC)
}

/// Time since 1970 (UTC). It jumps when it is set; nothing is decided by it.
pub fn wall() -> Duration {
    read(libc::CLOCK_REALTIME)
}

/// What the wall clock shows, by what it shows now, at a time on `CLOCK_MONOTONIC`.
pub fn wall_of(monotonic: Duration) -> Duration {
    let (now, wall) = (now(), wall());
    if monotonic <= now { wall.saturating_sub(now - monotonic) } else { wall.saturating_add(monotonic - now) }
}

fn read(clock: libc::clockid_t) -> Duration {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `time` is a valid, writable timespec, and both clocks exist on every Linux.
    unsafe { libc::clock_gettime(clock, &mut time) };
    Duration::new(u64::try_from(time.tv_sec).unwrap_or(0), time.tv_nsec as u32)
}

/// A wall-clock time as RFC 3339 has it, to the microsecond: `2026-11-26T09:16:30.123456Z`.
pub fn rfc3339(wall: Duration) -> String {
    let [year, month, day, hour, minute, second] = civil(wall);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{:06}Z", wall.subsec_micros())
}

/// A wall-clock time for a file's name, to the second: `20261126T091630Z`.
pub fn stamp(wall: Duration) -> String {
    let [year, month, day, hour, minute, second] = civil(wall);
    format!("{year:04}{month:02}{day:02}T{hour:02}{minute:02}{second:02}Z")
}

/// Year, month, day, hour, minute and second (UTC, Gregorian). Days are counted from 1 March, so that the leap day is a year's last.
fn civil(wall: Duration) -> [u64; 6] {
    let seconds = wall.as_secs();
    let days = seconds / 86_400 + 719_468;
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * from_march + 2) / 5 + 1;
    let month = if from_march < 10 { from_march + 3 } else { from_march - 9 };
    let year = 400 * era + year_of_era + u64::from(month <= 2);
    [year, month, day, seconds / 3600 % 24, seconds / 60 % 60, seconds % 60]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wall_clock_time_is_written_as_calendars_have_it() {
        // Checked against `date -u -d @SECONDS`.
        for (seconds, expected) in [
            (0, "19700101T000000Z"),
            (951_782_400, "20000229T000000Z"),
            (1_709_164_799, "20240228T235959Z"),
            (1_709_251_199, "20240229T235959Z"),
            (1_798_761_599, "20261231T235959Z"),
            (4_102_444_800, "21000101T000000Z"),
        ] {
            assert_eq!(stamp(Duration::from_secs(seconds)), expected);
        }
        assert_eq!(rfc3339(Duration::new(1_795_684_590, 123_456_789)), "2026-11-26T09:16:30.123456Z");
    }

    #[test]
    fn both_clocks_run_side_by_side() {
        let (before, at, after) = (wall(), wall_of(now()), wall());
        let slack = Duration::from_millis(50);
        assert!(before <= at + slack && at <= after + slack, "{before:?} {at:?} {after:?}");
        assert!(wall_of(now() + Duration::from_secs(10)) > wall() + Duration::from_secs(9));
    }
}
