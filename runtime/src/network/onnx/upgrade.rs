//! Nodes of older opsets to the form they have at opset 18.

use std::collections::{HashMap, HashSet};

use tract_onnx::pb::tensor_proto::DataType;
use tract_onnx::pb::{AttributeProto, GraphProto, NodeProto, TensorProto};

use super::functions::Functions;
use super::nodes::{
    Names, attribute, called, constant, floats, int, int_attribute, ints, is_standard_domain, node as made, numbers, subgraphs,
    subgraphs_mut, take, text, text_attribute,
};
use super::{operators, recurrent};

/// Upgrades all nodes of `graph`.
pub fn graph(graph: &mut GraphProto, opset: i64, functions: &Functions, names: &Names) -> Result<(), String> {
    let outputs = graph.output.iter().map(|output| output.name.as_str());
    let scope = Scope::new(opset, &graph.initializer, &graph.node, outputs, functions, names);
    graph.node = scope.upgrade(std::mem::take(&mut graph.node))?;
    Ok(())
}

/// The nodes of one graph, while they are upgraded.
pub struct Scope<'a> {
    opset: i64,
    functions: &'a Functions,
    names: &'a Names,
    /// Numbers that are known when the graph is read.
    known: HashMap<String, Vec<f64>>,
    /// Names that something reads.
    used: HashSet<String>,
}

