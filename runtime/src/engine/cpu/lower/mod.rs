//! Lowers a graph to the engine's operations.
//!
//! Element-wise nodes become expressions that are only evaluated where something needs their values in memory: a convolution, a
//! norm's statistics, or an output of the graph. So a whole chain, up to the new hidden state and how far it moved, is one pass.

mod chain;
mod convolution;
mod elementwise;
mod fuse;
mod reduce;
mod spatial;

use super::foreign::Foreign;
use super::machine::{Buffer, Layout, Operation, Plane, PlaneWork, Table, View};
use super::simd::Isa;
use crate::engine::graph::{self, Graph, Kind, Op};

/// An expression's number.
type Id = usize;

#[derive(Clone, Debug)]
enum Source {
    /// In memory.
    View(View),
    /// One number per channel.
    Table(Table),
    /// The same number everywhere.
    Number(f32),
    /// Yet to be computed.
    Apply(Op, Vec<Id>),
}

/// A buffer that a graph reads or writes, by the name the graph knows it by.
#[derive(Clone, Debug)]
pub struct Bound {
    /// Name of the graph's input or output.
    pub name: String,
    /// The buffer.
    pub buffer: Buffer,
    /// Its ONNX shape.
    pub shape: Vec<usize>,
    /// For outputs: measure the distance from this buffer of the same shape.
    pub moved_from: Option<Buffer>,
}

struct Lowering<'a> {
    graph: &'a Graph,
    isa: Isa,
    layout: &'a mut Layout,
    operations: Vec<Operation>,
    sources: Vec<Source>,
    /// The expression of each value of the graph that was lowered.
    made: Vec<Option<Id>>,
    /// The graph's outputs, each with its value.
    outputs: Vec<(&'a Bound, graph::Id)>,
}

/// A part on tract that takes longer than this is worth a warning before the first frame.
const SLOW: std::time::Duration = std::time::Duration::from_millis(20);

/// Lowers a graph over the given buffers. On failure the layout may have gained unused entries.
pub fn lower(graph: &Graph, isa: Isa, layout: &mut Layout, inputs: &[Bound], outputs: &[Bound]) -> Result<Vec<Operation>, String> {
    let computed = |bound: &'_ Bound| graph.outputs.iter().find(|(name, _)| *name == bound.name).map(|(_, id)| *id);
    let ends = outputs.iter().map(|bound| Ok((bound, computed(bound).ok_or_else(|| format!("no node computes output '{}'", bound.name))?)));
    let outputs = ends.collect::<Result<Vec<_>, String>>()?;
    let made = vec![None; graph.values.len()];
    let mut lowering = Lowering { graph, isa, layout, operations: Vec::new(), sources: Vec::new(), made, outputs };
    for (name, id) in &graph.inputs {
        let bound = inputs.iter().find(|bound| bound.name == *name).ok_or_else(|| format!("nothing is bound to input '{name}'"))?;
        lowering.fits(bound, *id)?;
        let source = lowering.source(Source::View(whole(bound.buffer, graph.size(*id).channels)));
        lowering.made[*id] = Some(source);
    }
    for &(bound, id) in &lowering.outputs.clone() {
        lowering.fits(bound, id)?;
    }
    for node in &graph.nodes {
        lowering.node(&node.kind, &node.outputs);
        node.outputs.iter().for_each(|&id| lowering.finish(id));
    }
    graph.inputs.iter().for_each(|(_, id)| lowering.finish(*id));
    let operations = fuse::fuse(lowering.operations);
    match operations.iter().find_map(Operation::trouble) {
        Some(trouble) => Err(trouble),
        None => Ok(operations),
    }
}

fn whole(buffer: Buffer, channels: usize) -> View {
    (0..channels).map(|channel| Plane { buffer, channel }).collect()
}

