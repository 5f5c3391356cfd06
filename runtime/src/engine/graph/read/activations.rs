//! Operators that are expressions of simpler ones.

use tract_onnx::pb::NodeProto;

use super::{Attributes, Entry, Reader};
use crate::engine::graph::{Id, Op, Operand};

impl Reader {
    pub(super) fn composed(&mut self, node: &NodeProto) -> Result<Option<Entry>, String> {
        let attributes = Attributes(node);
        let operator = node.op_type.as_str();
        if !matches!(operator, "HardSigmoid" | "HardSwish" | "Elu" | "Gelu" | "Mish" | "Reciprocal" | "Not" | "Softsign" | "Celu") {
            return Ok(None);
        }
        let x = self.computed(node, 0)?;
        let id = match operator {
            "HardSigmoid" => self.hard_sigmoid(x, attributes.float("alpha", 0.2), attributes.float("beta", 0.5)),
            "HardSwish" => {
                let gate = self.hard_sigmoid(x, 1.0 / 6.0, 0.5);
                self.of(Op::Mul, x, gate)
            }
            "Elu" | "Celu" => {
                let alpha = attributes.float("alpha", 1.0);
                let inside = if operator == "Celu" { 1.0 / alpha } else { 1.0 };
                self.elu(x, alpha, inside)
            }
            "Gelu" => self.gelu(x, attributes.text("approximate"))?,
            "Mish" => {
                let inner = self.alone(Op::Softplus, x);
                let gate = self.alone(Op::Tanh, inner);
                self.of(Op::Mul, x, gate)
            }
            "Reciprocal" => self.beside_number(Op::Div, 1.0, x),
            "Not" => self.beside_number(Op::Sub, 1.0, x),
            _ => {
                let size = self.alone(Op::Abs, x);
                let below = self.with(Op::Add, size, 1.0);
                self.of(Op::Div, x, below)
            }
        };
        Ok(Some(Entry::Value(id)))
    }

    /// An operator of one value.
    pub(super) fn alone(&mut self, op: Op, x: Id) -> Id {
        self.map(op, vec![Operand::Value(x)], self.shape(x))
    }

    /// An operator of two values, the second broadcast to the first.
    pub(super) fn of(&mut self, op: Op, x: Id, y: Id) -> Id {
        self.map(op, vec![Operand::Value(x), Operand::Value(y)], self.shape(x))
    }

    /// An operator of a value and a number.
    pub(super) fn with(&mut self, op: Op, x: Id, number: f32) -> Id {
        self.map(op, vec![Operand::Value(x), Operand::Number(number)], self.shape(x))
    }

    /// An operator of a number and a value.
    fn beside_number(&mut self, op: Op, number: f32, x: Id) -> Id {
        self.map(op, vec![Operand::Number(number), Operand::Value(x)], self.shape(x))
    }

    /// `x y + z`
    fn sum_of_product(&mut self, x: Id, y: Operand, z: Operand) -> Id {
        self.map(Op::MulAdd, vec![Operand::Value(x), y, z], self.shape(x))
    }

    fn hard_sigmoid(&mut self, x: Id, alpha: f32, beta: f32) -> Id {
        let line = self.sum_of_product(x, Operand::Number(alpha), Operand::Number(beta));
        let above = self.with(Op::Max, line, 0.0);
        self.with(Op::Min, above, 1.0)
    }

    /// `max(x, 0) + alpha (e^(inside min(x, 0)) - 1)`
    fn elu(&mut self, x: Id, alpha: f32, inside: f32) -> Id {
        let (above, below) = (self.with(Op::Max, x, 0.0), self.with(Op::Min, x, 0.0));
        let below = self.with(Op::Mul, below, inside);
        let power = self.alone(Op::Exp, below);
        let less = self.with(Op::Sub, power, 1.0);
        self.sum_of_product(less, Operand::Number(alpha), Operand::Value(above))
    }

    fn gelu(&mut self, x: Id, approximate: &str) -> Result<Id, String> {
        let inner = match approximate {
            "" | "none" => {
                let scaled = self.with(Op::Mul, x, std::f32::consts::FRAC_1_SQRT_2);
                self.alone(Op::Erf, scaled)
            }
            "tanh" => {
                let [a, b] = [0.797_884_6, 0.044_715 * 0.797_884_6];
                let square = self.of(Op::Mul, x, x);
                let line = self.sum_of_product(square, Operand::Number(b), Operand::Number(a));
                let all = self.of(Op::Mul, x, line);
                self.alone(Op::Tanh, all)
            }
            other => return Err(format!("approximated by '{other}' it is not covered")),
        };
        let scaled = self.with(Op::Mul, x, 0.5);
        Ok(self.sum_of_product(scaled, Operand::Value(inner), Operand::Value(scaled)))
    }

    /// `x^y`: where the exponent is a number for which products or roots do, by these.
    pub(super) fn pow(&mut self, node: &NodeProto) -> Result<Entry, String> {
        let exponent = if let Entry::Constant(exponent) = self.get(node, 1)? { exponent.number() } else { None };
        let Some(exponent) = exponent.filter(|exponent| is_short(exponent.abs())) else { return self.binary(node, Op::Pow) };
        if self.is_constant(node, 0) {
            return self.binary(node, Op::Pow);
        }
        let x = self.computed(node, 0)?;
        let power = exponent.abs();
        let mut id = if power == 0.5 { self.alone(Op::Sqrt, x) } else { (1..power as usize).fold(x, |all, _| self.of(Op::Mul, all, x)) };
        if exponent < 0.0 {
            id = self.beside_number(Op::Div, 1.0, id);
        }
        Ok(Entry::Value(id))
    }
}

/// Exponents that take no more than a root or a few products.
fn is_short(power: f32) -> bool {
    power == 0.5 || (power.fract() == 0.0 && (1.0..=8.0).contains(&power))
}
