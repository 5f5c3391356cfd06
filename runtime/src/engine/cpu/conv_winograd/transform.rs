//! From planes to tiles at the points, and back.

use std::f32::consts::{FRAC_1_SQRT_2, SQRT_2};

use super::{IN, OUT, POINTS};
use crate::engine::cpu::simd::{Kernel, MAX_LANES, Simd};

/// Six inputs along one axis at the six points.
#[inline(always)]
pub(in crate::engine::cpu) fn at_points<S: Simd>(s: S, d: [S::V; IN]) -> [S::V; IN] {
    let (even, odd) = (s.fnma(s.splat(2.0), d[2], d[4]), s.mul(s.splat(FRAC_1_SQRT_2), s.fnma(s.splat(2.0), d[1], d[3])));
    let (even_b, odd_b) = (s.fnma(s.splat(0.5), d[2], d[4]), s.mul(s.splat(SQRT_2), s.fnma(s.splat(0.5), d[1], d[3])));
    [
        s.fnma(s.splat(2.5), d[2], s.add(d[0], d[4])),
        s.add(even, odd),
        s.sub(even, odd),
        s.add(even_b, odd_b),
        s.sub(even_b, odd_b),
        s.fnma(s.splat(2.5), d[3], s.add(d[1], d[5])),
    ]
}

/// Products at the six points as four outputs along one axis.
#[inline(always)]
pub(in crate::engine::cpu) fn outputs<S: Simd>(s: S, m: [S::V; IN]) -> [S::V; OUT] {
    let (sum, difference) = (s.add(m[1], m[2]), s.sub(m[1], m[2]));
    let (sum_b, difference_b) = (s.add(m[3], m[4]), s.sub(m[3], m[4]));
    [
        s.add(m[0], s.add(sum, sum_b)),
        s.fma(s.splat(FRAC_1_SQRT_2), difference, s.mul(s.splat(SQRT_2), difference_b)),
        s.fma(s.splat(0.5), sum, s.add(sum_b, sum_b)),
        s.fma(s.splat(0.5 * FRAC_1_SQRT_2), difference, s.fma(s.splat(2.0 * SQRT_2), difference_b, m[5])),
    ]
}

/// The tiles of one input channel at all pairs of points.
pub(super) struct Gather<'a> {
    pub plane: *const f32,
    pub input: [usize; 2],
    pub begin: [usize; 2],
    pub tiles: [usize; 2],
    /// The tiles' numbers, where they are not all.
    pub listed: Option<&'a [u32]>,
    pub lanes: usize,
    /// Working space.
    pub own: *mut f32,
    pub to: *mut f32,
    /// Floats from one pair of points to the next.
    pub next: usize,
}

impl Kernel for Gather<'_> {
    type Out = ();
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let ([h, w], [down, across]) = (self.input, self.tiles);
        // A row with its border, its four phases, and the 36 pixels of every tile.
        let wide = OUT * (across + 1);
        let phase = across + 1 + MAX_LANES;
        // Rows of tiles are written in whole vectors, the last one past its end.
        let pitch = self.lanes + MAX_LANES;
        let row = self.own;
        let phases = row.wrapping_add(wide + 2 * MAX_LANES);
        let tiles = phases.wrapping_add((OUT * phase + wide + 2 * MAX_LANES).next_multiple_of(MAX_LANES));
        if let Some(listed) = self.listed {
            // SAFETY: there are no more of them than tiles.
            unsafe {
                self.cut(listed, tiles, pitch);
                self.transform(s, listed.len(), tiles, pitch);
            }
            return;
        }
        // SAFETY: the working space holds all three, and a vector behind each; tiles are written front to back for each pixel of a tile.
        unsafe {
            std::slice::from_raw_parts_mut(row, wide).fill(0.0);
            let left = self.begin[1].min(wide);
            let count = w.min(wide - left);
            for y in 0..OUT * down + 2 {
                match y.checked_sub(self.begin[0]).filter(|&y| y < h) {
                    Some(y) => {
                        std::ptr::copy_nonoverlapping(self.plane.add(y * w), row.add(left), count);
                        let row = std::slice::from_raw_parts(row, wide);
                        for (at, four) in row.as_chunks::<OUT>().0.iter().enumerate() {
                            for (p, &x) in four.iter().enumerate() {
                                *phases.add(p * phase + at) = x;
                            }
                        }
                    }
                    None => std::slice::from_raw_parts_mut(phases, OUT * phase).fill(0.0),
                }
                // The row is number y % 4 of one tile, and perhaps number 4 or 5 of the one above.
                for (tile, i) in [(y / OUT, y % OUT), ((y / OUT).wrapping_sub(1), y % OUT + OUT)] {
                    if tile >= down || i >= IN {
                        continue;
                    }
                    for j in 0..IN {
                        let from = phases.add(j % OUT * phase + j / OUT);
                        let to = tiles.add((i * IN + j) * pitch + tile * across);
                        let mut done = 0;
                        while done < across {
                            s.store(to.add(done), s.load(from.add(done)));
                            done += S::LANES;
                        }
                    }
                }
            }
            self.transform(s, down * across, tiles, pitch);
        }
    }
}

