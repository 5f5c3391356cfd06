//! A lowered graph, run only where it has to be.

use super::Locality;
use super::gate::{Gate, Sums};
use super::lists::Lists;
use super::reach::{Kind, Reach};
use super::region::Region;
use crate::engine::cpu::channels_last::{self, Lowered, Work};
use crate::engine::cpu::conv_fft::Shape;
use crate::engine::cpu::machine::{Buffer, Layout, Machine, Operation, Plane, Table};
use crate::engine::cpu::pointwise::Operand;
use crate::engine::cpu::simd::Isa;

/// Share of an operation's outputs above which it is done as a whole.
const WHOLE: f64 = 0.6;

/// In which form an operation is run.
enum Form {
    /// On planes.
    Planes(Box<Operation>),
    /// On single pixels, with its tables.
    Single(Box<Lowered>, Vec<Table>),
}

/// An operation and how far changes carry through it.
struct Part {
    form: Form,
    /// What it reads and writes, each buffer once.
    from: Vec<usize>,
    to: Vec<usize>,
    reach: Reach,
    /// Outputs that have to be computed again.
    dirty: Region,
    /// Stops what moved by little.
    gate: Option<Gate>,
    /// Multiply-adds, and a few for each pixel it writes.
    work: f64,
}

/// The operations of one graph over tensors that live on.
pub struct Program {
    parts: Vec<Part>,
    /// Multiply-adds and pixels of the whole graph, for [`Program::run`]'s share.
    whole: f64,
}

/// For each buffer, which pixels have moved since the operations that read it ran, and which of these their neighbours have to be told of.
#[derive(Default)]
pub struct Changes {
    /// Pixels that moved.
    pub moved: Vec<Region>,
    /// Those among them that reach past their own place.
    pub spread: Vec<Region>,
}

impl Changes {
    /// None, in buffers of these sizes.
    pub fn none(sizes: &Sizes) -> Changes {
        let moved: Vec<Region> = sizes.iter().map(|size| size.map(Region::new).unwrap_or_default()).collect();
        Changes { spread: moved.clone(), moved }
    }

    /// Takes in what a gate let through.
    pub fn take(&mut self, gate: &Gate) {
        self.moved[gate.to.0].add(&gate.moved);
        self.spread[gate.to.0].add(&gate.spread);
    }

    /// Forgets what happened in a buffer.
    pub fn clear(&mut self, buffer: Buffer) {
        self.moved[buffer.0].clear();
        self.spread[buffer.0].clear();
    }
}

/// Rows and columns of every buffer, as far as they are known.
pub type Sizes = Vec<Option<[usize; 2]>>;

