//! Weights that lie in a file beside their graph, as exporters leave them.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Component, Path};

use tract_onnx::pb::tensor_proto::DataLocation;
use tract_onnx::pb::{GraphProto, TensorProto};

use super::nodes::each_tensor;

/// Where a graph's other files are.
#[derive(Clone, Copy, Debug)]
pub enum ExternalData<'a> {
    /// In this folder.
    Folder(&'a Path),
    /// The graph came without any.
    Nothing,
}

/// Puts all external numbers into the graph.
pub fn resolve(graph: &mut GraphProto, beside: ExternalData) -> Result<(), String> {
    each_tensor(graph, &mut |tensor| {
        if tensor.data_location.unwrap_or(0) == DataLocation::External as i32 {
            tensor.raw_data = read(tensor, beside).map_err(|reason| format!("the numbers of '{}' {reason}", tensor.name))?;
            tensor.data_location = None;
            tensor.external_data.clear();
        }
        Ok(())
    })
}

fn read(tensor: &TensorProto, beside: ExternalData) -> Result<Vec<u8>, String> {
    let entry = |key: &str| tensor.external_data.iter().find(|entry| entry.key == key).map(|entry| entry.value.as_str());
    let number = |key: &str| match entry(key) {
        None => Ok(None),
        Some(text) => text.parse::<u64>().map(Some).map_err(|_| format!("are at {key} '{text}', which is no number")),
    };
    let location = entry("location").ok_or("lie outside the graph, which does not say where")?;
    let ExternalData::Folder(folder) = beside else {
        return Err(format!("lie in '{location}', and this network came without files beside it; export with external_data=False"));
    };
    let escapes = || format!("lie in '{location}', outside the network's folder; copy it beside the graph and export again");
    // Checked twice: as it is written, and as links lead.
    if !Path::new(location).components().all(|part| matches!(part, Component::Normal(_) | Component::CurDir)) {
        return Err(escapes());
    }
    let cannot = |error: std::io::Error| format!("lie in '{location}', which cannot be read: {error}; copy it beside the graph");
    let path = folder.join(location).canonicalize().map_err(cannot)?;
    if !path.starts_with(folder.canonicalize().map_err(cannot)?) {
        return Err(escapes());
    }
    if !path.is_file() {
        return Err(format!("lie in '{location}', which is no file"));
    }
    let mut file = File::open(path).map_err(cannot)?;
    let holds = file.metadata().map_err(cannot)?.len();
    let offset = number("offset")?.unwrap_or(0);
    let length = number("length")?.unwrap_or(holds.saturating_sub(offset));
    if offset.checked_add(length).is_none_or(|end| end > holds) {
        return Err(format!("are {length} bytes at {offset} of '{location}', which holds {holds}; copy it again"));
    }
    let mut bytes = vec![0; usize::try_from(length).map_err(|_| "are too many for this machine")?];
    file.seek(SeekFrom::Start(offset)).and_then(|_| file.read_exact(&mut bytes)).map_err(cannot)?;
    Ok(bytes)
}
