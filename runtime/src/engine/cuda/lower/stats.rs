//! Reductions: over the picture, over the channels of a pixel, and the norms and softmax made of them.

use super::super::opcode::Opcode;
use super::super::program::{Across, Gather, Geometry, Op, Shape};
use super::GraphLowering;
use super::expr::{ExprId, Kind as Expr};
use crate::engine::graph::{Fold, Id, Size};

/// Channels that the kernel for statistics takes.
const STATS_CHANNELS: usize = 512;

impl GraphLowering<'_> {
    pub(super) fn reduce(&mut self, input: Id, fold: Fold, [pixels, channels]: [bool; 2], mean: bool) -> Result<ExprId, String> {
        let x = self.expression(input);
        let (x, next) = match (pixels, fold) {
            (false, _) => (x, fold),
            (true, Fold::Squares) => (self.over_pixels(x, fold, mean)?, Fold::Sum),
            (true, _) => (self.over_pixels(x, fold, mean)?, fold),
        };
        if channels { self.over_channels(x, next, mean) } else { Ok(x) }
    }

    fn over_pixels(&mut self, x: ExprId, fold: Fold, mean: bool) -> Result<ExprId, String> {
        let shape = self.arena.shape(x);
        let pixels = (shape.h * shape.w) as f32;
        match fold {
            // One number cannot be a vector: those are read by channel.
            Fold::Sum | Fold::Squares if shape.cs() <= STATS_CHANNELS && shape.c > 1 => {
                let (average, variance) = self.stats_of(x)?;
                let average = if fold == Fold::Sum {
                    average
                } else {
                    let square = self.arena.unary(Opcode::Square, average);
                    self.binary(Opcode::Add, variance, square)?
                };
                if mean { Ok(average) } else { self.times(average, pixels) }
            }
            Fold::Sum => self.whole(x, |window| Gather::Mean(window, Some(if mean { pixels as usize } else { 1 }))),
            Fold::Squares => {
                let squares = self.arena.unary(Opcode::Square, x);
                self.over_pixels(squares, Fold::Sum, mean)
            }
            Fold::Greatest => self.whole(x, Gather::Largest),
            Fold::Least => {
                let turned = self.arena.unary(Opcode::Neg, x);
                let most = self.whole(turned, Gather::Largest)?;
                Ok(self.arena.unary(Opcode::Neg, most))
            }
        }
    }

    /// A window as large as the picture.
    fn whole(&mut self, x: ExprId, gather: impl Fn(Geometry) -> Gather) -> Result<ExprId, String> {
        let shape = self.arena.shape(x);
        let window = Geometry { kernel: [shape.h, shape.w], stride: [1, 1], dilation: [1, 1], pad: [0, 0], groups: 1 };
        self.gather(x, gather(window), Shape { c: shape.c, h: 1, w: 1 })
    }

    fn over_channels(&mut self, x: ExprId, fold: Fold, mean: bool) -> Result<ExprId, String> {
        let input = self.materialise(x)?;
        let shape = self.arena.shape(x);
        let to = Shape { c: 1, ..shape };
        // Sums of squares may be large, and a norm divides by them.
        let output = self.all.tensor(to, true, false);
        let scale = if mean { 1.0 / shape.c as f32 } else { 1.0 };
        self.ops.push(Op::Across(Across { input, output, fold, scale }));
        Ok(self.arena.add(Expr::Tensor(output), to))
    }

    pub(super) fn softmax(&mut self, input: Id) -> Result<ExprId, String> {
        let x = self.expression(input);
        let greatest = self.over_channels(x, Fold::Greatest, false)?;
        let below = self.binary(Opcode::Sub, x, greatest)?;
        let power = self.arena.unary(Opcode::Exp, below);
        let sum = self.over_channels(power, Fold::Sum, false)?;
        self.binary(Opcode::Div, power, sum)
    }

    pub(super) fn instance_norm(&mut self, input: Id, epsilon: f32, gain: &[f32], bias: &[f32]) -> Result<ExprId, String> {
        let (x, to) = (self.expression(input), self.shape(input));
        if to.cs() > STATS_CHANNELS {
            return Err(format!("statistics of more than {STATS_CHANNELS} channels have no kernel"));
        }
        let (mean, variance) = self.stats_of(x)?;
        let size = Size { channels: to.c, rows: 1, columns: 1 };
        let (gain, bias) = (self.constant(gain, size, to), self.constant(bias, size, to));
        let epsilon = self.arena.number(epsilon);
        let sum = self.binary(Opcode::Add, variance, epsilon)?;
        let inverse = self.arena.unary(Opcode::Rsqrt, sum);
        let scale = self.binary(Opcode::Mul, inverse, gain)?;
        let centred = self.binary(Opcode::Sub, x, mean)?;
        let scaled = self.binary(Opcode::Mul, centred, scale)?;
        self.binary(Opcode::Add, scaled, bias)
    }

    fn times(&mut self, value: ExprId, factor: f32) -> Result<ExprId, String> {
        let factor = self.arena.number(factor);
        self.binary(Opcode::Mul, value, factor)
    }

    /// Mean and variance of each channel of `x`.
    fn stats_of(&mut self, x: ExprId) -> Result<(ExprId, ExprId), String> {
        let input = self.materialise(x)?;
        let shape = self.all.tensors[input].shape;
        let (mean, variance) = match self.stats.get(&input) {
            Some(&known) => known,
            None => {
                let (mean, variance) = (self.all.vector(shape.c), self.all.vector(shape.c));
                self.ops.push(Op::Stats { input, mean, variance });
                self.stats.insert(input, (mean, variance));
                (mean, variance)
            }
        };
        let vector = Shape { c: shape.c, h: 1, w: 1 };
        Ok((self.arena.add(Expr::Vector(mean), vector), self.arena.add(Expr::Vector(variance), vector)))
    }
}
