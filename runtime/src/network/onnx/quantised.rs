//! Weights in 8 bits to 32-bit floats: a `DequantizeLinear` whose inputs are all known is a constant, `(q - zero point) * scale`.
//!
//! What is left of a quantised network are the pairs of `QuantizeLinear` and `DequantizeLinear` between its operators: together they are
//! `scale * round(clip(x / scale))`, the clip to what 8 bits hold less the zero point, and that is what they become.

use std::collections::HashMap;

use tract_onnx::pb::tensor_proto::DataType;
use tract_onnx::pb::{GraphProto, NodeProto, TensorProto};

use super::nodes::{Names, called, constant, count, floats, int, node as made};

/// Replaces every such node of the graph itself by its value, and every such pair.
pub fn open(graph: &mut GraphProto, names: &Names) -> Result<(), String> {
    weights(graph)?;
    pairs(graph, names);
    Ok(())
}

fn weights(graph: &mut GraphProto) -> Result<(), String> {
    let known: HashMap<&str, &TensorProto> = graph.initializer.iter().map(|tensor| (tensor.name.as_str(), tensor)).collect();
    let mut opened = Vec::new();
    for node in graph.node.iter().filter(|node| node.op_type == "DequantizeLinear" && node.domain.is_empty()) {
        let inputs: Option<Vec<&TensorProto>> = node.input.iter().map(|name| known.get(name.as_str()).copied()).collect();
        if let Some(value) = inputs.and_then(|inputs| dequantised(node, &inputs)) {
            opened.push(value.map_err(|reason| format!("{}: {reason}", called(node)))?);
        }
    }
    graph.node.retain(|node| !opened.iter().any(|tensor| node.output.first() == Some(&tensor.name)));
    graph.initializer.extend(opened);
    Ok(())
}

/// Numbers of 8 bits with one scale: what they are divided by, and the least and the greatest of them less the zero point.
#[derive(Clone, Copy, PartialEq)]
struct Levels {
    scale: f32,
    least: f32,
    greatest: f32,
}

impl Levels {
    /// Of a `QuantizeLinear` or `DequantizeLinear`; None where they are not known or of another form.
    fn of(node: &NodeProto, known: &HashMap<&str, &TensorProto>) -> Option<Levels> {
        let tensor = |at: usize| node.input.get(at).and_then(|name| known.get(name.as_str()).copied());
        let zero = tensor(2)?;
        let (least, greatest) = match DataType::try_from(zero.data_type).ok()? {
            DataType::Int8 => (-128, 127),
            DataType::Uint8 => (0, 255),
            _ => return None,
        };
        let (&[scale], &[zero]) = (&numbers(tensor(1)?)?[..], &whole(zero)?[..]) else { return None };
        let good = scale.is_finite() && scale > 0.0 && int(node, "block_size", 0) == 0;
        good.then_some(Levels { scale, least: (least - zero) as f32, greatest: (greatest - zero) as f32 })
    }
}

