//! Sums, means and extremes over channels, or over all pixels of a channel; the norms and softmax that are spelled with them.

use tract_onnx::pb::NodeProto;

use super::{Id, Lowering, Size, Source, Value, whole};
use crate::engine::cpu::across::{Across, Fold, Whole};
use crate::engine::cpu::machine::{Operation, PlaneWork, View};
use crate::engine::cpu::onnx::Attributes;
use crate::engine::cpu::pointwise::Op;

/// A fold, and whether it is divided by what it counts.
#[derive(Clone, Copy)]
pub(super) struct Reduction {
    fold: Fold,
    mean: bool,
    root: bool,
}

impl Reduction {
    /// By the operator's name.
    pub(super) fn of(operator: &str) -> Option<Reduction> {
        let (fold, mean, root) = match operator {
            "ReduceMean" | "GlobalAveragePool" => (Fold::Sum, true, false),
            "ReduceSum" => (Fold::Sum, false, false),
            "ReduceSumSquare" => (Fold::Squares, false, false),
            "ReduceL2" => (Fold::Squares, false, true),
            "ReduceMax" | "GlobalMaxPool" => (Fold::Greatest, false, false),
            "ReduceMin" => (Fold::Least, false, false),
            _ => return None,
        };
        Some(Reduction { fold, mean, root })
    }
}

impl Lowering<'_> {
    pub(super) fn reduce(&mut self, node: &NodeProto, reduction: Reduction) -> Result<Value, String> {
        let attributes = Attributes(node);
        let (id, size) = self.tensor(node, 0)?;
        let global = node.op_type.starts_with("Global");
        let mut axes: Vec<i64> = match self.optional(node, 1) {
            _ if global => vec![2, 3],
            Some(Value::Constant(axes)) => axes.values.iter().map(|&axis| (axis as i64).rem_euclid(4)).collect(),
            Some(_) => return Err("its axes are not constant".into()),
            None => attributes.list("axes").iter().map(|axis| axis.rem_euclid(4)).collect(),
        };
        axes.sort_unstable();
        if attributes.int("keepdims", 1) == 0 {
            return Err("without keepdims it is not covered".into());
        }
        let (pixels, channels) = match axes[..] {
            [1] => (false, true),
            [2, 3] => (true, false),
            [1, 2, 3] => (true, true),
            _ => return Err(format!("over axes {axes:?} it is not covered")),
        };
        let (id, fold) = match self.sources[id] {
            // The squares themselves are needed nowhere else, as a rule; what is squared is.
            Source::Apply(Op::Mul, ref factors) if reduction.fold == Fold::Sum && factors[0] == factors[1] => (factors[0], Fold::Squares),
            _ => (id, reduction.fold),
        };
        let mut view = self.evaluate(id, size, None);
        let mut left = size;
        let mut fold_next = fold;
        if pixels {
            left = Size { channels: size.channels, rows: 1, columns: 1 };
            let scale = if reduction.mean { 1.0 / size.pixels() as f32 } else { 1.0 };
            view = self.folded(Box::new(Whole { fold, pixels: size.pixels(), scale }), view, left);
            fold_next = if fold == Fold::Squares { Fold::Sum } else { fold };
        }
        if channels {
            let scale = if reduction.mean { 1.0 / size.channels as f32 } else { 1.0 };
            let pixels = left.pixels();
            left = Size { channels: 1, ..left };
            view = self.folded(Box::new(Across { fold: fold_next, pixels, scale }), view, left);
        }
        let id = self.source(Source::View(view));
        Ok(if reduction.root { self.apply(Op::Sqrt, vec![id], left) } else { Value::Tensor(id, left) })
    }

    fn folded(&mut self, work: Box<dyn PlaneWork>, input: View, size: Size) -> View {
        let output = whole(self.layout.buffer(size.channels, size.pixels()), size.channels);
        self.operations.push(Operation::Planes { work, input, output: output.clone() });
        output
    }

    /// Over the channels of a pixel.
    fn across(&mut self, fold: Fold, id: Id, size: Size, scale: f32) -> (Id, Size) {
        let view = self.evaluate(id, size, None);
        let one = Size { channels: 1, ..size };
        let view = self.folded(Box::new(Across { fold, pixels: size.pixels(), scale }), view, one);
        (self.source(Source::View(view)), one)
    }

    /// One plane as an operand for each of `channels`.
    fn spread(&mut self, id: Id, size: Size, channels: usize) -> Id {
        let plane = self.evaluate(id, size, None)[0];
        self.source(Source::View(vec![plane; channels]))
    }

    pub(super) fn softmax(&mut self, node: &NodeProto) -> Result<Value, String> {
        if !matches!(Attributes(node).signed("axis", -1), 1 | -3) {
            return Err("only over channels it is covered".into());
        }
        let (id, size) = self.tensor(node, 0)?;
        let (greatest, one) = self.across(Fold::Greatest, id, size, 1.0);
        let greatest = self.spread(greatest, one, size.channels);
        let below = self.source(Source::Apply(Op::Sub, vec![id, greatest]));
        let power = self.source(Source::Apply(Op::Exp, vec![below]));
        let (sum, one) = self.across(Fold::Sum, power, size, 1.0);
        let unit = self.number(1.0);
        let share = self.source(Source::Apply(Op::Div, vec![unit, sum]));
        let share = self.spread(share, one, size.channels);
        Ok(self.apply(Op::Mul, vec![power, share], size))
    }
}
