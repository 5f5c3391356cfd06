//! Graphs as people export them, made into the one form that both engines read.
//!
//! An ONNX file says which version of the operator set its nodes mean, may keep its weights in a second file, may call functions of its
//! own, may hold 16-bit numbers and may leave its batch open. All of that is settled here, once, on the file's own records:
//!
//! ```text
//! bytes -> external (weights beside the graph) -> operators (is each node one that its opset has?) -> upgrade (to the newest form)
//!       -> functions (each call: upgraded, inlined) -> floats (16-bit to 32-bit) -> quantised (8-bit weights) -> sizes (batch 1, sizes of model.toml) -> numbers (NaN, infinite weights)
//! ```
//!
//! What cannot be read with the meaning that its opset gives it is refused, and the node is named. Nothing here computes a network.

mod external;
mod floats;
mod for_tract;
mod functions;
mod inline;
mod nodes;
mod numbers;
mod operators;
mod quantised;
mod recurrent;
mod sizes;
mod upgrade;
mod version;

use prost::Message;
use tract_onnx::pb::{ModelProto, OperatorSetIdProto};

pub use external::ExternalData;
pub use for_tract::for_tract;
use functions::Functions;
use nodes::{Names, is_standard};
pub use operators::table;
pub use version::OPSETS;
use version::{CLEAN, version};

/// Reads a graph into the form that both engines read, or says why it cannot be. `beside` holds the graph's other files; `size_of` knows
/// the shape of an input by its name and how many inputs there are, where it is known.
pub fn read(bytes: &[u8], beside: ExternalData, size_of: &dyn Fn(&str, usize) -> Option<Vec<usize>>) -> Result<ModelProto, String> {
    let unreadable = |error: prost::DecodeError| format!("is no ONNX graph this runtime can read ({error}); export it again");
    let mut model = ModelProto::decode(bytes).map_err(unreadable)?;
    let opset = version(&model.opset_import, model.ir_version)?;
    let mut graph = model.graph.take().ok_or("holds no graph; it may be truncated")?;
    if !graph.sparse_initializer.is_empty() {
        return Err("holds sparse weights, which are not read; export them dense".into());
    }
    external::resolve(&mut graph, beside)?;
    let names = Names::of(&graph, &model.functions);
    let functions = Functions::new(std::mem::take(&mut model.functions), bytes, opset)?;
    upgrade::graph(&mut graph, opset, &functions, &names)?;
    inline::calls(&mut graph, &functions, &names)?;
    floats::widen(&mut graph)?;
    quantised::open(&mut graph, &names)?;
    sizes::settle(&mut graph, size_of);
    numbers::check(&graph)?;
    nodes::tell_apart(&mut graph, &names);
    // Up to here every node has the form of opset 18; these two kept theirs, and are read by the version.
    let kept = nodes::any(&graph, &|node| matches!(node.op_type.as_str(), "GroupNormalization" | "DFT"));
    let version = if kept { functions.same_or_newest(opset)?.max(CLEAN) } else { CLEAN };
    model.opset_import.retain(|import| !is_standard(import));
    model.opset_import.push(OperatorSetIdProto { domain: String::new(), version });
    model.graph = Some(graph);
    Ok(model)
}
