//! Pixels taken from other pixels, between them, or folded over their channels.

use super::{Operands, Pixel, Segment};
use crate::engine::cpu::planes::Shared;
use crate::engine::cpu::pool::Pool;
use crate::engine::cpu::simd::{Isa, Kernel, MAX_LANES, Simd};
use crate::engine::graph::{Between, Fold, OUTSIDE};

/// What is done.
#[derive(Clone, Debug)]
pub enum RowWork {
    /// The input pixel of a row's and a column's number; what lies outside stays as it is.
    Gather {
        /// Columns of the input.
        wide: usize,
        /// An input row for each output row.
        rows: Vec<usize>,
        /// An input column for each output column.
        columns: Vec<usize>,
        /// What lies outside.
        fill: f32,
    },
    /// A mean of four.
    Between {
        /// Columns of the input.
        wide: usize,
        /// Rows above and below, and how far between them.
        rows: Vec<Between>,
        /// The same for columns.
        columns: Vec<Between>,
    },
    /// All channels of a pixel folded to one.
    Fold {
        /// How.
        fold: Fold,
        /// The result is multiplied with it.
        scale: f32,
    },
}

/// The work, with its instruction set.
pub struct Rows {
    work: RowWork,
    isa: Isa,
    /// Columns of the output.
    wide: usize,
}

/// Pixels of a work item.
const ITEM: usize = 64;

impl Rows {
    /// Of this work, whose outputs have `wide` columns.
    pub fn new(work: RowWork, isa: Isa, wide: usize) -> Rows {
        Rows { work, isa, wide }
    }

    /// Computes the outputs of `pixels`.
    ///
    /// # Safety
    /// As for `Lowered::run`.
    pub unsafe fn run(&self, pool: &mut Pool, operands: &Operands, pixels: &[Pixel]) {
        let count = |segments: &[Segment]| segments.iter().map(|segment| segment.count).sum::<usize>();
        pool.run(pixels.len().div_ceil(ITEM), &|_, item| {
            let pixels = &pixels[item * ITEM..pixels.len().min((item + 1) * ITEM)];
            match &self.work {
                RowWork::Gather { wide, rows, columns, fill } => {
                    assert_eq!(count(operands.input), count(operands.output), "as many channels");
                    for pixel in pixels {
                        let (row, column) = (rows[usize::from(pixel.row)], columns[usize::from(pixel.column)]);
                        let from = (row != OUTSIDE && column != OUTSIDE).then(|| row * wide + column);
                        // SAFETY: the caller's promise.
                        unsafe { copy(operands, from, *fill, pixel.flat(columns.len())) };
                    }
                }
                RowWork::Between { wide, rows, columns } => {
                    assert_eq!(count(operands.input), count(operands.output), "as many channels");
                    for pixel in pixels {
                        let (above, below, down) = rows[usize::from(pixel.row)];
                        let (left, right, across) = columns[usize::from(pixel.column)];
                        let from = [above * wide + left, above * wide + right, below * wide + left, below * wide + right];
                        // SAFETY: the caller's promise.
                        unsafe { between(operands, from, [down, across], pixel.flat(columns.len())) };
                    }
                }
                RowWork::Fold { fold, scale } => {
                    self.isa.run(Folded { fold: *fold, scale: *scale, wide: self.wide, operands, pixels });
                }
            }
        });
    }
}

/// Calls `f` with runs of channels that lie in one segment of the input and in one of the output: which ones, from which channel of each on.
#[inline(always)]
fn together(input: &[Segment], output: &[Segment], mut f: impl FnMut((&Segment, usize), (&Segment, usize), usize)) {
    let (mut from, mut to) = ((0, 0), (0, 0));
    while from.0 < input.len() && to.0 < output.len() {
        let (a, b) = (&input[from.0], &output[to.0]);
        let count = (a.count - from.1).min(b.count - to.1);
        f((a, from.1), (b, to.1), count);
        from = if from.1 + count == a.count { (from.0 + 1, 0) } else { (from.0, from.1 + count) };
        to = if to.1 + count == b.count { (to.0 + 1, 0) } else { (to.0, to.1 + count) };
    }
}

