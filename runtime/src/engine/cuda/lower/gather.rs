//! Convolutions, pooling, resizing, pads, and channels laid out as pixels.

use super::super::abi::Taps;
use super::super::opcode::Opcode;
use super::super::program::{Decide, Gate, Gather, Geometry, Method, Op, Shape, Spatial};
use super::expr::{ExprId, Kind as Expr};
use super::{GraphLowering, conv};
use crate::engine::graph::{self, Between, ChannelOrder, Id, OUTSIDE, Pool};

impl GraphLowering<'_> {
    pub(super) fn convolution(
        &mut self,
        input: Id,
        geometry: &graph::Geometry,
        weights: &[f32],
        bias: &[f32],
        to: Shape,
    ) -> Result<ExprId, String> {
        let (from, input) = (self.shape(input), self.stored(input)?);
        let output = self.all.passing(to);
        let zeros = vec![0.0; to.c];
        let bias = if bias.is_empty() { &zeros } else { bias };
        let weights = conv::Weights { values: weights, out: to.c, group_in: from.c / geometry.groups };
        let conv = conv::plan(&self.all.target, (input, from), (output, to), Geometry::from(geometry), &weights, bias);
        if matches!(conv.method, Method::Mma(_)) {
            self.all.tensors[input].half = true;
        }
        self.ops.push(Op::Conv(Box::new(conv)));
        Ok(self.arena.add(Expr::Tensor(output), to))
    }

    /// Hands on what moved of what a convolution of `channels` made, by the tiles' epsilon, where it has no more itself.
    pub(super) fn gated(&mut self, made: ExprId, channels: usize) -> ExprId {
        let shape = self.arena.shape(made);
        let (Some(frame_rows), Some(settings), Expr::Tensor(from)) = (self.all.gated, self.all.target.tiles, self.arena.kind(made)) else {
            return made;
        };
        if shape.c > channels {
            return made;
        }
        let to = self.all.passing(shape);
        let threshold = Some(settings.epsilon_at(frame_rows, shape.h));
        self.ops.push(Op::Gate(Gate { from, to, threshold, carries: settings.spread, commits: false, within: true, decide: Decide::No }));
        self.arena.add(Expr::Tensor(to), shape)
    }

    pub(super) fn pool(&mut self, input: Id, geometry: &graph::Geometry, pool: Pool, to: Shape) -> Result<ExprId, String> {
        let window = Geometry { groups: 1, ..Geometry::from(geometry) };
        let gather = match pool {
            Pool::Greatest => Gather::Largest(window),
            Pool::Mean(counted) => Gather::Mean(window, counted.then_some(window.kernel[0] * window.kernel[1])),
        };
        self.gather(self.expression(input), gather, to)
    }

    /// Pixels by their numbers.
    pub(super) fn picked(&mut self, input: Id, rows: &[usize], columns: &[usize], fill: f32, to: Shape) -> Result<ExprId, String> {
        let gather = Gather::Resize { rows: whole(rows), columns: whole(columns) };
        let x = self.expression(input);
        if fill == 0.0 {
            return self.gather(x, gather, to);
        }
        if !fill.is_finite() {
            return Err(format!("a border of {fill} has no kernel"));
        }
        // What lies outside is zero: taken from a value that is less by the fill.
        let number = self.arena.number(fill);
        let less = self.binary(Opcode::Sub, x, number)?;
        let taken = self.gather(less, gather, to)?;
        self.binary(Opcode::Add, taken, number)
    }

    pub(super) fn between(&mut self, input: Id, rows: &[Between], columns: &[Between], to: Shape) -> Result<ExprId, String> {
        let taps = |between: &[Between]| between.iter().map(|&(first, second, share)| tap(first, second, 1.0 - share, share)).collect();
        self.gather(self.expression(input), Gather::Resize { rows: taps(rows), columns: taps(columns) }, to)
    }

    /// One row or one column, as often as a larger size has it.
    pub(super) fn repeated(&mut self, input: Id, to: Shape) -> Result<ExprId, String> {
        let own = self.shape(input);
        let times = |own: usize, all: usize| whole(&(0..all).map(|at| if own == 1 { 0 } else { at }).collect::<Vec<_>>());
        let gather = Gather::Resize { rows: times(own.h, to.h), columns: times(own.w, to.w) };
        self.gather(self.expression(input), gather, to)
    }

    pub(super) fn shuffle(
        &mut self,
        input: Id,
        block: [usize; 2],
        order: ChannelOrder,
        begin: [usize; 2],
        to: Shape,
    ) -> Result<ExprId, String> {
        let apart = match order {
            ChannelOrder::BlockFirst => [to.c, 1],
            ChannelOrder::ChannelFirst => [1, block[0] * block[1]],
        };
        self.gather(self.expression(input), Gather::Interleave { block, apart, begin }, to)
    }

    pub(super) fn unshuffle(&mut self, input: Id, block: usize, order: ChannelOrder, to: Shape) -> Result<ExprId, String> {
        let apart = match order {
            ChannelOrder::BlockFirst => [self.shape(input).c, 1],
            ChannelOrder::ChannelFirst => [1, block * block],
        };
        self.gather(self.expression(input), Gather::Collect { block, apart }, to)
    }

    pub(super) fn gather(&mut self, x: ExprId, gather: Gather, to: Shape) -> Result<ExprId, String> {
        let input = self.materialise(x)?;
        let output = self.all.passing(to);
        self.ops.push(Op::Spatial(Box::new(Spatial { input, output, gather })));
        Ok(self.arena.add(Expr::Tensor(output), to))
    }
}

fn tap(first: usize, second: usize, first_weight: f32, second_weight: f32) -> Taps {
    Taps { first: first as i32, second: second as i32, first_weight, second_weight }
}

/// One sample each; nothing where it lies outside.
fn whole(numbers: &[usize]) -> Vec<Taps> {
    numbers.iter().map(|&at| if at == OUTSIDE { tap(0, 0, 0.0, 0.0) } else { tap(at, at, 1.0, 0.0) }).collect()
}

impl From<&graph::Geometry> for Geometry {
    fn from(geometry: &graph::Geometry) -> Geometry {
        let graph::Geometry { kernel, stride, dilation, begin, groups, .. } = *geometry;
        Geometry { kernel, stride, dilation, pad: begin, groups }
    }
}
