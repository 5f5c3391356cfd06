//! Element-wise nodes, as expressions.

use super::super::opcode::Opcode;
use super::super::program::Shape;
use super::expr::{ExprId, Kind as Expr};
use super::{GraphLowering, interleave};
use crate::engine::graph::{Op, Operand, Size};

impl GraphLowering<'_> {
    pub(super) fn element_wise(&mut self, op: Op, operands: &[Operand], to: Shape) -> Result<ExprId, String> {
        let operands = operands.iter().map(|operand| self.operand(operand, to)).collect::<Result<Vec<_>, _>>()?;
        let unary = |opcode| (opcode, None);
        let (opcode, other) = match op {
            Op::Softplus => unary(Opcode::Softplus),
            Op::Sigmoid => unary(Opcode::Sigmoid),
            Op::Tanh => unary(Opcode::Tanh),
            Op::Exp => unary(Opcode::Exp),
            Op::Erf => unary(Opcode::Erf),
            Op::Abs => unary(Opcode::Abs),
            Op::Sqrt => unary(Opcode::Sqrt),
            Op::Round => unary(Opcode::Round),
            Op::Log => unary(Opcode::Log),
            Op::Add => (Opcode::Add, Some(operands[1])),
            Op::Sub => (Opcode::Sub, Some(operands[1])),
            Op::Mul => (Opcode::Mul, Some(operands[1])),
            Op::Div => (Opcode::Div, Some(operands[1])),
            Op::Min => (Opcode::Min, Some(operands[1])),
            Op::Max => (Opcode::Max, Some(operands[1])),
            Op::Less => (Opcode::Less, Some(operands[1])),
            Op::Pow => (Opcode::Pow, Some(operands[1])),
            Op::Leak => {
                let zero = self.arena.number(0.0);
                let (above, below) = (self.binary(Opcode::Max, operands[0], zero)?, self.binary(Opcode::Min, operands[0], zero)?);
                let below = self.binary(Opcode::Mul, below, operands[1])?;
                return self.binary(Opcode::Add, above, below);
            }
            Op::MulAdd => {
                let product = self.binary(Opcode::Mul, operands[0], operands[1])?;
                return self.binary(Opcode::Add, product, operands[2]);
            }
            Op::SubMul => {
                let product = self.binary(Opcode::Mul, operands[0], operands[1])?;
                return self.binary(Opcode::Sub, operands[2], product);
            }
            Op::Select => {
                // Nothing is added to what is chosen, be it infinite.
                let one = self.arena.number(1.0);
                let otherwise = self.binary(Opcode::Sub, one, operands[0])?;
                let (a, b) = (self.binary(Opcode::Keep, operands[0], operands[1])?, self.binary(Opcode::Keep, otherwise, operands[2])?);
                return self.binary(Opcode::Add, a, b);
            }
        };
        match other {
            None => Ok(self.arena.unary(opcode, operands[0])),
            Some(other) => self.binary(opcode, operands[0], other),
        }
    }

    pub(super) fn binary(&mut self, op: Opcode, x: ExprId, y: ExprId) -> Result<ExprId, String> {
        self.arena.binary(op, x, y).ok_or_else(|| "its shapes do not broadcast".into())
    }

    fn operand(&mut self, operand: &Operand, to: Shape) -> Result<ExprId, String> {
        match operand {
            Operand::Number(x) => Ok(self.arena.number(*x)),
            Operand::Constant(values, size) => Ok(self.constant(values, *size, to)),
            Operand::Value(id) => {
                let (x, own) = (self.expression(*id), self.shape(*id));
                let spread = own.c == 1 && to.c > 1;
                if !own.is_vector() && (own.h != to.h || own.w != to.w) {
                    return self.repeated(*id, Shape { c: own.c, ..to });
                }
                if spread && self.arena.is_by_channel(x) {
                    let tensor = self.materialise(x)?;
                    return Ok(self.arena.add(Expr::Tensor(tensor), own));
                }
                Ok(x)
            }
        }
    }

    /// Numbers known at load: one, one a channel, or a tensor of them.
    pub(super) fn constant(&mut self, values: &[f32], size: Size, to: Shape) -> ExprId {
        if let [first, rest @ ..] = values
            && rest.iter().all(|x| x.to_bits() == first.to_bits())
        {
            return self.arena.number(*first);
        }
        if size.pixels() == 1 {
            return self.arena.constant(values.to_vec());
        }
        let shape = Shape { c: size.channels, h: to.h, w: to.w };
        let along = |at: usize, of: usize| if of == 1 { 0 } else { at };
        let at = |c: usize, y: usize, x: usize| values[(c * size.rows + along(y, size.rows)) * size.columns + along(x, size.columns)];
        let pixels = shape.h * shape.w;
        let all: Vec<f32> = (0..shape.c * pixels).map(|n| at(n / pixels, n % pixels / shape.w, n % shape.w)).collect();
        let tensor = self.all.tensor(shape, true, false);
        self.all.tensors[tensor].constant = Some(interleave(&all, shape));
        self.arena.add(Expr::Tensor(tensor), shape)
    }
}
