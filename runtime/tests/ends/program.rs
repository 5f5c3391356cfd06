//! The program under test, and what it left in its folder.

use std::fs;
use std::io::{PipeReader, PipeWriter, Read, Write};
use std::os::fd::AsRawFd;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// A paced stream in a small canvas: light enough for an unoptimised build.
pub const STREAM: &str = "pathfinder:easy?seed=7&size=64&fps=25";

/// A network of next to no work: what is tried here is not what the steps cost.
pub const QUICK: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/gpu/networks/tiny-convgru");

/// Longer than anything here may take; a hang is a failure.
const PATIENCE: Duration = Duration::from_secs(60);

/// The program, which hears of no service manager.
pub fn recslowfast() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_recslowfast"));
    command.env_remove("NOTIFY_SOCKET").env_remove("WATCHDOG_USEC").env_remove("JOURNAL_STREAM").env_remove("RUST_LOG");
    command
}

/// A network of the zoo.
pub fn zoo(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../models/zoo").join(name)
}

/// A running child whose log is read as it comes.
pub struct Running {
    pub child: Child,
    log: Arc<Mutex<String>>,
    reader: Option<std::thread::JoinHandle<()>>,
}

impl Running {
    /// Starts `command`; what it says on standard error is its log.
    pub fn start(command: &mut Command) -> Running {
        let mut child = command.stderr(Stdio::piped()).spawn().expect("the binary starts");
        let log = Arc::new(Mutex::new(String::new()));
        let (mut from, theirs) = (child.stderr.take().unwrap(), Arc::clone(&log));
        let reader = std::thread::spawn(move || {
            let mut part = [0; 4096];
            while let Ok(count @ 1..) = from.read(&mut part) {
                theirs.lock().unwrap().push_str(&String::from_utf8_lossy(&part[..count]));
            }
        });
        Running { child, log, reader: Some(reader) }
    }

    pub fn log(&self) -> String {
        self.log.lock().unwrap().clone()
    }

    /// Waits until the log holds `words`.
    #[track_caller]
    pub fn says(&mut self, words: &str) {
        let began = Instant::now();
        while !self.log().contains(words) {
            let ended = self.child.try_wait().unwrap();
            assert!(ended.is_none() && began.elapsed() < PATIENCE, "'{words}' was not said: {}", self.log());
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    pub fn pid(&self) -> libc::pid_t {
        self.child.id() as libc::pid_t
    }

    pub fn signal(&self, signal: libc::c_int) {
        // SAFETY: a signal to a child that has not been waited for.
        assert_eq!(unsafe { libc::kill(self.pid(), signal) }, 0);
    }

    /// Waits for the end; returns how it ended and all that was said.
    #[track_caller]
    pub fn end(mut self) -> (End, String) {
        let began = Instant::now();
        let status = loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                break status;
            }
            assert!(began.elapsed() < PATIENCE, "it does not end: {}", self.log());
            std::thread::sleep(Duration::from_millis(5));
        };
        self.reader.take().unwrap().join().unwrap();
        (End::of(status), self.log())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    Code(i32),
    Signal(i32),
}

impl End {
    fn of(status: ExitStatus) -> End {
        status.code().map_or_else(|| End::Signal(status.signal().unwrap()), End::Code)
    }
}

/// Every recording in `folder`.
pub fn recordings(folder: &Path) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|path| path.extension().is_some_and(|ending| ending == "mcap"));
    files.sort();
    files
}

/// Whether a recording has been finished: it begins and ends with MCAP's magic.
pub fn is_whole(path: &Path) -> bool {
    const MAGIC: &[u8] = b"\x89MCAP0\r\n";
    let bytes = fs::read(path).unwrap();
    bytes.len() > 2 * MAGIC.len() && bytes.starts_with(MAGIC) && bytes.ends_with(MAGIC)
}

/// A pipe that is full and that nobody reads, as long as its reader is kept.
pub fn full_pipe() -> (PipeReader, PipeWriter) {
    let (reader, mut writer) = std::io::pipe().unwrap();
    // SAFETY: a size is set and told, of a pipe of this test's.
    let size = unsafe { libc::fcntl(writer.as_raw_fd(), libc::F_SETPIPE_SZ, 4096) };
    writer.write_all(&vec![b'\n'; size as usize]).unwrap();
    (reader, writer)
}

/// Whether the thread of `pid` that reports on standard output waits for its reader: it is in the middle of a write whenever it is looked at.
pub fn is_stuck(pid: libc::pid_t) -> bool {
    let looks = (0..5).map(|_| {
        std::thread::sleep(Duration::from_millis(50));
        let tasks = fs::read_dir(format!("/proc/{pid}/task")).unwrap().flatten().map(|task| task.path());
        let mut reports = tasks.filter(|task| fs::read_to_string(task.join("comm")).is_ok_and(|name| name.trim() == "report-json"));
        let call = reports.next().and_then(|task| fs::read_to_string(task.join("syscall")).ok());
        call.is_some_and(|call| call.starts_with(&format!("{} 0x1 ", libc::SYS_write)))
    });
    looks.filter(|stuck| *stuck).count() == 5
}