impl Program {
    /// From operations that write no buffer more than one frame needs; `sizes` knows those of the graph's inputs and learns all others.
    /// With `epsilon` above 0, which may differ by a tensor's rows and columns, convolutions that do not widen their tensors get a gate, and what is reached by rounding alone is not.
    ///
    /// # Errors
    /// The operation that needs all pixels of its input for each of its outputs.
    pub fn new(
        operations: Vec<Operation>,
        layout: &mut Layout,
        sizes: &mut Sizes,
        epsilon: impl Fn([usize; 2]) -> f32,
        spread: f32,
        bound: &[Buffer],
        isa: Isa,
    ) -> Result<Program, String> {
        let mut parts: Vec<Part> = Vec::new();
        let gates = epsilon([1, 1]) > 0.0;
        for mut operation in operations {
            layout.settle(&operation);
            sizes.resize(layout.buffers.len(), None);
            let to: Vec<usize> = buffers(operation.writes());
            let from: Vec<usize> = reads(&operation);
            if to.iter().any(|buffer| from.contains(buffer)) {
                return Err(format!("{operation} writes what it reads"));
            }
            let known = from.iter().find_map(|&buffer| sizes[buffer]);
            let pixels = |buffers: &[usize]| buffers.first().map_or(0, |&buffer| layout.buffers[buffer].1);
            let reach = reach(&operation, known, pixels(&from), gates)
                .ok_or_else(|| format!("{operation} need all pixels of a tensor for each of their own"))?;
            let same = from.iter().all(|&buffer| sizes[buffer] == Some(reach.input()));
            if !same || pixels(&to) != reach.output()[0] * reach.output()[1] || to.is_empty() {
                return Err(format!("{operation} reads or writes tensors of unknown shape"));
            }
            let gate = gated(&operation, &to, bound).filter(|_| gates).map(|channels| {
                let made = layout.buffer(channels, reach.output()[0] * reach.output()[1]);
                if layout.pitches[to[0]] > 0 {
                    layout.lay_together(made);
                }
                layout.settle_buffer(made);
                sizes.resize(layout.buffers.len(), None);
                sizes[made.0] = Some(reach.output());
                operation.outputs_mut().expect("a convolution").iter_mut().for_each(|plane| plane.buffer = made);
                Gate::new(made, Buffer(to[0]), channels, reach.output(), epsilon(reach.output()), false).carrying(spread)
            });
            to.iter().for_each(|&buffer| sizes[buffer] = Some(reach.output()));
            let dirty = Region::new(reach.output());
            let work = work(&operation, reach.output());
            let together = |buffer: Buffer| layout.pitches[buffer.0] > 0;
            let form = if operation.planes().any(|plane| together(plane.buffer)) {
                debug_assert!(channels_last::lowers(&operation, together), "{operation} on tensors in planes");
                let tables = if let Operation::Pointwise { tables, .. } = &operation { tables.clone() } else { Vec::new() };
                Form::Single(Box::new(Lowered::new(&operation, isa, reach.output()[1])), tables)
            } else {
                Form::Planes(Box::new(operation))
            };
            parts.push(Part { form, from, to, reach, dirty, gate, work });
        }
        let whole = parts.iter().map(|part| part.work).sum();
        Ok(Program { parts, whole })
    }

    /// Operations as [`Program::new`] takes them: what lies between two that were fused lives on, and none measures.
    pub fn apart(operations: Vec<Operation>, layout: &mut Layout) -> Vec<Operation> {
        let mut apart = Vec::new();
        for operation in operations {
            match operation {
                Operation::Expanded { conv, input, output } => {
                    let (expand, window) = conv.into_parts();
                    let (channels, [h, w]) = (expand.geometry().cout, expand.geometry().output());
                    let between = layout.buffer(channels, h * w);
                    let between: Vec<Plane> = (0..channels).map(|channel| Plane { buffer: between, channel }).collect();
                    apart.push(Operation::Direct { conv: expand, input, output: between.clone() });
                    apart.push(Operation::Depthwise { conv: window, input: between, output });
                }
                Operation::Pointwise { program, planes, tables, .. } => {
                    let program = program.unmeasured();
                    // One that did nothing but measure is none any more.
                    if !program.instructions.is_empty() {
                        apart.push(Operation::Pointwise { program, planes, tables, measures: false });
                    }
                }
                other => apart.push(other),
            }
        }
        apart
    }

    /// Every operation on planes, for the working space it needs.
    pub fn operations(&self) -> impl Iterator<Item = &Operation> {
        self.parts.iter().filter_map(|part| match &part.form {
            Form::Planes(operation) => Some(&**operation),
            Form::Single(..) => None,
        })
    }

    /// Makes room in the machine for what runs on single pixels.
    pub fn reserve(&self, machine: &mut Machine) {
        for part in &self.parts {
            if let Form::Single(lowered, tables) = &part.form {
                machine.reserve_single(lowered, tables.len());
            }
        }
    }

    /// Sizes of what it makes.
    pub fn sizes(&self) -> impl Iterator<Item = [usize; 2]> {
        self.parts.iter().map(|part| part.reach.output())
    }

