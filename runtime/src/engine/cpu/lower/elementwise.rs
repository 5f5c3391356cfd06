//! Operators of one pixel at a time: expressions, until something needs them in memory.

use super::{Id, Lowering, Source};
use crate::engine::cpu::machine::{Operation, Plane, View};
use crate::engine::graph::{Op, Operand, Size};

impl Lowering<'_> {
    pub(super) fn element_wise(&mut self, op: Op, operands: &[Operand], size: Size) -> Id {
        // One division for each pixel, not one for each pixel of each channel.
        if let (Op::Div, [a, Operand::Value(b)]) = (op, operands)
            && self.graph.size(*b).channels < size.channels
        {
            let a = self.operand(a, size);
            let one = self.number(1.0);
            let inverse = self.apply(Op::Div, &[one, self.expression(*b)]);
            let inverse = self.broadcast(inverse, self.graph.size(*b), size);
            return self.apply(Op::Mul, &[a, inverse]);
        }
        let operands: Vec<Id> = operands.iter().map(|operand| self.operand(operand, size)).collect();
        self.apply(op, &operands)
    }

    /// An operand of an expression of this size.
    fn operand(&mut self, operand: &Operand, size: Size) -> Id {
        match operand {
            Operand::Value(id) => self.broadcast(self.expression(*id), self.graph.size(*id), size),
            Operand::Number(x) => self.number(*x),
            Operand::Constant(values, own) if own.pixels() == 1 && own.channels == size.channels => {
                let table = self.layout.table(values);
                self.source(Source::Table(table))
            }
            Operand::Constant(values, own) => {
                // Rows or columns that are all alike are written out.
                let buffer = self.layout.lasting(own.channels, size.pixels());
                let along = |at: usize, of: usize| if of == 1 { 0 } else { at };
                let number = |channel: usize, pixel: usize| {
                    let (row, column) = (along(pixel / size.columns, own.rows), along(pixel % size.columns, own.columns));
                    values[(channel * own.rows + row) * own.columns + column]
                };
                let all = (0..own.channels * size.pixels()).map(|at| number(at / size.pixels(), at % size.pixels())).collect();
                self.layout.constants.push((buffer, all));
                self.source(Source::View((0..size.channels).map(|channel| Plane { buffer, channel: channel % own.channels }).collect()))
            }
        }
    }

    /// A value as one of a larger size.
    pub(super) fn broadcast(&mut self, id: Id, own: Size, size: Size) -> Id {
        if own == size {
            return id;
        }
        if own.channels == 1 && own.rows == size.rows && own.columns == size.columns {
            let plane = self.evaluate(id, own, None)[0];
            return self.source(Source::View(vec![plane; size.channels]));
        }
        let input = self.evaluate(id, own, None);
        if own.pixels() == 1 {
            // One number for each channel, or one for all.
            let input: View = (0..size.channels).map(|channel| input[channel % own.channels]).collect();
            let table = self.layout.table(&vec![0.0; size.channels]);
            self.operations.push(Operation::Spread { input, table });
            return self.source(Source::Table(table));
        }
        self.repeated(input, own, size)
    }
}
