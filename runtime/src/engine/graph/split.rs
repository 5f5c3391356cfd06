//! A graph in two parts, where one engine cannot compute all of it.

use super::{Graph, Id, Node};

/// What is computed first, and what takes over from it.
#[derive(Clone, Debug)]
pub struct Split {
    /// From the graph's inputs to the values that are handed over, each an output with a name of its own.
    pub first: Graph,
    /// From these, in the same order, to the graph's outputs.
    pub second: Graph,
}

impl Graph {
    /// The nodes of these numbers, and all that depends on them, in the second part.
    pub fn split_before(&self, nodes: &[usize]) -> Split {
        let mut reached = vec![false; self.values.len()];
        self.parted(|at, node| {
            let late = nodes.contains(&at) || node.kind.inputs().iter().any(|&id| reached[id]);
            node.outputs.iter().for_each(|&id| reached[id] |= late);
            late
        })
    }

    /// The nodes of these numbers, and all that they depend on, in the first part.
    pub fn split_behind(&self, nodes: &[usize]) -> Split {
        let mut needed = vec![false; self.values.len()];
        let mut early = vec![false; self.nodes.len()];
        for (at, node) in self.nodes.iter().enumerate().rev() {
            early[at] = nodes.contains(&at) || node.outputs.iter().any(|&id| needed[id]);
            if early[at] {
                node.kind.inputs().into_iter().for_each(|id| needed[id] = true);
            }
        }
        self.parted(|at, _| !early[at])
    }

    /// Told of each node, in order, `late` says whether it belongs to the second part.
    fn parted(&self, mut late: impl FnMut(usize, &Node) -> bool) -> Split {
        let (mut nodes, mut later) = (Vec::new(), Vec::new());
        for (at, node) in self.nodes.iter().enumerate() {
            if late(at, node) { &mut later } else { &mut nodes }.push(node.clone());
        }
        let mut made_later = vec![false; self.values.len()];
        later.iter().flat_map(|node| &node.outputs).for_each(|&id| made_later[id] = true);
        let used = later.iter().flat_map(|node| node.kind.inputs()).chain(self.outputs.iter().map(|(_, id)| *id));
        let mut handed: Vec<Id> = used.filter(|&id| !made_later[id]).collect();
        handed.sort_unstable();
        handed.dedup();
        let handed: Vec<(String, Id)> = handed.into_iter().map(|id| (format!("value {id}"), id)).collect();
        let first = Graph { values: self.values.clone(), nodes, inputs: self.inputs.clone(), outputs: handed.clone() };
        let second = Graph { values: self.values.clone(), nodes: later, inputs: handed, outputs: self.outputs.clone() };
        Split { first, second }
    }

    /// Numbers of all inputs, and of all outputs.
    pub fn numbers(&self) -> [usize; 2] {
        [&self.inputs, &self.outputs].map(|ends| ends.iter().map(|(_, id)| self.size(*id).numbers()).sum())
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Kind, Op, Operand, Size, Value};
    use super::*;

    /// `a -> 1 -> 2 -> out`, `a -> 3 -> out`, and `b` goes out as it is; nodes are named for what they make.
    fn graph() -> Graph {
        let value = Value::picture(Size { channels: 1, rows: 2, columns: 3 });
        let node = |from: Id, to: Id| {
            let kind = Kind::Map { op: Op::Exp, operands: vec![Operand::Value(from)] };
            Node { name: to.to_string().into(), kind, outputs: vec![to] }
        };
        let sum = Kind::Map { op: Op::Add, operands: vec![Operand::Value(3), Operand::Value(4)] };
        Graph {
            values: vec![value; 6],
            nodes: vec![node(0, 2), node(2, 3), node(0, 4), Node { name: "5".into(), kind: sum, outputs: vec![5] }],
            inputs: vec![("a".into(), 0), ("b".into(), 1)],
            outputs: vec![("sum".into(), 5), ("b".into(), 1)],
        }
    }

    fn made(graph: &Graph) -> Vec<Id> {
        graph.nodes.iter().map(|node| node.outputs[0]).collect()
    }

    fn ids(ends: &[(String, Id)]) -> Vec<Id> {
        ends.iter().map(|(_, id)| *id).collect()
    }

    #[test]
    fn what_depends_on_a_node_comes_second() {
        let Split { first, second } = graph().split_before(&[1]);
        assert_eq!((made(&first), made(&second)), (vec![2, 4], vec![3, 5]));
        assert_eq!((ids(&first.outputs), ids(&second.inputs)), (vec![1, 2, 4], vec![1, 2, 4]), "and what goes out as it is goes over too");
        assert_eq!((ids(&first.inputs), ids(&second.outputs)), (vec![0, 1], vec![5, 1]));
        assert_eq!(second.numbers(), [18, 12]);
    }

    #[test]
    fn what_a_node_depends_on_comes_first() {
        let Split { first, second } = graph().split_behind(&[1]);
        assert_eq!((made(&first), made(&second)), (vec![2, 3], vec![4, 5]));
        assert_eq!(ids(&first.outputs), [0, 1, 3], "an input that is needed behind is handed over");
    }

    #[test]
    fn a_part_may_hold_everything_or_nothing() {
        let Split { first, second } = graph().split_before(&[0, 1, 2, 3]);
        assert_eq!((made(&first), made(&second).len(), ids(&second.inputs)), (vec![], 4, vec![0, 1]));
        let Split { first, second } = graph().split_behind(&[3]);
        assert_eq!((made(&first).len(), made(&second), ids(&second.inputs)), (4, vec![], vec![1, 5]));
    }
}
