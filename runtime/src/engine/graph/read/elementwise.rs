//! Operators of one pixel at a time, and how their operands are brought to one size.

use tract_onnx::pb::NodeProto;

use super::{Attributes, Entry, Reader};
use crate::engine::graph::{Id, Op, Operand, Value};

impl Reader {
    /// An element-wise operator; None if the node is not one of them.
    pub(super) fn expression(&mut self, node: &NodeProto) -> Result<Option<Entry>, String> {
        let value = |id: Result<Id, String>| id.map(|id| Some(Entry::Value(id)));
        match node.op_type.as_str() {
            "Add" => self.binary(node, Op::Add).map(Some),
            "Sub" => self.binary(node, Op::Sub).map(Some),
            "Mul" => self.binary(node, Op::Mul).map(Some),
            "Div" => self.binary(node, Op::Div).map(Some),
            "Min" if node.input.len() == 2 => self.binary(node, Op::Min).map(Some),
            "Max" if node.input.len() == 2 => self.binary(node, Op::Max).map(Some),
            "Min" => value(self.several(node, Op::Min)),
            "Max" => value(self.several(node, Op::Max)),
            "Sum" | "Mean" => value(self.several(node, Op::Add)),
            "Pow" => self.pow(node).map(Some),
            "PRelu" => {
                let (operands, shape) = self.operands(node, &[0, 1])?;
                Ok(Some(Entry::Value(self.map(Op::Leak, operands, shape))))
            }
            "Less" | "LessOrEqual" | "Greater" | "GreaterOrEqual" | "Equal" => value(self.compare(node)),
            "Where" => {
                let (operands, shape) = self.operands(node, &[0, 1, 2])?;
                Ok(Some(Entry::Value(self.map(Op::Select, operands, shape))))
            }
            _ => self.unary(node),
        }
    }

    pub(super) fn clip(&mut self, node: &NodeProto) -> Result<Id, String> {
        let mut id = self.computed(node, 0)?;
        for (at, op) in [(1, Op::Max), (2, Op::Min)] {
            if let Some(bound) = self.optional_constant(node, at)? {
                let bound = bound.number().ok_or("a bound is not one number")?;
                id = self.map(op, vec![Operand::Value(id), Operand::Number(bound)], self.shape(id));
            }
        }
        Ok(id)
    }

    pub(super) fn binary(&mut self, node: &NodeProto, op: Op) -> Result<Entry, String> {
        if let (Entry::Constant(a), Entry::Constant(b)) = (self.get(node, 0)?, self.get(node, 1)?) {
            return Ok(Entry::Constant(a.zip(b, |x, y| op.fold(x, y).unwrap_or(x))?.into()));
        }
        let (operands, shape) = self.operands(node, &[0, 1])?;
        Ok(Entry::Value(self.map(op, operands, shape)))
    }

    /// Operators of any number of operands, from the first on.
    fn several(&mut self, node: &NodeProto, op: Op) -> Result<Id, String> {
        let count = node.input.len();
        let (operands, shape) = self.operands(node, &(0..count).collect::<Vec<_>>())?;
        let all = operands.into_iter().reduce(|all, next| Operand::Value(self.map(op, vec![all, next], shape.clone())));
        let all = all.ok_or("it has no operand")?;
        match all {
            _ if node.op_type == "Mean" => Ok(self.map(Op::Mul, vec![all, Operand::Number(1.0 / count as f32)], shape)),
            Operand::Value(id) => Ok(id),
            _ => Err("of constants it is not covered".into()),
        }
    }

    /// Comparisons, whose answers are 1 and 0.
    fn compare(&mut self, node: &NodeProto) -> Result<Id, String> {
        let (less, turned, negated) = match node.op_type.as_str() {
            "Less" => (true, false, false),
            "Greater" => (true, true, false),
            "LessOrEqual" => (true, true, true),
            "GreaterOrEqual" => (true, false, true),
            _ => (false, false, false),
        };
        let (operands, shape) = self.operands(node, &[0, 1])?;
        let swapped = operands.iter().rev().cloned().collect();
        let id = match (less, turned) {
            (true, false) => self.map(Op::Less, operands, shape.clone()),
            (true, true) => self.map(Op::Less, swapped, shape.clone()),
            (false, _) => {
                let (below, above) = (self.map(Op::Less, operands, shape.clone()), self.map(Op::Less, swapped, shape.clone()));
                self.map(Op::Max, vec![Operand::Value(below), Operand::Value(above)], shape.clone())
            }
        };
        if !negated && less {
            return Ok(id);
        }
        Ok(self.map(Op::Sub, vec![Operand::Number(1.0), Operand::Value(id)], shape))
    }

    /// The given inputs as operands, and what they are combined to; one at least is not constant.
    pub(super) fn operands(&mut self, node: &NodeProto, which: &[usize]) -> Result<(Vec<Operand>, Value), String> {
        let mut common: Option<Value> = None;
        for &at in which {
            if !self.is_constant(node, at) {
                let id = self.computed(node, at)?;
                let own = &self.graph.values[id];
                common = Some(common.map_or_else(|| Ok(own.clone()), |common| common.joined(own))?);
            }
        }
        let common = common.ok_or("of constants it is not covered")?;
        let operands = which.iter().map(|&at| self.operand(node, at, &common)).collect::<Result<_, _>>()?;
        Ok((operands, common))
    }

    fn operand(&self, node: &NodeProto, at: usize, common: &Value) -> Result<Operand, String> {
        match self.get(node, at)? {
            Entry::Constant(constant) => match constant.number() {
                Some(x) => Ok(Operand::Number(x)),
                None => {
                    let (values, size) = constant
                        .beside(common)
                        .ok_or_else(|| format!("a constant of {:?} cannot be combined with {:?}", constant.shape, common.shape()))?;
                    Ok(Operand::Constant(values.into(), size))
                }
            },
            Entry::Value(id) => Ok(Operand::Value(*id)),
            _ => Err("a border is not laid".into()),
        }
    }

    /// An operator of one operand; None if it is not one of them.
    fn unary(&mut self, node: &NodeProto) -> Result<Option<Entry>, String> {
        let attributes = Attributes(node);
        let (op, more) = match node.op_type.as_str() {
            "Softplus" => (Op::Softplus, None),
            "Sigmoid" => (Op::Sigmoid, None),
            "Tanh" => (Op::Tanh, None),
            "Exp" => (Op::Exp, None),
            "Log" => (Op::Log, None),
            "Erf" => (Op::Erf, None),
            "Abs" => (Op::Abs, None),
            "Sqrt" => (Op::Sqrt, None),
            "Round" => (Op::Round, None),
            "Relu" => (Op::Max, Some(0.0)),
            "Neg" => (Op::Mul, Some(-1.0)),
            "LeakyRelu" => (Op::Leak, Some(attributes.float("alpha", 0.01))),
            _ => return self.composed(node),
        };
        if let Entry::Constant(constant) = self.get(node, 0)? {
            let b = more.unwrap_or(0.0);
            op.fold(0.0, b).ok_or("of a constant it is not covered")?;
            return Ok(Some(Entry::Constant(constant.map(|a| op.fold(a, b).unwrap_or(a)).into())));
        }
        let x = self.computed(node, 0)?;
        let operands = [Operand::Value(x)].into_iter().chain(more.map(Operand::Number)).collect();
        Ok(Some(Entry::Value(self.map(op, operands, self.shape(x)))))
    }
}
