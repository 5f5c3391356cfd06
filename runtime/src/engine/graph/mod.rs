//! The one form of a graph that both engines lower: a list of typed nodes over values whose sizes are known.
//!
//! ```text
//! network::onnx (one opset, inlined, widened) -> read (attributes, constants folded, spellings recognised) -> Graph -> engine/cpu/lower, engine/cuda/lower
//! ```
//!
//! What an engine does with a node (packing, fusion, tiling, launches) is its own. What a node *means* is settled here, once: shapes,
//! geometry, folded constants, a transposed convolution as a convolution and a pixel shuffle, norms as statistics and arithmetic, the
//! coordinates of a resize. [`reach`] says how much of the input each value depends on, [`cost`] what each node costs, [`coverage`] which
//! operators are read.

pub mod constant;
pub mod cost;
pub mod coverage;
mod expression;
pub mod foreign;
mod geometry;
pub mod reach;
mod read;
mod split;
#[cfg(test)]
mod tests;
mod transposed;
mod value;

use std::sync::Arc;

pub use constant::Constant;
pub use expression::Op;
pub use geometry::Geometry;
pub use read::{of_records, read, read_in_parts};
pub use split::Split;
pub use transposed::Transposed;
pub use value::{Axis, Size, Value};

/// A value's number.
pub type Id = usize;

/// A row or column that lies outside of the input.
pub const OUTSIDE: usize = usize::MAX;

/// The two neighbours of an output row or column, and how much the second counts.
pub type Between = (usize, usize, f32);

/// A graph whose every node and size is known.
#[derive(Clone, Debug, Default)]
pub struct Graph {
    /// Every value, the inputs first.
    pub values: Vec<Value>,
    /// In an order in which each comes after what it reads. Each has an effect on an output.
    pub nodes: Vec<Node>,
    /// The graph's inputs in its order.
    pub inputs: Vec<(String, Id)>,
    /// The graph's outputs in its order.
    pub outputs: Vec<(String, Id)>,
}

/// What computes values.
#[derive(Clone, Debug)]
pub struct Node {
    /// The ONNX node it comes from, as messages name it.
    pub name: Arc<str>,
    /// What it does.
    pub kind: Kind,
    /// What it makes: one value, or more for [`Kind::Foreign`].
    pub outputs: Vec<Id>,
}

/// An operand of an element-wise operator; a smaller one is broadcast to the size of the node's output.
#[derive(Clone, Debug)]
pub enum Operand {
    /// A value.
    Value(Id),
    /// The same number everywhere.
    Number(f32),
    /// Numbers in the order channels, rows, columns; each size is the output's or 1.
    Constant(Arc<[f32]>, Size),
}

/// What the numbers of a reduction become.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fold {
    /// Their sum.
    Sum,
    /// The sum of their squares.
    Squares,
    /// The greatest.
    Greatest,
    /// The least.
    Least,
}

/// What a window makes of its pixels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pool {
    /// The greatest of those that lie in the picture.
    Greatest,
    /// Their mean: of the whole window (`true`: the border counts as zeros), or of those that lie in the picture.
    Mean(bool),
}

/// In which order channels are taken for the pixels of a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChannelOrder {
    /// The channels of one block position after those of another (ONNX calls it DCR).
    BlockFirst,
    /// The block positions of one channel after those of another (ONNX calls it CRD, PyTorch pixel shuffle).
    ChannelFirst,
}

