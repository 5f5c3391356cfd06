//! Writes the manual pages and the shell completions into a folder, for the packages: `cargo run --example manual -- FOLDER`.

use std::fs;
use std::path::Path;

use clap_complete::{Shell, generate_to};

fn main() -> std::io::Result<()> {
    let folder = std::env::args().nth(1).unwrap_or_else(|| "target/manual".into());
    let folder = Path::new(&folder);
    let (man, completions) = (folder.join("man"), folder.join("completions"));
    fs::create_dir_all(&man)?;
    fs::create_dir_all(&completions)?;
    // Built before the pages are made, so that each verb has its full name.
    let mut command = recslowfast::commands::command().disable_help_subcommand(true);
    command.build();
    clap_mangen::generate_to(command.clone(), &man)?;
    for shell in [Shell::Bash, Shell::Zsh, Shell::Fish] {
        generate_to(shell, &mut command, "recslowfast", &completions)?;
    }
    Ok(())
}