unsafe fn copy(operands: &Operands, from: Option<usize>, fill: f32, to: usize) {
    together(operands.input, operands.output, |(a, i), (b, j), count| {
        let to = b.at(to).wrapping_add(j * b.channel);
        // SAFETY: the caller's promise.
        unsafe {
            match from {
                Some(from) if a.last() && b.last() => std::ptr::copy_nonoverlapping(a.at(from).add(i), to, count),
                Some(from) => (0..count).for_each(|c| *to.add(c * b.channel) = *a.at(from).add((i + c) * a.channel)),
                None => (0..count).for_each(|c| *to.add(c * b.channel) = fill),
            }
        }
    });
}

unsafe fn between(operands: &Operands, from: [usize; 4], [down, across]: [f32; 2], to: usize) {
    together(operands.input, operands.output, |(a, i), (b, j), count| {
        let corners = from.map(|pixel| a.at(pixel).wrapping_add(i * a.channel));
        let to = b.at(to).wrapping_add(j * b.channel);
        for c in 0..count {
            // SAFETY: the caller's promise.
            unsafe {
                let [tl, tr, bl, br] = corners.map(|corner| *corner.add(c * a.channel));
                let (above, below) = (tl + (tr - tl) * across, bl + (br - bl) * across);
                *to.add(c * b.channel) = above + (below - above) * down;
            }
        }
    });
}

/// Lanes are pixels here, so that every pixel's channels are folded one after the other, as in planes.
struct Folded<'a> {
    fold: Fold,
    scale: f32,
    wide: usize,
    operands: &'a Operands<'a>,
    pixels: &'a [Pixel],
}

impl Kernel for Folded<'_> {
    type Out = ();
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let output: Shared = self.operands.output[0].base;
        let step = self.operands.output[0].pixel;
        for pixels in self.pixels.chunks(S::LANES) {
            let mut sums = [s.splat(self.fold.start()); 2];
            let mut channel = 0;
            for segment in self.operands.input {
                let mut first = 0;
                while first < segment.count {
                    let n = (segment.count - first).min(S::LANES);
                    // SAFETY: channels of listed pixels; pixels that are not there are the last one again, and go nowhere.
                    let channels = unsafe { self.channels(s, segment, first, n, pixels) };
                    for &x in &channels[..n] {
                        sums[channel % 2] = self.fold.take(s, sums[channel % 2], x);
                        channel += 1;
                    }
                    first += n;
                }
            }
            let all = s.mul(self.fold.join(s, sums[0], sums[1]), s.splat(self.scale));
            let mut lanes = [0.0; MAX_LANES];
            // SAFETY: as above; these pixels are this item's alone.
            unsafe {
                s.store(lanes.as_mut_ptr(), all);
                for (lane, pixel) in lanes.iter().zip(pixels) {
                    *output.at(pixel.flat(self.wide) * step) = *lane;
                }
            }
        }
    }
}

impl Folded<'_> {
    /// `count` channels of a segment, from its channel `first` on, each of all `pixels`.
    ///
    /// # Safety
    /// The segment has these channels and pixels; there is a pixel, and no more than a vector has lanes.
    #[inline(always)]
    unsafe fn channels<S: Simd>(&self, s: S, segment: &Segment, first: usize, count: usize, pixels: &[Pixel]) -> [S::V; MAX_LANES] {
        let at = |i: usize| segment.at(pixels[i.min(pixels.len() - 1)].flat(self.wide)).wrapping_add(first * segment.channel).cast_const();
        let mut vectors = [s.splat(0.0); MAX_LANES];
        // SAFETY: the caller's promise.
        unsafe {
            if segment.last() {
                for (i, vector) in vectors.iter_mut().enumerate().take(S::LANES) {
                    *vector = if count == S::LANES { s.load(at(i)) } else { s.load_first(at(i), count) };
                }
                s.transpose(&mut vectors);
            } else {
                for (c, vector) in vectors.iter_mut().enumerate().take(count) {
                    let lanes: [f32; MAX_LANES] = std::array::from_fn(|i| *at(i).add(c * segment.channel));
                    *vector = s.load(lanes.as_ptr());
                }
            }
        }
        vectors
    }
}
