//! Where buffers and tables lie.

use super::{Buffer, Operation, Table};
use crate::engine::cpu::channels_last::pitch;
use crate::engine::cpu::planes::plane_stride;

/// Where every buffer and table lies.
#[derive(Clone, Debug, Default)]
pub struct Layout {
    /// Channels and pixels of each buffer.
    pub buffers: Vec<(usize, usize)>,
    /// First float of each buffer.
    pub offsets: Vec<usize>,
    /// Floats from one pixel to the next of each buffer whose channels lie together; 0 of those in planes.
    pub pitches: Vec<usize>,
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
        self.pitches.push(0);
        Buffer(self.buffers.len() - 1)
    }

    /// A new buffer with a place of its own, for the life of the engine.
    pub fn lasting(&mut self, channels: usize, pixels: usize) -> Buffer {
        let buffer = self.buffer(channels, pixels);
        self.offsets[buffer.0] = self.floats;
        self.floats += self.size(buffer);
        buffer
    }

    /// Gives every buffer of an operation that has no place yet one of its own.
    pub fn settle(&mut self, operation: &Operation) {
        operation.planes().for_each(|plane| self.settle_buffer(plane.buffer));
    }

    /// Floats a buffer takes.
    pub fn size(&self, Buffer(at): Buffer) -> usize {
        let (channels, pixels) = self.buffers[at];
        if self.pitches[at] > 0 { pixels * self.pitches[at] } else { channels * plane_stride(pixels) }
    }

    /// Lays the channels of each of a buffer's pixels together; it loses its place, and what it held.
    pub fn lay_together(&mut self, Buffer(at): Buffer) {
        self.pitches[at] = pitch(self.buffers[at].0);
        self.offsets[at] = usize::MAX;
    }

    /// Gives a buffer that has no place yet one of its own.
    pub fn settle_buffer(&mut self, buffer: Buffer) {
        if self.offsets[buffer.0] == usize::MAX {
            self.offsets[buffer.0] = self.floats;
            self.floats += self.size(buffer);
        }
    }

    /// A channel of a pixel of a buffer.
    pub fn place(&self, buffer: Buffer, channel: usize, pixel: usize) -> usize {
        let (at, pitch) = (buffer.0, self.pitches[buffer.0]);
        let inside = if pitch > 0 { pixel * pitch + channel } else { channel * plane_stride(self.buffers[at].1) + pixel };
        self.offsets[at] + inside
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
                    Some(lifecycle) => lifecycle.1 = now,
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
    pub fn place_all(&mut self, base: usize, operations: &[Operation]) -> usize {
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
