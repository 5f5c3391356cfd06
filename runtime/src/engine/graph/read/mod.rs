//! From ONNX records to nodes: what each operator means, with its attributes and constants.
//!
//! [`network::onnx`](crate::network::onnx) has brought the file to one opset before. Here constants are folded, spellings of one thing are
//! recognised (a square that is summed, a border before a convolution, a norm in groups), and every node gets its sizes.

mod activations;
mod channels;
mod convolution;
mod elementwise;
mod foreign;
mod norm;
mod onnx;
mod pooling;
mod reduce;
mod resize;
mod spatial;
mod views;

use std::collections::HashMap;
use std::sync::Arc;

use tract_onnx::pb::{GraphProto, NodeProto};

use super::{Constant, Graph, Id, Kind, Node, Op, Operand, Size, Value};
use crate::network;
use foreign::{Uncut, Whole};
use onnx::{Attributes, constant};

/// What a name of the ONNX graph stands for.
#[derive(Clone, Debug)]
enum Entry {
    /// A value.
    Value(Id),
    /// A value and zeros above, left, below and right of it: what a convolution takes as it is.
    Padded(Id, [usize; 4]),
    /// `[1, groups, rest]` of a picture: what a norm in groups is spelled with.
    Grouped(Id, usize),
    /// Known when the graph is loaded.
    Constant(Arc<Constant>),
    /// A constant that no covered operator takes.
    Unreadable(String),
}

/// The graph so far.
struct Reader {
    graph: Graph,
    entries: HashMap<String, Entry>,
    /// The node being read, as messages name it.
    name: Arc<str>,
}

/// Reads a graph of a network. On failure the reason names the node.
pub fn read(graph: &network::graph::Graph) -> Result<Graph, String> {
    of_records(&graph.proto, &inputs(graph))
}

/// Reads a graph whose inputs have these names and shapes. On failure the reason names the node.
pub fn of_records(proto: &GraphProto, inputs: &[(String, Vec<usize>)]) -> Result<Graph, String> {
    let mut reader = Reader::new(proto, inputs)?;
    proto.node.iter().try_for_each(|node| reader.take(node))?;
    reader.finished(proto).map_err(|(_, reason)| reason)
}

/// Reads a graph of a network; nodes that are not covered become [`Kind::Foreign`], as few of them as can be.
pub fn read_in_parts(graph: &network::graph::Graph) -> Result<Graph, String> {
    let (proto, inputs) = (&graph.proto, inputs(graph));
    let whole = Whole::new(proto, graph.opset);
    // Nodes that have to be foreign because of what follows them.
    let mut foreign: HashMap<usize, String> = HashMap::new();
    'again: for _ in 0..=proto.node.len() {
        let mut reader = Reader::new(proto, &inputs)?;
        let mut at = 0;
        while let Some(node) = proto.node.get(at) {
            let taken = match foreign.get(&at) {
                Some(reason) => {
                    reader.name = called(node);
                    Err(reason.clone())
                }
                None => reader.take(node),
            };
            let Err(reason) = taken else {
                at += 1;
                continue;
            };
            match reader.cut_out(&whole, at, reason.clone()) {
                Ok(next) => at = next,
                Err(Uncut::Never(reason)) => return Err(reason),
                Err(Uncut::Turned(name)) => match whole.made_by.get(name.as_str()) {
                    Some(&maker) if foreign.insert(maker, reason.clone()).is_none() => continue 'again,
                    _ => return Err(reason),
                },
            }
        }
        match reader.finished(proto) {
            Ok(graph) => return Ok(graph),
            Err((name, reason)) => match whole.made_by.get(name.as_str()) {
                Some(&maker) if foreign.insert(maker, reason.clone()).is_none() => continue 'again,
                _ => return Err(reason),
            },
        }
    }
    Err("its parts cannot be told apart".into())
}

fn inputs(graph: &network::graph::Graph) -> Vec<(String, Vec<usize>)> {
    graph.inputs.iter().enumerate().map(|(at, name)| (name.clone(), graph.input_shape(at))).collect()
}

