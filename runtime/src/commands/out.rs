//! What verbs say on standard output: one writer that notices when it cannot.
//!
//! A reader that goes away (`| head`) is no fault: what is left is not said, and the verb goes on with whatever else it was to do. Any other
//! failure, a full disk for example, ends the verb with the code of outputs.

use std::fmt;
use std::io::{ErrorKind, Write};
use std::sync::atomic::{AtomicBool, Ordering};

use crate::service::exit::{Cause, Failure};

static READER_LEFT: AtomicBool = AtomicBool::new(false);

/// One line of a verb on standard output.
macro_rules! say {
    ($($words:tt)*) => { $crate::commands::out::line(format_args!($($words)*)) };
}
pub(in crate::commands) use say;

/// Writes a line.
pub(in crate::commands) fn line(words: fmt::Arguments) -> Result<(), Failure> {
    text(&format!("{words}\n"))
}

/// Writes `text` as it is.
pub(in crate::commands) fn text(text: &str) -> Result<(), Failure> {
    if has_reader() { checked(write(&mut std::io::stdout().lock(), text)) } else { Ok(()) }
}

/// Whether anybody still reads what is said.
pub(in crate::commands) fn has_reader() -> bool {
    !READER_LEFT.load(Ordering::Relaxed)
}

/// Prints what clap has to say: help and versions on standard output, mistakes on standard error, whose loss changes no exit code.
pub(in crate::commands) fn clap(error: &clap::Error) -> Result<(), Failure> {
    let printed = error.print().and_then(|()| std::io::stdout().flush());
    if error.use_stderr() { Err(Failure::new(Cause::Usage, "")) } else { checked(printed) }
}

/// Writes `words` on standard error, if that is still there.
pub(in crate::commands) fn complain(words: &str) {
    let _ = writeln!(std::io::stderr().lock(), "{words}");
}

fn write(out: &mut impl Write, text: &str) -> std::io::Result<()> {
    out.write_all(text.as_bytes()).and_then(|()| out.flush())
}

fn checked(written: std::io::Result<()>) -> Result<(), Failure> {
    match written {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => {
            READER_LEFT.store(true, Ordering::Relaxed);
            Ok(())
        }
        written => written.map_err(|error| Failure::new(Cause::Output, format!("cannot write to standard output: {error}"))),
    }
}
