//! Operators that are expressions of simpler ones.

use tract_onnx::pb::NodeProto;

use super::elementwise::scalar;
use super::{Id, Lowering, Size, Source, Value};
use crate::engine::cpu::onnx::Attributes;
use crate::engine::cpu::pointwise::Op;

impl Lowering<'_> {
    /// An operator of one operand; None if it is not one of them.
    pub(super) fn unary(&mut self, node: &NodeProto) -> Result<Option<Value>, String> {
        let attributes = Attributes(node);
        let (op, more) = match node.op_type.as_str() {
            "Softplus" => (Op::Softplus, None),
            "Sigmoid" => (Op::Sigmoid, None),
            "Tanh" => (Op::Tanh, None),
            "Exp" => (Op::Exp, None),
            "Erf" => (Op::Erf, None),
            "Abs" => (Op::Abs, None),
            "Sqrt" => (Op::Sqrt, None),
            "Relu" => (Op::Max, Some(0.0)),
            "Neg" => (Op::Mul, Some(-1.0)),
            "LeakyRelu" => (Op::Leak, Some(attributes.float("alpha", 0.01))),
            _ => return self.composed(node),
        };
        if let Value::Constant(constant) = self.get(node, 0)? {
            let b = more.unwrap_or(0.0);
            scalar(op, 0.0, b).ok_or("of a constant it is not covered")?;
            return Ok(Some(Value::Constant(constant.map(|a| scalar(op, a, b).unwrap_or(a)))));
        }
        let (a, size) = self.tensor(node, 0)?;
        let mut operands = vec![a];
        operands.extend(more.map(|x| self.number(x)));
        Ok(Some(self.apply(op, operands, size)))
    }

    fn composed(&mut self, node: &NodeProto) -> Result<Option<Value>, String> {
        let attributes = Attributes(node);
        let operator = node.op_type.as_str();
        if !matches!(operator, "HardSigmoid" | "HardSwish" | "Elu" | "Gelu" | "Mish" | "Reciprocal" | "Not" | "Softsign" | "Celu") {
            return Ok(None);
        }
        let (x, size) = self.tensor(node, 0)?;
        let id = match operator {
            "HardSigmoid" => self.hard_sigmoid(x, attributes.float("alpha", 0.2), attributes.float("beta", 0.5)),
            "HardSwish" => {
                let gate = self.hard_sigmoid(x, 1.0 / 6.0, 0.5);
                self.of(Op::Mul, &[x, gate])
            }
            "Elu" | "Celu" => {
                let alpha = attributes.float("alpha", 1.0);
                let inside = if operator == "Celu" { 1.0 / alpha } else { 1.0 };
                self.elu(x, alpha, inside)
            }
            "Gelu" => self.gelu(x, attributes.text("approximate"))?,
            "Mish" => {
                let inner = self.of(Op::Softplus, &[x]);
                let gate = self.of(Op::Tanh, &[inner]);
                self.of(Op::Mul, &[x, gate])
            }
            "Reciprocal" => {
                let one = self.number(1.0);
                self.of(Op::Div, &[one, x])
            }
            "Not" => {
                let one = self.number(1.0);
                self.of(Op::Sub, &[one, x])
            }
            _ => {
                let (size, one) = (self.of(Op::Abs, &[x]), self.number(1.0));
                let below = self.of(Op::Add, &[size, one]);
                self.of(Op::Div, &[x, below])
            }
        };
        Ok(Some(Value::Tensor(id, size)))
    }

    fn of(&mut self, op: Op, operands: &[Id]) -> Id {
        self.source(Source::Apply(op, operands.to_vec()))
    }

    fn hard_sigmoid(&mut self, x: Id, alpha: f32, beta: f32) -> Id {
        let [alpha, beta, zero, one] = [alpha, beta, 0.0, 1.0].map(|x| self.number(x));
        let line = self.of(Op::MulAdd, &[x, alpha, beta]);
        let above = self.of(Op::Max, &[line, zero]);
        self.of(Op::Min, &[above, one])
    }

    /// `max(x, 0) + alpha (e^(inside min(x, 0)) - 1)`
    fn elu(&mut self, x: Id, alpha: f32, inside: f32) -> Id {
        let [alpha, inside, zero, one] = [alpha, inside, 0.0, 1.0].map(|x| self.number(x));
        let (above, below) = (self.of(Op::Max, &[x, zero]), self.of(Op::Min, &[x, zero]));
        let below = self.of(Op::Mul, &[below, inside]);
        let power = self.of(Op::Exp, &[below]);
        let less = self.of(Op::Sub, &[power, one]);
        self.of(Op::MulAdd, &[less, alpha, above])
    }

    fn gelu(&mut self, x: Id, approximate: &str) -> Result<Id, String> {
        let half = self.number(0.5);
        let inner = match approximate {
            "" | "none" => {
                let root = self.number(std::f32::consts::FRAC_1_SQRT_2);
                let scaled = self.of(Op::Mul, &[x, root]);
                self.of(Op::Erf, &[scaled])
            }
            "tanh" => {
                let [a, b] = [0.797_884_6, 0.044_715 * 0.797_884_6].map(|x| self.number(x));
                let square = self.of(Op::Mul, &[x, x]);
                let line = self.of(Op::MulAdd, &[square, b, a]);
                let all = self.of(Op::Mul, &[x, line]);
                self.of(Op::Tanh, &[all])
            }
            other => return Err(format!("approximated by '{other}' it is not covered")),
        };
        let scaled = self.of(Op::Mul, &[x, half]);
        Ok(self.of(Op::MulAdd, &[scaled, inner, scaled]))
    }

    /// `x^y` for the exponents that networks have.
    pub(super) fn pow(&mut self, node: &NodeProto) -> Result<Value, String> {
        let exponent = self.constants(node, 1)?.number().ok_or("the exponent is not one number")?;
        if let Value::Constant(constant) = self.get(node, 0)? {
            return Ok(Value::Constant(constant.map(|x| x.powf(exponent))));
        }
        let (x, size) = self.tensor(node, 0)?;
        let power = exponent.abs();
        let mut id = if power == 0.5 {
            self.of(Op::Sqrt, &[x])
        } else if power == 1.0 {
            x
        } else if power.fract() == 0.0 && (2.0..=8.0).contains(&power) {
            (1..power as usize).fold(x, |all, _| self.of(Op::Mul, &[all, x]))
        } else {
            return Err(format!("an exponent of {exponent} is not covered"));
        };
        if exponent < 0.0 {
            let one = self.number(1.0);
            id = self.of(Op::Div, &[one, id]);
        }
        Ok(Value::Tensor(id, size))
    }

    /// Comparisons, whose answers are 1 and 0.
    pub(super) fn compare(&mut self, node: &NodeProto) -> Result<Value, String> {
        let (less, turned, negated) = match node.op_type.as_str() {
            "Less" => (true, false, false),
            "Greater" => (true, true, false),
            "LessOrEqual" => (true, true, true),
            "GreaterOrEqual" => (true, false, true),
            _ => (false, false, false),
        };
        let ([a, b], size) = self.pair(node, [0, 1])?;
        let id = match (less, turned) {
            (true, false) => self.of(Op::Less, &[a, b]),
            (true, true) => self.of(Op::Less, &[b, a]),
            (false, _) => {
                let (below, above) = (self.of(Op::Less, &[a, b]), self.of(Op::Less, &[b, a]));
                self.of(Op::Max, &[below, above])
            }
        };
        if !negated && less {
            return Ok(Value::Tensor(id, size));
        }
        let one = self.number(1.0);
        Ok(self.apply(Op::Sub, vec![one, id], size))
    }

    pub(super) fn select(&mut self, node: &NodeProto) -> Result<Value, String> {
        let size = self.common(node, &[0, 1, 2])?;
        let mut operands = Vec::new();
        for at in 0..3 {
            let value = self.get(node, at)?.clone();
            operands.push(self.operand(value, size)?);
        }
        Ok(self.apply(Op::Select, operands, size))
    }

    /// Operators of any number of operands, from the first on.
    pub(super) fn several(&mut self, node: &NodeProto, op: Op) -> Result<Value, String> {
        let count = node.input.len();
        let size = self.common(node, &(0..count).collect::<Vec<_>>())?;
        let mut all: Option<Id> = None;
        for at in 0..count {
            let value = self.get(node, at)?.clone();
            let next = self.operand(value, size)?;
            all = Some(all.map_or(next, |all| self.of(op, &[all, next])));
        }
        let all = all.ok_or("it has no operand")?;
        if node.op_type != "Mean" {
            return Ok(Value::Tensor(all, size));
        }
        let share = self.number(1.0 / count as f32);
        Ok(self.apply(Op::Mul, vec![all, share], size))
    }

    pub(super) fn prelu(&mut self, node: &NodeProto) -> Result<Value, String> {
        let ([x, slope], size) = self.pair(node, [0, 1])?;
        Ok(self.apply(Op::Leak, vec![x, slope], size))
    }

    fn pair(&mut self, node: &NodeProto, at: [usize; 2]) -> Result<([Id; 2], Size), String> {
        let size = self.common(node, &at)?;
        let [a, b] = [self.get(node, at[0])?.clone(), self.get(node, at[1])?.clone()];
        Ok(([self.operand(a, size)?, self.operand(b, size)?], size))
    }

    /// The size that operands are combined to, one of which at least is not constant.
    pub(super) fn common(&mut self, node: &NodeProto, operands: &[usize]) -> Result<Size, String> {
        let mut common: Option<Size> = None;
        for &at in operands {
            self.in_memory(node, at)?;
            let Value::Tensor(_, own) = *self.get(node, at)? else { continue };
            let wide = |a: usize, b: usize| if a == 1 { b } else { a };
            common = Some(common.map_or(own, |size| Size {
                channels: wide(size.channels, own.channels),
                rows: wide(size.rows, own.rows),
                columns: wide(size.columns, own.columns),
            }));
        }
        common.ok_or_else(|| "of constants it is not covered".into())
    }
}
