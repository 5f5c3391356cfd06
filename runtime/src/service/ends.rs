//! The process's ways out that do not wait for anybody: a bound on every end, and what is said of what was lost.
//!
//! An orderly end is the main loop's: it stops, its outputs are finished, and `main` returns. Whoever asks for an end (a signal, a thread that died)
//! also starts the clock here. What is not finished in its time ends with `_exit`, after the terminal is restored and what was lost is named.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::channel;
use std::sync::{Mutex, MutexGuard};
use std::time::{Duration, Instant};

use super::exit::Cause;
use crate::{recording, report};

/// How long what nobody holds has to end after the end was asked for.
const GRACE: Duration = Duration::from_millis(900);
/// How long recordings have to finish: below the 5 s after which systemd kills.
pub const RECORDING_GRACE: Duration = Duration::from_secs(4);
/// How long recordings have at the very end, when the process leaves without the main loop: what waits in memory is small, and with [`RECORDING_GRACE`]
/// it stays below those 5 s.
const RECORDING_LAST: Duration = Duration::from_millis(400);
/// What the main thread may need beside its outputs before it counts as stuck.
const MARGIN: Duration = Duration::from_millis(150);
/// How long the last words may take where standard error is stuck.
const LAST_WORDS: Duration = Duration::from_millis(100);
/// How often the clock looks whether there is still something to wait for.
const LOOK: Duration = Duration::from_millis(20);

/// Something that is to be finished before the process may end.
struct Held {
    number: u64,
    name: String,
    grace: Duration,
    /// Where it is a recording, its file.
    recording: Option<PathBuf>,
}

static HELD: Mutex<(u64, Vec<Held>)> = Mutex::new((0, Vec::new()));
static COUNTING: AtomicBool = AtomicBool::new(false);

fn held() -> MutexGuard<'static, (u64, Vec<Held>)> {
    HELD.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}

/// Says that something is unfinished for as long as it exists.
#[must_use]
pub struct Hold(u64);

/// Names what is lost if the process ends now, and how long it may take to finish once an end is asked for.
pub fn hold(name: impl Into<String>, grace: Duration) -> Hold {
    held_as(name.into(), grace, None)
}

/// As [`hold`], for the recording that is written to `path`: if the process has to leave without the main loop, it is finished all the same, as far as
/// that takes a moment only.
pub fn hold_recording(path: &Path) -> Hold {
    held_as(format!("the recording {}", path.display()), RECORDING_GRACE, Some(path.to_owned()))
}

fn held_as(name: String, grace: Duration, recording: Option<PathBuf>) -> Hold {
    let mut held = held();
    held.0 += 1;
    let number = held.0;
    held.1.push(Held { number, name, grace, recording });
    Hold(number)
}

impl Drop for Hold {
    fn drop(&mut self) {
        held().1.retain(|other| other.number != self.0);
    }
}

/// The names of everything unfinished, in the order in which it was begun.
pub fn unfinished() -> Vec<String> {
    held().1.iter().map(|held| held.name.clone()).collect()
}

/// Finishes the recordings whose writing thread can; what is unfinished then.
fn finish_recordings() -> Vec<String> {
    let left = if held().1.iter().any(|held| held.recording.is_some()) { recording::finish_all(RECORDING_LAST) } else { Vec::new() };
    lost(&held().1, &left)
}

/// The names of what is unfinished where, of the recordings, those in `left` are.
fn lost(held: &[Held], left: &[PathBuf]) -> Vec<String> {
    let unfinished = held.iter().filter(|held| held.recording.as_ref().is_none_or(|path| left.contains(path)));
    unfinished.map(|held| held.name.clone()).collect()
}

/// An end was asked for, or has become necessary for `cause`: from now on everything has its grace, once. With nothing left unfinished the process
/// ends with 0 where it was `asked`; else with the code of `cause`.
pub fn begin(cause: Cause, asked: bool) {
    if COUNTING.swap(true, Ordering::SeqCst) {
        return;
    }
    let began = Instant::now();
    let clock = move || {
        while began.elapsed() < MARGIN + held().1.iter().map(|held| held.grace).max().unwrap_or(GRACE) {
            std::thread::sleep(LOOK);
        }
        leave(cause, asked, &format!("the end took longer than {} ms", began.elapsed().as_millis()));
    };
    if std::thread::Builder::new().name("last-resort".into()).spawn(clock).is_err() {
        leave(cause, asked, "there is no thread left to end with");
    }
}

