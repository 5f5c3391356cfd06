//! A terminal is left as it was found on every way out, and one that hangs up ends the run in order.

use std::fs::File;
use std::io::Read;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::process::Stdio;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use crate::program::{End, QUICK, Running, STREAM, is_whole, recordings, recslowfast};
use crate::threads::take_away;

const TAKEN: &[u8] = b"\x1b[?1049h";
const LEFT: &[u8] = b"\x1b[?1049l";
const SHOWN: &[u8] = b"\x1b[?25h";

/// The program as the leader of a terminal of its own.
struct Session {
    running: Running,
    /// The other end of the terminal; None once it has hung up.
    screen: Option<File>,
    shown: Arc<Mutex<Vec<u8>>>,
}

impl Session {
    fn start(arguments: &[&str]) -> Session {
        let (mut ours, mut theirs) = (0, 0);
        let size = libc::winsize { ws_row: 24, ws_col: 80, ws_xpixel: 0, ws_ypixel: 0 };
        // SAFETY: both numbers are written by the call, which keeps nothing.
        let opened = unsafe { libc::openpty(&mut ours, &mut theirs, std::ptr::null_mut(), std::ptr::null(), &size) };
        assert_eq!(opened, 0, "{}", std::io::Error::last_os_error());
        // SAFETY: they were just opened, and belong to nobody else.
        let (ours, theirs) = unsafe { (OwnedFd::from_raw_fd(ours), OwnedFd::from_raw_fd(theirs)) };
        // SAFETY: the child must not hold this end, or it would never hang up.
        unsafe { libc::fcntl(ours.as_raw_fd(), libc::F_SETFD, libc::FD_CLOEXEC) };
        let mut command = recslowfast();
        command
            .args(["run", "--model", QUICK, "--source", STREAM, "--engine", "cpu", "--halt", "fixed:1", "--report", "terminal"])
            .args(arguments);
        command.env("TERM", "xterm-256color").env_remove("NO_COLOR");
        command.stdin(theirs.try_clone().unwrap()).stdout(theirs);
        // SAFETY: only system calls between fork and exec.
        unsafe {
            command.pre_exec(|| {
                if libc::setsid() < 0 || libc::ioctl(libc::STDIN_FILENO, libc::TIOCSCTTY, 0) < 0 {
                    return Err(std::io::Error::last_os_error());
                }
                Ok(())
            });
        }
        let running = Running::start(&mut command);
        // Its own ends of the terminal are closed here.
        command.stdin(Stdio::null()).stdout(Stdio::null());
        let screen = File::from(ours);
        // SAFETY: makes reads return when there is nothing.
        unsafe { libc::fcntl(screen.as_raw_fd(), libc::F_SETFL, libc::O_NONBLOCK) };
        let mut session = Session { running, screen: Some(screen), shown: Arc::default() };
        session.until_taken();
        session
    }

    fn read(&mut self) {
        let mut part = [0; 65536];
        let Some(screen) = &mut self.screen else { return };
        while let Ok(count @ 1..) = screen.read(&mut part) {
            self.shown.lock().unwrap().extend(&part[..count]);
        }
    }

    fn has(&self, what: &[u8]) -> bool {
        self.shown.lock().unwrap().windows(what.len()).any(|window| window == what)
    }

    fn until_taken(&mut self) {
        let began = Instant::now();
        while !self.has(TAKEN) {
            assert!(began.elapsed() < Duration::from_secs(60), "no dashboard: {}", self.running.log());
            std::thread::sleep(Duration::from_millis(10));
            self.read();
        }
    }

    /// Waits for the end; how it ended, what was said, and whether the terminal is as it was.
    fn end(mut self) -> (End, String, bool) {
        let began = Instant::now();
        while self.running.child.try_wait().unwrap().is_none() && began.elapsed() < Duration::from_secs(30) {
            self.read();
            std::thread::sleep(Duration::from_millis(5));
        }
        self.read();
        let shown = self.shown.lock().unwrap().clone();
        let last = |what: &[u8]| shown.windows(what.len()).rposition(|window| window == what);
        let sane = last(LEFT) > last(TAKEN) && last(SHOWN) > last(b"\x1b[?25l");
        let (end, log) = self.running.end();
        (end, log, sane)
    }
}

#[test]
fn a_request_a_key_and_an_abort_leave_the_terminal_as_it_was() {
    for (signal, ends) in [
        (libc::SIGTERM, End::Code(0)),
        (libc::SIGINT, End::Code(0)),
        (libc::SIGQUIT, End::Signal(libc::SIGQUIT)),
        (libc::SIGABRT, End::Signal(libc::SIGABRT)),
        (libc::SIGSEGV, End::Signal(libc::SIGSEGV)),
    ] {
        let session = Session::start(&[]);
        session.running.signal(signal);
        let (end, log, sane) = session.end();
        assert_eq!(end, ends, "{signal}: {log}");
        assert!(sane, "signal {signal} left the terminal as the dashboard had it");
    }
}

#[test]
fn the_death_of_the_thread_that_draws_leaves_the_terminal_as_it_was() {
    let session = Session::start(&[]);
    if !take_away(session.running.pid(), "report-termina") {
        return;
    }
    let (end, log, sane) = session.end();
    assert_eq!(end, End::Code(1), "{log}");
    assert!(sane && log.contains("'report-terminal'"), "{log}");
}

#[test]
fn a_terminal_that_hangs_up_ends_the_run_in_order() {
    for config in [false, true] {
        let folder = tempfile::tempdir().unwrap();
        let (file, text) = (folder.path().join("seen.mcap"), folder.path().join("a.toml"));
        std::fs::write(&text, "[engine]\nkind = \"cpu\"\n").unwrap();
        let mut arguments = vec!["--record", file.to_str().unwrap()];
        if config {
            arguments.extend(["--config", text.to_str().unwrap()]);
        }
        let mut session = Session::start(&arguments);
        std::thread::sleep(Duration::from_millis(300));
        session.screen = None;
        let (end, log, _) = session.end();
        assert_eq!(end, End::Code(0), "with a configuration: {config}: {log}");
        let kept = recordings(folder.path());
        assert!(kept.len() == 1 && is_whole(&kept[0]), "{kept:?} {log}");
    }
}
