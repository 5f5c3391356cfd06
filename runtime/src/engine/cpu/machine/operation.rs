//! What a graph is lowered to.

use crate::engine::cpu::channels_last::RowWork;
use crate::engine::cpu::conv_direct::ConvDirect;
use crate::engine::cpu::conv_expanded::ConvExpanded;
use crate::engine::cpu::conv_fft::ConvFft;
use crate::engine::cpu::conv_transposed::PixelShuffle;
use crate::engine::cpu::conv_winograd::ConvWinograd;
use crate::engine::cpu::depthwise::{Depthwise, Window};
use crate::engine::cpu::planes::Shared;
use crate::engine::cpu::pointwise::{Program, Target};
use crate::engine::cpu::pool::Pool;
use crate::engine::cpu::simd::Isa;
use crate::engine::cpu::tiles::{Locality, Part};

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

/// Work on whole planes that needs no more than to be told where they are.
pub trait PlaneWork: Send + Sync {
    /// Does it.
    ///
    /// # Safety
    /// The planes are of the sizes that the work was made for, each padded to a multiple of 16 floats; outputs overlap nothing.
    unsafe fn run(&self, isa: Isa, pool: &mut Pool, scratch: Shared, input: &[Shared], output: &[Shared]);

    /// Which outputs an input pixel reaches; None where each depends on all of them.
    fn reach(&self) -> Option<Locality> {
        None
    }

    /// Does only a part of it; asked of nothing but work that has a [`PlaneWork::reach`].
    ///
    /// # Safety
    /// As for [`PlaneWork::run`], which has been called before; the part lies in the outputs.
    unsafe fn run_rects(&self, _isa: Isa, _pool: &mut Pool, _input: &[Shared], _output: &[Shared], _part: &Part) {
        unreachable!("{} is not done in parts", self.describe())
    }

    /// The same on single pixels, of work that has such a form.
    fn rows(&self) -> Option<RowWork> {
        None
    }

    /// What it is, for `bench`.
    fn describe(&self) -> String;

