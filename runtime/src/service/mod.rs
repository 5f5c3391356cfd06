//! Lifetime: configuration, wiring of rooms into a pipeline, signals, the service manager, and what ends the process.

pub mod budget_controller;
pub mod closing;
pub mod config;
pub mod control_handler;
pub mod decision;
pub mod dump;
pub mod ends;
pub mod exit;
pub mod lifecycle;
pub mod logging;
pub mod notify;
pub mod panics;
pub mod places;
pub mod run;
pub mod signals;
