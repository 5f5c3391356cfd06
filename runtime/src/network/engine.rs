//! What an engine can do, whichever machine it runs on.

use std::time::Duration;

use super::halting::HaltingRule;
use crate::frame::Frame;
use crate::outcome::{Label, StepTrace, TileMap};
use crate::sampling::Sampling;

/// How far one frame may go.
#[derive(Clone, Copy, Debug)]
pub struct StepRequest {
    /// When to stop by itself.
    pub rule: HaltingRule,
    /// The governor's step limit.
    pub limit: u32,
    /// Stop when the next step would end after this moment of [`crate::clock::now`].
    pub deadline: Option<Duration>,
}

/// What the stages of a frame took, as the engine that ran them measured it: on a GPU between moments of its own queue, so that the time
/// the host takes to fill that queue is in none of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StageTimes {
    /// The input tensor, or the picture that was taken, to the drive.
    pub encode: Duration,
    /// All steps together.
    pub steps: Duration,
    /// State to the answer.
    pub readout: Duration,
}

/// Something went wrong inside an engine.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
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

/// What a network holds after a frame, each tensor NCHW f32 or in its manifest's shape.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Tensors {
    /// What the encoder was given.
    pub input: Vec<f32>,
    /// What the encoder handed on, as [`Network::encoded`](super::Network::encoded) lists it: the drive first.
    pub encoded: Vec<Vec<f32>>,
    /// The hidden states in the order of model.toml.
    pub states: Vec<Vec<f32>>,
}

/// Runs one network and owns its hidden state.
///
/// A frame is: fill [`Engine::input`], or have the picture taken by [`Engine::take`]; then [`Engine::encode`], [`Engine::advance`],
/// and [`Engine::readout`] or [`Engine::labels`].
/// The first frame, and the first after [`Engine::reset`], start from a zero state on the slow path.
pub trait Engine: Send {
    /// The engine's name as reports carry it, for example `cpu`.
    fn name(&self) -> &'static str;

    /// The input tensor, NCHW f32 with N = 1, to be filled before [`Engine::encode`].
    fn input(&mut self) -> &mut [f32];

    /// Moves the picture's bytes to memory that this engine reads in place, if it has any: for frames whose memory goes round between a
    /// live source and this engine, so that the source fills it from then on. Wherever they lie, [`Engine::take`] takes them.
    fn pin(&mut self, _frame: &mut Frame) {}

    /// Takes the picture itself, to be made the input tensor where the network runs, in place of a filled [`Engine::input`]. False where
    /// this engine, or this picture, needs the tensor filled. Until [`Engine::advance`] returns, the picture's bytes are left alone.
    fn take(&mut self, _frame: &Frame, _sampling: &Sampling) -> Result<bool, EngineError> {
        Ok(false)
    }

    /// Encodes the input tensor into the drive, once per frame; an engine may only queue that. How far the drive moved is
    /// [`StepTrace::drive_distance`].
    fn encode(&mut self) -> Result<(), EngineError>;

    /// Applies the recurrent cell until `order` says stop; once for each encoded frame.
    fn advance(&mut self, order: &StepRequest) -> Result<StepTrace, EngineError>;

    /// Reads the answer out of the hidden state: the readout's outputs one behind the other, in the order and the shapes of
    /// [`Network::answers`](super::Network::answers), f32; for most tasks that is one, the logits.
    fn readout(&mut self) -> Result<&[f32], EngineError>;

    /// What the stages of the last frame took so far; whole once its answer or its labels were read. An answer that stood already took nothing.
    fn times(&self) -> StageTimes;

    /// From the next frame on, [`Engine::labels`] is asked for, of a network whose only output is logits: a pixel shows the likeliest class other than background (0) where that is
    /// likelier than `threshold`.
    fn want_labels(&mut self, _threshold: f32) {}

    /// The answer packed to a class and a score for each pixel, row by row; `None` where this engine leaves that to who reads the logits.
    fn labels(&mut self) -> Result<Option<&[Label]>, EngineError> {
        Ok(None)
    }

    /// Writes to `map` which tiles of the last frame were taken anew and stepped; false, and `map` as it was, where an engine computes everything
    /// in every frame.
    fn tiles(&mut self, _map: &mut TileMap) -> bool {
        false
    }

    /// What the network holds as it is; None where it is kept on a device. Copies all of it.
    fn tensors(&mut self) -> Option<Tensors> {
        None
    }

    /// Forgets the hidden state: the next frame takes the slow path from zero.
    fn reset(&mut self);

    /// Keeps the hidden state but takes the slow path on the next frame (after a gap in the stream).
    fn mark_stale(&mut self);
}
