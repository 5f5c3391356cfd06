//! Only what moved: which pixels of which tensor a change reaches, and running operations on those alone.
//!
//! Every tensor of a network lives on from frame to frame. A [`Region`] says which of its pixels have changed since an operation last read
//! them; [`Reach`] carries it through the operation; [`Lists`] turns it into what the kernels work on: rectangles, runs, quads, tiles. Pixels
//! that are computed again without need come out as they were, bit for bit: a kernel's arithmetic for a pixel does not depend on its
//! neighbours in the list. So the result is the dense one. `gate` is where small changes can be stopped, if that is asked for.
//!
//! An operation whose pixels depend on all of its inputs has no reach, and a graph with one runs densely ([`Program::new`] names it).

mod engine;
mod gate;
mod lists;
mod program;
mod reach;
mod region;
mod settings;
pub mod switch;
#[cfg(test)]
mod tests;

pub use engine::{Ends, Tiled};
pub(in crate::engine::cpu) use gate::Row as GateRow;
pub use gate::{Gate, Sums};
pub use lists::{Lists, Part, Quad};
pub use program::{Changes, Program};
pub use reach::{Kind, Reach};
pub use region::{QUAD, Rect, Region};
pub use settings::Settings;

/// How far an input pixel's change carries.
pub enum Locality {
    /// To the output pixel at its place.
    Same,
    /// Further.
    Reach(Reach),
}
