//! Calls of a file's own functions, each replaced by the function's nodes.

use std::collections::HashMap;

use tract_onnx::pb::{AttributeProto, GraphProto, NodeProto};

use super::functions::{Function, Functions};
use super::nodes::{Names, attribute, called, node, subgraphs_mut};
use super::upgrade::Scope;

/// Functions may call functions, but not for ever.
const DEPTH: usize = 32;
/// Most nodes that calls may unfold into.
const NODES: usize = 1 << 20;

/// Replaces every call in `graph`.
pub fn calls(graph: &mut GraphProto, functions: &Functions, names: &Names) -> Result<(), String> {
    if functions.is_empty() {
        return Ok(());
    }
    Inliner { functions, names, nodes: 0 }.graph(graph, DEPTH)
}

struct Inliner<'a> {
    functions: &'a Functions,
    names: &'a Names,
    nodes: usize,
}

impl Inliner<'_> {
    fn graph(&mut self, graph: &mut GraphProto, depth: usize) -> Result<(), String> {
        graph.node = self.unfold(std::mem::take(&mut graph.node), depth)?;
        Ok(())
    }

    fn unfold(&mut self, nodes: Vec<NodeProto>, depth: usize) -> Result<Vec<NodeProto>, String> {
        let mut out = Vec::with_capacity(nodes.len());
        for mut node in nodes {
            self.nodes += 1;
            if self.nodes > NODES {
                return Err("its functions unfold into more than a million nodes".into());
            }
            if let Some(function) = self.functions.called_by(&node) {
                let deeper = depth.checked_sub(1).ok_or_else(|| format!("{}: its function calls itself", called(&node)))?;
                let body = self.body(&node, function)?;
                out.extend(self.unfold(body, deeper)?);
            } else {
                for inner in subgraphs_mut(&mut node) {
                    self.graph(inner, depth)?;
                }
                out.push(node);
            }
        }
        Ok(out)
    }

    /// The function's nodes, reading and writing what the call does.
    fn body(&self, call: &NodeProto, function: &Function) -> Result<Vec<NodeProto>, String> {
        let Function { proto: function, defaults, opset } = function;
        let mut call = call.clone();
        let left_out: Vec<_> = defaults.iter().filter(|default| attribute(&call, &default.name).is_none()).cloned().collect();
        call.attribute.extend(left_out);
        let mut body = function.node.clone();
        body.iter_mut().for_each(|node| bind(node, &call));
        let outputs = function.output.iter().map(String::as_str);
        let mut body = Scope::new(*opset, &[], &body, outputs, self.functions, self.names).upgrade(body)?;
        let inside = self.names.fresh(&call.name);
        let mut renamed = HashMap::new();
        for (at, input) in function.input.iter().enumerate() {
            renamed.insert(input.as_str(), call.input.get(at).cloned().unwrap_or_default());
        }
        let mut passed = Vec::new();
        for (output, wanted) in function.output.iter().zip(&call.output).filter(|(_, wanted)| !wanted.is_empty()) {
            // An output that is an input, or one already named, is handed on.
            if let Some(known) = renamed.get(output.as_str()) {
                passed.push(node("Identity", wanted, &[known], &[wanted]));
            } else {
                renamed.insert(output, wanted.clone());
            }
        }
        let rename = |name: &mut String| {
            if !name.is_empty() {
                *name = renamed.get(name.as_str()).cloned().unwrap_or_else(|| format!("{inside}/{name}"));
            }
        };
        body.iter_mut().for_each(|node| rename_node(node, &rename, &inside));
        body.extend(passed);
        Ok(body)
    }
}

/// Puts the call's attributes where the body refers to them; what the call leaves out stays out.
fn bind(node: &mut NodeProto, call: &NodeProto) {
    node.attribute.retain_mut(|given| {
        if given.ref_attr_name.is_empty() {
            return true;
        }
        let Some(value) = attribute(call, &given.ref_attr_name) else { return false };
        *given = AttributeProto { name: std::mem::take(&mut given.name), ref_attr_name: String::new(), ..value.clone() };
        true
    });
    for inner in subgraphs_mut(node) {
        inner.node.iter_mut().for_each(|node| bind(node, call));
    }
}

fn rename_node(node: &mut NodeProto, rename: &dyn Fn(&mut String), inside: &str) {
    node.input.iter_mut().for_each(rename);
    node.output.iter_mut().for_each(rename);
    node.name = format!("{inside}/{}", if node.name.is_empty() { &node.op_type } else { &node.name });
    for inner in subgraphs_mut(node) {
        inner.initializer.iter_mut().for_each(|tensor| rename(&mut tensor.name));
        inner.input.iter_mut().chain(&mut inner.output).for_each(|value| rename(&mut value.name));
        inner.value_info.clear();
        inner.node.iter_mut().for_each(|node| rename_node(node, rename, inside));
    }
}
