//! `recslowfast check`: is this configuration file right? Touches no device.

use std::path::PathBuf;

use clap::Args as ClapArgs;

use super::configured;
use super::out::say;
use crate::network::Network;
use crate::service::exit::Failure;

/// Which file.
#[derive(ClapArgs)]
pub struct Args {
    /// The configuration file
    #[arg(value_name = "FILE")]
    file: PathBuf,
}

/// Runs the verb.
pub fn run(args: Args) -> Result<(), Failure> {
    let (flags, file) = configured::check(&args.file)?;
    let network = Network::load(flags.model()).map_err(|error| file.refuse(vec![("model", error.to_string())]))?;
    if let Some(words) = flags.unknown_class(&network.manifest) {
        return Err(file.refuse(vec![("report", words)]).into());
    }
    let count = file.entries.len();
    say!("{}: {count} keys, all right; network {} {}", args.file.display(), network.manifest.name, network.manifest.version)?;
    Ok(())
}
