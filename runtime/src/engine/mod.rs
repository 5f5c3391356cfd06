//! The graphs, run. An engine owns the hidden state and executes the halting rule.

pub mod cpu;
pub mod cuda;
pub mod resilient;

use std::str::FromStr;

use crate::network::Network;
use crate::network::engine::{Engine, EngineError};
use cpu::threads::Threads;
use cpu::{CpuEngine, Options};
use resilient::{Backoff, ResilientEngine};

/// Which engine a user asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Choice {
    /// The GPU where it can be used, and otherwise the CPU, saying why.
    #[default]
    Auto,
    /// The GPU, or nothing.
    Cuda,
    /// The CPU.
    Cpu,
}

impl FromStr for Choice {
    type Err = String;

    fn from_str(name: &str) -> Result<Choice, String> {
        match name {
            "auto" => Ok(Choice::Auto),
            "cuda" => Ok(Choice::Cuda),
            "cpu" => Ok(Choice::Cpu),
            other => Err(format!("no engine is called '{other}'; write auto, cuda or cpu")),
        }
    }
}

/// Opens the engine of `choice` for `network`, with so many threads where the CPU computes, and says which it is.
pub fn open(choice: Choice, network: &Network, threads: Threads) -> Result<Box<dyn Engine>, EngineError> {
    let cpu = || CpuEngine::with(network, Options { threads: threads.get(), ..Options::default() });
    if choice == Choice::Cpu {
        return Ok(Box::new(cpu()?));
    }
    match cuda::CudaEngine::load(network, cuda::Precision::Auto) {
        Ok(engine) => {
            log::info!("engine: {}", engine.description());
            if choice == Choice::Cuda {
                return Ok(Box::new(engine));
            }
            Ok(Box::new(ResilientEngine::new(network, engine, cpu()?, Backoff::default())))
        }
        Err(error) if choice == Choice::Auto => {
            log::info!("{error}; using the CPU");
            Ok(Box::new(cpu()?))
        }
        Err(error) => Err(error),
    }
}
