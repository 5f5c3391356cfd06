//! Writes the manual pages and the shell completions into a folder, for the packages: `cargo run --example manual -- FOLDER`.

use std::fs;
use std::path::Path;

use clap::Command;
use clap_complete::{Shell, generate_to};
use clap_mangen::Man;

/// The sections of a help text that have one of their own in a manual page, by the words they begin with there.
const SECTIONS: [(&str, &str); 4] =
    [("Examples:", "EXAMPLES"), ("Environment:", "ENVIRONMENT"), ("Exit codes:", "EXIT STATUS"), ("Files:", "FILES")];

#[allow(dead_code)]
fn main() -> std::io::Result<()> {
    let folder = std::env::args().nth(1).unwrap_or_else(|| "target/manual".into());
    write(Path::new(&folder))
}

/// Writes `man/*.1` and `completions/*` into `folder`.
pub fn write(folder: &Path) -> std::io::Result<()> {
    let (man, completions) = (folder.join("man"), folder.join("completions"));
    fs::create_dir_all(&man)?;
    fs::create_dir_all(&completions)?;
    // Built before the pages are made, so that each verb has its full name.
    let mut command = recslowfast::commands::command().disable_help_subcommand(true);
    command.build();
    let common = command.get_after_long_help().map(ToString::to_string).unwrap_or_default();
    page(&command, &common, &man)?;
    for shell in [Shell::Bash, Shell::Zsh, Shell::Fish] {
        generate_to(shell, &mut command, "recslowfast", &completions)?;
    }
    Ok(())
}

/// The page of `command`, and those of what stands below it.
fn page(command: &Command, common: &str, folder: &Path) -> std::io::Result<()> {
    for below in command.get_subcommands().filter(|below| !below.is_hide_set()) {
        page(below, common, folder)?;
    }
    let own = command.get_after_long_help().map(ToString::to_string).unwrap_or_default();
    // What stands behind the help is told in sections of its own.
    let plain = Man::new(command.clone().after_help("").after_long_help(""));
    let mut roff = Vec::new();
    plain.render_title(&mut roff)?;
    plain.render_name_section(&mut roff)?;
    plain.render_synopsis_section(&mut roff)?;
    plain.render_description_section(&mut roff)?;
    plain.render_options_section(&mut roff)?;
    if command.has_subcommands() {
        plain.render_subcommands_section(&mut roff)?;
    }
    for (begins, name) in SECTIONS {
        let text = section(&own, begins).or_else(|| if name == "EXAMPLES" { None } else { section(common, begins) });
        if let Some(text) = text {
            roff.extend(format!(".SH {name}\n.nf\n{}\n.fi\n", escaped(&text)).into_bytes());
        }
    }
    if command.get_version().is_some() {
        plain.render_version_section(&mut roff)?;
    }
    fs::write(folder.join(plain.get_filename()), roff)
}

/// The lines of `text` below the one that is `begins`, up to the next empty line.
fn section(text: &str, begins: &str) -> Option<String> {
    let lines = text.lines().skip_while(|line| *line != begins).skip(1).take_while(|line| !line.is_empty());
    let lines: Vec<&str> = lines.map(str::trim_start).collect();
    (!lines.is_empty()).then(|| lines.join("\n"))
}

/// Text as roff shows it unchanged.
fn escaped(text: &str) -> String {
    let lines = text.lines().map(|line| {
        let line = line.replace('\\', "\\e").replace('-', "\\-");
        if line.starts_with(['.', '\'']) { format!("\\&{line}") } else { line }
    });
    lines.collect::<Vec<_>>().join("\n")
}
