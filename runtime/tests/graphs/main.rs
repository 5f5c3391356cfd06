//! Graphs as people export them: what each opset means, where weights lie, what may stay open, and what is refused.
//!
//! The networks are written here, record by record, so that no exporter is needed. `tests/onnx/judge.py` tries far more of them, with ONNX
//! Runtime as the judge.

mod answers;
mod carried;
mod kinds;
mod meaning;
mod mistakes;
mod parts;
mod refused;
mod weights;
mod write;

/// What `runtime/README.md` says is read, and by which engine it is computed.
#[test]
fn the_readme_has_the_table_of_operators() {
    let readme = include_str!("../../README.md");
    assert!(readme.contains(&recslowfast::engine::graph::coverage::table()), "the table is what `recslowfast inspect --operators` prints");
}
