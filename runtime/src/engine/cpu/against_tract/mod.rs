//! Every operator that is lowered gives tract's answer: graphs of one node, of any shape, on every instruction set.

mod operators;

use proptest::prelude::*;
use tract_onnx::pb::tensor_proto::DataType;
use tract_onnx::pb::tensor_shape_proto::{Dimension, dimension};
use tract_onnx::pb::{
    AttributeProto, GraphProto, ModelProto, NodeProto, OperatorSetIdProto, TensorProto, TensorShapeProto, TypeProto, ValueInfoProto,
    attribute_proto, type_proto,
};
use tract_onnx::prelude::*;

use super::lower::{Bound, lower};
use super::machine::{Layout, Machine};
use super::noise::noise;
use super::simd::Isa;
use crate::engine::graph;

/// A graph of one node, or of a few before it.
#[derive(Clone, Debug)]
struct One {
    before: Vec<NodeProto>,
    node: NodeProto,
    inputs: Vec<Vec<usize>>,
    weights: Vec<TensorProto>,
}

impl One {
    fn new(operator: &str) -> One {
        let node = NodeProto { op_type: operator.into(), name: operator.into(), output: vec!["out0".into()], ..NodeProto::default() };
        One { before: Vec::new(), node, inputs: Vec::new(), weights: Vec::new() }
    }

    fn input(mut self, shape: [usize; 4]) -> One {
        self.node.input.push(format!("in{}", self.inputs.len()));
        self.inputs.push(shape.to_vec());
        self
    }

    fn weights(mut self, shape: &[usize], values: Vec<f32>) -> One {
        let name = format!("weight{}", self.weights.len());
        self.node.input.push(name.clone());
        let dims = shape.iter().map(|&n| n as i64).collect();
        self.weights.push(TensorProto { name, dims, data_type: DataType::Float as i32, float_data: values, ..TensorProto::default() });
        self
    }

    fn numbers(mut self, numbers: &[i64]) -> One {
        let name = format!("weight{}", self.weights.len());
        self.node.input.push(name.clone());
        let (dims, int64_data) = (vec![numbers.len() as i64], numbers.to_vec());
        self.weights.push(TensorProto { name, dims, data_type: DataType::Int64 as i32, int64_data, ..TensorProto::default() });
        self
    }

    fn int(mut self, name: &str, i: i64) -> One {
        self.node.attribute.push(AttributeProto {
            name: name.into(),
            i,
            r#type: attribute_proto::AttributeType::Int as i32,
            ..AttributeProto::default()
        });
        self
    }

    fn float(mut self, name: &str, f: f32) -> One {
        self.node.attribute.push(AttributeProto {
            name: name.into(),
            f,
            r#type: attribute_proto::AttributeType::Float as i32,
            ..AttributeProto::default()
        });
        self
    }

    fn text(mut self, name: &str, text: &str) -> One {
        self.node.attribute.push(AttributeProto {
            name: name.into(),
            s: text.into(),
            r#type: attribute_proto::AttributeType::String as i32,
            ..AttributeProto::default()
        });
        self
    }

    fn ints(mut self, name: &str, numbers: &[usize]) -> One {
        self.node.attribute.push(AttributeProto {
            name: name.into(),
            ints: numbers.iter().map(|&n| n as i64).collect(),
            r#type: attribute_proto::AttributeType::Ints as i32,
            ..AttributeProto::default()
        });
        self
    }

    /// One more node, which takes this one's outputs in the given order, and perhaps inputs of the graph.
    fn then(mut self, operator: &str, takes: &[&str]) -> One {
        for output in &mut self.node.output {
            *output = output.replace("out", &format!("mid{}_", self.before.len()));
        }
        let next = One::new(operator).node;
        let name = format!("{operator}{}", self.before.len());
        self.before
            .push(std::mem::replace(&mut self.node, NodeProto { name, input: takes.iter().map(|&name| name.into()).collect(), ..next }));
        self
    }

    fn outputs(mut self, count: usize) -> One {
        self.node.output = (0..count).map(|at| format!("out{at}")).collect();
        self
    }

