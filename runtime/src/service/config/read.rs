//! From the text of a file to flags with values.

use std::ops::Range;
use std::path::{Path, PathBuf};

use clap::{ArgAction, Command};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::keys::{self, Key};
use super::problem::{ConfigError, Problem};

/// One key with what it was given.
#[derive(Clone, Debug)]
pub struct Entry {
    /// Which key.
    pub key: &'static Key,
    /// What it was given; several where its flag may be given several times.
    pub values: Vec<String>,
    /// Where it stands in the text.
    at: Range<usize>,
}

/// A file whose keys are all known and whose values are all well-formed; one that was [surveyed](File::survey) knows where they are not.
#[derive(Clone, Debug)]
pub struct File {
    path: PathBuf,
    text: String,
    /// In the order of the file; those that are well-formed.
    pub entries: Vec<Entry>,
    /// What is wrong with the others.
    problems: Vec<Problem>,
    /// Tables of which something is not known, because it is wrong; None if the text itself cannot be read.
    unsure: Option<Vec<String>>,
}

impl File {
    /// Reads `path`; `command` is the one whose flags the keys stand for.
    pub fn read(path: &Path, command: &Command) -> Result<File, ConfigError> {
        File::survey(path, command).and_then(File::sound)
    }

    /// As [`File::read`], but a file with mistakes is answered with what is right in it, so that more of them can be looked for.
    pub fn survey(path: &Path, command: &Command) -> Result<File, ConfigError> {
        let text = std::fs::read(path).map_err(|reason| ConfigError::Unreadable { path: path.to_owned(), reason })?;
        match String::from_utf8(text) {
            Ok(text) => Ok(File::read_text(path, text, command)),
            Err(error) => {
                let good = String::from_utf8_lossy(&error.as_bytes()[..error.utf8_error().valid_up_to()]).into_owned();
                let problems = vec![Problem::at(&good, good.len(), "this is no UTF-8 text")];
                Err(ConfigError::Wrong { path: path.to_owned(), problems })
            }
        }
    }

    /// Reads `text`, which `path` is said to hold.
    pub fn parse(path: &Path, text: String, command: &Command) -> Result<File, ConfigError> {
        File::read_text(path, text, command).sound()
    }

    /// The file, if nothing is wrong with it.
    pub fn sound(self) -> Result<File, ConfigError> {
        if self.problems.is_empty() { Ok(self) } else { Err(self.refuse(Vec::new())) }
    }

    /// Whether all that `table` says is known.
    pub fn is_sure_of(&self, table: &str) -> bool {
        self.unsure.as_ref().is_some_and(|unsure| !unsure.iter().any(|other| other == table))
    }

    fn read_text(path: &Path, text: String, command: &Command) -> File {
        let (document, errors) = DeTable::parse_recoverable(&text);
        let syntax = errors.iter().map(|error| {
            let at = error.span().map_or(0, |span| span.start);
            (at, error.message().to_owned())
        });
        let mut found = Found { text: &text, command, problems: syntax.collect(), entries: Vec::new() };
        let mut unsure = found.problems.is_empty().then(Vec::new);
        for (name, value) in document.get_ref() {
            let before = found.problems.len();
            found.table(name, value);
            if let Some(unsure) = unsure.as_mut().filter(|_| found.problems.len() > before) {
                unsure.push(name.get_ref().as_ref().to_owned());
            }
        }
        let Found { mut problems, mut entries, .. } = found;
        entries.sort_by_key(|entry| entry.at.start);
        problems.sort_by_key(|(at, _)| *at);
        let problems = problems.into_iter().map(|(at, message)| Problem::at(&text, at, message)).collect();
        File { path: path.to_owned(), text, entries, problems, unsure }
    }

    /// The file's path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The entries as command-line arguments, without those whose flag `left_out` names.
    pub fn arguments(&self, left_out: impl Fn(&str) -> bool) -> Vec<String> {
        let kept = self.entries.iter().filter(|entry| !left_out(entry.key.flag));
        kept.flat_map(|entry| entry.values.iter().map(|value| argument(entry.key.flag, value))).collect()
    }

