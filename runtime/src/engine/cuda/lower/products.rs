//! Convolutions in every form graphs write them: plain, as a product, transposed.

use tract_onnx::prelude::*;
use tract_onnx::tract_core::ops::cnn::{Conv as TractConv, Deconv, KernelFormat};
use tract_onnx::tract_core::ops::einsum::EinSum;
use tract_onnx::tract_core::ops::nn::DataFormat;

use super::super::program::{Gather, Geometry, Method, Op, Shape, Spatial, TensorId};
use super::expr::{ExprId, Kind};
use super::{GraphLowering, Value, conv, floats, shape_of};

impl GraphLowering<'_> {
    /// A convolution.
    pub(super) fn conv(&mut self, node: &TypedNode, op: &TractConv, shape: &[usize]) -> Result<ExprId, String> {
        if op.q_params.is_some()
            || op.kernel_fmt != KernelFormat::OIHW
            || op.pool_spec.data_format != DataFormat::NCHW
            || op.pool_spec.rank() != 2
        {
            return Err("only plain two-dimensional NCHW convolutions have a kernel".into());
        }
        let [x, weights, bias] = node.inputs[..] else { return Err("it has an unusual number of inputs".into()) };
        let (weights, bias) = (self.constant(weights)?, self.constant(bias)?);
        let x = self.expr(x)?;
        let input = self.materialise(x)?;
        let from = self.all.tensors[input].shape;
        let padding = op.pool_spec.computed_padding(&[from.h, from.w]);
        let pair = |value: &dyn Fn(usize) -> usize| [value(0), value(1)];
        let geometry = Geometry {
            kernel: pair(&|axis| op.pool_spec.kernel_shape[axis]),
            stride: pair(&|axis| op.pool_spec.stride(axis)),
            dilation: pair(&|axis| op.pool_spec.dilation(axis)),
            pad: pair(&|axis| padding[axis].pad_before),
            groups: op.group,
        };
        let out = shape_of(shape)?;
        let bias = broadcast(floats(&bias)?, out.c)?;
        self.convolve(input, out, geometry, floats(&weights)?, &bias)
    }

    /// A 1x1 convolution, as tract writes it: `[n, i, h, w]` and a matrix to `[n, o, h, w]`. Of a tensor of one pixel all axes but
    /// channels may be missing.
    pub(super) fn einsum(&mut self, node: &TypedNode, op: &EinSum, shape: &[usize]) -> Result<ExprId, String> {
        let formula = op.axes.to_string();
        let names: Vec<Vec<char>> =
            formula.split([',', '-', '>']).filter(|part| !part.is_empty()).map(|part| part.chars().collect()).collect();
        let unusual = || format!("the product '{formula}' has no kernel");
        let [left, right, out] = &names[..] else { return Err(unusual()) };
        let constant = |outlet: &OutletId| matches!(self.values.get(outlet), Some(Value::Const(_)));
        let [first, second] = node.inputs[..] else { return Err(unusual()) };
        let (x, weights, data, matrix) = match (constant(&first), constant(&second)) {
            (false, true) => (first, second, left, right),
            (true, false) => (second, first, right, left),
            _ => return Err(unusual()),
        };
        let weights = self.constant(weights)?;
        // Axes of size one that appear in the matrix alone do not matter.
        let alone = |axis: &char| !data.contains(axis) && !out.contains(axis);
        let axes = matrix.iter().zip(weights.shape()).filter(|(axis, size)| !(alone(axis) && **size == 1));
        let kept: Vec<char> = axes.map(|(axis, _)| *axis).collect();
        let summed = |axis: &&char| data.contains(axis) && !out.contains(axis);
        let (Some(&i), Some(&o)) = (kept.iter().find(summed), kept.iter().find(|axis| !data.contains(axis) && out.contains(axis))) else {
            return Err(unusual());
        };
        let transposed = kept == [i, o];
        if !(transposed || kept == [o, i]) {
            return Err(unusual());
        }
        let x = self.expr(x)?;
        let renamed: Vec<char> = data.iter().map(|axis| if *axis == i { o } else { *axis }).collect();
        let picture = data.len() == 4 && data[1] == i && renamed == *out;
        if !picture && !self.arena.shape(x).is_vector() {
            return Err(unusual());
        }
        let input = self.materialise(x)?;
        let (from, to) = (self.all.tensors[input].shape, shape_of(shape)?);
        let mut values = floats(&weights)?.to_vec();
        if transposed {
            values = (0..to.c * from.c).map(|at| values[at % from.c * to.c + at / from.c]).collect();
        }
        let geometry = Geometry { kernel: [1, 1], stride: [1, 1], dilation: [1, 1], pad: [0, 0], groups: 1 };
        self.convolve(input, to, geometry, &values, &vec![0.0; to.c])
    }

    fn convolve(&mut self, input: TensorId, to: Shape, geometry: Geometry, weights: &[f32], bias: &[f32]) -> Result<ExprId, String> {
        let from = self.all.tensors[input].shape;
        let output = self.all.passing(to);
        let weights = conv::Weights { values: weights, out: to.c, group_in: from.c / geometry.groups };
        let conv = conv::plan(&self.all.target, (input, from), (output, to), geometry, &weights, bias);
        if matches!(conv.method, Method::Mma(_)) {
            self.all.tensors[input].half = true;
        }
        self.ops.push(Op::Conv(Box::new(conv)));
        Ok(self.arena.add(Kind::Tensor(output), to))
    }

    /// A transposed convolution: a plain one that makes the `stride x stride` pixels which come of one input pixel as channels, then
    /// those channels laid out as pixels. Output row `stride * q + phase` takes input row `q + j` with the kernel's row
    /// `phase + pad - stride * j`, where there is one.
    pub(super) fn deconv(&mut self, node: &TypedNode, op: &Deconv, shape: &[usize]) -> Result<ExprId, String> {
        let spec = &op.pool_spec;
        if op.group != 1 || op.kernel_format != KernelFormat::OIHW || spec.data_format != DataFormat::NCHW || spec.rank() != 2 {
            return Err("only plain two-dimensional NCHW transposed convolutions in one group have a kernel".into());
        }
        if (0..2).any(|axis| spec.dilation(axis) != 1) {
            return Err("dilated transposed convolutions have no kernel".into());
        }
        let [x, weights, bias] = node.inputs[..] else { return Err("it has an unusual number of inputs".into()) };
        let (weights, bias) = (self.constant(weights)?, self.constant(bias)?);
        let x = self.expr(x)?;
        let input = self.materialise(x)?;
        let (from, to) = (self.all.tensors[input].shape, shape_of(shape)?);
        let stride = [spec.stride(0), spec.stride(1)];
        let kernel = [spec.kernel_shape[0], spec.kernel_shape[1]];
        let padding = spec
            .padding
            .compute_for_deconv(&[from.h, from.w], &kernel, &[1, 1], &stride, &op.adjustments)
            .map_err(|error| error.to_string())?;
        let pad = [padding[0].pad_before, padding[1].pad_before];
        // Input rows relative to q that any phase takes: from `first` on, `reach` of them.
        let first = |axis: usize| -((kernel[axis] as isize - 1 - pad[axis] as isize).div_euclid(stride[axis] as isize));
        let last = |axis: usize| (stride[axis] - 1 + pad[axis]) as isize / stride[axis] as isize;
        let firsts = [first(0), first(1)];
        if firsts.iter().any(|first| *first > 0) {
            return Err("it is padded by more than its kernel".into());
        }
        let reach = [0, 1].map(|axis| (last(axis) - firsts[axis] + 1) as usize);
        let (values, mut packed) = (floats(&weights)?, Vec::new());
        for phase_y in 0..stride[0] {
            for phase_x in 0..stride[1] {
                for o in 0..to.c {
                    for i in 0..from.c {
                        for at in 0..reach[0] * reach[1] {
                            let tap = |axis: usize, phase: usize, at: usize| {
                                let tap = (phase + pad[axis]) as isize - stride[axis] as isize * (firsts[axis] + at as isize);
                                (0..kernel[axis] as isize).contains(&tap).then_some(tap as usize)
                            };
                            let taps = tap(0, phase_y, at / reach[1]).zip(tap(1, phase_x, at % reach[1]));
                            packed.push(taps.map_or(0.0, |(y, x)| values[((o * from.c + i) * kernel[0] + y) * kernel[1] + x]));
                        }
                    }
                }
            }
        }
        let phases = stride[0] * stride[1];
        let bias = broadcast(floats(&bias)?, to.c)?.repeat(phases);
        let grid = Shape { c: phases * to.c, h: to.h.div_ceil(stride[0]), w: to.w.div_ceil(stride[1]) };
        let pad = firsts.map(|first| -first as usize);
        let geometry = Geometry { kernel: reach, stride: [1, 1], dilation: [1, 1], pad, groups: 1 };
        let together = self.convolve(input, grid, geometry, &packed, &bias)?;
        if phases == 1 {
            return Ok(together);
        }
        let input = self.materialise(together)?;
        let output = self.all.passing(to);
        self.ops.push(Op::Spatial(Box::new(Spatial { input, output, gather: Gather::Interleave(stride) })));
        Ok(self.arena.add(Kind::Tensor(output), to))
    }
}

/// One number a channel, from one number or from as many.
fn broadcast(values: &[f32], channels: usize) -> Result<Vec<f32>, String> {
    match values.len() {
        1 => Ok(vec![values[0]; channels]),
        n if n == channels => Ok(values.to_vec()),
        n => Err(format!("{n} biases for {channels} channels")),
    }
}
