//! Large-kernel convolution by tiled real Fourier transforms.
//!
//! A plane is cut into overlapping tiles of `tile.0` x `tile.1` pixels (overlap-save), or covered by one whose circular border is the
//! zero padding. Each tile is folded to half as many complex rows (see [`super::fft`]), transformed down its columns, transposed, and
//! transformed along its rows; the channels meet in one complex matrix product per frequency, and the way back is the mirror image.
//!
//! Spectra are stored as `[block][channel][tile][re 16 | im 16]`, a block being 16 frequencies: the matrix product reads and writes whole
//! cache lines, its lanes are frequencies, and no instruction set needs its own layout.
//!
//! Cost per tile: `cin + cout` transforms of about `2.5 P log2 P` operations on `P` pixels, and `2 P cin cout` multiply-adds; kernel
//! area only decides how much of a tile is output.

mod copy;
mod product;
mod tiling;
mod transform;

use super::fft::Plan;
use super::planes::{Arena, Shared};
use super::pool::Pool;
use super::simd::{Isa, MAX_LANES};
use copy::{Cut, Paste};
use product::Product;
pub use tiling::{Shape, Tiling, Work};
use transform::{Forward, Inverse};

/// Floats of one block of one channel of one tile: 16 real and 16 imaginary parts.
const CHUNK: usize = 2 * MAX_LANES;

/// Output channels whose weights lie side by side, and that the channel product computes together.
const GROUP: usize = 3;

/// A convolution with its weights already transformed.
pub struct ConvFft {
    shape: Shape,
    tiling: Tiling,
    isa: Isa,
    columns: Plan,
    rows: Plan,
    /// `[block][group of cout][cin][cout of the group][re 16 | im 16]`, scaled by 1 / points: read from front to back.
    weights: Arena,
    bias: Vec<f32>,
    /// Tiles whose spectra are held at a time.
    batch: usize,
}

/// Most bytes of the spectra of one batch of tiles, inputs and outputs together: they should stay in the last-level cache.
const BATCH_BYTES: usize = 8 << 20;

impl ConvFft {
    /// Transforms `weights` (`[cout][cin][kernel]`) for a tiling. `bias` has `cout` values or none.
    pub fn new(shape: Shape, tiling: Tiling, isa: Isa, weights: &[f32], bias: &[f32]) -> ConvFft {
        let [th, tw] = tiling.tile;
        assert_eq!(weights.len(), shape.cin * shape.cout * shape.kernel[0] * shape.kernel[1], "weights of {shape:?}");
        assert!(bias.is_empty() || bias.len() == shape.cout, "bias of {shape:?}");
        let columns = Plan::new(th / 2, true).expect("tile heights have plans");
        let rows = Plan::new(tw, false).expect("tile widths have plans");
        let per_tile = shape.cin.max(shape.cout) * th * tw * 4;
        let tiles = tiling.tiles[0] * tiling.tiles[1];
        let batches = tiles.div_ceil((BATCH_BYTES / per_tile).max(1));
        let mut conv = ConvFft {
            shape,
            tiling,
            isa,
            columns,
            rows,
            weights: Arena::new(shape.cin * shape.cout * th * tw),
            bias: if bias.is_empty() { vec![0.0; shape.cout] } else { bias.to_vec() },
            batch: tiles.div_ceil(batches),
        };
        conv.transform_weights(weights);
        conv
    }

    /// What is convolved.
    pub fn shape(&self) -> &Shape {
        &self.shape
    }

    /// How it is tiled.
    pub fn tiling(&self) -> &Tiling {
        &self.tiling
    }

    /// Floats of working space that [`ConvFft::run`] needs with so many threads.
    pub fn scratch_floats(&self, threads: usize) -> usize {
        self.blocks() * self.block_floats(self.batch) + threads * self.own_floats()
    }

    /// Floats of one block of so many tiles: its input channels, and later its output channels in their place.
    fn block_floats(&self, tiles: usize) -> usize {
        self.shape.cin.max(self.shape.cout) * tiles * CHUNK
    }

    /// Floats that a thread has for itself: a tile twice, or one block's input channels.
    fn own_floats(&self) -> usize {
        let tile = self.tiling.tile[0] * self.tiling.tile[1];
        (2 * tile).max(self.shape.cin * self.batch * CHUNK)
    }

    fn blocks(&self) -> usize {
        self.tiling.tile[0] * self.tiling.tile[1] / CHUNK
    }

