//! Networks written record by record.

use std::path::Path;

use prost::Message;
use recslowfast::engine::cpu::{CpuEngine, Options};
use recslowfast::network::Network;
use recslowfast::network::engine::{Engine, StepRequest};
use recslowfast::network::halting::HaltingRule;
use tempfile::TempDir;
use tract_onnx::pb::attribute_proto::AttributeType;
use tract_onnx::pb::tensor_proto::DataType;
use tract_onnx::pb::tensor_shape_proto::{Dimension, dimension};
use tract_onnx::pb::type_proto::{Tensor, Value};
use tract_onnx::pb::{
    AttributeProto, GraphProto, ModelProto, NodeProto, OperatorSetIdProto, TensorProto, TensorShapeProto, TypeProto, ValueInfoProto,
};

/// Pixels of a side of every network here.
pub const SIDE: usize = 8;
pub const PIXELS: usize = SIDE * SIDE;
/// A picture in which no two pixels are alike, from -1 to 1.
pub fn picture() -> Vec<f32> {
    (0..PIXELS).map(|i| (i * 37 % PIXELS) as f32 / 32.0 - 1.0).collect()
}

/// A node; `-` stands for an input that is left out.
pub fn node(op: &str, inputs: &str, outputs: &str) -> NodeProto {
    let list = |names: &str| names.split_whitespace().map(|name| if name == "-" { String::new() } else { name.to_owned() }).collect();
    NodeProto { op_type: op.into(), name: format!("the-{op}"), input: list(inputs), output: list(outputs), ..NodeProto::default() }
}

pub trait With: Sized {
    fn with(self, attribute: AttributeProto) -> Self;

