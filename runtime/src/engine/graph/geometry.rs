//! Shapes of a convolution.

/// What a convolution is: shapes in pixels, NCHW, batch 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Geometry {
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
    /// Zero padding above and left.
    pub begin: [usize; 2],
    /// Zero padding below and right.
    pub end: [usize; 2],
    /// Rows and columns from one output to the next.
    pub stride: [usize; 2],
    /// Rows and columns from one tap to the next.
    pub dilation: [usize; 2],
}

impl Geometry {
    /// Output height and width; 0 where the kernel does not fit.
    pub fn output(&self) -> [usize; 2] {
        [0, 1].map(|d| {
            let padded = self.input[d] + self.begin[d] + self.end[d];
            let reach = (self.kernel[d] - 1) * self.dilation[d] + 1;
            if padded < reach { 0 } else { (padded - reach) / self.stride[d] + 1 }
        })
    }

    /// Multiply-adds.
    pub fn macs(&self) -> usize {
        let [h, w] = self.output();
        self.cin / self.groups * self.cout * h * w * self.kernel[0] * self.kernel[1]
    }

    /// A matrix product over pixels.
    pub fn plain(&self) -> bool {
        self.kernel == [1, 1] && self.stride == [1, 1] && self.begin == [0, 0] && self.end == [0, 0]
    }
}
