//! What is wrong with a configuration file, and where.

use std::fmt;
use std::path::PathBuf;

/// One mistake, and where it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Line, counted from 1.
    pub line: usize,
    /// Column in characters, counted from 1.
    pub column: usize,
    /// What is wrong and what would be right.
    pub message: String,
}

impl Problem {
    /// A problem at byte `at` of `text`.
    pub fn at(text: &str, at: usize, message: impl Into<String>) -> Problem {
        let before = &text[..text.floor_char_boundary(at)];
        let start = before.rfind('\n').map_or(0, |newline| newline + 1);
        Problem { line: before.matches('\n').count() + 1, column: before[start..].chars().count() + 1, message: message.into() }
    }
}

/// A configuration file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// It cannot be read at all.
    #[error("cannot read the configuration {path}: {reason}")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        reason: std::io::Error,
    },
    /// Everything that is wrong with it.
    #[error("{}", Listed(path, problems))]
    Wrong {
        /// The file.
        path: PathBuf,
        /// In the order of the file; never empty.
        problems: Vec<Problem>,
    },
}

struct Listed<'a>(&'a PathBuf, &'a [Problem]);

impl fmt::Display for Listed<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Listed(path, problems) = self;
        for (at, problem) in problems.iter().enumerate() {
            let gap = if at == 0 { "" } else { "\n" };
            write!(out, "{gap}{}:{}:{}: {}", path.display(), problem.line, problem.column, problem.message)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_count_characters_from_one() {
        let text = "a = 1\nµ = 'x'\n";
        assert_eq!((Problem::at(text, 0, "").line, Problem::at(text, 0, "").column), (1, 1));
        let at = text.find("'x'").unwrap();
        assert_eq!((Problem::at(text, at, "").line, Problem::at(text, at, "").column), (2, 5));
        assert_eq!(Problem::at(text, text.len(), "").line, 3);
    }
}
