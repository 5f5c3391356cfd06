//! Threads that cannot die unseen: each has a guard, which whoever started it asks.
//!
//! A thread ends by coming to its end, by a panic, or, at worst, by the kernel taking it away. The first is no fault. The second is caught here and
//! kept as a [`Fault`]; the third is noticed because there is no such thread any more. Whoever holds the [`Guard`] turns a fault into an error of
//! its own kind, so that a program which embeds this library is told as the binary is.

use std::any::Any;
use std::cell::RefCell;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicI32, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// How often a wait looks whether the thread is still there.
const LOOK: Duration = Duration::from_millis(50);

/// What ended a thread that had not come to its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The thread's name.
    pub thread: String,
    /// What it said, and where in the source.
    pub words: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "a fault in thread '{}': {}", self.thread, self.words)
    }
}

impl std::error::Error for Fault {}

thread_local! {
    /// The words of this thread's last panic, where a panic hook left them.
    static WORDS: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// Told of every fault, beside whoever holds the guard.
static LISTENER: OnceLock<fn(&Fault)> = OnceLock::new();

/// Has `listener` told of every fault from now on, on the thread that dies; the first listener stays.
pub fn on_fault(listener: fn(&Fault)) {
    let _ = LISTENER.set(listener);
}

/// Keeps what a panic of the calling thread said. For panic hooks, which know the place in the source.
pub fn keep_words(words: &str) {
    // A panic while thread-locals are torn down has nowhere to leave its words.
    let _ = WORDS.try_with(|kept| kept.replace(Some(words.to_owned())));
}

/// What a caught panic of the calling thread said: its hook's words, else its payload's.
pub fn words_of(payload: &(dyn Any + Send)) -> String {
    let kept = WORDS.try_with(RefCell::take).ok().flatten();
    kept.or_else(|| payload.downcast_ref::<&str>().map(|words| (*words).to_owned()))
        .or_else(|| payload.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "a panic without words".into())
}

/// Whether this process has a thread of that number.
pub fn exists(tid: i32) -> bool {
    // SAFETY: signal 0 only asks whether there is such a thread in this process.
    let asked = unsafe { libc::syscall(libc::SYS_tgkill, libc::getpid(), tid, 0) };
    asked == 0 || std::io::Error::last_os_error().raw_os_error() != Some(libc::ESRCH)
}

enum Phase {
    Running,
    Ended,
    Died(Fault),
}

struct State {
    name: String,
    /// The kernel's number of the thread; 0 until it runs.
    tid: AtomicI32,
    phase: Mutex<Phase>,
    changed: Condvar,
}

impl State {
    fn phase(&self) -> MutexGuard<'_, Phase> {
        self.phase.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    fn become_(&self, phase: Phase) {
        *self.phase() = phase;
        self.changed.notify_all();
    }

    /// Whether the kernel has taken the thread away while it ran.
    fn vanished(&self) -> bool {
        let tid = self.tid.load(Ordering::Relaxed);
        tid != 0 && !exists(tid)
    }

    fn is_over(&self) -> bool {
        !matches!(*self.phase(), Phase::Running) || self.vanished()
    }
}

/// Watches one thread. Dropping it lets the thread go on alone.
pub struct Guard {
    state: Arc<State>,
    handle: Option<JoinHandle<()>>,
}

/// Starts a thread called `name`; `died` is called on it if it panics, after `body` and what that held are gone.
pub fn spawn(name: &str, body: impl FnOnce() + Send + 'static, died: impl FnOnce(&Fault) + Send + 'static) -> std::io::Result<Guard> {
    let state =
        Arc::new(State { name: name.to_owned(), tid: AtomicI32::new(0), phase: Mutex::new(Phase::Running), changed: Condvar::new() });
    let theirs = Arc::clone(&state);
    let run = move || {
        // SAFETY: asks for a number.
        theirs.tid.store(unsafe { libc::gettid() }, Ordering::Relaxed);
        match catch_unwind(AssertUnwindSafe(body)) {
            Ok(()) => theirs.become_(Phase::Ended),
            Err(payload) => {
                let fault = Fault { thread: theirs.name.clone(), words: words_of(&*payload) };
                // A payload whose drop panics would take this thread after all.
                std::mem::forget(payload);
                theirs.become_(Phase::Died(fault.clone()));
                died(&fault);
                if let Some(listener) = LISTENER.get() {
                    listener(&fault);
                }
            }
        }
    };
    let handle = std::thread::Builder::new().name(name.to_owned()).spawn(run)?;
    Ok(Guard { state, handle: Some(handle) })
}

impl Guard {
    /// What ended the thread before its end, if anything did.
    pub fn fault(&self) -> Option<Fault> {
        match &*self.state.phase() {
            Phase::Died(fault) => return Some(fault.clone()),
            Phase::Ended => return None,
            Phase::Running => {}
        }
        // Asked twice, because it may have come to its end between the two questions.
        (self.state.vanished() && matches!(*self.state.phase(), Phase::Running))
            .then(|| Fault { thread: self.state.name.clone(), words: "it is gone without a word".into() })
    }

    /// Whether the thread has ended, one way or the other.
    pub fn is_over(&self) -> bool {
        self.state.is_over()
    }

    /// Wakes the thread if it is parked.
    pub fn unpark(&self) {
        if let Some(handle) = &self.handle {
            handle.thread().unpark();
        }
    }

    /// Waits up to `most` for the thread's end; false if it takes longer.
    pub fn wait(&self, most: Duration) -> bool {
        let began = Instant::now();
        let mut phase = self.state.phase();
        while matches!(*phase, Phase::Running) {
            if self.state.vanished() {
                return true;
            }
            let left = most.saturating_sub(began.elapsed());
            if left.is_zero() {
                return false;
            }
            phase = self.state.changed.wait_timeout(phase, left.min(LOOK)).unwrap_or_else(|poisoned| poisoned.into_inner()).0;
        }
        true
    }

    /// Waits for the thread's end, however long it takes; its fault, if it had one.
    pub fn join(mut self) -> Result<(), Fault> {
        while !self.wait(Duration::from_secs(3600)) {}
        let fault = self.fault();
        if let Some(handle) = self.handle.take()
            && matches!(*self.state.phase(), Phase::Ended | Phase::Died(_))
        {
            // It cannot panic: everything it does is caught.
            let _ = handle.join();
        }
        fault.map_or(Ok(()), Err)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::AtomicBool;

    const SOON: Duration = Duration::from_secs(10);

    #[test]
    fn a_thread_that_comes_to_its_end_is_no_fault() {
        let guard = spawn("quiet", || {}, |_| panic!("nothing died")).unwrap();
        assert!(guard.wait(SOON) && guard.is_over() && guard.fault().is_none());
        assert_eq!(guard.join(), Ok(()));
    }

    #[test]
    fn a_panic_is_a_fault_with_its_words_and_told_before_anybody_asks() {
        let told = Arc::new(AtomicBool::new(false));
        let (theirs, held) = (Arc::clone(&told), Arc::new(()));
        let body = {
            let held = Arc::clone(&held);
            move || {
                let _held = held;
                panic!("of no use")
            }
        };
        let watched = Arc::clone(&held);
        let died = move |fault: &Fault| {
            assert_eq!(Arc::strong_count(&watched), 2, "what the body held is gone");
            theirs.store(fault.words.contains("of no use"), Ordering::SeqCst);
        };
        let fault = spawn("doomed", body, died).unwrap().join().unwrap_err();
        assert!(fault.to_string().starts_with("a fault in thread 'doomed': of no use"), "{fault}");
        assert!(told.load(Ordering::SeqCst));
    }

    #[test]
    fn a_thread_that_the_kernel_takes_away_is_noticed() {
        // SAFETY: ends this thread alone, which holds nothing but what it leaks.
        let taken = || unsafe {
            libc::syscall(libc::SYS_exit, 0);
        };
        let guard = spawn("taken", taken, |_| {}).unwrap();
        assert!(guard.wait(SOON));
        assert_eq!(guard.fault().map(|fault| fault.words), Some("it is gone without a word".into()));
        assert!(guard.join().is_err());
    }

    #[test]
    fn waiting_for_a_thread_that_goes_on_is_bounded() {
        let end = Arc::new(AtomicBool::new(false));
        let theirs = Arc::clone(&end);
        let guard = spawn(
            "busy",
            move || {
                while !theirs.load(Ordering::SeqCst) {
                    std::thread::park_timeout(LOOK)
                }
            },
            |_| {},
        )
        .unwrap();
        assert!(!guard.wait(Duration::from_millis(20)) && !guard.is_over());
        end.store(true, Ordering::SeqCst);
        guard.unpark();
        assert_eq!(guard.join(), Ok(()));
    }
}
