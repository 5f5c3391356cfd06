//! Operations on single pixels of tensors in channels-last order: what the tiled engine runs where only a few pixels have moved.
//!
//! In planes (NCHW) a pixel's channels lie far apart: few pixels of many channels mean short loops, partial vectors and a cache line for every
//! number. Here a pixel's channels are one run of memory (NHWC, padded to whole vectors), vectors run over channels, and any list of pixels
//! costs what its pixels cost. Every sum is taken in the order of the planar kernels, so a pixel has the same bits as there.
//!
//! Operations read and write both orders through [`Segment`]s, so that inputs, answers and operations without a form of their own stay planar.

mod chain;
mod gate;
mod matrix;
mod minimal;
mod planes;
mod product;
mod window;

pub use chain::Chain;
pub use gate::{Limit, Passed, pass};
pub use matrix::Matrix;
pub use minimal::Minimal;
pub use planes::{RowWork, Rows};
pub use window::Windows;

use super::machine::{Buffer, Operation, Plane};
use super::planes::Shared;
use super::pool::Pool;
use super::simd::{Isa, MAX_LANES};

/// A pixel of an operation's output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pixel {
    /// Its row.
    pub row: u16,
    /// Its column.
    pub column: u16,
}

impl Pixel {
    /// Its flat index in planes of so many columns.
    #[inline(always)]
    pub fn flat(self, wide: usize) -> usize {
        usize::from(self.row) * wide + usize::from(self.column)
    }
}

/// Floats from one pixel to the next of a tensor in this order.
pub fn pitch(channels: usize) -> usize {
    channels.next_multiple_of(MAX_LANES)
}

/// Neighbouring channels of one tensor, in either order.
#[derive(Clone, Copy, Debug)]
pub struct Segment {
    /// The first channel of the first pixel.
    pub base: Shared,
    /// Floats from one channel to the next.
    pub channel: usize,
    /// Floats from one pixel to the next.
    pub pixel: usize,
    /// Channels.
    pub count: usize,
    /// They are all of their tensor's.
    pub whole: bool,
}

impl Segment {
    /// Whether a pixel's channels are one run.
    #[inline(always)]
    pub fn last(&self) -> bool {
        self.channel == 1
    }

    /// The first channel of a pixel.
    #[inline(always)]
    pub fn at(&self, pixel: usize) -> *mut f32 {
        self.base.at(pixel * self.pixel)
    }

    /// Copies a pixel's channels to a run.
    ///
    /// # Safety
    /// The pixel lies in the tensor, `to` has room for the channels, `step` floats apart.
    #[inline(always)]
    unsafe fn take(&self, pixel: usize, to: *mut f32, step: usize) {
        let from = self.at(pixel);
        // SAFETY: the caller's promise.
        unsafe {
            if self.last() && step == 1 {
                std::ptr::copy_nonoverlapping(from, to, self.count);
            } else {
                for channel in 0..self.count {
                    *to.add(channel * step) = *from.add(channel * self.channel);
                }
            }
        }
    }

    /// Copies a run to a pixel's channels.
    ///
    /// # Safety
    /// As for [`Segment::take`].
    #[inline(always)]
    unsafe fn put(&self, pixel: usize, from: *const f32) {
        let to = self.at(pixel);
        // SAFETY: the caller's promise.
        unsafe {
            if self.last() {
                std::ptr::copy_nonoverlapping(from, to, self.count);
            } else {
                for channel in 0..self.count {
                    *to.add(channel * self.channel) = *from.add(channel);
                }
            }
        }
    }
}

/// Channels `first..first + count` of a buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Part {
    /// The tensor.
    pub buffer: Buffer,
    /// Its first channel.
    pub first: usize,
    /// How many.
    pub count: usize,
}

/// A list of planes as runs of channels.
pub fn parts(view: &[Plane]) -> Vec<Part> {
    let mut parts: Vec<Part> = Vec::new();
    for plane in view {
        match parts.last_mut() {
            Some(part) if part.buffer == plane.buffer && part.first + part.count == plane.channel => part.count += 1,
            _ => parts.push(Part { buffer: plane.buffer, first: plane.channel, count: 1 }),
        }
    }
    parts
}

/// An operation in this form.
pub enum Work {
    /// A convolution in its direct form.
    Matrix(Matrix),
    /// A window over each channel.
    Windows(Windows),
    /// A 3x3 convolution by minimal filtering.
    Minimal(Minimal),
    /// Element-wise operators.
    Chain(Chain),
    /// Pixels taken from other pixels, or folded over their channels.
    Rows(Rows),
}

/// Operands of a run, each a list of segments.
pub struct Operands<'a> {
    /// What is read.
    pub input: &'a [Segment],
    /// What is added, of convolutions that add.
    pub added: &'a [Segment],
    /// What is written.
    pub output: &'a [Segment],
    /// A chain's tensors, in its order.
    pub tensors: &'a [Segment],
    /// A chain's tables: one number per channel.
    pub tables: &'a [Shared],
}

/// An operation in this form and its operands, each a list of runs of channels.
pub struct Lowered {
    /// What is done.
    pub work: Work,
    /// What is read.
    pub input: Vec<Part>,
    /// What is added.
    pub added: Vec<Part>,
    /// What is written.
    pub output: Vec<Part>,
    /// A chain's tensors.
    pub tensors: Vec<Part>,
}

