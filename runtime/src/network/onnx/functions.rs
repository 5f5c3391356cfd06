//! Functions of a file's own.

use prost::Message;
use tract_onnx::pb::{AttributeProto, FunctionProto, NodeProto};

use super::nodes::{is_standard, is_standard_domain};
use super::version::version;

/// What a file says of its functions that tract's records of the format leave out: values for attributes that a call does not give.
#[derive(Clone, PartialEq, Message)]
struct Record {
    #[prost(message, repeated, tag = "25")]
    functions: Vec<FunctionRecord>,
}

#[derive(Clone, PartialEq, Message)]
struct FunctionRecord {
    #[prost(message, repeated, tag = "11")]
    defaults: Vec<AttributeProto>,
}

/// A function, and what else the file says of it.
pub struct Function {
    pub proto: FunctionProto,
    /// Values for attributes that a call does not give.
    pub defaults: Vec<AttributeProto>,
    pub opset: i64,
}

/// The functions of a file.
pub struct Functions(Vec<Function>);

impl Functions {
    /// Those of the file that `bytes` are, whose own nodes are of `opset`.
    pub fn new(protos: Vec<FunctionProto>, bytes: &[u8], opset: i64) -> Result<Functions, String> {
        if protos.is_empty() {
            return Ok(Functions(Vec::new()));
        }
        let records = Record::decode(bytes).map_or(Vec::new(), |record| record.functions);
        let mut functions: Vec<Function> = Vec::with_capacity(protos.len());
        for (proto, record) in protos.into_iter().zip(records) {
            let opset = if proto.opset_import.iter().any(is_standard) { version(&proto.opset_import, 8)? } else { opset };
            if functions.iter().any(|earlier| earlier.proto.name == proto.name && earlier.proto.domain == proto.domain) {
                return Err(format!("has two functions called '{}'; overloads are not read", proto.name.unwrap_or_default()));
            }
            functions.push(Function { proto, defaults: record.defaults, opset });
        }
        Ok(Functions(functions))
    }

    /// The function that `node` calls.
    pub fn called_by(&self, node: &NodeProto) -> Option<&Function> {
        self.0.iter().find(|function| {
            let domain = function.proto.domain.as_deref().unwrap_or("");
            let same = node.domain == domain || (is_standard_domain(&node.domain) && is_standard_domain(domain));
            same && function.proto.name.as_deref() == Some(node.op_type.as_str())
        })
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The one version that the graph, of `opset`, and all functions have where it matters, which is from opset 20 on.
    pub fn same_or_newest(&self, opset: i64) -> Result<i64, String> {
        let newest = self.0.iter().map(|function| function.opset).fold(opset, i64::max);
        let oldest = self.0.iter().map(|function| function.opset).fold(opset, i64::min);
        if newest >= 20 && oldest < 21 && oldest != newest {
            return Err(format!("its functions are of opset {oldest} to {newest}, which GroupNormalization and DFT do not bridge"));
        }
        Ok(newest)
    }
}
