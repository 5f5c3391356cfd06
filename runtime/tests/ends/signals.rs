//! Signals, in any number and order: an orderly end, or one that says what it cost.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use crate::program::{End, QUICK, Running, STREAM, full_pipe, is_stuck, is_whole, recordings, recslowfast};

/// SplitMix64, so that a failing run can be played again.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % limit
    }
}

/// A run that records into `folder`.
fn recording(folder: &Path) -> Running {
    let mut command = recslowfast();
    command.args(["run", "--model", QUICK, "--source", STREAM, "--engine", "cpu", "--halt", "fixed:1", "--report", "json", "--record"]);
    Running::start(command.arg(folder.join("seen.mcap")).stdin(Stdio::null()).stdout(Stdio::null()))
}

#[track_caller]
fn all_whole(folder: &Path, log: &str) {
    for file in recordings(folder) {
        assert!(is_whole(&file), "{} was not finished: {log}", file.display());
    }
}

#[test]
fn two_signals_within_milliseconds_end_as_one_does() {
    for _ in 0..3 {
        let folder = tempfile::tempdir().unwrap();
        let mut running = recording(folder.path());
        running.says("streaming");
        while recordings(folder.path()).is_empty() {
            std::thread::sleep(Duration::from_millis(5));
        }
        running.signal(libc::SIGTERM);
        std::thread::sleep(Duration::from_millis(2));
        running.signal(libc::SIGTERM);
        let (end, log) = running.end();
        assert_eq!(end, End::Code(0), "{log}");
        assert_eq!(recordings(folder.path()).len(), 1);
        all_whole(folder.path(), &log);
    }
}

/// `ENDS_RUNS=100` plays as many; the gate a few.
#[test]
fn bursts_of_signals_at_random_moments_leave_whole_recordings() {
    let runs = std::env::var("ENDS_RUNS").map_or(6, |runs| runs.parse().unwrap());
    let seed = std::env::var("ENDS_SEED").map_or(1, |seed| seed.parse().unwrap());
    let mut random = Random(seed);
    for run in 0..runs {
        let folder = tempfile::tempdir().unwrap();
        let running = recording(folder.path());
        std::thread::sleep(Duration::from_millis(50 + random.below(1500)));
        let mut sent = Vec::new();
        // One request, however many signals: they come within a tenth of a second.
        for _ in 0..=random.below(5) {
            let signal = [libc::SIGTERM, libc::SIGINT, libc::SIGHUP][random.below(3) as usize];
            running.signal(signal);
            sent.push(signal);
            std::thread::sleep(Duration::from_millis(random.below(15)));
        }
        let (end, log) = running.end();
        let early = matches!(end, End::Signal(_)) && !log.contains("watching");
        assert!(end == End::Code(0) || early, "run {run} of seed {seed}, signals {sent:?}: {end:?}: {log}");
        all_whole(folder.path(), &log);
    }
}

#[test]
fn the_third_request_is_obeyed_at_once_and_says_what_it_cost() {
    let (_reader, full) = full_pipe();
    let mut command = recslowfast();
    command.args(["run", "--model", QUICK, "--source", STREAM, "--engine", "cpu", "--halt", "fixed:1", "--report", "json"]);
    let running = Running::start(command.stdin(Stdio::null()).stdout(full));
    while !is_stuck(running.pid()) {}
    for _ in 0..3 {
        running.signal(libc::SIGINT);
        std::thread::sleep(Duration::from_millis(130));
    }
    let (end, log) = running.end();
    assert_eq!(end, End::Code(7), "{log}");
    assert!(log.contains("asked three times to end; unfinished and in part lost: the output 'json'"), "{log}");
}

/// The main loop never gets to it: its thread is held.
#[test]
fn a_main_loop_that_hangs_costs_no_recording() {
    let folder = tempfile::tempdir().unwrap();
    let mut running = recording(folder.path());
    running.says("streaming");
    let answered = || recordings(folder.path()).first().is_some_and(|file| file.metadata().unwrap().len() > 20_000);
    while !answered() {
        std::thread::sleep(Duration::from_millis(5));
    }
    hold_the_main_thread(running.pid());
    for _ in 0..3 {
        running.signal(libc::SIGTERM);
        std::thread::sleep(Duration::from_millis(130));
    }
    let (end, log) = running.end();
    assert_eq!(end, End::Code(7), "{log}");
    assert!(log.contains("unfinished and in part lost: the output 'json'") && !log.contains("lost: the recording"), "{log}");
    for file in recordings(folder.path()) {
        let bytes = std::fs::read(&file).unwrap();
        // The footer says where the summary begins; one that was never finished says 0.
        assert_ne!(bytes[bytes.len() - 28..bytes.len() - 20], [0; 8], "{} has no index: {log}", file.display());
    }
}

/// Stops the first thread of a child, and no other.
fn hold_the_main_thread(pid: libc::pid_t) {
    // SAFETY: plain system calls on a child of this very thread; no memory is handed over but `stopped`.
    unsafe {
        let nothing = std::ptr::null_mut::<libc::c_void>();
        assert_eq!(libc::ptrace(libc::PTRACE_SEIZE, pid, nothing, nothing), 0, "{}", std::io::Error::last_os_error());
        assert_eq!(libc::ptrace(libc::PTRACE_INTERRUPT, pid, nothing, nothing), 0, "{}", std::io::Error::last_os_error());
        let mut stopped = 0;
        assert_eq!(libc::waitpid(pid, &mut stopped, libc::__WALL), pid);
        assert!(libc::WIFSTOPPED(stopped));
    }
}

#[test]
fn a_stuck_reader_costs_its_last_reports_and_no_recording() {
    let folder = tempfile::tempdir().unwrap();
    let (_reader, full) = full_pipe();
    let mut command = recslowfast();
    // A film, in effect: its reports are waited for, and the loop stands until the end is asked for.
    command.args([
        "run",
        "--model",
        QUICK,
        "--source",
        "pathfinder:easy?seed=7&size=64",
        "--engine",
        "cpu",
        "--halt",
        "fixed:1",
        "--report",
        "json",
        "--record",
    ]);
    let running = Running::start(command.arg(folder.path().join("seen.mcap")).stdin(Stdio::null()).stdout(full));
    while !is_stuck(running.pid()) {}
    running.signal(libc::SIGTERM);
    let (end, log) = running.end();
    assert_eq!(end, End::Code(7), "{log}");
    assert!(log.contains("'json' took longer than 900 ms to finish; its last reports are lost"), "{log}");
    assert_eq!(recordings(folder.path()).len(), 1);
    all_whole(folder.path(), &log);
}

#[test]
fn without_a_configuration_sighup_ends_in_order() {
    let folder = tempfile::tempdir().unwrap();
    let mut running = recording(folder.path());
    running.says("streaming");
    running.signal(libc::SIGHUP);
    let (end, log) = running.end();
    assert_eq!(end, End::Code(0), "{log}");
    all_whole(folder.path(), &log);
}
