//! Norms: statistics now, their application as an expression.

use tract_onnx::pb::NodeProto;

use super::{Lowering, Source, Value};
use crate::engine::cpu::machine::Operation;
use crate::engine::cpu::onnx::Attributes;
use crate::engine::cpu::pointwise::Op;

impl Lowering<'_> {
    pub(super) fn instance_norm(&mut self, node: &NodeProto) -> Result<Value, String> {
        let (id, size) = self.tensor(node, 0)?;
        let (gain, bias) = (self.constants(node, 1)?.values.clone(), self.constants(node, 2)?.values.clone());
        if gain.len() != size.channels || bias.len() != size.channels {
            return Err(format!("{} and {} parameters for {} channels", gain.len(), bias.len(), size.channels));
        }
        let epsilon = Attributes(node).float("epsilon", 1e-5);
        let input = self.evaluate(id, size, None);
        let zero = vec![0.0; size.channels];
        let (scale, shift) = (self.layout.table(&zero), self.layout.table(&zero));
        self.operations.push(Operation::Normal { input, pixels: size.pixels(), epsilon, gain, bias, scale, shift });
        let (scale, shift) = (self.source(Source::Table(scale)), self.source(Source::Table(shift)));
        Ok(self.apply(Op::MulAdd, vec![id, scale, shift], size))
    }

    pub(super) fn batch_norm(&mut self, node: &NodeProto) -> Result<Value, String> {
        let attributes = Attributes(node);
        if attributes.int("training_mode", 0) != 0 {
            return Err("training mode is not covered".into());
        }
        let (id, size) = self.tensor(node, 0)?;
        let epsilon = attributes.float("epsilon", 1e-5);
        let mut tables = Vec::new();
        for at in 1..5 {
            tables.push(self.constants(node, at)?.values.clone());
        }
        if tables.iter().any(|table| table.len() != size.channels) {
            return Err("parameters do not fit the channels".into());
        }
        let scale: Vec<f32> = (0..size.channels).map(|c| tables[0][c] / (tables[3][c] + epsilon).sqrt()).collect();
        let shift: Vec<f32> = (0..size.channels).map(|c| tables[1][c] - tables[2][c] * scale[c]).collect();
        let (scale, shift) = (self.layout.table(&scale), self.layout.table(&shift));
        let (scale, shift) = (self.source(Source::Table(scale)), self.source(Source::Table(shift)));
        Ok(self.apply(Op::MulAdd, vec![id, scale, shift], size))
    }
}
