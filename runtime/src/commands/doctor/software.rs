//! The GPU's driver, the network, the configuration.

use std::path::Path;

use super::{Area, Finding};
use crate::commands::configured;
use crate::engine::cpu::threads::Threads;
use crate::engine::{self, Choice};
use crate::network::Network;

/// Whether steps can be taken on the GPU.
pub fn gpu(model: &str, root: &Path) -> Vec<Finding> {
    // Without a network nothing can be tried; the model's own line says what is wrong with it.
    let Ok(network) = Network::load(model) else { return Vec::new() };
    vec![match engine::open(Choice::Cuda, &network, Threads::default()) {
        Ok(_) => Finding::ok(Area::Gpu, "the CUDA engine opens"),
        Err(error) => {
            let jetson = root.join("etc/nv_tegra_release").exists();
            let mend = if jetson {
                "sudo apt install nvidia-l4t-cuda nvidia-l4t-core; the user needs groups video and render"
            } else {
                "none needed to run on the CPU; for the GPU install NVIDIA's driver"
            };
            if jetson { Finding::problem(Area::Gpu, error.to_string(), mend) } else { Finding::note(Area::Gpu, error.to_string(), mend) }
        }
    }]
}

/// The network.
pub fn model(model: &str) -> Vec<Finding> {
    vec![match Network::load(model) {
        Ok(network) => Finding::ok(Area::Model, format!("{} {}", network.manifest.name, network.manifest.version)),
        Err(error) => Finding::problem(Area::Model, error.to_string(), "name another with --model, or copy its folder again"),
    }]
}

/// The configuration file.
pub fn config(file: &Path) -> Vec<Finding> {
    if !file.exists() {
        let mend = "needed only by the service; the package brings one";
        return vec![Finding::note(Area::Config, format!("there is no {}", file.display()), mend)];
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