    /// Computes again what the regions of its inputs reach, and sets those of all it writes; all of it, if `fresh`. Answers the share of the
    /// graph's work that it was. Allocates nothing.
    pub fn run(&mut self, machine: &mut Machine, changes: &mut Changes, lists: &mut Lists, fresh: bool) -> f64 {
        let Changes { moved: regions, spread } = changes;
        self.parts.iter().flat_map(|part| &part.to).for_each(|&buffer| {
            regions[buffer].clear();
            spread[buffer].clear();
        });
        let mut done = 0.0;
        for part in &mut self.parts {
            part.dirty.clear();
            if fresh {
                part.dirty.fill();
            } else {
                for &from in &part.from {
                    if part.reach.kind() == Kind::Centred {
                        part.dirty.add(&regions[from]);
                        part.reach.carry(&spread[from], &mut part.dirty, &mut lists.line);
                    } else {
                        part.reach.carry(&regions[from], &mut part.dirty, &mut lists.line);
                    }
                }
                if part.dirty.is_empty() {
                    continue;
                }
            }
            let [high, wide] = part.dirty.size();
            let share = match &part.form {
                Form::Planes(operation) => {
                    lists.set(&part.dirty);
                    let share = if fresh { 1.0 } else { lists.pixels_in_rects() as f64 / (high * wide) as f64 };
                    if share > WHOLE {
                        machine.one(operation);
                    } else {
                        machine.part(operation, &part.dirty, lists);
                    }
                    if share > WHOLE { 1.0 } else { share }
                }
                Form::Single(lowered, tables) => {
                    lists.set_pixels(&part.dirty);
                    let mut done = lists.pixels.len();
                    if let Work::Minimal(minimal) = &lowered.work {
                        let (grid, valid) = minimal.grid();
                        lists.set_tiles(&part.dirty, grid, valid);
                        done = (lists.tiles.len() * valid[0] * valid[1]).min(high * wide);
                    }
                    machine.single(lowered, tables, lists);
                    done as f64 / (high * wide) as f64
                }
            };
            done += part.work * share;
            match &mut part.gate {
                Some(gate) if fresh => {
                    machine.open(gate);
                }
                Some(gate) => {
                    hand_on(gate, machine, &part.dirty, lists);
                }
                None => {}
            }
            let changed = part.gate.as_ref().map_or(&part.dirty, |gate| &gate.moved);
            let (from, kind) = (&part.from, part.reach.kind());
            for &to in &part.to {
                regions[to].add(changed);
                match &part.gate {
                    Some(gate) => spread[to].add(&gate.spread),
                    None if kind == Kind::Same && !fresh => {
                        for &from in from {
                            let [told, tells] = spread.get_disjoint_mut([to, from]).expect("no operation writes what it reads");
                            told.add(tells);
                        }
                    }
                    None => spread[to].add(&part.dirty),
                }
            }
        }
        done / self.whole.max(1.0)
    }
}

/// Multiply-adds of an operation, and a few for each pixel it writes.
fn work(operation: &Operation, [high, wide]: [usize; 2]) -> f64 {
    const PASS: usize = 8;
    (operation.macs() + PASS * high * wide * operation.writes().count()) as f64
}

/// Hands `dirty` pixels on through a gate of its own, outside of a program.
pub fn pass(gate: &mut Gate, machine: &mut Machine, dirty: &Region, lists: &mut Lists, fresh: bool) -> Sums {
    if fresh && !gate.commits {
        return machine.open(gate);
    }
    if machine.lies_together(gate.to) {
        lists.set_pixels(dirty)
    } else {
        lists.set(dirty)
    }
    if !fresh {
        return hand_on(gate, machine, dirty, lists);
    }
    // What moved is told pixel by pixel here too, measured against the tensor as it is.
    let moments = machine.between(gate.to, gate.from);
    gate.energy = moments.before_sq;
    gate.unsaid.fill(0.0);
    let sums = hand_on(gate, machine, dirty, lists);
    (gate.energy, gate.sum) = (moments.after_sq, moments.after_abs);
    sums
}

/// A gate's pass over a region whose lists were made.
fn hand_on(gate: &mut Gate, machine: &mut Machine, dirty: &Region, lists: &Lists) -> Sums {
    if machine.lies_together(gate.to) { machine.gate_single(gate, lists) } else { machine.gate(gate, dirty, lists) }
}

