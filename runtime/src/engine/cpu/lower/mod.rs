//! Lowers an ONNX graph to the engine's operations, or says which node it does not know.
//!
//! Element-wise nodes become expressions that are only evaluated where something needs their values in memory: a convolution, a
//! norm's statistics, or an output of the graph. So a whole chain, up to the new hidden state and how far it moved, is one pass.

mod activations;
mod chain;
mod channels;
mod convolution;
mod elementwise;
mod fuse;
mod norm;
mod pooling;
mod reduce;
mod spatial;

use std::collections::HashMap;

use tract_onnx::pb::{GraphProto, NodeProto};

use super::machine::{Buffer, Layout, Operation, Plane, Table, View};
use super::onnx::{Attributes, Constant, constant};
use super::pointwise::Op;
use super::simd::Isa;
use reduce::Reduction;

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
    /// An expression, its size, and zeros above, left, below and right of it: what a convolution takes as it is.
    Padded(Id, Size, [usize; 4]),
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
    Ok(fuse::fuse(lowering.operations))
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
            let (id, size) = match value {
                Value::Tensor(id, size) => (id, size),
                Value::Padded(id, size, pads) => self.bordered(id, size, pads),
                Value::Constant(_) => return Err("an output that is constant".into()),
            };
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

    /// An operand that is computed, without a border.
    fn tensor(&mut self, node: &NodeProto, at: usize) -> Result<(Id, Size), String> {
        self.in_memory(node, at)?;
        match self.get(node, at)? {
            Value::Tensor(id, size) => Ok((*id, *size)),
            _ => Err(format!("input {at} is constant")),
        }
    }

    /// Lays an operand's border, if it has one that nobody has needed in memory yet.
    fn in_memory(&mut self, node: &NodeProto, at: usize) -> Result<(), String> {
        if let &Value::Padded(id, size, pads) = self.get(node, at)? {
            let (id, size) = self.bordered(id, size, pads);
            self.values.insert(node.input[at].clone(), Value::Tensor(id, size));
        }
        Ok(())
    }

    fn constants(&self, node: &NodeProto, at: usize) -> Result<&Constant, String> {
        match self.get(node, at)? {
            Value::Constant(constant) => Ok(constant),
            _ => Err(format!("input {at} ('{}') is not constant", node.input[at])),
        }
    }

    /// One output value for each output of the node that is used.
    fn node(&mut self, node: &NodeProto) -> Result<Vec<Value>, String> {
        let attributes = Attributes(node);
        if !node.domain.is_empty() && node.domain != "ai.onnx" {
            return Err(format!("operators of '{}' are not known", node.domain));
        }
        let one = |value: Result<Value, String>| value.map(|value| vec![value]);
        match node.op_type.as_str() {
            "Constant" => Ok(vec![Value::Constant(attributes.constant()?)]),
            "Identity" | "Dropout" => Ok(vec![self.get(node, 0)?.clone()]),
            "Conv" => one(self.convolution(node)),
            "ConvTranspose" => one(self.transposed(node)),
            "InstanceNormalization" => one(self.instance_norm(node)),
            "BatchNormalization" => one(self.batch_norm(node)),
            "Concat" => one(self.concat(node)),
            "Split" => self.split(node),
            "Slice" => one(self.slice(node)),
            "Resize" => one(self.resize(node)),
            "Pad" => one(self.pad(node)),
            "DepthToSpace" => one(self.depth_to_space(node)),
            "SpaceToDepth" => {
                let (id, size) = self.tensor(node, 0)?;
                one(self.space_to_depth(node, id, size, attributes.int("blocksize", 0), false))
            }
            "MaxPool" => one(self.pooled(node, true)),
            "AveragePool" => one(self.pooled(node, false)),
            "Softmax" => one(self.softmax(node)),
            "Add" => one(self.binary(node, Op::Add)),
            "Sub" => one(self.binary(node, Op::Sub)),
            "Mul" => one(self.binary(node, Op::Mul)),
            "Div" => one(self.binary(node, Op::Div)),
            "Min" if node.input.len() == 2 => one(self.binary(node, Op::Min)),
            "Max" if node.input.len() == 2 => one(self.binary(node, Op::Max)),
            "Min" => one(self.several(node, Op::Min)),
            "Max" => one(self.several(node, Op::Max)),
            "Sum" | "Mean" => one(self.several(node, Op::Add)),
            "Pow" => one(self.pow(node)),
            "PRelu" => one(self.prelu(node)),
            "Less" | "LessOrEqual" | "Greater" | "GreaterOrEqual" | "Equal" => one(self.compare(node)),
            "Where" => one(self.select(node)),
            "Clip" => one(self.clip(node)),
            operator => match Reduction::of(operator) {
                Some(reduction) => one(self.reduce(node, reduction)),
                None => one(self.unary(node)?.ok_or_else(|| "is not covered".to_owned())),
            },
        }
    }
}
