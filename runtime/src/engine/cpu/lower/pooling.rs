//! Windows of which the greatest or the mean is taken.

use tract_onnx::pb::NodeProto;

use super::{Lowering, Size, Source, Value};
use crate::engine::cpu::conv_direct::Geometry;
use crate::engine::cpu::depthwise::{Depthwise, Window};
use crate::engine::cpu::machine::{Operation, Plane};
use crate::engine::cpu::onnx::Attributes;
use crate::engine::cpu::pointwise::Op;

impl Lowering<'_> {
    pub(super) fn pooled(&mut self, node: &NodeProto, greatest: bool) -> Result<Value, String> {
        let attributes = Attributes(node);
        let (id, size) = self.tensor(node, 0)?;
        if !matches!(attributes.text("auto_pad"), "" | "NOTSET" | "VALID") {
            return Err("automatic padding is not covered".into());
        }
        if node.output.iter().skip(1).any(|name| !name.is_empty()) || attributes.int("storage_order", 0) != 0 {
            return Err("where the greatest is found is not covered".into());
        }
        let kernel = attributes.ints("kernel_shape", [0; 2])?;
        let [top, left, bottom, right] = attributes.ints("pads", [0; 4])?;
        let (begin, mut end) = ([top, left], [bottom, right]);
        let (stride, dilation) = (attributes.ints("strides", [1; 2])?, attributes.ints("dilations", [1; 2])?);
        let input = [size.rows, size.columns];
        if kernel.contains(&0) || stride.contains(&0) || dilation.contains(&0) {
            return Err(format!("a window of {kernel:?} in steps of {stride:?} is not covered"));
        }
        let reach = [0, 1].map(|d| (kernel[d] - 1) * dilation[d] + 1);
        if [0, 1].iter().any(|&d| begin[d] >= reach[d] || end[d] >= reach[d]) {
            return Err("a window may lie wholly in the border".into());
        }
        if attributes.int("ceil_mode", 0) != 0 {
            let counted = !greatest && attributes.int("count_include_pad", 0) != 0;
            for d in 0..2 {
                let mut last =
                    (input[d] + begin[d] + end[d]).checked_sub(reach[d]).ok_or("the window is larger than its input")?.div_ceil(stride[d]);
                // A last window that begins behind the input is left out.
                while last * stride[d] >= input[d] + begin[d] {
                    last -= 1;
                }
                let needed = (last * stride[d] + reach[d]).saturating_sub(input[d] + begin[d]);
                if counted && needed > end[d] {
                    return Err("a mean that counts a border which is not there is not covered".into());
                }
                end[d] = needed;
            }
        }
        let channels = size.channels;
        let geometry = Geometry { cin: channels, cout: channels, groups: channels, input, kernel, begin, end, stride, dilation };
        let [rows, columns] = geometry.output();
        if rows * columns == 0 {
            return Err("the window is larger than its input".into());
        }
        let out = Size { channels, rows, columns };
        let view = self.evaluate(id, size, None);
        let all = kernel[0] * kernel[1];
        let bordered = begin != [0; 2] || end != [0; 2];
        let apart = !greatest && bordered && attributes.int("count_include_pad", 0) == 0;
        let window = if greatest {
            Window::Greatest
        } else {
            let weight = if apart { 1.0 } else { 1.0 / all as f32 };
            Window::Sum { weights: vec![weight; channels * all], bias: vec![0.0; channels] }
        };
        let conv = Depthwise::new(geometry, self.isa, window);
        if !apart {
            let (value, output) = self.destination(node, out);
            self.operations.push(Operation::Depthwise { conv, input: view, output });
            return Ok(value);
        }
        // The sum first, then the share of each pixel, which has fewer neighbours at the border.
        let inside = |d: usize, at: usize| {
            let taps = (0..kernel[d]).filter(|tap| (at * stride[d] + tap * dilation[d]).wrapping_sub(begin[d]) < input[d]);
            taps.count() as f32
        };
        let shares = (0..rows * columns).map(|at| 1.0 / (inside(0, at / columns) * inside(1, at % columns))).collect();
        let buffer = self.layout.buffer(channels, out.pixels());
        let output = super::whole(buffer, channels);
        self.operations.push(Operation::Depthwise { conv, input: view, output: output.clone() });
        let sum = self.source(Source::View(output));
        let buffer = self.layout.lasting(1, out.pixels());
        self.layout.constants.push((buffer, shares));
        let share = self.source(Source::View(vec![Plane { buffer, channel: 0 }; channels]));
        Ok(self.apply(Op::Mul, vec![sum, share], out))
    }
}
