//! Nodes that are not covered, cut out of the graph for tract.
//!
//! A part begins at a node that is not covered and ends as soon as everything that later nodes need of it is a tensor of floats that the
//! graph can hold; what it needs of constants is copied into it.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use tract_onnx::pb::tensor_proto::DataType;
use tract_onnx::pb::tensor_shape_proto::{Dimension, dimension};
use tract_onnx::pb::{GraphProto, ModelProto, NodeProto, OperatorSetIdProto, TensorShapeProto, TypeProto, ValueInfoProto, type_proto};
use tract_onnx::prelude::*;

use super::{Entry, Reader};
use crate::engine::graph::foreign::Part;
use crate::engine::graph::{Id, Kind, Node, Value, coverage};
use crate::network::guard;
use crate::network::onnx::for_tract;

/// Why a part cannot be cut out.
pub(super) enum Uncut {
    /// This value's numbers lie in another order than its axes: what made it has to be part of it.
    Turned(String),
    /// It cannot at all.
    Never(String),
}

/// The whole file, as a part of it is cut out.
pub(super) struct Whole<'a> {
    proto: &'a GraphProto,
    opset: i64,
    /// The node that computes each name.
    pub(super) made_by: HashMap<&'a str, usize>,
    /// The last node that reads each name; one behind the last for outputs of the graph.
    read_until: HashMap<&'a str, usize>,
}

impl<'a> Whole<'a> {
    pub(super) fn new(proto: &'a GraphProto, opset: i64) -> Whole<'a> {
        let (mut made_by, mut read_until) = (HashMap::new(), HashMap::new());
        for (at, node) in proto.node.iter().enumerate() {
            read(node, &mut |name| {
                read_until.insert(name, at);
            });
            node.output.iter().for_each(|name| {
                made_by.insert(name.as_str(), at);
            });
        }
        proto.output.iter().for_each(|output| {
            read_until.insert(output.name.as_str(), proto.node.len());
        });
        Whole { proto, opset, made_by, read_until }
    }

    /// The nodes `of` and those that compute the constants they need, in the graph's order.
    fn with_constants(&self, of: std::ops::RangeInclusive<usize>, entries: &HashMap<String, Entry>) -> Vec<usize> {
        let mut chosen: HashSet<usize> = of.clone().collect();
        let mut open: Vec<usize> = of.collect();
        while let Some(at) = open.pop() {
            read(&self.proto.node[at], &mut |name| {
                let constant = matches!(entries.get(name), Some(Entry::Constant(_) | Entry::Unreadable(_)));
                if let Some(&maker) = self.made_by.get(name).filter(|_| constant)
                    && chosen.insert(maker)
                {
                    open.push(maker);
                }
            });
        }
        let mut chosen: Vec<usize> = chosen.into_iter().collect();
        chosen.sort_unstable();
        chosen
    }
}

/// Every name that a node reads, in its subgraphs too.
fn read<'a>(node: &'a NodeProto, f: &mut dyn FnMut(&'a str)) {
    node.input.iter().filter(|name| !name.is_empty()).for_each(|name| f(name));
    for graph in node.attribute.iter().flat_map(|attribute| attribute.g.iter().chain(&attribute.graphs)) {
        graph.output.iter().for_each(|output| f(&output.name));
        graph.node.iter().for_each(|node| read(node, f));
    }
}

impl Reader {
    /// Cuts out the part that begins at node `from`; answers the node behind it.
    pub(super) fn cut_out(&mut self, whole: &Whole, from: usize, reason: String) -> Result<usize, Uncut> {
        let last = whole.proto.node.len() - 1;
        let mut to = from;
        loop {
            while to < last && !coverage::is_covered(&whole.proto.node[to + 1].op_type) {
                to += 1;
            }
            // Constants that are computed on the way stay constants.
            for node in &whole.proto.node[from..=to] {
                let fixed = node.input.iter().all(|name| name.is_empty() || matches!(self.entries.get(name), Some(Entry::Constant(_))));
                if fixed {
                    let _ = self.take(node);
                }
            }
            match self.part(whole, from, to, &reason) {
                Ok(()) => return Ok(to + 1),
                Err(Uncut::Never(_)) if to < last => to += 1,
                Err(uncut) => return Err(uncut),
            }
        }
    }

