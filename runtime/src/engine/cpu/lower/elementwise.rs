//! Operators of one pixel at a time: expressions, until something needs them in memory.

use tract_onnx::pb::NodeProto;

use super::{Id, Lowering, Size, Source, Value};
use crate::engine::cpu::machine::Plane;
use crate::engine::cpu::pointwise::Op;

impl Lowering<'_> {
    pub(super) fn clip(&mut self, node: &NodeProto) -> Result<Value, String> {
        let (mut id, size) = self.tensor(node, 0)?;
        for (at, op) in [(1, Op::Max), (2, Op::Min)] {
            if let Some(Value::Constant(bound)) = self.optional(node, at) {
                let bound = bound.number().ok_or("a bound is not one number")?;
                let bound = self.number(bound);
                id = self.source(Source::Apply(op, vec![id, bound]));
            }
        }
        Ok(Value::Tensor(id, size))
    }

    pub(super) fn binary(&mut self, node: &NodeProto, op: Op) -> Result<Value, String> {
        let (a, b) = (self.get(node, 0)?.clone(), self.get(node, 1)?.clone());
        let size = match (&a, &b) {
            (Value::Constant(a), Value::Constant(b)) => return Ok(Value::Constant(a.zip(b, |x, y| scalar(op, x, y))?)),
            (Value::Tensor(_, a), Value::Tensor(_, b)) => {
                let wide = |a: usize, b: usize| if a == 1 { b } else { a };
                Size { channels: wide(a.channels, b.channels), rows: wide(a.rows, b.rows), columns: wide(a.columns, b.columns) }
            }
            (Value::Tensor(_, size), Value::Constant(_)) | (Value::Constant(_), Value::Tensor(_, size)) => *size,
        };
        let operands = [a, b].into_iter().map(|value| self.operand(value, size)).collect::<Result<_, _>>()?;
        Ok(self.apply(op, operands, size))
    }

    /// A value as an operand of an expression of this size.
    fn operand(&mut self, value: Value, size: Size) -> Result<Id, String> {
        match value {
            Value::Tensor(id, own) if own == size => Ok(id),
            Value::Tensor(id, own) if own.channels == 1 && own.pixels() == size.pixels() && own.rows == size.rows => {
                let plane = self.evaluate(id, own, None)[0];
                Ok(self.source(Source::View(vec![plane; size.channels])))
            }
            Value::Tensor(_, own) => Err(format!("{own:?} cannot be combined with {size:?}")),
            Value::Constant(constant) => {
                if let Some(x) = constant.number() {
                    return Ok(self.number(x));
                }
                let mut shape = vec![1; 4usize.saturating_sub(constant.shape.len())];
                shape.extend(&constant.shape);
                let source = match shape[..] {
                    [1, c, 1, 1] if c == size.channels => Source::Table(self.layout.table(&constant.values)),
                    [1, c, h, w] if (c == 1 || c == size.channels) && [h, w] == [size.rows, size.columns] => {
                        let buffer = self.layout.lasting(c, h * w);
                        self.layout.constants.push((buffer, constant.values));
                        Source::View((0..size.channels).map(|channel| Plane { buffer, channel: channel % c }).collect())
                    }
                    _ => return Err(format!("a constant of {:?} cannot be combined with {size:?}", constant.shape)),
                };
                Ok(self.source(source))
            }
        }
    }
}

/// An operator on numbers known at load: the exactness of the standard library costs nothing.
pub(super) fn scalar(op: Op, a: f32, b: f32) -> f32 {
    match op {
        Op::Add => a + b,
        Op::Sub => a - b,
        Op::Mul => a * b,
        Op::Div => a / b,
        Op::Min => a.min(b),
        Op::Max => a.max(b),
        Op::Softplus => a.max(0.0) + (-a.abs()).exp().ln_1p(),
        Op::Sigmoid => 1.0 / (1.0 + (-a).exp()),
        Op::Tanh => a.tanh(),
        Op::Exp => a.exp(),
        Op::Abs => a.abs(),
        Op::Sqrt => a.sqrt(),
        Op::Leak => {
            if a < 0.0 {
                a * b
            } else {
                a
            }
        }
        Op::Copy | Op::MulAdd | Op::SubMul | Op::Moments => a,
    }
}
