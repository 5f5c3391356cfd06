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

use super::fft::{Plan, Rows, transpose};
use super::planes::{Arena, Shared};
use super::pool::Pool;
use super::simd::{Isa, Kernel, MAX_LANES, Simd};

/// Floats of one block of one channel of one tile: 16 real and 16 imaginary parts.
const CHUNK: usize = 2 * MAX_LANES;

/// Output channels whose weights lie side by side, and that the channel product computes together.
const GROUP: usize = 3;

/// Heights a tile can have (half of it is a multiple of 16).
const HEIGHTS: [usize; 5] = [32, 64, 96, 128, 160];
/// Widths a tile can have.
const WIDTHS: [usize; 8] = [16, 32, 48, 64, 80, 96, 128, 160];

/// What a stride-1 convolution is: shapes in pixels, NCHW, batch 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    /// Input channels.
    pub cin: usize,
    /// Output channels.
    pub cout: usize,
    /// Input height and width.
    pub input: [usize; 2],
    /// Kernel height and width.
    pub kernel: [usize; 2],
    /// Zero padding above and left.
    pub begin: [usize; 2],
    /// Zero padding below and right.
    pub end: [usize; 2],
}

impl Shape {
    /// Output height and width.
    pub fn output(&self) -> [usize; 2] {
        [0, 1].map(|d| self.input[d] + self.begin[d] + self.end[d] + 1 - self.kernel[d])
    }

    /// Outputs along dimension `d` that one tile of `size` yields, and how many tiles that makes; `None` if the tile is too small.
    fn cover(&self, d: usize, size: usize) -> Option<(usize, usize)> {
        let out = self.output()[d];
        // One tile may wrap around: what it wraps into is padding.
        if size >= self.input[d] + self.begin[d].max(self.end[d]) {
            return Some((out, 1));
        }
        let valid = (size + 1).checked_sub(self.kernel[d]).filter(|&v| v > 0)?;
        Some((valid, out.div_ceil(valid)))
    }

    /// Multiply-adds of the direct form.
    pub fn direct_macs(&self) -> usize {
        let [h, w] = self.output();
        self.cin * self.cout * h * w * self.kernel[0] * self.kernel[1]
    }
}

/// How a convolution is tiled, and what that costs.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Tiling {
    /// Height and width of a tile.
    pub tile: [usize; 2],
    /// Outputs per tile.
    pub valid: [usize; 2],
    /// Tiles down and across.
    pub tiles: [usize; 2],
    /// Bytes of the weights' spectra.
    pub weight_bytes: usize,
    /// Estimated time in nanoseconds on one thread.
    pub cost_ns: f64,
}

/// What the cost model multiplies: measured once on this class of machine by `recslowfast bench`, and only ever compared.
#[derive(Clone, Copy, Debug)]
pub struct Rates {
    /// Nanoseconds per complex point and pass-equivalent (`log2`) of a transform.
    pub transform_ns: f64,
    /// Nanoseconds per complex multiply-add of the channel product.
    pub product_ns: f64,
    /// Nanoseconds per byte of weights that has to come from memory.
    pub weight_ns: f64,
    /// Nanoseconds per multiply-add of the direct form, for comparison with it.
    pub direct_ns: f64,
}

impl Rates {
    /// Rates for an instruction set, at about 3.5 GHz.
    pub fn of(isa: Isa) -> Rates {
        let slower = match isa {
            #[cfg(target_arch = "x86_64")]
            Isa::Avx512 => 1.0,
            #[cfg(target_arch = "x86_64")]
            Isa::Avx2 => 1.4,
            _ => 4.0,
        };
        Rates { transform_ns: 0.14 * slower, product_ns: 0.13 * slower, weight_ns: 0.1, direct_ns: 0.035 * slower }
    }
}

