//! Operations on a part of their outputs, and gates.

use super::{Buffer, Machine, Operation, Plane};
use crate::engine::cpu::planes::{Shared, plane_stride};
use crate::engine::cpu::tiles::{Gate, Lists, Region, Sums};

/// Passes through a gate after which its tensor is measured as a whole.
const MEASURED_AGAIN: u32 = 64;

impl Machine {
    /// Computes again those outputs of an operation that lie in `region`, whose rectangles `lists` holds. All of its outputs have been computed
    /// before. `wide` are the output's columns.
    pub fn part(&mut self, operation: &Operation, region: &Region, lists: &mut Lists) {
        let memory = self.memory.start();
        let entries = Shared(self.layout.entries.as_mut_ptr());
        let (offsets, sizes) = (&self.layout.offsets, &self.layout.buffers);
        let address = |plane: &Plane| Shared(memory.at(offsets[plane.buffer.0] + plane.channel * plane_stride(sizes[plane.buffer.0].1)));
        let [inputs, outputs] = &mut self.planes;
        let (pool, scratch, isa, wide) = (&mut self.pool, self.scratch.start(), self.isa, region.size()[1]);
        inputs.clear();
        outputs.clear();
        match operation {
            Operation::Fourier { input, output, .. }
            | Operation::Direct { input, output, .. }
            | Operation::Winograd { input, output, .. }
            | Operation::Depthwise { input, output, .. }
            | Operation::Planes { input, output, .. }
            | Operation::PixelShuffle { input, output, .. } => {
                inputs.extend(input.iter().map(address));
                outputs.extend(output.iter().map(address));
            }
            Operation::Pointwise { planes, .. } => inputs.extend(planes.iter().map(address)),
            Operation::Expanded { .. } | Operation::Spread { .. } | Operation::Normal { .. } => {
                unreachable!("{operation} is not done in parts")
            }
        }
        let (inputs, outputs) = (&*inputs, &*outputs);
        match operation {
            Operation::Fourier { conv, .. } => {
                lists.set_tiles(region, conv.tiling().tiles, conv.tiling().valid);
                // SAFETY: as for the whole operation, here and below; the region lies in its outputs.
                unsafe { conv.run_tiles(pool, scratch, inputs, outputs, &lists.tiles) };
            }
            Operation::Winograd { conv, .. } => {
                let (grid, valid) = conv.grid();
                lists.set_tiles(region, grid, valid);
                // SAFETY: as above.
                unsafe { conv.run_tiles(pool, scratch, inputs, outputs, &lists.tiles) };
            }
            Operation::Direct { conv, .. } => {
                lists.set_quads();
                // SAFETY: as above.
                unsafe { conv.run_quads(pool, scratch, inputs, outputs, &lists.quads) };
            }
            Operation::Depthwise { conv, .. } => {
                // SAFETY: as above.
                unsafe { conv.run_rects(pool, scratch, inputs, outputs, &lists.rects) };
            }
            Operation::Planes { work, .. } => {
                lists.set_runs(wide);
                // SAFETY: as above.
                unsafe { work.run_rects(isa, pool, inputs, outputs, &lists.part()) };
            }
            Operation::PixelShuffle { shuffle, input, output } => {
                let each = input.len() / output.len();
                pool.run(outputs.len(), &|_, channel| {
                    for rect in &lists.rects {
                        for y in rect.top..rect.bottom {
                            let planes = &inputs[channel * each..][..each];
                            // SAFETY: as above; the channel is this item's alone.
                            unsafe { shuffle.part(y, rect.left..rect.right, planes, outputs[channel]) };
                        }
                    }
                });
            }
            Operation::Pointwise { program, tables, .. } => {
                lists.set_runs(wide);
                self.tables.clear();
                self.tables.extend(tables.iter().map(|table| Shared(entries.at(self.layout.tables[table.0]))));
                // SAFETY: as above; a program that writes what it reads is not run in parts.
                unsafe { program.run_runs(isa, pool, scratch, inputs, &self.tables, &lists.runs) };
            }
            Operation::Expanded { .. } | Operation::Spread { .. } | Operation::Normal { .. } => unreachable!("refused above"),
        }
    }

