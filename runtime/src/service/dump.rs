//! Everything a network holds after each frame, as NumPy reads it: `DIR/000000.npz` and so on, one for each answered frame.
//!
//! | entry | what it is |
//! |---|---|
//! | `input` | what the encoder was given, `[1, C, H, W]` |
//! | `encoded.NAME` | what the encoder handed on: `encoded.drive`, and features |
//! | `state.NAME` | each state after the frame's last step, in model.toml's shape |
//! | `answer.NAME` | each output of the readout |
//! | `steps` | how many steps were taken, `int64` |
//! | `distances` | how far each of them moved the state |
//! | `sequence` | the source's number of the frame, `int64` |

mod npz;

use std::path::{Path, PathBuf};

use super::exit::{Cause, Failure};
use crate::network::Network;
use crate::network::engine::Tensors;
use crate::outcome::StepTrace;
use crate::pipeline::Pipeline;
use crate::telemetry::Report;
use crate::whole_file::{self, Keep};
pub use npz::Archive;

/// The names and shapes of what a network holds.
pub struct Layout {
    input: Vec<usize>,
    encoded: Vec<(String, Vec<usize>)>,
    states: Vec<(String, Vec<usize>)>,
    answers: Vec<(String, Vec<usize>)>,
}

impl Layout {
    /// Those of `network`.
    pub fn of(network: &Network) -> Layout {
        let named = |prefix: &str, name: &str, shape: &[usize]| (format!("{prefix}.{name}"), shape.to_vec());
        Layout {
            input: network.manifest.input.shape().to_vec(),
            encoded: network.encoded().iter().map(|encoded| named("encoded", &encoded.name, &encoded.shape)).collect(),
            states: network.manifest.states.iter().map(|state| named("state", &state.name, &state.shape)).collect(),
            answers: network.answers().iter().map(|answer| named("answer", &answer.name, &answer.shape)).collect(),
        }
    }

    /// One frame's archive, to which more may be added. `answer`: the readout's outputs one behind the other.
    pub fn archive(&self, tensors: &Tensors, answer: &[f32], trace: &StepTrace) -> Archive {
        let mut archive = Archive::default();
        archive.floats("input", &self.input, &tensors.input);
        for ((name, shape), values) in self.encoded.iter().zip(&tensors.encoded).chain(self.states.iter().zip(&tensors.states)) {
            archive.floats(name, shape, values);
        }
        let mut rest = answer;
        for (name, shape) in &self.answers {
            let (values, behind) = rest.split_at(shape.iter().product());
            archive.floats(name, shape, values);
            rest = behind;
        }
        archive.whole("steps", i64::from(trace.steps));
        archive.floats("distances", &[trace.distances.len()], &trace.distances);
        archive
    }
}

/// Writes one archive a frame, each whole.
pub struct Dump {
    folder: PathBuf,
    written: u64,
    layout: Layout,
}

impl Dump {
    /// Into `folder`, which is made if it is not there and must hold no archive of an earlier run.
    pub fn create(folder: &Path, network: &Network) -> Result<Dump, Failure> {
        let refuse = |reason: String| Failure::new(Cause::Output, format!("dump to {}: {reason}", folder.display()));
        std::fs::create_dir_all(folder).map_err(|error| refuse(error.to_string()))?;
        if folder.join(name(0)).exists() {
            return Err(refuse("holds what an earlier run wrote; name another folder, or empty it".into()));
        }
        Ok(Dump { folder: folder.to_owned(), written: 0, layout: Layout::of(network) })
    }

    /// The last frame that `pipeline` answered, with `report`.
    pub fn frame(&mut self, pipeline: &mut Pipeline, report: &Report) -> Result<(), Failure> {
        let path = self.folder.join(name(self.written));
        let failed = |reason: String| Failure::new(Cause::Output, format!("dump to {}: {reason}", path.display()));
        let held = pipeline.tensors()?;
        let (tensors, answer) = held.ok_or_else(|| failed("the GPU engine keeps its tensors on the device; add --engine cpu".into()))?;
        let mut archive = self.layout.archive(&tensors, &answer, &report.trace);
        archive.whole("sequence", i64::try_from(report.sequence).unwrap_or(i64::MAX));
        whole_file::write(&path, &archive.finish(), Keep::Lazily).map_err(|error| failed(error.to_string()))?;
        self.written += 1;
        Ok(())
    }
}

fn name(number: u64) -> String {
    format!("{number:06}.npz")
}
