//! From graphs to a [`Program`](super::program::Program): what each node becomes, and what is refused, by name.

mod conv;
mod expr;
mod expressions;
mod fuse;
mod gather;
mod network;
mod parts;
mod stats;

use std::collections::HashMap;

use super::program::{Decide, Gate, Op, Operand, Shape, TensorId, TensorSpec, VectorId};
use super::tiles::Settings;
use crate::engine::graph::{Graph, Id, Kind, Size};
use crate::network::engine::EngineError;
use expr::{Arena, ExprId, Kind as Expr, Reads};
pub use network::lower;

/// What a program is made for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Target {
    /// Tensor cores and fp16 tensors; otherwise fp32 throughout.
    pub half: bool,
    /// Depth of one tensor-core instruction: 16, or 4 before Ampere.
    pub k_step: usize,
    /// Multiprocessors.
    pub multiprocessors: usize,
    /// Bytes of shared memory one block may have.
    pub shared_limit: usize,
    /// Bytes of shared memory a multiprocessor has.
    pub shared_total: usize,
    /// Whether large kernels go through their spectra.
    pub transforms: Transforms,
    /// Only what moved is computed; everything where it is None.
    pub tiles: Option<Settings>,
    /// Kernels are compiled for the program: a convolution may go on with a chain.
    pub compiled: bool,
}

/// Whether convolutions with large kernels are computed on spectra.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Transforms {
    /// Where that is estimated to be faster.
    #[default]
    Auto,
    /// Nowhere.
    Never,
    /// Wherever there is a kernel for it.
    Always,
}

#[derive(Clone)]
struct Lowering {
    target: Target,
    tensors: Vec<TensorSpec>,
    vectors: Vec<usize>,
    /// Rows of the frame, where convolutions of this graph hand on only what moved.
    gated: Option<usize>,
}

impl Lowering {
    fn tensor(&mut self, shape: Shape, full: bool, half: bool) -> TensorId {
        self.tensors.push(TensorSpec { shape, full, half, constant: None });
        self.tensors.len() - 1
    }

    /// A tensor that lives only between two kernels. One of a single pixel may be read as a per-channel vector, which is fp32.
    fn passing(&mut self, shape: Shape) -> TensorId {
        let full = !self.target.half || shape.is_vector();
        self.tensor(shape, full, !full)
    }

    fn copy(&self, from: TensorId, to: TensorId) -> Result<Op, EngineError> {
        let (mut arena, shape) = (Arena::default(), self.tensors[from].shape);
        let value = arena.add(Expr::Tensor(from), shape);
        let program = arena.compile(value, shape, Operand::Tensor(to), None, Decide::No);
        let too_large = |_| EngineError::Unsupported { graph: "step".into(), reason: "its drive cannot be copied".into() };
        Ok(Op::Pointwise(Box::new(program.map_err(too_large)?)))
    }

    fn vector(&mut self, channels: usize) -> VectorId {
        self.vectors.push(channels);
        self.vectors.len() - 1
    }
}

/// Why a graph is not lowered.
enum Refused {
    /// The node that makes this value has no kernel.
    Node(Id, String),
    /// Whatever its nodes are.
    Graph(EngineError),
}

impl From<EngineError> for Refused {
    fn from(error: EngineError) -> Refused {
        Refused::Graph(error)
    }
}

impl Refused {
    /// As it is told where it cannot be helped.
    fn of(self, file: &'static str) -> EngineError {
        match self {
            Refused::Node(_, reason) => EngineError::Unsupported { graph: file.to_owned(), reason },
            Refused::Graph(error) => error,
        }
    }
}

struct GraphLowering<'a> {
    all: &'a mut Lowering,
    graph: &'a Graph,
    file: &'static str,
    arena: Arena,
    /// The expression of each value of the graph that was lowered.
    made: Vec<Option<ExprId>>,
    ops: Vec<Op>,
    stats: HashMap<TensorId, (VectorId, VectorId)>,
}

