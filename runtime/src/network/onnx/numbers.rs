//! NaN nowhere, and no infinity among weights: a training that diverged. A mask's -inf and an open bound's inf are meant.

use std::collections::{HashMap, HashSet};

use tract_onnx::pb::tensor_proto::DataType;
use tract_onnx::pb::{GraphProto, NodeProto, TensorProto};

use super::nodes::{attribute, count, subgraphs};

/// Operators whose constants are weights.
const WEIGHED: &[&str] = &[
    "Conv",
    "ConvTranspose",
    "Gemm",
    "MatMul",
    "BatchNormalization",
    "InstanceNormalization",
    "LayerNormalization",
    "GroupNormalization",
    "RMSNormalization",
    "GRU",
    "LSTM",
    "RNN",
    "PRelu",
    "Einsum",
    "ConvInteger",
    "QLinearConv",
    "Attention",
];
/// Operators through which a weight stays one.
const PASSING: [&str; 10] = ["Identity", "Transpose", "Reshape", "Squeeze", "Unsqueeze", "Cast", "Slice", "Concat", "Split", "Flatten"];

/// Refuses what no network means.
pub fn check(graph: &GraphProto) -> Result<(), String> {
    let made_by: HashMap<&str, &NodeProto> =
        graph.node.iter().flat_map(|node| node.output.iter().map(move |output| (output.as_str(), node))).collect();
    let mut weights: HashSet<&str> = HashSet::new();
    let mut open: Vec<&str> = Vec::new();
    for node in graph.node.iter().filter(|node| WEIGHED.contains(&node.op_type.as_str())) {
        open.extend(node.input.iter().map(String::as_str));
    }
    while let Some(name) = open.pop() {
        if weights.insert(name)
            && let Some(node) = made_by.get(name).filter(|node| PASSING.contains(&node.op_type.as_str()))
        {
            open.extend(node.input.iter().map(String::as_str));
        }
    }
    for tensor in &graph.initializer {
        finite(tensor, &tensor.name, weights.contains(tensor.name.as_str()))?;
    }
    for node in &graph.node {
        if node.op_type == "Constant"
            && let (Some(tensor), Some(name)) = (attribute(node, "value").and_then(|value| value.t.as_ref()), node.output.first())
        {
            finite(tensor, name, weights.contains(name.as_str()))?;
        }
        subgraphs(node).try_for_each(check)?;
    }
    Ok(())
}

fn finite(tensor: &TensorProto, name: &str, is_weight: bool) -> Result<(), String> {
    if tensor.data_type != DataType::Float as i32 {
        return Ok(());
    }
    let broken = |x: f32| x.is_nan() || (is_weight && x.is_infinite());
    let (held, at) = if tensor.raw_data.is_empty() {
        (tensor.float_data.len(), tensor.float_data.iter().position(|x| broken(*x)))
    } else {
        let chunks = tensor.raw_data.as_chunks().0;
        (chunks.len(), chunks.iter().position(|bytes| broken(f32::from_le_bytes(*bytes))))
    };
    if count(tensor) != Some(held) {
        return Err(format!("'{name}' does not hold the {:?} numbers it says; copy or export it again", tensor.dims));
    }
    match at {
        Some(at) => Err(format!("the weights '{name}' hold a NaN or infinity at element {at}; the training diverged")),
        None => Ok(()),
    }
}
