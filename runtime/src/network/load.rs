//! Reads a network's folder, or the one built into the binary, and checks all of it before anything runs.

use std::path::Path;

use tract_onnx::pb::ValueInfoProto;
use tract_onnx::prelude::*;

use super::guard;
use super::manifest::{Manifest, ManifestError, line_of};
use super::onnx::{self, ExternalData};
use super::wiring::Wiring;

/// File names inside a network's folder.
pub const MANIFEST: &str = "model.toml";
/// Frame to drive.
pub const ENCODER: &str = "encoder.onnx";
/// Drive and states to the next states.
pub const STEP: &str = "step.onnx";
/// States (or, without states, the drive) to the answer.
pub const READOUT: &str = "readout.onnx";

/// One graph with its inputs and outputs named.
#[derive(Clone, Debug)]
pub struct Graph {
    /// The file it came from.
    pub file: &'static str,
    /// As the file states it, in the form of [`onnx::read`].
    pub proto: Arc<tract_onnx::pb::GraphProto>,
    /// The version of the operator set that its nodes mean.
    pub opset: i64,
    /// Typed, with every shape known.
    pub model: TypedModel,
    /// Input names in the graph's order.
    pub inputs: Vec<String>,
    /// Output names in the graph's order.
    pub outputs: Vec<String>,
}

/// A checked network.
#[derive(Clone, Debug)]
pub struct Network {
    /// What model.toml says.
    pub manifest: Manifest,
    /// Where it was read from, for messages.
    pub place: String,
    /// CRC-32 over model.toml and the graphs, one after the other; not over what a graph keeps in files beside it.
    pub checksum: u32,
    /// `frame [1, C, H, W]` to `drive`, and in format 2 to any number of named features.
    pub encoder: Graph,
    /// `drive`, features and every state to every `NAME_next`; absent for a feed-forward network.
    pub step: Option<Graph>,
    /// States to the answer: `logits [1, classes, h, w]`, or the `scores` and `boxes` that model.toml describes.
    pub readout: Graph,
}

/// A tensor that the encoder hands on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Encoded {
    /// Its number among the encoder's outputs.
    pub output: usize,
    /// What step and readout call it.
    pub name: String,
    /// Its shape.
    pub shape: Vec<usize>,
}

/// Why a network was refused.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NetworkError {
    /// No such network.
    #[error("no network '{name}': it is neither a folder nor one of the built-in networks ({})", built_in().collect::<Vec<_>>().join(", "))]
    Unknown {
        /// What was asked for.
        name: String,
    },
    /// A file is missing or cannot be read.
    #[error("network {place}: cannot read {file}: {reason}")]
    Read {
        /// The folder.
        place: String,
        /// The file.
        file: &'static str,
        /// Why.
        reason: String,
    },
    /// model.toml is wrong.
    #[error("network {place}: model.toml: {reason}")]
    Manifest {
        /// The folder.
        place: String,
        /// What is wrong.
        reason: ManifestError,
    },
    /// A graph is damaged or disagrees with model.toml.
    #[error("network {place}: {file}: {reason}")]
    Graph {
        /// The folder.
        place: String,
        /// The file.
        file: &'static str,
        /// Which tensor, and which line of model.toml it disagrees with.
        reason: String,
    },
    /// More than one thing is wrong.
    #[error("network {place}: {} mistakes\n  {}", mistakes.len(), mistakes.join("\n  "))]
    Several {
        /// The folder.
        place: String,
        /// Each with its file and, in model.toml, its line.
        mistakes: Vec<String>,
    },
}

/// The files of a network in memory, for [`Network::from_bytes`].
#[derive(Clone, Copy, Debug)]
pub struct NetworkFiles<'a> {
    /// `model.toml`, UTF-8.
    pub manifest: &'a [u8],
    /// `encoder.onnx`, with its weights inside.
    pub encoder: &'a [u8],
    /// `step.onnx`; empty for a feed-forward network.
    pub step: &'a [u8],
    /// `readout.onnx`.
    pub readout: &'a [u8],
}

