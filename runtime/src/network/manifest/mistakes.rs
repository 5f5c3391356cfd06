//! Everything that is wrong with a `model.toml`, told at once and by line.
//!
//! The parser stops at the first key that it does not know and at the first value of a wrong kind. Here what it stopped at is noted, taken
//! out or filled in, and the rest is read again, until all of the file has been seen.

use std::fmt;

use super::{Manifest, TaskKind};

/// More mistakes than this are not looked for.
const MOST: usize = 32;

/// One mistake, and where it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistake {
    /// Line of model.toml, counted from 1; None where what is missing has none.
    pub line: Option<usize>,
    /// Table, key, what is wrong and what would be right.
    pub message: String,
}

impl fmt::Display for Mistake {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            Some(line) => write!(out, "line {line}: {}", self.message),
            None => out.write_str(&self.message),
        }
    }
}

/// Everything that is wrong with a `model.toml`, in the order of the file; never empty. Each has a line of its own.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))]
pub struct ManifestError(pub Vec<Mistake>);

/// A value that makes no sense.
#[derive(Clone, Debug)]
pub(super) struct Wrong {
    /// The table; `top` for what stands before the first.
    pub(super) section: &'static str,
    /// The key.
    pub(super) key: &'static str,
    /// Which of several tables of this name.
    pub(super) nth: usize,
    /// What is wrong and what would be right.
    pub(super) reason: String,
}

impl fmt::Display for Wrong {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "[{}] {}: {}", self.section, self.key, self.reason)
    }
}

/// The line of `key` in the `nth` table called `section`, else that table's own, counted from 1.
pub fn line_of(text: &str, section: &str, key: &str, nth: usize) -> Option<usize> {
    let (mut here, mut seen, mut header) = (section == "top", 0, None);
    for (at, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.starts_with('[') {
            let name = line.split('#').next().unwrap_or_default().trim().trim_matches(['[', ']']).trim();
            here = name == section && seen == nth;
            if name == section {
                seen += 1;
            }
            if here {
                header = Some(at + 1);
            }
        } else if here && line.split_once('=').is_some_and(|(name, _)| name.trim().trim_matches('"') == key) {
            return Some(at + 1);
        }
    }
    header
}

/// The file, line by line, while it is fixed for the sake of reading on.
struct Draft {
    /// Each line with its number in the file.
    lines: Vec<(usize, String)>,
}

impl Draft {
    fn text(&self) -> String {
        self.lines.iter().map(|(_, line)| line.as_str()).collect::<Vec<_>>().join("\n")
    }

    /// Where byte `at` lies.
    fn index(&self, at: usize) -> usize {
        let before = self.text().as_bytes()[..at].iter().filter(|byte| **byte == b'\n').count();
        before.min(self.lines.len().saturating_sub(1))
    }

    /// Takes out lines `from` to `to`, and with a table's heading the table. The key that stood there.
    fn take_out(&mut self, from: usize, to: usize) -> String {
        let heading = |line: &str| line.trim_start().starts_with('[');
        let first = self.lines[from].1.clone();
        let end = if heading(&first) {
            (from + 1..self.lines.len()).find(|at| heading(&self.lines[*at].1)).unwrap_or(self.lines.len())
        } else {
            to + 1
        };
        self.lines.drain(from..end);
        first.split('=').next().unwrap_or_default().trim().to_owned()
    }

    /// Fills in a key that is missing from the table whose heading lies at `at`.
    fn fill_in(&mut self, key: &str, at: usize) {
        let value = match key {
            "width" | "height" => "64",
            "channels" => "1",
            "mean" => "[0.0]",
            "std" => "[1.0]",
            "kind" => "\"raw\"",
            "shape" => "[1]",
            "rule" => "\"fixed\"",
            "input" => "{ width = 64, height = 64, channels = 1, mean = [0.0], std = [1.0] }",
            "task" => "{ kind = \"raw\" }",
            "format" if at == 0 => "2",
            "format" => "\"cxcywh\"",
            _ => "\"missing\"",
        };
        let place = if self.lines.get(at).is_some_and(|(_, line)| line.trim_start().starts_with('[')) { at + 1 } else { 0 };
        self.lines.insert(place, (0, format!("{key} = {value}")));
    }
}

/// Reads `text`: the manifest, as far as its form allows one, and all mistakes. A manifest whose form had to be fixed is not handed out.
pub(super) fn read(text: &str) -> (Option<Manifest>, Vec<Mistake>) {
    let lines = text.lines().enumerate().map(|(at, line)| (at + 1, line.to_owned())).collect();
    let mut draft = Draft { lines };
    let (mut mistakes, mut keys): (Vec<Mistake>, Vec<String>) = (Vec::new(), Vec::new());
    let mut fixed = false;
    for _ in 0..MOST {
        let given = draft.text();
        let error = match toml::from_str::<Manifest>(&given) {
            Ok(mut manifest) => {
                if manifest.task.kind == TaskKind::Matte && manifest.task.classes.is_empty() {
                    manifest.task.classes = ["background", "foreground"].map(str::to_owned).into();
                }
                let mut wrong = Vec::new();
                manifest.check(&mut wrong);
                let told = wrong.iter().filter(|wrong| !keys.iter().any(|key| key == wrong.key));
                mistakes.extend(
                    told.map(|wrong| Mistake { line: line_of(text, wrong.section, wrong.key, wrong.nth), message: wrong.to_string() }),
                );
                mistakes.sort_by_key(|mistake| mistake.line.unwrap_or(usize::MAX));
                return ((!fixed).then_some(manifest), mistakes);
            }
            Err(error) => error,
        };
        fixed = true;
        let span = error.span().unwrap_or(0..0);
        let (from, to) = (draft.index(span.start), draft.index(span.end.max(span.start + 1) - 1));
        let line = draft.lines.get(from).map(|(line, _)| *line).filter(|line| *line > 0);
        let told = |message: String| Mistake { line, message };
        let words = error.message().to_owned();
        let well_formed = given.parse::<toml::Table>().is_ok();
        match words.strip_prefix("missing field `").and_then(|rest| rest.split('`').next()) {
            _ if !well_formed || draft.lines.is_empty() => {
                mistakes.push(told(words));
                break;
            }
            Some(key) => {
                let table = draft.lines[from].1.trim().to_owned();
                if !keys.iter().any(|known| known == key) {
                    let place = if table.starts_with('[') { table } else { "the top".into() };
                    mistakes.push(Mistake { line, message: format!("{place} lacks '{key}'") });
                    keys.push(key.to_owned());
                }
                let key = key.to_owned();
                draft.fill_in(&key, from);
            }
            None => {
                mistakes.push(told(words));
                let key = draft.take_out(from, to);
                keys.push(key);
            }
        }
    }
    mistakes.sort_by_key(|mistake| mistake.line.unwrap_or(usize::MAX));
    (None, mistakes)
}