/// Spells each `QuantizeLinear` that only `DequantizeLinear` of the same levels read.
fn pairs(graph: &mut GraphProto, names: &Names) {
    let known: HashMap<&str, &TensorProto> = graph.initializer.iter().map(|tensor| (tensor.name.as_str(), tensor)).collect();
    let mut spelled: HashMap<String, Levels> = HashMap::new();
    for node in graph.node.iter().filter(|node| node.op_type == "QuantizeLinear" && node.domain.is_empty()) {
        let (Some(levels), [name]) = (Levels::of(node, &known), &node.output[..]) else { continue };
        let back = |reader: &NodeProto| {
            reader.op_type == "DequantizeLinear" && reader.input.first() == Some(name) && Levels::of(reader, &known) == Some(levels)
        };
        let mut readers = graph.node.iter().filter(|reader| reader.input.contains(name) || !reader.attribute.iter().all(|a| a.g.is_none()));
        if readers.all(back) && !graph.output.iter().any(|output| output.name == *name) {
            spelled.insert(name.clone(), levels);
        }
    }
    let mut nodes = Vec::with_capacity(graph.node.len());
    for node in std::mem::take(&mut graph.node) {
        let (quantised, back) = (node.op_type == "QuantizeLinear", node.op_type == "DequantizeLinear");
        let levels = if quantised { node.output.first() } else { node.input.first() }.and_then(|name| spelled.get(name)).copied();
        let Some(Levels { scale, least, greatest }) = levels.filter(|_| quantised || back) else {
            nodes.push(node);
            continue;
        };
        let mut number = |value: f32| {
            let name = names.fresh("level");
            nodes.push(constant(&name, floats(&[], &[value])));
            name
        };
        let scale = number(scale);
        if quantised {
            let (least, greatest) = (number(least), number(greatest));
            let (divided, kept) = (names.fresh("divided"), names.fresh("kept"));
            nodes.push(made("Div", &node.name, &[&node.input[0], &scale], &[&divided]));
            nodes.push(made("Clip", &node.name, &[&divided, &least, &greatest], &[&kept]));
            nodes.push(made("Round", &node.name, &[&kept], &[&node.output[0]]));
        } else {
            nodes.push(made("Mul", &node.name, &[&node.input[0], &scale], &[&node.output[0]]));
        }
    }
    graph.node = nodes;
}

/// The node's value; None where its form is not one of these: it then stays a node.
fn dequantised(node: &NodeProto, inputs: &[&TensorProto]) -> Option<Result<TensorProto, String>> {
    let (given, scale) = (inputs.first()?, inputs.get(1)?);
    if int(node, "block_size", 0) != 0 {
        return None;
    }
    let (values, scales) = (whole(given)?, numbers(scale)?);
    let zeros = match inputs.get(2) {
        Some(zeros) => whole(zeros)?,
        None => vec![0; scales.len()],
    };
    let rank = given.dims.len() as i64;
    let axis = int(node, "axis", 1);
    let axis = if axis < 0 { axis + rank } else { axis };
    let (along, behind) = match (scales.len(), usize::try_from(axis).ok().filter(|axis| *axis < given.dims.len())) {
        (1, _) => (1, values.len().max(1)),
        (_, Some(axis)) => (given.dims[axis] as usize, given.dims[axis + 1..].iter().product::<i64>() as usize),
        (_, None) => return Some(Err(format!("it has no axis {axis}"))),
    };
    if along != scales.len() || zeros.len() != scales.len() || behind == 0 {
        return Some(Err(format!("{} scales and {} zero points for {along} channels", scales.len(), zeros.len())));
    }
    let value = |(at, value): (usize, &i32)| {
        let channel = at / behind % along;
        (value - zeros[channel]) as f32 * scales[channel]
    };
    let values: Vec<f32> = values.iter().enumerate().map(value).collect();
    Some(Ok(TensorProto { name: node.output[0].clone(), ..floats(&given.dims, &values) }))
}

/// Whole numbers of 8 or 32 bits.
fn whole(tensor: &TensorProto) -> Option<Vec<i32>> {
    let raw = &tensor.raw_data[..];
    let values: Vec<i32> = match DataType::try_from(tensor.data_type).ok()? {
        DataType::Int8 if !raw.is_empty() => raw.iter().map(|byte| i32::from(byte.cast_signed())).collect(),
        DataType::Uint8 if !raw.is_empty() => raw.iter().map(|byte| i32::from(*byte)).collect(),
        DataType::Int32 if !raw.is_empty() => raw.as_chunks().0.iter().map(|bytes| i32::from_le_bytes(*bytes)).collect(),
        DataType::Int8 | DataType::Uint8 | DataType::Int32 => tensor.int32_data.clone(),
        _ => return None,
    };
    (count(tensor) == Some(values.len())).then_some(values)
}

fn numbers(tensor: &TensorProto) -> Option<Vec<f32>> {
    let values: Vec<f32> = match DataType::try_from(tensor.data_type).ok()? {
        DataType::Float if tensor.raw_data.is_empty() => tensor.float_data.clone(),
        DataType::Float => tensor.raw_data.as_chunks().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect(),
        _ => return None,
    };
    (count(tensor) == Some(values.len())).then_some(values)
}
