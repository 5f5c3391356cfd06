//! The graphs on an NVIDIA GPU, through the driver alone: no CUDA toolkit is needed where this runs. Where NVRTC is installed, kernels are
//! compiled for the network.
//!
//! ```text
//! engine/graph -> lower -> Program (kernels over named tensors) -> session (memory, recorded graphs) -> advance (frames)
//!                                  \-> book (their source) -> compiled (NVRTC, or kept from an earlier run) -/
//! ```
//! Tensors are `[y][x][c]`, channels padded to even; hidden state and drive are fp32, what passes between kernels fp16 where there are
//! tensor cores. Whether stepping goes on is decided on the device: when it stops, a flag makes the kernels of further steps return at
//! once, and the flag's other side lets those of the readout run. The host queues a whole frame and waits once.

mod abi;
mod advance;
mod book;
mod camera;
mod code;
mod compiled;
pub mod doctor;
mod driver;
mod host;
mod images;
mod launches;
mod lower;
mod nvrtc;
mod opcode;
pub mod plan;
mod program;
mod session;
mod tensor;
mod tiles;

pub use advance::{CudaEngine, Kernels, Options, Pictures, Precision};
pub use lower::Transforms;