impl<'a> GraphLowering<'a> {
    /// Lowers every node; `tensor_of` says where an input lies.
    fn new(
        all: &'a mut Lowering,
        (file, graph): (&'static str, &'a Graph),
        tensor_of: impl Fn(&str) -> TensorId,
    ) -> Result<GraphLowering<'a>, Refused> {
        let made = vec![None; graph.values.len()];
        let mut lowering = GraphLowering { all, graph, file, arena: Arena::default(), made, ops: Vec::new(), stats: HashMap::new() };
        for (name, id) in &graph.inputs {
            let (tensor, shape) = (tensor_of(name), Shape::from(graph.size(*id)));
            if lowering.all.tensors[tensor].shape != shape {
                return Err(lowering.unsupported(&format!("input '{name}' arrives in another shape")).into());
            }
            lowering.made[*id] = Some(lowering.arena.add(Expr::Tensor(tensor), shape));
        }
        for node in &graph.nodes {
            let value = lowering.node(&node.kind, node.outputs[0]);
            let value = value.map_err(|reason| Refused::Node(node.outputs[0], format!("{}: {reason}", node.name)))?;
            lowering.made[node.outputs[0]] = Some(value);
        }
        Ok(lowering)
    }

    fn unsupported(&self, reason: &str) -> EngineError {
        EngineError::Unsupported { graph: self.file.to_owned(), reason: reason.to_owned() }
    }

    fn expression(&self, id: Id) -> ExprId {
        self.made[id].expect("a node comes after what it reads")
    }

    fn shape(&self, id: Id) -> Shape {
        self.graph.size(id).into()
    }

    /// The tensor that a value of the graph is in, stored if need be.
    fn stored(&mut self, id: Id) -> Result<TensorId, String> {
        self.materialise(self.expression(id))
    }

    fn output(&self, at: usize) -> ExprId {
        self.expression(self.graph.outputs[at].1)
    }

    fn node(&mut self, kind: &Kind, output: Id) -> Result<ExprId, String> {
        let to = self.shape(output);
        match kind {
            Kind::Convolution { input, geometry, weights, bias } => {
                let made = self.convolution(*input, geometry, weights, bias, to)?;
                // What the graph hands on has a gate of its own.
                let ends = self.graph.outputs.iter().any(|(_, id)| *id == output);
                Ok(if ends || geometry.groups > 1 { made } else { self.gated(made, self.shape(*input).c) })
            }
            Kind::Pool { input, geometry, pool } => self.pool(*input, geometry, *pool, to),
            Kind::Gather { input, rows, columns, fill } => self.picked(*input, rows, columns, *fill, to),
            Kind::Interpolate { input, rows, columns } => self.between(*input, rows, columns, to),
            Kind::PixelShuffle { input, block, order, begin } => self.shuffle(*input, *block, *order, *begin, to),
            Kind::PixelUnshuffle { input, block, order } => self.unshuffle(*input, *block, *order, to),
            Kind::Reduce { input, fold, pixels, channels, mean } => self.reduce(*input, *fold, [*pixels, *channels], *mean),
            Kind::Softmax { input } => self.softmax(*input),
            Kind::InstanceNorm { input, epsilon, gain, bias } => self.instance_norm(*input, *epsilon, gain, bias),
            Kind::Map { op, operands } => self.element_wise(*op, operands, to),
            Kind::Concat { inputs } => self.concat(inputs, to),
            Kind::Channels { input, channels } => self.channels(*input, channels, to),
            Kind::Rename { input } => Ok(self.expression(*input)),
            Kind::Foreign { part, .. } => Err(part.reason.clone()),
        }
    }

    /// The tensor `value` is in, stored if need be.
    fn materialise(&mut self, value: ExprId) -> Result<TensorId, String> {
        if let Expr::Tensor(tensor) = self.arena.kind(value) {
            return Ok(tensor);
        }
        let shape = self.arena.shape(value);
        let tensor = self.all.passing(shape);
        self.pointwise(value, shape, Operand::Tensor(tensor), None, Decide::No)?;
        self.arena.stored(value, tensor);
        Ok(tensor)
    }

    fn pointwise(&mut self, value: ExprId, domain: Shape, to: Operand, compare: Option<ExprId>, decide: Decide) -> Result<(), String> {
        loop {
            match self.arena.compile(value, domain, to, compare, decide) {
                Ok(program) => {
                    self.ops.push(Op::Pointwise(Box::new(program)));
                    return Ok(());
                }
                Err(expr::TooLarge) => {
                    let part = self.arena.largest_part(value).ok_or("its element-wise chain is too long")?;
                    self.materialise(part)?;
                }
            }
        }
    }

    /// Stores `value` in `to`, compared with what the tensor `compare` held.
    fn store(&mut self, value: ExprId, to: TensorId, compare: Option<TensorId>, decide: Decide) -> Result<(), EngineError> {
        let shape = self.all.tensors[to].shape;
        if self.arena.shape(value) != shape {
            return Err(self.unsupported("an output is broadcast from a smaller one"));
        }
        let compare = compare.map(|tensor| self.arena.add(Expr::Tensor(tensor), shape));
        self.pointwise(value, shape, Operand::Tensor(to), compare, decide).map_err(|reason| self.unsupported(&reason))
    }

    /// Stores every state's successor over it, in an order in which no state is needed after it is gone; where `aside` knows a tensor, there
    /// instead.
    fn advance_states(
        &mut self,
        mut outputs: Vec<(ExprId, TensorId)>,
        aside: impl Fn(TensorId) -> Option<TensorId>,
    ) -> Result<(), EngineError> {
        while !outputs.is_empty() {
            let decide = if outputs.len() == 1 { Decide::Step } else { Decide::Later };
            let safe = outputs.iter().enumerate().position(|(at, &(value, state))| {
                self.arena.reads(value, state) <= Reads::SameElement
                    && outputs.iter().enumerate().all(|(other, &(value, _))| other == at || self.arena.reads(value, state) == Reads::No)
            });
            if let Some(at) = safe {
                let (value, state) = outputs.remove(at);
                match aside(state) {
                    Some(aside) => self.store(value, aside, None, Decide::No)?,
                    None => self.store(value, state, Some(state), decide)?,
                }
            } else {
                // Each waits for another: put one aside.
                let (value, _) = outputs[0];
                self.materialise(value).map_err(|reason| self.unsupported(&reason))?;
            }
        }
        Ok(())
    }

    /// The same, by the same arithmetic, with what moved handed on by gates.
    fn advance_by_tiles(&mut self, outputs: Vec<(ExprId, TensorId)>, carries: f32) -> Result<(), EngineError> {
        let states: Vec<TensorId> = outputs.iter().map(|(_, state)| *state).collect();
        let next: HashMap<TensorId, TensorId> =
            states.iter().map(|&state| (state, self.all.tensor(self.all.tensors[state].shape, true, false))).collect();
        self.advance_states(outputs, |state| next.get(&state).copied())?;
        for (at, to) in states.iter().copied().enumerate() {
            let decide = if at + 1 == states.len() { Decide::Step } else { Decide::Later };
            self.ops.push(Op::Gate(Gate { from: next[&to], to, threshold: None, carries, commits: true, within: false, decide }));
        }
        Ok(())
    }

    /// Some channels of a value: a view where they are neighbours.
    fn channels(&mut self, input: Id, channels: &[usize], to: Shape) -> Result<ExprId, String> {
        let tensor = self.stored(input)?;
        if channels.windows(2).all(|pair| pair[1] == pair[0] + 1) {
            return Ok(self.arena.add(Expr::Channels(tensor, channels[0]), to));
        }
        let one = Shape { c: 1, ..to };
        let parts = channels.iter().map(|&channel| self.arena.add(Expr::Channels(tensor, channel), one)).collect();
        self.joined(parts, to)
    }

    fn concat(&mut self, inputs: &[Id], to: Shape) -> Result<ExprId, String> {
        self.joined(inputs.iter().map(|&id| self.expression(id)).collect(), to)
    }

    fn joined(&mut self, parts: Vec<ExprId>, to: Shape) -> Result<ExprId, String> {
        let tensor = self.all.passing(to);
        let mut from = 0;
        for x in parts {
            let c = self.arena.shape(x).c;
            self.pointwise(x, Shape { c, ..to }, Operand::Channels(tensor, from), None, Decide::No)?;
            from += c;
        }
        Ok(self.arena.add(Expr::Tensor(tensor), to))
    }
}

impl From<Size> for Shape {
    fn from(size: Size) -> Shape {
        Shape { c: size.channels, h: size.rows, w: size.columns }
    }
}

/// Planes to `[y][x][c]` with the padded channel zero.
fn interleave(planes: &[f32], shape: Shape) -> Vec<f32> {
    let (cs, pixels) = (shape.cs(), shape.h * shape.w);
    let mut values = vec![0.0; pixels * cs];
    for c in 0..shape.c {
        for pixel in 0..pixels {
            values[pixel * cs + c] = planes[c * pixels + pixel];
        }
    }
    values
}
