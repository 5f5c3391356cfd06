//! The kernels of a [`Program`] as launches: their parameters, their blocks and what they need in memory besides tensors.

mod chains;
mod convolutions;
mod pixels;
mod tiles;

use std::collections::HashMap;
use std::sync::Arc;

use super::abi::{LabelArgs, Measure, Plain, PlaneArgs, Span, StatsArgs};
use super::book::Book;
use super::camera::Input;
use super::driver::{Buffer, Context, CudaError, Launch, Module, Result, Stream};
use super::program::{Method, Op, Shape, TensorId, TensorSpec, VectorId};
use super::tensor::Tensor;
use tiles::Current;

/// Makes launches.
pub struct Builder<'a> {
    context: &'a Arc<Context>,
    stream: &'a Stream,
    module: &'a Module,
    /// Kernels compiled for the program, and which there are.
    compiled: Option<(&'a Module, &'a Book)>,
    specs: &'a [TensorSpec],
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
    /// Which tiles of the input changed: a byte each.
    changed: u64,
    /// What the next launches make again.
    current: Option<Current>,
    /// Work of everything in encoder, step and readout, in the units of [`Part`].
    pub totals: [u32; 3],
}

impl<'a> Builder<'a> {
    /// For the kernels of `module` and those `compiled` for the program, over `tensors`, of `specs`, and `vectors`; `control`, `ticket` and `report` are device memory, `order` and `told`
    /// addresses of the host's.
    #[allow(clippy::too_many_arguments)]
    pub fn new(
        context: &'a Arc<Context>,
        stream: &'a Stream,
        (module, compiled): (&'a Module, Option<(&'a Module, &'a Book)>),
        (specs, tensors): (&'a [TensorSpec], &'a [Tensor]),
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
            compiled,
            specs,
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
            changed: 0,
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

    /// A kernel compiled for the program, and where it is.
    fn compiled(&self, name: impl Fn(&Book) -> Option<String>) -> Result<(&'a Module, String)> {
        let found = self.compiled.and_then(|(module, book)| Some((module, name(book)?)));
        found.ok_or_else(|| CudaError { doing: "finding a kernel", reason: "it was not compiled for this network".into() })
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
            to: self.measure((mean, variance), tensor.shape, blocks)?,
            pixels_per_block: pixels_per_block as i32,
            pad: 0,
            skip,
        };
        Ok(Launch { function: self.module.function("stats", 0)?, grid: [blocks as u32, 1, 1], threads: 256, shared: 0, args: args.bytes() })
    }
}

impl Builder<'_> {
    /// Where a kernel that measures a tensor of `shape` in `parts` leaves what it finds.
    fn measure(&mut self, (mean, variance): (VectorId, VectorId), shape: Shape, parts: usize) -> Result<Measure> {
        Ok(Measure {
            mean: self.vectors[mean].address,
            variance: self.vectors[variance].address,
            partials: self.room(parts * shape.cs() * 8)?,
            counts: self.room(parts * 4)?,
            ticket: self.ticket,
        })
    }
}

/// The bytes of `values`.
pub fn float_bytes(values: &[f32]) -> Vec<u8> {
    values.iter().flat_map(|value| value.to_ne_bytes()).collect()
}
