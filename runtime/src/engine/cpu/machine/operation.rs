//! What a graph is lowered to.

use crate::engine::cpu::conv_direct::ConvDirect;
use crate::engine::cpu::conv_fft::ConvFft;
use crate::engine::cpu::conv_transposed::Shuffle;
use crate::engine::cpu::pointwise::Program;

/// A tensor of `channels` planes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Buffer(pub usize);

/// A run of one number per channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Table(pub usize);

/// One channel of a tensor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Plane {
    /// The tensor.
    pub buffer: Buffer,
    /// The channel.
    pub channel: usize,
}

/// The channels of a value, wherever they lie: concatenation and slicing along channels cost nothing.
pub type View = Vec<Plane>;

/// What a graph is lowered to.
pub enum Operation {
    /// A convolution by Fourier transforms.
    Fourier {
        /// With its weights.
        conv: ConvFft,
        /// Input channels.
        input: View,
        /// Output channels.
        output: View,
    },
    /// A convolution in its direct form.
    Direct {
        /// With its weights.
        conv: ConvDirect,
        /// Input channels.
        input: View,
        /// Output channels.
        output: View,
    },
    /// Planes laid into each other: the second half of a transposed convolution.
    Shuffle {
        /// Which pixel goes where.
        shuffle: Shuffle,
        /// For each output channel, the planes it is made of.
        input: View,
        /// Output channels.
        output: View,
    },
    /// Instance norm's statistics, as the tables that apply it.
    Normal {
        /// Channels to be normalised.
        input: View,
        /// Pixels of each.
        pixels: usize,
        /// Added to each variance.
        epsilon: f32,
        /// The learnt factor of each channel.
        gain: Vec<f32>,
        /// The learnt offset of each channel.
        bias: Vec<f32>,
        /// Receives the factors.
        scale: Table,
        /// Receives the offsets.
        shift: Table,
    },
    /// A chain of element-wise operators.
    Pointwise {
        /// The chain.
        program: Program,
        /// Its tensors, one after the other.
        planes: View,
        /// Its tables.
        tables: Vec<Table>,
        /// Whether it measures a distance.
        measures: bool,
    },
}

impl Operation {
    /// Every plane it reads or writes.
    pub fn planes(&self) -> Box<dyn Iterator<Item = &Plane> + '_> {
        match self {
            Operation::Fourier { input, output, .. }
            | Operation::Direct { input, output, .. }
            | Operation::Shuffle { input, output, .. } => Box::new(input.iter().chain(output)),
            Operation::Normal { input, .. } => Box::new(input.iter()),
            Operation::Pointwise { planes, .. } => Box::new(planes.iter()),
        }
    }

    pub(super) fn planes_mut(&mut self) -> Box<dyn Iterator<Item = &mut Plane> + '_> {
        match self {
            Operation::Fourier { input, output, .. }
            | Operation::Direct { input, output, .. }
            | Operation::Shuffle { input, output, .. } => Box::new(input.iter_mut().chain(output)),
            Operation::Normal { input, .. } => Box::new(input.iter_mut()),
            Operation::Pointwise { planes, .. } => Box::new(planes.iter_mut()),
        }
    }

    /// Multiply-adds of its direct form.
    pub fn macs(&self) -> usize {
        match self {
            Operation::Fourier { conv, .. } => conv.shape().direct_macs(),
            Operation::Direct { conv, .. } => conv.geometry().macs(),
            Operation::Shuffle { .. } | Operation::Normal { .. } | Operation::Pointwise { .. } => 0,
        }
    }

    pub(super) fn scratch_floats(&self, threads: usize) -> usize {
        match self {
            Operation::Fourier { conv, .. } => conv.scratch_floats(threads),
            Operation::Direct { conv, .. } => conv.scratch_floats(threads),
            Operation::Shuffle { .. } | Operation::Normal { .. } => 0,
            Operation::Pointwise { program, .. } => program.scratch_floats(threads),
        }
    }
}

impl std::fmt::Display for Operation {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Operation::Fourier { conv, .. } => {
                let (s, t) = (conv.shape(), conv.tiling());
                write!(
                    out,
                    "convolution {}x{} of {} to {} channels by {}x{} transforms, {} tiles",
                    s.kernel[0],
                    s.kernel[1],
                    s.cin,
                    s.cout,
                    t.tile[0],
                    t.tile[1],
                    t.tiles[0] * t.tiles[1]
                )
            }
            Operation::Direct { conv, .. } => {
                let g = conv.geometry();
                write!(out, "convolution {}x{} of {} to {} channels, direct", g.kernel[0], g.kernel[1], g.cin, g.cout)
            }
            Operation::Shuffle { input, output, .. } => write!(out, "{} planes laid into {}", input.len(), output.len()),
            Operation::Normal { input, .. } => write!(out, "statistics of {} channels", input.len()),
            Operation::Pointwise { program, .. } => {
                write!(out, "{} fused element-wise operators on {} channels", program.instructions.len(), program.channels)
            }
        }
    }
}
