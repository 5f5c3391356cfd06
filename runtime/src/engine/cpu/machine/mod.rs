//! Runs lowered graphs over one block of memory.

mod layout;
mod operation;
mod single;
mod tiled;

use super::channels_last::Segment;
use super::planes::{Arena, Shared, plane_stride};
use super::pool::Pool;
use super::simd::Isa;
use super::statistics::Normal;
use super::tiles::Sums;
use crate::network::halting::Moments;
pub use layout::Layout;
pub use operation::{Buffer, Operation, Plane, PlaneWork, Table, View};

/// Rows of a shuffle that are one work item.
const SHUFFLED: usize = 32;

/// Memory, threads and working space for the graphs of one network.
pub struct Machine {
    isa: Isa,
    pool: Pool,
    layout: Layout,
    memory: Arena,
    scratch: Arena,
    scratch_floats: usize,
    partials: Vec<Moments>,
    planes: [Vec<Shared>; 2],
    tables: Vec<Shared>,
    /// What each pixel moved by, and sums for each rectangle, while a gate runs.
    scores: Vec<f32>,
    sums: Vec<Sums>,
    /// Operands of an operation on single pixels: inputs, what is added, outputs, a chain's tensors.
    segments: [Vec<Segment>; 4],
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
            for (at, &value) in values.iter().enumerate() {
                let pixels = layout.buffers[buffer.0].1;
                memory.slice_mut(layout.place(*buffer, at / pixels, at % pixels), 1)[0] = value;
            }
        }
        Machine {
            isa,
            pool,
            layout,
            memory,
            scratch: Arena::new(scratch),
            scratch_floats: scratch,
            partials: vec![Moments::default(); partials],
            planes: [Vec::with_capacity(planes), Vec::with_capacity(planes)],
            tables: Vec::with_capacity(tables),
            scores: Vec::new(),
            sums: Vec::new(),
            segments: [const { Vec::new() }; 4],
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
            Operation::Winograd { conv, input, output } => {
                inputs.extend(input.iter().map(address));
                outputs.extend(output.iter().map(address));
                // SAFETY: as above.
                unsafe { conv.run(&mut self.pool, self.scratch.start(), inputs, outputs) };
            }
            Operation::Expanded { conv, input, output } => {
                inputs.extend(input.iter().map(address));
                outputs.extend(output.iter().map(address));
                // SAFETY: as above.
                unsafe { conv.run(&mut self.pool, self.scratch.start(), inputs, outputs) };
            }
            Operation::Depthwise { conv, input, output } => {
                inputs.extend(input.iter().map(address));
                outputs.extend(output.iter().map(address));
                // SAFETY: as above.
                unsafe { conv.run(&mut self.pool, self.scratch.start(), inputs, outputs) };
            }
            Operation::Planes { work, input, output } => {
                inputs.extend(input.iter().map(address));
                outputs.extend(output.iter().map(address));
                // SAFETY: as above.
                unsafe { work.run(self.isa, &mut self.pool, self.scratch.start(), inputs, outputs) };
            }
            Operation::Spread { input, table } => {
                let table = self.layout.tables[table.0];
                for (channel, plane) in input.iter().enumerate() {
                    // SAFETY: a plane of one pixel, and an entry for each channel.
                    unsafe { *entries.at(table + channel) = *address(plane).0 };
                }
            }
            Operation::PixelShuffle { shuffle, input, output } => {
                inputs.extend(input.iter().map(address));
                outputs.extend(output.iter().map(address));
                let (inputs, outputs, each) = (&*inputs, &*outputs, input.len() / output.len());
                let parts = shuffle.output[0].div_ceil(SHUFFLED);
                self.pool.run(outputs.len() * parts, &|_, item| {
                    let (channel, first) = (item / parts, item % parts * SHUFFLED);
                    for y in first..shuffle.output[0].min(first + SHUFFLED) {
                        // SAFETY: the lowering made planes of these shapes; the rows of this channel's part are this item's alone.
                        unsafe { shuffle.row(y, &inputs[channel * each..][..each], outputs[channel]) };
                    }
                });
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
        let together = self.layout.pitches[buffer.0] > 0;
        for (channel, plane) in values.chunks_exact(pixels).enumerate() {
            if together {
                for (pixel, &value) in plane.iter().enumerate() {
                    self.memory.slice_mut(self.layout.place(buffer, channel, pixel), 1)[0] = value;
                }
            } else {
                self.memory.slice_mut(self.layout.place(buffer, channel, 0), pixels).copy_from_slice(plane);
            }
        }
    }

    /// Copies a buffer out as NCHW values.
    pub fn read(&self, buffer: Buffer, values: &mut [f32]) {
        let (_, pixels) = self.layout.buffers[buffer.0];
        let together = self.layout.pitches[buffer.0] > 0;
        for (channel, plane) in values.chunks_exact_mut(pixels).enumerate() {
            if together {
                for (pixel, value) in plane.iter_mut().enumerate() {
                    *value = self.memory.slice(self.layout.place(buffer, channel, pixel), 1)[0];
                }
            } else {
                plane.copy_from_slice(self.memory.slice(self.layout.place(buffer, channel, 0), pixels));
            }
        }
    }

    /// Numbers that a buffer holds.
    pub fn numbers(&self, buffer: Buffer) -> usize {
        let (channels, pixels) = self.layout.buffers[buffer.0];
        channels * pixels
    }

    /// Zeroes a buffer.
    pub fn clear(&mut self, buffer: Buffer) {
        let size = self.layout.size(buffer);
        self.memory.slice_mut(self.layout.offsets[buffer.0], size).fill(0.0);
    }

    /// The distance between two buffers of one shape and order.
    pub fn between(&self, before: Buffer, after: Buffer) -> Moments {
        let (channels, pixels) = self.layout.buffers[before.0];
        let mut sums = Moments::default();
        let mut add = |channel: usize, pixel: usize, count: usize| {
            let run = |buffer: Buffer| self.memory.slice(self.layout.place(buffer, channel, pixel), count);
            sums += Moments::between(run(before), run(after));
        };
        if self.layout.pitches[before.0] > 0 {
            (0..pixels).for_each(|pixel| add(0, pixel, channels));
        } else {
            (0..channels).for_each(|channel| add(channel, 0, pixels));
        }
        sums
    }
}