    fn part(&mut self, whole: &Whole, from: usize, to: usize, reason: &str) -> Result<(), Uncut> {
        let chosen = whole.with_constants(from..=to, &self.entries);
        let nodes: Vec<&NodeProto> = chosen.iter().map(|&at| &whole.proto.node[at]).collect();
        let inside: HashSet<&str> = nodes.iter().flat_map(|node| &node.output).map(String::as_str).collect();
        let mut names: Vec<&str> = Vec::new();
        for node in &nodes {
            read(node, &mut |name| names.push(name));
        }
        names.sort_unstable();
        names.dedup();
        let (mut inputs, mut arriving) = (Vec::new(), Vec::new());
        for name in names.into_iter().filter(|name| !inside.contains(name)) {
            let id = match self.entries.get(name) {
                Some(&(Entry::Value(id) | Entry::Padded(id, _))) if !self.graph.values[id].is_plain() => {
                    return Err(Uncut::Turned(name.to_owned()));
                }
                Some(Entry::Value(_) | Entry::Padded(..)) => self.settled(name).map_err(Uncut::Never)?,
                Some(&Entry::Grouped(id, _)) => id,
                _ => continue,
            };
            let shape = match self.entries.get(name) {
                Some(&Entry::Grouped(id, groups)) => vec![1, groups, self.size(id).numbers() / groups],
                _ => self.graph.values[id].shape(),
            };
            arriving.push((name.to_owned(), shape));
            inputs.push(id);
        }
        let left = |name: &&str| {
            let known = matches!(self.entries.get(*name), Some(Entry::Constant(_) | Entry::Unreadable(_)));
            !known && whole.read_until.get(name).is_some_and(|&until| until > to)
        };
        let leaving: Vec<&str> =
            whole.proto.node[from..=to].iter().flat_map(|node| &node.output).map(String::as_str).filter(left).collect();
        if inputs.is_empty() || leaving.is_empty() {
            return Err(Uncut::Never(reason.to_owned()));
        }
        let model = self.model(whole, &nodes, &arriving, &leaving).map_err(Uncut::Never)?;
        let mut outputs = Vec::new();
        for at in 0..leaving.len() {
            let fact = model.output_fact(at).map_err(|error| Uncut::Never(error.to_string()))?;
            let shape = fact.shape.as_concrete().filter(|_| fact.datum_type == f32::datum_type());
            let held = shape.and_then(Value::of_shape);
            outputs.push(held.ok_or_else(|| Uncut::Never(format!("{reason}; what comes of it, {:?}, is no tensor of floats", fact)))?);
        }
        let named = whole.proto.node[from..=to].iter().filter(|node| node.op_type != "Constant");
        let part = Part {
            nodes: named.map(|node| format!("'{}' ({})", node.name, node.op_type)).collect(),
            reason: reason.to_owned(),
            model,
            inputs: arriving.into_iter().zip(&inputs).map(|((_, shape), &id)| (shape, self.size(id))).collect(),
            outputs: outputs.iter().map(|value| value.size).collect(),
        };
        let ids: Vec<Id> = outputs.into_iter().map(|value| self.value(value)).collect();
        for (name, &id) in leaving.iter().zip(&ids) {
            self.entries.insert((*name).to_owned(), Entry::Value(id));
        }
        self.graph.nodes.push(Node { name: self.name.clone(), kind: Kind::Foreign { inputs, part: Arc::new(part) }, outputs: ids });
        Ok(())
    }

    /// The nodes as a graph of their own, typed.
    fn model(&self, whole: &Whole, nodes: &[&NodeProto], inputs: &[(String, Vec<usize>)], outputs: &[&str]) -> Result<TypedModel, String> {
        let mut used: HashSet<&str> = HashSet::new();
        for node in nodes {
            read(node, &mut |name| {
                used.insert(name);
            });
        }
        let graph = GraphProto {
            name: "part".into(),
            node: nodes.iter().map(|node| (*node).clone()).collect(),
            initializer: whole.proto.initializer.iter().filter(|tensor| used.contains(tensor.name.as_str())).cloned().collect(),
            input: inputs.iter().map(|(name, shape)| floats(name, shape)).collect(),
            output: outputs.iter().map(|name| ValueInfoProto { name: (*name).to_owned(), ..ValueInfoProto::default() }).collect(),
            ..GraphProto::default()
        };
        let opset_import = vec![OperatorSetIdProto { version: whole.opset, ..OperatorSetIdProto::default() }];
        let model = ModelProto { ir_version: 8, opset_import, graph: Some(graph), ..ModelProto::default() };
        guard::tract(|| tract_onnx::onnx().model_for_proto_model(&for_tract(&model))?.into_typed()).map_err(|trouble| trouble.to_string())
    }
}

fn floats(name: &str, shape: &[usize]) -> ValueInfoProto {
    let dimension = |&n: &usize| Dimension { value: Some(dimension::Value::DimValue(n as i64)), ..Dimension::default() };
    let shape = Some(TensorShapeProto { dim: shape.iter().map(dimension).collect() });
    let tensor = type_proto::Tensor { elem_type: DataType::Float as i32, shape };
    let r#type = Some(TypeProto { value: Some(type_proto::Value::TensorType(tensor)), ..TypeProto::default() });
    ValueInfoProto { name: name.to_owned(), r#type, ..ValueInfoProto::default() }
}
