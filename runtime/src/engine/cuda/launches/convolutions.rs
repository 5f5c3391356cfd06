//! Launches of convolutions: on tensor cores, without, and by transforms.

use super::{Builder, float_bytes};
use crate::engine::cuda::abi::{ChainedArgs, Control, ConvArgs, FftArgs, Measure, MeasuredArgs, Plain};
use crate::engine::cuda::code::Code;
use crate::engine::cuda::driver::{Launch, Result};
use crate::engine::cuda::program::{Conv, FFT, FREQUENCIES, Method, Spectral};
use crate::engine::cuda::tensor::Tensor;

/// Complex numbers from row to row of a transformed tile in shared memory, and tiles multiplied at once; as in `kernels/conv_fft.cu`.
const FFT_PITCH: usize = 72;
const FFT_TILES: usize = 9;
/// The same where there are no more than so many.
const FFT_FEW: usize = 4;

impl Builder<'_> {
    /// Only the convolutions of the steps are counted for the report.
    fn counter(&self, skip: u64) -> u64 {
        if skip == self.control { self.control + std::mem::offset_of!(Control, convolutions) as u64 } else { self.ticket + 8 }
    }

    /// Forward, multiply, back.
    pub(super) fn spectral(&mut self, conv: &Conv, tiles: Spectral, skip: u64) -> Result<[Launch; 3]> {
        let twiddles = match self.twiddles {
            Some(known) => known,
            None => {
                let turn = |k: usize| (std::f64::consts::TAU * k as f64 / FFT as f64).sin_cos();
                let values: Vec<f32> = (0..FFT).flat_map(|k| [turn(k).1 as f32, -turn(k).0 as f32]).collect();
                self.upload(&float_bytes(&values))?
            }
        };
        self.twiddles = Some(twiddles);
        let words: Vec<u8> = conv.weights.iter().flat_map(|word| word.to_ne_bytes()).collect();
        let (weights, bias) = (self.upload(&words)?, self.upload(&float_bytes(&conv.bias))?);
        let (input, output) = (&self.tensors[conv.input], &self.tensors[conv.output]);
        let (in_cs, out_cs, count) = (input.shape.cs(), output.shape.cs(), tiles.count());
        let room = |cs: usize| count * cs * FREQUENCIES * tiles.complex_bytes();
        let int = |value: usize| value as i32;
        let args = FftArgs {
            input: input.view(true),
            out32: Tensor::address(&output.full),
            out16: Tensor::address(&output.half),
            out_cs: int(out_cs),
            out_c: int(output.shape.c),
            oh: int(output.shape.h),
            ow: int(output.shape.w),
            weights,
            bias,
            spectra_in: self.room(room(in_cs))?,
            spectra_out: self.room(room(out_cs))?,
            twiddles,
            tiles_y: int(tiles.tiles[0]),
            tiles_x: int(tiles.tiles[1]),
            valid_y: int(tiles.valid[0]),
            valid_x: int(tiles.valid[1]),
            pad_y: int(conv.geometry.pad[0]),
            pad_x: int(conv.geometry.pad[1]),
            skip,
            counter: self.counter(skip),
            part: self.part(count * (in_cs + out_cs) / 2),
            measure: match conv.measures {
                Some(vectors) => self.measure(vectors, output.shape, count)?,
                None => Measure::default(),
            },
        };
        let picture = (FFT * FFT_PITCH + FFT) * 8;
        let launch = |name: &str, grid: [usize; 2], shared: usize| -> Result<Launch> {
            let grid = [grid[0] as u32, grid[1] as u32, 1];
            Ok(Launch {
                function: self.module.function(&tiles.kernel(name), shared)?,
                grid,
                threads: 256,
                shared: shared as u32,
                args: args.bytes(),
            })
        };
        Ok([
            launch("conv_fft_forward", [count, in_cs / 2], picture)?,
            launch("conv_fft_multiply", [FREQUENCIES / 8, 1], (if count <= FFT_FEW { FFT_FEW } else { FFT_TILES }) * in_cs / 2 * 128)?,
            launch("conv_fft_back", [count, out_cs / 2], picture)?,
        ])
    }

    pub(super) fn conv(&mut self, conv: &Conv, skip: u64) -> Result<Launch> {
        let (input, output) = (&self.tensors[conv.input], &self.tensors[conv.output]);
        let geometry = &conv.geometry;
        let int = |value: usize| value as i32;
        let mut args = ConvArgs {
            input: input.view(matches!(conv.method, Method::Mma(_))),
            out32: Tensor::address(&output.full),
            out16: Tensor::address(&output.half),
            out_cs: int(output.shape.cs()),
            out_c: int(output.shape.c),
            oh: int(output.shape.h),
            ow: int(output.shape.w),
            runs: int(conv.runs),
            run_taps_x: if geometry.dilation[1] == 1 { 1 } else { int(geometry.kernel[1]) },
            ksteps: int(conv.ksteps),
            stride_y: int(geometry.stride[0]),
            stride_x: int(geometry.stride[1]),
            dilation_y: int(geometry.dilation[0]),
            dilation_x: int(geometry.dilation[1]),
            pad_y: int(geometry.pad[0]),
            pad_x: int(geometry.pad[1]),
            kh: int(geometry.kernel[0]),
            kw: int(geometry.kernel[1]),
            group_in: int(input.shape.c / geometry.groups),
            group_out: int(output.shape.c / geometry.groups),
            skip,
            counter: self.counter(skip),
            ..ConvArgs::default()
        };
        let name = conv.method.kernel();
        let grid = conv.method.blocks(output.shape).map(|blocks| blocks as u32);
        let (threads, shared) = match conv.method {
            Method::Mma(tile) => {
                args.warps_y = int(tile.warps_y);
                args.warps_x = int(tile.warps_x);
                args.tile_h = int(tile.tile_h);
                args.tile_words = int(tile.tile_words);
                args.pitch = int(tile.pitch);
                ((tile.warps_y * tile.warps_x * 32) as u32, tile.shared_bytes())
            }
            _ => (128, 0),
        };
        let words: Vec<u8> = conv.weights.iter().flat_map(|word| word.to_ne_bytes()).collect();
        let blocks = grid.iter().map(|&blocks| blocks as usize).product();
        args.part = self.part(blocks);
        args.weights = self.upload(&words)?;
        args.bias = self.upload(&float_bytes(&conv.bias))?;
        let (function, args) = match (&conv.behind, conv.measures) {
            (Some(chain), _) => {
                let code = Code::of(self.specs, chain);
                let chain = self.chain(chain, &code, blocks, skip)?;
                let (module, kernel) = self.compiled(|book| book.chained(&code, &name))?;
                (module.function(&kernel, shared)?, ChainedArgs { conv: args, chain }.bytes())
            }
            (None, Some(vectors)) => {
                let to = self.measure(vectors, output.shape, (grid[0] * grid[1]) as usize)?;
                let (module, kernel) = self.compiled(|book| Some(book.measured(&name)))?;
                (module.function(&kernel, shared)?, MeasuredArgs { conv: args, to }.bytes())
            }
            (None, None) => (self.module.function(&name, shared)?, args.bytes()),
        };
        Ok(Launch { function, grid, threads, shared: shared as u32, args })
    }
}
