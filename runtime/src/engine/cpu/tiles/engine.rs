//! The three graphs of a network, run only where something moved.

use super::gate::{Gate, Sums};
use super::lists::Lists;
use super::program::{Changes, Program, Sizes, pass};
use super::region::Region;
use super::settings::Settings;
use super::switch::{Look, Switch};
use crate::acceptance::{Acceptance, TILE};
use crate::engine::cpu::channels_last;
use crate::engine::cpu::machine::{Buffer, Layout, Machine, Operation};
use crate::engine::cpu::simd::Isa;
use crate::network::halting::{HaltingRule, Metric, Moments};
use crate::outcome::TileMap;

/// What the graphs stand between.
pub struct Ends {
    /// The encoder's input, with rows and columns.
    pub frame: (Buffer, [usize; 2]),
    /// The drive as it is read and as it is made, its channels, rows and columns.
    pub drive: Between,
    /// The same for each state.
    pub states: Vec<Between>,
    /// What the readout makes.
    pub answers: Vec<Buffer>,
}

/// A tensor as it is read and as it is made, its channels, rows and columns.
pub type Between = (Buffer, Buffer, usize, [usize; 2]);

/// A network's graphs and what has moved in its tensors.
pub struct Tiled {
    acceptance: Acceptance,
    encoder: Program,
    step: Option<Program>,
    readout: Program,
    /// What has moved since the graph that reads it has run.
    changes: Changes,
    lists: Lists,
    frame: Buffer,
    drive: Gate,
    states: Vec<Gate>,
    /// Where the dense run has the drive and each state, and where they are here.
    homes: Vec<(Buffer, Buffer)>,
    /// What has moved in the drive and in each state since the readout ran.
    unread: Vec<(Buffer, Region, Region)>,
    switch: Option<Switch>,
    /// See [`Settings`].
    threshold: Option<f32>,
    cut: Option<f32>,
    surprise: Option<f32>,
    /// Pixels of the first state, or without a step of the drive, that were computed in this frame.
    computed: Region,
    /// Which graphs' tensors do not hold what belongs to their inputs: encoder, step, readout.
    stale: [bool; 3],
    /// This frame is run densely.
    dense: bool,
    /// Share of the picture that was accepted, and the share that changed: less where a frame by tiles follows a dense one.
    share: f32,
    changed: f32,
    /// Share of the encoder's work, and that of each step summed up.
    encoded: f64,
    stepped: f64,
}

