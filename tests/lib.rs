//! Shared ground of the system tests: where the binary lies, and how it is run.
