//! What a node costs.

use super::{Graph, Kind, Node, Operand};

/// Of one node, each run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cost {
    /// Multiply-accumulates of its direct form.
    pub macs: u64,
    /// Bytes that it reads, each value, weight and constant once, as 32-bit floats.
    pub read: u64,
    /// Bytes that it writes.
    pub written: u64,
}

impl std::ops::AddAssign for Cost {
    fn add_assign(&mut self, other: Cost) {
        self.macs += other.macs;
        self.read += other.read;
        self.written += other.written;
    }
}

/// What `node` of `graph` costs. Views cost nothing.
pub fn of(graph: &Graph, node: &Node) -> Cost {
    let bytes = |id: &usize| 4 * graph.size(*id).numbers() as u64;
    let mut cost = Cost { macs: 0, read: node.kind.inputs().iter().map(bytes).sum(), written: node.outputs.iter().map(bytes).sum() };
    match &node.kind {
        Kind::Convolution { geometry, weights, bias, .. } => {
            cost.macs = geometry.macs() as u64;
            cost.read += 4 * (weights.len() + bias.len()) as u64;
        }
        Kind::Pool { geometry, .. } => cost.macs = geometry.macs() as u64,
        Kind::Interpolate { .. } => cost.macs = node.outputs.iter().map(|id| 3 * graph.size(*id).numbers() as u64).sum(),
        Kind::InstanceNorm { gain, bias, .. } => cost.read += 4 * (gain.len() + bias.len()) as u64,
        Kind::Map { operands, .. } => {
            let constants = operands.iter().map(|operand| if let Operand::Constant(values, _) = operand { values.len() } else { 0 });
            cost.read += 4 * constants.sum::<usize>() as u64;
        }
        Kind::Concat { .. } | Kind::Channels { .. } | Kind::Rename { .. } => return Cost::default(),
        _ => {}
    }
    cost
}

/// What a whole graph costs.
pub fn of_graph(graph: &Graph) -> Cost {
    let mut all = Cost::default();
    graph.nodes.iter().for_each(|node| all += of(graph, node));
    all
}