/// Whether an operation has this form, and which of its operands may be planar: inputs, outputs.
pub fn takes(operation: &Operation) -> Option<[bool; 2]> {
    match operation {
        Operation::Direct { conv, .. } => (conv.geometry().groups == 1).then_some([true, true]),
        Operation::Winograd { .. } => Some([true, true]),
        Operation::Depthwise { conv, input, output } => {
            let whole = |view: &[Plane]| parts(view).len() == 1 && view[0].channel == 0;
            (whole(input) && whole(output) && Windows::fits(conv)).then_some([false, false])
        }
        Operation::Planes { work, .. } => work.rows().map(|_| [true, true]),
        Operation::Pointwise { program, planes, .. } => Chain::fits(program, planes).then_some([false, false]),
        _ => None,
    }
}

impl Lowered {
    /// From an operation that [`takes`] says has this form, and whose outputs have `wide` columns.
    pub fn new(operation: &Operation, isa: Isa, wide: usize) -> Lowered {
        let nothing = Vec::new;
        match operation {
            Operation::Direct { conv, input, output } => {
                let (read, added) = input.split_at(conv.geometry().cin);
                let work = Work::Matrix(Matrix::new(conv, isa));
                Lowered { work, input: parts(read), added: parts(added), output: parts(output), tensors: nothing() }
            }
            Operation::Winograd { conv, input, output } => {
                let work = Work::Minimal(Minimal::new(conv, isa));
                Lowered { work, input: parts(input), added: nothing(), output: parts(output), tensors: nothing() }
            }
            Operation::Depthwise { conv, input, output } => {
                let work = Work::Windows(Windows::new(conv, isa));
                Lowered { work, input: parts(input), added: nothing(), output: parts(output), tensors: nothing() }
            }
            Operation::Planes { work, input, output } => {
                let work = Work::Rows(Rows::new(work.rows().expect("asked before"), isa, wide));
                Lowered { work, input: parts(input), added: nothing(), output: parts(output), tensors: nothing() }
            }
            Operation::Pointwise { program, planes, .. } => {
                let (chain, tensors) = Chain::new(program, planes, isa, wide);
                Lowered { work: Work::Chain(chain), input: nothing(), added: nothing(), output: nothing(), tensors }
            }
            other => unreachable!("{other} has no channels-last form"),
        }
    }

    /// Every operand, for room.
    pub fn segments(&self) -> usize {
        self.input.len() + self.added.len() + self.output.len() + self.tensors.len()
    }

    /// Floats of working space that it needs with so many threads.
    pub fn scratch_floats(&self, threads: usize) -> usize {
        match &self.work {
            Work::Matrix(matrix) => matrix.scratch_floats(threads),
            Work::Minimal(minimal) => minimal.scratch_floats(threads),
            Work::Chain(chain) => chain.scratch_floats(threads),
            Work::Windows(_) | Work::Rows(_) => 0,
        }
    }

    /// Computes the listed pixels; for minimal filtering, the listed tiles.
    ///
    /// # Safety
    /// Operands are as they were lowered, outputs overlap nothing that is read, pixels and tiles lie in the output, and `scratch` points to
    /// [`Lowered::scratch_floats`] for this pool.
    pub unsafe fn run(&self, pool: &mut Pool, scratch: Shared, operands: &Operands, pixels: &[Pixel], tiles: &[u32]) {
        // SAFETY: the caller's promise.
        unsafe {
            match &self.work {
                Work::Matrix(matrix) => matrix.run(pool, scratch, operands, pixels),
                Work::Windows(windows) => windows.run(pool, operands, pixels),
                Work::Minimal(minimal) => minimal.run(pool, scratch, operands, tiles),
                Work::Chain(chain) => chain.run(pool, scratch, operands, pixels),
                Work::Rows(rows) => rows.run(pool, operands, pixels),
            }
        }
    }
}

/// Which buffers of some operations have their channels together: all that none of the operations needs in planes. Those of `planar` stay, and
/// of each of `pairs` either both or none.
pub fn choose(operations: &[&Operation], buffers: usize, planar: &[Buffer], pairs: &[(Buffer, Buffer)]) -> Vec<bool> {
    let mut together = vec![false; buffers];
    operations.iter().flat_map(|operation| operation.planes()).for_each(|plane| together[plane.buffer.0] = true);
    planar.iter().for_each(|buffer| together[buffer.0] = false);
    loop {
        let before = together.clone();
        for &(a, b) in pairs {
            let both = together[a.0] && together[b.0];
            (together[a.0], together[b.0]) = (both, both);
        }
        for operation in operations {
            if !lowers(operation, |buffer| together[buffer.0]) {
                operation.planes().for_each(|plane| together[plane.buffer.0] = false);
            }
        }
        if together == before {
            return together;
        }
    }
}

/// Whether an operation can be done in this form, given which buffers have their channels together.
pub fn lowers(operation: &Operation, together: impl Fn(Buffer) -> bool) -> bool {
    match takes(operation) {
        Some([true, true]) => true,
        Some(_) => operation.planes().all(|plane| together(plane.buffer)),
        None => false,
    }
}
