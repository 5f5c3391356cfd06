//! The command line with a configuration file among it. A flag on the command line wins over the file.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use clap::parser::ValueSource;
use clap::{ArgMatches, Args as _, Command, FromArgMatches};

use super::mqtt::PASSWORD;
use super::run::arguments::Args;
use crate::service::config::{ConfigError, File, KEYS, Key};
use crate::service::exit::{Cause, Failure};
use crate::sources;

/// What `run` was asked to do, where it was written down, and how to read that again.
pub struct Configured {
    /// The flags, the file's among them.
    pub args: Args,
    /// The file; None without `--config`.
    pub file: Option<File>,
    given: ArgMatches,
}

/// What became of reading the file again.
pub struct Reread {
    /// Keys with new values that are applied.
    pub taken: Vec<&'static Key>,
    /// Keys with new values that need a restart.
    pub left: Vec<&'static Key>,
}

impl From<ConfigError> for Failure {
    fn from(error: ConfigError) -> Failure {
        Failure::new(Cause::Config, error)
    }
}

/// The flags of `run`, on their own.
pub fn flags() -> Command {
    Args::augment_args(Command::new("run")).disable_help_flag(true)
}

impl Configured {
    /// Takes `given`, parsed from the command line, and reads the file it names, if it names one.
    pub fn new(given: ArgMatches) -> Result<Configured, Failure> {
        if on_command_line(&given, "mqtt-password") {
            let words = format!(
                "a password on the command line can be read by everybody on this machine: write it under [mqtt] in a configuration, or into {PASSWORD}"
            );
            return Err(Failure::new(Cause::Usage, words));
        }
        let Some(path) = given.get_one::<PathBuf>("config").cloned() else {
            let args = Args::from_arg_matches(&given).map_err(|error| Failure::new(Cause::Usage, error))?;
            args.contradictions().into_iter().next().map_or(Ok(()), |(_, words)| Err(Failure::new(Cause::Usage, words)))?;
            return Ok(Configured { args, file: None, given });
        };
        let (args, file) = read(&path, Some(&given), &mut |_| Vec::new())?;
        Ok(Configured { args, file: Some(file), given })
    }

    /// Reads the file again; on an error everything stays as it is.
    pub fn reread(&mut self) -> Result<Reread, ConfigError> {
        let Some(before) = &self.file else { return Ok(Reread { taken: Vec::new(), left: Vec::new() }) };
        let (args, file) = read(before.path(), Some(&self.given), &mut |_| Vec::new())?;
        // A flag of the command line hides its key.
        let changed = before.changes(&file).into_iter().filter(|key| !on_command_line(&self.given, key.flag));
        let (taken, left) = changed.partition(|key| key.live);
        (self.args, self.file) = (args, Some(file));
        Ok(Reread { taken, left })
    }
}

/// Reads `path` alone, as `recslowfast check` does.
///
/// `more` finds what is wrong beyond that: the flag to change, and why.
pub fn check(path: &Path, more: &mut dyn FnMut(&Args) -> Vec<(&'static str, String)>) -> Result<(Args, File), ConfigError> {
    read(path, None, more)
}

fn read(
    path: &Path,
    given: Option<&ArgMatches>,
    more: &mut dyn FnMut(&Args) -> Vec<(&'static str, String)>,
) -> Result<(Args, File), ConfigError> {
    let file = File::survey(path, &flags())?;
    let mut line: Vec<OsString> = vec!["run".into()];
    line.extend(file.arguments(|flag| given.is_some_and(|given| on_command_line(given, flag))).into_iter().map(OsString::from));
    if let Some(given) = given {
        line.extend(repeated(given));
    }
    let parsed = flags().try_get_matches_from(line).and_then(|matches| Args::from_arg_matches(&matches));
    // Each value was admitted on its own before, so what fails here is how they go together.
    let args = parsed.map_err(|error| file.refuse(vec![("", error.to_string())]))?;
    let mut wrong = args.contradictions();
    wrong.extend(more(&args));
    // On the command line it is told with the exit code of what is missing, when that is opened.
    let mut missing = Vec::new();
    args.impossible(&mut missing);
    wrong.extend(missing.into_iter().filter(|(flag, _)| !given.is_some_and(|given| on_command_line(given, flag))));
    // On the command line it is told with the exit code of sources, when it is opened.
    if !given.is_some_and(|given| on_command_line(given, "source"))
        && let Some(Err(error)) = args.source().map(sources::check)
    {
        wrong.push(("source", error.to_string()));
    }
    // What is missing from a table only because it is wrong there contradicts nothing.
    let table = |flag: &str| KEYS.iter().find(|key| key.flag == flag).map_or("", |key| key.table);
    wrong.retain(|(flag, _)| file.is_sure_of(table(flag)) && (table(flag) != "mqtt" || file.is_sure_of("report")));
    if wrong.is_empty() { Ok((args, file.sound()?)) } else { Err(file.refuse(wrong)) }
}

fn on_command_line(given: &ArgMatches, flag: &str) -> bool {
    let id = flag.replace('-', "_");
    given.try_contains_id(&id).unwrap_or(false) && given.value_source(&id) == Some(ValueSource::CommandLine)
}

/// The flags given on the command line, as they were given.
fn repeated(given: &ArgMatches) -> Vec<OsString> {
    let mut line = Vec::new();
    for flag in flags().get_arguments() {
        let (Some(long), id) = (flag.get_long(), flag.get_id().as_str()) else { continue };
        if given.value_source(id) != Some(ValueSource::CommandLine) {
            continue;
        }
        if !flag.get_action().takes_values() {
            line.push(format!("--{long}").into());
            continue;
        }
        for value in given.get_raw(id).into_iter().flatten() {
            let mut argument = OsString::from(format!("--{long}="));
            argument.push(value);
            line.push(argument);
        }
    }
    line
}
