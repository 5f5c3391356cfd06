//! Gates over pixels whose channels lie together.

use super::{Pixel, Segment};
use crate::engine::cpu::pool::Pool;
use crate::engine::cpu::simd::{Isa, Kernel, Simd};
use crate::engine::cpu::tiles::Sums;

/// Pixels of a work item.
const ITEM: usize = 64;

/// Where the work items leave what they found.
#[derive(Clone, Copy)]
pub struct Passed {
    /// For each pixel of the plane, what its channels moved by: Euclidean norm, or sum of magnitudes.
    pub scores: super::Shared,
    /// Sums of each work item.
    pub sums: *mut Sums,
}

// SAFETY: only addresses; each work item writes its own entries.
unsafe impl Sync for Passed {}

/// What a gate needs to know of a pixel.
#[derive(Clone, Copy, Debug)]
pub struct Limit {
    /// What the channels of a pixel have to move by; any change with None.
    pub limit: Option<f32>,
    /// Everything is handed on, whatever it moved by.
    pub commits: bool,
}

/// Measures the listed pixels and hands those on that moved (all, if the gate commits). Answers the sums.
///
/// # Safety
/// Both tensors are channels-last and hold the pixels; there is a score for each pixel of the plane, and room for the sums of every 64 pixels.
#[expect(clippy::too_many_arguments)]
pub unsafe fn pass(
    isa: Isa,
    pool: &mut Pool,
    after: Segment,
    before: Segment,
    limit: Limit,
    wide: usize,
    pixels: &[Pixel],
    passed: Passed,
) -> Sums {
    let items = pixels.len().div_ceil(ITEM);
    let shared = &passed;
    pool.run(items, &|_, item| {
        let pixels = &pixels[item * ITEM..pixels.len().min((item + 1) * ITEM)];
        let total = isa.run(Few { after, before, limit, wide, pixels, scores: shared.scores });
        // SAFETY: one entry for each item.
        unsafe { *shared.sums.wrapping_add(item) = total };
    });
    let mut total = Sums::default();
    // SAFETY: written above.
    (0..items).for_each(|item| total += unsafe { *passed.sums.wrapping_add(item) });
    total
}

struct Few<'a> {
    after: Segment,
    before: Segment,
    limit: Limit,
    wide: usize,
    pixels: &'a [Pixel],
    scores: super::Shared,
}

impl Kernel for Few<'_> {
    type Out = Sums;
    #[inline(always)]
    fn run<S: Simd>(self, s: S) -> Sums {
        let zero = s.splat(0.0);
        let count = self.after.count;
        // Of all pixels; a pixel's own score is summed up by itself.
        let mut all = [zero; 4];
        // First what each moved by, without a branch between them, so that pixels are waited for together; then those that moved are copied.
        for pixel in self.pixels {
            let at = pixel.flat(self.wide);
            let (after, before) = (self.after.at(at), self.before.at(at));
            let mut own = zero;
            let mut channel = 0;
            while channel < count {
                let n = (count - channel).min(S::LANES);
                // SAFETY: channels of a listed pixel.
                let (a, b) = unsafe {
                    if n == S::LANES {
                        (s.load(before.add(channel)), s.load(after.add(channel)))
                    } else {
                        (s.load_first(before.add(channel), n), s.load_first(after.add(channel), n))
                    }
                };
                let d = s.sub(b, a);
                let (square, magnitude) = (s.mul(d, d), s.abs(d));
                own = s.add(own, if self.limit.limit.is_some() { square } else { magnitude });
                all = [
                    s.add(all[0], square),
                    s.add(all[1], magnitude),
                    s.add(all[2], s.fnma(a, a, s.mul(b, b))),
                    s.add(all[3], s.sub(s.abs(b), s.abs(a))),
                ];
                channel += S::LANES;
            }
            let own = s.sum(own);
            // SAFETY: a pixel of the plane, this item's alone.
            unsafe { *self.scores.at(at) = if self.limit.limit.is_some() { own.sqrt() } else { own } };
        }
        for pixel in self.pixels {
            let at = pixel.flat(self.wide);
            // SAFETY: written above.
            let score = unsafe { *self.scores.at(at) };
            // As `Gate::judge` has it.
            let moved = match self.limit.limit {
                None => score != 0.0,
                Some(limit) => score > limit || score.is_nan(),
            };
            let (after, before) = (self.after.at(at), self.before.at(at));
            if count == S::LANES {
                // Written back as it was if it did not move: cheaper than a branch that is guessed wrong as often as not.
                let moved = s.splat(f32::from(u8::from(moved | self.limit.commits)));
                // SAFETY: a pixel of both tensors, this item's alone.
                unsafe { s.store(before, s.where_less(s.splat(0.5), moved, s.load(after), s.load(before))) };
            } else if moved || self.limit.commits {
                let mut channel = 0;
                while channel < count {
                    let n = (count - channel).min(S::LANES);
                    // SAFETY: a pixel of both tensors, this item's alone.
                    unsafe {
                        if n == S::LANES {
                            s.store(before.add(channel), s.load(after.add(channel)));
                        } else {
                            s.store_first(before.add(channel), s.load_first(after.add(channel), n), n);
                        }
                    }
                    channel += S::LANES;
                }
            }
        }
        let [diff_sq, diff_abs, more_sq, more_abs] = all.map(|lane| f64::from(s.sum(lane)));
        Sums { diff_sq, diff_abs, more_sq, more_abs }
    }
}
