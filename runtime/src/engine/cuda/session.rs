//! A [`Program`] on a device: its memory, and its kernels as launches ready to be queued.

use std::sync::Arc;
use std::time::Duration;

use super::abi::{
    BUFFERS, BeginArgs, Control, ConvArgs, FftArgs, Instruction, Order, Plain, PlaneArgs, PointwiseArgs, Report, StatsArgs, View,
};
use super::camera::{Camera, Input};
use super::driver::{Buffer, Context, CudaError, Function, Graph, Launch, Mapped, Module, Result, Stream};
use super::opcode::Opcode;
use super::program::{Conv, Decide, FFT, FREQUENCIES, Method, Op, Operand, Pointwise, Program, Shape, Spectral, Step, TensorId, VectorId};
use crate::frame::Frame;
use crate::outcome::MAX_STEPS;
use crate::sampling::Sampling;

/// Kernels of one phase: recorded as a graph where the driver can, otherwise queued one by one.
pub struct Phase {
    launches: Vec<Launch>,
    graph: Option<Graph>,
}

impl Phase {
    fn new(stream: &Stream, launches: Vec<Launch>) -> Phase {
        let graph = if launches.len() < 2 {
            None
        } else {
            stream
                .capture(|| launches.iter().try_for_each(|launch| stream.launch(launch)))
                .inspect_err(|error| log::warn!("GPU: {error}; launching kernels one by one"))
                .ok()
        };
        Phase { launches, graph }
    }

    /// Queues all kernels.
    pub fn queue(&self, stream: &Stream) -> Result<()> {
        match &self.graph {
            Some(graph) => stream.replay(graph),
            None => self.launches.iter().try_for_each(|launch| stream.launch(launch)),
        }
    }
}

struct Tensor {
    full: Option<Buffer>,
    half: Option<Buffer>,
    shape: Shape,
}

impl Tensor {
    fn address(buffer: &Option<Buffer>) -> u64 {
        buffer.as_ref().map_or(0, |buffer| buffer.address)
    }

    /// What the kernels that fill the network's input write.
    fn input(&self) -> Input {
        Input { tensor: self.view(false), extra16: if self.full.is_some() { Tensor::address(&self.half) } else { 0 } }
    }

    /// The format kernels read by default: fp32 where it is kept.
    fn view(&self, half: bool) -> View {
        let half = (half && self.half.is_some()) || self.full.is_none();
        let data = Tensor::address(if half { &self.half } else { &self.full });
        let Shape { c, h, w } = self.shape;
        View { data, half: half.into(), cs: self.shape.cs() as i32, c: c as i32, h: h as i32, w: w as i32 }
    }
}

/// Steps of a recorded chunk, besides the single step.
pub const CHUNK: u32 = 4;

/// Everything a network needs on a device. Fields drop in this order: graphs before the memory they name.
pub struct Session {
    /// The network's input from `input`.
    pub import: Phase,
    /// The network's input to the drive.
    pub encode: Phase,
    /// Takes the order and, if the frame needs steps, its drive.
    pub begin: Phase,
    /// One step.
    pub step: Phase,
    /// [`CHUNK`] steps.
    pub chunk: Phase,
    /// State to logits.
    pub readout: Phase,
    /// The network's input, `[c][h][w]` fp32.
    pub input: Mapped<f32>,
    /// The answer, `[c][h][w]` fp32.
    pub logits: Mapped<f32>,
    /// What the host orders.
    pub order: Mapped<Order>,
    /// What the device did.
    pub report: Mapped<Report>,
    /// The queue.
    pub stream: Stream,
    /// The network's input from a camera's pictures, once there was one.
    pub camera: Option<Camera>,
    states: Vec<TensorId>,
    frame: TensorId,
    tensors: Vec<Tensor>,
    _vectors: Vec<Buffer>,
    _scratch: Vec<Buffer>,
    module: Module,
    /// The device.
    pub context: Arc<Context>,
}

