//! Launches of kernels that leave alone what did not move, and of those that make the masks.

use super::{Builder, float_bytes};
use crate::acceptance::{self, TILE};
use crate::engine::cpu::tiles::switch;
use crate::engine::cuda::abi::{BeginArgs, Control, GateArgs, LookArgs, MapArgs, Part, Plain, ReachArgs, Source, Span};
use crate::engine::cuda::driver::{Launch, Result};
use crate::engine::cuda::program::{Decide, Gate, Op, Program, TensorId};
use crate::engine::cuda::tensor::Tensor;
use crate::engine::cuda::tiles::{Carry, MaskId, Planned, Spread, Tiling, When};

/// Pixels of a block of `gate`.
const GATE_PIXELS: usize = 32;
/// Units of work in a whole graph, about: [`Part`] counts in parts of it.
const UNITS: f64 = (1 << 24) as f64;

/// What the next launches make again.
pub(super) struct Current {
    planned: Planned,
    phase: usize,
    /// Share of the phase's work.
    share: f64,
}

impl Builder<'_> {
    /// Makes room for the masks of `tiling`.
    pub fn masks(&mut self, tiling: &Tiling) -> Result<()> {
        for [h, w] in &tiling.masks.sizes {
            let mask = self.room(h * w)?;
            self.masks.push(mask);
        }
        self.mask_sizes = tiling.masks.sizes.clone();
        self.tiles_cut = tiling.settings.cut;
        Ok(())
    }

    /// The kernels that look at a frame's tiles and take what is accepted to the network's input.
    pub fn look(&mut self, tiling: &Tiling, frame: TensorId) -> Result<[Launch; 3]> {
        let (frame, incoming) = (&self.tensors[frame], self.tensors[tiling.incoming].view(false));
        let (h, w, cs) = (frame.shape.h, frame.shape.w, frame.shape.cs());
        let tiles = h.div_ceil(TILE) * w.div_ceil(TILE);
        let (frame32, frame16) = (Tensor::address(&frame.full), Tensor::address(&frame.half));
        let accepted = if frame32 != 0 { frame32 } else { self.room(h * w * cs * 4)? };
        let level = |channel: usize| tiling.levels.get(channel).or(tiling.levels.last()).copied().unwrap_or(255.0);
        let levels: Vec<f32> = (0..frame.shape.c).map(level).collect();
        let acceptance = tiling.settings.acceptance;
        self.changed = self.room(tiles)?;
        let args = LookArgs {
            incoming,
            accepted,
            frame32,
            frame16,
            last: self.room(h.div_ceil(2) * w * cs * 4)?,
            noise: self.room(tiles * 4)?,
            changed: self.changed,
            levels: self.upload(&float_bytes(&levels))?,
            mask: self.masks[tiling.masks.frame],
            control: self.control,
            order: self.order,
            floor: acceptance.floor,
            gain: acceptance.gain,
            most: acceptance.most,
            rise: acceptance::RISE,
            switches: tiling.settings.switches.into(),
            low: switch::LOW,
            calm: switch::CALM as i32,
            pad: 0,
        };
        let launch = |name: &str, blocks: usize, threads: u32| -> Result<Launch> {
            let function = self.module.function(name, 0)?;
            Ok(Launch { function, grid: [blocks as u32, 1, 1], threads, shared: 0, args: args.bytes() })
        };
        Ok([
            launch("tile_look", tiles.div_ceil(16), 128)?,
            launch("tile_decide", 1, 256)?,
            launch("tile_accept", (h * w).div_ceil(128), 128)?,
        ])
    }

    /// The kernel that writes a byte a tile of the last frame to `map` in host memory; after [`Builder::look`].
    pub fn map(&mut self, tiling: &Tiling, program: &Program, map: u64) -> Result<Launch> {
        let input = self.tensors[tiling.incoming].shape;
        // What the first state's gate handed on in a frame, or what the encoder made where there is no state.
        let state = program.step.iter().zip(&tiling.masks.step).find_map(|(op, planned)| match op {
            Op::Gate(gate) if program.states.first() == Some(&gate.to) => planned.unread,
            _ => None,
        });
        let drive = program.encode.iter().zip(&tiling.masks.encode).find_map(|(op, planned)| match op {
            Op::Gate(gate) if gate.decide == Decide::Drive => Some(planned.dirty),
            _ => None,
        });
        let computed = state.or(drive).unwrap_or(tiling.masks.frame);
        let [state_h, state_w] = self.mask_sizes[computed];
        let args = MapArgs {
            changed: self.changed,
            computed: self.masks[computed],
            map,
            h: input.h as i32,
            w: input.w as i32,
            state_h: state_h as i32,
            state_w: state_w as i32,
            control: self.control,
            has_step: state.is_some().into(),
            pad: 0,
        };
        let blocks = (input.h.div_ceil(TILE) * input.w.div_ceil(TILE)).div_ceil(128) as u32;
        Ok(Launch { function: self.module.function("tile_map", 0)?, grid: [blocks, 1, 1], threads: 128, shared: 0, args: args.bytes() })
    }

    /// What `begin_steps` takes; with masks, after the encoder's kernels were made.
    pub(super) fn begin_args(&self) -> BeginArgs {
        BeginArgs {
            control: self.control,
            report: self.report,
            order: self.order,
            tiles: (!self.masks.is_empty()).into(),
            tiles_cut: self.tiles_cut.unwrap_or(f32::INFINITY),
            high: switch::HIGH as f32,
            calm: switch::CALM as i32,
            most: switch::MOST as i32,
            total: self.totals[0].max(1),
        }
    }

    /// As [`Builder::ops`], each kernel with its masks; `phase` is 0 for the encoder, 1 for a step, 2 for the readout.
    pub fn ops_by_tiles(&mut self, ops: &[Op], planned: &[Planned], phase: usize, skip: u64) -> Result<Vec<Launch>> {
        self.sums_used = 0;
        let mut launches = Vec::new();
        let whole: f64 = planned.iter().map(|planned| planned.work).sum();
        for (op, planned) in ops.iter().zip(planned) {
            for spread in &planned.before {
                launches.push(self.spread(spread, phase, skip)?);
            }
            self.current = Some(Current { planned: planned.clone(), phase, share: planned.work / whole.max(1.0) });
            self.op(op, skip, &mut launches)?;
        }
        self.current = None;
        Ok(launches)
    }

    /// `export_planes` of an answer, of what may have changed alone, with the masks that takes.
    pub fn export_by_tiles(&mut self, answer: TensorId, planned: &Planned, planes: u64, skip: u64) -> Result<Vec<Launch>> {
        let mut launches = Vec::new();
        for spread in &planned.before {
            launches.push(self.spread(spread, 2, skip)?);
        }
        self.current = Some(Current { planned: planned.clone(), phase: 2, share: 0.0 });
        launches.push(self.planes("export_planes", answer, planes, skip)?);
        self.current = None;
        Ok(launches)
    }

    /// What kernels of so many `blocks` make again: everything without masks.
    pub(super) fn part(&mut self, blocks: usize) -> Part {
        let Some(current) = &self.current else { return Part::default() };
        let unit = (current.share * UNITS / blocks.max(1) as f64).round().max(1.0) as u32;
        self.totals[current.phase] += unit * blocks as u32;
        let work = match current.phase {
            0 => self.control + std::mem::offset_of!(Control, done_encode) as u64,
            1 => self.control + std::mem::offset_of!(Control, done_step) as u64,
            _ => 0,
        };
        Part { mask: self.masks[current.planned.dirty], work, unit: unit as i32, pad: 0 }
    }

    fn spans(&mut self, spans: &[Span]) -> Result<u64> {
        if let Some(&known) = self.spans.get(spans) {
            return Ok(known);
        }
        let address = self.upload(&spans.iter().flat_map(Plain::bytes).collect::<Vec<u8>>())?;
        self.spans.insert(spans.to_vec(), address);
        Ok(address)
    }

    fn source(&mut self, (mask, when, carry): &(MaskId, When, Carry), widths: &[[usize; 2]]) -> Result<Source> {
        let (rows, columns, centred) = match carry {
            Carry::Same => (0, 0, false),
            Carry::Window { rows, columns, centred } => (self.spans(rows)?, self.spans(columns)?, *centred),
            Carry::Tiles { rows, columns, .. } => (self.spans(rows)?, self.spans(columns)?, false),
        };
        let when = match when {
            When::Always => 0,
            When::FirstStep => 1,
            When::Stepped => 2,
        };
        Ok(Source { mask: self.masks[*mask], rows, columns, w: widths[*mask][1] as i32, when, centred: centred.into(), pad: 0 })
    }

    fn spread(&mut self, spread: &Spread, phase: usize, skip: u64) -> Result<Launch> {
        let sizes = self.mask_sizes.clone();
        let [h, w] = sizes[spread.to];
        let mut args = ReachArgs {
            to: self.masks[spread.to],
            h: h as i32,
            w: w as i32,
            count: spread.sources.len() as i32,
            skip,
            control: self.control,
            stepping: phase as i32,
            ..ReachArgs::default()
        };
        for (at, source) in spread.sources.iter().enumerate() {
            args.sources[at] = self.source(source, &sizes)?;
        }
        let (name, blocks, threads) = match spread.sources.first() {
            Some((_, _, Carry::Tiles { rows, columns, tile })) => {
                (args.tile_h, args.tile_w, args.tiles_x) = (tile[0] as i32, tile[1] as i32, columns.len() as i32);
                ("reach_tiles", rows.len() * columns.len(), 256)
            }
            _ => ("reach", (h * w).div_ceil(128), 128),
        };
        Ok(Launch { function: self.module.function(name, 0)?, grid: [blocks as u32, 1, 1], threads, shared: 0, args: args.bytes() })
    }

    pub(super) fn gate(&mut self, gate: &Gate, skip: u64) -> Result<Launch> {
        let (from, to) = (self.tensors[gate.from].view(false), &self.tensors[gate.to]);
        let (view, to32, to16) = (to.view(false), Tensor::address(&to.full), Tensor::address(&to.half));
        let pixels = to.shape.h * to.shape.w;
        let blocks = pixels.div_ceil(GATE_PIXELS);
        let (dirty, moved, unread, phase) = self
            .current
            .as_ref()
            .map(|Current { planned, phase, .. }| (planned.dirty, planned.moved.unwrap_or(planned.dirty), planned.unread, *phase))
            .expect("gates are planned with their masks");
        let decide = match gate.decide {
            _ if gate.within => 4,
            Decide::No => 0,
            Decide::Later => 1,
            Decide::Step => 2,
            Decide::Drive => 3,
        };
        let args = GateArgs {
            from,
            to: view,
            to32,
            to16,
            dirty: self.masks[dirty],
            mask: self.masks[moved],
            unread: unread.map_or(0, |mask| self.masks[mask]),
            unsaid: self.room(pixels * 4)?,
            untold: self.room(pixels * 4)?,
            partials: self.room(blocks * 6 * 4)?,
            energy: self.room(4)?,
            skip,
            ticket: self.ticket,
            control: self.control,
            report: self.report,
            order: self.order,
            threshold: gate.threshold.unwrap_or(-1.0),
            carries: gate.carries,
            commits: gate.commits.into(),
            decide,
            stepping: phase as i32,
            pad: 0,
        };
        Ok(Launch { function: self.module.function("gate", 0)?, grid: [blocks as u32, 1, 1], threads: 128, shared: 0, args: args.bytes() })
    }
}
