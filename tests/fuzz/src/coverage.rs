//! Which parts of the program an input reached.
//!
//! Built with `-C passes=sancov-module` and 8-bit counters (see `.ci/verbs/fuzz`), every basic block counts its visits, and the program
//! says at its start where the counters lie. Built without, there are none, and the fuzzer works blind.

use std::sync::Mutex;

static COUNTERS: Mutex<Vec<(usize, usize)>> = Mutex::new(Vec::new());

/// Called by each instrumented part of the program before `main`.
#[unsafe(no_mangle)]
extern "C" fn __sanitizer_cov_8bit_counters_init(start: *mut u8, end: *mut u8) {
    let mut counters = COUNTERS.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    let range = (start as usize, end as usize);
    if range.0 < range.1 && !counters.contains(&range) {
        counters.push(range);
    }
}

/// What all inputs so far have reached.
pub struct Map {
    ranges: Vec<(usize, usize)>,
    seen: Vec<u8>,
}

impl Map {
    /// An empty map of this program.
    pub fn new() -> Map {
        let ranges = COUNTERS.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).clone();
        let blocks = ranges.iter().map(|(start, end)| end - start).sum();
        Map { ranges, seen: vec![0; blocks] }
    }

    /// Whether this program counts at all.
    pub fn counts(&self) -> bool {
        !self.seen.is_empty()
    }

    /// Blocks reached.
    pub fn reached(&self) -> usize {
        self.seen.iter().filter(|seen| **seen != 0).count()
    }

    /// Sets all counters to zero.
    pub fn clear(&self) {
        for (start, end) in &self.ranges {
            // SAFETY: the range is a static array of this program's own counters, and nothing else runs now.
            unsafe { std::ptr::write_bytes(*start as *mut u8, 0, end - start) };
        }
    }

    /// Adds what was counted since; true if any block was reached, or looped over, as never before.
    pub fn add(&mut self) -> bool {
        let mut new = false;
        let mut seen = self.seen.iter_mut();
        for (start, end) in &self.ranges {
            // SAFETY: as in `clear`.
            let counts = unsafe { std::slice::from_raw_parts(*start as *const u8, end - start) };
            for (count, seen) in counts.iter().zip(&mut seen) {
                // How often, by powers of two: one bit each.
                let class = if *count == 0 { 0 } else { 1 << (7 - count.leading_zeros() as u8) };
                new |= class & !*seen != 0;
                *seen |= class;
            }
        }
        new
    }
}
