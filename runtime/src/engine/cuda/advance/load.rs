//! How a network comes onto the GPU.

use std::sync::Arc;
use std::time::Duration;

use super::super::book::Book;
use super::super::compiled;
use super::super::driver::{Context, CudaError, Module};
use super::super::host::HostPart;
use super::super::images;
use super::super::lower::{Target, Transforms, lower};
use super::super::nvrtc::Compiler;
use super::super::program::{Op, Program};
use super::super::session::Session;
use super::super::tiles::{self, Settings};
use super::{CudaEngine, LENDABLE, Pictures};
use crate::engine::cpu::threads::Threads;
use crate::network::Network;
use crate::network::engine::{EngineError, StageTimes};
use crate::network::halting::Path;
use crate::outcome::MAX_STEPS;

/// A frame that has not come back after this long never will, unless [`Options::patience`] says otherwise.
const HUNG_AFTER: Duration = Duration::from_secs(2);

/// Arithmetic of the GPU engine.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Precision {
    /// fp16 with fp32 sums where there are tensor cores, otherwise fp32.
    #[default]
    Auto,
    /// fp32 throughout.
    Full,
}

/// Which kernels a network runs by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Kernels {
    /// Chains of element-wise operations compiled for it, by themselves and where convolutions store what they made, if an NVRTC is installed.
    #[default]
    Compiled,
    /// Those that come with this program; chains are interpreted.
    BuiltIn,
}

/// How a network is put on the GPU.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Options {
    /// Arithmetic.
    pub precision: Precision,
    /// Which kernels it runs by.
    pub kernels: Kernels,
    /// How convolutions with large kernels are computed.
    pub transforms: Transforms,
    /// How long a frame may take before the GPU counts as hung, where 2 s are too short: under a tool that slows every kernel down.
    pub patience: Option<Duration>,
    /// Compute only what moved, where a network is local; None computes everything.
    pub tiles: Option<Settings>,
    /// Threads of the CPU for nodes of encoder and readout that have no kernel; by default one for every usable processor.
    pub threads: Threads,
}

impl CudaEngine {
    /// Puts `network` on the GPU.
    pub fn load(network: &Network, precision: Precision) -> Result<CudaEngine, EngineError> {
        CudaEngine::with(network, Options { precision, ..Options::default() })
    }

    /// As [`CudaEngine::load`], with every choice the caller's.
    pub fn with(network: &Network, options: Options) -> Result<CudaEngine, EngineError> {
        let unavailable = |error: CudaError| EngineError::Unavailable { engine: "cuda", reason: error.to_string() };
        let context = Context::open().map_err(unavailable)?;
        let loaded = images::load(&context).map_err(unavailable)?;
        let info = &context.info;
        let half = options.precision == Precision::Auto && loaded.k_step.is_some();
        let mut target = Target {
            half,
            k_step: loaded.k_step.unwrap_or(16),
            multiprocessors: info.multiprocessors,
            shared_limit: info.shared_limit,
            shared_total: info.shared_total,
            transforms: options.transforms,
            tiles: None,
            compiled: false,
        };
        let mut not_tiled = options.tiles.and_then(|_| tiles::local(network).err());
        target.tiles = options.tiles.filter(|_| not_tiled.is_none());
        let compiler = match options.kernels {
            Kernels::Compiled => Compiler::open().inspect_err(|reason| log::info!("GPU kernels: chains are interpreted: {reason}")).ok(),
            Kernels::BuiltIn => None,
        };
        let mut prepared = prepare(&context, network, target, compiler.as_ref())?;
        if target.tiles.is_some() && (prepared.program.before.is_some() || prepared.program.behind.is_some()) {
            (target.tiles, not_tiled) = (None, Some("the CPU computes a part of its encoder or readout, and all of that".into()));
            prepared = prepare(&context, network, target, compiler.as_ref())?;
        }
        let Prepared { program, compiled } = prepared;
        let before = program.before.as_ref().map(|part| HostPart::new(part, options.threads, true)).transpose()?;
        let behind = program.behind.as_ref().map(|part| HostPart::new(part, options.threads, false)).transpose()?;
        let kernels = compiled.as_ref().map_or(String::new(), |(_, book)| format!(", {} kernels compiled", book.len()));
        let name = format!("{} ({}{kernels}, {})", info.name, loaded.image, if half { "fp16" } else { "fp32" });
        let session = Session::new(&context, (loaded.module, compiled), &program).map_err(unavailable)?;
        Ok(CudaEngine {
            session,
            name,
            options,
            input: vec![0.0; before.as_ref().map_or(0, |part| part.numbers[0])],
            before,
            answer: vec![0.0; behind.as_ref().map_or(0, |part| part.numbers[1])],
            behind,
            unread: true,
            has_step: !program.step.is_empty(),
            drive_known: false,
            taken: false,
            lendable: LENDABLE,
            pictures: Pictures::default(),
            path: Path::Slow,
            expected: [MAX_STEPS as u32; 2],
            prepared: Duration::ZERO,
            queued: Duration::ZERO,
            times: StageTimes::default(),
            step_time: None,
            convolutions: 0,
            convolutions_per_step: program.step.iter().filter(|op| matches!(op, Op::Conv(_))).count() as u64,
            label_threshold: None,
            answers_stale: false,
            broken: None,
            patience: options.patience.unwrap_or(HUNG_AFTER),
            is_tiled: target.tiles.is_some(),
            map_wanted: false,
            map_made: false,
            not_tiled,
        })
    }
}

/// A program, and what was compiled for it.
struct Prepared {
    program: Program,
    compiled: Option<(Module, Book)>,
}

/// Lowers `network` for kernels compiled by `compiler`, or for those that are built in where that fails.
fn prepare(context: &Arc<Context>, network: &Network, target: Target, compiler: Option<&Compiler>) -> Result<Prepared, EngineError> {
    if let Some(compiler) = compiler {
        let program = lower(network, Target { compiled: true, ..target })?;
        let book = Book::of(&program);
        match compiled::load(context, compiler, &book) {
            Ok(module) => return Ok(Prepared { program, compiled: Some((module, book)) }),
            Err(reason) => log::warn!("GPU kernels: chains are interpreted: {reason}"),
        }
    }
    Ok(Prepared { program: lower(network, target)?, compiled: None })
}
