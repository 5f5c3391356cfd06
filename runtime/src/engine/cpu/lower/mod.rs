//! Lowers an ONNX graph to the engine's operations, or says which node it does not know.
//!
//! Element-wise nodes become expressions that are only evaluated where something needs their values in memory: a convolution, a
//! norm's statistics, or an output of the graph. So a whole chain, up to the new hidden state and how far it moved, is one pass.

mod chain;
mod channels;
mod convolution;
mod elementwise;
mod norm;

use std::collections::HashMap;

use tract_onnx::pb::{GraphProto, NodeProto};

use super::machine::{Buffer, Layout, Operation, Plane, Table, View};
use super::onnx::{Attributes, Constant, constant};
use super::pointwise::Op;
use super::simd::Isa;
use elementwise::scalar;

/// An expression's number.
type Id = usize;

/// Channels, height and width of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Size {
    channels: usize,
    rows: usize,
    columns: usize,
}

impl Size {
    fn pixels(self) -> usize {
        self.rows * self.columns
    }
}

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

#[derive(Clone, Debug)]
enum Value {
    /// An expression and its size.
    Tensor(Id, Size),
    /// Known when the graph is loaded.
    Constant(Constant),
}

/// A buffer that a graph reads or writes, by the name the graph knows it by.
#[derive(Clone, Debug)]
pub struct Bound {
    /// Name of the graph's input or output.
    pub name: String,
    /// The buffer.
    pub buffer: Buffer,
    /// `[1, C, H, W]`
    pub shape: Vec<usize>,
    /// For outputs: measure the distance from this buffer of the same shape.
    pub moved_from: Option<Buffer>,
}

struct Lowering<'a> {
    isa: Isa,
    layout: &'a mut Layout,
    operations: Vec<Operation>,
    sources: Vec<Source>,
    values: HashMap<String, Value>,
    outputs: &'a [Bound],
}

/// Lowers a graph over the given buffers. On failure the reason names the node; the layout may have gained unused entries.
pub fn lower(graph: &GraphProto, isa: Isa, layout: &mut Layout, inputs: &[Bound], outputs: &[Bound]) -> Result<Vec<Operation>, String> {
    let mut lowering = Lowering { isa, layout, operations: Vec::new(), sources: Vec::new(), values: HashMap::new(), outputs };
    for tensor in &graph.initializer {
        lowering.values.insert(tensor.name.clone(), Value::Constant(constant(tensor)?));
    }
    for input in inputs {
        let size = size_of(&input.shape).ok_or_else(|| format!("input '{}' is {:?}, not [1, C, H, W]", input.name, input.shape))?;
        let id = lowering.source(Source::View(whole(input.buffer, size.channels)));
        lowering.values.insert(input.name.clone(), Value::Tensor(id, size));
    }
    for output in outputs {
        if lowering.values.contains_key(&output.name) {
            return Err(format!("output '{}' is an input or a constant", output.name));
        }
    }
    for node in &graph.node {
        let what = || format!("node '{}' ({})", node.name, node.op_type);
        let made = lowering.node(node).map_err(|reason| format!("{}: {reason}", what()))?;
        for (name, value) in node.output.iter().zip(made) {
            lowering.define(name, value).map_err(|reason| format!("{}: {reason}", what()))?;
        }
    }
    if let Some(missing) = outputs.iter().find(|output| !lowering.values.contains_key(&output.name)) {
        return Err(format!("no node computes output '{}'", missing.name));
    }
    Ok(lowering.operations)
}

