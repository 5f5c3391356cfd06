//! The configuration file: the flags of `recslowfast run`, written down.
//!
//! A key means what its flag means and takes what its flag takes, so there is one grammar and one set of checks; a flag on
//! the command line wins over the file. Everything wrong with a file is reported at once, each with its line and column.

mod keys;
mod problem;
mod read;

pub use keys::{KEYS, Key};
pub use problem::{ConfigError, Problem};
pub use read::{Entry, File};
