//! Graphs as people export them: what each opset means, where weights lie, what may stay open, and what is refused.
//!
//! The networks are written here, record by record, so that no exporter is needed. `tests/onnx/judge.py` tries far more of them, with ONNX
//! Runtime as the judge.

mod answers;
mod kinds;
mod meaning;
mod refused;
mod weights;
mod write;

/// What `runtime/README.md` says is read.
#[test]
fn the_readme_lists_the_operators_that_are_read() {
    let readme = include_str!("../../README.md");
    let list =
        readme.lines().skip_while(|line| !line.starts_with("Abs, ")).take_while(|line| !line.is_empty()).collect::<Vec<_>>().join(" ");
    let listed: Vec<&str> = list.trim_end_matches('.').split(", ").collect();
    let known: Vec<&str> = recslowfast::network::onnx::table().map(|(name, _)| name).collect();
    assert_eq!(listed, known);
}
