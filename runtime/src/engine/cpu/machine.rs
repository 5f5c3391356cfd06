//! Runs lowered graphs over one block of memory.

use super::conv_direct::ConvDirect;
use super::conv_fft::ConvFft;
use super::planes::{Arena, Shared, plane_stride};
use super::pointwise::{Normal, Program};
use super::pool::Pool;
use super::simd::Isa;
use crate::network::halting::Moments;

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
            Operation::Fourier { input, output, .. } | Operation::Direct { input, output, .. } => Box::new(input.iter().chain(output)),
            Operation::Normal { input, .. } => Box::new(input.iter()),
            Operation::Pointwise { planes, .. } => Box::new(planes.iter()),
        }
    }

    fn planes_mut(&mut self) -> Box<dyn Iterator<Item = &mut Plane> + '_> {
        match self {
            Operation::Fourier { input, output, .. } | Operation::Direct { input, output, .. } => Box::new(input.iter_mut().chain(output)),
            Operation::Normal { input, .. } => Box::new(input.iter_mut()),
            Operation::Pointwise { planes, .. } => Box::new(planes.iter_mut()),
        }
    }

    /// Multiply-adds of its direct form.
    pub fn macs(&self) -> usize {
        match self {
            Operation::Fourier { conv, .. } => conv.shape().direct_macs(),
            Operation::Direct { conv, .. } => conv.geometry().macs(),
            Operation::Normal { .. } | Operation::Pointwise { .. } => 0,
        }
    }

    fn scratch_floats(&self, threads: usize) -> usize {
        match self {
            Operation::Fourier { conv, .. } => conv.scratch_floats(threads),
            Operation::Direct { conv, .. } => conv.scratch_floats(threads),
            Operation::Normal { .. } => 0,
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
            Operation::Normal { input, .. } => write!(out, "statistics of {} channels", input.len()),
            Operation::Pointwise { program, .. } => {
                write!(out, "{} fused element-wise operators on {} channels", program.instructions.len(), program.channels)
            }
        }
    }
}

/// Where every buffer and table lies.
#[derive(Clone, Debug, Default)]
pub struct Layout {
    /// Channels and pixels of each buffer.
    pub buffers: Vec<(usize, usize)>,
    /// First float of each buffer.
    pub offsets: Vec<usize>,
    /// Floats in all.
    pub floats: usize,
    /// First entry of each table.
    pub tables: Vec<usize>,
    /// Entries in all, with their first values.
    pub entries: Vec<f32>,
    /// Buffers with first values.
    pub constants: Vec<(Buffer, Vec<f32>)>,
}

impl Layout {
    /// A new buffer, not placed yet.
    pub fn buffer(&mut self, channels: usize, pixels: usize) -> Buffer {
        self.buffers.push((channels, pixels));
        self.offsets.push(usize::MAX);
        Buffer(self.buffers.len() - 1)
    }

    /// A new buffer with a place of its own, for the life of the engine.
    pub fn lasting(&mut self, channels: usize, pixels: usize) -> Buffer {
        let buffer = self.buffer(channels, pixels);
        self.offsets[buffer.0] = self.floats;
        self.floats += self.size(buffer);
        buffer
    }

    /// Floats a buffer takes.
    pub fn size(&self, Buffer(at): Buffer) -> usize {
        let (channels, pixels) = self.buffers[at];
        channels * plane_stride(pixels)
    }

    /// A table with these first values.
    pub fn table(&mut self, values: &[f32]) -> Table {
        self.tables.push(self.entries.len());
        self.entries.extend_from_slice(values);
        Table(self.tables.len() - 1)
    }

    /// The buffers of one graph that have no place yet, with the first and the last operation that uses each.
    fn lives(&self, operations: &[Operation]) -> Vec<(usize, usize, Buffer)> {
        let mut lives: Vec<(usize, usize, Buffer)> = Vec::new();
        for (now, operation) in operations.iter().enumerate() {
            for plane in operation.planes().filter(|plane| self.offsets[plane.buffer.0] == usize::MAX) {
                match lives.iter_mut().find(|(_, _, buffer)| *buffer == plane.buffer) {
                    Some(life) => life.1 = now,
                    None => lives.push((now, now, plane.buffer)),
                }
            }
        }
        lives
    }

