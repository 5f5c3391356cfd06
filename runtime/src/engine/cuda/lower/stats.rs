//! Reductions over the picture: means and variances of channels.

use tract_onnx::prelude::*;
use tract_onnx::tract_core::ops::nn::{Reduce, Reducer};

use super::super::opcode::Opcode;
use super::super::program::{Op, Shape, TensorId};
use super::GraphLowering;
use super::expr::{ExprId, Kind};

impl GraphLowering<'_> {
    /// A sum over the picture.
    pub(super) fn reduce(&mut self, node: &TypedNode, op: &Reduce) -> Result<ExprId, String> {
        if op.axes[..] != [2, 3] {
            return Err(format!("only sums over the whole picture have a kernel, not over axes {:?}", op.axes));
        }
        let x = self.expr(node.inputs[0])?;
        match op.reducer {
            Reducer::Sum => {
                let (mean, _, pixels) = self.stats_of(x)?;
                Ok(self.times(mean, pixels))
            }
            Reducer::MeanOfSquares => {
                // Of deviations from the mean: the variance, known from the same pass.
                if let Kind::Binary(Opcode::Sub, value, mean) = self.arena.kind(x)
                    && let Kind::Tensor(tensor) = self.arena.kind(value)
                    && self.is_mean_of(mean, tensor)
                {
                    return Ok(self.stats_of(value)?.1);
                }
                let (mean, variance, _) = self.stats_of(x)?;
                let square = self.arena.unary(Opcode::Square, mean);
                self.arena.binary(Opcode::Add, variance, square).ok_or_else(|| "its shapes do not broadcast".into())
            }
            _ => Err("only sums and means of squares have a kernel".into()),
        }
    }

    fn times(&mut self, value: ExprId, factor: f32) -> ExprId {
        let factor = self.arena.number(factor);
        self.arena.binary(Opcode::Mul, value, factor).expect("a number broadcasts to anything")
    }

    /// Whether `x` is sum(tensor) * (1 / pixels).
    fn is_mean_of(&self, x: ExprId, tensor: TensorId) -> bool {
        let Some(&(mean, _)) = self.stats.get(&tensor) else { return false };
        let shape = self.all.tensors[tensor].shape;
        let Kind::Binary(Opcode::Mul, sum, share) = self.arena.kind(x) else { return false };
        let Kind::Binary(Opcode::Mul, vector, pixels) = self.arena.kind(sum) else { return false };
        let (Some(share), Some(pixels)) = (self.arena.as_number(share), self.arena.as_number(pixels)) else { return false };
        self.arena.kind(vector) == Kind::Vector(mean) && (share * pixels - 1.0).abs() < 1e-5 && pixels == (shape.h * shape.w) as f32
    }

    /// Mean and variance of each channel of `x`, and its number of pixels.
    fn stats_of(&mut self, x: ExprId) -> Result<(ExprId, ExprId, f32), String> {
        let input = self.materialise(x)?;
        let shape = self.all.tensors[input].shape;
        if shape.cs() > 512 {
            return Err("statistics of more than 512 channels have no kernel".into());
        }
        let (mean, variance) = match self.stats.get(&input) {
            Some(&known) => known,
            None => {
                let (mean, variance) = (self.all.vector(shape.c), self.all.vector(shape.c));
                self.ops.push(Op::Stats { input, mean, variance });
                self.stats.insert(input, (mean, variance));
                (mean, variance)
            }
        };
        let vector = Shape { c: shape.c, h: 1, w: 1 };
        let (mean, variance) = (self.arena.add(Kind::Vector(mean), vector), self.arena.add(Kind::Vector(variance), vector));
        Ok((mean, variance, (shape.h * shape.w) as f32))
    }
}
