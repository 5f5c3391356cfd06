//! Lifetime: configuration, wiring of rooms into a pipeline, signals, the service manager, and what ends the process.

pub mod closing;
pub mod config;
pub mod decision;
pub mod ends;
pub mod exit;
pub mod life;
pub mod logging;
pub mod notify;
pub mod pacing;
pub mod panics;
pub mod pictures;
pub mod pipeline;
pub mod places;
pub mod run;
pub mod signals;
pub mod sources;
pub mod steering;
