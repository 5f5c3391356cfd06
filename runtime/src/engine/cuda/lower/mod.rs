//! From typed graphs to a [`Program`]: what each node becomes, and what is refused, by name.

mod conv;
mod expr;
mod gather;
mod products;
mod stats;

use std::collections::HashMap;

use tract_onnx::prelude::*;
use tract_onnx::tract_core::ops::array::{Slice, TypedConcat};
use tract_onnx::tract_core::ops::change_axes::AxisOp;
use tract_onnx::tract_core::ops::cnn::{Conv as TractConv, Deconv, MaxPool, SumPool};
use tract_onnx::tract_core::ops::einsum::EinSum;
use tract_onnx::tract_core::ops::konst::Const;
use tract_onnx::tract_core::ops::nn::Reduce;
use tract_onnx::tract_core::ops::nn::resize::{NearestUpsample, Resize};
use tract_onnx::tract_core::ops::source::TypedSource;

use super::opcode::Opcode;
use super::program::{Decide, Op, Operand, Program, Shape, TensorId, TensorSpec, VectorId};
use crate::network::Network;
use crate::network::engine::EngineError;
use crate::network::guard;
use crate::network::load::Graph;
use expr::{Arena, ExprId, Kind, Reads};

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

/// Lowers all graphs of `network`, or names the first node that has no kernel.
pub fn lower(network: &Network, target: Target) -> Result<Program, EngineError> {
    let mut lowering = Lowering { target, tensors: Vec::new(), vectors: Vec::new() };
    let frame = lowering.tensor(shape_of(&network.encoder.input_shape(0))?, !target.half, target.half);
    let drive = lowering.tensor(shape_of(&network.drive_shape())?, true, false);
    let mut states = Vec::new();
    for state in &network.manifest.states {
        if state.shape.len() != 4 {
            let reason = format!("state '{}' is {:?}; the GPU engine takes [1, channels, height, width]", state.name, state.shape);
            return Err(EngineError::Unsupported { graph: "step.onnx".into(), reason });
        }
        states.push(lowering.tensor(shape_of(&state.shape)?, true, false));
    }
    let mut answers = Vec::new();
    for answer in network.answers() {
        answers.push(lowering.tensor(shape_of(&answer.shape)?, true, false));
    }
    let find = |name: &str| match network.manifest.states.iter().position(|state| state.name == name) {
        Some(at) => states[at],
        None => drive,
    };
    // Frames that need no step leave the drive of the last stepped one in place, so that slow motion adds up.
    let fresh = if network.step.is_some() { lowering.tensor(lowering.tensors[drive].shape, true, false) } else { drive };
    let encode = {
        let mut graph = GraphLowering::new(&mut lowering, &network.encoder, |_| frame)?;
        let value = graph.output(0)?;
        graph.store(value, fresh, Some(drive), Decide::Drive)?;
        graph.ops
    };
    let accept = if fresh == drive { Vec::new() } else { vec![lowering.copy(fresh, drive)?] };
    let step = match &network.step {
        None => Vec::new(),
        Some(step) => {
            let mut graph = GraphLowering::new(&mut lowering, step, find)?;
            let mut outputs = Vec::new();
            for (at, name) in step.outputs.iter().enumerate() {
                // Outputs that are no state's successor have no effect.
                if let Some(state) = network.manifest.states.iter().position(|state| *name == format!("{}_next", state.name)) {
                    outputs.push((graph.output(at)?, states[state]));
                }
            }
            graph.advance_states(outputs)?;
            graph.ops
        }
    };
    let readout = {
        let mut graph = GraphLowering::new(&mut lowering, &network.readout, find)?;
        for (at, answer) in answers.iter().enumerate() {
            let value = graph.output(at)?;
            graph.store(value, *answer, None, Decide::No)?;
        }
        graph.ops
    };
    let Lowering { tensors, vectors, .. } = lowering;
    Ok(Program { tensors, vectors, encode, accept, step, readout, frame, states, answers })
}

struct Lowering {
    target: Target,
    tensors: Vec<TensorSpec>,
    vectors: Vec<usize>,
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
        let value = arena.add(Kind::Tensor(from), shape);
        let program = arena.compile(value, shape, Operand::Tensor(to), None, Decide::No);
        let too_large = |_| EngineError::Unsupported { graph: "step".into(), reason: "its drive cannot be copied".into() };
        Ok(Op::Pointwise(Box::new(program.map_err(too_large)?)))
    }

    fn vector(&mut self, channels: usize) -> VectorId {
        self.vectors.push(channels);
        self.vectors.len() - 1
    }
}

/// What a node's output is.
#[derive(Clone)]
enum Value {
    Expr(ExprId),
    Const(Arc<Tensor>),
}

struct GraphLowering<'a> {
    all: &'a mut Lowering,
    file: &'static str,
    arena: Arena,
    values: HashMap<OutletId, Value>,
    outputs: Vec<OutletId>,
    ops: Vec<Op>,
    stats: HashMap<TensorId, (VectorId, VectorId)>,
}

