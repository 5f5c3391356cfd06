//! The only way to tract: it panics on some damaged or unusual graphs, where this program refuses them.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};

use tract_onnx::prelude::TractResult;

/// Why tract did not do what it was asked for.
#[derive(Debug, PartialEq, Eq)]
pub enum GuardError {
    /// It said so.
    Refused(String),
    /// It panicked.
    Panicked,
}

impl fmt::Display for GuardError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            GuardError::Refused(reason) => out.write_str(reason),
            GuardError::Panicked => out.write_str("the inference library gave up on it; export the graph again"),
        }
    }
}

/// Calls tract. What `work` changed before a panic must not be used afterwards.
pub fn tract<T>(work: impl FnOnce() -> TractResult<T>) -> Result<T, GuardError> {
    match caught(work) {
        Some(result) => result.map_err(|error| GuardError::Refused(format!("{error:#}"))),
        None => Err(GuardError::Panicked),
    }
}

/// Does what reads or runs a graph, tract's part in it among it; None if that panicked.
pub fn caught<T>(work: impl FnOnce() -> T) -> Option<T> {
    // A payload whose drop panics would get past this guard.
    catch_unwind(AssertUnwindSafe(work)).map_err(std::mem::forget).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_a_refusal() {
        assert_eq!(tract(|| Ok(7)), Ok(7));
        assert_eq!(tract::<()>(|| Err(anyhow::anyhow!("no such node"))), Err(GuardError::Refused("no such node".into())));
        assert_eq!(tract::<()>(|| panic!("index out of bounds")), Err(GuardError::Panicked));
    }
}
