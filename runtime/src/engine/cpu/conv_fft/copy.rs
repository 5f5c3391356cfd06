//! Cutting tiles out of planes and pasting them back.

use super::ConvFft;
use crate::engine::cpu::simd::{Kernel, MAX_LANES, Simd};

/// Copies a tile out of a plane, zero outside of it.
pub(super) struct Cut<'a> {
    pub conv: &'a ConvFft,
    pub tile: usize,
    pub plane: *const f32,
    pub buffer: *mut f32,
    /// The next channel's plane.
    pub next: *const f32,
}

impl Kernel for Cut<'_> {
    type Out = ();
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let (tiling, shape) = (&self.conv.tiling, &self.conv.shape);
        let [th, tw] = tiling.tile;
        let [h, w] = shape.input;
        // Pixel u of the tile is input pixel u + start - begin.
        let start = [self.tile / tiling.tiles[1] * tiling.valid[0], self.tile % tiling.tiles[1] * tiling.valid[1]];
        let rows = inside(start[0], shape.begin[0], th, h);
        let columns = inside(start[1], shape.begin[1], tw, w);
        let (zero, lanes) = (s.splat(0.0), s.iota());
        for u in 0..th {
            let row = self.buffer.wrapping_add(u * tw);
            let columns = if rows.contains(&u) { columns.clone() } else { 0..0 };
            // Where tile column 0 would be: before the row's start in tiles on the left.
            let at = (u + start[0]).wrapping_sub(shape.begin[0]).wrapping_mul(w).wrapping_add(start[1]).wrapping_sub(shape.begin[1]);
            let (from, next) = (self.plane.wrapping_add(at), self.next.wrapping_add(at));
            // The same tile of the next channel, on its way while this one is transformed.
            for line in 0..tw / MAX_LANES {
                s.prefetch(next.wrapping_add(line * MAX_LANES));
            }
            let mut c = 0;
            while c < tw {
                let pixels = if c + S::LANES <= columns.start || c >= columns.end {
                    zero
                } else {
                    // SAFETY: at least one of these pixels is on the plane, and a vector's worth before and behind it can be read.
                    let x = unsafe { s.load(from.wrapping_add(c)) };
                    if c < columns.start || c + S::LANES > columns.end {
                        let bound = |x: usize| s.splat(x as f32 - c as f32);
                        let x = s.where_less(lanes, bound(columns.end), x, zero);
                        s.where_less(lanes, bound(columns.start), zero, x)
                    } else {
                        x
                    }
                };
                // SAFETY: row u of th rows of tw, tw a multiple of the lanes.
                unsafe { s.store(row.wrapping_add(c), pixels) };
                c += S::LANES;
            }
        }
    }
}

/// Copies a tile's valid outputs into a plane, adding the bias.
pub(super) struct Paste<'a> {
    pub conv: &'a ConvFft,
    pub tile: usize,
    pub buffer: *const f32,
    pub plane: *mut f32,
    pub bias: f32,
}

impl Kernel for Paste<'_> {
    type Out = ();
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let tiling = &self.conv.tiling;
        let tw = tiling.tile[1];
        let [h, w] = self.conv.shape.output();
        let [vh, vw] = tiling.valid;
        let (top, left) = (self.tile / tiling.tiles[1] * vh, self.tile % tiling.tiles[1] * vw);
        let width = vw.min(w - left);
        let bias = s.splat(self.bias);
        for y in 0..vh.min(h - top) {
            let from = self.buffer.wrapping_add(y * tw);
            let to = self.plane.wrapping_add((top + y) * w + left);
            let mut x = 0;
            while x < width {
                // SAFETY: row y of the tile, which is whole vectors; row top + y < h of the plane, of which `width` pixels from column
                // `left` are this tile's alone.
                unsafe {
                    let pixels = s.add(s.load(from.add(x)), bias);
                    if width - x >= S::LANES {
                        s.store(to.add(x), pixels);
                    } else {
                        s.store_first(to.add(x), pixels, width - x);
                    }
                }
                x += S::LANES;
            }
        }
    }
}

/// The pixels of a tile, `size` long and `begin` before input pixel `start`, that lie on the input, `length` long.
fn inside(start: usize, begin: usize, size: usize, length: usize) -> std::ops::Range<usize> {
    let first = begin.saturating_sub(start).min(size);
    let end = (length + begin).saturating_sub(start).min(size);
    first..end.max(first)
}
