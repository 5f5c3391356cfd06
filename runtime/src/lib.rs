//! Watches a camera with one recurrent network and spends only the steps a frame asks for.
//!
//! A frame is encoded once into a *drive*; a recurrent cell is applied a variable number of times to the *hidden state*
//! carried over from the frame before; a readout turns the state into *logits*. `runtime/README.md` is the plan of the house.

// Verbs speak through one writer that notices when it cannot (`commands/out.rs`); everybody else logs.
#![cfg_attr(not(test), warn(clippy::print_stdout, clippy::print_stderr))]

pub mod acceptance;
pub mod capture;
pub mod clock;
pub mod commands;
pub mod control;
pub mod engine;
pub mod frame;
pub mod latencies;
pub mod network;
pub mod outcome;
pub mod pace;
pub mod pipeline;
pub mod priority;
pub mod recording;
pub mod report;
pub mod sampling;
pub mod service;
pub mod source;
pub mod source_picture;
pub mod task;
pub mod telemetry;
pub mod threads;
pub mod whole_file;
