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
mod nodes;
mod numbers;
mod operators;
mod quantised;
mod recurrent;
mod sizes;
mod upgrade;

use std::ops::RangeInclusive;

use prost::Message;
use tract_onnx::pb::{GraphProto, ModelProto, OperatorSetIdProto};

pub use external::ExternalData;
pub use for_tract::for_tract;
use functions::Functions;
use nodes::{Names, is_standard};
pub use operators::table;

/// Versions of the operator set that are read.
pub const OPSETS: RangeInclusive<i64> = 7..=24;
/// Version whose forms a clean graph's nodes have.
const CLEAN: i64 = 18;

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
    upgrade_graph(&mut graph, opset, &functions, &names)?;
    functions.inline(&mut graph, &names)?;
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

/// The version of the standard operators that a file or a function asks for.
fn version(imports: &[OperatorSetIdProto], ir: i64) -> Result<i64, String> {
    let version = match imports.iter().find(|import| is_standard(import)) {
        Some(import) => import.version,
        // Before the third revision of the format there was one version only, and nothing to say it with.
        None if ir < 3 => 1,
        None => return Err("does not say which opset its nodes mean; export it again".into()),
    };
    if OPSETS.contains(&version) {
        return Ok(version);
    }
    let (oldest, newest) = (OPSETS.start(), OPSETS.end());
    Err(format!("is of opset {version}, and {oldest} to {newest} are read; export it again with opset_version={CLEAN}"))
}

fn upgrade_graph(graph: &mut GraphProto, opset: i64, functions: &Functions, names: &Names) -> Result<(), String> {
    let outputs = graph.output.iter().map(|output| output.name.as_str());
    let scope = upgrade::Scope::new(opset, &graph.initializer, &graph.node, outputs, functions, names);
    graph.node = scope.upgrade(std::mem::take(&mut graph.node))?;
    Ok(())
}