    /// Hands those pixels of `dirty` on that moved; `lists` holds its rectangles. Answers sums over them.
    pub fn gate(&mut self, gate: &mut Gate, dirty: &Region, lists: &Lists) -> Sums {
        let memory = self.memory.start();
        let (offsets, sizes) = (&self.layout.offsets, &self.layout.buffers);
        let [before, after] = &mut self.planes;
        let planes = |buffer: Buffer| {
            let stride = plane_stride(sizes[buffer.0].1);
            (0..gate.channels).map(move |channel| Shared(memory.at(offsets[buffer.0] + channel * stride)))
        };
        before.clear();
        after.clear();
        before.extend(planes(gate.to));
        after.extend(planes(gate.from));
        let (before, after) = (&*before, &*after);
        let wide = dirty.size()[1];
        let squares = gate.threshold > 0.0;
        let (scores, sums) = (Shared(self.scores.as_mut_ptr()), SharedSums(self.sums.as_mut_ptr()));
        assert!(lists.rects.len() <= self.sums.len() && dirty.size()[0] * wide <= self.scores.len(), "room for {:?}", dirty.size());
        let isa = self.isa;
        self.pool.run(lists.rects.len(), &|_, item| {
            let rect = lists.rects[item];
            let mut total = Sums::default();
            for y in rect.top..rect.bottom {
                let (first, count) = (y * wide + rect.left, rect.right - rect.left);
                total += isa.run(crate::engine::cpu::tiles::GateRow { before, after, first, count, to: scores.at(first), squares });
            }
            // SAFETY: one entry for each item, checked above.
            unsafe { *sums.at(item) = total };
        });
        let mut total = Sums::default();
        self.sums[..lists.rects.len()].iter().for_each(|sums| total += *sums);
        gate.moved.clear();
        gate.spread.clear();
        let limit = gate.limit();
        for rect in &lists.rects {
            for y in rect.top..rect.bottom {
                for x in rect.left..rect.right {
                    let score = self.scores[y * wide + x];
                    // Rectangles hold clean pixels too: what they moved by is what they were not let through with before.
                    gate.judge(y, x, if squares { score.sqrt() } else { score }, limit);
                }
            }
        }
        let (moved, commits) = (&gate.moved, gate.commits);
        self.pool.run(gate.channels, &|_, channel| {
            for rect in &lists.rects {
                for y in rect.top..rect.bottom {
                    let copy = |left: usize, right: usize| {
                        let at = y * wide + left;
                        // SAFETY: pixels of both planes; the channel is this item's alone.
                        unsafe { std::ptr::copy_nonoverlapping(after[channel].at(at), before[channel].at(at), right - left) };
                    };
                    if commits {
                        copy(rect.left, rect.right);
                    } else {
                        moved.runs_between(y, rect.left, rect.right, copy);
                    }
                }
            }
        });
        self.follow(gate, &total);
        total
    }

    /// Keeps a gate's measures up with what it handed on.
    pub(super) fn follow(&mut self, gate: &mut Gate, total: &Sums) {
        if gate.commits {
            gate.energy += total.more_sq;
            gate.sum += total.more_abs;
        }
        // Sums that are carried on drift, and what was not handed on is not in them: each gate is measured anew now and then, in turn.
        gate.passes = gate.passes.wrapping_add(1);
        if gate.passes.is_multiple_of(MEASURED_AGAIN) {
            let moments = self.between(gate.to, gate.to);
            (gate.energy, gate.sum) = (moments.after_sq, moments.after_abs);
        }
    }

    /// Hands everything on, and measures the tensor.
    pub fn open(&mut self, gate: &mut Gate) -> Sums {
        let moments = self.between(gate.to, gate.from);
        let size = self.layout.size(gate.from);
        self.memory.copy(self.layout.offsets[gate.from.0], self.layout.offsets[gate.to.0], size);
        (gate.energy, gate.sum) = (moments.after_sq, moments.after_abs);
        gate.opened();
        Sums { diff_sq: moments.diff_sq, diff_abs: moments.diff_abs, ..Sums::default() }
    }

    /// Copies a part of planes of `wide` columns into a buffer.
    pub fn write_rects(&mut self, buffer: Buffer, values: &[f32], rects: &[crate::engine::cpu::tiles::Rect], wide: usize) {
        let (_, pixels) = self.layout.buffers[buffer.0];
        for (channel, plane) in values.chunks_exact(pixels).enumerate() {
            let to = self.memory.slice_mut(self.layout.offsets[buffer.0] + channel * plane_stride(pixels), pixels);
            for rect in rects {
                for y in rect.top..rect.bottom {
                    let row = y * wide + rect.left..y * wide + rect.right;
                    to[row.clone()].copy_from_slice(&plane[row]);
                }
            }
        }
    }

    /// A channel plane of a buffer.
    pub fn plane(&self, buffer: Buffer, channel: usize) -> Vec<f32> {
        let pixels = 0..self.layout.buffers[buffer.0].1;
        pixels.map(|pixel| self.memory.slice(self.layout.place(buffer, channel, pixel), 1)[0]).collect()
    }

    /// Makes room for gates of planes of so many pixels that come in so many rectangles.
    pub fn reserve_gates(&mut self, pixels: usize, rects: usize) {
        self.scores.resize(self.scores.len().max(pixels), 0.0);
        self.sums.resize(self.sums.len().max(rects), Sums::default());
    }
}

#[derive(Clone, Copy)]
struct SharedSums(*mut Sums);

// SAFETY: only an address; each work item writes its own entry.
unsafe impl Sync for SharedSums {}

impl SharedSums {
    fn at(&self, item: usize) -> *mut Sums {
        self.0.wrapping_add(item)
    }
}
