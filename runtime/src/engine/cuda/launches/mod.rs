//! The kernels of a [`Program`] as launches: their parameters, their blocks and what they need in memory besides tensors.

mod pixels;
mod tiles;

use std::collections::HashMap;
use std::sync::Arc;

use super::abi::{BUFFERS, Control, ConvArgs, FftArgs, Instruction, LabelArgs, Plain, PlaneArgs, PointwiseArgs, Span, StatsArgs};
use super::camera::Input;
use super::driver::{Buffer, Context, CudaError, Launch, Module, Result, Stream};
use super::opcode::Opcode;
use super::program::{Conv, Decide, FFT, FREQUENCIES, Method, Op, Operand, Pointwise, Shape, Spectral, Step, TensorId, VectorId};
use super::tensor::Tensor;
use tiles::Current;

/// Makes launches.
pub struct Builder<'a> {
    context: &'a Arc<Context>,
    stream: &'a Stream,
    module: &'a Module,
    tensors: &'a [Tensor],
    vectors: &'a [Buffer],
    /// Address of the [`Control`].
    pub control: u64,
    ticket: u64,
    order: u64,
    /// The [`Report`] while a frame runs, and where the host reads it after.
    report: u64,
    told: u64,
    /// Memory the launches name.
    pub scratch: Vec<Buffer>,
    /// Where programs with moments leave their sums, and how many blocks have a place there so far.
    sums: Option<u64>,
    sums_used: usize,
    /// Roots of unity for transforms, once one is needed.
    twiddles: Option<u64>,
    /// Masks, where only what moved is computed.
    masks: Vec<u64>,
    mask_sizes: Vec<[usize; 2]>,
    tiles_cut: Option<f32>,
    spans: HashMap<Vec<Span>, u64>,
    /// What the next launches make again.
    current: Option<Current>,
    /// Work of everything in encoder, step and readout, in the units of [`Part`].
    pub totals: [u32; 3],
}

/// Blocks of programs with moments, at most; all of a step's together. A quarter of it, the most of one program, is eight a multiprocessor
/// on the largest GPUs: fewer would leave each to wait for its own instructions.
const SUM_BLOCKS: usize = 4096;
const THREADS: u32 = 128;
/// Complex numbers from row to row of a transformed tile in shared memory, and tiles multiplied at once; as in `kernels/conv_fft.cu`.
const FFT_PITCH: usize = 72;
const FFT_TILES: usize = 9;
/// The same where there are no more than so many.
const FFT_FEW: usize = 4;

