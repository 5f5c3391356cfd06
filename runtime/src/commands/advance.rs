//! `recslowfast advance`: one network for another program, through a pipe.
//!
//! First comes a description of the network, then an answer for every message. Numbers are little-endian; each answer is its length in
//! bytes (`u32`) and so many bytes.
//!
//! | message | what it is | answer |
//! |---|---|---|
//! | (none) | at the start | the description, JSON |
//! | `T` and the input tensor, `f32` | one frame, normalised | an archive as `--dump` writes them, with `ms`: encoding, stepping, reading out |
//! | `P`, width, height, channels (1 or 3; `u32`) and the bytes, row by row | one picture, to be fitted | the same |
//! | `A` and the readout's outputs one behind the other, `f32` | answers to be read as the task reads them | what is seen, JSON |
//! | `R` | forget what is carried | nothing (length 0) |
//!
//! `models/export` speaks this: it is how a network is held against PyTorch and ONNX Runtime, and how Python uses one.

use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use clap::Args as ClapArgs;
use serde_json::json;

use crate::capture::fit::{Fitter, Mode};
use crate::engine::cpu::threads::Threads;
use crate::engine::cpu::{CpuEngine, Options};
use crate::frame::{Frame, PixelFormat};
use crate::network::Network;
use crate::network::engine::{Engine, StageTimes, StepRequest};
use crate::network::halting::RuleName;
use crate::outcome::MAX_STEPS;
use crate::service::dump::Layout;
use crate::service::exit::{Cause, Failure};
use crate::task::{Scene, Task};
use crate::telemetry::Region;

/// Which network.
#[derive(ClapArgs)]
pub struct Args {
    /// A built-in network, or a folder with model.toml and its graphs
    #[arg(value_name = "NAME|DIR")]
    model: PathBuf,
    /// When stepping stops, as for `run`
    #[arg(long, default_value = "model", value_name = "RULE")]
    halt: RuleName,
    /// How a picture of another shape meets the network's input: crop, letterbox or stretch
    #[arg(long, default_value = "stretch")]
    fit: Mode,
    /// Threads of the CPU engine
    #[arg(long, default_value = "1", value_name = "N")]
    threads: Threads,
}

/// Longest side of a picture in pixels.
const WIDEST: u32 = 1 << 14;

/// Runs the verb.
pub fn run(args: Args) -> Result<(), Failure> {
    let network = Network::load(&args.model)?;
    let rule = network.manifest.rule_named(args.halt);
    let mut engine = CpuEngine::with(&network, Options { threads: args.threads.get(), ..Options::default() })?;
    let input = &network.manifest.input;
    let mut fitter = Fitter::new(input.spec(), args.fit);
    let mut task = Task::new(&network);
    let layout = Layout::of(&network);
    let numbers: usize = network.answers().iter().map(|answer| answer.len()).sum();
    let mut pipe = Pipe { input: std::io::stdin().lock(), output: std::io::stdout().lock() };
    pipe.answer(description(&network, &args.model, &engine).to_string().as_bytes())?;
    let mut frames = 0;
    while let Some(kind) = pipe.kind()? {
        match kind {
            b'T' | b'P' => {
                if kind == b'T' {
                    let values = pipe.floats(engine.input().len())?;
                    engine.input().copy_from_slice(&values);
                } else {
                    let frame = pipe.picture()?;
                    fitter.fit(&frame, engine.input()).map_err(|error| Failure::new(Cause::Source, error))?;
                }
                engine.encode()?;
                let trace = engine.advance(&StepRequest { rule, limit: MAX_STEPS as u32, deadline: None })?;
                let answer = engine.readout()?.to_vec();
                let StageTimes { encode, steps, readout } = engine.times();
                let times = [encode, steps, readout].map(|time| time.as_secs_f32() * 1e3);
                let tensors = Engine::tensors(&mut engine).expect("the CPU engine shows what it holds");
                let mut archive = layout.archive(&tensors, &answer, &trace);
                archive.floats("ms", &[3], &times);
                archive.whole("sequence", frames);
                frames += 1;
                pipe.answer(&archive.finish())?;
            }
            b'A' => {
                let values = pipe.floats(numbers)?;
                let size = [input.width as f32, input.height as f32];
                let view = Region { x: 0.0, y: 0.0, width: size[0], height: size[1] };
                task.reset();
                let seen = task.read(&values, &Scene { view, size, time: None });
                let class = |class: u8| network.manifest.task.classes.get(usize::from(class));
                let seen: Vec<_> = seen
                    .iter()
                    .map(|seen| {
                        let Region { x, y, width, height } = seen.region;
                        json!({ "class": class(seen.class), "score": seen.score, "box": [x, y, width, height] })
                    })
                    .collect();
                pipe.answer(json!(seen).to_string().as_bytes())?;
            }
            b'R' => {
                engine.reset();
                pipe.answer(&[])?;
            }
            other => return Err(broken(format!("a message begins with byte {other}; T, P, A and R are known"))),
        }
    }
    Ok(())
}

