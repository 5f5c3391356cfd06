//! Transposed convolution as an ordinary one and a shuffle.
//!
//! With stride `s`, outputs whose row and column leave the same rest modulo `s` see the same few taps of the kernel: each of the `s x s` rests is a
//! convolution without stride, of the input, with every `s`-th tap. All of them together are one convolution to `s x s` times the
//! channels, whose planes are then laid into each other. Where the kernel is as large as the stride, that convolution is 1x1.

use super::Geometry;

/// What a transposed convolution is: shapes in pixels, NCHW, batch 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Transposed {
    /// Input channels.
    pub cin: usize,
    /// Output channels.
    pub cout: usize,
    /// Groups: each sees `cin / groups` inputs and makes `cout / groups` outputs.
    pub groups: usize,
    /// Input height and width.
    pub input: [usize; 2],
    /// Kernel height and width.
    pub kernel: [usize; 2],
    /// Rows and columns cut off above and left.
    pub begin: [usize; 2],
    /// Rows and columns cut off below and right.
    pub end: [usize; 2],
    /// Rows and columns added below and right, which no tap reaches beyond the kernel.
    pub extra: [usize; 2],
    /// Rows and columns from one input to the next, in outputs.
    pub stride: [usize; 2],
    /// Rows and columns from one tap to the next.
    pub dilation: [usize; 2],
}

impl Transposed {
    /// Output height and width; 0 where all of it is cut off.
    pub fn output(&self) -> [usize; 2] {
        [0, 1].map(|d| {
            let reach = (self.kernel[d] - 1) * self.dilation[d] + 1;
            ((self.input[d] - 1) * self.stride[d] + reach + self.extra[d]).saturating_sub(self.begin[d] + self.end[d])
        })
    }

    /// Taps that one rest of the output sees.
    fn taps(&self) -> [usize; 2] {
        [0, 1].map(|d| ((self.kernel[d] - 1) * self.dilation[d] + 1).div_ceil(self.stride[d]))
    }

    /// The ordinary convolution: to `stride x stride` planes for each output channel, rests of rows first.
    pub fn geometry(&self) -> Geometry {
        let (taps, output) = (self.taps(), self.output());
        Geometry {
            cin: self.cin,
            cout: self.cout * self.stride[0] * self.stride[1],
            groups: self.groups,
            input: self.input,
            kernel: taps,
            begin: taps.map(|taps| taps - 1),
            end: [0, 1].map(|d| (self.begin[d] + output[d]).div_ceil(self.stride[d]).saturating_sub(self.input[d])),
            stride: [1, 1],
            dilation: [1, 1],
        }
    }

    /// Weights (`[cin][cout / groups][kernel]`) as those of [`Transposed::geometry`].
    pub fn weights(&self, weights: &[f32]) -> Vec<f32> {
        let ([sy, sx], [ty, tx], [ky, kx]) = (self.stride, self.taps(), self.kernel);
        let (per_in, per_out) = (self.cin / self.groups, self.cout / self.groups);
        assert_eq!(weights.len(), self.cin * per_out * ky * kx, "weights of {self:?}");
        // The kernel's tap that a rest's tap `at` is, if any: taps run against the input.
        let tap = |d: usize, rest: usize, at: usize| {
            let whole = rest + self.stride[d] * (self.taps()[d] - 1 - at);
            (whole.is_multiple_of(self.dilation[d]) && whole / self.dilation[d] < self.kernel[d]).then_some(whole / self.dilation[d])
        };
        let mut packed = Vec::with_capacity(self.cout * sy * sx * per_in * ty * tx);
        for co in 0..self.cout {
            for rest in 0..sy * sx {
                for ci in 0..per_in {
                    let ci = co / per_out * per_in + ci;
                    for at in 0..ty * tx {
                        let taps = (tap(0, rest / sx, at / tx), tap(1, rest % sx, at % tx));
                        packed.push(match taps {
                            (Some(y), Some(x)) => weights[((ci * per_out + co % per_out) * ky + y) * kx + x],
                            _ => 0.0,
                        });
                    }
                }
            }
        }
        packed
    }

    /// A bias (`cout` values or none) as that of [`Transposed::geometry`].
    pub fn bias(&self, bias: &[f32]) -> Vec<f32> {
        bias.iter().flat_map(|&x| std::iter::repeat_n(x, self.stride[0] * self.stride[1])).collect()
    }
}
