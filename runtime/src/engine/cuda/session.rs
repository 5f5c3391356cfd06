//! A [`Program`] on a device: its memory, and its kernels as launches ready to be queued.

use std::sync::Arc;
use std::time::Duration;

use super::abi::{Control, Order, Plain, PlaneArgs, Report};
use super::book::Book;
use super::camera::{Camera, Filled};
use super::driver::{Buffer, Context, Graph, Launch, Mapped, Marks, Module, Pool, Result, Stream};
use super::launches::{Builder, float_bytes};
use super::program::{Program, Shape, TensorId};
use super::tensor::Tensor;
use super::tiles::Masks;
use crate::acceptance::TILE;
use crate::frame::Frame;
use crate::outcome::{Label, TileMap};
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

    /// Recorded, or too short to be.
    fn is_recorded(&self) -> bool {
        self.graph.is_some() || self.launches.len() < 2
    }

    /// Queues all kernels.
    pub fn queue(&self, stream: &Stream) -> Result<()> {
        match &self.graph {
            Some(graph) => stream.replay(graph),
            None => self.launches.iter().try_for_each(|launch| stream.launch(launch)),
        }
    }
}

/// Steps of a recorded chunk, besides the single step.
pub const CHUNK: u32 = 4;

/// A place in the queue of a frame: nothing of it is done yet.
pub const BEGUN: usize = 0;
/// The drive is there.
pub const ENCODED: usize = 1;
/// The steps are done.
pub const STEPPED: usize = 2;
/// The answer is there.
pub const ANSWERED: usize = 3;

/// Everything a network needs on a device. Fields drop in this order: graphs before the memory they name.
pub struct Session {
    /// The network's input from `input`.
    pub import: Phase,
    /// What of the input is accepted, where only what moved is computed.
    pub look: Phase,
    /// The network's input to the drive.
    pub encode: Phase,
    /// Takes the order and, if the frame needs steps, its drive.
    pub begin: Phase,
    /// One step.
    pub step: Phase,
    /// [`CHUNK`] steps.
    pub chunk: Phase,
    /// State to `answers`.
    pub readout: Phase,
    /// State to `labels`.
    pub label: Phase,
    /// What the last readout left on the device to `answers`.
    pub export: Phase,
    /// What the device takes over, one value behind the other, each `[c][h][w]` fp32: the network's input, or what the host made of it.
    pub input: Mapped<f32>,
    /// What the device gives, one value behind the other, each `[c][h][w]` fp32: the readout's outputs, or what the host makes them of.
    pub answers: Mapped<f32>,
    /// The answer as a class and a score for each pixel.
    pub labels: Mapped<Label>,
    /// What the host orders.
    pub order: Mapped<Order>,
    /// What the device did.
    pub report: Mapped<Report>,
    /// When the device came by [`BEGUN`] and the places behind it.
    pub marks: Marks<4>,
    /// The queue.
    pub stream: Stream,
    /// The network's input from a camera's pictures, once there was one.
    pub camera: Option<Camera>,
    /// Memory the device reads in place, lent to who fills it.
    pub pool: Pool,
    /// What the device says of each tile of the input, where only what moved is computed.
    tiles: Option<TileFlags>,
    states: Vec<TensorId>,
    frame: TensorId,
    /// The network's input as it saw it.
    accepted: TensorId,
    /// Work of the whole encoder, a whole step and the whole readout, as the device counts it; 0 where it does not.
    pub totals: [u32; 3],
    tensors: Vec<Tensor>,
    _vectors: Vec<Buffer>,
    _scratch: Vec<Buffer>,
    module: Module,
    _compiled: Option<Module>,
    /// The device.
    pub context: Arc<Context>,
}

