//! A panic that ends a thread ends the process, cleanly: the main loop is told, and where it cannot listen the process exits by itself.
//!
//! A panic that somebody catches (a damaged file in a parser) is no fault and makes no noise.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::exit::Cause;

/// How long a panicking thread may take to unwind before it counts as still alive, because somebody caught the panic.
const UNWINDING: Duration = Duration::from_millis(300);
/// How long the main loop has to end after a thread died.
const GRACE: Duration = Duration::from_millis(900);

static DIED: AtomicBool = AtomicBool::new(false);
static LAST: Mutex<String> = Mutex::new(String::new());

/// Whether a thread has died of a panic.
pub fn died() -> bool {
    DIED.load(Ordering::Relaxed)
}

/// The words of the last panic: what, and where in the source.
pub fn last() -> String {
    LAST.lock().map_or_else(|poisoned| poisoned.into_inner().clone(), |last| last.clone())
}

/// Watches every thread from now on.
pub fn watch() {
    std::panic::set_hook(Box::new(|info| {
        let what = info.payload_as_str().unwrap_or("no words").to_owned();
        let place = info.location().map_or(String::new(), |at| format!(" at {at}"));
        let name = std::thread::current().name().unwrap_or("without a name").to_owned();
        let words = format!("a fault in thread '{name}': {what}{place}");
        log::debug!("{words}");
        if let Ok(mut last) = LAST.lock() {
            last.clone_from(&words);
        }
        // The main thread's end is seen by whoever called it.
        if name == "main" {
            return;
        }
        let Ok(task) = std::fs::canonicalize("/proc/thread-self") else { return };
        let watcher = move || {
            for _ in 0..UNWINDING.as_millis() / 10 {
                if !task.exists() {
                    return end(&words);
                }
                std::thread::sleep(Duration::from_millis(10));
            }
        };
        if std::thread::Builder::new().name("last-words".into()).spawn(watcher).is_err() {
            std::process::abort();
        }
    }));
}

fn end(words: &str) {
    log::error!("{words}; ending");
    DIED.store(true, Ordering::Relaxed);
    std::thread::sleep(GRACE);
    std::process::exit(Cause::Internal as i32);
}