impl Tiled {
    /// From each graph's operations, lowered to buffers of their own but for those of `ends`.
    ///
    /// # Errors
    /// The operation that is not local, with its graph.
    pub fn new(
        settings: Settings,
        ends: Ends,
        graphs: (Vec<Operation>, Option<Vec<Operation>>, Vec<Operation>),
        layout: &mut Layout,
        levels: &[f32],
        isa: Isa,
    ) -> Result<Tiled, String> {
        let (encoder, step, readout) = graphs;
        let mut encoder = Program::apart(encoder, layout);
        let mut step = step.map(|step| Program::apart(step, layout));
        let mut readout = Program::apart(readout, layout);
        // Drive and states have homes of their own here, as they may lie in another order than those of the dense run.
        let mut homes = Vec::new();
        let mut at_home = |&(now, next, channels, size): &Between| {
            let [home, made] = [(); 2].map(|()| layout.buffer(channels, size[0] * size[1]));
            homes.push((now, home));
            for plane in
                [Some(&mut encoder), step.as_mut(), Some(&mut readout)].into_iter().flatten().flatten().flat_map(Operation::planes_mut)
            {
                plane.buffer = if plane.buffer == now {
                    home
                } else if plane.buffer == next {
                    made
                } else {
                    plane.buffer
                };
            }
            (home, made, channels, size)
        };
        let drive = at_home(&ends.drive);
        let states: Vec<Between> = ends.states.iter().map(at_home).collect();
        let frame = ends.frame;
        let pairs: Vec<(Buffer, Buffer)> = states.iter().chain([&drive]).map(|&(now, next, ..)| (now, next)).collect();
        let planar: Vec<Buffer> = std::iter::once(frame.0).chain(ends.answers).collect();
        let all: Vec<&Operation> = encoder.iter().chain(step.iter().flatten()).chain(&readout).collect();
        let together = channels_last::choose(&all, layout.buffers.len(), &planar, &pairs);
        (0..together.len()).filter(|at| together[*at]).for_each(|at| layout.lay_together(Buffer(at)));
        pairs.iter().for_each(|&(now, next)| [now, next].into_iter().for_each(|buffer| layout.settle_buffer(buffer)));
        let mut sizes: Sizes = vec![None; layout.buffers.len()];
        sizes[frame.0.0] = Some(frame.1);
        let mut bound = vec![drive.0, drive.1];
        for &(now, next, _, size) in states.iter().chain([&drive]) {
            (sizes[now.0], sizes[next.0]) = (Some(size), Some(size));
            bound.extend([now, next]);
        }
        let named = |file: &str, reason: String| format!("{file}: {reason}");
        let epsilon = |[high, _]: [usize; 2]| settings.epsilon_at(frame.1[0], high);
        let encoder = Program::new(encoder, layout, &mut sizes, epsilon, settings.spread, &bound, isa)
            .map_err(|reason| named("encoder.onnx", reason))?;
        let step = step.map(|step| Program::new(step, layout, &mut sizes, epsilon, settings.spread, &bound, isa)).transpose();
        let step = step.map_err(|reason| named("step.onnx", reason))?;
        let readout =
            Program::new(readout, layout, &mut sizes, |_| 0.0, 1.0, &bound, isa).map_err(|reason| named("readout.onnx", reason))?;
        sizes.resize(layout.buffers.len(), None);
        let changes = Changes::none(&sizes);
        let channels = layout.buffers[frame.0.0].0;
        let mut lists = Lists::default();
        changes.moved.iter().for_each(|region| lists.reserve(region.size()));
        let gate = |&(now, next, channels, size): &Between, threshold, commits| {
            Gate::new(next, now, channels, size, threshold, commits).carrying(settings.spread)
        };
        let unread = states.iter().chain([&drive]).map(|&(now, _, _, size)| (now, Region::new(size), Region::new(size))).collect();
        let computed = Region::new(states.first().filter(|_| step.is_some()).unwrap_or(&drive).3);
        Ok(Tiled {
            acceptance: Acceptance::new(settings.acceptance, channels, frame.1, levels),
            encoder,
            step,
            readout,
            changes,
            lists,
            frame: frame.0,
            drive: gate(&drive, settings.epsilon, false),
            states: states.iter().map(|state| gate(state, 0.0, true)).collect(),
            homes,
            unread,
            threshold: settings.threshold,
            cut: settings.cut,
            surprise: settings.surprise,
            computed,
            switch: settings.switches.then(Switch::default),
            stale: [true; 3],
            dense: false,
            share: 1.0,
            changed: 1.0,
            encoded: 1.0,
            stepped: 0.0,
        })
    }

    /// Every operation, for the working space it needs.
    pub fn operations(&self) -> impl Iterator<Item = &Operation> {
        [Some(&self.encoder), self.step.as_ref(), Some(&self.readout)].into_iter().flatten().flat_map(Program::operations)
    }

    /// Makes room in the machine.
    pub fn reserve(&self, machine: &mut Machine) {
        [Some(&self.encoder), self.step.as_ref(), Some(&self.readout)].into_iter().flatten().for_each(|program| program.reserve(machine));
        for size in self.changes.moved.iter().map(Region::size) {
            machine.reserve_gates(size[0] * size[1], Region::most_rects(size));
        }
    }

    /// Whether so much of the picture changed that the scene is another.
    pub fn cuts(&self) -> bool {
        // Of a frame that is run densely nobody knows; what its drive says holds, as without tiles.
        !self.dense && self.cut.is_some_and(|cut| self.changed >= cut)
    }

