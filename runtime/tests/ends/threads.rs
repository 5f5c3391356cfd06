//! The death of any thread: taken away by the kernel in turn, each is noticed by its own guard and ends the run cleanly.

use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::program::{End, QUICK, Running, STREAM, recslowfast};

/// The threads of `pid` by their names.
fn threads(pid: libc::pid_t) -> Vec<(libc::pid_t, String)> {
    let tasks = std::fs::read_dir(format!("/proc/{pid}/task")).unwrap();
    let name = |task: PathBuf| {
        Some((task.file_name()?.to_str()?.parse().ok()?, std::fs::read_to_string(task.join("comm")).ok()?.trim().to_owned()))
    };
    tasks.filter_map(|task| name(task.ok()?.path())).collect()
}

/// Has the kernel end the thread of `pid` called `name` (as far as the kernel keeps a name), without its coming to its end. False, and said, where that
/// cannot be done.
pub fn take_away(pid: libc::pid_t, name: &str) -> bool {
    if cfg!(not(target_arch = "x86_64")) {
        println!("skipped: threads are taken away on x86-64 only");
        return false;
    }
    let began = Instant::now();
    while began.elapsed() < Duration::from_secs(30) {
        // The kernel keeps fifteen letters of a name; the whole one is meant before one that only begins so.
        let mut found = threads(pid).into_iter().filter(|(_, other)| other.starts_with(name)).collect::<Vec<_>>();
        found.sort_by_key(|(_, other)| other.len());
        let found = found.into_iter().next();
        if let Some((tid, _)) = found
            && exit_in_place(tid)
        {
            return true;
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    panic!("there is no thread '{name}' to take away: {:?}", threads(pid));
}

/// Lets a thread that waits in a system call call `exit` in its place; false if it is not waiting now.
#[cfg(target_arch = "x86_64")]
fn exit_in_place(tid: libc::pid_t) -> bool {
    const SYSCALL: libc::c_long = 0x050f;
    let nothing = std::ptr::null_mut::<libc::c_void>();
    // SAFETY: plain requests about a thread of a child; the registers are written by the call that reads them.
    unsafe {
        if libc::ptrace(libc::PTRACE_SEIZE, tid, nothing, nothing) != 0 {
            return false;
        }
        let mut status = 0;
        let stopped = libc::ptrace(libc::PTRACE_INTERRUPT, tid, nothing, nothing) == 0
            && libc::waitpid(tid, &mut status, libc::__WALL) == tid
            && libc::WIFSTOPPED(status);
        if !stopped {
            return false;
        }
        let mut registers: libc::user_regs_struct = std::mem::zeroed();
        libc::ptrace(libc::PTRACE_GETREGS, tid, nothing, &raw mut registers);
        let before = registers.rip - 2;
        let waits = libc::ptrace(libc::PTRACE_PEEKTEXT, tid, before as *mut libc::c_void, nothing) & 0xffff == SYSCALL;
        if waits {
            registers.orig_rax = u64::MAX;
            (registers.rax, registers.rdi, registers.rip) = (libc::SYS_exit as u64, 0, before);
            libc::ptrace(libc::PTRACE_SETREGS, tid, nothing, &raw mut registers);
        }
        libc::ptrace(libc::PTRACE_DETACH, tid, nothing, nothing);
        waits
    }
}

#[cfg(not(target_arch = "x86_64"))]
fn exit_in_place(_: libc::pid_t) -> bool {
    false
}

/// A pseudo-terminal for a link, kept open by both its ends.
fn cable() -> (std::fs::File, String) {
    let (mut ours, mut theirs) = (0, 0);
    let mut name = [0; 64];
    // SAFETY: everything is written by the calls, which keep nothing; the numbers belong to nobody else.
    unsafe {
        assert_eq!(libc::openpty(&mut ours, &mut theirs, name.as_mut_ptr(), std::ptr::null(), std::ptr::null()), 0);
        let name = std::ffi::CStr::from_ptr(name.as_ptr()).to_str().unwrap().to_owned();
        libc::fcntl(ours, libc::F_SETFD, libc::FD_CLOEXEC);
        libc::fcntl(theirs, libc::F_SETFD, libc::FD_CLOEXEC);
        (std::os::fd::FromRawFd::from_raw_fd(ours), name)
    }
}

/// Everything that has a thread: two engine threads, a camera, a budget, a page, a link, a recording.
fn busy(folder: &std::path::Path, port: &str) -> Running {
    let link = format!("link:{port}");
    let mut command = recslowfast();
    command.args([
        "run",
        "--model",
        QUICK,
        "--source",
        STREAM,
        "--engine",
        "cpu",
        "--threads",
        "2",
        "--halt",
        "fixed:2",
        "--deadline",
        "500ms",
    ]);
    command.args(["--page", "127.0.0.1:0", "--report", "json", "--report", &link, "--record"]).arg(folder.join("seen.mcap"));
    let mut running = Running::start(command.stdin(Stdio::null()).stdout(Stdio::null()));
    running.says("page on http");
    let began = Instant::now();
    while !EXPECTED.iter().all(|name| threads(running.pid()).iter().any(|(_, other)| other == name)) {
        assert!(began.elapsed() < Duration::from_secs(60), "not all of {EXPECTED:?} came: {:?}", threads(running.pid()));
        std::thread::sleep(Duration::from_millis(20));
    }
    running
}

/// The threads of such a run, beside its first.
const EXPECTED: [&str; 12] = [
    "capture",
    "engine-1",
    "link",
    "link-reader",
    "page",
    "recording",
    "recording-sync",
    "report-json",
    "report-link",
    "report-page",
    "sensors",
    "signals",
];

#[test]
fn every_thread_that_is_taken_away_ends_the_run_cleanly() {
    let folder = tempfile::tempdir().unwrap();
    let (_other_end, port) = cable();
    let mut running = busy(folder.path(), &port);
    let main = running.pid();
    let mut names: Vec<String> = threads(main).into_iter().filter(|(tid, _)| *tid != main).map(|(_, name)| name).collect();
    names.sort();
    for name in &names {
        if !take_away(running.pid(), name) {
            return;
        }
        let began = Instant::now();
        let (end, log) = running.end();
        println!("{name}: {end:?} after {:.2} s", began.elapsed().as_secs_f64());
        assert_eq!(end, End::Code(1), "{name}: {log}");
        assert!(log.contains("gone without a word"), "{name}: {log}");
        running = busy(folder.path(), &port);
    }
    running.signal(libc::SIGTERM);
    let (end, log) = running.end();
    assert_eq!(end, End::Code(0), "{log}");
}

/// A program that embeds this library, without any hook: this test, as a process of its own.
mod embedded {
    use std::sync::Arc;
    use std::time::Duration;

    use recslowfast::capture::fit::Mode;
    use recslowfast::capture::{self, CaptureRequest, Timeouts};
    use recslowfast::control::ControlQueue;
    use recslowfast::engine::cpu::threads::Threads;
    use recslowfast::engine::{self, Choice};
    use recslowfast::network::Network;
    use recslowfast::pace::Budget;
    use recslowfast::pipeline::Pipeline;
    use recslowfast::recording::{OutcomeFormat, RecordSpec, Recording};
    use recslowfast::report::{Heading, JsonLines, Overflow, Page, SinkWorker};
    use recslowfast::service::budget_controller::{BudgetController, Sensing};
    use recslowfast::service::closing;
    use recslowfast::service::control_handler::ControlHandler;
    use recslowfast::service::lifecycle::Lifecycle;
    use recslowfast::service::run::Run;
    use recslowfast::service::signals::Signals;

    /// Runs until it fails, and says why in one line.
    pub fn main() {
        let network = Network::load(crate::program::QUICK).unwrap();
        let engine = engine::open("cpu".parse::<Choice>().unwrap(), &network, Threads::default()).unwrap();
        let mut source = capture::start(super::STREAM, &CaptureRequest::default(), None, Timeouts::default()).unwrap();
        let mut pipeline = Pipeline::new(&network, engine, network.manifest.rule(), Mode::Crop, true);
        let classes: Arc<[String]> = Arc::from(network.manifest.task.classes.as_slice());
        let heading = Heading {
            title: "embedded".into(),
            board: String::new(),
            model: "embedded".into(),
            sees: String::new(),
            classes: Arc::clone(&classes),
        };
        let page = Page::start("127.0.0.1:0".parse().unwrap(), None, heading, ControlQueue::new()).unwrap();
        let json = JsonLines::new(std::io::sink(), "nowhere", classes);
        let workers = vec![
            SinkWorker::start("json", Box::new(json), Overflow::DropOldest).unwrap(),
            SinkWorker::start("page", Box::new(page), Overflow::DropOldest).unwrap(),
        ];
        let sensing = Sensing { root: std::path::Path::new("/"), rail: None, energy: None };
        let budget_controller = BudgetController::begin(&mut pipeline, Budget::default(), 8, None, &sensing).unwrap();
        let mut control_handler = ControlHandler::new(ControlQueue::new(), Some(budget_controller));
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("seen.mcap");
        let spec = RecordSpec { path, limit: None, events: None, timed: true, watched_by: None };
        let mut recording = Recording::start(spec, OutcomeFormat::default()).unwrap();
        eprintln!("running");
        let mut lifecycle = Lifecycle::embedded(Signals::default());
        let run = Run {
            source: &mut *source,
            pipeline: &mut pipeline,
            control_handler: &mut control_handler,
            workers: &workers,
            recording: Some(&mut recording),
            dump: None,
            frames: None,
            lifecycle: &mut lifecycle,
            reload: &mut |_, _| {},
        };
        let result = run.answer();
        let closed = closing::close(workers, &|| true);
        eprintln!("told: {:?}, closing: {:?}", result.map(|_| ()), closed);
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn a_program_that_embeds_this_library_is_told_as_an_error() {
    if std::env::var_os("EMBEDDED").is_some() {
        return embedded::main();
    }
    for name in ["capture", "page", "recording", "recording-sync", "report-json", "report-page", "sensors"] {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["threads::a_program_that_embeds_this_library_is_told_as_an_error", "--exact", "--nocapture"]);
        let mut child = command.env("EMBEDDED", "1").stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines().map_while(Result::ok);
        assert!(lines.any(|line| line == "running"));
        std::thread::sleep(Duration::from_millis(500));
        if !take_away(child.id() as libc::pid_t, name) {
            let _ = child.kill();
            let _ = child.wait();
            return;
        }
        let told = lines.find(|line| line.starts_with("told:")).expect("it ended without a word");
        assert!(told.contains(&format!("a fault in thread '{name}': it is gone without a word")), "{name}: {told}");
        assert!(child.wait().unwrap().success(), "it went on to its own end");
    }
}