impl Lowering<'_> {
    fn source(&mut self, source: Source) -> Id {
        self.sources.push(source);
        self.sources.len() - 1
    }

    fn number(&mut self, x: f32) -> Id {
        self.source(Source::Number(x))
    }

    fn apply(&mut self, op: Op, operands: &[Id]) -> Id {
        self.source(Source::Apply(op, operands.to_vec()))
    }

    fn expression(&self, id: graph::Id) -> Id {
        self.made[id].expect("a node comes after what it reads")
    }

    /// Where a value of the graph lies, computed if it does not lie anywhere yet.
    fn view(&mut self, id: graph::Id) -> View {
        self.evaluate(self.expression(id), self.graph.size(id), None)
    }

    fn fits(&self, bound: &Bound, id: graph::Id) -> Result<(), String> {
        let size = self.graph.size(id);
        let own = self.layout.buffers[bound.buffer.0];
        if own == (size.channels, size.pixels()) { Ok(()) } else { Err(format!("'{}' is {size:?}, not {:?}", bound.name, bound.shape)) }
    }

    /// A value that is an output of the graph goes to its buffer and is measured.
    fn finish(&mut self, id: graph::Id) {
        for (bound, _) in self.outputs.clone().into_iter().filter(|(_, made)| *made == id) {
            let size = self.graph.size(id);
            self.evaluate(self.expression(id), size, Some(bound.buffer));
            if let Some(before) = bound.moved_from {
                self.measure(before, bound.buffer, size);
            }
        }
    }

    /// Where a node writes: the buffer of the graph's output that it makes, or a new one.
    fn destination(&mut self, id: graph::Id) -> View {
        let size = self.graph.size(id);
        let bound = self.outputs.iter().find(|(_, made)| *made == id).map(|(bound, _)| bound.buffer);
        let buffer = bound.unwrap_or_else(|| self.layout.buffer(size.channels, size.pixels()));
        whole(buffer, size.channels)
    }

    /// Work on whole planes.
    fn planes(&mut self, work: Box<dyn PlaneWork>, input: View, output: graph::Id) -> Id {
        let output = self.destination(output);
        self.operations.push(Operation::Planes { work, input, output: output.clone() });
        self.source(Source::View(output))
    }

    fn node(&mut self, kind: &Kind, outputs: &[graph::Id]) {
        if let Kind::Foreign { inputs, part } = kind {
            return self.foreign(inputs, part, outputs);
        }
        let output = outputs[0];
        let source = match kind {
            Kind::Convolution { input, geometry, weights, bias } => self.convolution(*input, *geometry, weights, bias, output),
            Kind::Pool { input, geometry, pool } => self.pool(*input, *geometry, *pool, output),
            Kind::Gather { input, rows, columns, fill } => self.gather(*input, rows, columns, *fill, output),
            Kind::Interpolate { input, rows, columns } => self.interpolate(*input, rows, columns, output),
            Kind::PixelShuffle { input, block, order, begin } => self.shuffle(*input, *block, *order, *begin, output),
            Kind::PixelUnshuffle { input, block, order } => self.unshuffle(*input, *block, *order, output),
            Kind::Reduce { input, fold, pixels, channels, mean } => self.reduce(*input, *fold, [*pixels, *channels], *mean),
            Kind::Softmax { input } => self.softmax(*input),
            Kind::InstanceNorm { input, epsilon, gain, bias } => self.instance_norm(*input, *epsilon, gain, bias),
            Kind::Map { op, operands } => self.element_wise(*op, operands, self.graph.size(output)),
            Kind::Concat { inputs } => {
                let view = inputs.iter().flat_map(|&input| self.view(input)).collect();
                self.source(Source::View(view))
            }
            Kind::Channels { input, channels } => {
                let view = self.view(*input);
                self.source(Source::View(channels.iter().map(|&channel| view[channel]).collect()))
            }
            Kind::Rename { input } => self.expression(*input),
            Kind::Foreign { .. } => unreachable!("it has several outputs"),
        };
        self.made[output] = Some(source);
    }

    /// A part that tract runs.
    fn foreign(&mut self, inputs: &[graph::Id], part: &graph::foreign::Part, outputs: &[graph::Id]) {
        let view = inputs.iter().flat_map(|&input| self.view(input)).collect();
        let parts: Vec<View> = outputs.iter().map(|&output| self.destination(output)).collect();
        let work = Foreign::new(part);
        if let Ok(took) = work.trial() {
            let count = part.nodes.len();
            let level = if took > SLOW { log::Level::Warn } else { log::Level::Info };
            log::log!(level, "{count} nodes run on tract, {:.2} ms a run: {} ({})", took.as_secs_f64() * 1e3, work.what(), part.reason);
        }
        let work = Box::new(work);
        self.operations.push(Operation::Planes { work, input: view, output: parts.concat() });
        for (&output, part) in outputs.iter().zip(parts) {
            self.made[output] = Some(self.source(Source::View(part)));
        }
    }

    /// Statistics now, their application as an expression.
    fn instance_norm(&mut self, input: graph::Id, epsilon: f32, gain: &[f32], bias: &[f32]) -> Id {
        let (view, pixels) = (self.view(input), self.graph.size(input).pixels());
        let zero = vec![0.0; gain.len()];
        let (scale, shift) = (self.layout.table(&zero), self.layout.table(&zero));
        self.operations.push(Operation::Normal { input: view, pixels, epsilon, gain: gain.to_vec(), bias: bias.to_vec(), scale, shift });
        let (scale, shift) = (self.source(Source::Table(scale)), self.source(Source::Table(shift)));
        self.apply(Op::MulAdd, &[self.expression(input), scale, shift])
    }
}
