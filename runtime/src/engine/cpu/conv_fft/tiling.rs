//! Shapes of a convolution without stride, and how it is cut into tiles.

use crate::engine::cpu::rates::Rates;

/// Heights a tile can have (half of it is a multiple of 16).
pub(super) const HEIGHTS: [usize; 5] = [32, 64, 96, 128, 160];
/// Widths a tile can have.
pub(super) const WIDTHS: [usize; 8] = [16, 32, 48, 64, 80, 96, 128, 160];

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

/// What a convolution's time is made of; [`Rates`] says what each costs.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Work {
    /// Complex points times `log2` of the real ones, over all transforms.
    pub transforms: f64,
    /// Complex multiply-adds of the channel product.
    pub products: f64,
    /// Bytes of the weights' spectra, each read once.
    pub weight_bytes: f64,
}

impl Tiling {
    /// A tiling by tiles of the given size, if they are large enough for the kernel and their lengths are provided.
    pub fn with(shape: &Shape, tile: [usize; 2], rates: &Rates) -> Option<Tiling> {
        if !HEIGHTS.contains(&tile[0]) || !WIDTHS.contains(&tile[1]) || (0..2).any(|d| tile[d] < shape.kernel[d]) {
            return None;
        }
        let (down, across) = (shape.cover(0, tile[0])?, shape.cover(1, tile[1])?);
        let weight_bytes = shape.cin * shape.cout * tile[0] * tile[1] * 4;
        let mut tiling = Tiling { tile, valid: [down.0, across.0], tiles: [down.1, across.1], weight_bytes, cost_ns: 0.0 };
        let Work { transforms, products, weight_bytes } = tiling.work(shape);
        tiling.cost_ns = transforms * rates.transform_ns + products * rates.product_ns + weight_bytes * rates.weight_ns;
        Some(tiling)
    }

    /// What is to be done for a convolution in these tiles.
    pub fn work(&self, shape: &Shape) -> Work {
        let (tiles, points) = (self.tiles[0] * self.tiles[1], self.tile[0] * self.tile[1] / 2);
        Work {
            transforms: (tiles * (shape.cin + shape.cout) * points) as f64 * ((2 * points) as f64).log2(),
            products: (tiles * points * shape.cin * shape.cout) as f64,
            weight_bytes: self.weight_bytes as f64,
        }
    }

    /// The cheapest tiling whose spectra of the weights fit into `weight_bytes`; the smallest if none does.
    pub fn choose(shape: &Shape, rates: &Rates, weight_bytes: usize) -> Option<Tiling> {
        let all = || HEIGHTS.iter().flat_map(|&h| WIDTHS.iter().filter_map(move |&w| Tiling::with(shape, [h, w], rates)));
        let fitting = all().filter(|t| t.weight_bytes <= weight_bytes).min_by(|a, b| a.cost_ns.total_cmp(&b.cost_ns));
        fitting.or_else(|| all().min_by_key(|t| t.weight_bytes))
    }
}