impl Gather<'_> {
    /// The 36 pixels of each listed tile.
    ///
    /// # Safety
    /// `tiles` has `pitch` floats for each pixel of a tile, and `pitch` is no less than the tiles listed.
    unsafe fn cut(&self, listed: &[u32], tiles: *mut f32, pitch: usize) {
        let [h, w] = self.input;
        for (at, &number) in listed.iter().enumerate() {
            let first = [number as usize / self.tiles[1] * OUT, number as usize % self.tiles[1] * OUT];
            let (top, left) = (first[0] as isize - self.begin[0] as isize, first[1] as isize - self.begin[1] as isize);
            let within = left >= 0 && left as usize + IN <= w;
            for i in 0..IN {
                let y = top + i as isize;
                let inside = (0..h as isize).contains(&y);
                let row = self.plane.wrapping_offset(y * w as isize + left);
                // SAFETY: pixels of the plane; the caller's promise.
                unsafe {
                    let six: [f32; IN] = if inside && within {
                        row.cast::<[f32; IN]>().read_unaligned()
                    } else {
                        let seen = |j: usize| inside && (0..w as isize).contains(&(left + j as isize));
                        std::array::from_fn(|j| if seen(j) { *row.add(j) } else { 0.0 })
                    };
                    for (j, x) in six.into_iter().enumerate() {
                        *tiles.add((i * IN + j) * pitch + at) = x;
                    }
                }
            }
        }
    }

    /// Brings tiles to the pairs of points.
    ///
    /// # Safety
    /// `tiles` has `count` values for each pixel of a tile, `pitch` floats apart, in whole vectors; so has what they go to.
    #[inline(always)]
    unsafe fn transform<S: Simd>(&self, s: S, count: usize, tiles: *const f32, pitch: usize) {
        let mut at = 0;
        while at < count {
            let mut columns = [[s.splat(0.0); IN]; IN];
            // SAFETY: the caller's promise.
            unsafe {
                for (j, column) in columns.iter_mut().enumerate() {
                    *column = at_points(s, std::array::from_fn(|i| s.load(tiles.add((i * IN + j) * pitch + at))));
                }
                for i in 0..IN {
                    for (j, value) in at_points(s, columns.map(|column| column[i])).into_iter().enumerate() {
                        s.store(self.to.add((i * IN + j) * self.next + at), value);
                    }
                }
            }
            at += S::LANES;
        }
    }
}

/// One output channel from its tiles at all pairs of points.
pub(super) struct Scatter<'a> {
    pub from: *const f32,
    /// Floats from one pair of points to the next.
    pub next: usize,
    pub bias: f32,
    pub bounds: [f32; 2],
    pub tiles: [usize; 2],
    /// The tiles' numbers, where they are not all.
    pub listed: Option<&'a [u32]>,
    pub lanes: usize,
    /// Working space.
    pub own: *mut f32,
    pub output: [usize; 2],
    pub to: *mut f32,
}

impl Kernel for Scatter<'_> {
    type Out = ();
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let ([h, w], [down, across]) = (self.output, self.tiles);
        let [low, high] = self.bounds.map(|x| s.splat(x));
        let row = self.own;
        let tiles = row.wrapping_add((OUT * across).next_multiple_of(MAX_LANES));
        // SAFETY: the working space holds a row of tiles and the 16 outputs of every tile.
        unsafe {
            let mut at = 0;
            let count = self.listed.map_or(down * across, <[u32]>::len);
            while at < count {
                let mut columns = [[s.splat(0.0); OUT]; IN];
                for (j, column) in columns.iter_mut().enumerate() {
                    *column = outputs(s, std::array::from_fn(|i| s.load(self.from.add((i * IN + j) * self.next + at))));
                }
                for i in 0..OUT {
                    for (j, value) in outputs(s, columns.map(|column| column[i])).into_iter().enumerate() {
                        // A NaN, in the second place, stays one.
                        let value = s.min(high, s.max(low, s.add(value, s.splat(self.bias))));
                        s.store(tiles.add((i * OUT + j) * self.lanes + at), value);
                    }
                }
                at += S::LANES;
            }
            if let Some(listed) = self.listed {
                for (at, &number) in listed.iter().enumerate() {
                    let (top, left) = (number as usize / across * OUT, number as usize % across * OUT);
                    for i in 0..OUT.min(h - top) {
                        let four: [f32; OUT] = std::array::from_fn(|j| *tiles.add((i * OUT + j) * self.lanes + at));
                        let to = self.to.add((top + i) * w + left);
                        if left + OUT <= w {
                            to.cast::<[f32; OUT]>().write_unaligned(four);
                        } else {
                            four[..w - left].iter().enumerate().for_each(|(j, &x)| *to.add(j) = x);
                        }
                    }
                }
                return;
            }
            for y in 0..h {
                let from: [*const f32; OUT] =
                    std::array::from_fn(|j| tiles.add((y % OUT * OUT + j) * self.lanes + y / OUT * across).cast_const());
                let whole = w / OUT;
                let to = std::slice::from_raw_parts_mut(self.to.add(y * w), w);
                let (four, rest) = to.as_chunks_mut::<OUT>();
                for (x, four) in four.iter_mut().enumerate() {
                    *four = from.map(|from| *from.add(x));
                }
                for (rest, from) in rest.iter_mut().zip(from) {
                    *rest = *from.add(whole);
                }
            }
        }
    }
}

const _: () = assert!(POINTS == 36);