    /// A refusal of what was found wrong, and of values that are well-formed but do not go together; each of these is named by its flag.
    pub fn refuse(&self, contradictions: Vec<(&str, String)>) -> ConfigError {
        let place = |flag: &str| self.entries.iter().find(|entry| entry.key.flag == flag).map_or(0, |entry| entry.at.start);
        let problems = contradictions.into_iter().map(|(flag, message)| Problem::at(&self.text, place(flag), message));
        let mut problems: Vec<Problem> = problems.chain(self.problems.iter().cloned()).collect();
        problems.sort_by_key(|problem| (problem.line, problem.column));
        ConfigError::Wrong { path: self.path.clone(), problems }
    }

    /// The keys whose values differ between this file and `newer`.
    pub fn changes(&self, newer: &File) -> Vec<&'static Key> {
        let values = |file: &File, key: &Key| file.entries.iter().find(|entry| entry.key == key).map(|entry| entry.values.clone());
        super::KEYS.iter().filter(|key| values(self, key) != values(newer, key)).collect()
    }
}

/// A switch has an empty value.
fn argument(flag: &str, value: &str) -> String {
    if value.is_empty() { format!("--{flag}") } else { format!("--{flag}={value}") }
}

struct Found<'a> {
    text: &'a str,
    command: &'a Command,
    problems: Vec<(usize, String)>,
    entries: Vec<Entry>,
}

impl Found<'_> {
    fn problem(&mut self, at: Range<usize>, message: impl Into<String>) {
        self.problems.push((at.start, message.into()));
    }

    fn table(&mut self, name: &Spanned<impl AsRef<str>>, value: &Spanned<DeValue>) {
        let table = name.get_ref().as_ref();
        let known = keys::KEYS.iter().any(|key| key.table == table);
        match value.get_ref() {
            DeValue::Table(keys) if known => {
                for (key, value) in keys {
                    self.key(table, key, value);
                }
            }
            _ if known => self.problem(name.span(), format!("'{table}' is a table: write [{table}] and its keys below")),
            _ => self.problem(name.span(), keys::unknown_table(table)),
        }
    }

    fn key(&mut self, table: &str, name: &Spanned<impl AsRef<str>>, value: &Spanned<DeValue>) {
        let key = name.get_ref().as_ref();
        let Some(known) = keys::find(table, key) else {
            return self.problem(name.span(), keys::unknown(table, key));
        };
        let Some(flag) = self.command.get_arguments().find(|flag| flag.get_long() == Some(known.flag)) else {
            return self.problem(name.span(), format!("this build cannot '{}'", known.flag));
        };
        let (switch, several) = (matches!(flag.get_action(), ArgAction::SetTrue), matches!(flag.get_action(), ArgAction::Append));
        let mut values = Vec::new();
        match value.get_ref() {
            DeValue::Boolean(on) if switch => values.extend(on.then(String::new)),
            _ if switch => return self.problem(value.span(), format!("'{key}' is true or false")),
            DeValue::Array(items) if several => {
                for item in items.iter() {
                    values.extend(self.scalar(known, item));
                }
            }
            DeValue::Array(_) => return self.problem(value.span(), format!("'{key}' takes one value, no list")),
            _ => values.extend(self.scalar(known, value)),
        }
        if values.is_empty() && !switch {
            return;
        }
        self.entries.push(Entry { key: known, values, at: name.span() });
    }

    /// One value, as its flag would be given it; refused with the words the flag would refuse it with.
    fn scalar(&mut self, key: &'static Key, value: &Spanned<DeValue>) -> Option<String> {
        let given = match value.get_ref() {
            DeValue::String(text) => text.to_string(),
            DeValue::Integer(_) | DeValue::Float(_) => self.text[value.span()].replace('_', ""),
            other => {
                self.problem(value.span(), format!("'{}' takes a text or a number, no {}", key.key, other.type_str()));
                return None;
            }
        };
        if given.is_empty() {
            self.problem(value.span(), format!("'{}' is empty; leave the line out to have the default", key.key));
            return None;
        }
        let alone = self.command.clone().ignore_errors(false).try_get_matches_from([self.command.get_name(), &argument(key.flag, &given)]);
        match alone {
            Ok(_) => Some(given),
            Err(error) => {
                self.problem(value.span(), format!("'{}': {}", key.key, reason(&error)));
                None
            }
        }
    }
}

/// Why a flag refused its value, in its own words.
fn reason(error: &clap::Error) -> String {
    use std::error::Error;
    if let Some(source) = error.source() {
        return source.to_string();
    }
    let words = error.to_string();
    words.lines().next().unwrap_or_default().trim_start_matches("error: ").to_owned()
}
