//! One graph of a network, as it was read.

use std::sync::Arc;

use tract_onnx::pb::ValueInfoProto;
use tract_onnx::prelude::*;

use super::guard;
use super::onnx::{self, ExternalData};

/// One graph with its inputs and outputs named.
#[derive(Clone, Debug)]
pub struct Graph {
    /// The file it came from.
    pub file: &'static str,
    /// As the file states it, in the form of [`onnx::read`].
    pub proto: Arc<tract_onnx::pb::GraphProto>,
    /// The version of the operator set that its nodes mean.
    pub opset: i64,
    /// Typed, with every shape known.
    pub model: TypedModel,
    /// Input names in the graph's order.
    pub inputs: Vec<String>,
    /// Output names in the graph's order.
    pub outputs: Vec<String>,
}

/// A tensor that the encoder hands on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Encoded {
    /// Its number among the encoder's outputs.
    pub output: usize,
    /// What step and readout call it.
    pub name: String,
    /// Its shape.
    pub shape: Vec<usize>,
}

impl Graph {
    pub(super) fn read(
        file: &'static str,
        bytes: &[u8],
        beside: ExternalData,
        size_of: &dyn Fn(&str, usize) -> Option<Vec<usize>>,
    ) -> Result<Graph, String> {
        let parsed = guard::caught(|| -> Result<(_, i64, TypedModel), String> {
            let unreadable = |error: TractError| format!("is no ONNX graph this runtime can read ({error:#}); export it again");
            let proto = onnx::read(bytes, beside, size_of)?;
            let model = tract_onnx::onnx()
                .model_for_proto_model(&onnx::for_tract(&proto))
                .and_then(|model| model.into_typed())
                .map_err(unreadable)?;
            let opset = proto.opset_import.iter().find(|import| import.domain.is_empty()).map_or(0, |import| import.version);
            Ok((proto.graph.unwrap_or_default(), opset, model))
        });
        let (proto, opset, model) = parsed.unwrap_or_else(|| Err("is damaged; export it again".to_owned()))?;
        // By the file's own names: tract gives a value that is only handed on one of its names.
        let names = |values: &[ValueInfoProto]| values.iter().map(|value| value.name.clone()).collect::<Vec<_>>();
        let (inputs, outputs) = (names(&proto.input), names(&proto.output));
        let ends = |outlets: TractResult<&[OutletId]>| outlets.map(<[OutletId]>::len).map_err(|error| error.to_string());
        if [ends(model.input_outlets())?, ends(model.output_outlets())?] != [inputs.len(), outputs.len()] {
            return Err("is damaged; export it again".into());
        }
        if inputs.is_empty() || outputs.is_empty() {
            return Err("has no inputs or no outputs; it may be truncated".into());
        }
        let graph = Graph { file, inputs, outputs, proto: Arc::new(proto), opset, model };
        graph.check_facts()?;
        Ok(graph)
    }

    fn check_facts(&self) -> Result<(), String> {
        let shapes = (0..self.inputs.len()).map(|i| (&self.inputs[i], self.model.input_fact(i)));
        let shapes = shapes.chain((0..self.outputs.len()).map(|i| (&self.outputs[i], self.model.output_fact(i))));
        for (name, fact) in shapes {
            let fact = fact.map_err(|error| error.to_string())?;
            if fact.shape.as_concrete().is_none() {
                return Err(format!("'{name}' has the open shape {:?}; export with fixed sizes and batch 1", fact.shape));
            }
            if fact.datum_type != f32::datum_type() {
                return Err(format!("'{name}' holds {:?}; 32-bit floats are needed", fact.datum_type));
            }
        }
        Ok(())
    }

    /// Shape of input `at`.
    pub fn input_shape(&self, at: usize) -> Vec<usize> {
        concrete(self.model.input_fact(at))
    }

    /// Shape of output `at`.
    pub fn output_shape(&self, at: usize) -> Vec<usize> {
        concrete(self.model.output_fact(at))
    }

    /// Numbers in this graph's constants.
    pub fn parameters(&self) -> usize {
        let constants = self.model.nodes().iter().filter_map(|node| node.op_as::<tract_onnx::tract_core::ops::konst::Const>());
        constants.map(|weights| weights.val()).filter(|tensor| tensor.datum_type() == f32::datum_type()).map(|tensor| tensor.len()).sum()
    }

    /// Multiply-accumulates of one run, as tract counts them.
    pub fn macs(&self) -> u64 {
        let mut total = 0;
        for node in self.model.nodes() {
            let Ok((inputs, _)) = self.model.node_facts(node.id) else { continue };
            for (kind, count) in guard::tract(|| node.op.cost(&inputs)).unwrap_or_default() {
                if matches!(kind, tract_onnx::tract_core::ops::Cost::FMA(_)) {
                    total += count.to_i64().unwrap_or(0) as u64;
                }
            }
        }
        total
    }
}

fn concrete(fact: TractResult<&TypedFact>) -> Vec<usize> {
    fact.ok().and_then(|fact| fact.shape.as_concrete().map(<[usize]>::to_vec)).unwrap_or_default()
}
