//! What the host computes of encoder and readout, because a node of it has no kernel.

use super::program::OnHost;
use crate::engine::cpu::part::CpuPart;
use crate::engine::cpu::threads::Threads;
use crate::network::engine::EngineError;

/// A part that takes longer than this, in milliseconds, is worth a warning before the first frame.
const SLOW: f64 = 20.0;

/// A part of the encoder or of the readout on the CPU.
pub struct HostPart {
    part: CpuPart,
    /// Numbers it takes and gives.
    pub numbers: [usize; 2],
    /// Which nodes, why, and what that costs.
    pub told: String,
}

impl HostPart {
    /// Prepares it and tries it, and tells in the log what it costs. `leads`: it comes before the device's part.
    pub fn new(of: &OnHost, threads: Threads, leads: bool) -> Result<HostPart, EngineError> {
        let mut part = CpuPart::new(of.file, &of.graph, threads)?;
        let ms = part.trial()?.as_secs_f64() * 1e3;
        let numbers = of.graph.numbers();
        let told = format!(
            "{}: {} of its nodes on the CPU, {ms:.2} ms a frame and a copy of {:.1} kB {} the GPU: {}",
            of.file,
            of.graph.nodes.len(),
            (4 * numbers[usize::from(leads)]) as f64 / 1e3,
            if leads { "to" } else { "from" },
            of.nodes.join("; ")
        );
        log::log!(if ms > SLOW { log::Level::Warn } else { log::Level::Info }, "{told}");
        Ok(HostPart { part, numbers, told })
    }

    /// Computes what it gives from what it takes.
    pub fn run(&mut self, input: &[f32], output: &mut [f32]) -> Result<(), EngineError> {
        self.part.run(input, output)
    }
}