impl<'a> Builder<'a> {
    /// For the kernels of `module` over `tensors` and `vectors`; `control`, `ticket` and `report` are device memory, `order` and `told`
    /// addresses of the host's.
    #[allow(clippy::too_many_arguments)]
    pub fn new(
        context: &'a Arc<Context>,
        stream: &'a Stream,
        module: &'a Module,
        tensors: &'a [Tensor],
        vectors: &'a [Buffer],
        (control, ticket, report): (Buffer, Buffer, Buffer),
        order: u64,
        told: u64,
    ) -> Builder<'a> {
        let addresses = (control.address, ticket.address, report.address);
        Builder {
            context,
            stream,
            module,
            tensors,
            vectors,
            control: addresses.0,
            ticket: addresses.1,
            order,
            report: addresses.2,
            told,
            scratch: vec![control, ticket, report],
            sums: None,
            sums_used: 0,
            twiddles: None,
            masks: Vec::new(),
            mask_sizes: Vec::new(),
            tiles_cut: None,
            spans: HashMap::new(),
            current: None,
            totals: [0; 3],
        }
    }

    fn upload(&mut self, bytes: &[u8]) -> Result<u64> {
        let buffer = Buffer::holding(self.context, self.stream, bytes)?;
        let address = buffer.address;
        self.scratch.push(buffer);
        Ok(address)
    }

    fn room(&mut self, bytes: usize) -> Result<u64> {
        let buffer = Buffer::zeroed(self.context, self.stream, bytes)?;
        let address = buffer.address;
        self.scratch.push(buffer);
        Ok(address)
    }

    /// The kernel that takes the order.
    pub fn begin(&mut self) -> Result<Launch> {
        let args = self.begin_args();
        Ok(Launch { function: self.module.function("begin_steps", 0)?, grid: [1, 1, 1], threads: 32, shared: 0, args: args.bytes() })
    }

    /// `import_planes` or `export_planes`, between a tensor and `planes` in host memory.
    pub fn planes(&mut self, kernel: &str, tensor: TensorId, planes: u64, skip: u64) -> Result<Launch> {
        let tensor = &self.tensors[tensor];
        let Input { tensor: view, extra16 } = tensor.input();
        let args = PlaneArgs {
            tensor: view,
            planes,
            extra16,
            skip,
            control: self.control,
            report: self.report,
            told: self.told,
            part: self.part(0),
        };
        let blocks = (tensor.shape.h * tensor.shape.w).div_ceil(256) as u32;
        Ok(Launch { function: self.module.function(kernel, 0)?, grid: [blocks, 1, 1], threads: 256, shared: 0, args: args.bytes() })
    }

    /// Every kernel of `ops`, each returning at once when the flag at `skip` is set.
    pub fn ops(&mut self, ops: &[Op], skip: u64) -> Result<Vec<Launch>> {
        self.sums_used = 0;
        let mut launches = Vec::new();
        for op in ops {
            self.op(op, skip, &mut launches)?;
        }
        Ok(launches)
    }

    fn op(&mut self, op: &Op, skip: u64, launches: &mut Vec<Launch>) -> Result<()> {
        match op {
            Op::Conv(conv) => match conv.method {
                Method::Fft(tiles) => launches.extend(self.spectral(conv, tiles, skip)?),
                _ => launches.push(self.conv(conv, skip)?),
            },
            Op::Stats { input, mean, variance } => launches.push(self.stats(*input, *mean, *variance, skip)?),
            Op::Pointwise(program) => launches.push(self.pointwise(program, skip)?),
            Op::Spatial(spatial) => launches.push(self.spatial(spatial, skip)?),
            Op::Across(across) => launches.push(self.across(across, skip)?),
            Op::Gate(gate) => launches.push(self.gate(gate, skip)?),
        }
        Ok(())
    }

    /// Only the convolutions of the steps are counted for the report.
    fn counter(&self, skip: u64) -> u64 {
        if skip == self.control { self.control + std::mem::offset_of!(Control, convolutions) as u64 } else { self.ticket + 8 }
    }

    /// Forward, multiply, back.
    fn spectral(&mut self, conv: &Conv, tiles: Spectral, skip: u64) -> Result<[Launch; 3]> {
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

    fn conv(&mut self, conv: &Conv, skip: u64) -> Result<Launch> {
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
        let Shape { c, h, w } = output.shape;
        let blocks_c = c.div_ceil(32) as u32;
        let (name, grid, threads, shared) = match conv.method {
            Method::Mma(tile) => {
                args.warps_y = int(tile.warps_y);
                args.warps_x = int(tile.warps_x);
                args.tile_h = int(tile.tile_h);
                args.tile_words = int(tile.tile_words);
                args.pitch = int(tile.pitch);
                let grid = [w.div_ceil(tile.columns * tile.warps_x) as u32, h.div_ceil(8 * tile.warps_y) as u32, blocks_c];
                (format!("conv_mma_{}", tile.columns), grid, (tile.warps_y * tile.warps_x * 32) as u32, tile.shared_bytes())
            }
            Method::Scalar => ("conv_scalar".to_owned(), [(h * w).div_ceil(64) as u32, 1, blocks_c], 128, 0),
            Method::Direct | Method::Fft(_) => ("conv_direct".to_owned(), [(h * w * output.shape.cs()).div_ceil(128) as u32, 1, 1], 128, 0),
        };
        let words: Vec<u8> = conv.weights.iter().flat_map(|word| word.to_ne_bytes()).collect();
        args.part = self.part(grid.iter().map(|&blocks| blocks as usize).product());
        args.weights = self.upload(&words)?;
        args.bias = self.upload(&float_bytes(&conv.bias))?;
        Ok(Launch { function: self.module.function(&name, shared)?, grid, threads, shared: shared as u32, args: args.bytes() })
    }

    /// Class and score of every pixel of `logits`, to `labels` in host memory.
    pub fn labels(&mut self, logits: TensorId, labels: u64, skip: u64) -> Result<Launch> {
        let tensor = &self.tensors[logits];
        let args = LabelArgs { logits: tensor.view(false), labels, skip, control: self.control, report: self.report, told: self.told };
        let blocks = (tensor.shape.h * tensor.shape.w).div_ceil(256) as u32;
        Ok(Launch { function: self.module.function("label_pixels", 0)?, grid: [blocks, 1, 1], threads: 256, shared: 0, args: args.bytes() })
    }

    fn stats(&mut self, input: TensorId, mean: VectorId, variance: VectorId, skip: u64) -> Result<Launch> {
        let tensor = &self.tensors[input];
        let pixels = tensor.shape.h * tensor.shape.w;
        let blocks = (self.context.info.multiprocessors * 2).min(pixels.div_ceil(64)).max(1);
        let pixels_per_block = pixels.div_ceil(blocks);
        let blocks = pixels.div_ceil(pixels_per_block);
        let args = StatsArgs {
            input: tensor.view(false),
            mean: self.vectors[mean].address,
            variance: self.vectors[variance].address,
            partials: self.room(blocks * tensor.shape.cs() * 8)?,
            ticket: self.ticket,
            pixels_per_block: pixels_per_block as i32,
            pad: 0,
            skip,
        };
        Ok(Launch { function: self.module.function("stats", 0)?, grid: [blocks as u32, 1, 1], threads: 256, shared: 0, args: args.bytes() })
    }

    fn pointwise(&mut self, program: &Pointwise, skip: u64) -> Result<Launch> {
        let mut buffers = Vec::new();
        let mut constants = Vec::new();
        for vector in &program.constants {
            constants.extend_from_slice(vector);
        }
        let cs = program.domain.cs();
        let mut encode = |steps: &[Step]| -> Result<Vec<Instruction>> {
            let mut code = Vec::new();
            for step in steps {
                self.encode(step, cs, &mut buffers, &mut code)?;
            }
            Ok(code)
        };
        let (prologue, body) = (encode(&program.prologue)?, encode(&program.body)?);
        if buffers.len() > BUFFERS {
            return Err(CudaError {
                doing: "preparing an element-wise chain",
                reason: format!("it names {} buffers of {BUFFERS}", buffers.len()),
            });
        }
        let code: Vec<u8> = prologue.iter().chain(&body).flat_map(Plain::bytes).collect();
        let pairs = program.domain.h * program.domain.w * cs / 2;
        let wanted = pairs.div_ceil(THREADS as usize * 2);
        let blocks = wanted.min(self.context.info.multiprocessors * 8).clamp(1, SUM_BLOCKS / 4);
        let mut args = PointwiseArgs {
            code: self.upload(&code)?,
            constants: self.upload(&float_bytes(&constants))?,
            prologue: prologue.len() as i32,
            body: body.len() as i32,
            pairs: pairs as i32,
            cs: cs as i32,
            c: program.domain.c as i32,
            registers: program.registers as i32,
            skip,
            ticket: self.ticket,
            control: self.control,
            report: self.report,
            order: self.order,
            part: self.part(wanted),
            ..PointwiseArgs::default()
        };
        args.buffers[..buffers.len()].copy_from_slice(&buffers);
        if program.decide != Decide::No {
            args.decide = match program.decide {
                Decide::Later => 1,
                Decide::Step => 2,
                _ => 3,
            };
            let sums = match self.sums {
                Some(sums) => sums,
                None => self.room(SUM_BLOCKS * 6 * 4)?,
            };
            self.sums = Some(sums);
            args.partials = sums;
            args.partials_before = self.sums_used as i32;
            self.sums_used += blocks;
            if self.sums_used > SUM_BLOCKS {
                return Err(CudaError { doing: "preparing a step", reason: "it has too many states".into() });
            }
        }
        let shared = program.registers * THREADS as usize * 16 + program.slots * cs * 4;
        Ok(Launch {
            function: self.module.function("pointwise", shared)?,
            grid: [blocks as u32, 1, 1],
            threads: THREADS,
            shared: shared as u32,
            args: args.bytes(),
        })
    }

    fn encode(&self, step: &Step, cs: usize, buffers: &mut Vec<u64>, code: &mut Vec<Instruction>) -> Result<()> {
        let mut place = |address: u64| {
            let at = buffers.iter().position(|&known| known == address).unwrap_or_else(|| {
                buffers.push(address);
                buffers.len() - 1
            });
            at as u8
        };
        let plain = Instruction { op: step.op as u8, to: step.to, a: step.a, b: step.b, word: 0 };
        let wide = |from: usize, tensor: &Tensor| (from << 16 | tensor.shape.cs()) as u32;
        match step.operand {
            Operand::None => code.push(plain),
            Operand::Tensor(tensor) if step.op == Opcode::Store32 => {
                let tensor = &self.tensors[tensor];
                for (buffer, op) in [(&tensor.full, Opcode::Store32), (&tensor.half, Opcode::Store16)] {
                    if let Some(buffer) = buffer {
                        code.push(Instruction { op: op as u8, b: place(buffer.address), ..plain });
                    }
                }
            }
            Operand::Tensor(tensor) => {
                let view = self.tensors[tensor].view(false);
                let op = if view.half == 1 { Opcode::Load16 } else { Opcode::Load32 };
                code.push(Instruction { op: op as u8, b: place(view.data), ..plain });
            }
            Operand::Channels(tensor, from) if step.op == Opcode::StoreView => {
                let tensor = &self.tensors[tensor];
                for (buffer, half) in [(&tensor.full, 0), (&tensor.half, 1)] {
                    if let Some(buffer) = buffer {
                        code.push(Instruction { to: half, b: place(buffer.address), word: wide(from, tensor), ..plain });
                    }
                }
            }
            Operand::Channels(tensor, from) => {
                let view = self.tensors[tensor].view(false);
                code.push(Instruction { a: view.half as u8, b: place(view.data), word: wide(from, &self.tensors[tensor]), ..plain });
            }
            Operand::Map(tensor) => {
                let (view, shape) = (self.tensors[tensor].view(false), self.tensors[tensor].shape);
                // One number is every pixel's.
                let word = if shape.is_vector() { 0 } else { wide(0, &self.tensors[tensor]) };
                code.push(Instruction { a: view.half as u8, b: place(view.data), word, ..plain });
            }
            Operand::Single(tensor) => code.push(Instruction { b: place(Tensor::address(&self.tensors[tensor].full)), ..plain }),
            Operand::Vector(vector) => code.push(Instruction { b: place(self.vectors[vector].address), ..plain }),
            Operand::Constant(at) => code.push(Instruction { word: (at * cs) as u32, ..plain }),
            Operand::Slot(at) => code.push(Instruction { word: at as u32, ..plain }),
            Operand::Immediate(bits) => code.push(Instruction { word: bits, ..plain }),
        }
        Ok(())
    }
}

/// The bytes of `values`.
pub fn float_bytes(values: &[f32]) -> Vec<u8> {
    values.iter().flat_map(|value| value.to_ne_bytes()).collect()
}
