//! The program, watching its built-in stream, with what a test asks of it.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

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

    /// The same on another stream. `LINK_BINARY` names another build of the program, where time matters.
    pub fn watching(stream: &str, arguments: &[&str]) -> Board {
        let program = std::env::var("LINK_BINARY").unwrap_or_else(|_| env!("CARGO_BIN_EXE_recslowfast").into());
        let mut command = Command::new(program);
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

    /// Records that have come already.
    pub fn records(&self) -> Vec<serde_json::Value> {
        self.records.try_iter().collect()
    }

    /// The next record of a frame captured after `time`.
    #[track_caller]
    pub fn record_after(&self, time: Duration) -> serde_json::Value {
        std::iter::repeat_with(|| self.record()).find(|record| captured(record) > time.as_secs_f64()).expect("records do not end")
    }

    /// The record of a frame that was begun after `time`: the one behind a frame that was answered after it.
    #[track_caller]
    pub fn record_begun_after(&self, time: Duration) -> serde_json::Value {
        let answered = |record: &serde_json::Value| captured(record) + record["age_ms"].as_f64().unwrap() / 1e3;
        std::iter::repeat_with(|| self.record()).find(|record| answered(record) > time.as_secs_f64());
        self.record()
    }

    /// Asks the program to end, and gives what it logged. It ends by itself within a minute, and well, or, on a machine so busy that it took longer
    /// than the service promises, saying so.
    #[track_caller]
    pub fn end(mut self) -> String {
        assert!(Command::new("kill").arg(self.child.id().to_string()).status().unwrap().success());
        let asked = Instant::now();
        let status = loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                break status;
            }
            assert!(asked.elapsed() < Duration::from_secs(60), "it was asked to end a minute ago");
            std::thread::sleep(Duration::from_millis(10));
        };
        let log = self.log.iter().collect::<Vec<_>>().join("\n");
        assert!(status.success() || status.code() == Some(7) && log.contains("took longer than 900 ms"), "{status}\n{log}");
        log
    }
}

/// When the frame of `record` was captured, in seconds of the clock both programs read.
pub fn captured(record: &serde_json::Value) -> f64 {
    record["captured_s"].as_f64().unwrap()
}

impl Drop for Board {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
