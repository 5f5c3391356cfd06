//! The life of the service as its manager sees it: ready, alive, read again, ended in time.

use std::io::{BufRead, BufReader};
use std::os::unix::net::UnixDatagram;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use recslowfast::service::{logging, panics};
use recslowfast::threads;

const STREAM: &str = "pathfinder:easy?seed=7&size=64&fps=25";

/// The program under a service manager that only listens.
struct Service {
    child: Child,
    ear: UnixDatagram,
    folder: tempfile::TempDir,
    heard: String,
}

impl Service {
    fn start(config: &str, arguments: &[&str]) -> Service {
        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join("notify");
        let ear = UnixDatagram::bind(&socket).unwrap();
        ear.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        std::fs::write(folder.path().join("board.toml"), config).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_recslowfast"));
        command.arg("run").arg("--config").arg(folder.path().join("board.toml")).args(arguments);
        command.env("NOTIFY_SOCKET", &socket).env("WATCHDOG_USEC", "600000").env_remove("WATCHDOG_PID");
        let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the binary starts");
        Service { child, ear, folder, heard: String::new() }
    }

    fn config(&self) -> PathBuf {
        self.folder.path().join("board.toml")
    }

    /// Waits until the manager has been told `words`.
    #[track_caller]
    fn hears(&mut self, words: &str) {
        let mut message = [0; 4096];
        while !self.heard.contains(words) {
            let Ok(n) = self.ear.recv(&mut message) else { panic!("'{words}' never came; heard: {}", self.heard) };
            self.heard.push_str(std::str::from_utf8(&message[..n]).unwrap());
            self.heard.push('\n');
        }
    }

    fn signal(&self, name: &str) {
        assert!(Command::new("kill").args([name, &self.child.id().to_string()]).status().unwrap().success());
    }

