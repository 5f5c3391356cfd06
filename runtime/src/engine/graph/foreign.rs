//! A part of a graph that no engine computes itself: it runs on tract, between values of the graph.

use tract_onnx::prelude::TypedModel;

use super::Size;

/// Nodes that run on tract.
#[derive(Clone, Debug)]
pub struct Part {
    /// Their names, the first is the one that is not covered.
    pub nodes: Vec<String>,
    /// Why.
    pub reason: String,
    /// They alone, with the constants they need.
    pub model: TypedModel,
    /// ONNX shape of each input, and the size of the value that it is.
    pub inputs: Vec<(Vec<usize>, Size)>,
    /// Size of each output.
    pub outputs: Vec<Size>,
}
