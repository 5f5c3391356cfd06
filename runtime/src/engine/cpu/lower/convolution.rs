//! Convolutions, each in the form that the cost model finds cheaper, and pooling.

use super::{Id, Lowering, Source, whole};
use crate::engine::cpu::conv_direct::ConvDirect;
use crate::engine::cpu::conv_fft::{ConvFft, Shape, Tiling};
use crate::engine::cpu::conv_winograd::{self, ConvWinograd};
use crate::engine::cpu::depthwise::{Depthwise, Window};
use crate::engine::cpu::machine::{Operation, Plane};
use crate::engine::cpu::rates::Rates;
use crate::engine::graph::{self, Geometry, Op, Pool};

/// Most bytes one convolution's spectra may take.
const SPECTRA_BYTES: usize = 96 << 20;

impl Lowering<'_> {
    /// A convolution in the cheapest form.
    pub(super) fn convolution(&mut self, input: graph::Id, geometry: Geometry, weights: &[f32], bias: &[f32], output: graph::Id) -> Id {
        let input = self.view(input);
        let output = self.destination(output);
        let made = self.source(Source::View(output.clone()));
        let rates = Rates::of(self.isa);
        let direct = geometry.macs() as f64 * rates.direct_ns;
        let transforms = self.tiling(&geometry, &rates).filter(|(_, tiling)| tiling.cost_ns < direct);
        let filtering = conv_winograd::cost_ns(&geometry, &rates).filter(|&cost| cost < direct);
        let operation = match (transforms, filtering) {
            (Some((shape, tiling)), filtering) if filtering.is_none_or(|cost| tiling.cost_ns < cost) => {
                Operation::Fourier { conv: ConvFft::new(shape, tiling, self.isa, weights, bias), input, output }
            }
            (_, Some(_)) => Operation::Winograd { conv: ConvWinograd::new(geometry, self.isa, weights, bias), input, output },
            _ if geometry.groups == geometry.cin && geometry.groups == geometry.cout && geometry.groups > 1 => {
                let bias = if bias.is_empty() { vec![0.0; geometry.cout] } else { bias.to_vec() };
                let window = Window::Sum { weights: weights.to_vec(), bias };
                Operation::Depthwise { conv: Depthwise::new(geometry, self.isa, window), input, output }
            }
            _ => Operation::Direct { conv: ConvDirect::new(geometry, self.isa, weights, bias), input, output },
        };
        self.operations.push(operation);
        made
    }

    /// The best tiling for transforms.
    fn tiling(&self, g: &Geometry, rates: &Rates) -> Option<(Shape, Tiling)> {
        if g.groups != 1 || g.stride != [1, 1] || g.dilation != [1, 1] {
            return None;
        }
        let shape = Shape { cin: g.cin, cout: g.cout, input: g.input, kernel: g.kernel, begin: g.begin, end: g.end };
        let tiling = Tiling::choose(&shape, rates, SPECTRA_BYTES)?;
        Some((shape, tiling))
    }

    /// Windows of which the greatest or the mean is taken.
    pub(super) fn pool(&mut self, input: graph::Id, geometry: Geometry, pool: Pool, output: graph::Id) -> Id {
        let input = self.view(input);
        let Geometry { kernel, begin, end, stride, dilation, input: size, cout: channels, .. } = geometry;
        let all = kernel[0] * kernel[1];
        let bordered = begin != [0; 2] || end != [0; 2];
        let apart = pool == Pool::Mean(false) && bordered;
        let window = match pool {
            Pool::Greatest => Window::Greatest,
            Pool::Mean(_) => {
                let weight = if apart { 1.0 } else { 1.0 / all as f32 };
                Window::Sum { weights: vec![weight; channels * all], bias: vec![0.0; channels] }
            }
        };
        let conv = Depthwise::new(geometry, self.isa, window);
        if !apart {
            let output = self.destination(output);
            self.operations.push(Operation::Depthwise { conv, input, output: output.clone() });
            return self.source(Source::View(output));
        }
        // The sum first, then the share of each pixel, which has fewer neighbours at the border.
        let inside = |d: usize, at: usize| {
            let taps = (0..kernel[d]).filter(|tap| (at * stride[d] + tap * dilation[d]).wrapping_sub(begin[d]) < size[d]);
            taps.count() as f32
        };
        let [rows, columns] = geometry.output();
        let shares = (0..rows * columns).map(|at| 1.0 / (inside(0, at / columns) * inside(1, at % columns))).collect();
        let sums = whole(self.layout.buffer(channels, rows * columns), channels);
        self.operations.push(Operation::Depthwise { conv, input, output: sums.clone() });
        let sum = self.source(Source::View(sums));
        let buffer = self.layout.lasting(1, rows * columns);
        self.layout.constants.push((buffer, shares));
        let share = self.source(Source::View(vec![Plane { buffer, channel: 0 }; channels]));
        self.apply(Op::Mul, &[sum, share])
    }
}