    /// Whether the first step moved so much of the state that the frame takes the slow path.
    pub fn surprised(&self) -> bool {
        let Some(surprise) = self.surprise.filter(|_| !self.dense) else { return false };
        let pixels = |gate: &Gate| gate.moved.size()[0] * gate.moved.size()[1];
        let (moved, all) = self.states.iter().fold((0, 0), |(moved, all), gate| (moved + gate.moved.count(), all + pixels(gate)));
        moved as f32 > surprise * all as f32
    }

    /// Writes to `map` which tiles were accepted and which were computed in the last frame.
    pub fn map(&self, map: &mut TileMap) {
        let size = self.changes.moved[self.frame.0].size();
        map.clear([size[1], size[0]], TILE);
        let [rows, columns] = self.acceptance.grid();
        let [high, wide] = self.computed.size();
        for (tile, changed) in self.acceptance.changed().iter().enumerate() {
            if self.dense || *changed {
                TileMap::set(&mut map.moved, tile);
            }
        }
        for row in 0..rows {
            // Pixels of the state that lie in the tile's rows, at least one.
            let (top, bottom) = (row * TILE * high / size[0], (size[0].min((row + 1) * TILE) * high).div_ceil(size[0]));
            for column in 0..columns {
                let (left, right) = (column * TILE * wide / size[1], (size[1].min((column + 1) * TILE) * wide).div_ceil(size[1]));
                if self.dense || (top..bottom).any(|y| (left..right).any(|x| self.computed.has(y, x))) {
                    TileMap::set(&mut map.stepped, row * columns + column);
                }
            }
        }
    }

    /// Whether this frame is run densely.
    pub fn dense(&self) -> bool {
        self.dense
    }

    /// Share of the picture that was accepted in this frame, the steps of this frame in whole ones, and the share of the encoder's work.
    pub fn shares(&self) -> (f32, f32, f32) {
        (self.share, self.stepped as f32, if self.dense { 1.0 } else { self.encoded as f32 })
    }

    /// Where drive and states are after the last frame: the drive first, buffers of the dense run or of this one.
    pub fn home(&self, number: usize) -> Buffer {
        let (dense, home) = self.homes[number];
        if self.stale[0] { dense } else { home }
    }

    /// Forgets everything: the next frame is computed as a whole.
    pub fn reset(&mut self) {
        self.acceptance.forget();
        self.stale = [true; 3];
    }

    /// Takes the parts of a frame that changed to the encoder's input. Answers whether the frame is to be run densely.
    pub fn accept(&mut self, machine: &mut Machine, input: &[f32]) -> bool {
        self.stepped = 0.0;
        self.computed.clear();
        let look = self.switch.as_mut().map_or(Look::Compare, Switch::look);
        let share = match look {
            Look::No => None,
            Look::Keep => {
                self.acceptance.keep(input);
                None
            }
            Look::Compare => Some(self.acceptance.look(input)),
        };
        self.dense = self.switch.as_mut().is_some_and(|switch| switch.dense(share));
        self.changed = share.unwrap_or(1.0);
        self.share = if self.dense { 1.0 } else { self.changed };
        if self.dense {
            if !self.stale[0] {
                self.homes.iter().for_each(|&(dense, home)| machine.convert(home, dense));
            }
            self.stale = [true; 3];
            machine.write(self.frame, input);
            return true;
        }
        let whole = self.stale[0];
        if whole {
            self.homes.iter().for_each(|&(dense, home)| machine.convert(dense, home));
            self.acceptance.accept_all(input);
            self.share = 1.0;
        }
        let region = &mut self.changes.moved[self.frame.0];
        region.clear();
        if whole {
            region.fill();
            self.changes.spread[self.frame.0].fill();
            machine.write(self.frame, self.acceptance.accepted());
            return false;
        }
        let [_, across] = self.acceptance.grid();
        for (tile, _) in self.acceptance.changed().iter().enumerate().filter(|(_, changed)| **changed) {
            let ([high, wide], [row, column]) = (region.size(), [tile / across * TILE, tile % across * TILE]);
            (row..high.min(row + TILE)).for_each(|y| region.mark(y, column, wide.min(column + TILE)));
        }
        let spread = &mut self.changes.spread[self.frame.0];
        spread.clear();
        spread.add(region);
        self.lists.set(region);
        machine.write_rects(self.frame, self.acceptance.accepted(), &self.lists.rects, region.size()[1]);
        false
    }

