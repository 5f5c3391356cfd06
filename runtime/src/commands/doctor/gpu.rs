//! The GPU and its driver.

use std::path::Path;

use super::{Area, Finding};
#[cfg(feature = "cuda")]
use crate::engine::cpu::threads::Threads;
#[cfg(feature = "cuda")]
use crate::engine::{self, Choice, cuda::doctor};
#[cfg(feature = "cuda")]
use crate::network::Network;

/// Whether steps can be taken on the GPU, with `network` or without one.
#[cfg(feature = "cuda")]
pub fn gpu(model: &Path, root: &Path) -> Vec<Finding> {
    let examination = doctor::examine(root);
    let jetson = root.join("etc/nv_tegra_release").exists();
    let opened = || {
        // Without a network nothing can be tried; the model's own line says what is wrong with it.
        let network = Network::load(model).ok()?;
        engine::open(Choice::Cuda, &network, Threads::default()).err().map(|error| error.to_string())
    };
    let finding = match examination.problems.first().cloned().or_else(opened) {
        None => Finding::ok(Area::Gpu, examination.facts.iter().map(|(_, fact)| fact.as_str()).collect::<Vec<_>>().join(", ")),
        Some(closed) if closed.contains("group") => {
            Finding::problem(Area::Gpu, closed, "sudo usermod -aG video,render $USER, then log in again")
        }
        Some(why) if jetson => Finding::problem(Area::Gpu, why, "sudo apt install nvidia-l4t-cuda nvidia-l4t-core"),
        Some(why) => Finding::note(Area::Gpu, why, "none needed to run on the CPU; for the GPU install NVIDIA's driver"),
    };
    vec![finding.at_length(&examination.to_string())]
}

/// Nothing can be tried by a build without the GPU engine.
#[cfg(not(feature = "cuda"))]
pub fn gpu(_: &Path, _: &Path) -> Vec<Finding> {
    vec![Finding::note(
        Area::Gpu,
        "this build has no GPU engine",
        "none needed to run on the CPU; for the GPU build it with the feature cuda",
    )]
}
