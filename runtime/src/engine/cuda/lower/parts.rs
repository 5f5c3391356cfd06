//! A graph with nodes that have no kernel: these, and what depends on them or what they depend on, are the host's.

use super::super::program::OnHost;
use super::{Lowering, Refused};
use crate::engine::graph::{Graph, Id, Kind, Split};
use crate::network::engine::EngineError;

/// Which part of a split graph the device takes.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Takes {
    /// The first: the host ends what it began.
    First,
    /// The second: the host begins.
    Second,
}

impl Takes {
    /// The device's part and the host's.
    fn of(self, graph: &Graph, uncovered: &[usize]) -> (Graph, Graph) {
        match self {
            Takes::First => {
                let Split { first, second } = graph.split_before(uncovered);
                (first, second)
            }
            Takes::Second => {
                let Split { first, second } = graph.split_behind(uncovered);
                (second, first)
            }
        }
    }
}

/// Lowers as much of `graph` as `takes` allows by `lower`, which is told whether that is all of it; and what is left to the host.
pub(super) fn lower<T>(
    lowering: &mut Lowering,
    (file, graph): (&'static str, &Graph),
    takes: Takes,
    mut lower: impl FnMut(&mut Lowering, &Graph, bool) -> Result<T, Refused>,
) -> Result<(T, Option<OnHost>), EngineError> {
    let foreign = |(at, node): (usize, &_)| -> Option<(usize, String)> {
        let crate::engine::graph::Node { kind: Kind::Foreign { part, .. }, .. } = node else { return None };
        Some((at, format!("{}, on tract ({})", part.nodes.join(", "), part.reason)))
    };
    let mut uncovered: Vec<(usize, String)> = graph.nodes.iter().enumerate().filter_map(foreign).collect();
    loop {
        let numbers: Vec<usize> = uncovered.iter().map(|(at, _)| *at).collect();
        let parts = (!numbers.is_empty()).then(|| takes.of(graph, &numbers));
        let (device, host) = parts.map_or((None, None), |(device, host)| (Some(device), Some(host)));
        let before = lowering.clone();
        let made_by = |id: Id| graph.nodes.iter().position(|node| node.outputs.contains(&id));
        match lower(lowering, device.as_ref().unwrap_or(graph), host.is_none()) {
            Ok(lowered) => {
                let nodes = uncovered.into_iter().map(|(_, named)| named).collect();
                return Ok((lowered, host.map(|graph| OnHost { file, graph, nodes })));
            }
            Err(Refused::Node(id, reason)) => {
                // What was made for the attempt goes with it.
                *lowering = before;
                let at = made_by(id).expect("the parts keep the graph's numbers");
                uncovered.push((at, reason));
            }
            Err(refused) => return Err(refused.of(file)),
        }
    }
}
