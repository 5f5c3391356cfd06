//! Pooling and resizing.

use tract_onnx::prelude::*;
use tract_onnx::tract_core::ops::cnn::{MaxPool, PaddingSpec, PoolSpec, SumPool};
use tract_onnx::tract_core::ops::nn::DataFormat;
use tract_onnx::tract_core::ops::nn::resize::{AxisPlan, NearestUpsample, Resize};

use super::super::abi::Taps;
use super::super::program::{Gather, Geometry, Op, Spatial};
use super::expr::{ExprId, Kind};
use super::{GraphLowering, floats, shape_of};

impl GraphLowering<'_> {
    /// The largest value of each window.
    pub(super) fn max_pool(&mut self, node: &TypedNode, op: &MaxPool, shape: &[usize]) -> Result<ExprId, String> {
        if op.with_index_outputs.is_some() {
            return Err("the places of the largest values have no kernel".into());
        }
        let window = self.window(node, &op.pool_spec)?;
        self.gather(node, Gather::Largest(window), shape)
    }

    /// The sum or the mean of each window.
    pub(super) fn sum_pool(&mut self, node: &TypedNode, op: &SumPool, shape: &[usize]) -> Result<ExprId, String> {
        let window = self.window(node, &op.pool_spec)?;
        if op.count_include_pad && matches!(op.pool_spec.padding, PaddingSpec::ExplicitOnnxPool(_, _, true)) {
            return Err("means that count padding, rounded up to whole windows, have no kernel".into());
        }
        let divisor = match (op.normalize, op.count_include_pad) {
            (false, _) => Some(1),
            (true, true) => Some(window.kernel[0] * window.kernel[1]),
            (true, false) => None,
        };
        self.gather(node, Gather::Mean(window, divisor), shape)
    }

    /// Another size, by one or two samples in each direction.
    pub(super) fn resize(&mut self, node: &TypedNode, op: &Resize, shape: &[usize]) -> Result<ExprId, String> {
        let x = self.expr(node.inputs[0])?;
        let (from, to) = (self.arena.shape(x), shape_of(shape)?);
        let scales = match op.optional_scales_input.and_then(|at| node.inputs.get(at)) {
            Some(scales) => {
                let scales = self.constant(*scales).map_err(|_| "its scales are computed, not constant")?;
                floats(&scales)?.to_vec()
            }
            None => Vec::new(),
        };
        if from.c != to.c || scales.first().is_some_and(|scale| *scale != 1.0) {
            return Err("only rows and columns are resized".into());
        }
        let axis = |axis: usize, from: usize, to: usize| {
            let scale = scales.get(axis).copied().unwrap_or(to as f32 / from as f32);
            taps(&op.plan_axis(scale, from, to))
        };
        let (rows, columns) = (axis(2, from.h, to.h)?, axis(3, from.w, to.w)?);
        self.gather(node, Gather::Resize { rows, columns }, shape)
    }

    /// Every pixel repeated.
    pub(super) fn upsample(&mut self, node: &TypedNode, op: &NearestUpsample, shape: &[usize]) -> Result<ExprId, String> {
        let [1, 1, rows, columns] = op.scales[..] else { return Err("only rows and columns are repeated".into()) };
        let to = shape_of(shape)?;
        let repeated = |count: usize, scale: usize| {
            let tap = |at: usize| Taps { first: (at / scale) as i32, second: (at / scale) as i32, first_weight: 1.0, second_weight: 0.0 };
            (0..count).map(tap).collect()
        };
        let gather = Gather::Resize { rows: repeated(to.h, rows), columns: repeated(to.w, columns) };
        self.gather(node, gather, shape)
    }

    fn window(&mut self, node: &TypedNode, spec: &PoolSpec) -> Result<Geometry, String> {
        if spec.data_format != DataFormat::NCHW || spec.rank() != 2 {
            return Err("only two-dimensional NCHW pooling has a kernel".into());
        }
        let x = self.expr(node.inputs[0])?;
        let from = self.arena.shape(x);
        let padding = spec.computed_padding(&[from.h, from.w]);
        let pair = |value: &dyn Fn(usize) -> usize| [value(0), value(1)];
        Ok(Geometry {
            kernel: pair(&|axis| spec.kernel_shape[axis]),
            stride: pair(&|axis| spec.stride(axis)),
            dilation: pair(&|axis| spec.dilation(axis)),
            pad: pair(&|axis| padding[axis].pad_before),
            groups: 1,
        })
    }

    fn gather(&mut self, node: &TypedNode, gather: Gather, shape: &[usize]) -> Result<ExprId, String> {
        let x = self.expr(node.inputs[0])?;
        let (input, to) = (self.materialise(x)?, shape_of(shape)?);
        let output = self.all.passing(to);
        self.ops.push(Op::Spatial(Box::new(Spatial { input, output, gather })));
        Ok(self.arena.add(Kind::Tensor(output), to))
    }
}

/// tract's plan of an axis, where it takes no more than two samples of the picture for one.
fn taps(plan: &AxisPlan) -> Result<Vec<Taps>, String> {
    if plan.window != 2 || plan.extrapolated.contains(&true) {
        return Err("only nearest and linear resizing without antialiasing has a kernel".into());
    }
    let pairs = plan.indices.chunks_exact(2).zip(plan.weights.chunks_exact(2));
    let tap = |(at, weight): (&[usize], &[f32])| Taps {
        first: at[0] as i32,
        second: at[1] as i32,
        first_weight: weight[0],
        second_weight: weight[1],
    };
    Ok(pairs.map(tap).collect())
}
