//! What an engine can do, whichever machine it runs on.

use std::time::Duration;

use super::halting::HaltingRule;
use crate::frame::Frame;
use crate::outcome::Trace;
use crate::sampling::Sampling;

/// How far one frame may go.
#[derive(Clone, Copy, Debug)]
pub struct Order {
    /// When to stop by itself.
    pub rule: HaltingRule,
    /// The governor's step limit.
    pub limit: u32,
    /// Stop when the next step would end after this moment of [`crate::clock::now`].
    pub deadline: Option<Duration>,
}

/// Something went wrong inside an engine.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// A graph cannot be run by this engine.
    #[error("{graph}: {reason}")]
    Unsupported {
        /// File name of the graph.
        graph: String,
        /// What is missing, with node and operator.
        reason: String,
    },
    /// A graph failed while running.
    #[error("{graph} failed while running: {reason}")]
    Run {
        /// File name of the graph.
        graph: String,
        /// What the engine said.
        reason: String,
    },
    /// The device that took the picture failed, and the engine goes on without it: fill [`Engine::input`] and encode again.
    #[error("the frame was lost with the device that took it")]
    InputLost,
    /// The engine cannot be used on this machine.
    #[error("engine '{engine}' is not available: {reason}")]
    Unavailable {
        /// The engine asked for.
        engine: &'static str,
        /// Why, and what to do.
        reason: String,
    },
}

/// Runs one network and owns its hidden state.
///
/// A frame is: fill [`Engine::input`], or have the picture taken by [`Engine::take`]; then [`Engine::encode`], [`Engine::advance`],
/// [`Engine::readout`].
/// The first frame, and the first after [`Engine::reset`], start from a zero state on the slow path.
pub trait Engine: Send {
    /// The engine's name as reports carry it, for example `cpu`.
    fn name(&self) -> &'static str;

    /// The input tensor, NCHW f32 with N = 1, to be filled before [`Engine::encode`].
    fn input(&mut self) -> &mut [f32];

    /// Takes the picture itself, to be made the input tensor where the network runs, in place of a filled [`Engine::input`]. False where
    /// this engine, or this picture, needs the tensor filled.
    fn take(&mut self, _frame: &Frame, _sampling: &Sampling) -> Result<bool, EngineError> {
        Ok(false)
    }

    /// Encodes the input tensor into the drive, once per frame, and returns the drive's relative L2 distance to that of the last
    /// frame that was stepped (infinite after a reset): what creeps too slowly to be seen from frame to frame adds up until it is.
    fn encode(&mut self) -> Result<f32, EngineError>;

    /// Applies the recurrent cell until `order` says stop; once for each encoded frame.
    fn advance(&mut self, order: &Order) -> Result<Trace, EngineError>;

    /// Reads the answer out of the hidden state: logits, NCHW f32.
    fn readout(&mut self) -> Result<&[f32], EngineError>;

    /// Forgets the hidden state: the next frame takes the slow path from zero.
    fn reset(&mut self);

    /// Keeps the hidden state but takes the slow path on the next frame (after a gap in the stream).
    fn doubt(&mut self);
}
