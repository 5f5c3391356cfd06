//! Launches that gather pixels, and that reduce the channels of each.

use super::Builder;
use crate::engine::cuda::abi::{AcrossArgs, Plain, SpatialArgs, Taps};
use crate::engine::cuda::driver::{Launch, Result};
use crate::engine::cuda::program::{Across, Gather, Shape, Spatial};
use crate::engine::cuda::tensor::Tensor;
use crate::engine::graph::Fold;

impl Builder<'_> {
    pub(super) fn spatial(&mut self, spatial: &Spatial, skip: u64) -> Result<Launch> {
        let (input, output) = (&self.tensors[spatial.input], &self.tensors[spatial.output]);
        let int = |value: usize| value as i32;
        let Shape { c, h, w } = output.shape;
        let cs = output.shape.cs();
        let mut args = SpatialArgs {
            input: input.view(false),
            out32: Tensor::address(&output.full),
            out16: Tensor::address(&output.half),
            out_cs: int(cs),
            out_c: int(c),
            oh: int(h),
            ow: int(w),
            kind: spatial.gather.kind(),
            skip,
            ..SpatialArgs::default()
        };
        match &spatial.gather {
            Gather::Largest(window) | Gather::Mean(window, _) => {
                let pair = |pair: [usize; 2]| (int(pair[0]), int(pair[1]));
                (args.kh, args.kw) = pair(window.kernel);
                (args.stride_y, args.stride_x) = pair(window.stride);
                (args.dilation_y, args.dilation_x) = pair(window.dilation);
                (args.pad_y, args.pad_x) = pair(window.pad);
                if let Gather::Mean(_, divisor) = spatial.gather {
                    args.divisor = int(divisor.unwrap_or(0));
                }
            }
            Gather::Resize { rows, columns } => {
                let bytes = |taps: &[Taps]| taps.iter().flat_map(Plain::bytes).collect::<Vec<u8>>();
                args.rows = self.upload(&bytes(rows))?;
                args.columns = self.upload(&bytes(columns))?;
            }
            Gather::Interleave { block, apart, begin } => {
                (args.stride_y, args.stride_x) = (int(block[0]), int(block[1]));
                (args.kh, args.kw) = (int(apart[0]), int(apart[1]));
                (args.pad_y, args.pad_x) = (int(begin[0]), int(begin[1]));
            }
            Gather::Collect { block, apart } => {
                (args.stride_y, args.stride_x) = (int(*block), int(*block));
                (args.kh, args.kw) = (int(apart[0]), int(apart[1]));
            }
        }
        args.part = self.part((h * w * cs).div_ceil(128));
        let blocks = (h * w * cs).div_ceil(128) as u32;
        Ok(Launch { function: self.module.function("spatial", 0)?, grid: [blocks, 1, 1], threads: 128, shared: 0, args: args.bytes() })
    }

    pub(super) fn across(&mut self, across: &Across, skip: u64) -> Result<Launch> {
        let (input, output) = (&self.tensors[across.input], &self.tensors[across.output]);
        let part = self.part((input.shape.h * input.shape.w).div_ceil(4));
        let args = AcrossArgs {
            input: input.view(false),
            out32: Tensor::address(&output.full),
            out16: Tensor::address(&output.half),
            out_cs: output.shape.cs() as i32,
            kind: match across.fold {
                Fold::Sum => 0,
                Fold::Squares => 1,
                Fold::Greatest => 2,
                Fold::Least => 3,
            },
            scale: across.scale,
            pad: 0,
            skip,
            part,
        };
        let blocks = (input.shape.h * input.shape.w).div_ceil(4) as u32;
        Ok(Launch { function: self.module.function("across", 0)?, grid: [blocks, 1, 1], threads: 128, shared: 0, args: args.bytes() })
    }
}
