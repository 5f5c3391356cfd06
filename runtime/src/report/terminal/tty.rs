//! What the dashboard changes of the terminal, and how that is undone on every way out.

use std::mem::MaybeUninit;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU8, Ordering};

/// Who has the terminal.
static HOLDER: AtomicU8 = AtomicU8::new(NOBODY);
const NOBODY: u8 = 0;
const DASHBOARD: u8 = 1;
/// Somebody is giving it back, and may be held up by a terminal that takes its time.
const LEAVING: u8 = 2;
/// It was given back, and is not taken again: whoever still wants to draw comes too late.
const GIVEN_BACK: u8 = 3;

/// What the terminal did with keys before.
static KEYS: OnceLock<libc::termios> = OnceLock::new();

/// Another screen, no cursor.
pub const ENTER: &str = "\x1b[?1049h\x1b[?25l\x1b[2J";

/// Takes the terminal, unless it is taken already or was given back; true if it was free.
pub fn take() -> bool {
    let first = HOLDER.compare_exchange(NOBODY, DASHBOARD, Ordering::SeqCst, Ordering::SeqCst).is_ok();
    if first {
        take_keys();
    }
    first
}

/// Whether a dashboard holds the terminal.
pub fn is_taken() -> bool {
    HOLDER.load(Ordering::SeqCst) == DASHBOARD
}

/// Leaves the terminal as it was found, if a dashboard holds it. May be called from anywhere, signal handlers among them: whoever calls while another
/// one is still at it does it all again, because the process may end before the other has finished.
pub fn restore() {
    const BACK: &[u8] = b"\x1b[0m\x1b[?2026l\x1b[?1049l\x1b[?25h";
    if !matches!(HOLDER.load(Ordering::SeqCst), DASHBOARD | LEAVING) {
        return;
    }
    HOLDER.store(LEAVING, Ordering::SeqCst);
    if let Some(before) = KEYS.get().filter(|_| is_in_foreground()) {
        // SAFETY: `tcsetattr` may be called from signal handlers, and `before` is what `tcgetattr` gave.
        let _ = unsafe { libc::tcsetattr(libc::STDIN_FILENO, libc::TCSANOW, before) };
    }
    // SAFETY: `write` may be called from signal handlers, and reads nothing but the bytes. A terminal that is gone needs nothing.
    let _ = unsafe { libc::write(libc::STDOUT_FILENO, BACK.as_ptr().cast(), BACK.len()) };
    HOLDER.store(GIVEN_BACK, Ordering::SeqCst);
}

/// Keys arrive one by one and are not shown; Ctrl-C stays what it is. Without a terminal to read from nothing changes.
fn take_keys() {
    let mut before = MaybeUninit::<libc::termios>::uninit();
    // SAFETY: `tcgetattr` fills the structure or fails.
    if !is_in_foreground() || unsafe { libc::tcgetattr(libc::STDIN_FILENO, before.as_mut_ptr()) } != 0 {
        return;
    }
    // SAFETY: it was filled.
    let before = *KEYS.get_or_init(|| unsafe { before.assume_init() });
    let mut wanted = before;
    wanted.c_lflag &= !(libc::ICANON | libc::ECHO);
    (wanted.c_cc[libc::VMIN], wanted.c_cc[libc::VTIME]) = (0, 0);
    // SAFETY: `wanted` is a whole structure.
    let _ = unsafe { libc::tcsetattr(libc::STDIN_FILENO, libc::TCSANOW, &wanted) };
}

/// Whether this process may read the terminal: one in the background would be stopped for it.
fn is_in_foreground() -> bool {
    // SAFETY: plain questions to the kernel.
    unsafe { libc::tcgetpgrp(libc::STDIN_FILENO) == libc::getpgrp() }
}

/// Keys that were pressed since the last look; never waits.
pub fn keys() -> Vec<u8> {
    let mut keys = [0; 16];
    if !is_taken() || KEYS.get().is_none() || !is_in_foreground() {
        return Vec::new();
    }
    let mut waiting = libc::pollfd { fd: libc::STDIN_FILENO, events: libc::POLLIN, revents: 0 };
    // SAFETY: looks at one descriptor and does not wait. The terminal may be given back meanwhile, and a read would then wait for a whole line.
    if unsafe { libc::poll(&mut waiting, 1, 0) } != 1 || waiting.revents & libc::POLLIN == 0 {
        return Vec::new();
    }
    // SAFETY: reads into `keys`, no more than it holds.
    let read = unsafe { libc::read(libc::STDIN_FILENO, keys.as_mut_ptr().cast(), keys.len()) };
    keys[..usize::try_from(read).unwrap_or(0)].to_vec()
}

/// Ends the run as Ctrl-C does.
pub fn interrupt() {
    // SAFETY: a signal to this process, which it handles.
    let _ = unsafe { libc::kill(libc::getpid(), libc::SIGINT) };
}
