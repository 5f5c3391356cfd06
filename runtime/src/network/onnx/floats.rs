//! 16-bit floats to 32-bit ones: the network is computed in 32 bits whatever its file was written in.

use std::collections::HashSet;

use tract_onnx::pb::tensor_proto::DataType;
use tract_onnx::pb::type_proto::Value;
use tract_onnx::pb::{GraphProto, NodeProto, TensorProto, ValueInfoProto};

use super::nodes::{count, each_tensor, int, subgraphs_mut, take};

/// Operators whose answers are floats whatever goes in.
const FLOATS: &[&str] = &[
    "Conv",
    "ConvTranspose",
    "BatchNormalization",
    "InstanceNormalization",
    "LayerNormalization",
    "GroupNormalization",
    "Sigmoid",
    "Tanh",
    "Softmax",
    "LogSoftmax",
    "Exp",
    "Log",
    "Sqrt",
    "Erf",
    "Softplus",
    "Elu",
    "Selu",
    "Celu",
    "Gelu",
    "LeakyRelu",
    "HardSigmoid",
    "HardSwish",
    "Mish",
    "PRelu",
    "AveragePool",
    "GlobalAveragePool",
    "GlobalMaxPool",
    "Reciprocal",
    "Softsign",
    "RMSNormalization",
    "DequantizeLinear",
];
/// Operators whose answers are of their first input's kind.
const SAME: &[&str] = &[
    "Add",
    "Sub",
    "Mul",
    "Div",
    "Pow",
    "Min",
    "Max",
    "Sum",
    "Mean",
    "Neg",
    "Abs",
    "Relu",
    "Clip",
    "Identity",
    "Concat",
    "Split",
    "Slice",
    "Reshape",
    "Transpose",
    "Flatten",
    "Squeeze",
    "Unsqueeze",
    "Pad",
    "Resize",
    "MaxPool",
    "MatMul",
    "Gemm",
    "ReduceSum",
    "ReduceMax",
    "ReduceMin",
    "ReduceMean",
    "DepthToSpace",
    "SpaceToDepth",
    "Expand",
    "Gather",
    "Tile",
];

/// Makes every 16-bit float of the graph a 32-bit one: numbers, declared kinds and casts.
pub fn widen(graph: &mut GraphProto) -> Result<(), String> {
    each_tensor(graph, &mut widen_tensor)?;
    let mut floats = HashSet::new();
    widen_kinds(graph, &mut floats);
    Ok(())
}

fn is_half(kind: i32) -> bool {
    matches!(DataType::try_from(kind), Ok(DataType::Float16 | DataType::Bfloat16))
}

fn widen_tensor(tensor: &mut TensorProto) -> Result<(), String> {
    let to_float = match DataType::try_from(tensor.data_type) {
        Ok(DataType::Float16) => from_half,
        Ok(DataType::Bfloat16) => |bits: u16| f32::from_bits(u32::from(bits) << 16),
        _ => return Ok(()),
    };
    let bits: Vec<u16> = if tensor.raw_data.is_empty() {
        tensor.int32_data.iter().map(|bits| *bits as u16).collect()
    } else {
        tensor.raw_data.as_chunks().0.iter().map(|bytes| u16::from_le_bytes(*bytes)).collect()
    };
    if count(tensor) != Some(bits.len()) {
        return Err(format!("'{}' does not hold the {:?} numbers it says; export it again", tensor.name, tensor.dims));
    }
    tensor.raw_data = bits.into_iter().flat_map(|bits| to_float(bits).to_le_bytes()).collect();
    tensor.int32_data.clear();
    tensor.data_type = DataType::Float as i32;
    Ok(())
}

/// IEEE 754 binary16. O(1).
fn from_half(bits: u16) -> f32 {
    let (sign, exponent, fraction) = (u32::from(bits >> 15) << 31, u32::from(bits >> 10) & 31, u32::from(bits) & 1023);
    let magnitude = match exponent {
        // Below the smallest normal number: so many parts of 2^-24, which a 32-bit float holds exactly.
        0 => (fraction as f32 / 16_777_216.0).to_bits(),
        31 => 0x7f80_0000 | fraction << 13,
        _ => (exponent + 112) << 23 | fraction << 13,
    };
    f32::from_bits(sign | magnitude)
}

/// Declared kinds and casts; a cast of what is a 32-bit float already to one is taken away.
fn widen_kinds(graph: &mut GraphProto, floats: &mut HashSet<String>) {
    for value in graph.input.iter_mut().chain(&mut graph.output).chain(&mut graph.value_info) {
        widen_value(value);
    }
    floats.extend(graph.input.iter().filter(|value| kind(value) == Some(DataType::Float as i32)).map(|value| value.name.clone()));
    let constants = graph.initializer.iter().filter(|tensor| tensor.data_type == DataType::Float as i32);
    floats.extend(constants.map(|tensor| tensor.name.clone()));
    for node in &mut graph.node {
        for name in ["to", "dtype", "output_dtype"] {
            if let Some(kind) = node.attribute.iter_mut().find(|attribute| attribute.name == name)
                && i32::try_from(kind.i).is_ok_and(is_half)
            {
                kind.i = DataType::Float as i64;
            }
        }
        let first = node.input.first().is_some_and(|name| floats.contains(name));
        if node.op_type == "Cast" && first && int(node, "to", 0) == DataType::Float as i64 {
            node.op_type = "Identity".into();
            node.attribute.clear();
        } else if node.op_type == "Cast" {
            take(node, "saturate");
            take(node, "round_mode");
        }
        if is_float(node, first) {
            // Other outputs, like the places that a MaxPool found, are of other kinds.
            let kinds = if node.op_type == "Split" { node.output.len() } else { 1 };
            floats.extend(node.output.iter().take(kinds).filter(|name| !name.is_empty()).cloned());
        }
        for inner in subgraphs_mut(node) {
            widen_kinds(inner, floats);
        }
    }
}

fn is_float(node: &NodeProto, first: bool) -> bool {
    match node.op_type.as_str() {
        "Constant" => node.attribute.iter().any(|value| value.t.as_ref().is_some_and(|tensor| tensor.data_type == DataType::Float as i32)),
        "Cast" => int(node, "to", 0) == DataType::Float as i64,
        op => FLOATS.contains(&op) || (first && SAME.contains(&op)),
    }
}

fn kind(value: &ValueInfoProto) -> Option<i32> {
    let Some(Value::TensorType(tensor)) = value.r#type.as_ref()?.value.as_ref() else { return None };
    Some(tensor.elem_type)
}

fn widen_value(value: &mut ValueInfoProto) {
    if let Some(Value::TensorType(tensor)) = value.r#type.as_mut().and_then(|kind| kind.value.as_mut())
        && is_half(tensor.elem_type)
    {
        tensor.elem_type = DataType::Float as i32;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn halves_of_every_kind_are_read() {
        for (bits, value) in [
            (0x0000, 0.0),
            (0x3c00, 1.0),
            (0xc000, -2.0),
            (0x7bff, 65504.0),
            (0x0001, 5.960_464_5e-8),
            (0x03ff, 6.097_555e-5),
            (0x0400, 6.103_515_6e-5),
            (0x7c00, f32::INFINITY),
            (0xfc00, f32::NEG_INFINITY),
        ] {
            assert_eq!(from_half(bits), value, "{bits:04x}");
        }
        assert!(from_half(0x7e00).is_nan());
        assert!(from_half(0x8000).is_sign_negative());
    }
}
