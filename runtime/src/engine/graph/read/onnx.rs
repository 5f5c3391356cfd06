//! Constants and attributes as ONNX files hold them.

use tract_onnx::pb::tensor_proto::DataType;
use tract_onnx::pb::{AttributeProto, NodeProto, TensorProto};

use crate::engine::graph::Constant;

/// Reads a tensor of an ONNX file.
pub fn constant(tensor: &TensorProto) -> Result<Constant, String> {
    let shape: Vec<usize> = tensor.dims.iter().map(|&n| usize::try_from(n).unwrap_or(0)).collect();
    let raw = &tensor.raw_data[..];
    let values: Vec<f32> = match DataType::try_from(tensor.data_type) {
        Ok(DataType::Float) if raw.is_empty() => tensor.float_data.clone(),
        Ok(DataType::Float) => raw.as_chunks().0.iter().map(|&bytes| f32::from_le_bytes(bytes)).collect(),
        Ok(DataType::Int64) if raw.is_empty() => tensor.int64_data.iter().map(|&n| n as f32).collect(),
        Ok(DataType::Int64) => raw.as_chunks().0.iter().map(|&bytes| i64::from_le_bytes(bytes) as f32).collect(),
        Ok(DataType::Int32) if raw.is_empty() => tensor.int32_data.iter().map(|&n| n as f32).collect(),
        Ok(DataType::Int32) => raw.as_chunks().0.iter().map(|&bytes| i32::from_le_bytes(bytes) as f32).collect(),
        Ok(DataType::Bool) if raw.is_empty() => tensor.int32_data.iter().map(|&n| n as f32).collect(),
        Ok(DataType::Bool) => raw.iter().map(|&byte| f32::from(byte)).collect(),
        other => return Err(format!("'{}' holds {other:?}, not 32-bit floats", tensor.name)),
    };
    if values.len() != shape.iter().product::<usize>() || tensor.data_location.unwrap_or(0) != 0 {
        return Err(format!("'{}' does not hold {shape:?} numbers", tensor.name));
    }
    Ok(Constant { shape, values })
}

/// A node's attributes by name.
pub struct Attributes<'a>(pub &'a NodeProto);

impl Attributes<'_> {
    fn get(&self, name: &str) -> Option<&AttributeProto> {
        self.0.attribute.iter().find(|attribute| attribute.name == name)
    }

    /// A float.
    pub fn float(&self, name: &str, default: f32) -> f32 {
        self.get(name).map_or(default, |attribute| attribute.f)
    }

    /// A whole number.
    pub fn signed(&self, name: &str, default: i64) -> i64 {
        self.get(name).map_or(default, |attribute| attribute.i)
    }

    /// A whole number that is not negative; 0 if it is.
    pub fn int(&self, name: &str, default: usize) -> usize {
        self.get(name).map_or(default, |attribute| usize::try_from(attribute.i).unwrap_or(0))
    }

    /// Text; empty if absent.
    pub fn text(&self, name: &str) -> &str {
        self.get(name).and_then(|attribute| std::str::from_utf8(&attribute.s).ok()).unwrap_or("")
    }

    /// Whole numbers; empty if absent.
    pub fn list(&self, name: &str) -> &[i64] {
        self.get(name).map_or(&[], |attribute| &attribute.ints)
    }

    /// So many whole numbers that are not negative.
    pub fn ints<const N: usize>(&self, name: &str, default: [usize; N]) -> Result<[usize; N], String> {
        let given = self.list(name);
        if given.is_empty() {
            return Ok(default);
        }
        let numbers: Option<Vec<usize>> = given.iter().map(|&n| usize::try_from(n).ok()).collect();
        numbers.and_then(|numbers| numbers.try_into().ok()).ok_or_else(|| format!("{name} are {given:?}"))
    }

    /// The value of a `Constant` node.
    pub fn constant(&self) -> Result<Constant, String> {
        if let Some(tensor) = self.get("value").and_then(|attribute| attribute.t.as_ref()) {
            return constant(tensor);
        }
        if let Some(x) = self.get("value_float") {
            return Ok(Constant { shape: Vec::new(), values: vec![x.f] });
        }
        if let Some(n) = self.get("value_int") {
            return Ok(Constant { shape: Vec::new(), values: vec![n.i as f32] });
        }
        if let Some(n) = self.get("value_ints") {
            return Ok(Constant { shape: vec![n.ints.len()], values: n.ints.iter().map(|&n| n as f32).collect() });
        }
        Err("its value is not a tensor of floats".into())
    }
}
