//! The three graphs of a network, run only where something moved.

use super::gate::{Gate, Sums};
use super::lists::Lists;
use super::program::{Program, Sizes, pass};
use super::region::Region;
use super::switch::Switch;
use crate::acceptance::{self, Acceptance, TILE};
use crate::engine::cpu::machine::{Buffer, Layout, Machine, Operation};
use crate::network::halting::{HaltingRule, Metric, Moments};

/// How tiles are run.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Settings {
    /// What of the input is accepted.
    pub acceptance: acceptance::Settings,
    /// What a pixel between the convolutions of encoder and step, or of the drive, has to move by to be handed on: its channels' Euclidean norm, in
    /// parts of the tensor's root mean square. With 0 the answer is the dense one on the accepted input, bit for bit.
    pub epsilon: f32,
    /// Run a frame densely where that is cheaper.
    pub switches: bool,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings { acceptance: acceptance::Settings::default(), epsilon: EPSILON, switches: true }
    }
}

impl Settings {
    /// Every change of the input counts, everywhere.
    pub fn exact() -> Settings {
        Settings { acceptance: acceptance::Settings::exact(), epsilon: 0.0, switches: false }
    }
}

/// See [`Settings::epsilon`].
const EPSILON: f32 = 0.1;

/// What the graphs stand between.
pub struct Ends {
    /// The encoder's input, with rows and columns.
    pub frame: (Buffer, [usize; 2]),
    /// The drive as it is read and as it is made, its channels, rows and columns.
    pub drive: (Buffer, Buffer, usize, [usize; 2]),
    /// The same for each state.
    pub states: Vec<(Buffer, Buffer, usize, [usize; 2])>,
}