    fn transform_weights(&mut self, weights: &[f32]) {
        let [th, tw] = self.tiling.tile;
        let [kh, kw] = self.shape.kernel;
        let pairs = self.shape.cin * self.shape.cout;
        let scale = 2.0 / (th * tw) as f32;
        let mut buffers = vec![0.0f32; 2 * th * tw];
        let spectra = self.weights.start();
        for pair in 0..pairs {
            let (tile, spare) = buffers.split_at_mut(th * tw);
            tile.fill(0.0);
            // Correlation: tap k goes to place -k, and down the columns a wrapped place has the opposite sign.
            for y in 0..kh {
                for x in 0..kw {
                    let sign = if y == 0 { scale } else { -scale };
                    tile[(th - y) % th * tw + (tw - x) % tw] = sign * weights[(pair * kh + y) * kw + x];
                }
            }
            let (co, ci) = (pair / self.shape.cin, pair % self.shape.cin);
            let group = co / GROUP * GROUP;
            let width = GROUP.min(self.shape.cout - group);
            let to = spectra.at((group * self.shape.cin + ci * width + co - group) * CHUNK);
            self.isa.run(Forward { conv: self, tile: tile.as_mut_ptr(), spare: spare.as_mut_ptr(), to, block: pairs * CHUNK });
        }
    }

    /// Convolves `input` (one pointer per channel plane) into `output` (one per channel plane), rows of the exact widths.
    ///
    /// # Safety
    /// The planes hold `input` and `output` pixels of the shape (16 more floats can be read before and after each input), outputs overlap
    /// nothing, and `scratch` points to [`ConvFft::scratch_floats`] for this pool.
    pub unsafe fn run(&self, pool: &mut Pool, scratch: Shared, input: &[Shared], output: &[Shared]) {
        // SAFETY: the caller's promise.
        unsafe { self.tiles(pool, scratch, input, output, self.tiling.tiles[0] * self.tiling.tiles[1], &|at| at) };
    }

    /// Convolves only those of its own tiles, numbered row by row, that are listed.
    ///
    /// # Safety
    /// As for [`ConvFft::run`].
    pub unsafe fn run_tiles(&self, pool: &mut Pool, scratch: Shared, input: &[Shared], output: &[Shared], listed: &[u32]) {
        // SAFETY: the caller's promise.
        unsafe { self.tiles(pool, scratch, input, output, listed.len(), &|at| listed[at] as usize) };
    }

    /// Convolves `tiles` of its tiles: number `which(i)` for each `i` below it.
    ///
    /// # Safety
    /// As for [`ConvFft::run`].
    unsafe fn tiles(
        &self,
        pool: &mut Pool,
        scratch: Shared,
        input: &[Shared],
        output: &[Shared],
        tiles: usize,
        which: &(dyn Fn(usize) -> usize + Sync),
    ) {
        let Shape { cin, cout, .. } = self.shape;
        let tile_floats = self.tiling.tile[0] * self.tiling.tile[1];
        assert!(input.len() == cin && output.len() == cout, "{} and {} planes for {:?}", input.len(), output.len(), self.shape);
        let spectra = scratch;
        let own = Shared(spectra.at(self.blocks() * self.block_floats(self.batch)));
        let own = |thread: usize| own.at(thread * self.own_floats());
        let mut first = 0;
        while first < tiles {
            let count = self.batch.min(tiles - first);
            let block_floats = self.block_floats(count);
            pool.run(cin * count, &|thread, item| {
                let (channel, tile) = (item / count, item % count);
                let buffer = own(thread);
                let next = input[(channel + 1) % cin].0;
                self.isa.run(Cut { conv: self, tile: which(first + tile), plane: input[channel].0, buffer, next });
                let to = spectra.at(item * CHUNK);
                self.isa.run(Forward { conv: self, tile: buffer, spare: buffer.wrapping_add(tile_floats), to, block: block_floats });
            });
            pool.run(self.blocks(), &|thread, block| {
                self.isa.run(Product {
                    weights: self.weights.slice(block * cin * cout * CHUNK, cin * cout * CHUNK).as_ptr(),
                    spectra: spectra.at(block * block_floats),
                    before: own(thread),
                    cin,
                    cout,
                    tiles: count,
                });
            });
            pool.run(cout * count, &|thread, item| {
                let (channel, tile) = (item / count, item % count);
                let buffer = own(thread);
                let from = spectra.at(item * CHUNK);
                self.isa.run(Inverse { conv: self, tile: buffer, spare: buffer.wrapping_add(tile_floats), from, block: block_floats });
                self.isa.run(Paste { conv: self, tile: which(first + tile), buffer, plane: output[channel].0, bias: self.bias[channel] });
            });
            first += count;
        }
    }
}

#[cfg(test)]
mod tests;
