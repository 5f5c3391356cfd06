//! What a network will cost on a GPU, from the program alone: no GPU is needed to ask.

use serde::Serialize;

use super::book::Book;
use super::images;
use super::lower::{Target, Transforms, lower};
use super::nvrtc::Compiler;
use super::opcode::Opcode;
use super::program::{Conv, FFT, FREQUENCIES, Method, Op, Operand, Pointwise, Program, Spectral, Step, TensorSpec};
use crate::network::Network;
use crate::network::engine::EngineError;

/// A GPU, as far as planning needs to know it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Gpu {
    /// Compute capability times ten.
    pub capability: u32,
    /// Multiprocessors.
    pub multiprocessors: usize,
    /// KiB of shared memory a block may have.
    pub shared_limit_kib: usize,
    /// KiB of shared memory a multiprocessor has.
    pub shared_total_kib: usize,
    /// Kernels are compiled for the network.
    pub compiled: bool,
}

/// One kernel of a frame.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PlannedKernel {
    /// `encode`, `step` or `readout`.
    pub phase: &'static str,
    /// Its name.
    pub kernel: String,
    /// Blocks, where the plan knows them; 0 where the device decides.
    pub blocks: usize,
    /// Warps of a block.
    pub warps: usize,
    /// Bytes of dynamic shared memory.
    pub shared_bytes: usize,
    /// Tensor-core instructions of one warp.
    pub mma_per_warp: usize,
    /// Passes of the inner loop of one warp.
    pub loops_per_warp: usize,
    /// Multiply-adds the arithmetic needs, without padding.
    pub useful_macs: usize,
    /// Bytes read, each tensor and weight once.
    pub read_bytes: usize,
    /// Bytes written.
    pub written_bytes: usize,
    /// Operations of its chain, each on two values.
    pub operations: usize,
}

/// Every kernel of a frame of `network` on `gpu`, a step's once.
pub fn plan(network: &Network, gpu: Gpu, transforms: Transforms) -> Result<Vec<PlannedKernel>, EngineError> {
    let program = program(network, gpu, transforms)?;
    let phases = [("encode", &program.encode), ("step", &program.step), ("readout", &program.readout)];
    let kernels = phases.into_iter().flat_map(|(phase, ops)| ops.iter().map(move |op| (phase, op)));
    Ok(kernels.flat_map(|(phase, op)| planned(&program, gpu.compiled, phase, op)).collect())
}

/// The source of the kernels that would be compiled for `network` on `gpu`.
pub fn source(network: &Network, gpu: Gpu, transforms: Transforms) -> Result<String, EngineError> {
    Ok(Book::of(&program(network, gpu, transforms)?).source())
}

/// What the NVRTC that is installed makes of that source: a cubin, or PTX by one older than 11.1.
///
/// # Errors
/// No NVRTC is installed, or it does not compile the source.
pub fn compile(network: &Network, gpu: Gpu, transforms: Transforms) -> Result<Vec<u8>, EngineError> {
    let source = source(network, gpu, transforms)?;
    let compiled = Compiler::open().and_then(|compiler| compiler.compile(&source, gpu.capability));
    compiled.map_err(|reason| EngineError::Unavailable { engine: "cuda", reason })
}

fn program(network: &Network, gpu: Gpu, transforms: Transforms) -> Result<Program, EngineError> {
    let k_step = images::k_step(gpu.capability);
    let target = Target {
        half: k_step.is_some(),
        k_step: k_step.unwrap_or(16),
        multiprocessors: gpu.multiprocessors,
        shared_limit: gpu.shared_limit_kib * 1024,
        shared_total: gpu.shared_total_kib * 1024,
        transforms,
        tiles: None,
        compiled: gpu.compiled,
    };
    lower(network, target)
}

fn planned(program: &Program, compiled: bool, phase: &'static str, op: &Op) -> Vec<PlannedKernel> {
    let nothing = PlannedKernel {
        phase,
        kernel: String::new(),
        blocks: 0,
        warps: 0,
        shared_bytes: 0,
        mma_per_warp: 0,
        loops_per_warp: 0,
        useful_macs: 0,
        read_bytes: 0,
        written_bytes: 0,
        operations: 0,
    };
    match op {
        Op::Conv(conv) => match conv.method {
            Method::Fft(tiles) => transforms(program, conv, tiles, &nothing),
            _ => vec![convolution(program, conv, nothing)],
        },
        Op::Stats { input, .. } => {
            let tensor = &program.tensors[*input];
            vec![PlannedKernel { kernel: "stats".into(), warps: 8, read_bytes: read(tensor, false), ..nothing }]
        }
        Op::Pointwise(pointwise) => vec![chain(program, pointwise, compiled, nothing)],
        Op::Gate(gate) => {
            let tensor = &program.tensors[gate.to];
            let (bytes, blocks) = (written(tensor), (tensor.shape.h * tensor.shape.w).div_ceil(32));
            vec![PlannedKernel { kernel: "gate".into(), blocks, warps: 4, read_bytes: 2 * bytes, written_bytes: bytes, ..nothing }]
        }
        Op::Across(across) => {
            let (input, output) = (&program.tensors[across.input], &program.tensors[across.output]);
            let blocks = (input.shape.h * input.shape.w).div_ceil(4);
            let (read_bytes, written_bytes) = (read(input, false), written(output));
            vec![PlannedKernel { kernel: "across".into(), blocks, warps: 4, read_bytes, written_bytes, ..nothing }]
        }
        Op::Spatial(spatial) => {
            let (input, output) = (&program.tensors[spatial.input], &program.tensors[spatial.output]);
            let blocks = output.len().div_ceil(128);
            let (read_bytes, written_bytes) = (read(input, false), written(output));
            vec![PlannedKernel { kernel: "spatial".into(), blocks, warps: 4, read_bytes, written_bytes, ..nothing }]
        }
    }
}