    fn int(self, name: &str, i: i64) -> Self {
        self.with(AttributeProto { name: name.into(), r#type: AttributeType::Int as i32, i, ..AttributeProto::default() })
    }

    fn float(self, name: &str, f: f32) -> Self {
        self.with(AttributeProto { name: name.into(), r#type: AttributeType::Float as i32, f, ..AttributeProto::default() })
    }

    fn text(self, name: &str, text: &str) -> Self {
        let s = text.as_bytes().to_vec();
        self.with(AttributeProto { name: name.into(), r#type: AttributeType::String as i32, s, ..AttributeProto::default() })
    }

    fn ints(self, name: &str, ints: &[i64]) -> Self {
        self.with(AttributeProto {
            name: name.into(),
            r#type: AttributeType::Ints as i32,
            ints: ints.to_vec(),
            ..AttributeProto::default()
        })
    }

    fn floats(self, name: &str, floats: &[f32]) -> Self {
        let floats = floats.to_vec();
        self.with(AttributeProto { name: name.into(), r#type: AttributeType::Floats as i32, floats, ..AttributeProto::default() })
    }

    fn tensor(self, name: &str, tensor: TensorProto) -> Self {
        let r#type = AttributeType::Tensor as i32;
        self.with(AttributeProto { name: name.into(), r#type, t: Some(tensor), ..AttributeProto::default() })
    }

    /// What a function's node takes from its call.
    fn of_call(self, name: &str, of_the_call: &str) -> Self {
        self.with(AttributeProto { name: name.into(), ref_attr_name: of_the_call.into(), ..AttributeProto::default() })
    }
}

impl With for NodeProto {
    fn with(mut self, attribute: AttributeProto) -> NodeProto {
        self.attribute.push(attribute);
        self
    }
}

pub fn floats(name: &str, dims: &[i64], values: &[f32]) -> TensorProto {
    let raw_data = values.iter().flat_map(|value| value.to_le_bytes()).collect();
    TensorProto { name: name.into(), dims: dims.to_vec(), data_type: DataType::Float as i32, raw_data, ..TensorProto::default() }
}

pub fn ints(name: &str, values: &[i64]) -> TensorProto {
    let (dims, data_type) = (vec![values.len() as i64], DataType::Int64 as i32);
    TensorProto { name: name.into(), dims, data_type, int64_data: values.to_vec(), ..TensorProto::default() }
}

pub fn truth(name: &str, value: bool) -> TensorProto {
    TensorProto { name: name.into(), data_type: DataType::Bool as i32, int32_data: vec![i32::from(value)], ..TensorProto::default() }
}

/// A value of a kind and a shape; a size of 0 is left open under the name "batch", and no sizes at all are no shape.
pub fn value(name: &str, kind: DataType, shape: &[i64]) -> ValueInfoProto {
    let size = |size: &i64| match size {
        0 => dimension::Value::DimParam("batch".into()),
        size => dimension::Value::DimValue(*size),
    };
    let dim = shape.iter().map(|one| Dimension { value: Some(size(one)), ..Dimension::default() }).collect();
    let shape = (!shape.is_empty()).then_some(TensorShapeProto { dim });
    let kind = TypeProto { value: Some(Value::TensorType(Tensor { elem_type: kind as i32, shape })), ..TypeProto::default() };
    ValueInfoProto { name: name.into(), r#type: Some(kind), ..ValueInfoProto::default() }
}

pub fn float(name: &str, shape: &[i64]) -> ValueInfoProto {
    value(name, DataType::Float, shape)
}

pub fn model(
    opset: i64,
    nodes: Vec<NodeProto>,
    input: Vec<ValueInfoProto>,
    output: Vec<ValueInfoProto>,
    initializer: Vec<TensorProto>,
) -> ModelProto {
    let graph = GraphProto { name: "graph".into(), node: nodes, input, output, initializer, ..GraphProto::default() };
    let opset_import = vec![OperatorSetIdProto { domain: String::new(), version: opset }];
    ModelProto { ir_version: 8, opset_import, graph: Some(graph), ..ModelProto::default() }
}

/// A network's folder.
pub struct Folder(pub TempDir);

impl Folder {
    /// With the states given as lines of model.toml.
    pub fn new(task: &str, states: &str, encoder: &ModelProto, step: Option<&ModelProto>, readout: &ModelProto) -> Folder {
        let folder = tempfile::tempdir().unwrap();
        let manifest = format!(
            "format = 1\nname = \"written\"\nversion = \"0\"\nlicence = \"CC0-1.0\"\norigin = \"a test\"\n\
             [input]\nwidth = {SIDE}\nheight = {SIDE}\nchannels = 1\nmean = [0.0]\nstd = [1.0]\n[task]\n{task}\n{states}"
        );
        std::fs::write(folder.path().join("model.toml"), manifest).unwrap();
        for (name, graph) in [("encoder", Some(encoder)), ("step", step), ("readout", Some(readout))] {
            if let Some(graph) = graph {
                std::fs::write(folder.path().join(format!("{name}.onnx")), graph.encode_to_vec()).unwrap();
            }
        }
        Folder(folder)
    }

    pub fn path(&self) -> &Path {
        self.0.path()
    }

    /// The answer to one picture after three steps, or why the network was refused: on the CPU engine, and the same on tract alone.
    pub fn answer(&self, picture: &[f32]) -> Result<Vec<f32>, String> {
        let network = Network::load(self.path()).map_err(|error| error.to_string())?;
        let run = |plain| {
            let mut engine = CpuEngine::with(&network, Options { threads: 1, plain, ..Options::default() })?;
            engine.input().copy_from_slice(picture);
            engine.encode()?;
            engine.advance(&StepRequest { rule: HaltingRule::fixed(3), limit: 3, deadline: None })?;
            engine.readout().map(<[f32]>::to_vec)
        };
        let answers: Vec<Vec<f32>> = [false, true].into_iter().map(run).collect::<Result<_, _>>().map_err(|error| error.to_string())?;
        assert!(close(&answers[0], &answers[1]), "the CPU engine and tract disagree: {answers:?}");
        Ok(answers[0].clone())
    }
}

pub const TWO: &str = "kind = \"classes\"\nclasses = [\"background\", \"thing\"]";

/// The frame as it is, for a network of which only the readout matters.
pub fn through() -> ModelProto {
    let shape = [1, 1, SIDE as i64, SIDE as i64];
    model(17, vec![node("Identity", "frame", "drive")], vec![float("frame", &shape)], vec![float("drive", &shape)], Vec::new())
}

/// A network of which only the readout matters: from `x`, the frame, to `y`, `[1, 1, height, width]`, which is both classes' logit.
pub fn readout(opset: i64, mut nodes: Vec<NodeProto>, weights: Vec<TensorProto>) -> ModelProto {
    nodes.insert(0, node("Identity", "drive", "x"));
    nodes.push(node("Concat", "y y", "logits").int("axis", 1));
    model(opset, nodes, vec![float("drive", &[1, 1, SIDE as i64, SIDE as i64])], vec![float("logits", &[])], weights)
}

/// What `y` is for the picture, or why the network was refused.
pub fn meaning(opset: i64, nodes: Vec<NodeProto>, weights: Vec<TensorProto>) -> Result<Vec<f32>, String> {
    let answer = Folder::new(TWO, "", &through(), None, &readout(opset, nodes, weights)).answer(&picture())?;
    Ok(answer[..answer.len() / 2].to_vec())
}

pub fn close(a: &[f32], b: &[f32]) -> bool {
    a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a == b || (a - b).abs() < 1e-4)
}
