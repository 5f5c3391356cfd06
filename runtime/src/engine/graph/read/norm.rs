//! Norms: of an instance, of a batch, of layers and of groups.

use tract_onnx::pb::NodeProto;

use super::{Attributes, Constant, Entry, Reader};
use crate::engine::graph::{Fold, Geometry, Id, Kind, Op, Operand, Size, Value};

impl Reader {
    pub(super) fn instance_norm(&mut self, node: &NodeProto) -> Result<Vec<Entry>, String> {
        let (gain, bias) = (self.constants(node, 1)?.values.clone(), self.constants(node, 2)?.values.clone());
        let epsilon = Attributes(node).float("epsilon", 1e-5);
        if let Entry::Grouped(id, groups) = *self.get(node, 0)? {
            let plain = gain.len() == groups && gain.iter().all(|&x| x == 1.0) && bias.iter().all(|&x| x == 0.0);
            return if plain {
                Ok(vec![Entry::Grouped(self.group_norm(id, groups, epsilon), groups)])
            } else {
                Err("of groups of channels with a gain it is not covered".into())
            };
        }
        let (id, size) = self.picture(node, 0)?;
        if gain.len() != size.channels || bias.len() != size.channels {
            return Err(format!("{} and {} parameters for {} channels", gain.len(), bias.len(), size.channels));
        }
        Ok(vec![Entry::Value(self.emit(Kind::InstanceNorm { input: id, epsilon, gain, bias }, Value::picture(size)))])
    }

    pub(super) fn batch_norm(&mut self, node: &NodeProto) -> Result<Id, String> {
        let attributes = Attributes(node);
        if attributes.int("training_mode", 0) != 0 {
            return Err("training mode is not covered".into());
        }
        let (id, size) = self.picture(node, 0)?;
        let epsilon = attributes.float("epsilon", 1e-5);
        let mut tables = Vec::new();
        for at in 1..5 {
            tables.push(self.constants(node, at)?.values.clone());
        }
        if tables.iter().any(|table| table.len() != size.channels) {
            return Err("parameters do not fit the channels".into());
        }
        let scale: Vec<f32> = (0..size.channels).map(|c| tables[0][c] / (tables[3][c] + epsilon).sqrt()).collect();
        let shift: Vec<f32> = (0..size.channels).map(|c| tables[1][c] - tables[2][c] * scale[c]).collect();
        Ok(self.map(Op::MulAdd, vec![Operand::Value(id), each(scale), each(shift)], Value::picture(size)))
    }

    /// Over the channels of each pixel, or over everything.
    pub(super) fn layer_norm(&mut self, node: &NodeProto) -> Result<Id, String> {
        if node.output.iter().skip(1).any(|name| !name.is_empty()) {
            return Err("its mean and deviation are not covered".into());
        }
        let attributes = Attributes(node);
        let id = self.computed(node, 0)?;
        let value = self.shape(id);
        let from = attributes.signed("axis", -1).rem_euclid(value.axes.len().max(1) as i64) as usize;
        let axes = value.axes[from..].to_vec();
        let epsilon = attributes.float("epsilon", 1e-5);
        let (mean, _) = self.folded(id, &axes, Fold::Sum, true)?;
        let centred = self.of(Op::Sub, id, mean);
        let (variance, _) = self.folded(centred, &axes, Fold::Squares, true)?;
        let scale = self.deviation(variance, epsilon);
        let mut id = self.of(Op::Div, centred, scale);
        for (at, op) in [(1, Op::Mul), (2, Op::Add)] {
            if let Some(constant) = self.optional_constant(node, at)? {
                let operand = beside(constant, &value)?;
                id = self.map(op, vec![Operand::Value(id), operand], value.clone());
            }
        }
        Ok(id)
    }

    pub(super) fn group_normalization(&mut self, node: &NodeProto) -> Result<Id, String> {
        let attributes = Attributes(node);
        let (id, size) = self.picture(node, 0)?;
        let groups = attributes.int("num_groups", 0);
        let (gain, bias) = (self.constants(node, 1)?.values.clone(), self.constants(node, 2)?.values.clone());
        if groups == 0 || !size.channels.is_multiple_of(groups) {
            return Err(format!("{} channels are not {groups} groups", size.channels));
        }
        // One for each group until opset 20, one for each channel since.
        let spread = |values: Vec<f32>| match values.len() {
            n if n == size.channels => Ok(values),
            n if n == groups => Ok((0..size.channels).map(|c| values[c / (size.channels / groups)]).collect()),
            n => Err(format!("{n} parameters for {} channels", size.channels)),
        };
        let operands = [spread(gain)?, spread(bias)?].map(each);
        let id = self.group_norm(id, groups, attributes.float("epsilon", 1e-5));
        let [gain, bias] = operands;
        Ok(self.map(Op::MulAdd, vec![Operand::Value(id), gain, bias], Value::picture(size)))
    }

    /// Each group of channels less its mean, divided by its deviation.
    fn group_norm(&mut self, id: Id, groups: usize, epsilon: f32) -> Id {
        let mean = self.group_mean(id, groups, Fold::Sum);
        let centred = self.of(Op::Sub, id, mean);
        let variance = self.group_mean(centred, groups, Fold::Squares);
        let scale = self.deviation(variance, epsilon);
        self.of(Op::Div, centred, scale)
    }

    /// The mean of each group of channels, for each of its channels.
    fn group_mean(&mut self, id: Id, groups: usize, fold: Fold) -> Id {
        let channels = self.size(id).channels;
        let vector = Value::picture(Size { channels, rows: 1, columns: 1 });
        let each = self.emit(Kind::Reduce { input: id, fold, pixels: true, channels: false, mean: true }, vector.clone());
        let of = channels / groups;
        if of == 1 {
            return each;
        }
        let geometry = Geometry {
            cin: channels,
            cout: channels,
            groups,
            input: [1, 1],
            kernel: [1, 1],
            begin: [0, 0],
            end: [0, 0],
            stride: [1, 1],
            dilation: [1, 1],
        };
        let weights = vec![1.0 / of as f32; channels * of].into();
        self.emit(Kind::Convolution { input: each, geometry, weights, bias: Vec::new() }, vector)
    }

    fn deviation(&mut self, variance: Id, epsilon: f32) -> Id {
        let sum = self.with(Op::Add, variance, epsilon);
        self.alone(Op::Sqrt, sum)
    }

    /// The axes along which a picture's channels lie in groups, if a reshape made them so: `[1, groups, rest]`, or `[1, groups, channels, h, w]`.
    pub(super) fn grouped(&self, id: Id, shape: &[usize]) -> Option<usize> {
        let value = &self.graph.values[id];
        let &[1, groups, ..] = shape else { return None };
        let per_channel = value.size.pixels();
        let splits = groups > 0 && value.size.channels.is_multiple_of(groups) && value.is_picture();
        (splits && shape.len() == 3 && shape[2] == value.size.channels / groups * per_channel).then_some(groups)
    }
}

/// One number for each channel.
fn each(values: Vec<f32>) -> Operand {
    let size = Size { channels: values.len(), rows: 1, columns: 1 };
    Operand::Constant(values.into(), size)
}

fn beside(constant: &Constant, value: &Value) -> Result<Operand, String> {
    match constant.number() {
        Some(x) => Ok(Operand::Number(x)),
        None => match constant.beside(value) {
            Some((values, size)) => Ok(Operand::Constant(values.into(), size)),
            None => Err(format!("parameters of {:?} do not fit {:?}", constant.shape, value.shape())),
        },
    }
}