fn called(node: &NodeProto) -> Arc<str> {
    format!("node '{}' ({})", node.name, node.op_type).into()
}

impl Reader {
    fn new(proto: &GraphProto, inputs: &[(String, Vec<usize>)]) -> Result<Reader, String> {
        let mut reader = Reader { graph: Graph::default(), entries: HashMap::new(), name: "".into() };
        for tensor in &proto.initializer {
            let entry = match constant(tensor) {
                Ok(constant) => Entry::Constant(Arc::new(constant)),
                Err(reason) => Entry::Unreadable(reason),
            };
            reader.entries.insert(tensor.name.clone(), entry);
        }
        for (name, shape) in inputs {
            let value = Value::of_shape(shape).ok_or_else(|| format!("input '{name}' is {shape:?}, not [1, C, H, W]"))?;
            let id = reader.value(value);
            reader.graph.inputs.push((name.clone(), id));
            reader.entries.insert(name.clone(), Entry::Value(id));
        }
        Ok(reader)
    }

    /// Reads the next node.
    fn take(&mut self, node: &NodeProto) -> Result<(), String> {
        self.name = called(node);
        let made = self.node(node).map_err(|reason| format!("{}: {reason}", self.name))?;
        for (name, entry) in node.output.iter().zip(made) {
            self.entries.insert(name.clone(), entry);
        }
        Ok(())
    }

    /// The graph, when all nodes are read; or the output that it cannot give, and why.
    fn finished(mut self, proto: &GraphProto) -> Result<Graph, (String, String)> {
        for output in &proto.output {
            let refused = |reason: String| (output.name.clone(), format!("output '{}': {reason}", output.name));
            let id = self.settled(&output.name).map_err(refused)?;
            if !self.graph.values[id].is_plain() {
                return Err(refused("its axes are in another order than its numbers lie in".into()));
            }
            self.graph.outputs.push((output.name.clone(), id));
        }
        self.graph.prune();
        Ok(self.graph)
    }
}

impl Reader {
    fn value(&mut self, value: Value) -> Id {
        self.graph.values.push(value);
        self.graph.values.len() - 1
    }

    /// Adds a node and answers what it makes.
    fn emit(&mut self, kind: Kind, value: Value) -> Id {
        let id = self.value(value);
        self.graph.nodes.push(Node { name: self.name.clone(), kind, outputs: vec![id] });
        id
    }

    fn map(&mut self, op: Op, operands: Vec<Operand>, value: Value) -> Id {
        self.emit(Kind::Map { op, operands }, value)
    }

    /// The element-wise node that makes a value.
    fn made_by(&self, id: Id) -> Option<(Op, &[Operand])> {
        let node = self.graph.nodes.iter().rev().find(|node| node.outputs.contains(&id))?;
        match &node.kind {
            Kind::Map { op, operands } => Some((*op, operands)),
            _ => None,
        }
    }

    fn size(&self, id: Id) -> Size {
        self.graph.size(id)
    }

    fn shape(&self, id: Id) -> Value {
        self.graph.values[id].clone()
    }

    fn get(&self, node: &NodeProto, at: usize) -> Result<&Entry, String> {
        let name = node.input.get(at).ok_or_else(|| format!("input {at} is missing"))?;
        match self.entries.get(name) {
            Some(Entry::Unreadable(reason)) => Err(reason.clone()),
            Some(entry) => Ok(entry),
            None => Err(format!("'{name}' is not known")),
        }
    }

    /// What an input is, or none where it is left out.
    fn optional(&self, node: &NodeProto, at: usize) -> Result<Option<&Entry>, String> {
        if node.input.get(at).is_none_or(String::is_empty) { Ok(None) } else { self.get(node, at).map(Some) }
    }

    /// An input that is known when the graph is loaded, if it is there.
    fn optional_constant(&self, node: &NodeProto, at: usize) -> Result<Option<&Constant>, String> {
        match self.optional(node, at)? {
            Some(Entry::Constant(constant)) => Ok(Some(constant)),
            Some(_) => Err(format!("input {at} ('{}') is not constant", node.input[at])),
            None => Ok(None),
        }
    }

