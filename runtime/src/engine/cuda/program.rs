//! A network as a short list of kernels over named buffers, before any GPU is involved.

mod chain;

use super::abi::Taps;
use super::tiles::Tiling;
use crate::engine::graph::{Fold, Graph};
pub use chain::{Decide, MOST_SUMS, Operand, Pointwise, Step};

/// Index into [`Program::tensors`].
pub type TensorId = usize;
/// Index into [`Program::vectors`].
pub type VectorId = usize;

/// A tensor `[y][x][c]` that lives in device memory, in fp32, fp16 or both.
#[derive(Clone, Debug)]
pub struct TensorSpec {
    /// Channels, rows, columns.
    pub shape: Shape,
    /// Kept in fp32.
    pub full: bool,
    /// Kept in fp16 (for the tensor cores, or to save memory traffic).
    pub half: bool,
    /// Its values, when it never changes.
    pub constant: Option<Vec<f32>>,
}

impl TensorSpec {
    /// Numbers it holds, padding included.
    pub fn len(&self) -> usize {
        self.shape.h * self.shape.w * self.shape.cs()
    }

    /// Whether there is memory for it in fp32 and in fp16: constants are fp32.
    pub fn kept(&self) -> [bool; 2] {
        [self.full || self.constant.is_some(), self.half && self.constant.is_none()]
    }

    /// Whether kernels that take either format read it in fp16: fp32 where it is kept.
    pub fn is_read_in_half(&self) -> bool {
        !self.kept()[0]
    }
}

/// Channels, rows and columns; 1 also where a value is broadcast.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Shape {
    /// Channels.
    pub c: usize,
    /// Rows.
    pub h: usize,
    /// Columns.
    pub w: usize,
}

impl Shape {
    /// Channel stride: channels rounded up to even.
    pub fn cs(self) -> usize {
        self.c.next_multiple_of(2)
    }

    /// One value, or one value a channel.
    pub fn is_vector(self) -> bool {
        self.h == 1 && self.w == 1
    }
}

/// One kernel of a program.
#[derive(Clone, Debug)]
pub enum Op {
    /// A convolution.
    Conv(Box<Conv>),
    /// Mean and variance of each channel.
    Stats {
        /// What is measured.
        input: TensorId,
        /// Its mean.
        mean: VectorId,
        /// Its variance (of the population).
        variance: VectorId,
    },
    /// A chain of element-wise operations.
    Pointwise(Box<Pointwise>),
    /// Pixels gathered, channels left alone or laid out as pixels.
    Spatial(Box<Spatial>),
    /// One number from all channels of a pixel.
    Across(Across),
    /// What moved is handed on, where only what moved is computed.
    Gate(Gate),
}

impl Op {
    /// Whether the kernel reads `tensor`.
    pub fn reads(&self, tensor: TensorId) -> bool {
        match self {
            Op::Conv(conv) => conv.input == tensor || conv.behind.as_ref().is_some_and(|chain| chain.reads(tensor)),
            Op::Stats { input, .. } => *input == tensor,
            Op::Pointwise(chain) => chain.reads(tensor),
            Op::Spatial(spatial) => spatial.input == tensor,
            Op::Across(across) => across.input == tensor,
            Op::Gate(gate) => gate.from == tensor || gate.to == tensor,
        }
    }

    /// Whether the kernel writes to `tensor`, be it some channels of it.
    pub fn writes(&self, tensor: TensorId) -> bool {
        match self {
            Op::Conv(conv) => conv.output == tensor || conv.behind.as_ref().is_some_and(|chain| chain.writes(tensor)),
            Op::Stats { .. } => false,
            Op::Pointwise(chain) => chain.writes(tensor),
            Op::Spatial(spatial) => spatial.output == tensor,
            Op::Across(across) => across.output == tensor,
            Op::Gate(gate) => gate.to == tensor,
        }
    }
}

