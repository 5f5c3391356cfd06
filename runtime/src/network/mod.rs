//! What a network is: a manifest, three graphs, hidden state, and the engine that runs them.

pub mod answers;
pub mod engine;
pub mod graph;
pub mod guard;
pub mod halting;
pub mod load;
pub mod manifest;
pub mod onnx;
mod wiring;

pub use load::{Network, NetworkFiles};
