//! Concatenation, splitting and slicing of channels: other lists of the same planes.

use tract_onnx::pb::NodeProto;

use super::{Lowering, Size, Source, Value};
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
            Some(Value::Tensor(..)) => return Err("the sizes are not constant".into()),
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
        let (id, size) = self.tensor(node, 0)?;
        let one = |at: usize| -> Result<i64, String> { Ok(self.constants(node, at)?.number().ok_or("one range is covered")? as i64) };
        let (start, end) = (one(1)?, one(2)?);
        let axis = if self.optional(node, 3).is_some() { one(3)? } else { 0 };
        let step = if self.optional(node, 4).is_some() { one(4)? } else { 1 };
        if !matches!(axis, 1 | -3) || step != 1 {
            return Err("only runs of channels can be sliced".into());
        }
        let channels = size.channels as i64;
        let clamp = |x: i64| (if x < 0 { x + channels } else { x }).clamp(0, channels) as usize;
        let range = clamp(start)..clamp(end);
        if range.is_empty() {
            return Err("no channel is left".into());
        }
        let view = self.evaluate(id, size, None)[range].to_vec();
        let size = Size { channels: view.len(), ..size };
        Ok(Value::Tensor(self.source(Source::View(view)), size))
    }
}
