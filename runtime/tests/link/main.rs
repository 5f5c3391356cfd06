//! The links and panels of the running program, at the ends of pseudo-terminals. Opt-in tests (`--ignored`) take longer or need more; `.ci/verbs/link` runs them.

mod board;
mod commands;
mod device;
mod line;
mod mavlink;
mod panel;
mod pty;
mod replug;
mod telegrams;