/// A network's graphs and what has moved in its tensors.
pub struct Tiled {
    acceptance: Acceptance,
    encoder: Program,
    step: Option<Program>,
    readout: Program,
    /// For each buffer, what has moved since the graph that reads it has run.
    regions: Vec<Region>,
    lists: Lists,
    frame: Buffer,
    drive: Gate,
    states: Vec<Gate>,
    /// What has moved in the drive and in each state since the readout ran.
    unread: Vec<(Buffer, Region)>,
    switch: Option<Switch>,
    /// Which graphs' tensors do not hold what belongs to their inputs: encoder, step, readout.
    stale: [bool; 3],
    /// This frame is run densely.
    dense: bool,
    /// Share of the picture that was accepted.
    share: f32,
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
    ) -> Result<Tiled, String> {
        let mut sizes: Sizes = vec![None; layout.buffers.len()];
        let (frame, drive, states) = (ends.frame, ends.drive, ends.states);
        sizes[frame.0.0] = Some(frame.1);
        let mut bound = vec![drive.0, drive.1];
        for &(now, next, _, size) in states.iter().chain([&drive]) {
            (sizes[now.0], sizes[next.0]) = (Some(size), Some(size));
            bound.extend([now, next]);
        }
        let named = |file: &str, reason: String| format!("{file}: {reason}");
        let (encoder, step, readout) = graphs;
        let encoder =
            Program::new(encoder, layout, &mut sizes, settings.epsilon, &bound).map_err(|reason| named("encoder.onnx", reason))?;
        let step = step.map(|step| Program::new(step, layout, &mut sizes, settings.epsilon, &bound)).transpose();
        let step = step.map_err(|reason| named("step.onnx", reason))?;
        let readout = Program::new(readout, layout, &mut sizes, 0.0, &bound).map_err(|reason| named("readout.onnx", reason))?;
        let regions: Vec<Region> =
            (0..layout.buffers.len()).map(|at| sizes.get(at).copied().flatten().map(Region::new).unwrap_or_default()).collect();
        let channels = layout.buffers[frame.0.0].0;
        let mut lists = Lists::default();
        regions.iter().for_each(|region| lists.reserve(region.size()));
        let gate = |&(now, next, channels, size): &(Buffer, Buffer, usize, [usize; 2]), threshold, commits| {
            Gate::new(next, now, channels, size, threshold, commits)
        };
        let unread = states.iter().chain([&drive]).map(|&(now, _, _, size)| (now, Region::new(size))).collect();
        Ok(Tiled {
            acceptance: Acceptance::new(settings.acceptance, channels, frame.1, levels),
            encoder,
            step,
            readout,
            regions,
            lists,
            frame: frame.0,
            drive: gate(&drive, settings.epsilon, false),
            states: states.iter().map(|state| gate(state, 0.0, true)).collect(),
            unread,
            switch: settings.switches.then(Switch::default),
            stale: [true; 3],
            dense: false,
            share: 1.0,
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
        for size in self.regions.iter().map(Region::size) {
            machine.reserve_gates(size[0] * size[1], Region::most_rects(size));
        }
    }

    /// Whether this frame is run densely.
    pub fn dense(&self) -> bool {
        self.dense
    }

    /// Share of the picture that was accepted in this frame, and the steps of this frame in whole ones.
    pub fn shares(&self) -> (f32, f32) {
        (self.share, self.stepped as f32)
    }

    /// Forgets everything: the next frame is computed as a whole.
    pub fn reset(&mut self) {
        self.acceptance.forget();
        self.stale = [true; 3];
    }

    /// Takes the parts of a frame that changed to the encoder's input. Answers whether the frame is to be run densely.
    pub fn accept(&mut self, machine: &mut Machine, input: &[f32]) -> bool {
        self.share = self.acceptance.look(input);
        self.dense = self.switch.as_mut().is_some_and(|switch| switch.dense(self.share));
        self.stepped = 0.0;
        if self.dense {
            self.acceptance.accept_all(input);
            self.stale = [true; 3];
        }
        let whole = self.stale[0];
        let region = &mut self.regions[self.frame.0];
        region.clear();
        if whole {
            region.fill();
            machine.write(self.frame, self.acceptance.accepted());
            return self.dense;
        }
        let [_, across] = self.acceptance.grid();
        for (tile, _) in self.acceptance.changed().iter().enumerate().filter(|(_, changed)| **changed) {
            let ([high, wide], [row, column]) = (region.size(), [tile / across * TILE, tile % across * TILE]);
            (row..high.min(row + TILE)).for_each(|y| region.mark(y, column, wide.min(column + TILE)));
        }
        self.lists.set(region);
        machine.write_rects(self.frame, self.acceptance.accepted(), &self.lists.rects, region.size()[1]);
        false
    }

    /// Encodes what moved. Answers how far the drive moved (relative L2).
    pub fn encode(&mut self, machine: &mut Machine) -> f32 {
        let fresh = std::mem::take(&mut self.stale[0]);
        if !fresh && self.regions[self.frame.0].is_empty() {
            self.encoded = 0.0;
            return 0.0;
        }
        self.encoded = self.encoder.run(machine, &mut self.regions, &mut self.lists, fresh);
        let made = self.drive.from.0;
        let sums = pass(&mut self.drive, machine, &self.regions[made], &mut self.lists, fresh);
        self.regions[self.drive.to.0].add(&self.drive.moved);
        let (_, unread) = self.unread.last_mut().expect("the drive is the last");
        unread.add(&self.drive.moved);
        if let Some(switch) = self.switch.as_mut().filter(|_| !fresh) {
            switch.done(self.encoded);
        }
        (sums.diff_sq / self.drive.energy.max(f64::MIN_POSITIVE)).sqrt() as f32
    }

    /// Whether a step would change nothing: neither the drive nor the state has moved anywhere.
    pub fn rests(&self) -> bool {
        !self.stale[1] && self.states.iter().chain([&self.drive]).all(|gate| self.regions[gate.to.0].is_empty())
    }

    /// One step where something moves by more than `rule` has it. Answers how far the whole state moved.
    pub fn step(&mut self, machine: &mut Machine, rule: &HaltingRule) -> Moments {
        let Some(step) = &mut self.step else { return Moments::default() };
        let fresh = std::mem::take(&mut self.stale[1]);
        self.stepped += step.run(machine, &mut self.regions, &mut self.lists, fresh);
        self.regions[self.drive.to.0].clear();
        let threshold = match (rule.metric, rule.threshold) {
            (_, None) => 0.0,
            (Metric::Cosine, Some(threshold)) => (2.0 * threshold).sqrt(),
            (_, Some(threshold)) => threshold,
        };
        let mut moments = Moments::default();
        for (gate, (_, unread)) in self.states.iter_mut().zip(&mut self.unread) {
            gate.threshold = threshold;
            let (from, to) = (gate.from.0, gate.to.0);
            let Sums { diff_sq, diff_abs, more_sq, .. } = pass(gate, machine, &self.regions[from], &mut self.lists, fresh);
            unread.add(&self.regions[from]);
            self.regions[to].clear();
            self.regions[to].add(&gate.moved);
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
        self.unread.iter_mut().for_each(|(buffer, unread)| std::mem::swap(unread, &mut self.regions[buffer.0]));
        self.readout.run(machine, &mut self.regions, &mut self.lists, fresh);
        for (buffer, unread) in &mut self.unread {
            std::mem::swap(unread, &mut self.regions[buffer.0]);
            unread.clear();
        }
    }
}
