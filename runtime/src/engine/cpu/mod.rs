//! The graphs on the CPU.
//!
//! A graph is lowered to a few [`machine::Operation`]s over one block of memory: large kernels by tiled Fourier transforms
//! ([`conv_fft`]), the others in their direct form ([`conv_direct`]), transposed ones as ordinary ones and a shuffle ([`conv_transposed`]), element-wise chains fused into one pass ([`pointwise`]), each kernel compiled
//! for every instruction set of [`simd`] and spread over a fixed [`pool`] of threads. Nodes that are not covered run on tract, as a part
//! of the graph (`foreign.rs`), and the log says which they are. What all this costs and what was tried is in `README.md` beside this file.

pub mod across;
mod affinity;
#[cfg(test)]
mod against_tract;
mod build;
pub mod channels_last;
pub mod conv_direct;
pub mod conv_expanded;
pub mod conv_fft;
pub mod conv_transposed;
pub mod conv_winograd;
mod depthwise;
mod fallback;
pub mod fft;
mod foreign;
pub mod gather;
pub mod interpolate;
mod lay_out;
mod lower;
pub mod machine;
#[cfg(test)]
mod noise;
pub mod part;
pub mod planes;
pub mod pointwise;
pub mod pool;
pub mod rates;
mod stage;
pub mod statistics;
pub mod threads;
pub mod tiles;
pub mod vmath;

pub use crate::simd;

use std::time::Duration;

use crate::clock;
use crate::network::Network;
use crate::network::engine::{Engine, EngineError, StageTimes, StepRequest, Tensors};
use crate::network::halting::{Metric, Moments, Path};
use crate::outcome::{StepTrace, StopReason, TileMap};
use machine::{Buffer, Machine, Operation};
use simd::Isa;
use stage::{Runner, Stage, State};
use threads::Threads;
use tiles::Tiled;

/// How the engine is set up.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Threads that compute, the caller's among them.
    pub threads: usize,
    /// The instruction set.
    pub isa: Isa,
    /// Run every graph on tract: the plain engine that the fast one is compared with.
    pub plain: bool,
    /// Compute only what moved, where a network is local; None computes everything.
    pub tiles: Option<tiles::Settings>,
}

impl Default for Options {
    fn default() -> Options {
        Options { threads: Threads::default().get(), isa: Isa::best(), plain: false, tiles: None }
    }
}

/// Runs a network on the CPU.
pub struct CpuEngine {
    machine: Machine,
    input: Vec<f32>,
    frame: Buffer,
    encoder: Stage,
    step: Option<Stage>,
    readout: Stage,
    /// The drive, and features beside it: of the last frame that was stepped in `now`, this frame's in `next` until it is stepped; without
    /// a step, all are taken.
    handed: Vec<State>,
    driven: bool,
    states: Vec<State>,
    /// The readout's outputs, with how many numbers each holds.
    answers: Vec<(Buffer, usize)>,
    /// Those numbers, one output behind the other.
    answer: Vec<f32>,
    path: Path,
    drive_distance: f32,
    /// What [`HaltingRule::floor_after_first`](crate::network::halting::HaltingRule::floor_after_first) gave for the last stepped frame.
    floor: f32,
    /// `answer` is that of the states as they are.
    read: bool,
    /// The last frame since a reset was read out: its answer becomes the states that are one.
    answered: bool,
    /// What the last frame took.
    times: StageTimes,
    /// The same graphs, run only where something moved.
    tiled: Option<Tiled>,
    /// Why there are none, though they were asked for.
    not_tiled: Option<String>,
}

impl CpuEngine {
    /// Prepares the three graphs for this machine. O(weights).
    pub fn load(network: &Network) -> Result<CpuEngine, EngineError> {
        CpuEngine::with(network, Options::default())
    }

    /// Whether it computes only what moved.
    pub fn is_tiled(&self) -> bool {
        self.tiled.is_some()
    }

    /// Why it computes everything, though it was asked not to: the operation that needs all of its input.
    pub fn not_tiled(&self) -> Option<&str> {
        self.not_tiled.as_deref()
    }

    /// The input as the network sees it, NCHW: with tiles, what of it was accepted.
    pub fn accepted(&self) -> Vec<f32> {
        let mut values = vec![0.0; self.input.len()];
        self.machine.read(self.frame, &mut values);
        values
    }

