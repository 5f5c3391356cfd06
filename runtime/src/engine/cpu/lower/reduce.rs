//! Sums, means and extremes over channels, or over all pixels of a channel; softmax, which is spelled with them.

use super::{Id, Lowering, Source, whole};
use crate::engine::cpu::across::{Across, Whole};
use crate::engine::cpu::machine::{Operation, PlaneWork, View};
use crate::engine::graph::{self, Fold, Op, Size};

impl Lowering<'_> {
    pub(super) fn reduce(&mut self, input: graph::Id, fold: Fold, [pixels, channels]: [bool; 2], mean: bool) -> Id {
        let size = self.graph.size(input);
        let mut view = self.view(input);
        let mut left = size;
        let mut fold_next = fold;
        if pixels {
            left = Size { channels: size.channels, rows: 1, columns: 1 };
            let scale = if mean { 1.0 / size.pixels() as f32 } else { 1.0 };
            view = self.folded(Box::new(Whole { fold, pixels: size.pixels(), scale }), view, left);
            fold_next = if fold == Fold::Squares { Fold::Sum } else { fold };
        }
        if channels {
            let scale = if mean { 1.0 / size.channels as f32 } else { 1.0 };
            let pixels = left.pixels();
            left = Size { channels: 1, ..left };
            view = self.folded(Box::new(Across { fold: fold_next, pixels, scale }), view, left);
        }
        self.source(Source::View(view))
    }

    fn folded(&mut self, work: Box<dyn PlaneWork>, input: View, size: Size) -> View {
        let output = whole(self.layout.buffer(size.channels, size.pixels()), size.channels);
        self.operations.push(Operation::Planes { work, input, output: output.clone() });
        output
    }

    /// Over the channels of a pixel.
    fn across(&mut self, fold: Fold, id: Id, size: Size) -> (Id, Size) {
        let view = self.evaluate(id, size, None);
        let one = Size { channels: 1, ..size };
        let view = self.folded(Box::new(Across { fold, pixels: size.pixels(), scale: 1.0 }), view, one);
        (self.source(Source::View(view)), one)
    }

    pub(super) fn softmax(&mut self, input: graph::Id) -> Id {
        let (id, size) = (self.expression(input), self.graph.size(input));
        let (greatest, one) = self.across(Fold::Greatest, id, size);
        let greatest = self.broadcast(greatest, one, size);
        let below = self.apply(Op::Sub, &[id, greatest]);
        let power = self.apply(Op::Exp, &[below]);
        let (sum, one) = self.across(Fold::Sum, power, size);
        let unit = self.number(1.0);
        let share = self.apply(Op::Div, &[unit, sum]);
        let share = self.broadcast(share, one, size);
        self.apply(Op::Mul, &[power, share])
    }
}