    /// Waits for the end; returns the exit code, how long it took, and the log.
    fn end(&mut self) -> (Option<i32>, Duration, String) {
        let began = Instant::now();
        let status = self.child.wait().unwrap();
        let took = began.elapsed();
        let log = BufReader::new(self.child.stderr.take().unwrap()).lines().map_while(Result::ok).collect::<Vec<_>>().join("\n");
        (status.code(), took, log)
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn ready_names_the_engine_and_the_watchdog_is_fed() {
    let mut service =
        Service::start(&format!("[source]\nuri = \"{STREAM}\"\n[model]\nhalt = \"fixed:1\"\n[engine]\nkind = \"cpu\"\n"), &[]);
    service.hears("READY=1");
    service.hears("STATUS=ready on the cpu engine");
    service.hears("WATCHDOG=1");
    service.hears("cpu engine, age ");
    // Fed again and again; how often is a matter of the machine and of an unoptimised build.
    for _ in 0..3 {
        service.heard.clear();
        service.hears("WATCHDOG=1");
    }
    service.signal("-TERM");
    let (code, took, _) = service.end();
    assert_eq!(code, Some(0));
    assert!(took < Duration::from_secs(1), "{took:?}");
    service.heard.clear();
    service.hears("STOPPING=1");
}

#[test]
fn a_hung_loop_feeds_no_watchdog_whatever_its_other_threads_do() {
    let mut service = Service::start(&format!("[source]\nuri = \"{STREAM}\"\n"), &["--page", "127.0.0.1:0"]);
    service.hears("READY=1");
    service.hears("WATCHDOG=1");
    let main = service.child.id() as libc::pid_t;
    // SAFETY: plain system calls on a child of this very thread; no memory is handed over but `stopped`.
    unsafe {
        let nothing = std::ptr::null_mut::<libc::c_void>();
        assert_eq!(libc::ptrace(libc::PTRACE_SEIZE, main, nothing, nothing), 0, "{}", std::io::Error::last_os_error());
        assert_eq!(libc::ptrace(libc::PTRACE_INTERRUPT, main, nothing, nothing), 0, "{}", std::io::Error::last_os_error());
        let mut stopped = 0;
        assert_eq!(libc::waitpid(main, &mut stopped, libc::__WALL), main);
        assert!(libc::WIFSTOPPED(stopped));
    }
    let state = |task: PathBuf| {
        let stat = std::fs::read_to_string(task.join("stat")).unwrap();
        stat.rsplit(") ").next().unwrap().chars().next().unwrap()
    };
    let tasks = std::fs::read_dir(format!("/proc/{main}/task")).unwrap().map(|task| state(task.unwrap().path()));
    let (hung, alive): (Vec<char>, Vec<char>) = tasks.partition(|state| *state == 't');
    assert!(hung.len() == 1 && !alive.is_empty(), "{hung:?} {alive:?}");
    // What was said before the hang is still heard; after that, nothing for five times the feeding period.
    service.ear.set_read_timeout(Some(Duration::from_secs(1))).unwrap();
    let mut message = [0; 4096];
    let mut late = 0;
    while service.ear.recv(&mut message).is_ok() {
        late += 1;
        assert!(late < 10, "the watchdog is fed while the loop hangs");
    }
}

/// Whether the thread of `pid` that reports on standard output waits for its reader: it is in the middle of a write whenever it is looked at.
fn is_stuck(pid: u32) -> bool {
    let looks = (0..5).map(|_| {
        std::thread::sleep(Duration::from_millis(50));
        let tasks = std::fs::read_dir(format!("/proc/{pid}/task")).unwrap().flatten().map(|task| task.path());
        let mut reports = tasks.filter(|task| std::fs::read_to_string(task.join("comm")).is_ok_and(|name| name.trim() == "report-json"));
        let call = reports.next().and_then(|task| std::fs::read_to_string(task.join("syscall")).ok());
        call.is_some_and(|call| call.starts_with(&format!("{} 0x1 ", libc::SYS_write)))
    });
    looks.filter(|stuck| *stuck).count() == 5
}

#[test]
fn sigterm_is_obeyed_while_a_reader_is_stuck() {
    // Nobody reads the pipe: 64 KiB of records fill it.
    let mut service = Service::start(
        "[source]\nuri = \"pathfinder:easy?seed=7&size=64\"\n[report]\nto = [\"json\"]\n",
        &["--model", concat!(env!("CARGO_MANIFEST_DIR"), "/tests/gpu/networks/tiny-convgru")],
    );
    service.hears("READY=1");
    while !is_stuck(service.child.id()) {}
    service.signal("-TERM");
    let (code, took, log) = service.end();
    assert!(took < Duration::from_millis(1200), "{took:?}");
    assert_eq!(code, Some(7), "{log}");
    assert!(log.contains("took longer"), "{log}");
}

#[test]
fn sighup_takes_up_what_it_can_and_says_what_it_cannot() {
    let config = |halt: &str, fit: &str| format!("[source]\nuri = \"{STREAM}\"\nfit = \"{fit}\"\n[model]\nhalt = \"{halt}\"\n");
    let mut service = Service::start(&config("fixed:1", "crop"), &["--report", "json"]);
    service.hears("READY=1");
    let mut records = BufReader::new(service.child.stdout.take().unwrap()).lines().map_while(Result::ok);
    let mut steps_become = |steps: u64| {
        records.by_ref().take(200).any(|line| serde_json::from_str::<serde_json::Value>(&line).unwrap()["steps"].as_u64() == Some(steps))
    };
    assert!(steps_become(1));
    service.heard.clear();
    std::fs::write(service.config(), config("fixed:3", "stretch")).unwrap();
    service.signal("-HUP");
    service.hears("RELOADING=1");
    service.hears("MONOTONIC_USEC=");
    service.hears("READY=1");
    assert!(steps_become(3));
    // A broken file changes nothing.
    service.heard.clear();
    std::fs::write(service.config(), "[model]\nhalt = \"fixed:\"\n").unwrap();
    service.signal("-HUP");
    service.hears("READY=1");
    assert!(steps_become(3));
    service.signal("-TERM");
    drop(records);
    let (_, _, log) = service.end();
    for words in ["applied: model.halt", "needs a restart: source.fit", "board.toml:2:8:", "the running settings stay"] {
        assert!(log.contains(words), "'{words}' is not in: {log}");
    }
}

/// Runs the test `name` of this file again as a process of its own, in which `CHILD` is set.
fn alone(name: &str) -> (Option<i32>, String, Duration) {
    let began = Instant::now();
    let output = Command::new(std::env::current_exe().unwrap()).args([name, "--exact", "--nocapture"]).env("CHILD", "1").output().unwrap();
    (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned(), began.elapsed())
}

#[test]
fn a_thread_that_dies_ends_the_process_with_its_words() {
    if std::env::var_os("CHILD").is_some() {
        logging::start(Some(log::LevelFilter::Info));
        panics::watch();
        // Nobody asks the guard, as if the main loop were stuck.
        let _guard = threads::spawn("doomed", || panic!("of no use"), |_| {}).unwrap();
        return std::thread::sleep(Duration::from_secs(20));
    }
    let (code, said, took) = alone("a_thread_that_dies_ends_the_process_with_its_words");
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("a fault in thread 'doomed': of no use at runtime/tests/service.rs"), "{said}");
    assert!(took < Duration::from_secs(5), "{took:?}");
}

#[test]
fn a_panic_that_is_caught_ends_nothing() {
    if std::env::var_os("CHILD").is_some() {
        panics::watch();
        let careful = || {
            assert!(std::panic::catch_unwind(|| panic!("caught")).is_err());
            std::thread::sleep(Duration::from_millis(1500));
        };
        threads::spawn("careful", careful, |_| {}).unwrap().join().unwrap();
        return;
    }
    let (code, said, _) = alone("a_panic_that_is_caught_ends_nothing");
    assert_eq!(code, Some(0), "{said}");
    assert!(!said.contains("fault"), "{said}");
}