    /// What the encoder handed on, the drive first, and the hidden states as they are, NCHW.
    pub fn tensors(&self) -> Vec<Vec<f32>> {
        let all = self.handed.iter().chain(&self.states).enumerate();
        all.map(|(number, state)| {
            let buffer = self.tiled.as_ref().map_or(state.now, |tiled| tiled.home(number));
            let mut values = vec![0.0; self.machine.numbers(buffer)];
            self.machine.read(buffer, &mut values);
            values
        })
        .collect()
    }

    /// Files of the graphs that run on tract, whole or in part, because they hold a node that is not covered.
    pub fn on_tract(&self) -> impl Iterator<Item = &'static str> {
        let stages = [Some(&self.encoder), self.step.as_ref(), Some(&self.readout)].into_iter().flatten();
        stages.filter(|stage| stage.parts || matches!(stage.runner, Runner::Tract(_))).map(|stage| stage.file)
    }

    /// One step: the new states and how far they moved.
    fn step(stage: Option<&Stage>, states: &[State], machine: &mut Machine) -> Result<Moments, EngineError> {
        let Some(stage) = stage else { return Ok(Moments::default()) };
        let moments = stage.run(machine)?;
        states.iter().filter(|state| state.stepped).for_each(|state| machine.swap(state.now, state.next));
        Ok(moments)
    }

    /// One frame, the operations of each graph run one by one: `f` is told each operation and how long it took. For `bench`.
    pub fn profile(&mut self, mut f: impl FnMut(&Operation, Duration)) {
        self.read = false;
        for stage in [Some(&self.encoder), self.step.as_ref(), Some(&self.readout)].into_iter().flatten() {
            for operation in stage.operations() {
                let began = clock::now();
                self.machine.one(operation);
                f(operation, clock::now() - began);
            }
        }
        self.states.iter().for_each(|state| self.machine.swap(state.now, state.next));
    }
}

impl CpuEngine {
    /// Encodes the frame, and notes how far the drive moved.
    fn encoded(&mut self) -> Result<(), EngineError> {
        match &mut self.tiled {
            Some(tiled) => {
                if !tiled.accept(&mut self.machine, &self.input) {
                    let moved = tiled.encode(&mut self.machine);
                    self.read &= self.step.is_some() || moved == 0.0;
                    self.drive_distance = if self.driven { moved } else { f32::INFINITY };
                    self.driven = true;
                    return Ok(());
                }
            }
            None => self.machine.write(self.frame, &self.input),
        }
        let moments = self.encoder.run(&mut self.machine)?;
        if self.step.is_none() {
            self.read = false;
            self.handed.iter().for_each(|handed| self.machine.swap(handed.now, handed.next));
        }
        self.drive_distance = if self.driven { moments.distance(Metric::RelativeL2) } else { f32::INFINITY };
        self.driven = true;
        Ok(())
    }

    /// Reads the answer out of the state, if it is not that of the state already: a frame of no steps leaves both as they were.
    fn read_out(&mut self) -> Result<(), EngineError> {
        if self.read {
            return Ok(());
        }
        match self.tiled.as_mut().filter(|tiled| !tiled.dense()) {
            Some(tiled) => tiled.readout(&mut self.machine),
            None => {
                self.readout.run(&mut self.machine)?;
            }
        }
        let mut rest = &mut self.answer[..];
        for (buffer, numbers) in &self.answers {
            let (answer, behind) = rest.split_at_mut(*numbers);
            self.machine.read(*buffer, answer);
            rest = behind;
        }
        self.read = true;
        Ok(())
    }

