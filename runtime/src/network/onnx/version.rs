//! Which version of the operator set a file means.

use std::ops::RangeInclusive;

use tract_onnx::pb::OperatorSetIdProto;

use super::nodes::is_standard;

/// Versions of the operator set that are read.
pub const OPSETS: RangeInclusive<i64> = 7..=24;
/// Version whose forms a clean graph's nodes have.
pub(super) const CLEAN: i64 = 18;

/// The version of the standard operators that a file or a function asks for.
pub(super) fn version(imports: &[OperatorSetIdProto], ir: i64) -> Result<i64, String> {
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