    /// Encodes what moved. Answers how far the drive moved (relative L2).
    pub fn encode(&mut self, machine: &mut Machine) -> f32 {
        let fresh = std::mem::take(&mut self.stale[0]);
        if !fresh && self.changes.moved[self.frame.0].is_empty() {
            self.encoded = 0.0;
            return 0.0;
        }
        self.encoded = self.encoder.run(machine, &mut self.changes, &mut self.lists, fresh);
        let made = self.drive.from.0;
        if self.step.is_none() {
            self.computed.add(&self.changes.moved[made]);
        }
        let sums = pass(&mut self.drive, machine, &self.changes.moved[made], &mut self.lists, fresh);
        self.changes.take(&self.drive);
        let (_, unread, untold) = self.unread.last_mut().expect("the drive is the last");
        unread.add(&self.drive.moved);
        untold.add(&self.drive.spread);
        if let Some(switch) = self.switch.as_mut().filter(|_| !fresh) {
            switch.done(self.encoded);
        }
        (sums.diff_sq / self.drive.energy.max(f64::MIN_POSITIVE)).sqrt() as f32
    }

    /// Whether a step would change nothing: neither the drive nor the state has moved anywhere.
    pub fn rests(&self) -> bool {
        !self.stale[1] && self.states.iter().chain([&self.drive]).all(|gate| self.changes.moved[gate.to.0].is_empty())
    }

    /// One step where something moves by more than `rule` has it. Answers how far the whole state moved.
    pub fn step(&mut self, machine: &mut Machine, rule: &HaltingRule) -> Moments {
        let Some(step) = &mut self.step else { return Moments::default() };
        let fresh = std::mem::take(&mut self.stale[1]);
        self.stepped += step.run(machine, &mut self.changes, &mut self.lists, fresh);
        self.changes.clear(self.drive.to);
        let threshold = match (rule.metric, rule.threshold) {
            _ if self.threshold.is_some() => self.threshold.unwrap_or_default(),
            (_, None) => 0.0,
            (Metric::Cosine, Some(threshold)) => (2.0 * threshold).sqrt(),
            (_, Some(threshold)) => threshold,
        };
        if let Some(gate) = self.states.first() {
            self.computed.add(&self.changes.moved[gate.from.0]);
        }
        let mut moments = Moments::default();
        for (gate, (_, unread, untold)) in self.states.iter_mut().zip(&mut self.unread) {
            gate.threshold = threshold;
            let from = gate.from.0;
            let Sums { diff_sq, diff_abs, more_sq, .. } = pass(gate, machine, &self.changes.moved[from], &mut self.lists, fresh);
            unread.add(&self.changes.moved[from]);
            untold.add(&self.changes.moved[from]);
            self.changes.clear(gate.to);
            self.changes.take(gate);
            let (after_sq, before_sq) = (gate.energy, gate.energy - more_sq);
            let dot = (before_sq + after_sq - diff_sq) / 2.0;
            moments += Moments { diff_sq, diff_abs, after_sq, after_abs: gate.sum, before_sq, dot };
        }
        moments
    }

    /// Reads out what moved since it was read last.
    pub fn readout(&mut self, machine: &mut Machine) {
        let fresh = std::mem::take(&mut self.stale[2]);
        // What the step has yet to see stands in the same places.
        let exchange = |unread: &mut Vec<(Buffer, Region, Region)>, changes: &mut Changes| {
            for (buffer, unread, untold) in unread {
                std::mem::swap(unread, &mut changes.moved[buffer.0]);
                std::mem::swap(untold, &mut changes.spread[buffer.0]);
            }
        };
        exchange(&mut self.unread, &mut self.changes);
        self.readout.run(machine, &mut self.changes, &mut self.lists, fresh);
        exchange(&mut self.unread, &mut self.changes);
        for (_, unread, untold) in &mut self.unread {
            unread.clear();
            untold.clear();
        }
    }
}