fn buffers<'a>(planes: impl Iterator<Item = &'a Plane>) -> Vec<usize> {
    let mut buffers: Vec<usize> = planes.map(|plane| plane.buffer.0).collect();
    buffers.sort_unstable();
    buffers.dedup();
    buffers
}

fn reads(operation: &Operation) -> Vec<usize> {
    match operation {
        Operation::Pointwise { program, planes, .. } => {
            let read = program.instructions.iter().flat_map(|instruction| instruction.operands).filter_map(|operand| match operand {
                Operand::Plane(tensor) => Some(&planes[tensor * program.channels..][..program.channels]),
                _ => None,
            });
            buffers(read.flatten())
        }
        _ => buffers(operation.inputs().iter()),
    }
}

/// How far an input pixel of an operation reaches, where it is not everywhere. `known` is the size of an input of `pixels`; `tight` leaves out
/// what is reached by rounding alone.
fn reach(operation: &Operation, known: Option<[usize; 2]>, pixels: usize, tight: bool) -> Option<Reach> {
    match operation {
        Operation::Direct { conv, .. } => Some(Reach::window(conv.geometry())),
        Operation::Depthwise { conv, .. } => Some(Reach::window(conv.geometry())),
        Operation::Winograd { conv, .. } if tight => Some(Reach::window(conv.geometry())),
        Operation::Fourier { conv, .. } if tight => Some(window(conv.shape())),
        // Outputs of a tile share their arithmetic: all of them see all of its inputs, if only in the last bit.
        Operation::Winograd { conv, .. } => {
            let (g, (_, valid)) = (conv.geometry(), conv.grid());
            Some(tiled(g.input, g.output(), valid, [6, 6], g.begin))
        }
        Operation::Fourier { conv, .. } => {
            let (shape, tiling) = (conv.shape(), conv.tiling());
            Some(tiled(shape.input, shape.output(), tiling.valid, tiling.tile, shape.begin))
        }
        Operation::Planes { work, .. } => match work.reach()? {
            Locality::Same => known.map(Reach::same),
            Locality::Reach(reach) => Some(reach),
        },
        Operation::PixelShuffle { shuffle, .. } => Some(shuffle.reach(pixels / shuffle.columns)),
        Operation::Pointwise { .. } => known.map(Reach::same),
        Operation::Expanded { .. } | Operation::Spread { .. } | Operation::Normal { .. } => None,
    }
}

/// The reach of a convolution without stride.
fn window(shape: &Shape) -> Reach {
    let sees = |d: usize| {
        move |at: usize| {
            let first = at as isize - shape.begin[d] as isize;
            first..first + shape.kernel[d] as isize
        }
    };
    Reach::new(shape.input, shape.output(), sees(0), sees(1))
}

/// The reach of an operation that works in tiles of `valid` outputs, each of which sees `sees` inputs.
fn tiled(input: [usize; 2], output: [usize; 2], valid: [usize; 2], sees: [usize; 2], begin: [usize; 2]) -> Reach {
    let axis = |d: usize| {
        // One tile that covers everything wraps around, and its first inputs are those it wraps to.
        let alone = valid[d] >= output[d];
        move |at: usize| {
            let first = (at / valid[d] * valid[d]) as isize - begin[d] as isize;
            if alone { 0..input[d] as isize } else { first..first + sees[d] as isize }
        }
    };
    Reach::new(input, output, axis(0), axis(1))
}

/// Channels of the one buffer that a convolution writes, whole and in order, if it is to have a gate.
fn gated(operation: &Operation, to: &[usize], bound: &[Buffer]) -> Option<usize> {
    let (cin, cout, output) = match operation {
        Operation::Direct { conv, output, .. } => (conv.geometry().cin, conv.geometry().cout, output),
        Operation::Winograd { conv, output, .. } => (conv.geometry().cin, conv.geometry().cout, output),
        Operation::Fourier { conv, output, .. } => (conv.shape().cin, conv.shape().cout, output),
        _ => return None,
    };
    let whole = to.len() == 1 && output.iter().enumerate().all(|(channel, plane)| plane.channel == channel);
    (whole && cout <= cin && !bound.contains(&Buffer(to[0]))).then_some(cout)
}
