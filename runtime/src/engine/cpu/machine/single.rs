//! Operations and gates on single pixels of tensors whose channels lie together.

use super::{Buffer, Machine, Table};
use crate::engine::cpu::channels_last::{self, Limit, Lowered, Operands, Part, Passed, Segment};
use crate::engine::cpu::planes::{Arena, Shared, plane_stride};
use crate::engine::cpu::tiles::{Gate, Lists, Sums};

impl Machine {
    /// Computes the outputs of an operation that `lists` holds, as pixels, and as tiles where the operation works in tiles.
    pub fn single(&mut self, lowered: &Lowered, tables: &[Table], lists: &Lists) {
        let operands = [&lowered.input, &lowered.added, &lowered.output, &lowered.tensors];
        let memory = self.memory.start();
        for (segments, parts) in self.segments.iter_mut().zip(operands) {
            segments.clear();
            segments.extend(parts.iter().map(|part| segment(&self.layout, memory, *part)));
        }
        let entries = Shared(self.layout.entries.as_mut_ptr());
        self.tables.clear();
        self.tables.extend(tables.iter().map(|table| Shared(entries.at(self.layout.tables[table.0]))));
        let [input, added, output, tensors] = &self.segments;
        let operands = Operands { input, added, output, tensors, tables: &self.tables };
        // SAFETY: `Layout` placed buffers of these shapes, each in a place of its own; lists hold pixels of the output; there is room for what
        // was reserved.
        unsafe { lowered.run(&mut self.pool, self.scratch.start(), &operands, &lists.pixels, &lists.tiles) };
    }

    /// Hands those listed pixels on that moved; both tensors of the gate have their channels together. Answers sums over the listed pixels.
    pub fn gate_single(&mut self, gate: &mut Gate, lists: &Lists) -> Sums {
        let memory = self.memory.start();
        let [after, before] =
            [gate.from, gate.to].map(|buffer| segment(&self.layout, memory, Part { buffer, first: 0, count: gate.channels }));
        let ([high, wide], limit) = (gate.moved.size(), gate.limit());
        assert!(high * wide <= self.scores.len() && lists.pixels.len().div_ceil(64) <= self.sums.len(), "room for {high} by {wide}");
        let passed = Passed { scores: Shared(self.scores.as_mut_ptr()), sums: self.sums.as_mut_ptr() };
        let rule = Limit { limit: (gate.threshold > 0.0).then_some(limit), commits: gate.commits };
        // SAFETY: tensors of one shape; room was made for scores and sums, checked above.
        let total = unsafe { channels_last::pass(self.isa, &mut self.pool, after, before, rule, wide, &lists.pixels, passed) };
        gate.moved.clear();
        gate.spread.clear();
        gate.judge_listed(&lists.pixels, &self.scores, limit);
        self.follow(gate, &total);
        total
    }

    /// Whether a buffer's channels lie together.
    pub fn lies_together(&self, buffer: Buffer) -> bool {
        self.layout.pitches[buffer.0] > 0
    }

    /// Copies a tensor to one of the same shape, in whatever order each is.
    pub fn convert(&mut self, from: Buffer, to: Buffer) {
        let (channels, pixels) = self.layout.buffers[from.0];
        assert_eq!((channels, pixels), self.layout.buffers[to.0], "tensors of one shape");
        for channel in 0..channels {
            for pixel in 0..pixels {
                let value = self.memory.slice(self.layout.place(from, channel, pixel), 1)[0];
                self.memory.slice_mut(self.layout.place(to, channel, pixel), 1)[0] = value;
            }
        }
    }

    /// Makes room for an operation.
    pub fn reserve_single(&mut self, lowered: &Lowered, tables: usize) {
        let floats = lowered.scratch_floats(self.pool.threads());
        if floats > self.scratch_floats {
            (self.scratch, self.scratch_floats) = (Arena::new(floats), floats);
        }
        let room = lowered.segments();
        self.segments.iter_mut().for_each(|segments| segments.reserve(room));
        self.tables.reserve(tables);
    }
}

fn segment(layout: &super::Layout, memory: Shared, part: Part) -> Segment {
    let Part { buffer, first, count } = part;
    let ((channels, pixels), pitch) = (layout.buffers[buffer.0], layout.pitches[buffer.0]);
    let (channel, pixel) = if pitch > 0 { (1, pitch) } else { (plane_stride(pixels), 1) };
    Segment { base: Shared(memory.at(layout.place(buffer, first, 0))), channel, pixel, count, whole: first == 0 && count == channels }
}
