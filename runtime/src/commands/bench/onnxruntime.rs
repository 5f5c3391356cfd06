//! ONNX Runtime as a side of the comparison.

use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Duration;

use super::Side;
use crate::commands::stopwatch::Time;
use crate::service::exit::{Cause, Failure};

/// ONNX Runtime in a child process, told what to do through a pipe.
pub struct OnnxRuntime {
    child: Child,
    commands: ChildStdin,
    answers: BufReader<ChildStdout>,
    name: String,
    /// Numbers in its logits.
    answer: usize,
}

impl OnnxRuntime {
    pub fn new(script: &Path, folder: &Path, threads: usize, answer: usize) -> Result<OnnxRuntime, Failure> {
        let python = std::env::var("PYTHON").unwrap_or_else(|_| "python3".into());
        let cannot = |what: String| Failure::new(Cause::Engine, format!("cannot measure ONNX Runtime: {what}"));
        let folder = Some(folder.to_owned()).filter(|path| path.is_dir()).unwrap_or_else(|| Path::new("models/zoo").join(folder));
        if !folder.is_dir() {
            return Err(cannot(format!("{} is no folder; name the network by its folder", folder.display())));
        }
        let mut child = Command::new(&python)
            .arg(script)
            .arg(&folder)
            .arg(threads.to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|error| cannot(format!("{python} does not start ({error}); set PYTHON to one that has onnxruntime")))?;
        let commands = child.stdin.take().expect("piped");
        let mut answers = BufReader::new(child.stdout.take().expect("piped"));
        let mut name = String::new();
        answers.read_line(&mut name).map_err(|error| cannot(error.to_string()))?;
        if name.is_empty() {
            return Err(cannot(format!("{} ended at once; its message is above", script.display())));
        }
        Ok(OnnxRuntime { child, commands, answers, name: name.trim().to_owned(), answer })
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
