//! A 1x1 convolution and a window over each of its channels, one after the other in the second-level cache.
//!
//! Blocks that widen their channels (MobileNet's) have their largest tensor between the two. A work item makes a band of rows of a few of its
//! channels and passes the window over them at once; the band's border rows are made twice.

use super::conv_direct::{ConvDirect, MOST};
use super::depthwise::Depthwise;
use super::planes::Shared;
use super::pool::Pool;
use super::simd::MAX_LANES;

/// Floats of a work item's channels, about: a fifth of a second-level cache.
const BAND: usize = 48 << 10;

/// The two, with their weights.
pub struct ConvExpanded {
    expand: ConvDirect,
    window: Depthwise,
    /// Output rows of a work item.
    band: usize,
    /// Floats from one channel of a band to the next.
    pitch: usize,
}

impl ConvExpanded {
    /// A 1x1 convolution that reads its planes in place, and a window over what it makes.
    pub fn new(expand: ConvDirect, window: Depthwise) -> ConvExpanded {
        let (from, to) = (expand.geometry(), window.geometry());
        assert!(from.plain() && from.cout == to.cin && from.input == to.input, "{from:?} and {to:?}");
        let ([_, wide], [high, _]) = (to.input, to.output());
        let reach = (to.kernel[0] - 1) * to.dilation[0] + 1;
        let rows = (BAND / (MOST * wide)).saturating_sub(reach) / to.stride[0] + 1;
        // Bands as even as they come.
        let band = high.div_ceil(high.div_ceil(rows));
        let pitch = (((band - 1) * to.stride[0] + reach).min(to.input[0]) * wide + MAX_LANES).next_multiple_of(MAX_LANES);
        ConvExpanded { expand, window, band, pitch }
    }

    /// The 1x1 convolution.
    pub fn expand(&self) -> &ConvDirect {
        &self.expand
    }

    /// The window.
    pub fn window(&self) -> &Depthwise {
        &self.window
    }

    /// The two apart, for a run in which what lies between them stays in memory.
    pub fn into_parts(self) -> (ConvDirect, Depthwise) {
        (self.expand, self.window)
    }

    fn thread_floats(&self) -> usize {
        MOST * self.pitch + self.window.scratch_floats(1).next_multiple_of(MAX_LANES)
    }

    /// Floats of working space that [`ConvExpanded::run`] needs with so many threads.
    pub fn scratch_floats(&self, threads: usize) -> usize {
        threads * self.thread_floats()
    }

    /// Convolves `input` (one pointer per channel plane) into `output`.
    ///
    /// # Safety
    /// As for [`ConvDirect::run`] and `Depthwise::run`.
    pub unsafe fn run(&self, pool: &mut Pool, scratch: Shared, input: &[Shared], output: &[Shared]) {
        let to = *self.window.geometry();
        assert!(input.len() == self.expand.geometry().cin && output.len() == to.cout, "{} and {} planes", input.len(), output.len());
        let ([high, wide], [rows, _]) = (to.input, to.output());
        let reach = (to.kernel[0] - 1) * to.dilation[0] + 1;
        let blocks = self.expand.blocks();
        pool.run(blocks.len() * rows.div_ceil(self.band), &|thread, item| {
            let (block, band) = (item % blocks.len(), item / blocks.len());
            let own = Shared(scratch.at(thread * self.thread_floats()));
            let (top, bottom) = (band * self.band, rows.min((band + 1) * self.band));
            let first = (top * to.stride[0]).saturating_sub(to.begin[0]).min(high);
            let end = ((bottom - 1) * to.stride[0] + reach).saturating_sub(to.begin[0]).clamp(first, high);
            let (channel, count) = blocks[block];
            if first < end {
                let targets = std::array::from_fn(|m| Shared(own.at(m * self.pitch)));
                self.expand.block(block, input, first * wide, (end - first) * wide, targets);
            }
            for m in 0..count {
                // Row `first` of the plane is the band's first.
                let plane = Shared(own.at(m * self.pitch).wrapping_sub(first * wide));
                // SAFETY: the caller's promise; the window reads no row but those of the band, and the working space is this thread's.
                unsafe { self.window.rows(channel + m, top..bottom, plane, own.at(MOST * self.pitch), output[channel + m]) };
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::conv_direct::Geometry;
    use super::super::depthwise::Window;
    use super::super::noise::noise;
    use super::super::planes::plane_stride;
    use super::super::simd::Isa;
    use super::*;

    proptest! {
        #![proptest_config(ProptestConfig { cases: 60, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn the_same_bits_as_one_after_the_other(
            cin in 1usize..9, cout in 1usize..20, h in 1usize..130, w in 1usize..170, k in 1usize..6, stride in 1usize..3, before in 0usize..3,
            after in 0usize..3, threads in 1usize..4,
        ) {
            let expand = Geometry {
                cin, cout, groups: 1, input: [h, w], kernel: [1, 1], begin: [0, 0], end: [0, 0], stride: [1, 1], dilation: [1, 1],
            };
            let window = Geometry {
                cin: cout, groups: cout, kernel: [k, k], begin: [before; 2], end: [after; 2], stride: [stride; 2], ..expand
            };
            let [oh, ow] = window.output();
            prop_assume!(oh * ow > 0);
            let (pixels, out) = (plane_stride(h * w), plane_stride(oh * ow));
            let mut input = noise(cin * pixels + MAX_LANES, 3);
            let planes = |memory: &mut [f32], count: usize, pitch: usize| -> Vec<Shared> {
                (0..count).map(|c| Shared(memory[c * pitch..].as_mut_ptr())).collect()
            };
            let from = planes(&mut input, cin, pixels);
            for isa in Isa::available() {
                let conv = || {
                    let mut conv = ConvDirect::new(expand, isa, &noise(cin * cout, 1), &noise(cout, 2));
                    conv.bound([0.0, 0.75]);
                    conv
                };
                let depthwise = || Depthwise::new(window, isa, Window::Sum { weights: noise(cout * k * k, 4), bias: noise(cout, 5) });
                let mut middle = vec![0.0; cout * pixels + MAX_LANES];
                let [mut want, mut got] = [(); 2].map(|()| vec![7.0; cout * out]);
                let (mut pool, both) = (Pool::new(threads), ConvExpanded::new(conv(), depthwise()));
                let mut scratch = vec![f32::NAN; both.scratch_floats(threads).max(depthwise().scratch_floats(threads))];
                let (scratch, middle) = (Shared(scratch.as_mut_ptr()), planes(&mut middle, cout, pixels));
                let (wanted, gotten) = (planes(&mut want, cout, out), planes(&mut got, cout, out));
                // SAFETY: planes and scratch are as large as asked for.
                unsafe {
                    conv().run(&mut pool, scratch, &from, &middle);
                    depthwise().run(&mut pool, scratch, &middle, &wanted);
                    both.run(&mut pool, scratch, &from, &gotten);
                }
                prop_assert!(want == got, "{expand:?} {window:?} {isa:?}");
            }
        }
    }
}
