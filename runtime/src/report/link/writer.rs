//! Opens the port, writes what is to be said, and starts again when the port is lost.

use std::io::{Error, ErrorKind, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use firmware_bridge::Telemetry;

use super::reader::{self, Judge};
use super::tx_queue::{Asked, Next};
use super::{STANDS_STILL, Shared};
use crate::report::port::{PortSpec, Reopening};
use crate::threads;

/// How long the writer sleeps at most before it looks whether the port is still there.
const LOOK: Duration = Duration::from_millis(100);

/// How long the reader may take to see that its line has ended: it looks ten times a second.
const EAR_ENDS: Duration = Duration::from_millis(500);

/// One opening of the port, as its two threads see it.
#[derive(Default)]
struct Line {
    /// Nobody speaks on it any more.
    ended: AtomicBool,
    /// The device has gone.
    gone: AtomicBool,
}

/// Keeps the link up until the queue is closed.
pub(super) fn live(port: PortSpec, shared: &Arc<Shared>) {
    let mut reopening = Reopening::new(port);
    let judge = Arc::new(Mutex::new(Judge::new()));
    let mut sequence = 0;
    while !shared.tx_queue.closed() {
        let opened =
            reopening.open().and_then(|port| Some((port.try_clone().inspect_err(|error| reopening.lost(&error.to_string())).ok()?, port)));
        let Some((mut heard, mut port)) = opened else {
            // What happens meanwhile waits in the queue as long as there is room.
            shared.tx_queue.wait_for_end(reopening.wait().min(LOOK));
            continue;
        };
        let line = Arc::new(Line::default());
        let (judge, theirs, their_line) = (Arc::clone(&judge), Arc::clone(shared), Arc::clone(&line));
        let listen = move || {
            let mut judge = judge.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
            reader::listen(&mut heard, &mut judge, &theirs, &their_line.ended, &their_line.gone);
        };
        let reader = threads::spawn("link-reader", listen, |_| {});
        let end = reader.and_then(|reader| {
            let end = speak(&mut port, shared, &mut sequence, &|| line.gone.load(Ordering::Relaxed) || reader.fault().is_some());
            shared.tx_queue.line_ended(&line.ended);
            if let Some(fault) = reader.fault() {
                // Commands would go unheard for ever: this thread's guard tells of both.
                panic!("{fault}");
            }
            reader.wait(EAR_ENDS);
            end
        });
        match end {
            Ok(()) => {}
            Err(_) if shared.tx_queue.closed() => log::warn!("{STANDS_STILL}"),
            Err(error) => reopening.lost(&error.to_string()),
        }
    }
    let dropped = shared.tx_queue.dropped();
    if dropped > 0 {
        log::warn!("link: {dropped} detections and log lines were dropped because the line was slow");
    }
}

/// Says what there is to say until the queue is closed (Ok) or the port is gone (Err).
fn speak(port: &mut dyn Write, shared: &Shared, sequence: &mut u16, gone: &dyn Fn() -> bool) -> Result<(), Error> {
    // Ends whatever the line picked up before.
    write(port, &[0], shared, gone)?;
    shared.tx_queue.ask(Asked::Hello);
    let mut say = |telegram: &Telemetry| {
        let frame = match telegram.encode(*sequence) {
            Ok(frame) => frame,
            Err(error) => {
                log::error!("link: a telegram of kind {:#04x} cannot be sent: {error:?}", telegram.kind());
                return Ok(());
            }
        };
        *sequence = sequence.wrapping_add(1);
        write(port, &frame, shared, gone)
    };
    loop {
        match shared.tx_queue.next(LOOK) {
            Next::Ack(ack) => say(&Telemetry::Ack(ack))?,
            Next::Hello => {
                say(&Telemetry::Hello(shared.about.hello()))?;
                for name in shared.about.class_names() {
                    say(&Telemetry::ClassName(name))?;
                }
            }
            Next::Status => {
                let status = shared.follower().status(&shared.control_queue.status());
                say(&Telemetry::Status(status))?;
            }
            Next::News(telegram) => say(&telegram)?,
            Next::Silence if gone() => return Err(away()),
            Next::Silence => {}
            Next::End => return Ok(()),
        }
    }
}

/// Writes all of `bytes`, however slow the line is; given up when the queue is closed meanwhile.
fn write(port: &mut dyn Write, mut bytes: &[u8], shared: &Shared, gone: &dyn Fn() -> bool) -> Result<(), Error> {
    while !bytes.is_empty() {
        if gone() {
            return Err(away());
        }
        match port.write(bytes) {
            Ok(0) => return Err(away()),
            Ok(n) => bytes = &bytes[n..],
            Err(error) if matches!(error.kind(), ErrorKind::TimedOut | ErrorKind::Interrupted | ErrorKind::WouldBlock) => {
                if shared.tx_queue.closed() {
                    return Err(error);
                }
            }
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

fn away() -> Error {
    Error::new(ErrorKind::BrokenPipe, "the device is gone")
}
