//! A pipeline with the command line's defaults.

use super::Pipeline;
use crate::capture::fit::Mode;
use crate::engine::cpu::threads::Threads;
use crate::engine::{self, Choice, Tiles};
use crate::network::Network;
use crate::network::engine::{Engine, EngineError};
use crate::network::halting::RuleName;
use crate::source::SourceInfo;

/// Wires a [`Pipeline`]; made by [`Pipeline::builder`]. What is not asked for is what `recslowfast run` does without flags.
pub struct PipelineBuilder<'a> {
    network: &'a Network,
    engine: Choice,
    threads: Threads,
    tiles: Tiles,
    halt: RuleName,
    fit: Mode,
    timed: bool,
    fps: Option<f64>,
}

impl<'a> PipelineBuilder<'a> {
    pub(super) fn new(network: &'a Network) -> PipelineBuilder<'a> {
        let (engine, threads, tiles) = (Choice::default(), Threads::default(), Tiles::default());
        let (halt, fit) = (RuleName::default(), Mode::default());
        PipelineBuilder { network, engine, threads, tiles, halt, fit, timed: false, fps: None }
    }

    /// Which engine runs the graphs: the GPU where it can be used and otherwise the CPU, by default.
    pub fn engine(mut self, engine: Choice) -> Self {
        self.engine = engine;
        self
    }

    /// Threads of the CPU engine: one on every usable processor, by default.
    pub fn threads(mut self, threads: Threads) -> Self {
        self.threads = threads;
        self
    }

    /// Whether only what moved is computed: everything is, by default.
    pub fn tiles(mut self, tiles: Tiles) -> Self {
        self.tiles = tiles;
        self
    }

    /// When stepping stops: as calibrated in model.toml, by default.
    pub fn halt(mut self, halt: RuleName) -> Self {
        self.halt = halt;
        self
    }

    /// How a picture of another shape meets the network's input: cropped, by default.
    pub fn fit(mut self, fit: Mode) -> Self {
        self.fit = fit;
        self
    }

    /// Takes from a source what its frames' times mean: whether a gap in them is a gap in what was seen, and the rate of a film.
    pub fn source(mut self, info: &SourceInfo) -> Self {
        self.timed = info.timed;
        self.fps = info.fps.filter(|_| !info.timed);
        self
    }

    /// Opens the engine and wires it.
    ///
    /// # Errors
    ///
    /// The engine asked for cannot be used on this machine, or cannot run a graph of the network.
    pub fn build(self) -> Result<Pipeline, EngineError> {
        let engine = engine::open_with(self.engine, self.network, self.threads, self.tiles)?;
        Ok(self.around(engine))
    }

    /// Wires an engine that is open already, one of the caller's own for example.
    pub fn around(self, engine: Box<dyn Engine>) -> Pipeline {
        let rule = self.network.manifest.rule_named(self.halt);
        let mut pipeline = Pipeline::new(self.network, engine, rule, self.fit, self.timed);
        pipeline.set_rate(self.fps);
        pipeline
    }
}
