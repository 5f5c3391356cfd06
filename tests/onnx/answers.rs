//! This runtime's side of `judge.py`: answers the pictures in a network's folder, on the CPU engine and on tract alone.
//!
//! Reads folders from standard input, one a line. A folder holds a network and `frames.f32`; what comes back is `cpu.f32` and `tract.f32`,
//! the logits of every frame after two steps each, and one line: `FOLDER`, tab, and `answered`, the graphs that ran on tract behind it, or
//! `refused` with the reason, or `panicked`.

use std::io::BufRead;
use std::path::Path;

use recslowfast::engine::cpu::{CpuEngine, Options};
use recslowfast::network::Network;
use recslowfast::network::engine::{Engine, StepRequest};
use recslowfast::network::halting::HaltingRule;

const STEPS: u32 = 2;

fn main() -> anyhow::Result<()> {
    // A panic is an answer here; where it happened is of no use among so many.
    std::panic::set_hook(Box::new(|_| {}));
    for line in std::io::stdin().lock().lines() {
        let folder = line?;
        let answer = std::panic::catch_unwind(|| answer(Path::new(&folder)));
        match answer {
            Ok(Ok(on_tract)) => println!("{folder}\tanswered\t{on_tract}"),
            Ok(Err(reason)) => println!("{folder}\trefused\t{}", reason.to_string().replace(['\n', '\t'], " ")),
            Err(_) => println!("{folder}\tpanicked\t"),
        }
    }
    Ok(())
}

fn answer(folder: &Path) -> anyhow::Result<String> {
    let network = Network::load(folder)?;
    let frames = floats(&std::fs::read(folder.join("frames.f32"))?);
    let mut on_tract = String::new();
    for (name, plain) in [("cpu", false), ("tract", true)] {
        let mut engine = CpuEngine::with(&network, Options { threads: 1, plain, ..Options::default() })?;
        if !plain {
            on_tract = engine.on_tract().collect::<Vec<_>>().join(" ");
        }
        let mut bytes = Vec::new();
        for frame in frames.chunks_exact(engine.input().len()) {
            engine.input().copy_from_slice(frame);
            engine.encode()?;
            engine.advance(&StepRequest { rule: HaltingRule::fixed(STEPS), limit: STEPS, deadline: None })?;
            bytes.extend(engine.readout()?.iter().flat_map(|logit| logit.to_le_bytes()));
        }
        std::fs::write(folder.join(format!("{name}.f32")), bytes)?;
    }
    Ok(on_tract)
}

fn floats(bytes: &[u8]) -> Vec<f32> {
    bytes.as_chunks().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect()
}
