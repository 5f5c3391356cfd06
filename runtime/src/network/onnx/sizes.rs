//! Sizes that the file leaves open: model.toml says them, and the batch is one picture.

use tract_onnx::pb::tensor_shape_proto::{Dimension, dimension};
use tract_onnx::pb::type_proto::Value;
use tract_onnx::pb::{GraphProto, TensorShapeProto, ValueInfoProto};

/// Puts the sizes that `size_of` knows where an input leaves them open, and forgets what followed from open ones.
pub fn settle(graph: &mut GraphProto, size_of: &dyn Fn(&str, usize) -> Option<Vec<usize>>) {
    let constants: std::collections::HashSet<&str> = graph.initializer.iter().map(|tensor| tensor.name.as_str()).collect();
    // Old files list their weights among the inputs.
    graph.input.retain(|input| !constants.contains(input.name.as_str()));
    let count = graph.input.len();
    for input in &mut graph.input {
        let Some(wanted) = size_of(&input.name, count) else { continue };
        let Some(shape) = shape(input) else { continue };
        let rank = wanted.len();
        let dims = &mut shape.get_or_insert_with(|| TensorShapeProto { dim: vec![Dimension::default(); rank] }).dim;
        if dims.len() == rank {
            for (dim, size) in dims.iter_mut().zip(wanted).filter(|(dim, _)| is_open(dim)) {
                dim.value = Some(dimension::Value::DimValue(size as i64));
            }
        }
    }
    for output in &mut graph.output {
        for dim in shape(output).into_iter().flatten().flat_map(|shape| &mut shape.dim).filter(|dim| is_open(dim)) {
            dim.value = None;
        }
    }
    // What is left is either known better from the inputs, or not known.
    graph
        .value_info
        .retain_mut(|value| shape(value).is_some_and(|shape| shape.as_ref().is_some_and(|shape| !shape.dim.iter().any(is_open))));
}

fn shape(value: &mut ValueInfoProto) -> Option<&mut Option<TensorShapeProto>> {
    let Some(Value::TensorType(tensor)) = value.r#type.as_mut()?.value.as_mut() else { return None };
    Some(&mut tensor.shape)
}

fn is_open(dim: &Dimension) -> bool {
    !matches!(dim.value, Some(dimension::Value::DimValue(size)) if size > 0)
}
