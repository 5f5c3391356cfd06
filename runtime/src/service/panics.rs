//! What a panic says, kept for whoever catches it, and the bound on how long the process may outlive a thread that died.
//!
//! Threads are watched by their own guards ([`crate::threads`]), which turn a panic into an error of the main loop. Here is only what the
//! binary adds: words with the place in the source, no noise for a panic that is caught, and an end that does not wait for a main loop that is stuck.

use std::sync::Mutex;

use super::ends;
use super::exit::Cause;
use crate::threads::{self, Fault};

static LAST: Mutex<String> = Mutex::new(String::new());

/// The words of the last panic: which thread, what, and where in the source.
pub fn last() -> String {
    LAST.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).clone()
}

/// Watches every thread from now on.
pub fn watch() {
    std::panic::set_hook(Box::new(|info| {
        let what = info.payload_as_str().unwrap_or("no words").to_owned();
        let place = info.location().map_or(String::new(), |at| format!(" at {at}"));
        let name = std::thread::current().name().unwrap_or("without a name").to_owned();
        threads::keep_words(&format!("{what}{place}"));
        let words = format!("a fault in thread '{name}': {what}{place}");
        log::debug!("{words}");
        if let Ok(mut last) = LAST.lock() {
            *last = words;
        }
    }));
    threads::on_fault(end);
}

/// The main loop ends in order as soon as it asks the guard; where it cannot, the process does.
fn end(fault: &Fault) {
    log::error!("{fault}; ending");
    ends::begin(Cause::Internal, false);
}
