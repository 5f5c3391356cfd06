//! Weights in 8 bits to 32-bit floats: a `DequantizeLinear` whose inputs are all known is a constant, `(q - zero point) * scale`.
//!
//! What is left of a quantised network are the pairs of `QuantizeLinear` and `DequantizeLinear` between its operators.

use std::collections::HashMap;

use tract_onnx::pb::tensor_proto::DataType;
use tract_onnx::pb::{GraphProto, NodeProto, TensorProto};

use super::nodes::{called, count, floats, int};

/// Replaces every such node of the graph itself by its value.
pub fn open(graph: &mut GraphProto) -> Result<(), String> {
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
