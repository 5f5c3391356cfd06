//! Log lines while a dashboard holds the screen: shown in a pane of their own, and printed when it is gone.

use std::collections::VecDeque;
use std::io::Write;
use std::sync::{Mutex, MutexGuard};

use super::tty;

/// Lines that are kept for when the dashboard is gone.
const KEPT: usize = 200;

#[derive(Default)]
struct Lines {
    kept: VecDeque<String>,
    lost: u64,
}

static LINES: Mutex<Lines> = Mutex::new(Lines { kept: VecDeque::new(), lost: 0 });

fn lines() -> MutexGuard<'static, Lines> {
    LINES.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}

/// Takes a log line that would be written over the dashboard; false if there is none, and the line is to be written as ever.
pub fn take(line: &str) -> bool {
    if !tty::is_taken() {
        return false;
    }
    let mut lines = lines();
    for line in line.lines() {
        if lines.kept.len() == KEPT {
            lines.kept.pop_front();
            lines.lost += 1;
        }
        lines.kept.push_back(line.to_owned());
    }
    true
}

/// The newest lines, the newest last.
pub fn newest(count: usize) -> Vec<String> {
    let lines = lines();
    lines.kept.iter().skip(lines.kept.len().saturating_sub(count)).cloned().collect()
}

/// Writes what was kept to standard error, once.
pub fn print() {
    let Lines { kept, lost } = std::mem::take(&mut *lines());
    let mut out = std::io::stderr().lock();
    let missing = if lost > 0 { format!("({lost} earlier log lines were shown in the dashboard only)\n") } else { String::new() };
    let text = kept.iter().fold(missing, |text, line| text + line + "\n");
    // A closed standard error changes nothing.
    let _ = out.write_all(text.as_bytes());
}
