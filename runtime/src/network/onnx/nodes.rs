//! What the passes share: a node's attributes and names, and new nodes.

use std::cell::Cell;
use std::collections::HashSet;

use tract_onnx::pb::attribute_proto::AttributeType;
use tract_onnx::pb::tensor_proto::DataType;
use tract_onnx::pb::{AttributeProto, FunctionProto, GraphProto, NodeProto, OperatorSetIdProto, TensorProto};

/// Whether an import is that of the standard operators.
pub fn is_standard(import: &OperatorSetIdProto) -> bool {
    is_standard_domain(&import.domain)
}

/// Whether a node's domain is that of the standard operators.
pub fn is_standard_domain(domain: &str) -> bool {
    domain.is_empty() || domain == "ai.onnx"
}

/// A node as a refusal names it.
pub fn called(node: &NodeProto) -> String {
    let name = Some(&node.name).filter(|name| !name.is_empty()).or(node.output.first());
    format!("node '{}' ({})", name.map_or("", String::as_str), node.op_type)
}

/// A node's attribute.
pub fn attribute<'a>(node: &'a NodeProto, name: &str) -> Option<&'a AttributeProto> {
    node.attribute.iter().find(|attribute| attribute.name == name)
}

/// Takes an attribute out of a node.
pub fn take(node: &mut NodeProto, name: &str) -> Option<AttributeProto> {
    let at = node.attribute.iter().position(|attribute| attribute.name == name)?;
    Some(node.attribute.remove(at))
}

/// A whole number among a node's attributes.
pub fn int(node: &NodeProto, name: &str, default: i64) -> i64 {
    attribute(node, name).map_or(default, |attribute| attribute.i)
}

/// Text among a node's attributes.
pub fn text<'a>(node: &'a NodeProto, name: &str, default: &'a str) -> &'a str {
    attribute(node, name).map_or(default, |attribute| std::str::from_utf8(&attribute.s).unwrap_or(""))
}

/// The subgraphs a node carries.
pub fn subgraphs(node: &NodeProto) -> impl Iterator<Item = &GraphProto> {
    node.attribute.iter().flat_map(|attribute| attribute.g.iter().chain(&attribute.graphs))
}

/// The subgraphs a node carries, to be changed.
pub fn subgraphs_mut(node: &mut NodeProto) -> impl Iterator<Item = &mut GraphProto> {
    node.attribute.iter_mut().flat_map(|attribute| attribute.g.iter_mut().chain(&mut attribute.graphs))
}

/// Whether any node, of a subgraph too, is such a one.
pub fn any(graph: &GraphProto, is: &dyn Fn(&NodeProto) -> bool) -> bool {
    graph.node.iter().any(|node| is(node) || subgraphs(node).any(|inner| any(inner, is)))
}

/// Calls `f` with every tensor of numbers: initializers and attributes, those of subgraphs too.
pub fn each_tensor(graph: &mut GraphProto, f: &mut dyn FnMut(&mut TensorProto) -> Result<(), String>) -> Result<(), String> {
    graph.initializer.iter_mut().try_for_each(&mut *f)?;
    each_tensor_of(&mut graph.node, f)
}

fn each_tensor_of(nodes: &mut [NodeProto], f: &mut dyn FnMut(&mut TensorProto) -> Result<(), String>) -> Result<(), String> {
    for attribute in nodes.iter_mut().flat_map(|node| &mut node.attribute) {
        attribute.t.iter_mut().chain(&mut attribute.tensors).try_for_each(&mut *f)?;
        attribute.g.iter_mut().chain(&mut attribute.graphs).try_for_each(|inner| each_tensor(inner, f))?;
    }
    Ok(())
}

/// A node of the standard operators.
pub fn node(op: &str, name: &str, input: &[&str], output: &[&str]) -> NodeProto {
    let list = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
    NodeProto { op_type: op.into(), name: name.into(), input: list(input), output: list(output), ..NodeProto::default() }
}

