//! Resizing, padding, cropping, and depth to space and back.

use super::{Id, Lowering, Source, whole};
use crate::engine::cpu::conv_transposed::PixelShuffle;
use crate::engine::cpu::gather::Gather;
use crate::engine::cpu::interpolate::Interpolate;
use crate::engine::cpu::machine::{Operation, View};
use crate::engine::graph::{self, Between, ChannelOrder, Size};

impl Lowering<'_> {
    /// Pixels of a value by their numbers.
    pub(super) fn gather(&mut self, input: graph::Id, rows: &[usize], columns: &[usize], fill: f32, output: graph::Id) -> Id {
        let size = self.graph.size(input);
        let work = Gather::new([size.rows, size.columns], rows.to_vec(), columns.to_vec(), fill);
        let view = self.view(input);
        self.planes(Box::new(work), view, output)
    }

    pub(super) fn interpolate(&mut self, input: graph::Id, rows: &[Between], columns: &[Between], output: graph::Id) -> Id {
        let size = self.graph.size(input);
        let work = Interpolate::new([size.rows, size.columns], rows.to_vec(), columns.to_vec());
        let view = self.view(input);
        self.planes(Box::new(work), view, output)
    }

    /// One row or one column of each channel, as often as a larger size has it.
    pub(super) fn repeated(&mut self, input: View, own: Size, size: Size) -> Id {
        let times = |own: usize, all: usize| (0..all).map(|at| if own == 1 { 0 } else { at }).collect();
        let work = Gather::new([own.rows, own.columns], times(own.rows, size.rows), times(own.columns, size.columns), 0.0);
        let output = whole(self.layout.buffer(own.channels, size.pixels()), own.channels);
        self.operations.push(Operation::Planes { work: Box::new(work), input, output: output.clone() });
        self.source(Source::View((0..size.channels).map(|channel| output[channel % own.channels]).collect()))
    }

    /// Blocks of channels to pixels.
    pub(super) fn shuffle(&mut self, input: graph::Id, block: [usize; 2], order: ChannelOrder, begin: [usize; 2], output: graph::Id) -> Id {
        let (from, to) = (self.graph.size(input), self.graph.size(output));
        let view = self.view(input);
        let each = block[0] * block[1];
        let input = match order {
            ChannelOrder::ChannelFirst => view,
            ChannelOrder::BlockFirst => (0..view.len()).map(|at| view[at % each * to.channels + at / each]).collect(),
        };
        let shuffle = PixelShuffle { rests: block, columns: from.columns, begin, output: [to.rows, to.columns] };
        let output = self.destination(output);
        self.operations.push(Operation::PixelShuffle { shuffle, input, output: output.clone() });
        self.source(Source::View(output))
    }

    /// `block x block` pixels to as many channels.
    pub(super) fn unshuffle(&mut self, input: graph::Id, block: usize, order: ChannelOrder, output: graph::Id) -> Id {
        let (size, to) = (self.graph.size(input), self.graph.size(output));
        let view = self.view(input);
        let output = self.destination(output);
        for rest in 0..block * block {
            let numbers = |first: usize, count: usize| (0..count).map(|at| at * block + first).collect::<Vec<_>>();
            let gather = Gather::new([size.rows, size.columns], numbers(rest / block, to.rows), numbers(rest % block, to.columns), 0.0);
            let channel = |c: usize| match order {
                ChannelOrder::ChannelFirst => c * block * block + rest,
                ChannelOrder::BlockFirst => rest * size.channels + c,
            };
            let output = (0..size.channels).map(|c| output[channel(c)]).collect();
            self.operations.push(Operation::Planes { work: Box::new(gather), input: view.clone(), output });
        }
        self.source(Source::View(output))
    }
}