impl<'a> Scope<'a> {
    /// Looks at the nodes before they change.
    pub fn new<'o>(
        opset: i64,
        initializers: &[TensorProto],
        nodes: &[NodeProto],
        outputs: impl Iterator<Item = &'o str>,
        functions: &'a Functions,
        names: &'a Names,
    ) -> Scope<'a> {
        let mut known = HashMap::new();
        // Bounds, axes, pads and scales are short; weights are not looked into here.
        let mut keep = |name: &str, tensor: &TensorProto| {
            if let Some(numbers) = numbers(tensor).filter(|numbers| numbers.len() <= 64) {
                known.insert(name.to_owned(), numbers);
            }
        };
        initializers.iter().for_each(|tensor| keep(&tensor.name, tensor));
        for node in nodes.iter().filter(|node| node.op_type == "Constant") {
            if let (Some(tensor), Some(name)) = (constant_value(node), node.output.first()) {
                keep(name, &tensor);
            }
        }
        let mut used: HashSet<String> = outputs.map(str::to_owned).collect();
        gather_used(nodes, &mut used);
        Scope { opset, functions, names, known, used }
    }

    /// All nodes, upgraded, with the constants they need before them.
    pub fn upgrade(&self, nodes: Vec<NodeProto>) -> Result<Vec<NodeProto>, String> {
        let mut out = Vec::with_capacity(nodes.len());
        for mut node in nodes {
            for inner in subgraphs_mut(&mut node) {
                graph(inner, self.opset, self.functions, self.names)?;
            }
            // An input that is left out at the end is not there.
            while node.input.last().is_some_and(String::is_empty) {
                node.input.pop();
            }
            if self.functions.called_by(&node).is_some() {
                out.push(node);
                continue;
            }
            if !is_standard_domain(&node.domain) {
                operators::check_foreign(&node)?;
                out.push(node);
                continue;
            }
            node.domain.clear();
            operators::check(&node, self.opset)?;
            let name = called(&node);
            self.one(node, &mut out).map_err(|reason| format!("{name}: {reason}"))?;
        }
        Ok(out)
    }

    fn one(&self, mut node: NodeProto, out: &mut Vec<NodeProto>) -> Result<(), String> {
        let opset = self.opset;
        match node.op_type.as_str() {
            "Constant" => {
                let tensor = constant_value(&node).ok_or("its value is neither a tensor nor numbers")?;
                node = constant(&node.output[0], tensor);
            }
            "Clip" if opset < 11 => {
                for bound in ["min", "max"] {
                    let bound = take(&mut node, bound).map(|bound| self.constant(floats(&[], &[bound.f]), out));
                    node.input.push(bound.unwrap_or_default());
                }
                while node.input.last().is_some_and(String::is_empty) {
                    node.input.pop();
                }
            }
            "Upsample" => self.upsample(&mut node, out)?,
            "Resize" if opset < 11 => self.resize_10(&mut node)?,
            "Pad" => self.pad(&mut node, out)?,
            "Slice" if opset < 10 => {
                let list = |attribute: Option<AttributeProto>| attribute.map(|attribute| attribute.ints);
                let starts = list(take(&mut node, "starts")).ok_or("it has no starts")?;
                let ends = list(take(&mut node, "ends")).ok_or("it has no ends")?;
                let axes = list(take(&mut node, "axes")).unwrap_or_else(|| (0..starts.len() as i64).collect());
                for list in [starts, ends, axes] {
                    node.input.push(self.constant(ints(&list), out));
                }
            }
            "Split" => {
                if let Some(sizes) = take(&mut node, "split") {
                    node.input.push(self.constant(ints(&sizes.ints), out));
                }
                let parts = node.output.len() as i64;
                if take(&mut node, "num_outputs").is_some_and(|wanted| wanted.i != parts) {
                    return Err(format!("its num_outputs are not the {parts} outputs it has"));
                }
            }
            "Squeeze" | "Unsqueeze" if opset < 13 => self.list_to_input("axes", &mut node, out),
            "ReduceSum" if opset < 13 => self.list_to_input("axes", &mut node, out),
            op if op.starts_with("Reduce") && op != "ReduceSum" && opset < 18 => self.list_to_input("axes", &mut node, out),
            "TopK" if opset < 10 => {
                let k = take(&mut node, "k").ok_or("it has no k")?;
                node.input.push(self.constant(ints(&[k.i]), out));
            }
            "Softmax" | "LogSoftmax" | "Hardmax" => return self.softmax(node, out),
            "Dropout" => self.dropout(&mut node)?,
            "BatchNormalization" => self.batch_norm(&mut node)?,
            "Scatter" => node.op_type = "ScatterElements".into(),
            "GRU" | "LSTM" | "RNN" => recurrent::check(&node)?,
            "QuantizeLinear" => self.quantize(&mut node, out)?,
            "Swish" => return self.swish(node, out),
            "Celu" => return self.celu(node, out),
            _ => {}
        }
        out.push(node);
        Ok(())
    }

    /// Adds a constant and gives its name.
    fn constant(&self, tensor: TensorProto, out: &mut Vec<NodeProto>) -> String {
        let name = self.names.fresh("constant");
        out.push(constant(&name, tensor));
        name
    }

    /// A list that was an attribute becomes the second input.
    fn list_to_input(&self, name: &str, node: &mut NodeProto, out: &mut Vec<NodeProto>) {
        if let Some(list) = take(node, name) {
            node.input.push(self.constant(ints(&list.ints), out));
        }
    }

    fn known(&self, node: &NodeProto, at: usize) -> Option<&[f64]> {
        self.known.get(node.input.get(at)?).map(Vec::as_slice)
    }

    /// Upsample became Resize: the pixel that a position falls on, counted from the corner.
    fn upsample(&self, node: &mut NodeProto, out: &mut Vec<NodeProto>) -> Result<(), String> {
        let scales = match take(node, "scales") {
            Some(scales) => self.constant(floats(&[scales.floats.len() as i64], &scales.floats), out),
            None => node.input.get(1).cloned().ok_or("it has no scales")?,
        };
        node.op_type = "Resize".into();
        node.input.truncate(1);
        node.input.extend([String::new(), scales]);
        self.corner(node, "floor")
    }

    /// Opset 10 had no word for where pixels lie: they are counted from the corner, and a smaller picture takes the next one.
    fn resize_10(&self, node: &mut NodeProto) -> Result<(), String> {
        let scales = self.known(node, 1).ok_or("its scales are not constant")?;
        let (smaller, larger) = (scales.iter().any(|scale| *scale < 1.0), scales.iter().any(|scale| *scale > 1.0));
        if smaller && larger && text(node, "mode", "nearest") == "nearest" {
            return Err(
                "it makes one side larger and another smaller, which opset 10 leaves undefined; export with opset 11 or newer".into()
            );
        }
        let scales = node.input.pop().unwrap_or_default();
        node.input.extend([String::new(), scales]);
        self.corner(node, if smaller { "ceil" } else { "floor" })
    }

    fn corner(&self, node: &mut NodeProto, nearest: &str) -> Result<(), String> {
        match text(node, "mode", "nearest") {
            "nearest" => node.attribute.push(text_attribute("nearest_mode", nearest)),
            "linear" | "bilinear" => {
                take(node, "mode");
                node.attribute.push(text_attribute("mode", "linear"));
            }
            other => return Err(format!("mode '{other}' is none of nearest and linear")),
        }
        node.attribute.push(text_attribute("coordinate_transformation_mode", "asymmetric"));
        Ok(())
    }

    fn pad(&self, node: &mut NodeProto, out: &mut Vec<NodeProto>) -> Result<(), String> {
        let negative = || Err("it cuts away (negative pads), which is not read; use a Slice".to_owned());
        let value = take(node, "value").map_or(0.0, |value| value.f);
        if let Some(pads) = take(node, "pads") {
            if pads.ints.iter().any(|pad| *pad < 0) {
                return negative();
            }
            for list in [ints(&pads.ints), floats(&[], &[value])] {
                node.input.push(self.constant(list, out));
            }
        } else if self.known(node, 1).is_some_and(|pads| pads.iter().any(|pad| *pad < 0.0)) {
            return negative();
        }
        match text(node, "mode", "constant") {
            "constant" => Ok(()),
            "reflect" | "edge" => {
                // A value means nothing here, and tract would take it for the mode.
                if let Some(value) = node.input.get_mut(2) {
                    value.clear();
                }
                if node.input.len() == 3 {
                    node.input.pop();
                }
                Ok(())
            }
            other => Err(format!("mode '{other}' is none of constant, reflect and edge")),
        }
    }

    /// Up to opset 12 all axes from the given one on were taken together, as in a matrix.
    fn softmax(&self, mut node: NodeProto, out: &mut Vec<NodeProto>) -> Result<(), String> {
        let old = self.opset < 13;
        let axis = take(&mut node, "axis").map_or(if old { 1 } else { -1 }, |axis| axis.i);
        if !old || axis == -1 {
            node.attribute.push(int_attribute("axis", axis));
            out.push(node);
            return Ok(());
        }
        let (input, output) = (node.input[0].clone(), node.output[0].clone());
        let [shape, flat, done] = ["shape", "flat", "done"].map(|what| self.names.fresh(what));
        out.push(made("Shape", &shape, &[&input], &[&shape]));
        let flatten = made("Flatten", &flat, &[&input], &[&flat]);
        out.push(NodeProto { attribute: vec![int_attribute("axis", axis)], ..flatten });
        node.input = vec![flat];
        node.output = vec![done.clone()];
        node.attribute.push(int_attribute("axis", -1));
        out.push(node);
        out.push(made("Reshape", &output, &[&done, &shape], &[&output]));
        Ok(())
    }

    fn dropout(&self, node: &mut NodeProto) -> Result<(), String> {
        if node.output.get(1).is_some_and(|mask| self.used.contains(mask)) {
            return Err("its mask is used, which only training needs; export in evaluation mode".into());
        }
        if node.input.len() > 2 && self.known(node, 2) != Some(&[0.0]) {
            return Err("it is in training mode; export in evaluation mode".into());
        }
        node.op_type = "Identity".into();
        node.input.truncate(1);
        node.output.truncate(1);
        node.attribute.clear();
        Ok(())
    }

    fn batch_norm(&self, node: &mut NodeProto) -> Result<(), String> {
        if int(node, "training_mode", 0) != 0 || node.output.iter().skip(1).any(|output| !output.is_empty()) {
            return Err("it is in training mode; export in evaluation mode".into());
        }
        if int(node, "spatial", 1) != 1 {
            return Err("spatial = 0 (a figure for every pixel) is not read; export with opset 9 or newer".into());
        }
        node.attribute.retain(|attribute| attribute.name == "epsilon");
        node.output.truncate(1);
        Ok(())
    }

    /// The wanted kind of whole number, where no zero point shows it.
    fn quantize(&self, node: &mut NodeProto, out: &mut Vec<NodeProto>) -> Result<(), String> {
        let Some(wanted) = take(node, "output_dtype").filter(|wanted| wanted.i != 0) else { return Ok(()) };
        if node.input.len() > 2 {
            return Ok(());
        }
        let kind = DataType::try_from(wanted.i as i32).ok().filter(|kind| matches!(kind, DataType::Int8 | DataType::Uint8));
        let kind = kind.ok_or("whole numbers of 8 bits are read only")?;
        let zero = TensorProto { data_type: kind as i32, raw_data: vec![0], ..TensorProto::default() };
        let zero = self.constant(zero, out);
        node.input.push(zero);
        Ok(())
    }

    /// As an Elu of a scaled input: tract's own is another function where alpha is not 1.
    fn celu(&self, mut node: NodeProto, out: &mut Vec<NodeProto>) -> Result<(), String> {
        let alpha = take(&mut node, "alpha").map_or(1.0, |alpha| alpha.f);
        let (input, output) = (node.input[0].clone(), node.output[0].clone());
        let [before, after] = [1.0 / alpha, alpha].map(|factor| self.constant(floats(&[], &[factor]), out));
        let [scaled, bent] = ["scaled", "bent"].map(|what| self.names.fresh(what));
        out.push(made("Mul", &scaled, &[&input, &before], &[&scaled]));
        out.push(made("Elu", &bent, &[&scaled], &[&bent]));
        out.push(made("Mul", &node.name, &[&bent, &after], &[&output]));
        Ok(())
    }

    fn swish(&self, mut node: NodeProto, out: &mut Vec<NodeProto>) -> Result<(), String> {
        let alpha = take(&mut node, "alpha").map_or(1.0, |alpha| alpha.f);
        let (input, output) = (node.input[0].clone(), node.output[0].clone());
        let factor = self.constant(floats(&[], &[alpha]), out);
        let [scaled, gate] = ["scaled", "gate"].map(|what| self.names.fresh(what));
        out.push(made("Mul", &scaled, &[&input, &factor], &[&scaled]));
        out.push(made("Sigmoid", &gate, &[&scaled], &[&gate]));
        out.push(made("Mul", &node.name, &[&input, &gate], &[&output]));
        Ok(())
    }
}

fn gather_used(nodes: &[NodeProto], used: &mut HashSet<String>) {
    for node in nodes {
        used.extend(node.input.iter().cloned());
        for inner in subgraphs(node) {
            used.extend(inner.output.iter().map(|output| output.name.clone()));
            gather_used(&inner.node, used);
        }
    }
}

/// The value of a `Constant` node in whichever of its attributes it stands.
fn constant_value(node: &NodeProto) -> Option<TensorProto> {
    if let Some(value) = attribute(node, "value") {
        return value.t.clone();
    }
    let [given] = &node.attribute[..] else { return None };
    match given.name.as_str() {
        "value_float" => Some(floats(&[], &[given.f])),
        "value_floats" => Some(floats(&[given.floats.len() as i64], &given.floats)),
        "value_int" => Some(TensorProto { dims: Vec::new(), ..ints(&[given.i]) }),
        "value_ints" => Some(ints(&given.ints)),
        _ => None,
    }
}
