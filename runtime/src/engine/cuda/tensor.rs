//! Tensors in device memory.

use super::abi::View;
use super::camera::Input;
use super::driver::Buffer;
use super::program::Shape;

/// A tensor in device memory, in fp32, fp16 or both.
pub struct Tensor {
    /// In fp32.
    pub full: Option<Buffer>,
    /// In fp16.
    pub half: Option<Buffer>,
    /// Its sizes.
    pub shape: Shape,
}

impl Tensor {
    /// Where `buffer` is, or 0.
    pub fn address(buffer: &Option<Buffer>) -> u64 {
        buffer.as_ref().map_or(0, |buffer| buffer.address)
    }

    /// What the kernels that fill the network's input write.
    pub fn input(&self) -> Input {
        Input { tensor: self.view(false), extra16: if self.full.is_some() { Tensor::address(&self.half) } else { 0 } }
    }

    /// The format kernels read by default: fp32 where it is kept.
    pub fn view(&self, half: bool) -> View {
        let half = (half && self.half.is_some()) || self.full.is_none();
        let data = Tensor::address(if half { &self.half } else { &self.full });
        let Shape { c, h, w } = self.shape;
        View { data, half: half.into(), cs: self.shape.cs() as i32, c: c as i32, h: h as i32, w: w as i32, pad: 0 }
    }
}