impl Tiling {
    /// A tiling by tiles of the given size, if they are large enough for the kernel and their lengths are provided.
    pub fn with(shape: &Shape, tile: [usize; 2], rates: &Rates) -> Option<Tiling> {
        if !HEIGHTS.contains(&tile[0]) || !WIDTHS.contains(&tile[1]) || (0..2).any(|d| tile[d] < shape.kernel[d]) {
            return None;
        }
        let (down, across) = (shape.cover(0, tile[0])?, shape.cover(1, tile[1])?);
        let tiles = down.1 * across.1;
        let points = tile[0] * tile[1] / 2;
        let weight_bytes = shape.cin * shape.cout * points * 8;
        let transforms = (tiles * (shape.cin + shape.cout) * points) as f64 * ((2 * points) as f64).log2() * rates.transform_ns;
        let product = (tiles * points * shape.cin * shape.cout) as f64 * rates.product_ns;
        let cost_ns = transforms + product.max(weight_bytes as f64 * rates.weight_ns);
        Some(Tiling { tile, valid: [down.0, across.0], tiles: [down.1, across.1], weight_bytes, cost_ns })
    }

    /// The cheapest tiling whose spectra of the weights fit into `weight_bytes`; the smallest if none does.
    pub fn choose(shape: &Shape, rates: &Rates, weight_bytes: usize) -> Option<Tiling> {
        let all = || HEIGHTS.iter().flat_map(|&h| WIDTHS.iter().filter_map(move |&w| Tiling::with(shape, [h, w], rates)));
        let fitting = all().filter(|t| t.weight_bytes <= weight_bytes).min_by(|a, b| a.cost_ns.total_cmp(&b.cost_ns));
        fitting.or_else(|| all().min_by_key(|t| t.weight_bytes))
    }
}

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
        let Shape { cin, cout, .. } = self.shape;
        let tile_floats = self.tiling.tile[0] * self.tiling.tile[1];
        assert!(input.len() == cin && output.len() == cout, "{} and {} planes for {:?}", input.len(), output.len(), self.shape);
        let spectra = scratch;
        let own = Shared(spectra.at(self.blocks() * self.block_floats(self.batch)));
        let own = |thread: usize| own.at(thread * self.own_floats());
        let tiles = self.tiling.tiles[0] * self.tiling.tiles[1];
        let mut first = 0;
        while first < tiles {
            let count = self.batch.min(tiles - first);
            let block_floats = self.block_floats(count);
            pool.run(cin * count, &|thread, item| {
                let (channel, tile) = (item / count, item % count);
                let buffer = own(thread);
                let next = input[(channel + 1) % cin].0;
                self.isa.run(Cut { conv: self, tile: first + tile, plane: input[channel].0, buffer, next });
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
                self.isa.run(Paste { conv: self, tile: first + tile, buffer, plane: output[channel].0, bias: self.bias[channel] });
            });
            first += count;
        }
    }
}

/// Copies a tile out of a plane, zero outside of it.
struct Cut<'a> {
    conv: &'a ConvFft,
    tile: usize,
    plane: *const f32,
    buffer: *mut f32,
    /// The next channel's plane.
    next: *const f32,
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
struct Paste<'a> {
    conv: &'a ConvFft,
    tile: usize,
    buffer: *const f32,
    plane: *mut f32,
    bias: f32,
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

/// Transforms one tile into its chunks of the spectra.
struct Forward<'a> {
    conv: &'a ConvFft,
    tile: *mut f32,
    spare: *mut f32,
    to: *mut f32,
    block: usize,
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
struct Inverse<'a> {
    conv: &'a ConvFft,
    tile: *mut f32,
    spare: *mut f32,
    from: *mut f32,
    block: usize,
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

/// One block of frequencies, in its place: `spectra[co][tile] = sum over ci of weights[co][ci] * spectra[ci][tile]`, complex.
struct Product {
    weights: *const f32,
    spectra: *mut f32,
    /// Room for what `spectra` held.
    before: *mut f32,
    cin: usize,
    cout: usize,
    tiles: usize,
}

