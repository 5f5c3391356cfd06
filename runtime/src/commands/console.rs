//! What standard output is: a terminal that a dashboard can be drawn on, one that takes plain lines, or none.

use std::ffi::{OsStr, OsString};
use std::io::IsTerminal;

/// Terminals, by what TERM calls them, that know neither colours nor where the cursor is, or say that nothing is known of them.
const PLAIN: [&str; 12] = ["", "dumb", "unknown", "network", "emacs", "cons25", "vt52", "vt100", "vt102", "vt220", "vt320", "ansi-mini"];

/// Whether somebody may be watching standard output.
pub fn is_terminal() -> bool {
    std::io::stdout().is_terminal()
}

/// Whether a dashboard can be drawn on standard output: a terminal of known size that knows colours, and nobody asked for none.
pub fn draws() -> bool {
    let size = || rustix::termios::tcgetwinsize(std::io::stdout()).is_ok_and(|size| size.ws_col > 0 && size.ws_row > 0);
    is_terminal() && knows_colours(std::env::var_os("TERM").as_deref(), std::env::var_os("NO_COLOR")) && size()
}

fn knows_colours(term: Option<&OsStr>, no_colour: Option<OsString>) -> bool {
    let plain = term.is_none_or(|term| PLAIN.iter().any(|plain| term == *plain));
    // As no-color.org has it: an empty one does not count.
    !plain && no_colour.is_none_or(|value| value.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_terminal_without_colours_gets_none() {
        let knows = |term: Option<&str>, no_colour: Option<&str>| knows_colours(term.map(OsStr::new), no_colour.map(OsString::from));
        for term in ["xterm", "xterm-256color", "linux", "screen", "tmux-256color", "foot"] {
            assert!(knows(Some(term), None), "{term}");
            assert!(knows(Some(term), Some("")), "{term}");
            assert!(!knows(Some(term), Some("1")), "{term}");
        }
        for term in [None, Some(""), Some("dumb"), Some("unknown"), Some("vt100"), Some("vt220")] {
            assert!(!knows(term, None), "{term:?}");
        }
    }
}
