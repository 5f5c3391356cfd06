//! What tract computes otherwise than ONNX says, put in other nodes for it alone; the engine's own operators read the graph as it is.

use std::borrow::Cow;

use tract_onnx::pb::{GraphProto, ModelProto, NodeProto};

use super::nodes::{Names, any, constant, floats, node, subgraphs_mut};

/// `model` as tract is to see it. Copied only where something is to be changed.
///
/// tract's `Softplus` is ln(1 + exp x), which is infinite from x = 89 on; here it is max(x, 0) + ln(1 + exp -|x|), which is finite wherever x is.
pub fn for_tract(model: &ModelProto) -> Cow<'_, ModelProto> {
    let Some(graph) = model.graph.as_ref().filter(|graph| any(graph, &|node| node.op_type == "Softplus")) else {
        return Cow::Borrowed(model);
    };
    let names = Names::of(graph, &model.functions);
    let mut model = model.clone();
    if let Some(graph) = &mut model.graph {
        steady(graph, &names);
    }
    Cow::Owned(model)
}

fn steady(graph: &mut GraphProto, names: &Names) {
    let mut nodes = Vec::with_capacity(graph.node.len());
    for mut one in std::mem::take(&mut graph.node) {
        subgraphs_mut(&mut one).for_each(|inner| steady(inner, names));
        match one.op_type.as_str() {
            "Softplus" => softplus(&one, names, &mut nodes),
            _ => nodes.push(one),
        }
    }
    graph.node = nodes;
}

fn softplus(whole: &NodeProto, names: &Names, out: &mut Vec<NodeProto>) {
    let (Some(input), Some(output)) = (whole.input.first(), whole.output.first()) else { return };
    let [above, size, below, small, one, more, bend] =
        ["above", "size", "below", "small", "one", "more", "bend"].map(|what| names.fresh(what));
    out.push(node("Relu", &above, &[input], &[&above]));
    out.push(node("Abs", &size, &[input], &[&size]));
    out.push(node("Neg", &below, &[&size], &[&below]));
    out.push(node("Exp", &small, &[&below], &[&small]));
    out.push(constant(&one, floats(&[], &[1.0])));
    out.push(node("Add", &more, &[&small, &one], &[&more]));
    out.push(node("Log", &bend, &[&more], &[&bend]));
    out.push(node("Add", &whole.name, &[&above, &bend], &[output]));
}

#[cfg(test)]
mod tests {
    use super::*;
    use tract_onnx::pb::tensor_shape_proto::{Dimension, dimension::Value};
    use tract_onnx::pb::{OperatorSetIdProto, TensorShapeProto, TypeProto, ValueInfoProto, type_proto};
    use tract_onnx::prelude::*;

    const X: [f32; 8] = [-1000.0, -90.0, -3.0, 0.0, 3.0, 60.0, 90.0, 1000.0];

    fn value(name: &str) -> ValueInfoProto {
        let dim = Dimension { denotation: String::new(), value: Some(Value::DimValue(X.len() as i64)) };
        let tensor = type_proto::Tensor { elem_type: 1, shape: Some(TensorShapeProto { dim: vec![dim] }) };
        let kind = TypeProto { denotation: String::new(), value: Some(type_proto::Value::TensorType(tensor)) };
        ValueInfoProto { name: name.into(), r#type: Some(kind), doc_string: String::new() }
    }

    /// A graph of `op` alone.
    fn model(op: &str) -> ModelProto {
        let graph = GraphProto {
            node: vec![node(op, "only", &["x"], &["y"])],
            input: vec![value("x")],
            output: vec![value("y")],
            ..GraphProto::default()
        };
        let standard = OperatorSetIdProto { domain: String::new(), version: 18 };
        ModelProto { ir_version: 8, opset_import: vec![standard], graph: Some(graph), ..ModelProto::default() }
    }

    #[test]
    fn softplus_is_finite_wherever_its_input_is() {
        let model = model("Softplus");
        let run = tract_onnx::onnx().model_for_proto_model(&for_tract(&model)).unwrap().into_optimized().unwrap().into_runnable().unwrap();
        let answer = run.run(tvec!(tensor1(&X).into())).unwrap();
        let got = answer[0].as_plain_ram().unwrap();
        for (x, got) in X.iter().zip(got.as_slice::<f32>().unwrap()) {
            let expected = f64::from(*x).max(0.0) + (-f64::from(*x).abs()).exp().ln_1p();
            assert!((f64::from(*got) - expected).abs() <= 1e-6 * expected.max(1.0), "softplus({x}) = {got}, not {expected}");
        }
    }

    #[test]
    fn what_tract_reads_right_is_not_copied() {
        assert!(matches!(for_tract(&model("Sigmoid")), Cow::Borrowed(_)));
    }
}