/// Bytes of one reading of a tensor.
fn read(tensor: &TensorSpec, half: bool) -> usize {
    tensor.len() * if tensor.half && (half || !tensor.full) { 2 } else { 4 }
}

/// Bytes of one writing of it, in every format it is kept in.
fn written(tensor: &TensorSpec) -> usize {
    tensor.len() * (if tensor.full { 4 } else { 0 } + if tensor.half { 2 } else { 0 })
}

fn convolution(program: &Program, conv: &Conv, nothing: PlannedKernel) -> PlannedKernel {
    let (input, output) = (&program.tensors[conv.input], &program.tensors[conv.output]);
    let (from, to) = (input.shape, output.shape);
    let [kh, kw] = conv.geometry.kernel;
    let (read_behind, written_behind) = conv.behind.as_ref().map_or((0, 0), |chain| moved(program, chain));
    let what = if conv.behind.is_some() {
        "+chain"
    } else if conv.measures.is_some() {
        "+stats"
    } else {
        ""
    };
    let loops = conv.runs * conv.ksteps;
    let common = PlannedKernel {
        kernel: format!("{}{what}", conv.method.kernel()),
        blocks: conv.method.blocks(to).iter().product(),
        warps: 4,
        useful_macs: kh * kw * from.c / conv.geometry.groups * to.c * to.h * to.w,
        read_bytes: read(input, matches!(conv.method, Method::Mma(_))) + conv.weights.len() * 4 + read_behind,
        written_bytes: written(output) + written_behind,
        operations: conv.behind.as_deref().map_or(0, operations),
        ..nothing
    };
    match conv.method {
        Method::Mma(tile) => PlannedKernel {
            warps: tile.warps_y * tile.warps_x,
            shared_bytes: tile.shared_bytes(),
            mma_per_warp: loops * tile.columns / 2 * 4,
            loops_per_warp: loops,
            ..common
        },
        Method::Scalar => PlannedKernel { loops_per_warp: loops, ..common },
        Method::Direct | Method::Fft(_) => common,
    }
}

/// A convolution by transforms: forward, multiply, back.
fn transforms(program: &Program, conv: &Conv, tiles: Spectral, nothing: &PlannedKernel) -> Vec<PlannedKernel> {
    let (input, output) = (&program.tensors[conv.input], &program.tensors[conv.output]);
    let (in_cs, out_cs, count) = (input.shape.cs(), output.shape.cs(), tiles.count());
    let spectra = |cs: usize| count * cs * FREQUENCIES * tiles.complex_bytes();
    let picture = (FFT * 72 + FFT) * 8;
    let kernel = |name: &str, blocks: usize, shared_bytes: usize, read_bytes: usize, written_bytes: usize| PlannedKernel {
        kernel: tiles.kernel(name),
        blocks,
        warps: 8,
        shared_bytes,
        read_bytes,
        written_bytes,
        ..nothing.clone()
    };
    let [kh, kw] = conv.geometry.kernel;
    let mut multiply =
        kernel("conv_fft_multiply", FREQUENCIES / 8, 9 * in_cs / 2 * 128, spectra(in_cs) + conv.weights.len() * 4, spectra(out_cs));
    multiply.useful_macs = kh * kw * input.shape.c * output.shape.c * output.shape.h * output.shape.w;
    multiply.loops_per_warp = count * FREQUENCIES * input.shape.c * out_cs / 32;
    vec![
        kernel("conv_fft_forward", count * in_cs / 2, picture, read(input, true), spectra(in_cs)),
        multiply,
        kernel("conv_fft_back", count * out_cs / 2, picture, spectra(out_cs), written(output)),
    ]
}

/// Bytes that a chain reads and writes.
fn moved(program: &Program, chain: &Pointwise) -> (usize, usize) {
    let (mut read_bytes, mut written_bytes) = (0, 0);
    let share = |tensor: &TensorSpec, bytes: usize| bytes * chain.domain.cs() / tensor.shape.cs();
    for Step { op, operand, .. } in &chain.body {
        match *operand {
            Operand::Tensor(tensor) if *op == Opcode::Store32 => written_bytes += written(&program.tensors[tensor]),
            Operand::Tensor(tensor) | Operand::Map(tensor) | Operand::Single(tensor) => read_bytes += read(&program.tensors[tensor], false),
            Operand::Channels(tensor, _) if *op == Opcode::StoreView => {
                let tensor = &program.tensors[tensor];
                written_bytes += share(tensor, written(tensor));
            }
            Operand::Channels(tensor, _) => {
                let tensor = &program.tensors[tensor];
                read_bytes += share(tensor, read(tensor, false));
            }
            _ => {}
        }
    }
    (read_bytes, written_bytes)
}

/// Operations of a chain, each on two values.
fn operations(chain: &Pointwise) -> usize {
    chain.body.len() * chain.domain.h * chain.domain.w * chain.domain.cs() / 2
}

fn chain(program: &Program, chain: &Pointwise, compiled: bool, nothing: PlannedKernel) -> PlannedKernel {
    let (read_bytes, written_bytes) = moved(program, chain);
    let kernel = if compiled { "chain" } else { "pointwise" }.into();
    let shared_bytes = if compiled { 0 } else { chain.registers * 128 * 16 + chain.slots * chain.domain.cs() * 4 };
    PlannedKernel { kernel, warps: 4, shared_bytes, read_bytes, written_bytes, operations: operations(chain), ..nothing }
}