impl<'a> GraphLowering<'a> {
    fn new(all: &'a mut Lowering, graph: &Graph, tensor_of: impl Fn(&str) -> TensorId) -> Result<GraphLowering<'a>, EngineError> {
        let fail = |reason: String| EngineError::Unsupported { graph: graph.file.to_owned(), reason };
        let model = guard::tract(|| graph.model.clone().into_decluttered()).map_err(|trouble| fail(trouble.to_string()))?;
        let mut lowering = GraphLowering {
            all,
            file: graph.file,
            arena: Arena::default(),
            values: HashMap::new(),
            outputs: model.output_outlets().map_err(|error| fail(error.to_string()))?.to_vec(),
            ops: Vec::new(),
            stats: HashMap::new(),
        };
        let inputs = model.input_outlets().map_err(|error| fail(error.to_string()))?;
        for (outlet, name) in inputs.iter().zip(&graph.inputs) {
            let tensor = tensor_of(name);
            let shape = lowering.all.tensors[tensor].shape;
            let value = lowering.arena.add(Kind::Tensor(tensor), shape);
            lowering.values.insert(*outlet, Value::Expr(value));
        }
        for node in model.eval_order().map_err(|error| fail(error.to_string()))? {
            let node = model.node(node);
            lowering.node(&model, node).map_err(|reason| fail(format!("node '{}' ({}): {reason}", node.name, node.op.name())))?;
        }
        Ok(lowering)
    }

    fn unsupported(&self, reason: &str) -> EngineError {
        EngineError::Unsupported { graph: self.file.to_owned(), reason: reason.to_owned() }
    }

    fn output(&mut self, at: usize) -> Result<ExprId, EngineError> {
        self.expr(self.outputs[at]).map_err(|reason| self.unsupported(&reason))
    }

    fn node(&mut self, model: &TypedModel, node: &TypedNode) -> Result<(), String> {
        if node.op_is::<TypedSource>() {
            return Ok(());
        }
        if let Some(weights) = node.op_as::<Const>() {
            self.values.insert(node.id.into(), Value::Const(weights.val().clone()));
            return Ok(());
        }
        let fact = model.outlet_fact(node.id.into()).map_err(|error| error.to_string())?;
        let shape = fact.shape.as_concrete().ok_or("its shape is open")?.to_vec();
        let name = node.op.name();
        let value = if let Some(conv) = node.op_as::<TractConv>() {
            self.conv(node, conv, &shape)?
        } else if let Some(einsum) = node.op_as::<EinSum>() {
            self.einsum(node, einsum, &shape)?
        } else if let (Some(_), [x]) = (node.op_as::<AxisOp>(), &node.inputs[..]) {
            self.same_vector(*x, &shape)?
        } else if let Some(deconv) = node.op_as::<Deconv>() {
            self.deconv(node, deconv, &shape)?
        } else if let Some(pool) = node.op_as::<MaxPool>() {
            self.max_pool(node, pool, &shape)?
        } else if let Some(pool) = node.op_as::<SumPool>() {
            self.sum_pool(node, pool, &shape)?
        } else if let Some(resize) = node.op_as::<Resize>() {
            self.resize(node, resize, &shape)?
        } else if let Some(upsample) = node.op_as::<NearestUpsample>() {
            self.upsample(node, upsample, &shape)?
        } else if let Some(reduce) = node.op_as::<Reduce>() {
            self.reduce(node, reduce)?
        } else if let Some(slice) = node.op_as::<Slice>() {
            self.slice(node, slice, &shape)?
        } else if let Some(concat) = node.op_as::<TypedConcat>() {
            self.concat(node, concat, &shape)?
        } else if let (Some(op), [x]) = (Opcode::unary(&name), &node.inputs[..]) {
            let x = self.expr(*x)?;
            self.unary(op, x)
        } else if let (Some(op), [x, y]) = (Opcode::binary(&name), &node.inputs[..]) {
            let (x, y) = (self.expr(*x)?, self.expr(*y)?);
            self.arena.binary(op, x, y).ok_or("its shapes do not broadcast")?
        } else {
            return Err("there is no GPU kernel for this operator".into());
        };
        self.values.insert(node.id.into(), Value::Expr(value));
        Ok(())
    }

    /// One value a channel, with other axes of size one around it.
    fn same_vector(&mut self, x: OutletId, shape: &[usize]) -> Result<ExprId, String> {
        let x = self.expr(x)?;
        let (from, to) = (self.arena.shape(x), shape_of(shape)?);
        if from == to && from.is_vector() { Ok(x) } else { Err("axes change places only for one value a channel".into()) }
    }

    /// `ln(exp(x) + 1)` becomes one operation that does not overflow.
    fn unary(&mut self, op: Opcode, x: ExprId) -> ExprId {
        if op == Opcode::Ln
            && let Kind::Binary(Opcode::Add, a, b) = self.arena.kind(x)
        {
            for (exp, one) in [(a, b), (b, a)] {
                if let (Kind::Unary(Opcode::Exp, inner), Some(1.0)) = (self.arena.kind(exp), self.arena.as_number(one)) {
                    return self.arena.unary(Opcode::Softplus, inner);
                }
            }
        }
        self.arena.unary(op, x)
    }

    fn expr(&mut self, outlet: OutletId) -> Result<ExprId, String> {
        let constant = match self.values.get(&outlet) {
            Some(Value::Expr(value)) => return Ok(*value),
            Some(Value::Const(constant)) => constant.clone(),
            None => return Err("one of its inputs has a second output".into()),
        };
        let values = floats(&constant)?;
        let value = if let [first, rest @ ..] = values
            && rest.iter().all(|x| x.to_bits() == first.to_bits())
        {
            self.arena.number(*first)
        } else {
            let shape = shape_of(constant.shape()).map_err(|_| "a constant of this shape is not supported")?;
            if shape.is_vector() {
                self.arena.constant(values.to_vec())
            } else {
                let tensor = self.all.tensor(shape, true, false);
                self.all.tensors[tensor].constant = Some(interleave(values, shape));
                self.arena.add(Kind::Tensor(tensor), shape)
            }
        };
        self.values.insert(outlet, Value::Expr(value));
        Ok(value)
    }

    fn constant(&self, outlet: OutletId) -> Result<Arc<Tensor>, String> {
        match self.values.get(&outlet) {
            Some(Value::Const(constant)) => Ok(constant.clone()),
            _ => Err("its weights are computed, not constant".into()),
        }
    }

    /// The tensor `value` is in, stored if need be.
    fn materialise(&mut self, value: ExprId) -> Result<TensorId, String> {
        if let Kind::Tensor(tensor) = self.arena.kind(value) {
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
        let compare = compare.map(|tensor| self.arena.add(Kind::Tensor(tensor), shape));
        self.pointwise(value, shape, Operand::Tensor(to), compare, decide).map_err(|reason| self.unsupported(&reason))
    }

    /// Stores every state's successor over it, in an order in which no state is needed after it is gone.
    fn advance_states(&mut self, mut outputs: Vec<(ExprId, TensorId)>) -> Result<(), EngineError> {
        while !outputs.is_empty() {
            let decide = if outputs.len() == 1 { Decide::Step } else { Decide::Later };
            let safe = outputs.iter().enumerate().position(|(at, &(value, state))| {
                self.arena.reads(value, state) <= Reads::SameElement
                    && outputs.iter().enumerate().all(|(other, &(value, _))| other == at || self.arena.reads(value, state) == Reads::No)
            });
            if let Some(at) = safe {
                let (value, state) = outputs.remove(at);
                self.store(value, state, Some(state), decide)?;
            } else {
                // Each waits for another: put one aside.
                let (value, _) = outputs[0];
                self.materialise(value).map_err(|reason| self.unsupported(&reason))?;
            }
        }
        Ok(())
    }

    fn slice(&mut self, node: &TypedNode, op: &Slice, shape: &[usize]) -> Result<ExprId, String> {
        if op.axis != 1 {
            return Err("only slices of channels have a kernel".into());
        }
        let from = op.start.to_i64().map(|start| start as usize).map_err(|_| "its start is not constant")?;
        let x = self.expr(node.inputs[0])?;
        let tensor = self.materialise(x)?;
        Ok(self.arena.add(Kind::Channels(tensor, from), shape_of(shape)?))
    }

    fn concat(&mut self, node: &TypedNode, op: &TypedConcat, shape: &[usize]) -> Result<ExprId, String> {
        if op.axis != 1 {
            return Err("only concatenations of channels have a kernel".into());
        }
        let to = shape_of(shape)?;
        let tensor = self.all.passing(to);
        let mut from = 0;
        for input in &node.inputs {
            let x = self.expr(*input)?;
            let part = self.arena.shape(x);
            let domain = Shape { c: part.c, ..to };
            self.pointwise(x, domain, Operand::Channels(tensor, from), None, Decide::No)?;
            from += part.c;
        }
        if from != to.c {
            return Err("its parts do not add up".into());
        }
        Ok(self.arena.add(Kind::Tensor(tensor), to))
    }
}

/// `[1, c, h, w]` as a shape; also that of one value a channel, whose other axes tract drops.
fn shape_of(shape: &[usize]) -> Result<Shape, EngineError> {
    match *shape {
        [1, c, h, w] => Ok(Shape { c, h, w }),
        _ if shape.len() < 4 && shape.iter().filter(|size| **size > 1).count() <= 1 => Ok(Shape { c: shape.iter().product(), h: 1, w: 1 }),
        _ => Err(EngineError::Unsupported {
            graph: "network".into(),
            reason: format!("a tensor is {shape:?}; the GPU engine takes [1, channels, height, width]"),
        }),
    }
}

impl From<EngineError> for String {
    fn from(error: EngineError) -> String {
        error.to_string()
    }
}

fn floats(tensor: &Tensor) -> Result<&[f32], String> {
    tensor.as_plain_ram().and_then(|view| view.as_slice::<f32>().ok()).ok_or_else(|| "its numbers are not 32-bit floats".into())
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