/// An attribute that is a whole number.
pub fn int_attribute(name: &str, value: i64) -> AttributeProto {
    AttributeProto { name: name.into(), r#type: AttributeType::Int as i32, i: value, ..AttributeProto::default() }
}

/// An attribute that is text.
pub fn text_attribute(name: &str, value: &str) -> AttributeProto {
    AttributeProto { name: name.into(), r#type: AttributeType::String as i32, s: value.as_bytes().to_vec(), ..AttributeProto::default() }
}

/// A `Constant` node.
pub fn constant(name: &str, tensor: TensorProto) -> NodeProto {
    let value = AttributeProto { name: "value".into(), r#type: AttributeType::Tensor as i32, t: Some(tensor), ..AttributeProto::default() };
    NodeProto { attribute: vec![value], ..node("Constant", name, &[], &[name]) }
}

/// A list of whole numbers.
pub fn ints(values: &[i64]) -> TensorProto {
    let raw_data = values.iter().flat_map(|value| value.to_le_bytes()).collect();
    TensorProto { dims: vec![values.len() as i64], data_type: DataType::Int64 as i32, raw_data, ..TensorProto::default() }
}

/// 32-bit floats of the given shape.
pub fn floats(dims: &[i64], values: &[f32]) -> TensorProto {
    let raw_data = values.iter().flat_map(|value| value.to_le_bytes()).collect();
    TensorProto { dims: dims.to_vec(), data_type: DataType::Float as i32, raw_data, ..TensorProto::default() }
}

/// The numbers of a tensor of floats, whole numbers or truths; None for other kinds or where their count is not what the shape says.
pub fn numbers(tensor: &TensorProto) -> Option<Vec<f64>> {
    fn raw<const N: usize>(bytes: &[u8], read: fn([u8; N]) -> f64) -> Vec<f64> {
        bytes.as_chunks::<N>().0.iter().map(|bytes| read(*bytes)).collect()
    }
    let bytes = &tensor.raw_data[..];
    let is_raw = !bytes.is_empty();
    let values: Vec<f64> = match DataType::try_from(tensor.data_type).ok()? {
        DataType::Float if is_raw => raw(bytes, |bytes| f64::from(f32::from_le_bytes(bytes))),
        DataType::Float => tensor.float_data.iter().map(|x| f64::from(*x)).collect(),
        DataType::Double if is_raw => raw(bytes, f64::from_le_bytes),
        DataType::Double => tensor.double_data.clone(),
        DataType::Int64 if is_raw => raw(bytes, |bytes| i64::from_le_bytes(bytes) as f64),
        DataType::Int64 => tensor.int64_data.iter().map(|n| *n as f64).collect(),
        DataType::Int32 if is_raw => raw(bytes, |bytes| f64::from(i32::from_le_bytes(bytes))),
        DataType::Bool if is_raw => bytes.iter().map(|byte| f64::from(*byte)).collect(),
        DataType::Int32 | DataType::Bool => tensor.int32_data.iter().map(|n| f64::from(*n)).collect(),
        _ => return None,
    };
    (count(tensor)? == values.len()).then_some(values)
}

/// How many numbers a tensor's shape asks for; None for a negative or an overflowing one.
pub fn count(tensor: &TensorProto) -> Option<usize> {
    tensor.dims.iter().try_fold(1usize, |count, &size| count.checked_mul(usize::try_from(size).ok()?))
}

/// Gives every node a name of its own: the format does not ask for that, and tract does.
pub fn tell_apart(graph: &mut GraphProto, names: &Names) {
    let values = graph.initializer.iter().map(|tensor| &tensor.name).chain(graph.input.iter().map(|value| &value.name));
    let mut taken: HashSet<String> = values.cloned().collect();
    for node in &mut graph.node {
        if node.name.is_empty() || taken.contains(&node.name) {
            let made = node.output.iter().find(|name| !name.is_empty() && !taken.contains(*name));
            node.name = made.cloned().unwrap_or_else(|| names.fresh(&node.name));
        }
        taken.insert(node.name.clone());
        subgraphs_mut(node).for_each(|inner| tell_apart(inner, names));
    }
}

/// Names that nothing in the file has.
pub struct Names {
    prefix: String,
    next: Cell<usize>,
}

impl Names {
    /// Looks at every name of the file.
    pub fn of(graph: &GraphProto, functions: &[FunctionProto]) -> Names {
        let mut prefix = String::from("~");
        while taken(graph, &prefix) || functions.iter().any(|function| taken_by(&function.node, &prefix)) {
            prefix.push('~');
        }
        Names { prefix, next: Cell::new(0) }
    }

    /// A name for `what`, given once.
    pub fn fresh(&self, what: &str) -> String {
        self.next.set(self.next.get() + 1);
        format!("{}{}.{what}", self.prefix, self.next.get())
    }
}

fn taken(graph: &GraphProto, prefix: &str) -> bool {
    let values = graph.initializer.iter().map(|tensor| &tensor.name).chain(graph.input.iter().map(|value| &value.name));
    values.chain(graph.output.iter().map(|value| &value.name)).any(|name| name.starts_with(prefix)) || taken_by(&graph.node, prefix)
}

fn taken_by(nodes: &[NodeProto], prefix: &str) -> bool {
    nodes.iter().any(|node| {
        node.input.iter().chain(&node.output).chain([&node.name]).any(|name| name.starts_with(prefix))
            || subgraphs(node).any(|inner| taken(inner, prefix))
    })
}
