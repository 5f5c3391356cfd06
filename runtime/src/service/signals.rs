//! SIGTERM, SIGINT and the SIGHUP of a terminal that hangs up end the run in order; any other SIGHUP asks for the configuration to be read again.
//!
//! Requests that come within a tenth of a second of one another are one: supervisors, shells and `timeout` pass a signal on twice. A second request changes
//! nothing, because recordings are being finished; the third ends the process at once and says what that cost.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals as Iterator;

use super::ends;
use super::exit::{Cause, Failure};
use crate::threads::{self, Fault, Guard};

/// Signals that come so close are one request.
const SAME: Duration = Duration::from_millis(100);
/// The request that is obeyed at once.
const AT_ONCE: u32 = 3;

/// What signals have asked for.
#[derive(Clone, Default)]
pub struct Signals {
    stop: Arc<AtomicBool>,
    reload: Arc<AtomicBool>,
    listener: Option<Arc<Guard>>,
}

/// What a signal amounts to.
#[derive(Debug, PartialEq, Eq)]
enum SignalAction {
    Reload,
    /// The first request to end.
    End,
    /// The same request again.
    Same,
    /// Another request while the first is carried out.
    Again,
    AtOnce,
}

/// Requests to end so far.
#[derive(Default)]
struct Requests {
    count: u32,
    last: Option<Instant>,
}

impl Requests {
    fn hear(&mut self, now: Instant) -> SignalAction {
        if self.last.is_some_and(|last| now.saturating_duration_since(last) < SAME) {
            return SignalAction::Same;
        }
        self.last = Some(now);
        self.count += 1;
        match self.count {
            1 => SignalAction::End,
            AT_ONCE.. => SignalAction::AtOnce,
            _ => SignalAction::Again,
        }
    }
}

impl Signals {
    /// Listens from now on, on a thread of its own; `reload` says whether there is something to read again.
    pub fn listen(reload: bool) -> Result<Signals, Failure> {
        let mut signals = Signals::default();
        let failed = |error: std::io::Error| Failure::new(Cause::Internal, format!("cannot listen to signals: {error}"));
        // nohup asks that a terminal's end be survived.
        let survives = is_ignored(SIGHUP);
        let may_hang_up = has_terminal() && !survives;
        let wanted: &[i32] = if reload || !survives { &[SIGTERM, SIGINT, SIGHUP] } else { &[SIGTERM, SIGINT] };
        let mut arriving = Iterator::new(wanted).map_err(failed)?;
        let heard = signals.clone();
        let listener = move || {
            let mut requests = Requests::default();
            for signal in arriving.forever() {
                let ends = signal != SIGHUP || !reload || (may_hang_up && !has_terminal());
                heard.carry_out(if ends { requests.hear(Instant::now()) } else { SignalAction::Reload });
            }
        };
        let stop = Arc::clone(&signals.stop);
        let died = move |_: &Fault| stop.store(true, Ordering::Relaxed);
        signals.listener = Some(Arc::new(threads::spawn("signals", listener, died).map_err(failed)?));
        Ok(signals)
    }

    fn carry_out(&self, heard: SignalAction) {
        match heard {
            SignalAction::Reload => self.reload.store(true, Ordering::Relaxed),
            SignalAction::End => {
                self.stop.store(true, Ordering::Relaxed);
                ends::begin(Cause::Output, true);
            }
            SignalAction::Same => {}
            SignalAction::Again => log::warn!("asked again to end: outputs are being finished; once more ends at once"),
            SignalAction::AtOnce => ends::leave(Cause::Output, true, "asked three times to end"),
        }
    }

    /// Asks for the end, as a signal would.
    pub fn end(&self) {
        self.stop.store(true, Ordering::Relaxed);
    }

    /// Asks for the configuration to be read again, as a signal would.
    pub fn read_again(&self) {
        self.reload.store(true, Ordering::Relaxed);
    }

    /// The flag that asks the loop to end.
    pub fn stop(&self) -> &AtomicBool {
        &self.stop
    }

    /// Whether the configuration is to be read again; true once per request.
    pub fn reload(&self) -> bool {
        self.reload.swap(false, Ordering::Relaxed)
    }

    /// What ended the thread that listens, if anything did: nobody could ask for an end any more.
    pub fn fault(&self) -> Option<Fault> {
        self.listener.as_ref().and_then(|listener| listener.fault())
    }
}

fn is_ignored(signal: i32) -> bool {
    // SAFETY: all zeros are a valid `sigaction`, which the call fills and does not keep.
    unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        libc::sigaction(signal, std::ptr::null(), &mut action) == 0 && action.sa_sigaction == libc::SIG_IGN
    }
}

/// Whether this process belongs to a terminal that has not hung up.
fn has_terminal() -> bool {
    std::fs::OpenOptions::new().read(true).open("/dev/tty").is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signals_within_milliseconds_are_one_request_and_the_third_request_is_obeyed_at_once() {
        let mut requests = Requests::default();
        let start = Instant::now();
        let mut at = |ms: u64| requests.hear(start + Duration::from_millis(ms));
        assert_eq!(
            [at(0), at(0), at(2), at(30), at(99)],
            [SignalAction::End, SignalAction::Same, SignalAction::Same, SignalAction::Same, SignalAction::Same]
        );
        assert_eq!([at(100), at(150), at(199)], [SignalAction::Again, SignalAction::Same, SignalAction::Same]);
        assert_eq!([at(200), at(201)], [SignalAction::AtOnce, SignalAction::Same]);
    }

    #[test]
    fn a_request_to_read_again_ends_nothing() {
        let signals = Signals::default();
        signals.carry_out(SignalAction::Reload);
        assert!(signals.reload() && !signals.reload() && !signals.stop().load(Ordering::Relaxed));
    }
}