impl Session {
    /// Puts `program` on the device of `context`, with the kernels of `module` and those compiled for it.
    pub fn new(context: &Arc<Context>, (module, compiled): (Module, Option<(Module, Book)>), program: &Program) -> Result<Session> {
        let stream = Stream::new(context)?;
        let marks = Marks::new(context)?;
        let mut tensors = Vec::new();
        for spec in &program.tensors {
            let [full, half] = spec.kept();
            let place = |kept: bool, bytes: usize| kept.then(|| Buffer::zeroed(context, &stream, spec.len() * bytes)).transpose();
            let full = match &spec.constant {
                Some(values) => Some(Buffer::holding(context, &stream, &float_bytes(values))?),
                None => place(full, 4)?,
            };
            let half = place(half, 2)?;
            tensors.push(Tensor { full, half, shape: spec.shape });
        }
        let vectors =
            program.vectors.iter().map(|c| Buffer::zeroed(context, &stream, c.next_multiple_of(2) * 4)).collect::<Result<Vec<_>>>()?;
        let size = |tensor: TensorId| program.tensors[tensor].shape.c * program.tensors[tensor].shape.h * program.tensors[tensor].shape.w;
        let input = Mapped::new(context, program.imports.iter().map(|import| size(*import)).sum(), 0f32)?;
        let answers = Mapped::new(context, program.answers.iter().map(|answer| size(*answer)).sum(), 0f32)?;
        // Asked for of logits only, which come alone.
        let logits = program.answers[0];
        let shape = program.tensors[logits].shape;
        let labels = Mapped::new(context, shape.h * shape.w, Label::default())?;
        let order = Mapped::new(context, 1, Order::default())?;
        let report = Mapped::new(context, 1, Report::NONE)?;
        let control = Buffer::zeroed(context, &stream, size_of::<Control>())?;
        let ticket = Buffer::zeroed(context, &stream, 16)?;
        let kept = Buffer::zeroed(context, &stream, size_of::<Report>())?;
        let kernels = (&module, compiled.as_ref().map(|(module, book)| (module, book)));
        let places = (&program.tensors[..], &tensors[..]);
        let mut builder = Builder::new(context, &stream, kernels, places, &vectors, (control, ticket, kept), order.address, report.address);
        // Flags at the head of Control: stop, pending, always.
        let (stop, pending, always) = (builder.control, builder.control + 4, builder.control + 8);
        let tiles = program.tiles.as_ref();
        let arriving = tiles.map_or(&program.imports[..], |tiling| std::slice::from_ref(&tiling.incoming));
        let (mut import, mut address) = (Vec::new(), input.address);
        for tensor in arriving {
            import.push(builder.planes("import_planes", *tensor, address, always)?);
            address += (size(*tensor) * size_of::<f32>()) as u64;
        }
        let (look, encode, one, answer);
        let mut begin;
        match tiles {
            Some(tiling) => {
                let Masks { encode: of_encode, step: of_step, readout: of_readout, .. } = &tiling.masks;
                builder.masks(tiling)?;
                look = builder.look(tiling, program.frame)?.to_vec();
                encode = builder.ops_by_tiles(&program.encode, of_encode, 0, always)?;
                begin = vec![builder.begin()?];
                one = builder.ops_by_tiles(&program.step, of_step, 1, stop)?;
                answer = builder.ops_by_tiles(&program.readout, of_readout, 2, pending)?;
            }
            None => {
                look = Vec::new();
                encode = builder.ops(&program.encode, always)?;
                begin = vec![builder.begin()?];
                begin.extend(builder.ops(&program.accept, stop)?);
                one = builder.ops(&program.step, stop)?;
                answer = builder.ops(&program.readout, pending)?;
            }
        }
        let ended_by = |last: &[Launch]| answer.iter().chain(last).cloned().collect();
        let (mut export, mut export_moved, mut address) = (Vec::new(), Vec::new(), answers.address);
        for (at, tensor) in program.answers.iter().enumerate() {
            let all = builder.planes("export_planes", *tensor, address, pending)?;
            match tiles {
                Some(tiling) => export_moved.extend(builder.export_by_tiles(*tensor, &tiling.masks.answers[at], address, pending)?),
                None => export_moved.push(all.clone()),
            }
            export.push(all);
            address += (size(*tensor) * size_of::<f32>()) as u64;
        }
        let flags = tiles.map(|tiling| {
            let Shape { h, w, .. } = program.tensors[tiling.incoming].shape;
            let flags = Mapped::new(context, h.div_ceil(TILE) * w.div_ceil(TILE), 0u8)?;
            let phase = Phase::new(&stream, vec![builder.map(tiling, program, flags.address)?]);
            Ok(TileFlags { flags, phase, size: [w, h] })
        });
        let flags = flags.transpose()?;
        let label = ended_by(&[builder.labels(logits, labels.address, pending)?]);
        let readout = ended_by(&export_moved);
        let many: Vec<Launch> = (0..CHUNK).flat_map(|_| one.iter().cloned()).collect();
        let (scratch, totals) = (builder.scratch, builder.totals);
        let session = Session {
            import: Phase::new(&stream, import),
            look: Phase::new(&stream, look),
            encode: Phase::new(&stream, encode),
            begin: Phase::new(&stream, begin),
            step: Phase::new(&stream, one),
            chunk: Phase::new(&stream, many),
            readout: Phase::new(&stream, readout),
            label: Phase::new(&stream, label),
            export: Phase::new(&stream, export),
            input,
            answers,
            labels,
            order,
            report,
            marks,
            camera: None,
            pool: Pool::new(context),
            tiles: flags,
            states: program.states.clone(),
            frame: arriving[0],
            accepted: program.frame,
            totals,
            tensors,
            _vectors: vectors,
            _scratch: scratch,
            module,
            _compiled: compiled.map(|(module, _)| module),
            context: context.clone(),
            stream,
        };
        session.stream.wait(Duration::from_secs(10))?;
        Ok(session)
    }