    /// Lets `idle`, a buffer that nobody needs while a graph runs, take the part of the longest-lived buffer of its shape that has no place yet.
    pub fn lend(&self, idle: Buffer, operations: &mut [Operation]) {
        if operations.iter().flat_map(Operation::planes).any(|plane| plane.buffer == idle) {
            return;
        }
        let fits = |(_, _, buffer): &(usize, usize, Buffer)| self.buffers[buffer.0] == self.buffers[idle.0];
        let Some((_, _, longest)) = self.lives(operations).into_iter().filter(fits).max_by_key(|(born, dies, _)| dies - born) else {
            return;
        };
        for plane in operations.iter_mut().flat_map(Operation::planes_mut).filter(|plane| plane.buffer == longest) {
            plane.buffer = idle;
        }
    }

    /// Places the buffers of one graph that have no place yet behind `base`, so that no two overlap that are in use at the same time;
    /// answers the end of what they take.
    pub fn place(&mut self, base: usize, operations: &[Operation]) -> usize {
        let lives = self.lives(operations);
        let mut placed: Vec<(usize, usize, usize, usize)> = Vec::new();
        let mut end = base;
        for (born, dies, buffer) in lives {
            let size = self.size(buffer);
            let mut at = base;
            // The lowest gap among those alive at the same time.
            let mut alive: Vec<_> =
                placed.iter().filter(|(b, d, _, _)| *b <= dies && born <= *d).map(|&(_, _, from, to)| (from, to)).collect();
            alive.sort_unstable();
            for (from, to) in alive {
                if at + size <= from {
                    break;
                }
                at = at.max(to);
            }
            self.offsets[buffer.0] = at;
            placed.push((born, dies, at, at + size));
            end = end.max(at + size);
        }
        end
    }
}

/// Memory, threads and working space for the graphs of one network.
pub struct Machine {
    isa: Isa,
    pool: Pool,
    layout: Layout,
    memory: Arena,
    scratch: Arena,
    partials: Vec<Moments>,
    planes: [Vec<Shared>; 2],
    tables: Vec<Shared>,
}