fn size_of(shape: &[usize]) -> Option<Size> {
    match *shape {
        [1, channels, rows, columns] => Some(Size { channels, rows, columns }),
        _ => None,
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

    fn apply(&mut self, op: Op, operands: Vec<Id>, size: Size) -> Value {
        Value::Tensor(self.source(Source::Apply(op, operands)), size)
    }

    fn number(&mut self, x: f32) -> Id {
        self.source(Source::Number(x))
    }

    /// Gives a value its name; an output of the graph goes to its buffer and is measured.
    fn define(&mut self, name: &str, value: Value) -> Result<(), String> {
        if let Some(bound) = self.outputs.iter().find(|bound| bound.name == name) {
            let Value::Tensor(id, size) = value else { return Err("an output that is constant".into()) };
            if size_of(&bound.shape) != Some(size) {
                return Err(format!("'{name}' is {size:?}, not {:?}", bound.shape));
            }
            self.evaluate(id, size, Some(bound.buffer));
            if let Some(before) = bound.moved_from {
                self.measure(before, bound.buffer, size);
            }
        }
        self.values.insert(name.to_owned(), value);
        Ok(())
    }

    fn get(&self, node: &NodeProto, at: usize) -> Result<&Value, String> {
        let name = node.input.get(at).ok_or_else(|| format!("input {at} is missing"))?;
        self.values.get(name).ok_or_else(|| format!("'{name}' is not known"))
    }

    fn optional(&self, node: &NodeProto, at: usize) -> Option<&Value> {
        node.input.get(at).filter(|name| !name.is_empty()).and_then(|name| self.values.get(name))
    }

    fn tensor(&self, node: &NodeProto, at: usize) -> Result<(Id, Size), String> {
        match self.get(node, at)? {
            Value::Tensor(id, size) => Ok((*id, *size)),
            Value::Constant(_) => Err(format!("input {at} is constant")),
        }
    }

    fn constants(&self, node: &NodeProto, at: usize) -> Result<&Constant, String> {
        match self.get(node, at)? {
            Value::Constant(constant) => Ok(constant),
            Value::Tensor(..) => Err(format!("input {at} ('{}') is not constant", node.input[at])),
        }
    }

    /// One output value for each output of the node that is used.
    fn node(&mut self, node: &NodeProto) -> Result<Vec<Value>, String> {
        let attributes = Attributes(node);
        if !node.domain.is_empty() && node.domain != "ai.onnx" {
            return Err(format!("operators of '{}' are not known", node.domain));
        }
        let unary = |op| (op, Vec::new());
        let (op, more) = match node.op_type.as_str() {
            "Constant" => return Ok(vec![Value::Constant(attributes.constant()?)]),
            "Identity" | "Dropout" => return Ok(vec![self.get(node, 0)?.clone()]),
            "Conv" => return self.convolution(node).map(|value| vec![value]),
            "ConvTranspose" => return self.transposed(node).map(|value| vec![value]),
            "InstanceNormalization" => return self.instance_norm(node).map(|value| vec![value]),
            "BatchNormalization" => return self.batch_norm(node).map(|value| vec![value]),
            "Concat" => return self.concat(node).map(|value| vec![value]),
            "Split" => return self.split(node),
            "Slice" => return self.slice(node).map(|value| vec![value]),
            "Add" => return self.binary(node, Op::Add).map(|value| vec![value]),
            "Sub" => return self.binary(node, Op::Sub).map(|value| vec![value]),
            "Mul" => return self.binary(node, Op::Mul).map(|value| vec![value]),
            "Div" => return self.binary(node, Op::Div).map(|value| vec![value]),
            "Min" if node.input.len() == 2 => return self.binary(node, Op::Min).map(|value| vec![value]),
            "Max" if node.input.len() == 2 => return self.binary(node, Op::Max).map(|value| vec![value]),
            "Softplus" => unary(Op::Softplus),
            "Sigmoid" => unary(Op::Sigmoid),
            "Tanh" => unary(Op::Tanh),
            "Exp" => unary(Op::Exp),
            "Abs" => unary(Op::Abs),
            "Sqrt" => unary(Op::Sqrt),
            "Relu" => (Op::Max, vec![0.0]),
            "Neg" => (Op::Mul, vec![-1.0]),
            "LeakyRelu" => (Op::Leak, vec![attributes.float("alpha", 0.01)]),
            "Clip" => return self.clip(node).map(|value| vec![value]),
            _ => return Err("is not covered".into()),
        };
        if let Value::Constant(constant) = self.get(node, 0)? {
            // A few numbers at load; the exactness of the standard library costs nothing.
            let b = more.first().copied().unwrap_or(0.0);
            return Ok(vec![Value::Constant(constant.map(|a| scalar(op, a, b)))]);
        }
        let (a, size) = self.tensor(node, 0)?;
        let mut operands = vec![a];
        for x in more {
            operands.push(self.number(x));
        }
        Ok(vec![self.apply(op, operands, size)])
    }
}