    /// Why its last run failed, of work that can.
    fn trouble(&self) -> Option<String> {
        None
    }
}

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
    /// A 3x3 convolution by minimal filtering.
    Winograd {
        /// With its weights.
        conv: ConvWinograd,
        /// Input channels.
        input: View,
        /// Output channels.
        output: View,
    },
    /// A 1x1 convolution and a window over each of its channels.
    Expanded {
        /// With its weights.
        conv: ConvExpanded,
        /// Input channels.
        input: View,
        /// Output channels.
        output: View,
    },
    /// A window over each channel by itself.
    Depthwise {
        /// With its weights.
        conv: Depthwise,
        /// Input channels.
        input: View,
        /// Output channels.
        output: View,
    },
    /// Work on whole planes.
    Planes {
        /// What is done.
        work: Box<dyn PlaneWork>,
        /// What it reads.
        input: View,
        /// What it writes.
        output: View,
    },
    /// One pixel of each plane, as a table.
    Spread {
        /// Planes of one pixel.
        input: View,
        /// One entry for each.
        table: Table,
    },
    /// Planes laid into each other: the second half of a transposed convolution.
    PixelShuffle {
        /// Which pixel goes where.
        shuffle: PixelShuffle,
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
            | Operation::Winograd { input, output, .. }
            | Operation::Expanded { input, output, .. }
            | Operation::Depthwise { input, output, .. }
            | Operation::Planes { input, output, .. }
            | Operation::PixelShuffle { input, output, .. } => Box::new(input.iter().chain(output)),
            Operation::Normal { input, .. } | Operation::Spread { input, .. } => Box::new(input.iter()),
            Operation::Pointwise { planes, .. } => Box::new(planes.iter()),
        }
    }

    /// What it reads, where that is a list of its own; a chain's tensors are told by its instructions.
    pub fn inputs(&self) -> &[Plane] {
        match self {
            Operation::Fourier { input, .. }
            | Operation::Direct { input, .. }
            | Operation::Winograd { input, .. }
            | Operation::Expanded { input, .. }
            | Operation::Depthwise { input, .. }
            | Operation::Planes { input, .. }
            | Operation::PixelShuffle { input, .. }
            | Operation::Normal { input, .. }
            | Operation::Spread { input, .. } => input,
            Operation::Pointwise { .. } => &[],
        }
    }

    /// What it writes, where that is a list of its own.
    pub fn outputs_mut(&mut self) -> Option<&mut View> {
        match self {
            Operation::Fourier { output, .. }
            | Operation::Direct { output, .. }
            | Operation::Winograd { output, .. }
            | Operation::Expanded { output, .. }
            | Operation::Depthwise { output, .. }
            | Operation::Planes { output, .. }
            | Operation::PixelShuffle { output, .. } => Some(output),
            Operation::Normal { .. } | Operation::Spread { .. } | Operation::Pointwise { .. } => None,
        }
    }

    /// Every plane it writes.
    pub fn writes(&self) -> Box<dyn Iterator<Item = &Plane> + '_> {
        match self {
            Operation::Fourier { output, .. }
            | Operation::Direct { output, .. }
            | Operation::Winograd { output, .. }
            | Operation::Expanded { output, .. }
            | Operation::Depthwise { output, .. }
            | Operation::Planes { output, .. }
            | Operation::PixelShuffle { output, .. } => Box::new(output.iter()),
            Operation::Normal { .. } | Operation::Spread { .. } => Box::new(std::iter::empty()),
            Operation::Pointwise { program, planes, .. } => {
                let written = program.instructions.iter().filter_map(|instruction| match instruction.to {
                    Target::Plane(tensor) => Some(tensor),
                    Target::Kept(_) => None,
                });
                Box::new(written.flat_map(|tensor| &planes[tensor * program.channels..][..program.channels]))
            }
        }
    }

    /// Every plane it reads or writes, to be exchanged for others.
    pub fn planes_mut(&mut self) -> Box<dyn Iterator<Item = &mut Plane> + '_> {
        match self {
            Operation::Fourier { input, output, .. }
            | Operation::Direct { input, output, .. }
            | Operation::Winograd { input, output, .. }
            | Operation::Expanded { input, output, .. }
            | Operation::Depthwise { input, output, .. }
            | Operation::Planes { input, output, .. }
            | Operation::PixelShuffle { input, output, .. } => Box::new(input.iter_mut().chain(output)),
            Operation::Normal { input, .. } | Operation::Spread { input, .. } => Box::new(input.iter_mut()),
            Operation::Pointwise { planes, .. } => Box::new(planes.iter_mut()),
        }
    }

    /// Why its last run failed, of work that can.
    pub fn trouble(&self) -> Option<String> {
        match self {
            Operation::Planes { work, .. } => work.trouble(),
            _ => None,
        }
    }

    /// Multiply-adds of its direct form.
    pub fn macs(&self) -> usize {
        match self {
            Operation::Fourier { conv, .. } => conv.shape().direct_macs(),
            Operation::Direct { conv, .. } => conv.geometry().macs(),
            Operation::Winograd { conv, .. } => conv.geometry().macs(),
            Operation::Expanded { conv, .. } => conv.expand().geometry().macs() + conv.window().geometry().macs(),
            Operation::Depthwise { conv, .. } if *conv.window() != Window::Greatest => conv.geometry().macs(),
            Operation::Depthwise { .. }
            | Operation::Planes { .. }
            | Operation::Spread { .. }
            | Operation::PixelShuffle { .. }
            | Operation::Normal { .. }
            | Operation::Pointwise { .. } => 0,
        }
    }

    pub(super) fn scratch_floats(&self, threads: usize) -> usize {
        match self {
            Operation::Fourier { conv, .. } => conv.scratch_floats(threads),
            Operation::Direct { conv, .. } => conv.scratch_floats(threads).max(conv.quads_scratch_floats(threads)),
            Operation::Expanded { conv, .. } => conv.scratch_floats(threads),
            Operation::Winograd { conv, .. } => conv.scratch_floats(threads),
            Operation::Depthwise { conv, .. } => conv.scratch_floats(threads),
            Operation::Planes { .. } | Operation::Spread { .. } | Operation::PixelShuffle { .. } | Operation::Normal { .. } => 0,
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
            Operation::Expanded { conv, .. } => {
                let (e, g) = (conv.expand().geometry(), conv.window().geometry());
                write!(out, "convolution 1x1 of {} to {} channels and {}x{} on each by itself", e.cin, e.cout, g.kernel[0], g.kernel[1])
            }
            Operation::Winograd { conv, .. } => {
                let g = conv.geometry();
                write!(out, "convolution 3x3 of {} to {} channels by minimal filtering", g.cin, g.cout)
            }
            Operation::Depthwise { conv, .. } => {
                let g = conv.geometry();
                let what = if *conv.window() == Window::Greatest { "greatest of" } else { "convolution" };
                write!(out, "{what} {}x{} on {} channels, each by itself", g.kernel[0], g.kernel[1], g.cout)
            }
            Operation::Planes { work, input, output } => write!(out, "{}, {} planes to {}", work.describe(), input.len(), output.len()),
            Operation::Spread { input, .. } => write!(out, "{} numbers, one for each channel", input.len()),
            Operation::PixelShuffle { input, output, .. } => write!(out, "{} planes laid into {}", input.len(), output.len()),
            Operation::Normal { input, .. } => write!(out, "statistics of {} channels", input.len()),
            Operation::Pointwise { program, .. } => {
                write!(out, "{} fused element-wise operators on {} channels", program.instructions.len(), program.channels)
            }
        }
    }
}
