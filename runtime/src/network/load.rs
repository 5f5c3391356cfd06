//! Reads a network's folder, or the one built into the binary, and checks all of it before anything runs.

use std::path::Path;

use super::answers::{self, Answer};
use super::graph::{Encoded, Graph};
use super::manifest::{Manifest, ManifestError, TaskKind, line_of};
use super::onnx::ExternalData;
use super::wiring::Wiring;

/// File names inside a network's folder.
pub const MANIFEST: &str = "model.toml";
/// Frame to drive.
pub const ENCODER: &str = "encoder.onnx";
/// Drive and states to the next states.
pub const STEP: &str = "step.onnx";
/// States (or, without states, the drive) to the answer.
pub const READOUT: &str = "readout.onnx";

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

    /// The readout's outputs in the order in which engines hand them over: one behind the other.
    pub fn answers(&self) -> Vec<Answer> {
        answers::of(&self.readout)
    }

    /// Whether the readout's first output is a sigmoid's, and so a probability already.
    pub fn gives_probabilities(&self) -> bool {
        self.manifest.task.kind == TaskKind::Matte || answers::is_sigmoid(&self.readout)
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
