//! The graphs, run. An engine owns the hidden state and executes the halting rule.

pub mod cpu;
#[cfg(feature = "cuda")]
pub mod cuda;
pub mod graph;
#[cfg(feature = "cuda")]
pub mod resilient;

use std::str::FromStr;

use crate::network::Network;
use crate::network::engine::{Engine, EngineError};
use cpu::threads::Threads;
use cpu::{CpuEngine, Options, tiles};
#[cfg(feature = "cuda")]
use resilient::ResilientEngine;

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

/// Whether only what moved is computed, where the network is local.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum Tiles {
    /// Everything is computed in every frame.
    #[default]
    Off,
    /// What moved beyond the noise of the picture, and what that reaches, as the network's model.toml has it.
    Auto,
    /// The same by these figures.
    Only(tiles::Settings),
}

impl Tiles {
    /// As the engine takes it.
    pub fn settings(self, network: &Network) -> Option<tiles::Settings> {
        match self {
            Tiles::Off => None,
            Tiles::Auto => Some(tiles::Settings::of(&network.manifest.tiles)),
            Tiles::Only(settings) => Some(settings),
        }
    }
}

impl FromStr for Tiles {
    type Err = String;

    fn from_str(text: &str) -> Result<Tiles, String> {
        let mut settings = tiles::Settings::default();
        match text {
            "off" => return Ok(Tiles::Off),
            "auto" => return Ok(Tiles::Auto),
            "exact" => return Ok(Tiles::Only(tiles::Settings::exact())),
            _ => {}
        }
        for part in text.split(',') {
            let (key, value) =
                part.split_once('=').ok_or_else(|| format!("'{part}' is not off, auto, exact, floor=LEVELS or epsilon=X"))?;
            let number = value.parse().ok().filter(|x: &f32| x.is_finite() && *x >= 0.0);
            let number = number.ok_or_else(|| format!("{key}={value}: '{value}' is not a number from 0 on"))?;
            match key {
                "floor" => settings.acceptance.floor = number,
                "epsilon" => settings.epsilon = number,
                "threshold" => settings.threshold = Some(number),
                "cut" | "surprise" if number > 1.0 => return Err(format!("{key}={value}: '{value}' is not a share from 0 to 1")),
                "cut" => settings.cut = Some(number),
                "surprise" => settings.surprise = Some(number),
                "halving" => settings.halving = number,
                "spread" => settings.spread = number,
                other => {
                    return Err(format!(
                        "tiles have no '{other}'; they have floor (grey levels), epsilon, halving, spread, threshold, cut and surprise (shares)"
                    ));
                }
            }
        }
        Ok(Tiles::Only(settings))
    }
}

/// Opens the engine of `choice` for `network`, computing everything in every frame; see [`open_with`].
pub fn open(choice: Choice, network: &Network, threads: Threads) -> Result<Box<dyn Engine>, EngineError> {
    open_with(choice, network, threads, Tiles::Off)
}

/// Opens the engine of `choice` for `network`, with so many threads where the CPU computes, and says which it is.
pub fn open_with(choice: Choice, network: &Network, threads: Threads, tiles: Tiles) -> Result<Box<dyn Engine>, EngineError> {
    let cpu = || -> Result<CpuEngine, EngineError> {
        let engine = CpuEngine::with(network, Options { threads: threads.get(), tiles: tiles.settings(network), ..Options::default() })?;
        if let Some(reason) = engine.not_tiled() {
            log::info!("{} is not local and is computed as a whole: {reason}", network.manifest.name);
        }
        Ok(engine)
    };
    match choice {
        Choice::Cpu => Ok(Box::new(cpu()?)),
        Choice::Cuda | Choice::Auto => on_gpu(choice, network, threads, tiles, cpu),
    }
}

/// On the GPU, with the CPU behind it where a user left the choice.
#[cfg(feature = "cuda")]
fn on_gpu(
    choice: Choice,
    network: &Network,
    threads: Threads,
    tiles: Tiles,
    cpu: impl FnOnce() -> Result<CpuEngine, EngineError>,
) -> Result<Box<dyn Engine>, EngineError> {
    let options = cuda::Options { threads, tiles: tiles.settings(network), ..cuda::Options::default() };
    match cuda::CudaEngine::with(network, options) {
        Ok(engine) => {
            log::info!("engine: {}", engine.description());
            if let Some(reason) = engine.not_tiled() {
                log::info!("{} is not local and is computed as a whole: {reason}", network.manifest.name);
            }
            if choice == Choice::Cuda {
                return Ok(Box::new(engine));
            }
            Ok(Box::new(ResilientEngine::new(network, engine, cpu()?, resilient::RETRIES)))
        }
        Err(error) if choice == Choice::Auto => {
            log::info!("{error}; using the CPU");
            Ok(Box::new(cpu()?))
        }
        Err(error) => Err(error),
    }
}

/// Built without the feature `cuda` there is no GPU.
#[cfg(not(feature = "cuda"))]
fn on_gpu(
    choice: Choice,
    _: &Network,
    _: Threads,
    _: Tiles,
    cpu: impl FnOnce() -> Result<CpuEngine, EngineError>,
) -> Result<Box<dyn Engine>, EngineError> {
    if choice == Choice::Auto {
        return Ok(Box::new(cpu()?));
    }
    Err(EngineError::Unavailable { engine: "cuda", reason: "this build has none: build it with the feature cuda".into() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tiles_are_told_by_figures_or_taken_from_the_network() {
        let mut network = Network::load("street").unwrap();
        let usual = tiles::Settings::default();
        assert_eq!(Tiles::from_str("auto").unwrap().settings(&network), Some(usual));
        network.manifest.tiles.floor = Some(9.0);
        network.manifest.tiles.cut = Some(0.7);
        let own = Tiles::from_str("auto").unwrap().settings(&network).unwrap();
        assert_eq!((own.acceptance.floor, own.cut, own.epsilon), (9.0, Some(0.7), usual.epsilon));
        let told = Tiles::from_str("floor=3,spread=2").unwrap().settings(&network).unwrap();
        assert_eq!((told.acceptance.floor, told.spread, told.cut), (3.0, 2.0, None));
        assert!(Tiles::from_str("depth=2").unwrap_err().contains("halving") && Tiles::from_str("floor=-1").is_err());
        assert_eq!(Tiles::from_str("off").unwrap().settings(&network), None);
    }
}
