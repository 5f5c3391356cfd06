//! ONNX Runtime as a side of the comparison.

use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Duration;

use super::Side;
use crate::commands::stopwatch::Time;
use crate::network::load::built_in_files;
use crate::service::exit::{Cause, Failure};

/// What has to be there.
const NEEDS: &str = "it needs Python with onnxruntime and numpy: python3 -m venv ENV; ENV/bin/pip install onnxruntime numpy; PYTHON=ENV/bin/python recslowfast bench ...";

/// What runs there, where no other script is named.
const SCRIPT: &str = include_str!("../../../../tests/bench/onnxruntime.py");

/// ONNX Runtime in a child process, told what to do through a pipe.
pub struct OnnxRuntime {
    child: Child,
    commands: ChildStdin,
    answers: BufReader<ChildStdout>,
    name: String,
    /// Numbers in its logits.
    answer: usize,
    /// Where a built-in network was laid out for it.
    _laid_out: Option<LaidOut>,
}

/// A folder that is gone when this is.
struct LaidOut(PathBuf);

impl LaidOut {
    /// The built-in network `name` as a folder; None if there is no such network.
    fn new(name: &str) -> std::io::Result<Option<LaidOut>> {
        let Some(files) = built_in_files(name) else { return Ok(None) };
        let folder = LaidOut(std::env::temp_dir().join(format!("recslowfast-bench-{}-{name}", std::process::id())));
        std::fs::create_dir(&folder.0)?;
        for (file, bytes) in files {
            std::fs::write(folder.0.join(file), bytes)?;
        }
        Ok(Some(folder))
    }
}

impl Drop for LaidOut {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

impl OnnxRuntime {
    /// Starts it on the network in `folder`, or on the built-in one of that name. `script` in place of the one that is built in.
    pub fn new(script: Option<&Path>, folder: &Path, threads: usize, answer: usize) -> Result<OnnxRuntime, Failure> {
        let python = std::env::var("PYTHON").unwrap_or_else(|_| "python3".into());
        let cannot = |what: String| Failure::new(Cause::Engine, format!("cannot measure ONNX Runtime: {what}"));
        let laid_out =
            LaidOut::new(&folder.to_string_lossy()).map_err(|error| cannot(format!("no room for the network's files: {error}")))?;
        let folder = laid_out.as_ref().map_or(folder, |laid_out| &laid_out.0);
        let mut command = Command::new(&python);
        match script {
            Some(script) => command.arg(script),
            None => command.args(["-c", SCRIPT]),
        };
        let mut child = command
            .arg(folder)
            .arg(threads.to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|error| cannot(format!("{python} does not start ({error}); {NEEDS}")))?;
        let commands = child.stdin.take().expect("piped");
        let mut answers = BufReader::new(child.stdout.take().expect("piped"));
        let mut name = String::new();
        answers.read_line(&mut name).map_err(|error| cannot(error.to_string()))?;
        if name.is_empty() {
            return Err(cannot(format!("{python} ended at once (its own words are above); {NEEDS}")));
        }
        Ok(OnnxRuntime { child, commands, answers, name: name.trim().to_owned(), answer, _laid_out: laid_out })
    }

    fn send(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        self.commands.write_all(bytes).and_then(|()| self.commands.flush()).map_err(gone)
    }

    fn timed(&mut self, command: &str) -> Result<Time, Failure> {
        self.send(format!("{command}\n").as_bytes())?;
        let mut line = String::new();
        self.answers.read_line(&mut line).map_err(gone)?;
        let mut nanos = line.split_whitespace().map_while(|word| word.parse().ok().map(Duration::from_nanos));
        match (nanos.next(), nanos.next()) {
            (Some(wall), Some(cpu)) => Ok(Time { wall, cpu }),
            _ => Err(gone(format!("its answer to '{command}' was '{}'", line.trim()))),
        }
    }
}

fn gone(reason: impl std::fmt::Display) -> Failure {
    Failure::new(Cause::Engine, format!("the ONNX Runtime script stopped answering: {reason}"))
}

impl Side for OnnxRuntime {
    fn name(&self) -> String {
        self.name.clone()
    }

    fn input(&mut self, frame: &[f32]) -> Result<(), Failure> {
        self.send(b"input\n")?;
        let bytes: Vec<u8> = frame.iter().flat_map(|x| x.to_le_bytes()).collect();
        self.send(&bytes)
    }

    fn encode(&mut self) -> Result<Time, Failure> {
        self.timed("encode")
    }

    fn step(&mut self) -> Result<Time, Failure> {
        self.timed("step")
    }

    fn readout(&mut self, logits: &mut Vec<f32>) -> Result<Time, Failure> {
        let time = self.timed("readout")?;
        let mut bytes = vec![0; 4 * self.answer];
        self.answers.read_exact(&mut bytes).map_err(gone)?;
        logits.clear();
        logits.extend(bytes.as_chunks().0.iter().map(|&four| f32::from_le_bytes(four)));
        Ok(time)
    }
}

impl Drop for OnnxRuntime {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
