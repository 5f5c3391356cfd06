//! `recslowfast check`: is this configuration file right? Touches no device.

use std::path::PathBuf;

use clap::Args as ClapArgs;

use super::out::{self, say};
use super::{configured, run, schema, source, watching};
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
    let mut network = String::new();
    let mut more = |flags: &run::Args| {
        let natural = flags.source().is_none_or(source::is_natural);
        match watching::network(flags.asked_model(), flags.source(), natural) {
            Err(failure) => vec![("model", failure.to_string())],
            Ok(found) => {
                network = format!("{} {}", found.manifest.name, found.manifest.version);
                flags.unknown_class(&found.manifest).map(|words| ("report", words)).into_iter().collect()
            }
        }
    };
    let (_, file) = configured::check(&path, &mut more)?;
    say!("{}: {} keys, all right; network {network}", path.display(), file.entries.len())?;
    Ok(())
}