/// What a node does.
#[derive(Clone, Debug)]
pub enum Kind {
    /// A convolution, grouped or not; a matrix product over channels is one of 1x1.
    Convolution {
        /// What is convolved.
        input: Id,
        /// Sizes.
        geometry: Geometry,
        /// `[cout][cin / groups][kernel rows][kernel columns]`
        weights: Arc<[f32]>,
        /// `cout` numbers, or none.
        bias: Vec<f32>,
    },
    /// A window over each channel by itself.
    Pool {
        /// What it passes over.
        input: Id,
        /// Sizes, in as many groups as channels.
        geometry: Geometry,
        /// What is taken of it.
        pool: Pool,
    },
    /// Each output pixel is one input pixel: nearest-neighbour resizing, pads, crops, every n-th pixel.
    Gather {
        /// What is taken from.
        input: Id,
        /// The input row of each output row, or [`OUTSIDE`].
        rows: Vec<usize>,
        /// The input column of each output column, or [`OUTSIDE`].
        columns: Vec<usize>,
        /// What lies outside.
        fill: f32,
    },
    /// Each output pixel lies between four input pixels: linear resizing.
    Interpolate {
        /// What is resized.
        input: Id,
        /// Of each output row.
        rows: Vec<Between>,
        /// Of each output column.
        columns: Vec<Between>,
    },
    /// Channels become pixels: pixel `(y, x)` of the output is pixel `((y + begin) / block, ...)` of the channel of its block position.
    PixelShuffle {
        /// What is laid out.
        input: Id,
        /// Rows and columns of a block.
        block: [usize; 2],
        /// Which channel is which block position.
        order: ChannelOrder,
        /// Rows and columns cut off above and left.
        begin: [usize; 2],
    },
    /// Pixels become channels.
    PixelUnshuffle {
        /// What is taken apart.
        input: Id,
        /// Rows and columns of a block.
        block: usize,
        /// Which channel is which block position.
        order: ChannelOrder,
    },
    /// One number from all pixels of a channel, from all channels of a pixel, or from everything.
    Reduce {
        /// What is reduced.
        input: Id,
        /// How.
        fold: Fold,
        /// Over pixels.
        pixels: bool,
        /// Over channels.
        channels: bool,
        /// Whether it is divided by how many there are.
        mean: bool,
    },
    /// Over the channels of each pixel.
    Softmax {
        /// The exponents.
        input: Id,
    },
    /// Each channel less its mean, divided by its deviation: `gain (x - mean) / sqrt(variance + epsilon) + bias`.
    InstanceNorm {
        /// What is normalised.
        input: Id,
        /// Added to each variance.
        epsilon: f32,
        /// A factor for each channel.
        gain: Vec<f32>,
        /// An offset for each channel.
        bias: Vec<f32>,
    },
    /// An element-wise operator.
    Map {
        /// Which.
        op: Op,
        /// As many as [`Op::arity`] says.
        operands: Vec<Operand>,
    },
    /// Channels of several values, one after the other. Costs nothing where a value is a list of planes.
    Concat {
        /// The values.
        inputs: Vec<Id>,
    },
    /// Some channels of a value.
    Channels {
        /// Of which.
        input: Id,
        /// Their numbers.
        channels: Vec<usize>,
    },
    /// Nodes that are not covered, on tract.
    Foreign {
        /// What they read, in the order of the part's inputs.
        inputs: Vec<Id>,
        /// The nodes.
        part: Arc<foreign::Part>,
    },
    /// The same numbers, whose axes have other names: reshapes and transpositions that move nothing.
    Rename {
        /// What is renamed.
        input: Id,
    },
}

impl Kind {
    /// The values it reads, in order.
    pub fn inputs(&self) -> Vec<Id> {
        match self {
            Kind::Convolution { input, .. }
            | Kind::Pool { input, .. }
            | Kind::Gather { input, .. }
            | Kind::Interpolate { input, .. }
            | Kind::PixelShuffle { input, .. }
            | Kind::PixelUnshuffle { input, .. }
            | Kind::Reduce { input, .. }
            | Kind::Softmax { input }
            | Kind::InstanceNorm { input, .. }
            | Kind::Channels { input, .. }
            | Kind::Rename { input } => vec![*input],
            Kind::Map { operands, .. } => operands
                .iter()
                .filter_map(|operand| match operand {
                    Operand::Value(id) => Some(*id),
                    Operand::Number(_) | Operand::Constant(..) => None,
                })
                .collect(),
            Kind::Concat { inputs } | Kind::Foreign { inputs, .. } => inputs.clone(),
        }
    }
}

impl Graph {
    /// The size of a value.
    pub fn size(&self, id: Id) -> Size {
        self.values[id].size
    }

    /// Drops nodes that no output depends on.
    fn prune(&mut self) {
        let mut used = vec![false; self.values.len()];
        self.outputs.iter().for_each(|(_, id)| used[*id] = true);
        let mut kept: Vec<Node> = Vec::with_capacity(self.nodes.len());
        for node in std::mem::take(&mut self.nodes).into_iter().rev() {
            if node.outputs.iter().any(|&id| used[id]) {
                node.kind.inputs().into_iter().for_each(|id| used[id] = true);
                kept.push(node);
            }
        }
        kept.reverse();
        self.nodes = kept;
    }
}