impl Session {
    /// Puts `program` on the device of `context`, with the kernels of `module`.
    pub fn new(context: &Arc<Context>, module: Module, program: &Program) -> Result<Session> {
        let stream = Stream::new(context)?;
        let mut tensors = Vec::new();
        for spec in &program.tensors {
            let place = |kept: bool, bytes: usize| kept.then(|| Buffer::zeroed(context, &stream, spec.len() * bytes)).transpose();
            let full = match &spec.constant {
                Some(values) => Some(Buffer::holding(context, &stream, &float_bytes(values))?),
                None => place(spec.full, 4)?,
            };
            let half = if spec.constant.is_some() { None } else { place(spec.half, 2)? };
            tensors.push(Tensor { full, half, shape: spec.shape });
        }
        let vectors =
            program.vectors.iter().map(|c| Buffer::zeroed(context, &stream, c.next_multiple_of(2) * 4)).collect::<Result<Vec<_>>>()?;
        let size = |tensor: TensorId| program.tensors[tensor].shape.c * program.tensors[tensor].shape.h * program.tensors[tensor].shape.w;
        let input = Mapped::new(context, size(program.frame), 0f32)?;
        let logits = Mapped::new(context, size(program.logits), 0f32)?;
        let order = Mapped::new(context, 1, Order::default())?;
        let report =
            Report { frame: 0, stop: -1, steps: 0, limit: 0, drive_distance: f32::INFINITY, convolutions: 0, distances: [0.0; MAX_STEPS] };
        let report = Mapped::new(context, 1, report)?;
        let control = Buffer::zeroed(context, &stream, size_of::<Control>())?;
        let ticket = Buffer::zeroed(context, &stream, 16)?;
        let mut builder = Builder {
            context,
            stream: &stream,
            module: &module,
            tensors: &tensors,
            vectors: &vectors,
            control: control.address,
            ticket: ticket.address,
            order: order.address,
            report: report.address,
            scratch: vec![control, ticket],
            sums: None,
            sums_used: 0,
            twiddles: None,
        };
        // Flags at the head of Control: stop, pending, always.
        let (stop, pending, always) = (builder.control, builder.control + 4, builder.control + 8);
        let import = vec![builder.planes("import_planes", program.frame, input.address, always)?];
        let encode = builder.ops(&program.encode, always)?;
        let mut begin = vec![builder.begin()?];
        begin.extend(builder.ops(&program.accept, stop)?);
        let one = builder.ops(&program.step, stop)?;
        let mut readout = builder.ops(&program.readout, pending)?;
        readout.push(builder.planes("export_planes", program.logits, logits.address, pending)?);
        let many: Vec<Launch> = (0..CHUNK).flat_map(|_| one.iter().map(Launch::again)).collect();
        let scratch = std::mem::take(&mut builder.scratch);
        let session = Session {
            import: Phase::new(&stream, import),
            encode: Phase::new(&stream, encode),
            begin: Phase::new(&stream, begin),
            step: Phase::new(&stream, one),
            chunk: Phase::new(&stream, many),
            readout: Phase::new(&stream, readout),
            input,
            logits,
            order,
            report,
            camera: None,
            states: program.states.clone(),
            frame: program.frame,
            tensors,
            _vectors: vectors,
            _scratch: scratch,
            module,
            context: context.clone(),
            stream,
        };
        session.stream.wait(Duration::from_secs(10))?;
        Ok(session)
    }

    /// Takes a camera's picture as the network's next input; false where the device cannot convert it.
    pub fn take(&mut self, frame: &Frame, sampling: &Sampling) -> Result<bool> {
        if !self.camera.as_ref().is_some_and(|camera| camera.fits(frame, sampling)) {
            let input = self.tensors[self.frame].input();
            self.camera = Camera::new(&self.context, &self.stream, &self.module, input, frame, sampling)?;
        }
        Ok(self.camera.as_mut().is_some_and(|camera| camera.fill(frame)))
    }

    /// Sets the hidden state to zero, in stream order.
    pub fn clear_states(&self) -> Result<()> {
        let places = self.states.iter().flat_map(|&state| [&self.tensors[state].full, &self.tensors[state].half]);
        places.flatten().try_for_each(|buffer| buffer.clear(&self.stream))
    }
}

struct Builder<'a> {
    context: &'a Arc<Context>,
    stream: &'a Stream,
    module: &'a Module,
    tensors: &'a [Tensor],
    vectors: &'a [Buffer],
    control: u64,
    ticket: u64,
    order: u64,
    report: u64,
    scratch: Vec<Buffer>,
    /// Where programs with moments leave their sums, and how many blocks have a place there so far.
    sums: Option<u64>,
    sums_used: usize,
    /// Roots of unity for transforms, once one is needed.
    twiddles: Option<u64>,
}