impl Kernel for Product {
    type Out = ();
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        for at in (0..self.cin * self.tiles * CHUNK).step_by(S::LANES) {
            // SAFETY: as many floats are in both, and they do not overlap.
            unsafe { s.store(self.before.add(at), s.load(self.spectra.add(at))) };
        }
        // 2 m n accumulators, 2 weights and 2 n values must fit the registers.
        let most = if S::REGISTERS >= 32 { 3 } else { 2 };
        // Runs of even length: 4 tiles are 2 + 2, not 3 + 1.
        let width = self.tiles.div_ceil(self.tiles.div_ceil(most));
        let mut co = 0;
        while co < self.cout {
            let m = GROUP.min(self.cout - co);
            let mut tile = 0;
            while tile < self.tiles {
                let n = width.min(self.tiles - tile);
                // SAFETY: m channels from co and n tiles from tile are there.
                unsafe {
                    match (m, n) {
                        (3, 3) => self.group::<S, 3, 3>(s, co, tile),
                        (3, 2) => self.group::<S, 3, 2>(s, co, tile),
                        (3, 1) => self.group::<S, 3, 1>(s, co, tile),
                        (2, 3) => self.group::<S, 2, 3>(s, co, tile),
                        (2, 2) => self.group::<S, 2, 2>(s, co, tile),
                        (2, 1) => self.group::<S, 2, 1>(s, co, tile),
                        (1, 3) => self.group::<S, 1, 3>(s, co, tile),
                        (1, 2) => self.group::<S, 1, 2>(s, co, tile),
                        _ => self.group::<S, 1, 1>(s, co, tile),
                    }
                }
                tile += n;
            }
            co += m;
        }
    }
}

