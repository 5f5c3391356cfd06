//! Only what moved, on the GPU: which masks there are, which kernel makes each, and which pixels each kernel leaves alone.
//!
//! ```text
//! frame -> tile_look, tile_decide, tile_accept -> mask of the input -> reach -> mask of each tensor -> blocks without a pixel in it return
//! ```
//! The rules are the CPU engine's: tiles of the input as `acceptance` has them, [`Settings`], the choice between dense frames and tiles, gates
//! before drive and states. A mask holds one byte a pixel: whether it moved, and whether its neighbours are told. All of it is data on the
//! device, so that recorded graphs are the same for every frame, and the host learns what was done from the frame's report. Every tensor
//! has memory of its own in this engine: what a kernel leaves alone is what it made before.

mod carry;
mod masks;

pub use carry::Carry;
pub use masks::{MaskId, Masks, Planned, Spread, When};

pub use crate::engine::cpu::tiles::Settings;
use crate::engine::cuda::program::TensorId;
use crate::engine::graph::{self, reach::Reach};
use crate::network::Network;

/// What a program by tiles needs besides its kernels.
#[derive(Clone, Debug)]
pub struct Tiling {
    /// How tiles are run.
    pub settings: Settings,
    /// The frame as it came, before any of it is accepted.
    pub incoming: TensorId,
    /// Grey levels of one unit of the input, per channel.
    pub levels: Vec<f32>,
    /// The masks, and what each kernel has to do with them.
    pub masks: Masks,
}

/// Whether every pixel that `network` makes depends on a part of its inputs alone.
///
/// # Errors
/// The graph and the node that needs all of its input.
pub fn local(network: &Network) -> Result<(), String> {
    for graph in [Some(&network.encoder), network.step.as_ref(), Some(&network.readout)].into_iter().flatten() {
        let read = graph::read(graph).map_err(|reason| format!("{}: {reason}", graph.file))?;
        let everywhere = graph::reach::of(&read).into_iter().find_map(|reach| match reach {
            Reach::Global(node) => Some(node),
            Reach::Within { .. } => None,
        });
        if let Some(node) = everywhere {
            return Err(format!("{}: {node} needs all pixels of a tensor for each of its own", graph.file));
        }
    }
    Ok(())
}
