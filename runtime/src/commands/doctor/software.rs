//! The network and the configuration.

use std::path::Path;

use super::{Area, Finding};
use crate::commands::configured;
use crate::network::Network;

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
    vec![match configured::check(file, &mut |_| Vec::new()) {
        Ok((_, file)) => Finding::ok(Area::Config, format!("{}: {} keys, all right", file.path().display(), file.entries.len())),
        Err(error) => Finding::problem(
            Area::Config,
            error.to_string(),
            format!("correct the lines named, then: recslowfast check {}", file.display()),
        ),
    }]
}
