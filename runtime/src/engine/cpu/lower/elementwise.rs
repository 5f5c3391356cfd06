//! Operators of one pixel at a time: expressions, until something needs them in memory.

use tract_onnx::pb::NodeProto;

use super::{Id, Lowering, Size, Source, Value};
use crate::engine::cpu::machine::{Operation, Plane, View};
use crate::engine::cpu::pointwise::Op;

impl Lowering<'_> {
    pub(super) fn clip(&mut self, node: &NodeProto) -> Result<Value, String> {
        let (mut id, size) = self.tensor(node, 0)?;
        for (at, op) in [(1, Op::Max), (2, Op::Min)] {
            let bound = match self.optional(node, at) {
                Some(Value::Constant(bound)) => bound.number().ok_or("a bound is not one number")?,
                Some(_) => return Err("a bound is not constant".into()),
                None => continue,
            };
            let bound = self.number(bound);
            id = self.source(Source::Apply(op, vec![id, bound]));
        }
        Ok(Value::Tensor(id, size))
    }

    pub(super) fn binary(&mut self, node: &NodeProto, op: Op) -> Result<Value, String> {
        if let (Value::Constant(a), Value::Constant(b)) = (self.get(node, 0)?, self.get(node, 1)?) {
            scalar(op, 0.0, 1.0).ok_or("of constants it is not covered")?;
            return Ok(Value::Constant(a.zip(b, |x, y| scalar(op, x, y).unwrap_or(x))?));
        }
        let size = self.common(node, &[0, 1])?;
        let (a, b) = (self.get(node, 0)?.clone(), self.get(node, 1)?.clone());
        let a = self.operand(a, size)?;
        // One division for each pixel, not one for each pixel of each channel.
        if let (Op::Div, &Value::Tensor(b, own)) = (op, &b)
            && own.channels < size.channels
        {
            let one = self.number(1.0);
            let inverse = self.apply(Op::Div, vec![one, b], own);
            let inverse = self.operand(inverse, size)?;
            return Ok(self.apply(Op::Mul, vec![a, inverse], size));
        }
        let b = self.operand(b, size)?;
        Ok(self.apply(op, vec![a, b], size))
    }

    /// A value as an operand of an expression of this size.
    pub(super) fn operand(&mut self, value: Value, size: Size) -> Result<Id, String> {
        match value {
            Value::Tensor(id, own) if own == size => Ok(id),
            Value::Tensor(id, own) if own.channels == 1 && own.pixels() == size.pixels() && own.rows == size.rows => {
                let plane = self.evaluate(id, own, None)[0];
                Ok(self.source(Source::View(vec![plane; size.channels])))
            }
            Value::Tensor(id, own) if own.pixels() == 1 && (own.channels == size.channels || own.channels == 1) => {
                // One number for each channel, or one for all.
                let input = self.evaluate(id, own, None);
                let input: View = (0..size.channels).map(|channel| input[channel % own.channels]).collect();
                let table = self.layout.table(&vec![0.0; size.channels]);
                self.operations.push(Operation::Spread { input, table });
                Ok(self.source(Source::Table(table)))
            }
            Value::Padded(..) => Err("a border is not in memory".into()),
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

/// An operator of two operands at most on numbers known at load, by the standard library; None where that has none.
pub(super) fn scalar(op: Op, a: f32, b: f32) -> Option<f32> {
    Some(match op {
        Op::Copy => a,
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
        Op::Leak if a < 0.0 => a * b,
        Op::Leak => a,
        Op::Less => f32::from(u8::from(a < b)),
        Op::Erf | Op::MulAdd | Op::SubMul | Op::Select | Op::Moments => return None,
    })
}
