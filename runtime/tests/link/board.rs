//! The program, watching its built-in stream, with what a test asks of it.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

/// Fifteen frames a second: less than an unoptimised build can answer.
pub const STREAM: &str = "pathfinder:easy?seed=7&size=64&fps=15";

/// The same as fast as it is pulled: no gap in it is one in what was seen, however slow this machine is.
pub const FILM: &str = "pathfinder:easy?seed=7&size=64";

pub struct Board {
    child: Child,
    records: Receiver<serde_json::Value>,
    log: Receiver<String>,
}

impl Board {
    /// Runs the program with one step a frame, records on its standard output, and `arguments`.
    pub fn start(arguments: &[&str]) -> Board {
        Board::watching(STREAM, arguments)
    }

    pub fn watching(stream: &str, arguments: &[&str]) -> Board {
        let mut command = Command::new(env!("CARGO_BIN_EXE_recslowfast"));
        command.args(["run", "--engine", "cpu", "--source", stream, "--report", "json"]).args(arguments);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the binary starts");
        let (records, log) = (BufReader::new(child.stdout.take().unwrap()), BufReader::new(child.stderr.take().unwrap()));
        let ((record, all_records), (line, all_lines)) = (channel(), channel());
        std::thread::spawn(move || {
            let parsed = records.lines().map_while(Result::ok).filter_map(|line| serde_json::from_str(&line).ok());
            parsed.map(|one| record.send(one)).take_while(Result::is_ok).count()
        });
        std::thread::spawn(move || log.lines().map_while(Result::ok).map(|one| line.send(one)).take_while(Result::is_ok).count());
        Board { child, records: all_records, log: all_lines }
    }

    /// The next record.
    #[track_caller]
    pub fn record(&self) -> serde_json::Value {
        self.records.recv_timeout(Duration::from_secs(60)).expect("a record within a minute")
    }

    /// Records that have come already, and those of the next `time`.
    pub fn records(&self, time: Duration) -> Vec<serde_json::Value> {
        std::thread::sleep(time);
        self.records.try_iter().collect()
    }

    /// Asks the program to end, and gives its exit code and what it logged.
    pub fn end(mut self) -> (Option<i32>, String) {
        assert!(Command::new("kill").arg(self.child.id().to_string()).status().unwrap().success());
        let code = self.child.wait().unwrap().code();
        (code, self.log.iter().collect::<Vec<_>>().join("\n"))
    }
}

impl Drop for Board {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
