//! Reshapes and transpositions that move nothing: the same numbers, whose axes have other names.

use tract_onnx::pb::NodeProto;

use super::{Attributes, Constant, Entry, Reader};
use crate::engine::graph::{Axis, Id, Kind, Value};

impl Reader {
    /// Reshape, Flatten, Squeeze and Unsqueeze.
    pub(super) fn reshape(&mut self, node: &NodeProto) -> Result<Vec<Entry>, String> {
        if let Entry::Constant(constant) = self.get(node, 0)? {
            let shape = self.wanted(node, &constant.shape)?;
            return Ok(vec![Entry::Constant(Constant { shape, values: constant.values.clone() }.into())]);
        }
        if let Entry::Grouped(id, groups) = *self.get(node, 0)? {
            let size = self.size(id);
            let shape = self.wanted(node, &[1, groups, size.numbers() / groups])?;
            return if shape == self.graph.values[id].shape() {
                Ok(vec![Entry::Value(id)])
            } else {
                Err(format!("groups of channels as {shape:?} are not covered"))
            };
        }
        let id = self.computed(node, 0)?;
        let value = self.shape(id);
        let shape = self.wanted(node, &value.shape())?;
        if shape == value.shape() {
            return Ok(vec![Entry::Value(id)]);
        }
        if let Some(axes) = renamed(&value, &shape) {
            return Ok(vec![Entry::Value(self.emit(Kind::Rename { input: id }, axes))]);
        }
        match self.grouped(id, &shape) {
            Some(groups) => Ok(vec![Entry::Grouped(id, groups)]),
            None => Err(format!("{:?} as {shape:?} is not covered", value.shape())),
        }
    }

    /// The shape that a node gives to one of `from`.
    fn wanted(&self, node: &NodeProto, from: &[usize]) -> Result<Vec<usize>, String> {
        let attributes = Attributes(node);
        let rank = from.len() as i64;
        let axes = || -> Result<Vec<i64>, String> {
            Ok(self.optional_constant(node, 1)?.map_or_else(|| attributes.list("axes").to_vec(), Constant::whole))
        };
        match node.op_type.as_str() {
            "Flatten" => {
                let at = attributes.signed("axis", 1);
                let at = (if at < 0 { at + rank } else { at }).clamp(0, rank) as usize;
                Ok(vec![from[..at].iter().product(), from[at..].iter().product()])
            }
            "Squeeze" => {
                let axes: Vec<i64> = axes()?.iter().map(|axis| axis.rem_euclid(rank.max(1))).collect();
                let drops = |at: usize| if axes.is_empty() { from[at] == 1 } else { axes.contains(&(at as i64)) };
                Ok((0..from.len()).filter(|&at| !drops(at)).map(|at| from[at]).collect())
            }
            "Unsqueeze" => {
                let axes = axes()?;
                let all = rank + axes.len() as i64;
                let new: Vec<i64> = axes.iter().map(|axis| axis.rem_euclid(all)).collect();
                let mut old = from.iter();
                Ok((0..all).map(|at| if new.contains(&at) { 1 } else { old.next().copied().unwrap_or(1) }).collect())
            }
            _ => {
                let asked = self.constants(node, 1)?.whole();
                let zero_is_zero = attributes.int("allowzero", 0) != 0;
                let kept = |(at, &n): (usize, &i64)| match n {
                    0 if !zero_is_zero => from.get(at).copied().unwrap_or(0),
                    n => usize::try_from(n).unwrap_or(1),
                };
                let mut shape: Vec<usize> = asked.iter().enumerate().map(kept).collect();
                let (all, known) = (from.iter().product::<usize>(), shape.iter().product::<usize>());
                if let Some(open) = asked.iter().position(|&n| n == -1) {
                    shape[open] = all.checked_div(known).unwrap_or(0);
                }
                if shape.iter().product::<usize>() == all { Ok(shape) } else { Err(format!("{from:?} is not {asked:?}")) }
            }
        }
    }

    /// Axes in another order; the numbers stay where they are.
    pub(super) fn transpose(&mut self, node: &NodeProto) -> Result<Id, String> {
        let id = self.computed(node, 0)?;
        let value = self.shape(id);
        let rank = value.axes.len();
        let order: Vec<usize> = match Attributes(node).list("perm") {
            [] => (0..rank).rev().collect(),
            order => order.iter().map(|&axis| axis.rem_euclid(rank.max(1) as i64) as usize).collect(),
        };
        if order.len() != rank {
            return Err(format!("{order:?} is no order of {rank} axes"));
        }
        let axes = order.iter().map(|&at| value.axes[at]).collect();
        Ok(self.emit(Kind::Rename { input: id }, Value { axes, ..value }))
    }
}

/// The names that a value's axes have in another shape, if its numbers stay in their order.
fn renamed(value: &Value, shape: &[usize]) -> Option<Value> {
    let large = |shape: &[usize]| shape.iter().copied().filter(|n| *n > 1).collect::<Vec<_>>();
    let (own, wanted) = (large(&value.shape()), large(shape));
    let mut names: Vec<Axis> = value.axes.iter().copied().filter(|axis| value.along(*axis) > 1).collect();
    if own != wanted {
        // Rows and columns that lie behind each other become pixels, and pixels become them again.
        let at = names.windows(2).position(|pair| pair == [Axis::Rows, Axis::Columns]);
        if let Some(at) = at {
            names.splice(at..at + 2, [Axis::Pixels]);
        } else if let Some(at) = names.iter().position(|axis| *axis == Axis::Pixels) {
            names.splice(at..=at, [Axis::Rows, Axis::Columns].into_iter().filter(|axis| value.along(*axis) > 1));
        }
        if names.iter().map(|axis| value.along(*axis)).collect::<Vec<_>>() != wanted {
            return flat(value, shape);
        }
    }
    let mut names = names.into_iter();
    let axes: Option<Vec<Axis>> = shape.iter().map(|&n| if n > 1 { names.next() } else { Some(Axis::One) }).collect();
    Some(pictured(Value { size: value.size, axes: axes? }))
}

/// A vector, or a picture of one pixel, in any shape with one size larger than 1; four axes are a picture.
fn flat(value: &Value, shape: &[usize]) -> Option<Value> {
    let vector = value.size.pixels() == 1;
    if vector { Value::of_shape(shape).filter(|made| made.size == value.size) } else { None }
}

/// Four axes in the order of a picture's have its names, also where they are 1.
fn pictured(value: Value) -> Value {
    let picture = [Axis::One, Axis::Channels, Axis::Rows, Axis::Columns];
    let fits = value.axes.len() == 4 && value.axes.iter().zip(picture).all(|(own, name)| *own == name || *own == Axis::One);
    let whole = fits && picture.iter().zip(&value.axes).all(|(name, own)| own == name || value.along(*name) == 1);
    if whole { Value::picture(value.size) } else { value }
}
