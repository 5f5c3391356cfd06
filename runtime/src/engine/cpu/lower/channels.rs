//! Concatenation, splitting and slicing of channels: other lists of the same planes.

use tract_onnx::pb::NodeProto;

use super::{Lowering, Size, Source, Value};
use crate::engine::cpu::gather::Gather;
use crate::engine::cpu::machine::View;
use crate::engine::cpu::onnx::Attributes;

impl Lowering<'_> {
    pub(super) fn concat(&mut self, node: &NodeProto) -> Result<Value, String> {
        if !matches!(Attributes(node).signed("axis", 1), 1 | -3) {
            return Err("only channels can be concatenated".into());
        }
        let mut view = View::new();
        let mut size: Option<Size> = None;
        for at in 0..node.input.len() {
            let (id, part) = self.tensor(node, at)?;
            if size.is_some_and(|size| [size.rows, size.columns] != [part.rows, part.columns]) {
                return Err("the parts differ in height or width".into());
            }
            view.extend(self.evaluate(id, part, None));
            size = Some(Size { channels: view.len(), ..part });
        }
        let size = size.ok_or("nothing to concatenate")?;
        Ok(Value::Tensor(self.source(Source::View(view)), size))
    }

    pub(super) fn split(&mut self, node: &NodeProto) -> Result<Vec<Value>, String> {
        let attributes = Attributes(node);
        if !matches!(attributes.signed("axis", 0), 1 | -3) {
            return Err("only channels can be split".into());
        }
        let (id, size) = self.tensor(node, 0)?;
        let parts = node.output.len();
        let counts: Vec<usize> = match self.optional(node, 1) {
            Some(Value::Constant(counts)) => counts.values.iter().map(|&n| n as usize).collect(),
            Some(_) => return Err("the sizes are not constant".into()),
            None => match attributes.list("split") {
                [] if size.channels % parts == 0 => vec![size.channels / parts; parts],
                [] => return Err(format!("{} channels do not split into {parts}", size.channels)),
                counts => counts.iter().map(|&n| n as usize).collect(),
            },
        };
        if counts.len() != parts || counts.iter().sum::<usize>() != size.channels {
            return Err(format!("{counts:?} do not add up to {} channels", size.channels));
        }
        let view = self.evaluate(id, size, None);
        let mut from = 0;
        let mut part = |channels: usize| {
            let id = self.source(Source::View(view[from..from + channels].to_vec()));
            from += channels;
            Value::Tensor(id, Size { channels, ..size })
        };
        Ok(counts.into_iter().map(&mut part).collect())
    }

    pub(super) fn slice(&mut self, node: &NodeProto) -> Result<Value, String> {
        let (mut id, mut size) = self.tensor(node, 0)?;
        let list = |at: usize| -> Result<Vec<i64>, String> { Ok(self.constants(node, at)?.values.iter().map(|&n| n as i64).collect()) };
        let (starts, ends) = (list(1)?, list(2)?);
        let axes = if self.optional(node, 3).is_some() { list(3)? } else { (0..starts.len() as i64).collect() };
        let steps = if self.optional(node, 4).is_some() { list(4)? } else { vec![1; starts.len()] };
        if [ends.len(), axes.len(), steps.len()] != [starts.len(); 3] || starts.is_empty() {
            return Err("its ranges are not one for each axis".into());
        }
        let ranges = starts.into_iter().zip(ends).zip(axes).zip(steps).map(|(((start, end), axis), step)| (start, end, axis, step));
        let mut numbers = [(0..size.rows).collect::<Vec<_>>(), (0..size.columns).collect::<Vec<_>>()];
        for (start, end, axis, step) in ranges {
            let axis = axis.rem_euclid(4) as usize;
            let n = [1, size.channels, size.rows, size.columns][axis] as i64;
            let clamp = |x: i64| (if x < 0 { x + n } else { x }).clamp(0, n) as usize;
            if step < 1 {
                return Err("ranges that run backwards are not covered".into());
            }
            let range = (clamp(start)..clamp(end)).step_by(step as usize);
            match axis {
                0 if range.len() == 1 => {}
                1 if range.len() > 0 => {
                    let all = self.evaluate(id, size, None);
                    let view: View = range.map(|channel| all[channel]).collect();
                    size.channels = view.len();
                    id = self.source(Source::View(view));
                }
                2 | 3 if range.len() > 0 => numbers[axis - 2] = range.collect(),
                _ => return Err(format!("nothing is left along axis {axis}")),
            }
        }
        let [rows, columns] = numbers;
        if rows.len() == size.rows && columns.len() == size.columns {
            return Ok(Value::Tensor(id, size));
        }
        self.gather(node, id, size, Gather::new([size.rows, size.columns], rows, columns, 0.0))
    }
}