impl Machine {
    /// Room for everything the graphs need.
    pub fn new<'a>(isa: Isa, threads: usize, layout: Layout, operations: impl Iterator<Item = &'a Operation>) -> Machine {
        let pool = Pool::new(threads);
        let (mut scratch, mut partials, mut planes, mut tables) = (0, 0, 0, 0);
        for operation in operations {
            scratch = scratch.max(operation.scratch_floats(pool.threads()));
            planes = planes.max(operation.planes().count());
            if let Operation::Pointwise { program, tables: used, .. } = operation {
                partials = partials.max(program.partials());
                tables = tables.max(used.len());
            }
        }
        let mut memory = Arena::new(layout.floats);
        for (buffer, values) in &layout.constants {
            let (channels, pixels) = layout.buffers[buffer.0];
            for channel in 0..channels {
                let at = layout.offsets[buffer.0] + channel * plane_stride(pixels);
                memory.slice_mut(at, pixels).copy_from_slice(&values[channel * pixels..][..pixels]);
            }
        }
        Machine {
            isa,
            pool,
            layout,
            memory,
            scratch: Arena::new(scratch),
            partials: vec![Moments::default(); partials],
            planes: [Vec::with_capacity(planes), Vec::with_capacity(planes)],
            tables: Vec::with_capacity(tables),
        }
    }

    /// Runs a lowered graph; answers the distance it measured. Allocates nothing.
    pub fn run(&mut self, operations: &[Operation]) -> Moments {
        let mut moments = Moments::default();
        operations.iter().for_each(|operation| moments += self.one(operation));
        moments
    }

    /// Runs one operation.
    pub fn one(&mut self, operation: &Operation) -> Moments {
        let memory = self.memory.start();
        let entries = Shared(self.layout.entries.as_mut_ptr());
        let (offsets, sizes) = (&self.layout.offsets, &self.layout.buffers);
        let address = |plane: &Plane| Shared(memory.at(offsets[plane.buffer.0] + plane.channel * plane_stride(sizes[plane.buffer.0].1)));
        let [inputs, outputs] = &mut self.planes;
        inputs.clear();
        outputs.clear();
        match operation {
            Operation::Fourier { conv, input, output } => {
                inputs.extend(input.iter().map(address));
                outputs.extend(output.iter().map(address));
                // SAFETY: `Layout` placed buffers of these shapes, and apart from each other while both are in use.
                unsafe { conv.run(&mut self.pool, self.scratch.start(), inputs, outputs) };
            }
            Operation::Direct { conv, input, output } => {
                inputs.extend(input.iter().map(address));
                outputs.extend(output.iter().map(address));
                // SAFETY: as above; the arena has slack behind its last plane.
                unsafe { conv.run(&mut self.pool, self.scratch.start(), inputs, outputs) };
            }
            Operation::Normal { input, pixels, epsilon, gain, bias, scale, shift } => {
                inputs.extend(input.iter().map(address));
                let (inputs, isa) = (&*inputs, self.isa);
                let (scale, shift) = (self.layout.tables[scale.0], self.layout.tables[shift.0]);
                self.pool.run(inputs.len(), &|_, channel| {
                    // SAFETY: a plane of `pixels`; the entries of this channel are this item's alone.
                    unsafe {
                        let plane = std::slice::from_raw_parts(inputs[channel].0, *pixels);
                        let normal = Normal { plane, epsilon: *epsilon, gain: gain[channel], bias: bias[channel] };
                        (*entries.at(scale + channel), *entries.at(shift + channel)) = isa.run(normal);
                    }
                });
            }
            Operation::Pointwise { program, planes, tables, measures } => {
                inputs.extend(planes.iter().map(address));
                self.tables.clear();
                self.tables.extend(tables.iter().map(|table| Shared(entries.at(self.layout.tables[table.0]))));
                // SAFETY: as above, and tables hold one entry per channel.
                unsafe { program.run(self.isa, &mut self.pool, self.scratch.start(), inputs, &self.tables, &mut self.partials) };
                if *measures {
                    let mut sums = Moments::default();
                    // In the items' order, whoever computed them: the same sum every time.
                    self.partials[..program.partials()].iter().for_each(|part| sums += *part);
                    return sums;
                }
            }
        }
        Moments::default()
    }

    /// Exchanges what two buffers of one shape hold.
    pub fn swap(&mut self, a: Buffer, b: Buffer) {
        debug_assert_eq!(self.layout.buffers[a.0], self.layout.buffers[b.0]);
        self.layout.offsets.swap(a.0, b.0);
    }

    /// Fills a buffer from NCHW values.
    pub fn write(&mut self, buffer: Buffer, values: &[f32]) {
        let (_, pixels) = self.layout.buffers[buffer.0];
        for (channel, plane) in values.chunks_exact(pixels).enumerate() {
            self.memory.slice_mut(self.layout.offsets[buffer.0] + channel * plane_stride(pixels), pixels).copy_from_slice(plane);
        }
    }

    /// Copies a buffer out as NCHW values.
    pub fn read(&self, buffer: Buffer, values: &mut [f32]) {
        let (_, pixels) = self.layout.buffers[buffer.0];
        for (channel, plane) in values.chunks_exact_mut(pixels).enumerate() {
            plane.copy_from_slice(self.memory.slice(self.layout.offsets[buffer.0] + channel * plane_stride(pixels), pixels));
        }
    }

    /// Zeroes a buffer.
    pub fn clear(&mut self, buffer: Buffer) {
        let size = self.layout.size(buffer);
        self.memory.slice_mut(self.layout.offsets[buffer.0], size).fill(0.0);
    }

    /// The distance between two buffers of one shape.
    pub fn between(&self, before: Buffer, after: Buffer) -> Moments {
        let (channels, pixels) = self.layout.buffers[before.0];
        let mut sums = Moments::default();
        for channel in 0..channels {
            let plane = |buffer: Buffer| self.memory.slice(self.layout.offsets[buffer.0] + channel * plane_stride(pixels), pixels);
            sums += Moments::between(plane(before), plane(after));
        }
        sums
    }
}
