//! Concatenation, splitting and slicing.

use tract_onnx::pb::NodeProto;

use super::{Attributes, Entry, Reader};
use crate::engine::graph::{Axis, Id, Kind, Size};

impl Reader {
    pub(super) fn concat(&mut self, node: &NodeProto) -> Result<Id, String> {
        let axis = Attributes(node).signed("axis", 1);
        let mut inputs = Vec::new();
        let mut channels = 0;
        for at in 0..node.input.len() {
            let id = self.computed(node, at)?;
            let value = &self.graph.values[id];
            if value.axis(axis)? != Axis::Channels {
                return Err("only channels can be concatenated".into());
            }
            let first = &self.graph.values[*inputs.first().unwrap_or(&id)];
            if [first.size.rows, first.size.columns] != [value.size.rows, value.size.columns] || first.axes != value.axes {
                return Err("the parts differ in height or width".into());
            }
            channels += value.size.channels;
            inputs.push(id);
        }
        let first = self.shape(*inputs.first().ok_or("nothing to concatenate")?);
        let value = first.sized(Size { channels, ..first.size });
        Ok(self.emit(Kind::Concat { inputs }, value))
    }

    pub(super) fn split(&mut self, node: &NodeProto) -> Result<Vec<Entry>, String> {
        let attributes = Attributes(node);
        let id = self.computed(node, 0)?;
        let value = self.shape(id);
        if value.axis(attributes.signed("axis", 0))? != Axis::Channels {
            return Err("only channels can be split".into());
        }
        let (parts, channels) = (node.output.len(), value.size.channels);
        let counts: Vec<usize> = match self.optional_constant(node, 1)? {
            Some(counts) => counts.values.iter().map(|&n| n as usize).collect(),
            None if channels.is_multiple_of(parts) => vec![channels / parts; parts],
            None => return Err(format!("{channels} channels do not split into {parts}")),
        };
        if counts.len() != parts || counts.iter().sum::<usize>() != channels || counts.contains(&0) {
            return Err(format!("{counts:?} do not add up to {channels} channels"));
        }
        let mut from = 0;
        let mut part = |count: usize| {
            let channels = (from..from + count).collect();
            from += count;
            Entry::Value(self.emit(Kind::Channels { input: id, channels }, value.sized(Size { channels: count, ..value.size })))
        };
        Ok(counts.into_iter().map(&mut part).collect())
    }

    pub(super) fn slice(&mut self, node: &NodeProto) -> Result<Id, String> {
        let mut id = self.computed(node, 0)?;
        let value = self.shape(id);
        let list = |at: usize| -> Result<Vec<i64>, String> { Ok(self.constants(node, at)?.whole()) };
        let (starts, ends) = (list(1)?, list(2)?);
        let axes = if self.optional(node, 3)?.is_some() { list(3)? } else { (0..starts.len() as i64).collect() };
        let steps = if self.optional(node, 4)?.is_some() { list(4)? } else { vec![1; starts.len()] };
        if [ends.len(), axes.len(), steps.len()] != [starts.len(); 3] || starts.is_empty() {
            return Err("its ranges are not one for each axis".into());
        }
        let ranges = starts.into_iter().zip(ends).zip(axes).zip(steps).map(|(((start, end), axis), step)| (start, end, axis, step));
        let mut size = value.size;
        let mut numbers = [(0..size.rows).collect::<Vec<_>>(), (0..size.columns).collect::<Vec<_>>()];
        for (start, end, axis, step) in ranges {
            let axis = value.axis(axis)?;
            let n = value.along(axis) as i64;
            let clamp = |x: i64| (if x < 0 { x + n } else { x }).clamp(0, n) as usize;
            if step < 1 {
                return Err("ranges that run backwards are not covered".into());
            }
            let range = (clamp(start)..clamp(end)).step_by(step as usize);
            match axis {
                Axis::One if range.len() == 1 => {}
                Axis::Channels if range.len() > 0 => {
                    let channels: Vec<usize> = range.collect();
                    size.channels = channels.len();
                    id = self.emit(Kind::Channels { input: id, channels }, value.sized(size));
                }
                Axis::Rows if range.len() > 0 => numbers[0] = range.collect(),
                Axis::Columns if range.len() > 0 => numbers[1] = range.collect(),
                _ => return Err(format!("nothing is left along an axis of {n}, or it is not covered")),
            }
        }
        let [rows, columns] = numbers;
        if rows.len() == size.rows && columns.len() == size.columns {
            return Ok(id);
        }
        self.gather(id, rows, columns, 0.0)
    }
}