macro_rules! zoo {
    ($name:literal) => {
        NetworkFiles {
            manifest: include_bytes!(concat!("../../../models/zoo/", $name, "/model.toml")),
            encoder: include_bytes!(concat!("../../../models/zoo/", $name, "/encoder.onnx")),
            step: include_bytes!(concat!("../../../models/zoo/", $name, "/step.onnx")),
            readout: include_bytes!(concat!("../../../models/zoo/", $name, "/readout.onnx")),
        }
    };
}

/// The network for the built-in stream, and wherever else none is named.
pub const DEFAULT: &str = "pathfinder-hgru";

/// The network for cameras and films.
const NATURAL: &str = "street";

/// Networks that travel inside the binary.
const BUILT_IN: &[(&str, NetworkFiles<'static>)] = &[(DEFAULT, zoo!("pathfinder-hgru")), (NATURAL, zoo!("street"))];

/// Names of the networks that travel inside the binary.
pub fn built_in() -> impl Iterator<Item = &'static str> {
    BUILT_IN.iter().map(|(name, _)| *name)
}

/// The files of a network that travels inside the binary: names and contents.
pub fn built_in_files(name: &str) -> Option<[(&'static str, &'static [u8]); 4]> {
    let (_, files) = BUILT_IN.iter().find(|(known, _)| *known == name)?;
    Some([(MANIFEST, files.manifest), (ENCODER, files.encoder), (STEP, files.step), (READOUT, files.readout)])
}

/// The network for pictures that are (`natural`) or are not taken in the real world.
pub fn default_for(natural: bool) -> &'static str {
    if natural { NATURAL } else { DEFAULT }
}

impl Network {
    /// Loads a built-in network by name, or a folder by path.
    ///
    /// # Errors
    ///
    /// There is no such network, a file is missing or cannot be read, or a graph disagrees with `model.toml`; the message names the file, the
    /// tensor and the line.
    pub fn load(name: impl AsRef<Path>) -> Result<Network, NetworkError> {
        let folder = name.as_ref();
        let name = folder.display().to_string();
        if let Some((_, files)) = BUILT_IN.iter().find(|(known, _)| folder.as_os_str() == *known) {
            return Network::from_bytes(&name, *files);
        }
        if !folder.is_dir() {
            return Err(NetworkError::Unknown { name });
        }
        Network::read(&name, ExternalData::Folder(folder), |file| std::fs::read(folder.join(file)))
    }

    /// Reads a network from memory; `place` is what messages call it. Graphs with weights in files beside them are refused.
    ///
    /// # Errors
    ///
    /// As for [`Network::load`].
    pub fn from_bytes(place: &str, files: NetworkFiles) -> Result<Network, NetworkError> {
        Network::read(place, ExternalData::Nothing, |file| {
            Ok(match file {
                MANIFEST => files.manifest.to_vec(),
                ENCODER => files.encoder.to_vec(),
                STEP => files.step.to_vec(),
                _ => files.readout.to_vec(),
            })
        })
    }

