//! `recslowfast check`: is this configuration file right? Touches no device.

use std::path::PathBuf;

use clap::Args as ClapArgs;

use super::out::{self, say};
use super::{configured, schema, source, watching};
use crate::service::exit::Failure;

/// Which file.
#[derive(ClapArgs)]
pub struct Args {
    /// The configuration file
    #[arg(value_name = "FILE", required_unless_present = "schema")]
    file: Option<PathBuf>,
    /// Print the JSON schema of configuration files, by which editors complete and check them
    #[arg(long)]
    schema: bool,
}

/// Runs the verb.
pub fn run(args: Args) -> Result<(), Failure> {
    let Some(path) = args.file.filter(|_| !args.schema) else { return out::text(&schema::json()) };
    let (flags, file) = configured::check(&path)?;
    let natural = flags.source().is_none_or(source::is_natural);
    let network = watching::network(flags.asked_model(), flags.source(), natural)
        .map_err(|failure| file.refuse(vec![("model", failure.to_string())]))?;
    if let Some(words) = flags.unknown_class(&network.manifest) {
        return Err(file.refuse(vec![("report", words)]).into());
    }
    let count = file.entries.len();
    say!("{}: {count} keys, all right; network {} {}", path.display(), network.manifest.name, network.manifest.version)?;
    Ok(())
}