impl Product {
    /// `M` output channels by `N` tiles, kept in registers over all input channels.
    #[inline(always)]
    unsafe fn group<S: Simd, const M: usize, const N: usize>(&self, s: S, co: usize, tile: usize) {
        let mut lane = 0;
        while lane < MAX_LANES {
            let mut re = [[s.splat(0.0); N]; M];
            let mut im = [[s.splat(0.0); N]; M];
            let mut weights = self.weights.wrapping_add(co * self.cin * CHUNK + lane);
            let mut before = self.before.wrapping_add(tile * CHUNK + lane);
            for _ in 0..self.cin {
                let mut x = [[s.splat(0.0); 2]; N];
                for (n, x) in x.iter_mut().enumerate() {
                    // SAFETY: chunk `tile + n` of this input channel.
                    *x = unsafe { [s.load(before.add(n * CHUNK)), s.load(before.add(n * CHUNK + MAX_LANES))] };
                }
                if tile == 0 && lane == 0 {
                    // The next group's weights, which no other tile has fetched yet, arrive while this one is computed.
                    for m in 0..M {
                        let ahead = weights.wrapping_add((self.cin * M + m) * CHUNK);
                        s.prefetch(ahead);
                        s.prefetch(ahead.wrapping_add(MAX_LANES));
                    }
                }
                for m in 0..M {
                    // SAFETY: the chunk of output channel `co + m` and this input channel.
                    let (c, d) = unsafe { (s.load(weights.add(m * CHUNK)), s.load(weights.add(m * CHUNK + MAX_LANES))) };
                    for n in 0..N {
                        re[m][n] = s.fma(c, x[n][0], re[m][n]);
                        im[m][n] = s.fma(c, x[n][1], im[m][n]);
                    }
                    for n in 0..N {
                        re[m][n] = s.fnma(d, x[n][1], re[m][n]);
                        im[m][n] = s.fma(d, x[n][0], im[m][n]);
                    }
                }
                weights = weights.wrapping_add(M * CHUNK);
                before = before.wrapping_add(self.tiles * CHUNK);
            }
            for m in 0..M {
                for n in 0..N {
                    let to = self.spectra.wrapping_add(((co + m) * self.tiles + tile + n) * CHUNK + lane);
                    // SAFETY: chunk `tile + n` of output channel `co + m`.
                    unsafe {
                        s.store(to, re[m][n]);
                        s.store(to.add(MAX_LANES), im[m][n]);
                    }
                }
            }
            lane += S::LANES;
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn noise(n: usize, seed: u32) -> Vec<f32> {
        let mut state = seed.wrapping_mul(747_796_405).wrapping_add(1);
        (0..n)
            .map(|_| {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                (state >> 8) as f32 / (1 << 23) as f32 - 1.0
            })
            .collect()
    }

    fn direct(shape: &Shape, weights: &[f32], bias: &[f32], input: &[f32]) -> Vec<f32> {
        let [h, w] = shape.input;
        let [oh, ow] = shape.output();
        let [kh, kw] = shape.kernel;
        let mut out = vec![0.0; shape.cout * oh * ow];
        for co in 0..shape.cout {
            for y in 0..oh {
                for x in 0..ow {
                    let mut sum = f64::from(bias[co]);
                    for ci in 0..shape.cin {
                        for ky in 0..kh {
                            for kx in 0..kw {
                                let (iy, ix) = ((y + ky).wrapping_sub(shape.begin[0]), (x + kx).wrapping_sub(shape.begin[1]));
                                if iy < h && ix < w {
                                    let weight = weights[((co * shape.cin + ci) * kh + ky) * kw + kx];
                                    sum += f64::from(weight) * f64::from(input[(ci * h + iy) * w + ix]);
                                }
                            }
                        }
                    }
                    out[(co * oh + y) * ow + x] = sum as f32;
                }
            }
        }
        out
    }

    fn check(shape: Shape, tile: [usize; 2], isa: Isa, threads: usize) {
        let Some(tiling) = Tiling::with(&shape, tile, &Rates::of(isa)) else { return };
        let weights = noise(shape.cin * shape.cout * shape.kernel[0] * shape.kernel[1], 1);
        let bias = noise(shape.cout, 2);
        let pixels = noise(shape.cin * shape.input[0] * shape.input[1], 3);
        let mut memory = Arena::new(pixels.len());
        memory.slice_mut(0, pixels.len()).copy_from_slice(&pixels);
        let input = memory.slice_mut(0, pixels.len());
        let [oh, ow] = shape.output();
        let mut output = vec![f32::NAN; shape.cout * oh * ow];
        let planes: Vec<_> = input.chunks_exact_mut(shape.input[0] * shape.input[1]).map(|p| Shared(p.as_mut_ptr())).collect();
        let outputs: Vec<_> = output.chunks_exact_mut(oh * ow).map(|p| Shared(p.as_mut_ptr())).collect();
        let conv = ConvFft::new(shape, tiling, isa, &weights, &bias);
        // SAFETY: the planes are as large as the shape says.
        unsafe { conv.run(&mut Pool::new(threads), Arena::new(conv.scratch_floats(threads)).start(), &planes, &outputs) };
        let want = direct(&shape, &weights, &bias, &pixels);
        let scale = want.iter().fold(0f32, |m, x| m.max(x.abs()));
        for (i, (a, b)) in output.iter().zip(&want).enumerate() {
            assert!((a - b).abs() <= 2e-6 * scale + 1e-6, "{shape:?} {tiling:?} {isa:?}: output {i} is {a}, not {b}");
        }
    }

    #[test]
    fn one_tile_wraps_into_its_padding() {
        let shape = Shape { cin: 2, cout: 3, input: [57, 60], kernel: [15, 9], begin: [7, 4], end: [7, 4] };
        for isa in Isa::available() {
            check(shape, [64, 64], isa, 1);
        }
    }

    #[test]
    fn every_tile_size_agrees_with_the_direct_form() {
        let shape = Shape { cin: 3, cout: 2, input: [41, 37], kernel: [15, 15], begin: [7, 7], end: [7, 7] };
        for h in HEIGHTS {
            for w in WIDTHS {
                for isa in Isa::available() {
                    check(shape, [h, w], isa, 2);
                }
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn any_shape_agrees_with_the_direct_form(
            cin in 1usize..5, cout in 1usize..6, h in 1usize..70, w in 1usize..70, kh in 1usize..32, kw in 1usize..32,
            top in 0usize..16, left in 0usize..16, tile in 0usize..40, threads in 1usize..4,
        ) {
            let begin = [top.min(kh - 1), left.min(kw - 1)];
            let shape = Shape { cin, cout, input: [h, w], kernel: [kh, kw], begin, end: [kh - 1 - begin[0], kw - 1 - begin[1]] };
            for isa in Isa::available() {
                check(shape, [HEIGHTS[tile / 8], WIDTHS[tile % 8]], isa, threads);
            }
        }
    }

    #[test]
    fn a_tiling_keeps_to_its_memory_where_it_can() {
        let shape = Shape { cin: 25, cout: 25, input: [150, 150], kernel: [15, 15], begin: [7, 7], end: [7, 7] };
        let rates = Rates::of(Isa::best());
        let tiling = Tiling::choose(&shape, &rates, 12 << 20).unwrap();
        assert!(tiling.weight_bytes <= 12 << 20, "{tiling:?}");
        assert!(Tiling::choose(&shape, &rates, 0).is_some());
        assert!(Tiling::choose(&Shape { kernel: [161, 161], ..shape }, &rates, 0).is_none());
    }
}
