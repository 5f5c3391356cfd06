//! This program's engine, or plain tract, as a side of the comparison.

use super::Side;
use crate::commands::stopwatch::Time;
use crate::engine::cpu::{CpuEngine, Options};
use crate::network::Network;
use crate::network::engine::{Engine, StepRequest};
use crate::network::halting::HaltingRule;
use crate::service::exit::Failure;

/// This program's engine.
pub struct OwnEngine {
    pub engine: CpuEngine,
    plain: bool,
}

impl OwnEngine {
    pub fn new(network: &Network, options: Options) -> Result<OwnEngine, Failure> {
        Ok(OwnEngine { engine: CpuEngine::with(network, options)?, plain: options.plain })
    }
}

impl Side for OwnEngine {
    fn name(&self) -> String {
        if self.plain { "tract".into() } else { "this engine".into() }
    }

    fn input(&mut self, frame: &[f32]) -> Result<(), Failure> {
        self.engine.input().copy_from_slice(frame);
        Ok(())
    }

    fn encode(&mut self) -> Result<Time, Failure> {
        let began = Time::now();
        self.engine.encode()?;
        Ok(began.since())
    }

    fn step(&mut self) -> Result<Time, Failure> {
        let order = StepRequest { rule: HaltingRule::fixed(1), limit: 1, deadline: None };
        let began = Time::now();
        self.engine.advance(&order)?;
        Ok(began.since())
    }

    fn readout(&mut self, logits: &mut Vec<f32>) -> Result<Time, Failure> {
        let began = Time::now();
        let answer = self.engine.readout()?;
        let took = began.since();
        logits.clear();
        logits.extend_from_slice(answer);
        Ok(took)
    }
}
