//! A graph of each kind, against values worked out by hand.

use tract_onnx::pb::attribute_proto::AttributeType;
use tract_onnx::pb::tensor_proto::DataType;
use tract_onnx::pb::{AttributeProto, GraphProto, NodeProto, TensorProto, ValueInfoProto};

use super::reach::Reach;
use super::*;

fn node(op: &str, inputs: &str, outputs: &str) -> NodeProto {
    let list = |names: &str| names.split_whitespace().map(str::to_owned).collect();
    NodeProto { op_type: op.into(), name: format!("the-{op}"), input: list(inputs), output: list(outputs), ..NodeProto::default() }
}

trait With {
    fn ints(self, name: &str, ints: &[i64]) -> Self;
    fn int(self, name: &str, i: i64) -> Self;
    fn text(self, name: &str, text: &str) -> Self;
}

impl With for NodeProto {
    fn ints(mut self, name: &str, ints: &[i64]) -> NodeProto {
        let r#type = AttributeType::Ints as i32;
        self.attribute.push(AttributeProto { name: name.into(), r#type, ints: ints.to_vec(), ..AttributeProto::default() });
        self
    }

    fn int(mut self, name: &str, i: i64) -> NodeProto {
        let r#type = AttributeType::Int as i32;
        self.attribute.push(AttributeProto { name: name.into(), r#type, i, ..AttributeProto::default() });
        self
    }

    fn text(mut self, name: &str, text: &str) -> NodeProto {
        let s = text.as_bytes().to_vec();
        let r#type = AttributeType::String as i32;
        self.attribute.push(AttributeProto { name: name.into(), r#type, s, ..AttributeProto::default() });
        self
    }
}

fn floats(name: &str, dims: &[i64], value: f32) -> TensorProto {
    let count = dims.iter().product::<i64>() as usize;
    TensorProto {
        name: name.into(),
        dims: dims.to_vec(),
        data_type: DataType::Float as i32,
        float_data: vec![value; count],
        ..TensorProto::default()
    }
}

fn ints(name: &str, values: &[i64]) -> TensorProto {
    let dims = vec![values.len() as i64];
    TensorProto { name: name.into(), dims, data_type: DataType::Int64 as i32, int64_data: values.to_vec(), ..TensorProto::default() }
}

/// Reads nodes over `x` that end in `y`.
fn graph(x: &[usize], nodes: Vec<NodeProto>, constants: Vec<TensorProto>) -> Result<Graph, String> {
    let output = vec![ValueInfoProto { name: "y".into(), ..ValueInfoProto::default() }];
    let proto = GraphProto { node: nodes, initializer: constants, output, ..GraphProto::default() };
    of_records(&proto, &[("x".to_owned(), x.to_vec())])
}

fn shape(graph: &Graph) -> Vec<usize> {
    graph.values[graph.outputs[0].1].shape()
}

fn kinds(graph: &Graph) -> Vec<&Kind> {
    graph.nodes.iter().map(|node| &node.kind).collect()
}

fn reach(graph: &Graph) -> Reach {
    reach::of(graph)[graph.outputs[0].1].clone()
}

fn within(stride: f64, before: f64, after: f64) -> Reach {
    Reach::Within { stride: [stride; 2], before: [before; 2], after: [after; 2] }
}

#[test]
fn a_convolution_takes_the_border_before_it() {
    let pads = ints("pads", &[0, 0, 1, 2, 0, 0, 3, 4]);
    let nodes = vec![node("Pad", "x pads", "p"), node("Conv", "p w", "y").ints("strides", &[2, 2]).ints("pads", &[1, 1, 1, 1])];
    let graph = graph(&[1, 3, 10, 12], nodes, vec![pads, floats("w", &[4, 3, 3, 3], 1.0)]).unwrap();
    let [Kind::Convolution { geometry, .. }] = kinds(&graph)[..] else { panic!("{graph:?}") };
    assert_eq!((geometry.begin, geometry.end), ([2, 3], [4, 5]));
    assert_eq!(shape(&graph), [1, 4, 7, 9]);
    assert_eq!(cost::of_graph(&graph).macs, 4 * 3 * 9 * 7 * 9);
}

#[test]
fn a_border_that_something_else_needs_is_laid() {
    let pads = ints("pads", &[0, 0, 1, 1, 0, 0, 1, 1]);
    let graph = graph(&[1, 1, 2, 2], vec![node("Pad", "x pads", "p"), node("Abs", "p", "y")], vec![pads]).unwrap();
    let [Kind::Gather { rows, .. }, Kind::Map { op: Op::Abs, .. }] = kinds(&graph)[..] else { panic!("{graph:?}") };
    assert_eq!(*rows, [OUTSIDE, 0, 1, OUTSIDE]);
}

#[test]
fn a_transposed_convolution_is_a_convolution_and_a_shuffle() {
    let graph =
        graph(&[1, 3, 4, 5], vec![node("ConvTranspose", "x w", "y").ints("strides", &[2, 2])], vec![floats("w", &[3, 2, 2, 2], 1.0)]);
    let graph = graph.unwrap();
    let [Kind::Convolution { geometry, .. }, Kind::PixelShuffle { block, order, .. }] = kinds(&graph)[..] else { panic!("{graph:?}") };
    assert_eq!((geometry.kernel, geometry.cout, *block, *order), ([1, 1], 8, [2, 2], ChannelOrder::ChannelFirst));
    assert_eq!(shape(&graph), [1, 2, 8, 10]);
    assert_eq!(reach(&graph), within(0.5, 0.5, 0.0));
}

#[test]
fn the_reach_of_convolutions_adds_up_over_strides() {
    let conv = |from: &str, to: &str, stride: i64| {
        node("Conv", &format!("{from} w"), to).ints("strides", &[stride; 2]).ints("pads", &[1, 1, 1, 1])
    };
    let graph =
        graph(&[1, 1, 32, 32], vec![conv("x", "a", 2), conv("a", "b", 2), conv("b", "y", 1)], vec![floats("w", &[1, 1, 3, 3], 1.0)]);
    // Of the last: one pixel of stride 4 on each side; before it 1 * 2, before that 1.
    assert_eq!(reach(&graph.unwrap()), within(4.0, 7.0, 7.0));
}

#[test]
fn a_dilated_convolution_and_a_resize_reach_further() {
    let conv = node("Conv", "x w", "a").ints("dilations", &[3, 3]).ints("pads", &[3, 3, 3, 3]);
    let resize = node("Resize", "a r s", "y")
        .text("mode", "nearest")
        .text("coordinate_transformation_mode", "asymmetric")
        .text("nearest_mode", "floor");
    let constants = vec![floats("w", &[1, 1, 3, 3], 1.0), floats("r", &[0], 0.0), {
        TensorProto { float_data: vec![1.0, 1.0, 2.0, 2.0], ..floats("s", &[4], 0.0) }
    }];
    let graph = graph(&[1, 1, 8, 8], vec![conv, resize], constants).unwrap();
    assert_eq!(shape(&graph), [1, 1, 16, 16]);
    let Reach::Within { stride, before, after } = reach(&graph) else { panic!("it reaches a window") };
    assert!((stride[0] - 0.5).abs() < 0.05 && (3.0..4.1).contains(&before[0]) && (3.0..4.1).contains(&after[0]), "{before:?} {after:?}");
}

#[test]
fn what_reads_the_whole_picture_is_named() {
    for (node, constants) in [
        (node("GlobalAveragePool", "x", "y"), vec![]),
        (node("InstanceNormalization", "x g b", "y"), vec![floats("g", &[2], 1.0), floats("b", &[2], 0.0)]),
    ] {
        let name = format!("node '{}' ({})", node.name, node.op_type);
        assert_eq!(reach(&graph(&[1, 2, 4, 4], vec![node], constants).unwrap()), Reach::Global(name.as_str().into()));
    }
    let softmax = graph(&[1, 2, 4, 4], vec![node("Softmax", "x", "y").int("axis", 1)], vec![]).unwrap();
    assert_eq!(reach(&softmax), within(1.0, 0.0, 0.0));
}

#[test]
fn a_square_that_is_averaged_is_one_reduction() {
    let axes = ints("axes", &[1]);
    let graph = graph(&[1, 6, 3, 3], vec![node("Mul", "x x", "s"), node("ReduceMean", "s axes", "y")], vec![axes]).unwrap();
    let [Kind::Reduce { fold: Fold::Squares, pixels: false, channels: true, mean: true, .. }] = kinds(&graph)[..] else {
        panic!("{graph:?}")
    };
    assert_eq!(shape(&graph), [1, 1, 3, 3]);
}

#[test]
fn constants_are_folded_and_what_no_output_needs_is_left_out() {
    let nodes = vec![node("Mul", "two two", "four"), node("Exp", "x", "unused"), node("Add", "x four", "y")];
    let graph = graph(&[1, 1, 2, 2], nodes, vec![floats("two", &[], 2.0)]).unwrap();
    let [Kind::Map { op: Op::Add, operands }] = kinds(&graph)[..] else { panic!("{graph:?}") };
    assert!(matches!(operands[1], Operand::Number(x) if x == 4.0), "{operands:?}");
}

#[test]
fn a_layer_norm_of_the_last_axis_is_over_channels() {
    let nodes = vec![
        node("Transpose", "x", "t").ints("perm", &[0, 2, 3, 1]),
        node("LayerNormalization", "t g b", "n").int("axis", -1),
        node("MatMul", "n w", "m"),
        node("Transpose", "m", "y").ints("perm", &[0, 3, 1, 2]),
    ];
    let constants = vec![floats("g", &[4], 2.0), floats("b", &[4], 1.0), floats("w", &[4, 8], 0.5)];
    let graph = graph(&[1, 4, 3, 5], nodes, constants).unwrap();
    assert_eq!(shape(&graph), [1, 8, 3, 5]);
    let convolutions = kinds(&graph).into_iter().filter(|kind| matches!(kind, Kind::Convolution { geometry, .. } if geometry.cout == 8));
    assert_eq!(convolutions.count(), 1);
    assert_eq!(reach(&graph), within(1.0, 0.0, 0.0));
}

#[test]
fn a_norm_in_groups_is_recognised_by_its_reshapes() {
    let nodes = vec![
        node("Reshape", "x groups", "r"),
        node("InstanceNormalization", "r one zero", "i"),
        node("Shape", "x", "s"),
        node("Reshape", "i back", "y"),
    ];
    let constants = vec![ints("groups", &[0, 2, -1]), ints("back", &[1, 6, 4, 4]), floats("one", &[2], 1.0), floats("zero", &[2], 0.0)];
    let nodes = nodes.into_iter().filter(|node| node.op_type != "Shape").collect();
    let graph = graph(&[1, 6, 4, 4], nodes, constants).unwrap();
    assert_eq!(shape(&graph), [1, 6, 4, 4]);
    assert!(matches!(reach(&graph), Reach::Global(_)));
}

#[test]
fn reshapes_that_move_nothing_are_read_and_others_refused_by_name() {
    let to = |shape: &[i64]| graph(&[1, 6, 4, 5], vec![node("Reshape", "x to", "y")], vec![ints("to", shape)]);
    assert_eq!(shape(&to(&[1, 6, 20]).unwrap()), [1, 6, 20]);
    assert_eq!(shape(&to(&[6, 4, 5]).unwrap()), [6, 4, 5]);
    let refused = to(&[1, 3, 8, 5]).unwrap_err();
    assert!(refused.contains("the-Reshape") && refused.contains("not covered"), "{refused}");
    let vector = graph(
        &[1, 6, 1, 1],
        vec![node("Flatten", "x", "f"), node("Gemm", "f w b", "y").int("transB", 1)],
        vec![floats("w", &[3, 6], 1.0), floats("b", &[3], 1.0)],
    );
    assert_eq!(shape(&vector.unwrap()), [1, 3]);
}

#[test]
fn an_output_whose_numbers_lie_in_another_order_is_refused() {
    let turned = graph(&[1, 6, 4, 5], vec![node("Transpose", "x", "y").ints("perm", &[0, 2, 3, 1])], vec![]);
    assert!(turned.unwrap_err().contains("another order"));
}

#[test]
fn numbers_beside_a_value_are_put_in_its_order() {
    let value = Value { size: Size { channels: 2, rows: 1, columns: 3 }, axes: vec![Axis::One, Axis::Columns, Axis::Channels] };
    let constant = Constant { shape: vec![3, 2], values: vec![0.0, 1.0, 2.0, 3.0, 4.0, 5.0] };
    let (values, size) = constant.beside(&value).unwrap();
    assert_eq!((values, size), (vec![0.0, 2.0, 4.0, 1.0, 3.0, 5.0], value.size));
    let alone = Constant { shape: vec![2], values: vec![7.0, 8.0] };
    assert_eq!(alone.beside(&value).unwrap().1, Size { channels: 2, rows: 1, columns: 1 });
    assert!(Constant { shape: vec![3], values: vec![0.0; 3] }.beside(&value).is_none());
}

/// The list of what is covered is what the reader reads.
#[test]
fn every_operator_of_the_list_is_read_and_no_other() {
    for (operator, _) in crate::network::onnx::table().filter(|(name, _)| !["Swish", "Upsample"].contains(name)) {
        let refused = graph(&[1, 1, 2, 2], vec![node(operator, "", "y")], vec![]).unwrap_err();
        assert_eq!(!refused.ends_with("): is not covered"), coverage::is_covered(operator), "{operator}: {refused}");
    }
    assert!(coverage::COVERED.is_sorted_by_key(|covered| covered.operator));
}
