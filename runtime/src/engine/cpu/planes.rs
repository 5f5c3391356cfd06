//! How tensors lie in the engine's memory: every channel plane is one run of pixels, padded so that whole vectors may pass its end.

use super::pool::Pool;
use super::simd::MAX_LANES;

/// Floats from one channel plane to the next.
pub fn plane_stride(pixels: usize) -> usize {
    pixels.next_multiple_of(MAX_LANES)
}

/// Pixels of a work item that passes over them once.
const ITEM: usize = 4096;

/// Calls `work` for each of `channels` planes of `pixels`: planes that are too small for a work item of their own go several at a time.
pub fn plane_items(pool: &mut Pool, channels: usize, pixels: usize, work: &(dyn Fn(usize) + Sync)) {
    let each = (ITEM / pixels.max(1)).max(1);
    pool.run(channels.div_ceil(each), &|_, item| (item * each..channels.min((item + 1) * each)).for_each(work));
}

/// A pointer the threads of one pool share. Each operator says which parts of what it points to a work item touches.
#[derive(Clone, Copy, Debug)]
pub struct Shared(pub *mut f32);

// SAFETY: only an address; every use of it is unsafe and gives its own reason.
unsafe impl Send for Shared {}
// SAFETY: as above.
unsafe impl Sync for Shared {}

impl Shared {
    /// The address, `floats` further on.
    #[inline(always)]
    pub fn at(self, floats: usize) -> *mut f32 {
        self.0.wrapping_add(floats)
    }
}

/// Zeroed floats that start on a cache line, with a vector's worth of slack before and behind them.
#[derive(Default)]
pub struct Arena {
    floats: Vec<f32>,
    start: usize,
}

impl Arena {
    /// Room for `floats`.
    pub fn new(floats: usize) -> Arena {
        // Large ones come from the system zeroed, and take no memory before they are written to.
        let mut memory = vec![0.0f32; floats + 3 * MAX_LANES];
        ask_for_large_pages(memory.as_mut_ptr().cast(), size_of::<f32>() * memory.len());
        let start = MAX_LANES + memory[MAX_LANES..].as_ptr().align_offset(4 * MAX_LANES).min(MAX_LANES);
        Arena { floats: memory, start }
    }

    /// The first float.
    pub fn start(&mut self) -> Shared {
        Shared(self.floats[self.start..].as_mut_ptr())
    }

    /// `count` floats from `at` on.
    pub fn slice(&self, at: usize, count: usize) -> &[f32] {
        &self.floats[self.start + at..][..count]
    }

    /// `count` floats from `at` on.
    pub fn slice_mut(&mut self, at: usize, count: usize) -> &mut [f32] {
        &mut self.floats[self.start + at..][..count]
    }
}

impl Arena {
    /// Copies `count` floats within it.
    pub fn copy(&mut self, from: usize, to: usize, count: usize) {
        let from = self.start + from;
        self.floats.copy_within(from..from + count, self.start + to);
    }
}

/// Spectra are read and written with strides of several pages: with small pages a tenth of a convolution is spent on page tables.
/// Memory that has not been touched yet; a kernel that does not know the call leaves things as they are.
fn ask_for_large_pages(start: *mut u8, bytes: usize) {
    const LARGE: usize = 2 << 20;
    const PAGE: usize = 64 << 10;
    let skipped = start.align_offset(PAGE);
    if bytes >= skipped + LARGE {
        // SAFETY: whole pages inside an allocation of ours; the advice changes no contents.
        unsafe { libc::madvise(start.add(skipped).cast(), (bytes - skipped) / PAGE * PAGE, libc::MADV_HUGEPAGE) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_arena_starts_on_a_cache_line() {
        for floats in [0, 1, 17, 1000] {
            let mut arena = Arena::new(floats);
            assert_eq!(arena.start().0 as usize % 64, 0);
            assert_eq!(arena.slice(0, floats + MAX_LANES).len(), floats + MAX_LANES);
            assert!(arena.start >= MAX_LANES);
        }
    }
}