    /// Whether every phase is a graph, or too short to be one.
    pub fn is_recorded(&self) -> bool {
        let phases =
            [&self.import, &self.look, &self.encode, &self.begin, &self.step, &self.chunk, &self.readout, &self.label, &self.export];
        phases.into_iter().all(Phase::is_recorded)
    }

    /// Takes a camera's picture as the network's next input, unless the device cannot convert it.
    pub fn take(&mut self, frame: &Frame, sampling: &Sampling) -> Result<Filled> {
        if !self.camera.as_ref().is_some_and(|camera| camera.fits(frame, sampling)) {
            let input = self.tensors[self.frame].input();
            self.camera = Camera::new(&self.context, &self.stream, &self.module, input, frame, sampling)?;
        }
        self.camera.as_mut().map_or(Ok(Filled::Not), |camera| camera.fill(frame, &self.pool))
    }

    /// Queues the copy of what [`Session::map`] reads.
    pub fn queue_map(&self) -> Result<()> {
        self.tiles.as_ref().map_or(Ok(()), |tiles| tiles.phase.queue(&self.stream))
    }

    /// Which tiles moved and were stepped, of the frame behind which [`Session::queue_map`] ran; false where everything is computed in every frame.
    pub fn map(&self, map: &mut TileMap) -> bool {
        let Some(tiles) = &self.tiles else { return false };
        map.clear(tiles.size, TILE);
        for (tile, flags) in tiles.flags.as_slice().iter().enumerate() {
            for (bit, bits) in [(1, &mut map.moved), (2, &mut map.stepped)] {
                if flags & bit != 0 {
                    TileMap::set(bits, tile);
                }
            }
        }
        true
    }

    /// The network's input as it saw it, the first state that follows and so on, each `[c][h][w]`: what a test compares.
    pub fn kept(&self) -> Result<Vec<Vec<f32>>> {
        let tensors = std::iter::once(self.accepted).chain(self.states.iter().copied());
        let mut kept = Vec::new();
        for tensor in tensors {
            let tensor = &self.tensors[tensor];
            let Shape { c, h, w } = tensor.shape;
            let planes = Mapped::new(&self.context, c * h * w, 0f32)?;
            let nothing = Buffer::zeroed(&self.context, &self.stream, size_of::<Control>() + size_of::<Report>())?;
            let told = Mapped::new(&self.context, size_of::<Report>(), 0u8)?;
            let args = PlaneArgs {
                tensor: tensor.view(false),
                planes: planes.address,
                skip: nothing.address,
                control: nothing.address,
                report: nothing.address,
                told: told.address,
                ..PlaneArgs::default()
            };
            let blocks = (h * w).div_ceil(256) as u32;
            let function = self.module.function("export_planes", 0)?;
            self.stream.launch(&Launch { function, grid: [blocks, 1, 1], threads: 256, shared: 0, args: args.bytes() })?;
            self.stream.wait(Duration::from_secs(10))?;
            kept.push(planes.as_slice().to_vec());
        }
        Ok(kept)
    }

    /// Sets the hidden state to zero, in stream order.
    pub fn clear_states(&self) -> Result<()> {
        let places = self.states.iter().flat_map(|&state| [&self.tensors[state].full, &self.tensors[state].half]);
        places.flatten().try_for_each(|buffer| buffer.clear(&self.stream))
    }
}

/// A byte for each tile of the input, 1 where it was accepted and 2 where the state was computed again, and the kernel that writes them.
struct TileFlags {
    flags: Mapped<u8>,
    phase: Phase,
    /// Width and height of the input.
    size: [usize; 2],
}

/// A frame that was begun and never ended may still be reading what goes now.
impl Drop for Session {
    fn drop(&mut self) {
        if self.context.can_free() {
            let _ = self.stream.wait(Duration::from_secs(2));
        }
    }
}
