//! Convolutions, transposed ones among them, each in the form that the cost model finds cheaper.

use tract_onnx::pb::NodeProto;

use super::{Lowering, Size, Source, Value, size_of, whole};
use crate::engine::cpu::conv_direct::{ConvDirect, Geometry};
use crate::engine::cpu::conv_fft::{ConvFft, Shape, Tiling};
use crate::engine::cpu::conv_transposed::Transposed;
use crate::engine::cpu::conv_winograd::{self, ConvWinograd};
use crate::engine::cpu::depthwise::{Depthwise, Window};
use crate::engine::cpu::machine::{Operation, View};
use crate::engine::cpu::onnx::{Attributes, Constant};
use crate::engine::cpu::rates::Rates;

/// Most bytes one convolution's spectra may take.
const SPECTRA_BYTES: usize = 96 << 20;

impl Lowering<'_> {
    pub(super) fn convolution(&mut self, node: &NodeProto) -> Result<Value, String> {
        let attributes = Attributes(node);
        // A border that was laid before it is its own.
        let (id, size, border) = match *self.get(node, 0)? {
            Value::Padded(id, size, border) => (id, size, border),
            _ => {
                let (id, size) = self.tensor(node, 0)?;
                (id, size, [0; 4])
            }
        };
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
        let input = self.evaluate(id, size, None);
        let (value, output) = self.destination(node, Size { channels: cout, rows, columns });
        self.convolve(geometry, &weights.values, &bias, input, output);
        Ok(value)
    }

    pub(super) fn transposed(&mut self, node: &NodeProto) -> Result<Value, String> {
        let attributes = Attributes(node);
        let (id, size) = self.tensor(node, 0)?;
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
        let input = self.evaluate(id, size, None);
        let [high, wide] = geometry.output();
        let parts = whole(self.layout.buffer(geometry.cout, high * wide), geometry.cout);
        self.convolve(geometry, &transposed.weights(&weights.values), &transposed.bias(&bias), input, parts.clone());
        let (value, output) = self.destination(node, Size { channels: transposed.cout, rows, columns });
        self.operations.push(Operation::Shuffle { shuffle: transposed.shuffle(), input: parts, output });
        Ok(value)
    }

    /// Weights and bias (empty if absent) of a convolution, which does not ask for automatic padding.
    fn parameters(&self, node: &NodeProto) -> Result<(Constant, Vec<f32>), String> {
        let weights = self.constants(node, 1)?.clone();
        let bias = match self.optional(node, 2) {
            Some(Value::Constant(bias)) => bias.values.clone(),
            Some(_) => return Err("the bias is not constant".into()),
            None => Vec::new(),
        };
        match Attributes(node).text("auto_pad") {
            "" | "NOTSET" | "VALID" => Ok((weights, bias)),
            _ => Err("automatic padding is not covered".into()),
        }
    }

    /// Adds a convolution in the cheapest form.
    fn convolve(&mut self, geometry: Geometry, weights: &[f32], bias: &[f32], input: View, output: View) {
        let rates = Rates::of(self.isa);
        let direct = geometry.macs() as f64 * rates.direct_ns;
        let transforms = self.tiling(&geometry, &rates).filter(|(_, tiling)| tiling.cost_ns < direct);
        let filtering = conv_winograd::cost_ns(&geometry, &rates).filter(|&cost| cost < direct);
        let operation = match (transforms, filtering) {
            (Some((shape, tiling)), filtering) if filtering.is_none_or(|cost| tiling.cost_ns < cost) => {
                Operation::Fourier { conv: ConvFft::new(shape, tiling, self.isa, weights, bias), input, output }
            }
            (_, Some(_)) => Operation::Winograd { conv: ConvWinograd::new(geometry, self.isa, weights, bias), input, output },
            _ if geometry.groups == geometry.cin && geometry.groups == geometry.cout && geometry.groups > 1 => {
                let bias = if bias.is_empty() { vec![0.0; geometry.cout] } else { bias.to_vec() };
                let window = Window::Sum { weights: weights.to_vec(), bias };
                Operation::Depthwise { conv: Depthwise::new(geometry, self.isa, window), input, output }
            }
            _ => Operation::Direct { conv: ConvDirect::new(geometry, self.isa, weights, bias), input, output },
        };
        self.operations.push(operation);
    }

    /// The best tiling for transforms.
    fn tiling(&self, g: &Geometry, rates: &Rates) -> Option<(Shape, Tiling)> {
        if g.groups != 1 || g.stride != [1, 1] || g.dilation != [1, 1] {
            return None;
        }
        let shape = Shape { cin: g.cin, cout: g.cout, input: g.input, kernel: g.kernel, begin: g.begin, end: g.end };
        let tiling = Tiling::choose(&shape, rates, SPECTRA_BYTES)?;
        Some((shape, tiling))
    }

    /// Where a node writes: the buffer of the graph's output that it makes, or a new one.
    pub(super) fn destination(&mut self, node: &NodeProto, size: Size) -> (Value, View) {
        let bound = self.outputs.iter().find(|bound| bound.name == node.output[0] && size_of(&bound.shape) == Some(size));
        let buffer = bound.map_or_else(|| self.layout.buffer(size.channels, size.pixels()), |bound| bound.buffer);
        let view = whole(buffer, size.channels);
        (Value::Tensor(self.source(Source::View(view.clone())), size), view)
    }
}