    fn model(&self) -> ModelProto {
        let dimension = |&n: &usize| Dimension { value: Some(dimension::Value::DimValue(n as i64)), ..Dimension::default() };
        let info = |name: String, shape: &[usize]| {
            let shape = Some(TensorShapeProto { dim: shape.iter().map(dimension).collect() });
            let tensor = type_proto::Tensor { elem_type: DataType::Float as i32, shape };
            let r#type = Some(TypeProto { value: Some(type_proto::Value::TensorType(tensor)), ..TypeProto::default() });
            ValueInfoProto { name, r#type, ..ValueInfoProto::default() }
        };
        let graph = GraphProto {
            node: self.before.iter().chain([&self.node]).cloned().collect(),
            initializer: self.weights.clone(),
            input: self.inputs.iter().enumerate().map(|(at, shape)| info(format!("in{at}"), shape)).collect(),
            output: self.node.output.iter().map(|name| ValueInfoProto { name: name.clone(), ..ValueInfoProto::default() }).collect(),
            ..GraphProto::default()
        };
        let opset_import = vec![OperatorSetIdProto { version: 17, ..OperatorSetIdProto::default() }];
        ModelProto { ir_version: 8, opset_import, graph: Some(graph), ..ModelProto::default() }
    }

    /// Runs it on tract, then lowered on every instruction set; all numbers agree within `tolerance` times the sum that they came from.
    fn agrees(&self, tolerance: f32) {
        let model = self.model();
        let run = tract_onnx::onnx().model_for_proto_model(&model).unwrap().into_optimized().unwrap().into_runnable().unwrap();
        let values: Vec<Vec<f32>> =
            self.inputs.iter().enumerate().map(|(at, shape)| noise(shape.iter().product(), 100 + at as u32)).collect();
        let tensors = self.inputs.iter().zip(&values).map(|(shape, values)| Tensor::from_shape(shape, values).unwrap().into_tvalue());
        let wanted = run.run(tensors.collect()).unwrap();
        for isa in Isa::available() {
            let mut layout = Layout::default();
            let mut bound = |name: String, shape: &[usize]| {
                let buffer = layout.lasting(shape[1], shape[2] * shape[3]);
                Bound { name, buffer, shape: shape.to_vec(), moved_from: None }
            };
            let inputs: Vec<_> = self.inputs.iter().enumerate().map(|(at, shape)| bound(format!("in{at}"), shape)).collect();
            let outputs: Vec<_> = self.node.output.iter().zip(&wanted).map(|(name, tensor)| bound(name.clone(), tensor.shape())).collect();
            let shapes: Vec<_> = inputs.iter().map(|input| (input.name.clone(), input.shape.clone())).collect();
            let graph = graph::of_records(model.graph.as_ref().unwrap(), &shapes).unwrap_or_else(|reason| panic!("{self:?}: {reason}"));
            let operations = lower(&graph, isa, &mut layout, &inputs, &outputs).unwrap_or_else(|reason| panic!("{self:?}: {reason}"));
            layout.floats = layout.place_all(layout.floats, &operations);
            let mut machine = Machine::new(isa, 2, layout, operations.iter());
            inputs.iter().zip(&values).for_each(|(input, values)| machine.write(input.buffer, values));
            machine.run(&operations);
            for (output, wanted) in outputs.iter().zip(&wanted) {
                let mut got = vec![f32::NAN; output.shape.iter().product()];
                machine.read(output.buffer, &mut got);
                let plain = wanted.as_plain_ram().unwrap();
                for (i, (a, b)) in got.iter().zip(plain.as_slice::<f32>().unwrap()).enumerate() {
                    let node = (&self.node.op_type, &self.node.attribute, &self.inputs);
                    assert!((a - b).abs() <= tolerance * b.abs().max(1.0), "{isa:?} {node:?}: {} {i} is {a}, not {b}", output.name);
                }
            }
        }
    }
}

/// Weights for which the outputs are of the order of one.
fn fan_in(shape: [usize; 4], terms: usize) -> Vec<f32> {
    noise(shape.iter().product(), 7).into_iter().map(|x| x / (terms as f32).sqrt()).collect()
}

/// Sums of thousands of products in another order.
const SUMS: f32 = 2e-5;

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, failure_persistence: None, ..ProptestConfig::default() })]

    /// Kernels 3 to 31 of odd and even sizes, without stride: what the Fourier form is for.
    #[test]
    fn large_kernels(
        cin in 1usize..6, cout in 1usize..6, h in 1usize..60, w in 1usize..60, kh in 3usize..32, kw in 3usize..32, biased in any::<bool>(),
    ) {
        let one = One::new("Conv").input([1, cin, h, w]).weights(&[cout, cin, kh, kw], fan_in([cout, cin, kh, kw], cin * kh * kw));
        let one = one.ints("pads", &[kh / 2, kw / 2, (kh - 1) / 2, (kw - 1) / 2]);
        if biased { one.weights(&[cout], noise(cout, 8)).agrees(SUMS) } else { one.agrees(SUMS) }
    }

    #[test]
    fn strides_dilations_and_groups(
        groups in 1usize..4, cin in 1usize..4, cout in 1usize..10, h in 8usize..40, w in 8usize..40, kh in 1usize..8, kw in 1usize..8,
        sh in 1usize..4, sw in 1usize..4, dh in 1usize..4, dw in 1usize..4,
    ) {
        let [top, left] = [kh * dh / 2 + 8, kw * dw / 2 + 8];
        One::new("Conv")
            .input([1, cin * groups, h, w])
            .weights(&[cout * groups, cin, kh, kw], fan_in([cout * groups, cin, kh, kw], cin * kh * kw))
            .weights(&[cout * groups], noise(cout * groups, 8))
            .ints("pads", &[top, left, top - 1, left - 1])
            .ints("strides", &[sh, sw])
            .ints("dilations", &[dh, dw])
            .int("group", groups as i64)
            .agrees(SUMS);
    }

    #[test]
    fn transposed_convolutions(
        groups in 1usize..4, cin in 1usize..4, cout in 1usize..5, h in 1usize..24, w in 1usize..24, kh in 1usize..8, kw in 1usize..8,
        sh in 1usize..4, sw in 1usize..4, dh in 1usize..3, dw in 1usize..3, cut in 0usize..4, extra in 0usize..3, biased in any::<bool>(),
    ) {
        let reach = [(kh - 1) * dh + 1, (kw - 1) * dw + 1];
        let [top, left] = reach.map(|reach| cut.min((reach - 1) / 2));
        let one = One::new("ConvTranspose")
            .input([1, cin * groups, h, w])
            .weights(&[cin * groups, cout, kh, kw], fan_in([cin * groups, cout, kh, kw], cin * kh * kw))
            .ints("pads", &[top, left, top / 2, left])
            .ints("strides", &[sh, sw])
            .ints("dilations", &[dh, dw])
            .ints("output_padding", &[extra.min(sh - 1), extra.min(sw - 1)])
            .int("group", groups as i64);
        if biased { one.weights(&[cout * groups], noise(cout * groups, 8)).agrees(SUMS) } else { one.agrees(SUMS) }
    }

    /// What upsampling heads have: the kernel is the stride, and nothing overlaps.
    #[test]
    fn transposed_convolutions_without_overlap(cin in 1usize..40, cout in 1usize..4, h in 1usize..40, w in 1usize..40, stride in 1usize..5) {
        One::new("ConvTranspose")
            .input([1, cin, h, w])
            .weights(&[cin, cout, stride, stride], fan_in([cin, cout, stride, stride], cin))
            .weights(&[cout], noise(cout, 8))
            .ints("strides", &[stride, stride])
            .agrees(SUMS);
    }

    #[test]
    fn norms(channels in 1usize..6, h in 2usize..40, w in 2usize..40) {
        let parameters = |seed: u32| noise(channels, seed).into_iter().map(|x| x + 1.5).collect::<Vec<_>>();
        let instance = One::new("InstanceNormalization").input([1, channels, h, w]).float("epsilon", 1e-3);
        instance.weights(&[channels], parameters(3)).weights(&[channels], parameters(4)).agrees(SUMS);
        let mut batch = One::new("BatchNormalization").input([1, channels, h, w]).float("epsilon", 1e-3);
        for seed in 5..9 {
            batch = batch.weights(&[channels], parameters(seed));
        }
        batch.agrees(SUMS);
    }

    #[test]
    fn operators_of_one_pixel(channels in 1usize..5, h in 1usize..40, w in 1usize..40) {
        let shape = [1, channels, h, w];
        for operator in ["Softplus", "Sigmoid", "Tanh", "Exp", "Abs", "Relu", "Neg"] {
            One::new(operator).input(shape).agrees(2e-6);
        }
        One::new("LeakyRelu").input(shape).float("alpha", 0.2).agrees(2e-6);
        One::new("Clip").input(shape).weights(&[], vec![-0.3]).weights(&[], vec![0.6]).agrees(2e-6);
        // Positive ones only.
        let positive = |count: usize| noise(count, 9).into_iter().map(|x| x + 1.2).collect::<Vec<_>>();
        for operator in ["Add", "Sub", "Mul", "Min", "Max"] {
            One::new(operator).input(shape).input(shape).agrees(2e-6);
            One::new(operator).input(shape).input([1, 1, h, w]).agrees(2e-6);
            One::new(operator).input([1, 1, h, w]).input(shape).agrees(2e-6);
        }
        for operator in ["Add", "Sub", "Mul", "Div", "Min", "Max"] {
            One::new(operator).input(shape).weights(&[1, channels, 1, 1], positive(channels)).agrees(2e-6);
            One::new(operator).input(shape).weights(&[1], positive(1)).agrees(2e-6);
            One::new(operator).input(shape).weights(&[channels, h, w], positive(channels * h * w)).agrees(2e-6);
        }
    }

    #[test]
    fn channels_put_together_and_taken_apart(a in 1usize..6, b in 1usize..6, h in 1usize..20, w in 1usize..20) {
        One::new("Concat").input([1, a, h, w]).input([1, b, h, w]).int("axis", 1).agrees(0.0);
        One::new("Split").input([1, a + b, h, w]).numbers(&[a as i64, b as i64]).int("axis", 1).outputs(2).agrees(0.0);
        let ends = [a as i64 - 1, (a + b) as i64 - 1];
        One::new("Slice").input([1, a + b, h, w]).numbers(&ends[..1]).numbers(&ends[1..]).numbers(&[1]).agrees(0.0);
    }

    /// What a channel becomes is needed by another: not in the same pass.
    #[test]
    fn channels_that_change_places(h in 1usize..60, w in 1usize..60) {
        let swapped = One::new("Softplus").input([1, 2, h, w]).then("Split", &["mid0_0"]).int("axis", 1).outputs(2);
        swapped.then("Concat", &["mid1_1", "mid1_0"]).int("axis", 1).then("Sigmoid", &["mid2_0"]).agrees(2e-6);
    }

    /// A convolution, a chain on its output, and its output needed elsewhere too.
    #[test]
    fn convolutions_and_what_follows(
        cin in 1usize..4, cout in 1usize..20, h in 1usize..60, w in 1usize..60, k in 1usize..4, stride in 1usize..3, again in any::<bool>(),
    ) {
        let k = 2 * k - 1;
        let [oh, ow] = [h, w].map(|n| (n - 1) / stride + 1);
        let conv = One::new("Conv").input([1, cin, h, w]).weights(&[cout, cin, k, k], fan_in([cout, cin, k, k], cin * k * k));
        let mut conv = conv.ints("pads", &[k / 2; 4]).ints("strides", &[stride, stride]);
        conv.inputs.push(vec![1, cout, oh, ow]);
        let chain = conv.then("Softplus", &["mid0_0"]).then("Mul", &["in1", "mid1_0"]).then("Sigmoid", &["mid2_0"]);
        if again { chain.then("Concat", &["mid3_0", "mid0_0", "mid1_0"]).int("axis", 1).agrees(SUMS) } else { chain.agrees(SUMS) }
    }
}