    /// Steps until `order` says stop.
    fn stepped(&mut self, order: &StepRequest) -> Result<StepTrace, EngineError> {
        let rule = &order.rule;
        let carried = std::mem::replace(&mut self.path, Path::Fast);
        let carried = if self.tiled.as_ref().is_some_and(Tiled::cuts) { Path::Slow } else { carried };
        let mut path = rule.path_before_first(carried, self.drive_distance);
        let mut trace = StepTrace {
            steps: 0,
            limit: rule.cap(path, order.limit),
            stop: StopReason::Zero,
            distances: heapless::Vec::new(),
            drive_distance: self.drive_distance,
            moved: self.tiled.as_ref().map_or(1.0, |tiled| tiled.shares().0),
            stepped: 1.0,
            encoded: self.tiled.as_ref().map_or(1.0, |tiled| tiled.shares().2),
        };
        let mut tiled = self.tiled.as_mut().filter(|tiled| !tiled.dense());
        if self.step.is_none() {
            trace.stop = StopReason::Limit;
            return Ok(trace);
        }
        if tiled.as_ref().map_or_else(|| rule.rests(path, self.drive_distance), |tiled| tiled.rests()) {
            return Ok(trace);
        }
        self.read = false;
        if tiled.is_none() {
            self.handed.iter().for_each(|handed| self.machine.swap(handed.now, handed.next));
        }
        loop {
            let began = clock::now();
            let moments = match &mut tiled {
                Some(tiled) => tiled.step(&mut self.machine, rule),
                None => Self::step(self.step.as_ref(), &self.states, &mut self.machine)?,
            };
            let distance = moments.distance(rule.metric);
            let took: Duration = clock::now() - began;
            trace.steps += 1;
            if let Some(tiled) = &tiled {
                trace.stepped = tiled.shares().1 / trace.steps as f32;
            }
            trace.distances.push(distance).expect("the cap is at most MAX_STEPS");
            if trace.steps == 1 {
                path = rule.path_after_first(path, distance);
                if tiled.as_ref().is_some_and(|tiled| tiled.surprised()) {
                    path = Path::Slow;
                }
                trace.limit = rule.cap(path, order.limit);
                self.floor = rule.floor_after_first(path, self.floor, distance);
            }
            if let Some(stop) = rule.decide(path, trace.limit, trace.steps, distance, self.floor) {
                trace.stop = stop;
                return Ok(trace);
            }
            if tiled.as_ref().is_some_and(|tiled| tiled.rests()) {
                trace.stop = StopReason::Halted;
                return Ok(trace);
            }
            if order.deadline.is_some_and(|deadline| clock::now() + took > deadline) {
                trace.stop = StopReason::Deadline;
                return Ok(trace);
            }
        }
    }
}

impl Engine for CpuEngine {
    fn name(&self) -> &'static str {
        "cpu"
    }

    fn input(&mut self) -> &mut [f32] {
        &mut self.input
    }

    fn encode(&mut self) -> Result<(), EngineError> {
        let began = clock::now();
        self.encoded()?;
        self.times = StageTimes { encode: clock::now() - began, ..StageTimes::default() };
        Ok(())
    }

    fn advance(&mut self, order: &StepRequest) -> Result<StepTrace, EngineError> {
        let began = clock::now();
        let before = std::mem::take(&mut self.answered);
        for state in self.states.iter().filter(|_| before) {
            if let Some(at) = state.answer {
                let from: usize = self.answers[..at].iter().map(|(_, numbers)| numbers).sum();
                self.machine.write(state.now, &self.answer[from..from + self.answers[at].1]);
            }
        }
        let trace = self.stepped(order)?;
        if trace.steps > 0 {
            let once = self.states.iter().filter(|state| !state.stepped && state.answer.is_none());
            once.for_each(|state| self.machine.swap(state.now, state.next));
        }
        self.times.steps = clock::now() - began;
        Ok(trace)
    }

    fn readout(&mut self) -> Result<&[f32], EngineError> {
        let began = clock::now();
        self.read_out()?;
        self.times.readout += clock::now() - began;
        self.answered = true;
        Ok(&self.answer)
    }

    fn times(&self) -> StageTimes {
        self.times
    }

    fn tiles(&mut self, map: &mut TileMap) -> bool {
        self.tiled.as_ref().is_some_and(|tiled| {
            tiled.map(map);
            true
        })
    }

    fn reset(&mut self) {
        self.states.iter().for_each(|state| self.machine.clear(state.now));
        if let Some(tiled) = &mut self.tiled {
            tiled.reset();
        }
        self.driven = false;
        self.read = false;
        self.answered = false;
        self.path = Path::Slow;
    }

    fn tensors(&mut self) -> Option<Tensors> {
        let kept = CpuEngine::tensors(self);
        let (encoded, states) = kept.split_at(self.handed.len());
        Some(Tensors { input: self.accepted(), encoded: encoded.to_vec(), states: states.to_vec() })
    }

    fn mark_stale(&mut self) {
        self.path = Path::Slow;
    }
}