/// Blocks of programs with moments, at most; all of a step's together.
const SUM_BLOCKS: usize = 1024;
const THREADS: u32 = 128;
/// Complex numbers from row to row of a transformed tile in shared memory, and tiles multiplied at once; as in `kernels/conv_fft.cu`.
const FFT_PITCH: usize = 72;
const FFT_TILES: usize = 9;

impl Builder<'_> {
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

    fn begin(&mut self) -> Result<Launch> {
        let args = BeginArgs { control: self.control, report: self.report, order: self.order };
        Ok(Launch { function: self.module.function("begin_steps", 0)?, grid: [1, 1, 1], threads: 32, shared: 0, args: args.bytes() })
    }

    fn planes(&mut self, kernel: &str, tensor: TensorId, planes: u64, skip: u64) -> Result<Launch> {
        let tensor = &self.tensors[tensor];
        let Input { tensor: view, extra16 } = tensor.input();
        let args = PlaneArgs { tensor: view, planes, extra16, skip, control: self.control, report: self.report };
        let blocks = (tensor.shape.h * tensor.shape.w).div_ceil(256) as u32;
        Ok(Launch { function: self.module.function(kernel, 0)?, grid: [blocks, 1, 1], threads: 256, shared: 0, args: args.bytes() })
    }

    fn ops(&mut self, ops: &[Op], skip: u64) -> Result<Vec<Launch>> {
        self.sums_used = 0;
        let mut launches = Vec::new();
        for op in ops {
            match op {
                Op::Conv(conv) => match conv.method {
                    Method::Fft(tiles) => launches.extend(self.spectral(conv, tiles, skip)?),
                    _ => launches.push(self.conv(conv, skip)?),
                },
                Op::Stats { input, mean, variance } => launches.push(self.stats(*input, *mean, *variance, skip)?),
                Op::Pointwise(program) => launches.push(self.pointwise(program, skip)?),
            }
        }
        Ok(launches)
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
        let room = |cs: usize| count * cs * FREQUENCIES * 8;
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
        };
        let picture = (FFT * FFT_PITCH + FFT) * 8;
        let launch = |name: &str, grid: [usize; 2], shared: usize| -> Result<Launch> {
            let grid = [grid[0] as u32, grid[1] as u32, 1];
            Ok(Launch { function: self.function(name, shared)?, grid, threads: 256, shared: shared as u32, args: args.bytes() })
        };
        Ok([
            launch("conv_fft_forward", [count, in_cs / 2], picture)?,
            launch("conv_fft_multiply", [FREQUENCIES / 8, 1], FFT_TILES.min(count) * in_cs / 2 * 128)?,
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
        args.weights = self.upload(&words)?;
        args.bias = self.upload(&float_bytes(&conv.bias))?;
        Ok(Launch { function: self.function(&name, shared)?, grid, threads, shared: shared as u32, args: args.bytes() })
    }

    /// A kernel, allowed the shared memory of the launch that needs most.
    fn function(&self, name: &str, shared: usize) -> Result<Function> {
        // The attribute is a property of the kernel, not of the launch: never lower it.
        let limit = if shared > 48 * 1024 { self.context.info.shared_limit } else { shared };
        self.module.function(name, limit)
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
            function: self.function("pointwise", shared)?,
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
                let view = self.tensors[tensor].view(false);
                code.push(Instruction { a: view.half as u8, b: place(view.data), word: wide(0, &self.tensors[tensor]), ..plain });
            }
            Operand::Vector(vector) => code.push(Instruction { b: place(self.vectors[vector].address), ..plain }),
            Operand::Constant(at) => code.push(Instruction { word: (at * cs) as u32, ..plain }),
            Operand::Slot(at) => code.push(Instruction { word: at as u32, ..plain }),
            Operand::Immediate(bits) => code.push(Instruction { word: bits, ..plain }),
        }
        Ok(())
    }
}

fn float_bytes(values: &[f32]) -> Vec<u8> {
    values.iter().flat_map(|value| value.to_ne_bytes()).collect()
}

impl Launch {
    fn again(&self) -> Launch {
        Launch { function: self.function, grid: self.grid, threads: self.threads, shared: self.shared, args: self.args.clone() }
    }
}