    fn constants(&self, node: &NodeProto, at: usize) -> Result<&Constant, String> {
        self.optional_constant(node, at)?.ok_or_else(|| format!("input {at} is missing"))
    }

    fn is_constant(&self, node: &NodeProto, at: usize) -> bool {
        matches!(self.get(node, at), Ok(Entry::Constant(_)))
    }

    /// An operand that is computed; its border, if it has one that nobody has needed yet, is laid.
    fn computed(&mut self, node: &NodeProto, at: usize) -> Result<Id, String> {
        match self.get(node, at)? {
            Entry::Constant(_) => Err(format!("input {at} is constant")),
            _ => self.settled(&node.input[at]),
        }
    }

    /// A name's value, with its border laid.
    fn settled(&mut self, name: &str) -> Result<Id, String> {
        match self.entries.get(name) {
            Some(&Entry::Value(id)) => Ok(id),
            Some(&Entry::Padded(id, pads)) => {
                let id = self.bordered(id, pads);
                self.entries.insert(name.to_owned(), Entry::Value(id));
                Ok(id)
            }
            Some(Entry::Grouped(..)) => Err(format!("'{name}' has its channels in groups")),
            Some(Entry::Constant(_)) => Err("an output that is constant".into()),
            Some(Entry::Unreadable(reason)) => Err(reason.clone()),
            None => Err("no node computes it".into()),
        }
    }

    /// A computed operand that is `[1, channels, rows, columns]`.
    fn picture(&mut self, node: &NodeProto, at: usize) -> Result<(Id, Size), String> {
        let id = self.computed(node, at)?;
        let value = &self.graph.values[id];
        if value.is_picture() {
            Ok((id, value.size))
        } else {
            Err(format!("input {at} is {:?}, not [1, channels, height, width]", value.shape()))
        }
    }

    /// One entry for each output of the node that is used.
    fn node(&mut self, node: &NodeProto) -> Result<Vec<Entry>, String> {
        if !node.domain.is_empty() && node.domain != "ai.onnx" {
            return Err(format!("operators of '{}' are not known", node.domain));
        }
        let one = |id: Result<Id, String>| id.map(|id| vec![Entry::Value(id)]);
        match node.op_type.as_str() {
            "Constant" => {
                Ok(vec![Attributes(node).constant().map_or_else(Entry::Unreadable, |constant| Entry::Constant(Arc::new(constant)))])
            }
            "Identity" | "Dropout" => Ok(vec![self.get(node, 0)?.clone()]),
            "Conv" => one(self.convolution(node)),
            "ConvTranspose" => one(self.transposed(node)),
            "MatMul" | "Gemm" => one(self.product(node)),
            "InstanceNormalization" => self.instance_norm(node),
            "BatchNormalization" => one(self.batch_norm(node)),
            "LayerNormalization" => one(self.layer_norm(node)),
            "GroupNormalization" => one(self.group_normalization(node)),
            "Concat" => one(self.concat(node)),
            "Split" => self.split(node),
            "Slice" => one(self.slice(node)),
            "Reshape" | "Flatten" | "Squeeze" | "Unsqueeze" => self.reshape(node),
            "Transpose" => one(self.transpose(node)),
            "Resize" => one(self.resize(node)),
            "Pad" => self.pad(node),
            "DepthToSpace" => one(self.depth_to_space(node)),
            "SpaceToDepth" => one(self.space_to_depth(node)),
            "MaxPool" => one(self.pooled(node, true)),
            "AveragePool" => one(self.pooled(node, false)),
            "Softmax" => one(self.softmax(node)),
            "Clip" => one(self.clip(node)),
            operator => match reduce::Reduction::of(operator) {
                Some(reduction) => one(self.reduce(node, reduction)),
                None => self.expression(node)?.map(|entry| vec![entry]).ok_or_else(|| "is not covered".to_owned()),
            },
        }
    }
}
