//! Which operators are read, and what a node of each may carry at each opset.
//!
//! `operators.txt` is made from the ONNX schemas (`tests/onnx/operators.py`): one operator a line, and behind it, for each opset at which
//! that changed, `OPSET:MOST INPUTS:ATTRIBUTES`; `-` for inputs where an opset gave the operator up.

use tract_onnx::pb::NodeProto;

use super::nodes::called;

const TABLE: &str = include_str!("operators.txt");

/// Operators of ONNX Runtime's own that mean one thing only.
const MICROSOFT: &[&str] = &["BiasGelu", "FastGelu", "QuickGelu", "SkipLayerNormalization"];

/// The names of the operators, and the opset from which each is read.
pub fn table() -> impl Iterator<Item = (&'static str, i64)> {
    TABLE.lines().filter_map(|line| {
        let (name, forms) = line.split_once(' ')?;
        Some((name, forms.split(':').next()?.parse().ok()?))
    })
}

/// One operator from one opset on.
struct Form {
    since: i64,
    /// None where the operator is given up.
    inputs: Option<usize>,
    attributes: &'static str,
}

fn forms(op: &str) -> Option<impl Iterator<Item = Form>> {
    let line = TABLE.lines().find_map(|line| line.strip_prefix(op)?.strip_prefix(' '))?;
    Some(line.split(' ').filter_map(|form| {
        let mut parts = form.splitn(3, ':');
        let since = parts.next()?.parse().ok()?;
        let inputs = match parts.next()? {
            "-" => None,
            "*" => Some(usize::MAX),
            count => Some(count.parse().ok()?),
        };
        Some(Form { since, inputs, attributes: parts.next()? })
    }))
}

/// Whether this is a node of the standard operators as `opset` has them.
pub fn check(node: &NodeProto, opset: i64) -> Result<(), String> {
    let refuse = |reason: String| Err(format!("{}: {reason}", called(node)));
    let Some(forms) = forms(&node.op_type) else {
        return refuse("this runtime has no such operator".into());
    };
    let mut newest = i64::MAX;
    let mut form = None;
    for candidate in forms {
        newest = newest.min(candidate.since);
        if candidate.since <= opset {
            form = Some(candidate);
        }
    }
    let Some(form) = form else {
        return refuse(format!("came with opset {newest}, but the graph is of opset {opset}; export it again"));
    };
    let Some(inputs) = form.inputs else {
        return refuse(format!("was given up with opset {}, but the graph is of opset {opset}; export it again", form.since));
    };
    if node.input.len() > inputs {
        return refuse(format!("has {} inputs, and at opset {opset} it takes {inputs} at most; export it again", node.input.len()));
    }
    let known = |name: &str| form.attributes.split(',').any(|known| known == name);
    match node.attribute.iter().find(|attribute| !known(&attribute.name)) {
        Some(stray) => refuse(format!("has the attribute '{}', which it does not have at opset {opset}; export it again", stray.name)),
        None => Ok(()),
    }
}

/// Whether this is a node of another domain that is read all the same.
pub fn check_foreign(node: &NodeProto) -> Result<(), String> {
    if node.domain == "com.microsoft" && MICROSOFT.contains(&node.op_type.as_str()) {
        return Ok(());
    }
    Err(format!("{}: operators of '{}' are not known; export without it", called(node), node.domain))
}
