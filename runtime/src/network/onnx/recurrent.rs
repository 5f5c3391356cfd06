//! GRU, LSTM and RNN nodes: forward or both ways, with the activations the papers have.

use tract_onnx::pb::NodeProto;

use super::nodes::{attribute, int, text};

/// Refuses what would be passed over when the node is run.
pub fn check(node: &NodeProto) -> Result<(), String> {
    if text(node, "direction", "forward").eq_ignore_ascii_case("reverse") {
        return Err("direction 'reverse' is not read; reverse its input with a Slice and its output likewise".into());
    }
    let usual: &[&str] = match node.op_type.as_str() {
        "GRU" => &["Sigmoid", "Tanh"],
        "LSTM" => &["Sigmoid", "Tanh", "Tanh"],
        _ => &["Tanh"],
    };
    if let Some(given) = attribute(node, "activations") {
        let is = |(at, name): (usize, &Vec<u8>)| name.eq_ignore_ascii_case(usual[at % usual.len()].as_bytes());
        if !given.strings.iter().enumerate().all(is) {
            return Err(format!("other activations than {} are not read", usual.join(", ")));
        }
    }
    if attribute(node, "clip").is_some_and(|clip| clip.f > 0.0) {
        return Err("clip is not read".into());
    }
    if int(node, "input_forget", 0) != 0 {
        return Err("input_forget is not read".into());
    }
    Ok(())
}
