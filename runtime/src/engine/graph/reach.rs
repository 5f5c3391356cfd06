//! How many input pixels an output pixel depends on.

use std::sync::Arc;

use super::{Geometry, Graph, Id, Kind, OUTSIDE};

/// Which pixels of the graph's inputs a pixel of a value depends on.
#[derive(Clone, Debug, PartialEq)]
pub enum Reach {
    /// Pixel `y` of the value depends on rows `stride y - before` to `stride y + after` of the inputs; columns alike.
    Within {
        /// Input rows and columns from one pixel to the next.
        stride: [f64; 2],
        /// Rows above and columns left.
        before: [f64; 2],
        /// Rows below and columns right.
        after: [f64; 2],
    },
    /// All of it, because of this node.
    Global(Arc<str>),
}

impl Reach {
    /// A pixel of an input is itself.
    const SELF: Reach = Reach::Within { stride: [1.0; 2], before: [0.0; 2], after: [0.0; 2] };

    /// Of a value each of whose pixels depends on pixels `step y - before` to `step y + after` of one that has this reach.
    fn through(&self, step: [f64; 2], window: [[f64; 2]; 2]) -> Reach {
        match self {
            Reach::Global(node) => Reach::Global(node.clone()),
            Reach::Within { stride, before, after } => {
                let over = |d: usize, own: f64, more: f64| stride[d] * own + more;
                Reach::Within {
                    stride: [0, 1].map(|d| stride[d] * step[d]),
                    before: [0, 1].map(|d| over(d, window[0][d], before[d])),
                    after: [0, 1].map(|d| over(d, window[1][d], after[d])),
                }
            }
        }
    }

    /// Of a value that depends on both.
    fn and(self, other: &Reach) -> Reach {
        match (self, other) {
            (Reach::Global(node), _) => Reach::Global(node),
            (_, Reach::Global(node)) => Reach::Global(node.clone()),
            (Reach::Within { stride, before, after }, Reach::Within { before: b, after: a, .. }) => {
                let most = |x: [f64; 2], y: &[f64; 2]| [0, 1].map(|d| x[d].max(y[d]));
                Reach::Within { stride, before: most(before, b), after: most(after, a) }
            }
        }
    }
}

/// The reach of every value of a graph, over all its inputs together.
pub fn of(graph: &Graph) -> Vec<Reach> {
    let mut reach = vec![Reach::SELF; graph.values.len()];
    for node in &graph.nodes {
        let inputs = node.kind.inputs();
        let all = |of: &dyn Fn(Id) -> Reach| inputs.iter().map(|&id| of(id)).reduce(|all, next| all.and(&next)).unwrap_or(Reach::SELF);
        let same = |id: Id| reach[id].clone();
        let window = |geometry: &Geometry| {
            let span = [0, 1].map(|d| ((geometry.kernel[d] - 1) * geometry.dilation[d]) as f64);
            let before = geometry.begin.map(|n| n as f64);
            let after = [0, 1].map(|d| (span[d] - before[d]).max(0.0));
            all(&|id| reach[id].through(geometry.stride.map(|n| n as f64), [before, after]))
        };
        // Rows and columns by their numbers: the step is that of the whole, the window what it takes to hold each.
        let picked = |rows: &[(usize, usize)], columns: &[(usize, usize)], id: Id| {
            let size = graph.size(id);
            let (y, x) = (fitted(rows, size.rows), fitted(columns, size.columns));
            reach[id].through([y.0, x.0], [[y.1, x.1], [y.2, x.2]])
        };
        let made = match &node.kind {
            Kind::Convolution { geometry, .. } | Kind::Pool { geometry, .. } => window(geometry),
            Kind::Gather { input, rows, columns, .. } => {
                let both = |numbers: &[usize]| numbers.iter().map(|&n| (n, n)).collect::<Vec<_>>();
                picked(&both(rows), &both(columns), *input)
            }
            Kind::Interpolate { input, rows, columns } => {
                let both = |between: &[(usize, usize, f32)]| between.iter().map(|&(a, b, _)| (a, b)).collect::<Vec<_>>();
                picked(&both(rows), &both(columns), *input)
            }
            Kind::PixelShuffle { input, block, begin, .. } => {
                let step = block.map(|n| 1.0 / n as f64);
                // Output pixel y is pixel (y + begin) / block, rounded down.
                let before = [0, 1].map(|d| (block[d] - 1) as f64 / block[d] as f64);
                let after = [0, 1].map(|d| begin[d] as f64 / block[d] as f64);
                reach[*input].through(step, [before, after])
            }
            Kind::PixelUnshuffle { input, block, .. } => {
                let n = *block as f64;
                reach[*input].through([n; 2], [[0.0; 2], [n - 1.0; 2]])
            }
            Kind::Reduce { pixels: true, input, .. } if graph.size(*input).pixels() > 1 => Reach::Global(node.name.clone()),
            Kind::InstanceNorm { .. } | Kind::Foreign { .. } => Reach::Global(node.name.clone()),
            Kind::Reduce { .. }
            | Kind::Softmax { .. }
            | Kind::Map { .. }
            | Kind::Concat { .. }
            | Kind::Channels { .. }
            | Kind::Rename { .. } => all(&same),
        };
        node.outputs.iter().for_each(|&id| reach[id] = made.clone());
    }
    reach
}

/// Step, and what lies before and behind, so that output `y` takes inputs within `step y - before` to `step y + after`.
fn fitted(numbers: &[(usize, usize)], input: usize) -> (f64, f64, f64) {
    let step = if numbers.len() < 2 { 1.0 } else { slope(numbers).unwrap_or(input as f64 / numbers.len() as f64) };
    let inside = numbers.iter().enumerate().filter(|(_, pair)| pair.0 != OUTSIDE && pair.1 != OUTSIDE);
    inside.fold((step, 0f64, 0f64), |(step, before, after), (at, &(first, second))| {
        let middle = step * at as f64;
        (step, before.max(middle - first.min(second) as f64), after.max(first.max(second) as f64 - middle))
    })
}

/// How far the first and the last pixel that are taken lie apart, for each output between them.
fn slope(numbers: &[(usize, usize)]) -> Option<f64> {
    let inside = |pair: &(usize, usize)| pair.0 != OUTSIDE;
    let (first, last) = (numbers.iter().position(inside)?, numbers.iter().rposition(inside)?);
    let (from, to) = (numbers[first].0, numbers[last].1);
    (last > first && to >= from).then(|| (to - from) as f64 / (last - first) as f64)
}