/// What a program has to know of the network.
fn description(network: &Network, folder: &Path, engine: &CpuEngine) -> serde_json::Value {
    let manifest = &network.manifest;
    let tensor = |name: &str, shape: &[usize]| json!({ "name": name, "shape": shape });
    let states: Vec<_> = manifest
        .states
        .iter()
        .map(|state| json!({ "name": state.name, "shape": state.shape, "moves": state.moves, "answer": state.answer }))
        .collect();
    json!({
        "name": manifest.name,
        "folder": folder,
        "input": manifest.input.shape(),
        "mean": manifest.input.mean,
        "std": manifest.input.std,
        "task": manifest.task.kind,
        "classes": manifest.task.classes,
        "encoded": network.encoded().iter().map(|encoded| tensor(&encoded.name, &encoded.shape)).collect::<Vec<_>>(),
        "encoder_outputs": network.encoder.outputs,
        "states": states,
        "answers": network.answers().iter().map(|answer| tensor(&answer.name, &answer.shape)).collect::<Vec<_>>(),
        "on_tract": engine.on_tract().collect::<Vec<_>>(),
    })
}

/// Standard input and output, as messages.
struct Pipe<R, W> {
    input: R,
    output: W,
}

fn broken(reason: String) -> Failure {
    Failure::new(Cause::Source, format!("standard input: {reason}"))
}

impl<R: Read, W: Write> Pipe<R, W> {
    /// What the next message is; None at the end.
    fn kind(&mut self) -> Result<Option<u8>, Failure> {
        let mut kind = [0];
        match self.input.read(&mut kind) {
            Ok(0) => Ok(None),
            Ok(_) => Ok(Some(kind[0])),
            Err(error) => Err(broken(error.to_string())),
        }
    }

    fn bytes(&mut self, count: usize) -> Result<Vec<u8>, Failure> {
        let mut bytes = vec![0; count];
        self.input.read_exact(&mut bytes).map_err(|error| broken(format!("a message of {count} bytes is cut short ({error})")))?;
        Ok(bytes)
    }

    fn floats(&mut self, count: usize) -> Result<Vec<f32>, Failure> {
        Ok(self.bytes(count * 4)?.as_chunks().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect())
    }

    fn picture(&mut self) -> Result<Frame, Failure> {
        let header = self.bytes(12)?;
        let numbers: Vec<u32> = header.as_chunks().0.iter().map(|bytes| u32::from_le_bytes(*bytes)).collect();
        let (width, height, channels) = (numbers[0], numbers[1], numbers[2]);
        let format = match channels {
            1 => PixelFormat::Grey,
            3 => PixelFormat::Rgb24,
            _ => return Err(broken(format!("a picture of {channels} channels; 1 or 3 are read"))),
        };
        if !(1..=WIDEST).contains(&width) || !(1..=WIDEST).contains(&height) {
            return Err(broken(format!("a picture of {width}x{height} pixels; 1 to {WIDEST} each way are read")));
        }
        let stride = width * channels;
        let data = self.bytes(stride as usize * height as usize)?.into();
        Ok(Frame { format, width, height, stride, data, ..Frame::default() })
    }

    fn answer(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        let length = u32::try_from(bytes.len()).expect("an archive of one frame stays below 4 GiB");
        let written = self.output.write_all(&length.to_le_bytes()).and_then(|()| self.output.write_all(bytes));
        let written = written.and_then(|()| self.output.flush());
        written.map_err(|error| Failure::new(Cause::Output, format!("cannot write to standard output: {error}")))
    }
}
