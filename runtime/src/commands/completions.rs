//! `recslowfast completions SHELL`: what a shell completes.

use clap::Args as ClapArgs;
use clap_complete::Shell;

use super::out;
use crate::service::exit::Failure;

/// For which shell.
#[derive(ClapArgs)]
pub struct Args {
    /// bash, zsh, fish, elvish or powershell
    #[arg(value_name = "SHELL")]
    shell: Shell,
}

/// Runs the verb.
pub fn run(args: Args) -> Result<(), Failure> {
    let mut text = Vec::new();
    clap_complete::generate(args.shell, &mut super::command(), "recslowfast", &mut text);
    out::text(&String::from_utf8_lossy(&text))
}
