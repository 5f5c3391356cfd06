//! Log lines on standard error; under systemd each carries its journal priority. No line of code can flood the log.

use std::collections::HashMap;
use std::io::{IsTerminal, Write};
use std::sync::{Mutex, RwLock};
use std::time::{Duration, Instant};

use env_logger::Logger;
use log::{Level, LevelFilter, Log, Metadata, Record};

use crate::clock;
use crate::report;

/// How many lines one place in the code may write in one [`PERIOD`].
const LINES: u32 = 10;
/// The period of [`LINES`].
const PERIOD: Duration = Duration::from_secs(60);

/// One that hears warnings and errors beside standard error.
type Listener = Box<dyn Fn(Level, &str) + Send + Sync>;

static LISTENERS: RwLock<Vec<Listener>> = RwLock::new(Vec::new());

/// Tells `listener` every warning and error that is written from now on. It must not wait, and must not log.
pub fn listen(listener: impl Fn(Level, &str) + Send + Sync + 'static) {
    LISTENERS.write().unwrap_or_else(|poisoned| poisoned.into_inner()).push(Box::new(listener));
}

/// Starts logging: at `level` where there is one, else as `RUST_LOG` says, else at info. Other crates' modules tell their errors only, unless asked for by name.
pub fn start(level: Option<LevelFilter>) {
    let on_terminal = std::io::stderr().is_terminal();
    let journal = std::env::var_os("JOURNAL_STREAM").is_some();
    let mut builder = env_logger::Builder::new();
    builder.filter_level(LevelFilter::Error).filter_module("recslowfast", LevelFilter::Info);
    match level {
        Some(level) => builder.filter_module("recslowfast", level),
        None => asked_for(&mut builder, &std::env::var("RUST_LOG").unwrap_or_default()),
    };
    let inner = builder
        .format(move |out, record| {
            if journal {
                writeln!(out, "<{}>{}", priority(record.level()), record.args())
            } else {
                // Both clocks, as the journal has them of itself: the wall's for people, the other to find the frame by (`captured_s`).
                let (wall, monotonic) = (clock::rfc3339(clock::wall()), clock::now().as_secs_f64());
                let line = format!("{wall} {monotonic:.3} {}: {}", record.level().as_str().to_lowercase(), record.args());
                // A dashboard on the same terminal shows it itself.
                if on_terminal && report::take_log_line(&line) { Ok(()) } else { writeln!(out, "{line}") }
            }
        })
        .build();
    log::set_max_level(inner.filter());
    if log::set_boxed_logger(Box::new(Limited { inner, places: Mutex::default() })).is_err() {
        let _ = writeln!(std::io::stderr(), "logging was started twice");
    }
}

/// Applies `RUST_LOG`: a level alone is for our own modules, `MODULE=LEVEL` for whom it names.
fn asked_for<'a>(builder: &'a mut env_logger::Builder, given: &str) -> &'a mut env_logger::Builder {
    for directive in given.split(',').map(str::trim).filter(|directive| !directive.is_empty()) {
        match directive.parse::<LevelFilter>() {
            Ok(level) => builder.filter_module("recslowfast", level),
            Err(_) => builder.parse_filters(directive),
        };
    }
    builder
}

/// The syslog priority (RFC 5424) of a level.
fn priority(level: Level) -> u8 {
    match level {
        Level::Error => 3,
        Level::Warn => 4,
        Level::Info => 6,
        Level::Debug | Level::Trace => 7,
    }
}

/// A logger that holds back a place in the code which writes too much; debugging is not held back.
struct Limited {
    inner: Logger,
    places: Mutex<HashMap<(&'static str, u32), Window>>,
}

/// One place's lines in the current period.
struct Window {
    began: Instant,
    lines: u32,
}

/// What becomes of a line.
#[derive(Debug, PartialEq, Eq)]
enum Verdict {
    Written,
    /// Written, after a word about as many that were not.
    After(u32),
    HeldBack,
}

impl Window {
    fn admit(&mut self, now: Instant) -> Verdict {
        if now.duration_since(self.began) >= PERIOD {
            let held = self.lines.saturating_sub(LINES);
            *self = Window { began: now, lines: 1 };
            return if held > 0 { Verdict::After(held) } else { Verdict::Written };
        }
        self.lines = self.lines.saturating_add(1);
        if self.lines <= LINES { Verdict::Written } else { Verdict::HeldBack }
    }
}

impl Log for Limited {
    fn enabled(&self, metadata: &Metadata) -> bool {
        self.inner.enabled(metadata)
    }

    fn log(&self, record: &Record) {
        if !self.inner.matches(record) {
            return;
        }
        let verdict = match (record.level(), record.file_static(), record.line()) {
            (Level::Error | Level::Warn | Level::Info, Some(file), Some(line)) => {
                let now = Instant::now();
                let mut places = self.places.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
                places.entry((file, line)).or_insert(Window { began: now, lines: 0 }).admit(now)
            }
            _ => Verdict::Written,
        };
        if verdict != Verdict::HeldBack && record.level() <= Level::Warn {
            let listeners = LISTENERS.read().unwrap_or_else(|poisoned| poisoned.into_inner());
            if !listeners.is_empty() {
                let words = record.args().to_string();
                listeners.iter().for_each(|listener| listener(record.level(), &words));
            }
        }
        match verdict {
            Verdict::Written => self.inner.log(record),
            Verdict::After(held) => {
                let words = format_args!("{} ({held} lines like this were held back)", record.args()).to_string();
                self.inner.log(&Record::builder().metadata(record.metadata().clone()).args(format_args!("{words}")).build());
            }
            Verdict::HeldBack => {}
        }
    }

    fn flush(&self) {
        self.inner.flush();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_level_alone_is_for_our_own_modules() {
        let logs = |given: &str, target: &str, level| {
            let mut builder = env_logger::Builder::new();
            builder.filter_level(LevelFilter::Error).filter_module("recslowfast", LevelFilter::Info);
            asked_for(&mut builder, given).build().enabled(&Metadata::builder().target(target).level(level).build())
        };
        assert!(logs("", "recslowfast::capture", Level::Info) && !logs("", "recslowfast::capture", Level::Debug));
        assert!(logs("debug", "recslowfast::capture", Level::Debug) && !logs("debug", "tract_core::plan", Level::Debug));
        assert!(!logs("warn", "recslowfast::capture", Level::Info) && logs("warn", "recslowfast::capture", Level::Warn));
        assert!(logs("warn,recslowfast::capture=debug", "recslowfast::capture", Level::Debug));
        assert!(!logs("warn,recslowfast::capture=debug", "recslowfast::task", Level::Info));
        assert!(logs("tract_core=trace", "tract_core::plan", Level::Trace) && logs("tract_core=trace", "recslowfast::task", Level::Info));
        assert!(!logs("off", "recslowfast::task", Level::Error));
    }

    #[test]
    fn a_place_that_floods_is_held_back_and_later_says_how_much() {
        let began = Instant::now();
        let mut window = Window { began, lines: 0 };
        let verdicts: Vec<Verdict> = (0..13).map(|_| window.admit(began)).collect();
        assert!(verdicts[..10].iter().all(|verdict| *verdict == Verdict::Written));
        assert!(verdicts[10..].iter().all(|verdict| *verdict == Verdict::HeldBack));
        assert_eq!(window.admit(began + PERIOD), Verdict::After(3));
        assert_eq!(window.admit(began + PERIOD), Verdict::Written);
    }
}
