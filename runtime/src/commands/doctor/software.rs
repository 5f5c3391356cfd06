//! The GPU's driver, the network, the configuration.

use std::path::Path;

use super::{Area, Finding};
use crate::commands::configured;
use crate::engine::cpu::threads::Threads;
use crate::engine::cuda::doctor;
use crate::engine::{self, Choice};
use crate::network::Network;

/// Whether steps can be taken on the GPU, with `network` or without one.
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

/// The network.
pub fn model(model: &Path) -> Vec<Finding> {
    vec![match Network::load(model) {
        Ok(network) => Finding::ok(Area::Model, format!("{} {}", network.manifest.name, network.manifest.version)),
        Err(error) => Finding::problem(Area::Model, error.to_string(), "name another with --model, or copy its folder again"),
    }]
}

/// The configuration file.
pub fn config(file: &Path) -> Vec<Finding> {
    if !file.exists() {
        let fix = "needed only by the service; the package brings one";
        return vec![Finding::note(Area::Config, format!("there is no {}", file.display()), fix)];
    }
    vec![match configured::check(file) {
        Ok((_, file)) => Finding::ok(Area::Config, format!("{}: {} keys, all right", file.path().display(), file.entries.len())),
        Err(error) => Finding::problem(
            Area::Config,
            error.to_string(),
            format!("correct the lines named, then: recslowfast check {}", file.display()),
        ),
    }]
}
