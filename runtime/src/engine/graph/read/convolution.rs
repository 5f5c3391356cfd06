//! Convolutions, transposed ones, and matrix products that are convolutions.

use std::sync::Arc;

use tract_onnx::pb::NodeProto;

use super::{Attributes, Constant, Entry, Reader};
use crate::engine::graph::{Axis, ChannelOrder, Geometry, Id, Kind, Op, Operand, Size, Transposed, Value};

impl Reader {
    pub(super) fn convolution(&mut self, node: &NodeProto) -> Result<Id, String> {
        let attributes = Attributes(node);
        // A border that was laid before it is its own.
        let (id, border) = match *self.get(node, 0)? {
            Entry::Padded(id, border) => (id, border),
            _ => (self.picture(node, 0)?.0, [0; 4]),
        };
        let size = self.size(id);
        let (weights, bias) = self.parameters(node)?;
        let [cout, per_group, kh, kw] = weights.shape[..] else { return Err(format!("weights of {:?}", weights.shape)) };
        let groups = attributes.int("group", 1);
        let pads = attributes.ints("pads", [0; 4])?;
        let [top, left, bottom, right] = [0, 1, 2, 3].map(|at| pads[at] + border[at]);
        let geometry = Geometry {
            cin: size.channels,
            cout,
            groups,
            input: [size.rows, size.columns],
            kernel: [kh, kw],
            begin: [top, left],
            end: [bottom, right],
            stride: attributes.ints("strides", [1; 2])?,
            dilation: attributes.ints("dilations", [1; 2])?,
        };
        let whole_groups = groups > 0 && cout % groups == 0 && per_group * groups == size.channels;
        let biased = bias.is_empty() || bias.len() == cout;
        if !whole_groups || !biased || geometry.stride.contains(&0) || geometry.dilation.contains(&0) || kh * kw == 0 {
            return Err(format!("{geometry:?} does not fit weights of {:?}", weights.shape));
        }
        let [rows, columns] = geometry.output();
        if rows * columns == 0 {
            return Err("the kernel is larger than its input".into());
        }
        let value = Value::picture(Size { channels: cout, rows, columns });
        Ok(self.emit(Kind::Convolution { input: id, geometry, weights: weights.values.into(), bias }, value))
    }

    pub(super) fn transposed(&mut self, node: &NodeProto) -> Result<Id, String> {
        let attributes = Attributes(node);
        let (id, size) = self.picture(node, 0)?;
        let (weights, bias) = self.parameters(node)?;
        let [cin, per_group, kh, kw] = weights.shape[..] else { return Err(format!("weights of {:?}", weights.shape)) };
        if !attributes.list("output_shape").is_empty() {
            return Err("a given output shape is not covered".into());
        }
        let groups = attributes.int("group", 1);
        let [top, left, bottom, right] = attributes.ints("pads", [0; 4])?;
        let transposed = Transposed {
            cin,
            cout: per_group * groups,
            groups,
            input: [size.rows, size.columns],
            kernel: [kh, kw],
            begin: [top, left],
            end: [bottom, right],
            extra: attributes.ints("output_padding", [0; 2])?,
            stride: attributes.ints("strides", [1; 2])?,
            dilation: attributes.ints("dilations", [1; 2])?,
        };
        let fits = cin == size.channels && groups > 0 && cin % groups == 0 && (bias.is_empty() || bias.len() == transposed.cout);
        if !fits || transposed.stride.contains(&0) || transposed.dilation.contains(&0) || kh * kw == 0 {
            return Err(format!("{transposed:?} does not fit weights of {:?}", weights.shape));
        }
        let [rows, columns] = transposed.output();
        if rows * columns == 0 {
            return Err("nothing is left of its output".into());
        }
        let geometry = transposed.geometry();
        let [high, wide] = geometry.output();
        let parts = Value::picture(Size { channels: geometry.cout, rows: high, columns: wide });
        let weights = transposed.weights(&weights.values).into();
        let parts = self.emit(Kind::Convolution { input: id, geometry, weights, bias: transposed.bias(&bias) }, parts);
        let shuffle =
            Kind::PixelShuffle { input: parts, block: transposed.stride, order: ChannelOrder::ChannelFirst, begin: transposed.begin };
        Ok(self.emit(shuffle, Value::picture(Size { channels: transposed.cout, rows, columns })))
    }

    /// Weights and bias (empty if absent) of a convolution, which does not ask for automatic padding.
    fn parameters(&self, node: &NodeProto) -> Result<(Constant, Vec<f32>), String> {
        let weights = self.constants(node, 1)?.clone();
        let bias = self.optional_constant(node, 2)?.map_or_else(Vec::new, |bias| bias.values.clone());
        match Attributes(node).text("auto_pad") {
            "" | "NOTSET" | "VALID" => Ok((weights, bias)),
            _ => Err("automatic padding is not covered".into()),
        }
    }

    /// A product of a value's channels and a constant matrix.
    pub(super) fn product(&mut self, node: &NodeProto) -> Result<Id, String> {
        let attributes = Attributes(node);
        let gemm = node.op_type == "Gemm";
        let (alpha, beta) = (attributes.float("alpha", 1.0), attributes.float("beta", 1.0));
        let turned = attributes.int("transB", 0) != 0;
        if attributes.int("transA", 0) != 0 {
            return Err("with its first matrix transposed it is not covered".into());
        }
        let id = self.computed(node, 0)?;
        let value = self.shape(id);
        let mut matrix = self.constants(node, 1)?.clone();
        while matrix.shape.len() > 2 && matrix.shape[0] == 1 {
            matrix.shape.remove(0);
        }
        let [a, b] = matrix.shape[..] else { return Err(format!("a matrix of {:?} is not covered", matrix.shape)) };
        let (cin, cout) = if turned { (b, a) } else { (a, b) };
        if value.axis(-1)? != Axis::Channels || cin != value.size.channels {
            return Err(format!("{:?} times {:?}: only channels on the last axis are covered", value.shape(), matrix.shape));
        }
        let at = |o: usize, i: usize| alpha * if turned { matrix.values[o * cin + i] } else { matrix.values[i * cout + o] };
        let weights: Arc<[f32]> = (0..cout * cin).map(|n| at(n / cin, n % cin)).collect();
        let size = Size { channels: cout, ..value.size };
        let (mut bias, mut added) = (Vec::new(), None);
        if gemm && let Some(offset) = self.optional_constant(node, 2)? {
            let (values, own) =
                offset.beside(&value.sized(size)).ok_or_else(|| format!("an offset of {:?} is not covered", offset.shape))?;
            match own {
                Size { rows: 1, columns: 1, .. } => bias = (0..cout).map(|c| beta * values[c % own.channels]).collect(),
                _ => added = Some((values.into_iter().map(|x| beta * x).collect::<Arc<[f32]>>(), own)),
            }
        }
        let geometry = Geometry {
            cin,
            cout,
            groups: 1,
            input: [size.rows, size.columns],
            kernel: [1, 1],
            begin: [0, 0],
            end: [0, 0],
            stride: [1, 1],
            dilation: [1, 1],
        };
        let product = self.emit(Kind::Convolution { input: id, geometry, weights, bias }, value.sized(size));
        Ok(match added {
            Some((values, own)) => self.map(Op::Add, vec![Operand::Value(product), Operand::Constant(values, own)], value.sized(size)),
            None => product,
        })
    }
}
