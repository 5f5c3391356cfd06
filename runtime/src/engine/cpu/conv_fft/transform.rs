//! One tile to its spectrum and back.

use super::{CHUNK, ConvFft};
use crate::engine::cpu::fft::{Rows, transpose};
use crate::engine::cpu::simd::{Kernel, MAX_LANES, Simd};

/// Transforms one tile into its chunks of the spectra.
pub(super) struct Forward<'a> {
    pub conv: &'a ConvFft,
    pub tile: *mut f32,
    pub spare: *mut f32,
    pub to: *mut f32,
    pub block: usize,
}

impl Kernel for Forward<'_> {
    type Out = ();
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let [th, tw] = self.conv.tiling.tile;
        let half = th / 2;
        let down = Rows { re: self.tile, im: self.tile.wrapping_add(half * tw), stride: tw, chunk: MAX_LANES };
        let along = Rows { re: self.spare, im: self.spare.wrapping_add(half), stride: th, chunk: MAX_LANES };
        let chunks = half / MAX_LANES;
        let out = Rows { re: self.to, im: self.to.wrapping_add(MAX_LANES), stride: chunks * self.block, chunk: self.block };
        // The lines the last pass scatters to are on their way while the others run.
        fetch(s, self.to, self.conv.blocks(), self.block);
        // SAFETY: a tile is `th` rows of `tw`; folded, `half` complex rows; transposed, `tw` rows of `half` complex values; and `to`
        // has a chunk of 16 complex values in each of `tw * half / 16` blocks, `block` floats apart.
        unsafe {
            self.conv.columns.forward(s, down, down, tw);
            transpose(s, self.tile, self.spare, th, tw);
            self.conv.rows.forward(s, along, out, half);
        }
    }
}

/// Asks for one chunk of every block.
#[inline(always)]
fn fetch<S: Simd>(s: S, chunk: *const f32, blocks: usize, block: usize) {
    for at in 0..blocks {
        let line = chunk.wrapping_add(at * block);
        s.prefetch(line);
        s.prefetch(line.wrapping_add(MAX_LANES));
    }
}

/// The mirror image of [`Forward`].
pub(super) struct Inverse<'a> {
    pub conv: &'a ConvFft,
    pub tile: *mut f32,
    pub spare: *mut f32,
    pub from: *mut f32,
    pub block: usize,
}

impl Kernel for Inverse<'_> {
    type Out = ();
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let [th, tw] = self.conv.tiling.tile;
        let half = th / 2;
        let down = Rows { re: self.tile, im: self.tile.wrapping_add(half * tw), stride: tw, chunk: MAX_LANES };
        let along = Rows { re: self.spare, im: self.spare.wrapping_add(half), stride: th, chunk: MAX_LANES };
        let chunks = half / MAX_LANES;
        let from = Rows { re: self.from, im: self.from.wrapping_add(MAX_LANES), stride: chunks * self.block, chunk: self.block };
        // The neighbour's chunks lie behind this tile's: what comes next is on its way while this one is transformed.
        fetch(s, self.from.wrapping_add(CHUNK), self.conv.blocks(), self.block);
        // SAFETY: as for `Forward`.
        unsafe {
            self.conv.rows.inverse(s, from, along, half);
            transpose(s, self.spare, self.tile, tw, th);
            self.conv.columns.inverse(s, down, down, tw);
        }
    }
}
