//! SIGTERM and SIGINT end the run within a second; SIGHUP asks for the configuration to be read again.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals as Iterator;

use super::exit::{Cause, Failure};

/// How long the loop and the sinks have to end.
const GRACE: Duration = Duration::from_millis(900);

/// What signals have asked for.
#[derive(Clone, Default)]
pub struct Signals {
    stop: Arc<AtomicBool>,
    reload: Arc<AtomicBool>,
}

impl Signals {
    /// Listens from now on, on a thread of its own. SIGHUP is left alone unless there is something to `reload`.
    pub fn listen(reload: bool) -> Result<Signals, Failure> {
        let signals = Signals::default();
        let wanted: &[i32] = if reload { &[SIGTERM, SIGINT, SIGHUP] } else { &[SIGTERM, SIGINT] };
        let failed = |error: std::io::Error| Failure::new(Cause::Internal, format!("cannot listen to signals: {error}"));
        let mut arriving = Iterator::new(wanted).map_err(failed)?;
        let heard = signals.clone();
        let listener = move || {
            for signal in arriving.forever() {
                heard.hear(signal);
            }
        };
        std::thread::Builder::new().name("signals".into()).spawn(listener).map_err(failed)?;
        Ok(signals)
    }

    fn hear(&self, signal: i32) {
        match signal {
            SIGHUP => self.reload.store(true, Ordering::Relaxed),
            _ if self.stop.swap(true, Ordering::Relaxed) => std::process::exit(Cause::Output as i32),
            _ => {
                let last_resort = || {
                    std::thread::sleep(GRACE);
                    log::error!(
                        "asked to end, but an output took longer than {} ms to finish; its last reports are lost",
                        GRACE.as_millis()
                    );
                    std::process::exit(Cause::Output as i32);
                };
                if std::thread::Builder::new().name("last-resort".into()).spawn(last_resort).is_err() {
                    std::process::exit(Cause::Output as i32);
                }
            }
        }
    }

    /// The flag that asks the loop to end.
    pub fn stop(&self) -> &AtomicBool {
        &self.stop
    }

    /// Whether the configuration is to be read again; true once per request.
    pub fn reload(&self) -> bool {
        self.reload.swap(false, Ordering::Relaxed)
    }
}