/// Between a tensor as it was made and the one that is read.
#[derive(Clone, Copy, Debug)]
pub struct Gate {
    /// As it was made.
    pub from: TensorId,
    /// As it is read.
    pub to: TensorId,
    /// What a pixel has to move by, in parts of the tensor's root mean square; None: by the threshold of the frame's rule.
    pub threshold: Option<f32>,
    /// Times that until its neighbours are told.
    pub carries: f32,
    /// A state: what moved by less is handed on too, only not told.
    pub commits: bool,
    /// It stands within a graph, not behind one.
    pub within: bool,
    /// What the movement is for.
    pub decide: Decide,
}

/// A reduction over the channels of each pixel.
#[derive(Clone, Copy, Debug)]
pub struct Across {
    /// What is reduced.
    pub input: TensorId,
    /// A tensor of one channel.
    pub output: TensorId,
    /// What the numbers become.
    pub fold: Fold,
    /// Multiplies it.
    pub scale: f32,
}

/// Gathers pixels of `input` into `output`, channel by channel.
#[derive(Clone, Debug)]
pub struct Spatial {
    /// What is gathered.
    pub input: TensorId,
    /// Where it goes.
    pub output: TensorId,
    /// How.
    pub gather: Gather,
}

/// Which pixels make one.
#[derive(Clone, Debug)]
pub enum Gather {
    /// The largest in a window, as far as it lies in the picture.
    Largest(Geometry),
    /// The sum over a window, divided by a number or, without one, by how many of its taps lie in the picture.
    Mean(Geometry, Option<usize>),
    /// Two in each direction, weighed.
    Resize {
        /// Of each row.
        rows: Vec<Taps>,
        /// Of each column.
        columns: Vec<Taps>,
    },
    /// Channels laid out as pixels.
    Interleave {
        /// Rows and columns of pixels that one pixel of the input becomes.
        block: [usize; 2],
        /// Channels from one position in the block to the next, and from one output channel to the next.
        apart: [usize; 2],
        /// Rows and columns cut off above and left.
        begin: [usize; 2],
    },
    /// Pixels taken for channels.
    Collect {
        /// Rows and columns of pixels that become one.
        block: usize,
        /// Channels from one position in the block to the next, and from one input channel to the next.
        apart: [usize; 2],
    },
}

impl Gather {
    /// Its number in `kernels/spatial.cu`.
    pub fn kind(&self) -> i32 {
        match self {
            Gather::Largest(_) => 0,
            Gather::Mean(..) => 1,
            Gather::Resize { .. } => 2,
            Gather::Interleave { .. } => 3,
            Gather::Collect { .. } => 4,
        }
    }
}

/// Sizes of a convolution: `[rows, columns]` each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Geometry {
    /// Kernel.
    pub kernel: [usize; 2],
    /// Step between outputs.
    pub stride: [usize; 2],
    /// Step between taps.
    pub dilation: [usize; 2],
    /// Zeros before the first row and column.
    pub pad: [usize; 2],
    /// Groups of channels that do not mix.
    pub groups: usize,
}

/// How a convolution is computed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// Tensor cores.
    Mma(Tile),
    /// fp32 arithmetic.
    Scalar,
    /// fp32 arithmetic, channels in groups.
    Direct,
    /// fp32 arithmetic on the spectra of overlapping tiles.
    Fft(Spectral),
}

impl Method {
    /// The kernel that stores what it makes; of transforms, the last.
    pub fn kernel(&self) -> String {
        match self {
            Method::Mma(tile) => format!("conv_mma_{}", tile.columns),
            Method::Scalar => "conv_scalar".into(),
            Method::Direct => "conv_direct".into(),
            Method::Fft(tiles) => tiles.kernel("conv_fft_back"),
        }
    }

    /// Its blocks, where `to` is made.
    pub fn blocks(&self, to: Shape) -> [usize; 3] {
        match self {
            Method::Mma(tile) => [to.w.div_ceil(tile.columns * tile.warps_x), to.h.div_ceil(8 * tile.warps_y), to.c.div_ceil(32)],
            Method::Scalar => [(to.h * to.w).div_ceil(64), 1, to.c.div_ceil(32)],
            Method::Direct => [(to.h * to.w * to.cs() / 2).div_ceil(128), 1, 1],
            Method::Fft(tiles) => [tiles.count(), to.cs() / 2, 1],
        }
    }
}

