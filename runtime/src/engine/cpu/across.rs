//! One number per pixel from all channels, and one number per channel from all its pixels.

use super::channels_last::RowWork;
use super::machine::PlaneWork;
use super::planes::{Shared, plane_items};
use super::pool::Pool;
use super::simd::{Isa, Kernel, MAX_LANES, Simd};
use super::tiles::{Locality, Part};
use crate::engine::graph::Fold;

impl Fold {
    pub(super) fn start(self) -> f32 {
        match self {
            Fold::Sum | Fold::Squares => 0.0,
            Fold::Greatest => f32::NEG_INFINITY,
            Fold::Least => f32::INFINITY,
        }
    }

    #[inline(always)]
    pub(super) fn take<S: Simd>(self, s: S, sum: S::V, x: S::V) -> S::V {
        match self {
            Fold::Sum => s.add(sum, x),
            Fold::Squares => s.fma(x, x, sum),
            Fold::Greatest => s.max(sum, x),
            Fold::Least => s.min(sum, x),
        }
    }

    /// Two parts of a fold.
    #[inline(always)]
    pub(super) fn join<S: Simd>(self, s: S, a: S::V, b: S::V) -> S::V {
        match self {
            Fold::Sum | Fold::Squares => s.add(a, b),
            Fold::Greatest => s.max(a, b),
            Fold::Least => s.min(a, b),
        }
    }

    fn scalar(self, a: f32, b: f32) -> f32 {
        match self {
            Fold::Sum | Fold::Squares => a + b,
            Fold::Greatest => a.max(b),
            Fold::Least => a.min(b),
        }
    }
}

/// Pixels of a work item.
const ITEM: usize = 16 * MAX_LANES;

/// All channels of each pixel folded to one plane.
pub struct Across {
    /// How.
    pub fold: Fold,
    /// Pixels of a plane.
    pub pixels: usize,
    /// The result is multiplied with it.
    pub scale: f32,
}

struct Block<'a> {
    work: &'a Across,
    input: &'a [Shared],
    output: Shared,
    first: usize,
    end: usize,
}

impl Kernel for Block<'_> {
    type Out = ();
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let (fold, end) = (self.work.fold, self.end);
        let (start, scale) = (s.splat(fold.start()), s.splat(self.work.scale));
        let mut at = self.first;
        // Two chains of sums: every channel goes to one of them by its number.
        macro_rules! vectors {
            ($n:literal) => {{
                let mut sums = [[start; 2]; $n];
                for (channel, plane) in self.input.iter().enumerate() {
                    for (n, sums) in sums.iter_mut().enumerate() {
                        // SAFETY: planes are padded to whole vectors.
                        let x = unsafe { s.load(plane.at(at + n * S::LANES)) };
                        sums[channel % 2] = fold.take(s, sums[channel % 2], x);
                    }
                }
                for (n, [a, b]) in sums.into_iter().enumerate() {
                    let all = fold.join(s, a, b);
                    let (to, left) = (self.output.at(at + n * S::LANES), end - at - n * S::LANES);
                    // SAFETY: as above; these pixels are this item's alone.
                    unsafe { if left >= S::LANES { s.store(to, s.mul(all, scale)) } else { s.store_first(to, s.mul(all, scale), left) } };
                }
                at += $n * S::LANES;
            }};
        }
        while at + 4 * S::LANES <= end {
            vectors!(4);
        }
        while at < end {
            vectors!(1);
        }
    }
}

impl PlaneWork for Across {
    unsafe fn run(&self, isa: Isa, pool: &mut Pool, _: Shared, input: &[Shared], output: &[Shared]) {
        pool.run(self.pixels.div_ceil(ITEM), &|_, item| {
            isa.run(Block { work: self, input, output: output[0], first: item * ITEM, end: self.pixels.min((item + 1) * ITEM) });
        });
    }

    fn reach(&self) -> Option<Locality> {
        Some(Locality::Same)
    }

    fn rows(&self) -> Option<RowWork> {
        Some(RowWork::Fold { fold: self.fold, scale: self.scale })
    }

    unsafe fn run_rects(&self, isa: Isa, pool: &mut Pool, input: &[Shared], output: &[Shared], part: &Part) {
        pool.run(part.runs.len(), &|_, item| {
            let (first, count) = (part.runs[item].0 as usize, part.runs[item].1 as usize);
            isa.run(Block { work: self, input, output: output[0], first, end: first + count });
        });
    }

    fn describe(&self) -> String {
        format!("{:?} over all channels of a pixel", self.fold)
    }
}

/// All pixels of each channel folded to a plane of one pixel.
pub struct Whole {
    /// How.
    pub fold: Fold,
    /// Pixels of a plane.
    pub pixels: usize,
    /// The result is multiplied with it.
    pub scale: f32,
}

struct Plane {
    fold: Fold,
    pixels: usize,
    plane: Shared,
}

impl Kernel for Plane {
    type Out = f64;
    #[inline(always)]
    fn run<S: Simd>(self, s: S) -> f64 {
        const RUN: usize = 4096;
        let (fold, start) = (self.fold, f64::from(self.fold.start()));
        let mut total = start;
        let mut at = 0;
        while at < self.pixels {
            let end = self.pixels.min(at + RUN);
            let mut lanes = [s.splat(fold.start()); 2];
            while at + 2 * S::LANES <= end {
                for (n, lane) in lanes.iter_mut().enumerate() {
                    // SAFETY: whole vectors below `end`.
                    *lane = fold.take(s, *lane, unsafe { s.load(self.plane.at(at + n * S::LANES)) });
                }
                at += 2 * S::LANES;
            }
            let mut each = [0.0; 2 * MAX_LANES];
            for (n, lane) in lanes.into_iter().enumerate() {
                // SAFETY: the array holds two of the widest vectors.
                unsafe { s.store(each.as_mut_ptr().add(n * S::LANES), lane) };
            }
            let mut run = each[0];
            each[1..2 * S::LANES].iter().for_each(|&x| run = fold.scalar(run, x));
            while at < end {
                // SAFETY: a pixel of the plane.
                let x = unsafe { *self.plane.at(at) };
                run = fold.scalar(run, if fold == Fold::Squares { x * x } else { x });
                at += 1;
            }
            total = match fold {
                Fold::Sum | Fold::Squares => total + f64::from(run),
                Fold::Greatest => total.max(f64::from(run)),
                Fold::Least => total.min(f64::from(run)),
            };
        }
        total
    }
}

impl PlaneWork for Whole {
    unsafe fn run(&self, isa: Isa, pool: &mut Pool, _: Shared, input: &[Shared], output: &[Shared]) {
        plane_items(pool, input.len(), self.pixels, &|channel| {
            let total = isa.run(Plane { fold: self.fold, pixels: self.pixels, plane: input[channel] });
            // SAFETY: a plane of one pixel, this item's alone.
            unsafe { output[channel].0.write((total * f64::from(self.scale)) as f32) };
        });
    }

    fn describe(&self) -> String {
        format!("{:?} over all pixels of a channel", self.fold)
    }
}