/// Ends the process at once, for `why`. An end that was `asked` for and loses nothing is none to complain about.
pub fn leave(cause: Cause, asked: bool, why: &str) -> ! {
    report::restore_terminal();
    let lost = finish_recordings();
    let code = if asked && lost.is_empty() { 0 } else { cause as i32 };
    if code != 0 {
        let what = if lost.is_empty() { String::new() } else { format!("; unfinished and in part lost: {}", lost.join(", ")) };
        let words = format!("{why}{what}");
        // Standard error may be a full pipe.
        let (said, heard) = channel();
        let say = move || {
            log::error!("{words}");
            let _ = said.send(());
        };
        if std::thread::Builder::new().name("last-words".into()).spawn(say).is_ok() {
            let _ = heard.recv_timeout(LAST_WORDS);
        }
    }
    // SAFETY: ends the process without running anything more of it, which is the point.
    unsafe { libc::_exit(code) }
}

/// Restores the terminal also where a signal ends the process that nobody waits for: a key that asks for a core dump, an abort, a crash in a driver.
pub fn restore_on_fatal_signals() {
    for signal in [libc::SIGQUIT, libc::SIGABRT, libc::SIGSEGV, libc::SIGBUS] {
        // SAFETY: all zeros are a valid `sigaction` that is filled before it is used; the handler only does what handlers may.
        unsafe {
            let mut before: libc::sigaction = std::mem::zeroed();
            if libc::sigaction(signal, std::ptr::null(), &mut before) != 0 || before.sa_sigaction == libc::SIG_IGN {
                continue;
            }
            BEFORE[signal as usize].store(Box::into_raw(Box::new(before)), Ordering::SeqCst);
            let mut ours: libc::sigaction = std::mem::zeroed();
            ours.sa_sigaction = on_fatal_signal as *const () as usize;
            // On the stack that Rust sets aside for overflows.
            ours.sa_flags = libc::SA_ONSTACK | libc::SA_SIGINFO;
            libc::sigaction(signal, &ours, std::ptr::null_mut());
        }
    }
}

/// What each signal did before.
static BEFORE: [std::sync::atomic::AtomicPtr<libc::sigaction>; 16] =
    [const { std::sync::atomic::AtomicPtr::new(std::ptr::null_mut()) }; 16];

extern "C" fn on_fatal_signal(signal: libc::c_int, info: *mut libc::siginfo_t, _: *mut libc::c_void) {
    report::restore_terminal();
    // SAFETY: the kernel hands over a valid `info`; actions are changed and signals raised by calls that handlers may make.
    unsafe {
        if (*info).si_code > 0 {
            // A crash: it comes again by itself, to what stood there before.
            libc::sigaction(signal, BEFORE[signal as usize].load(Ordering::SeqCst), std::ptr::null_mut());
        } else {
            // Sent by somebody, an abort among them: what it does to any process.
            libc::signal(signal, libc::SIG_DFL);
            libc::raise(signal);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_held_is_unfinished_until_it_is_dropped() {
        let (first, second) = (hold("the first of this test", GRACE), hold("the second of this test", RECORDING_GRACE));
        let mine = || unfinished().into_iter().filter(|name| name.ends_with("of this test")).collect::<Vec<_>>();
        assert_eq!(mine(), ["the first of this test", "the second of this test"]);
        drop(first);
        assert_eq!(mine(), ["the second of this test"]);
        drop(second);
        assert!(mine().is_empty());
    }

    #[test]
    fn a_recording_that_could_be_finished_at_the_last_moment_is_not_lost() {
        let held = |name: &str, recording: Option<&str>| Held {
            number: 0,
            name: name.into(),
            grace: GRACE,
            recording: recording.map(PathBuf::from),
        };
        let all = [held("the output 'json'", None), held("the recording a", Some("a")), held("the recording b", Some("b"))];
        assert_eq!(lost(&all, &["b".into()]), ["the output 'json'", "the recording b"]);
        assert_eq!(lost(&all[1..2], &[]), Vec::<String>::new());
    }
}