    fn read(
        place: &str,
        beside: ExternalData,
        bytes_of: impl Fn(&'static str) -> std::io::Result<Vec<u8>>,
    ) -> Result<Network, NetworkError> {
        let bytes = |file| bytes_of(file).map_err(|error| NetworkError::Read { place: place.to_owned(), file, reason: error.to_string() });
        let checksum = std::cell::RefCell::new(crc32fast::Hasher::new());
        let bytes = |file| bytes(file).inspect(|bytes| checksum.borrow_mut().update(bytes));
        let text = String::from_utf8_lossy(&bytes(MANIFEST)?).into_owned();
        let (manifest, mistakes) = Manifest::parse_with_mistakes(&text);
        let Some(mut manifest) = manifest else {
            return Err(NetworkError::Manifest { place: place.to_owned(), reason: ManifestError(mistakes) });
        };
        if manifest.name.is_empty() {
            manifest.name = Path::new(place).file_name().map_or_else(|| place.to_owned(), |name| name.to_string_lossy().into_owned());
        }
        // All mistakes are collected before the network is refused, so that one run shows them all.
        let mut refused: Vec<NetworkError> = Vec::new();
        let mut graph = |file, size_of: &dyn Fn(&str, usize) -> Option<Vec<usize>>| {
            let read = bytes(file).and_then(|bytes| {
                Graph::read(file, &bytes, beside, size_of).map_err(|reason| NetworkError::Graph { place: place.to_owned(), file, reason })
            });
            read.map_err(|error| refused.push(error)).ok()
        };
        // The frame is an encoder's only input, whatever it is called.
        let encoder = graph(ENCODER, &|_, inputs| (inputs == 1).then(|| manifest.input.shape().to_vec()));
        let handed = encoder.as_ref().map(|encoder| encoded(manifest.format, encoder));
        let arriving = |name: &str, _| match manifest.states.iter().find(|state| state.name == name) {
            Some(state) => Some(state.shape.clone()),
            None => handed.iter().flatten().find(|encoded| encoded.name == name).map(|encoded| encoded.shape.clone()),
        };
        let step = if manifest.states.is_empty() { None } else { graph(STEP, &arriving) };
        let readout = graph(READOUT, &arriving);
        let line = |section: &str, key: &str, nth: usize| line_of(&text, section, key, nth);
        let wiring = Wiring { manifest: &manifest, line: &line, encoded: handed.as_deref() };
        let disagree = wiring.check(encoder.as_ref(), step.as_ref(), readout.as_ref());
        refused.extend(disagree.into_iter().map(|(file, reason)| NetworkError::Graph { place: place.to_owned(), file, reason }));
        if mistakes.is_empty()
            && refused.is_empty()
            && let (Some(encoder), Some(readout)) = (encoder, readout)
        {
            return Ok(Network { place: place.to_owned(), checksum: checksum.into_inner().finalize(), encoder, step, readout, manifest });
        }
        match (mistakes.len(), refused.len()) {
            (_, 0) => Err(NetworkError::Manifest { place: place.to_owned(), reason: ManifestError(mistakes) }),
            (0, 1) => Err(refused.remove(0)),
            _ => {
                let heading = format!("network {place}: ");
                let own = mistakes.iter().map(|mistake| format!("{MANIFEST}: {mistake}"));
                let others = refused.iter().map(|error| error.to_string().replace(&heading, ""));
                Err(NetworkError::Several { place: place.to_owned(), mistakes: own.chain(others).collect() })
            }
        }
    }

    /// What the encoder hands on, the drive first.
    pub fn encoded(&self) -> Vec<Encoded> {
        encoded(self.manifest.format, &self.encoder)
    }

    /// What model.toml says, without the graphs: all that is needed once an engine has taken them over.
    pub fn into_manifest(self) -> Manifest {
        self.manifest
    }

    /// Trained numbers in all three graphs.
    pub fn parameters(&self) -> usize {
        [Some(&self.encoder), self.step.as_ref(), Some(&self.readout)].into_iter().flatten().map(Graph::parameters).sum()
    }
}

/// What an encoder hands on, the drive first: in format 1 its only output, whatever it is called.
fn encoded(format: u32, encoder: &Graph) -> Vec<Encoded> {
    let output = |(output, name): (usize, &String)| Encoded { output, name: name.clone(), shape: encoder.output_shape(output) };
    let mut all: Vec<Encoded> = encoder.outputs.iter().enumerate().map(output).collect();
    match &mut all[..] {
        [drive] if format == 1 => drive.name = "drive".into(),
        _ => all.sort_by_key(|encoded| encoded.name != "drive"),
    }
    all
}

impl Graph {
    fn read(
        file: &'static str,
        bytes: &[u8],
        beside: ExternalData,
        size_of: &dyn Fn(&str, usize) -> Option<Vec<usize>>,
    ) -> Result<Graph, String> {
        let parsed = guard::caught(|| -> Result<(_, i64, TypedModel), String> {
            let unreadable = |error: TractError| format!("is no ONNX graph this runtime can read ({error:#}); export it again");
            let proto = onnx::read(bytes, beside, size_of)?;
            let model = tract_onnx::onnx()
                .model_for_proto_model(&onnx::for_tract(&proto))
                .and_then(|model| model.into_typed())
                .map_err(unreadable)?;
            let opset = proto.opset_import.iter().find(|import| import.domain.is_empty()).map_or(0, |import| import.version);
            Ok((proto.graph.unwrap_or_default(), opset, model))
        });
        let (proto, opset, model) = parsed.unwrap_or_else(|| Err("is damaged; export it again".to_owned()))?;
        // By the file's own names: tract gives a value that is only handed on one of its names.
        let names = |values: &[ValueInfoProto]| values.iter().map(|value| value.name.clone()).collect::<Vec<_>>();
        let (inputs, outputs) = (names(&proto.input), names(&proto.output));
        let ends = |outlets: TractResult<&[OutletId]>| outlets.map(<[OutletId]>::len).map_err(|error| error.to_string());
        if [ends(model.input_outlets())?, ends(model.output_outlets())?] != [inputs.len(), outputs.len()] {
            return Err("is damaged; export it again".into());
        }
        if inputs.is_empty() || outputs.is_empty() {
            return Err("has no inputs or no outputs; it may be truncated".into());
        }
        let graph = Graph { file, inputs, outputs, proto: Arc::new(proto), opset, model };
        graph.check_facts()?;
        Ok(graph)
    }

