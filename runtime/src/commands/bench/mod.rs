//! `recslowfast bench`: what each graph costs on this machine, beside ONNX Runtime or plain tract.

mod compare;
mod engine;
mod onnxruntime;
mod rates;
mod tiles;

use std::fs::File;
use std::path::{Path, PathBuf};

use clap::{Args as ClapArgs, ValueEnum};

use super::out::{self, say};
use super::stopwatch::Time;
use crate::engine::Tiles;
use crate::engine::cpu::simd::Isa;
use crate::engine::cpu::threads::Threads;
use crate::engine::cpu::{CpuEngine, Options};
use crate::network::Network;
use crate::network::answers::Answer;
use crate::network::engine::Engine;
use crate::network::load::DEFAULT;
use crate::service::exit::{Cause, Failure};
use engine::OwnEngine;
use onnxruntime::OnnxRuntime;

/// What is measured.
#[derive(ClapArgs)]
pub struct Args {
    /// Built-in networks or folders, separated by commas
    #[arg(long, default_value = DEFAULT, value_delimiter = ',', value_name = "NAME|DIR")]
    models: Vec<PathBuf>,
    /// The engine to measure
    #[arg(long, default_value = "cpu")]
    engine: Measured,
    /// Measure this beside it, runs interleaved
    #[arg(long)]
    against: Option<Peer>,
    /// Threads of each side [default: one on every usable processor]
    #[arg(long, value_name = "N")]
    threads: Option<Threads>,
    /// The instruction set: portable, avx2, avx512 or neon [default: the widest there is]
    #[arg(long, hide = true)]
    isa: Option<Isa>,
    /// Runs of each graph
    #[arg(long, default_value_t = 30, value_name = "N")]
    repeats: usize,
    /// Print what each operation takes: encoder, step, readout
    #[arg(long)]
    profile: bool,
    /// Measure by tiles beside the dense run, on scenes of which ever more moves: auto, exact or floor=LEVELS,epsilon=X, as `eval` takes it
    #[arg(long, value_name = "auto", conflicts_with_all = ["against", "profile", "rates"])]
    tiles: Option<Tiles>,
    /// Print what the parts of a convolution cost here, as engine/cpu/rates.rs holds it, and nothing else
    #[arg(long, hide = true)]
    rates: bool,
    /// Write the figures as JSON too
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// A script that drives ONNX Runtime, in place of the one built in; run with $PYTHON, or python3
    #[arg(long, value_name = "FILE")]
    script: Option<PathBuf>,
}

/// Engines that can be measured.
#[derive(Clone, Copy, ValueEnum)]
enum Measured {
    /// The CPU engine.
    Cpu,
    /// tract alone, as the CPU engine runs graphs it does not cover.
    Tract,
}

/// What the engine can be measured against.
#[derive(Clone, Copy, ValueEnum)]
enum Peer {
    /// ONNX Runtime, in a Python that has onnxruntime and numpy: $PYTHON, or python3.
    Onnxruntime,
    /// tract alone.
    Tract,
}

/// One side of the comparison.
pub trait Side {
    fn name(&self) -> String;
    fn input(&mut self, frame: &[f32]) -> Result<(), Failure>;
    fn encode(&mut self) -> Result<Time, Failure>;
    fn step(&mut self) -> Result<Time, Failure>;
    fn readout(&mut self, logits: &mut Vec<f32>) -> Result<Time, Failure>;
}

/// Runs the verb.
pub fn run(args: Args) -> Result<(), Failure> {
    if args.rates {
        return rates::print();
    }
    let (threads, isa) = (args.threads.unwrap_or_default().get(), args.isa.unwrap_or_else(Isa::best));
    let options = |plain| Options { threads, isa, plain, tiles: None };
    if let Some(tiles) = args.tiles {
        return by_tiles(&args, tiles, threads, isa);
    }
    let mut rows = Vec::new();
    for (at, model) in args.models.iter().enumerate() {
        let network = Network::load(model)?;
        let mut ours = OwnEngine::new(&network, options(matches!(args.engine, Measured::Tract)))?;
        if args.profile {
            profile(&mut ours.engine, args.repeats)?;
            ours.engine.reset();
        }
        let theirs: Option<Box<dyn Side>> = match args.against {
            None => None,
            Some(Peer::Tract) => Some(Box::new(OwnEngine::new(&network, options(true))?)),
            Some(Peer::Onnxruntime) => {
                let answer = network.answers().iter().map(Answer::len).sum();
                Some(Box::new(OnnxRuntime::new(args.script.as_deref(), model, threads, answer)?))
            }
        };
        if at == 0 {
            say!("{threads} threads, {isa:?}, {} runs; times in ms; GFLOP/s of the direct form", args.repeats)?;
            say!(
                "{:<18} {:<8} {:>8} {:>8} {:>8} {:>8} | {:>8} {:>8} {:>8} | {:>6} {:>6}",
                "network",
                "graph",
                "median",
                "p95",
                "cpu",
                "GFLOP/s",
                "median",
                "p95",
                "cpu",
                "wall x",
                "cpu x"
            )?;
        }
        let measured = compare::compare(&network, threads, &mut ours, theirs, args.repeats)?;
        compare::print(&measured)?;
        rows.extend(measured);
        if !out::has_reader() && args.json.is_none() {
            return Ok(());
        }
    }
    write(args.json.as_deref(), &rows)
}

fn by_tiles(args: &Args, tiles: Tiles, threads: usize, isa: Isa) -> Result<(), Failure> {
    let mut rows = Vec::new();
    for model in &args.models {
        let network = Network::load(model)?;
        let Some(settings) = tiles.settings(&network) else {
            return Err(Failure::new(Cause::Usage, "--tiles off: that is what is measured beside; write auto"));
        };
        let measured = tiles::measure(&network, settings, threads, isa, args.repeats)?;
        tiles::print(&measured)?;
        rows.extend(measured);
    }
    write(args.json.as_deref(), &rows)
}

fn write(path: Option<&Path>, rows: &impl serde::Serialize) -> Result<(), Failure> {
    let Some(path) = path else { return Ok(()) };
    let written = File::create(path).map_err(serde_json::Error::io).and_then(|file| serde_json::to_writer_pretty(file, rows));
    written.map_err(|error| Failure::new(Cause::Output, format!("cannot write {}: {error}", path.display())))
}

fn profile(engine: &mut CpuEngine, repeats: usize) -> Result<(), Failure> {
    let mut lines: Vec<(String, Vec<f64>)> = Vec::new();
    for _ in 0..repeats {
        let mut at = 0;
        engine.profile(|operation, took| {
            if lines.len() <= at {
                lines.push((operation.to_string(), Vec::new()));
            }
            lines[at].1.push(took.as_secs_f64() * 1e3);
            at += 1;
        });
    }
    for (line, mut times) in lines {
        times.sort_unstable_by(f64::total_cmp);
        say!("{:>9.3} (least {:>7.3})  {line}", times[times.len() / 2], times[0])?;
    }
    Ok(())
}
