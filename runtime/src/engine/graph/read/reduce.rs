//! Sums, means and extremes over channels, or over all pixels of a channel, and softmax.

use tract_onnx::pb::NodeProto;

use super::{Attributes, Reader};
use crate::engine::graph::{Axis, Fold, Id, Kind, Op, Operand, Size, Value};

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

impl Reader {
    pub(super) fn reduce(&mut self, node: &NodeProto, reduction: Reduction) -> Result<Id, String> {
        let attributes = Attributes(node);
        let global = node.op_type.starts_with("Global");
        let id = if global { self.picture(node, 0)?.0 } else { self.computed(node, 0)? };
        let value = self.shape(id);
        let given: Vec<i64> = match self.optional_constant(node, 1)? {
            _ if global => vec![2, 3],
            Some(axes) => axes.whole(),
            None => attributes.list("axes").to_vec(),
        };
        if given.is_empty() && attributes.int("noop_with_empty_axes", 0) != 0 {
            return Err("without axes it is not covered".into());
        }
        let rank = value.axes.len() as i64;
        let numbers: Vec<usize> =
            if given.is_empty() { (0..rank as usize).collect() } else { given.iter().map(|axis| axis.rem_euclid(rank) as usize).collect() };
        let axes: Vec<Axis> = numbers.iter().map(|&at| value.axes[at]).collect();
        let (mut id, reduced) = self.folded(id, &axes, reduction.fold, reduction.mean)?;
        let mut left = reduced;
        if attributes.int("keepdims", 1) == 0 {
            let kept = |(at, axis): (usize, &Axis)| (!numbers.contains(&at)).then_some(*axis);
            left.axes = value.axes.iter().enumerate().filter_map(kept).collect();
            id = self.emit(Kind::Rename { input: id }, left.clone());
        }
        Ok(if reduction.root { self.map(Op::Sqrt, vec![Operand::Value(id)], left) } else { id })
    }

    /// A value reduced along axes, which keep their names.
    pub(super) fn folded(&mut self, id: Id, axes: &[Axis], fold: Fold, mean: bool) -> Result<(Id, Value), String> {
        let value = self.shape(id);
        let along = |axis: Axis| axes.contains(&axis);
        let pixels = along(Axis::Pixels)
            || (along(Axis::Rows) || along(Axis::Columns))
                && (along(Axis::Rows) || value.size.rows == 1)
                && (along(Axis::Columns) || value.size.columns == 1);
        if !pixels && (along(Axis::Rows) && value.size.rows > 1 || along(Axis::Columns) && value.size.columns > 1) {
            return Err(format!("over rows or columns alone it is not covered ({:?})", value.shape()));
        }
        let channels = along(Axis::Channels);
        let (id, fold) = match self.made_by(id) {
            // The squares themselves are needed nowhere else, as a rule; what is squared is.
            Some((Op::Mul, [Operand::Value(a), Operand::Value(b)])) if fold == Fold::Sum && a == b && self.size(*a) == value.size => {
                (*a, Fold::Squares)
            }
            _ => (id, fold),
        };
        let size = Size {
            channels: if channels { 1 } else { value.size.channels },
            rows: if pixels { 1 } else { value.size.rows },
            columns: if pixels { 1 } else { value.size.columns },
        };
        let left = value.sized(size);
        if !pixels && !channels {
            return match fold {
                Fold::Squares => Err("over axes of size 1 it is not covered".into()),
                _ => Ok((id, left)),
            };
        }
        Ok((self.emit(Kind::Reduce { input: id, fold, pixels, channels, mean }, left.clone()), left))
    }

    pub(super) fn softmax(&mut self, node: &NodeProto) -> Result<Id, String> {
        let id = self.computed(node, 0)?;
        let value = self.shape(id);
        if value.axis(Attributes(node).signed("axis", -1))? != Axis::Channels {
            return Err("only over channels it is covered".into());
        }
        Ok(self.emit(Kind::Softmax { input: id }, value))
    }
}