    fn check_facts(&self) -> Result<(), String> {
        let shapes = (0..self.inputs.len()).map(|i| (&self.inputs[i], self.model.input_fact(i)));
        let shapes = shapes.chain((0..self.outputs.len()).map(|i| (&self.outputs[i], self.model.output_fact(i))));
        for (name, fact) in shapes {
            let fact = fact.map_err(|error| error.to_string())?;
            if fact.shape.as_concrete().is_none() {
                return Err(format!("'{name}' has the open shape {:?}; export with fixed sizes and batch 1", fact.shape));
            }
            if fact.datum_type != f32::datum_type() {
                return Err(format!("'{name}' holds {:?}; 32-bit floats are needed", fact.datum_type));
            }
        }
        Ok(())
    }

    /// Shape of input `at`.
    pub fn input_shape(&self, at: usize) -> Vec<usize> {
        concrete(self.model.input_fact(at))
    }

    /// Shape of output `at`.
    pub fn output_shape(&self, at: usize) -> Vec<usize> {
        concrete(self.model.output_fact(at))
    }

    /// Numbers in this graph's constants.
    pub fn parameters(&self) -> usize {
        let constants = self.model.nodes().iter().filter_map(|node| node.op_as::<tract_onnx::tract_core::ops::konst::Const>());
        constants.map(|weights| weights.val()).filter(|tensor| tensor.datum_type() == f32::datum_type()).map(|tensor| tensor.len()).sum()
    }

    /// Multiply-accumulates of one run, as tract counts them.
    pub fn macs(&self) -> u64 {
        let mut total = 0;
        for node in self.model.nodes() {
            let Ok((inputs, _)) = self.model.node_facts(node.id) else { continue };
            for (kind, count) in guard::tract(|| node.op.cost(&inputs)).unwrap_or_default() {
                if matches!(kind, tract_onnx::tract_core::ops::Cost::FMA(_)) {
                    total += count.to_i64().unwrap_or(0) as u64;
                }
            }
        }
        total
    }
}

fn concrete(fact: TractResult<&TypedFact>) -> Vec<usize> {
    fact.ok().and_then(|fact| fact.shape.as_concrete().map(<[usize]>::to_vec)).unwrap_or_default()
}