/// How a convolution is cut into tiles of [`FFT`] x [`FFT`] inputs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Spectral {
    /// Tiles from top to bottom and from left to right.
    pub tiles: [usize; 2],
    /// Rows and columns of a tile that come out right.
    pub valid: [usize; 2],
    /// Spectra in fp16.
    pub half: bool,
}

/// Edge of a transformed tile.
pub const FFT: usize = 64;
/// Frequencies kept of one: the rest follows from the pictures being real.
pub const FREQUENCIES: usize = FFT * (FFT / 2 + 1);

impl Spectral {
    /// Tiles in all.
    pub fn count(&self) -> usize {
        self.tiles[0] * self.tiles[1]
    }

    /// Bytes of one complex number of a spectrum.
    pub fn complex_bytes(&self) -> usize {
        if self.half { 4 } else { 8 }
    }

    /// The kernel that does `part` on spectra of this format.
    pub fn kernel(&self, part: &str) -> String {
        format!("{part}{}", if self.half { "16" } else { "" })
    }
}

/// How a tensor-core convolution is cut into blocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tile {
    /// Columns of a warp's area: 4, 8 or 10.
    pub columns: usize,
    /// Areas from top to bottom.
    pub warps_y: usize,
    /// Areas from left to right.
    pub warps_x: usize,
    /// Shared tile: rows.
    pub tile_h: usize,
    /// Shared tile: words in use per row.
    pub tile_words: usize,
    /// Shared tile: words from row to row.
    pub pitch: usize,
}

impl Tile {
    /// Bytes of shared memory.
    pub fn shared_bytes(&self) -> usize {
        self.tile_h * self.pitch * 4
    }
}

/// A convolution with its weights packed for the kernel that runs it.
#[derive(Clone, Debug)]
pub struct Conv {
    /// What is convolved.
    pub input: TensorId,
    /// What comes out.
    pub output: TensorId,
    /// Sizes.
    pub geometry: Geometry,
    /// The kernel that runs it.
    pub method: Method,
    /// K runs (rows of the kernel, or taps when dilated).
    pub runs: usize,
    /// Slices of one run.
    pub ksteps: usize,
    /// Packed weights.
    pub weights: Vec<u32>,
    /// One number an output channel, padded to whole channel blocks.
    pub bias: Vec<f32>,
    /// A chain of what comes out, in the same kernel.
    pub behind: Option<Box<Pointwise>>,
    /// Mean and variance of each channel of what comes out, by the same kernel.
    pub measures: Option<(VectorId, VectorId)>,
}

/// All three graphs of a network.
#[derive(Clone, Debug)]
pub struct Program {
    /// Every tensor.
    pub tensors: Vec<TensorSpec>,
    /// Channels of every vector.
    pub vectors: Vec<usize>,
    /// Frame to fresh drive, and its distance to the drive of the last frame that was stepped.
    pub encode: Vec<Op>,
    /// Fresh drive to drive, for a frame that is stepped; empty for a feed-forward network, which encodes to its drive.
    pub accept: Vec<Op>,
    /// One step; empty for a feed-forward network.
    pub step: Vec<Op>,
    /// States to the answers.
    pub readout: Vec<Op>,
    /// The network's input, or the first of [`Program::imports`].
    pub frame: TensorId,
    /// What comes from the host, one value behind the other: the network's input, or what the host made of it.
    pub imports: Vec<TensorId>,
    /// Hidden state, in the manifest's order.
    pub states: Vec<TensorId>,
    /// What goes to the host: the readout's outputs, or what the host makes them of.
    pub answers: Vec<TensorId>,
    /// Where only what moved is computed: how.
    pub tiles: Option<Tiling>,
    /// What the host makes of the network's input before the device begins, where the encoder has a node without a kernel.
    pub before: Option<OnHost>,
    /// What the host makes of `answers`, where the readout has a node without a kernel.
    pub behind: Option<OnHost>,
}

/// The part of a graph that the host computes, because some of its nodes have no kernel.
#[derive(Clone, Debug)]
pub struct OnHost {
    /// The graph's file.
    pub file: &'static str,
    /// The part.
    pub graph: Graph,
    /// The nodes without a kernel, each with the reason.
    pub nodes: Vec<String>,
}
