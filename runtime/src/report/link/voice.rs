//! Opens the port, writes what is to be said, and starts again when the port is lost.

use std::io::{Error, ErrorKind, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use firmware_bridge::Telemetry;

use super::ear::{self, Judge};
use super::outbox::{Asked, Next};
use super::{STANDS_STILL, Shared};
use crate::report::port::{PortSpec, Reopening};

/// How long the voice sleeps at most before it looks whether the port is still there.
const LOOK: Duration = Duration::from_millis(100);

/// Keeps the link up until the outbox is closed.
pub(super) fn live(port: PortSpec, shared: &Shared) {
    let mut reopening = Reopening::new(port);
    let mut judge = Judge::new();
    let mut sequence = 0;
    while !shared.outbox.closed() {
        let opened =
            reopening.open().and_then(|port| Some((port.try_clone().inspect_err(|error| reopening.lost(&error.to_string())).ok()?, port)));
        let Some((mut heard, mut port)) = opened else {
            // What happens meanwhile waits in the outbox as long as there is room.
            shared.outbox.wait_for_end(reopening.wait().min(LOOK));
            continue;
        };
        let (ended, gone) = (AtomicBool::new(false), AtomicBool::new(false));
        let end = std::thread::scope(|scope| {
            let ears = std::thread::Builder::new().name("link-ear".into());
            let listening = ears.spawn_scoped(scope, || ear::listen(&mut heard, &mut judge, shared, &ended, &gone));
            let end = listening.and_then(|_| speak(&mut port, shared, &mut sequence, &gone));
            shared.outbox.line_ended(&ended);
            end
        });
        match end {
            Ok(()) => {}
            Err(_) if shared.outbox.closed() => log::warn!("{STANDS_STILL}"),
            Err(error) => reopening.lost(&error.to_string()),
        }
    }
    let dropped = shared.outbox.dropped();
    if dropped > 0 {
        log::warn!("link: {dropped} detections and log lines were dropped because the line was slow");
    }
}

/// Says what there is to say until the outbox is closed (Ok) or the port is gone (Err).
fn speak(port: &mut dyn Write, shared: &Shared, sequence: &mut u16, gone: &AtomicBool) -> Result<(), Error> {
    // Ends whatever the line picked up before.
    write(port, &[0], shared, gone)?;
    shared.outbox.ask(Asked::Hello);
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
        match shared.outbox.next(LOOK) {
            Next::Ack(ack) => say(&Telemetry::Ack(ack))?,
            Next::Hello => {
                say(&Telemetry::Hello(shared.about.hello()))?;
                for name in shared.about.class_names() {
                    say(&Telemetry::ClassName(name))?;
                }
            }
            Next::Status => {
                let status = shared.follower().status(&shared.desk.standing());
                say(&Telemetry::Status(status))?;
            }
            Next::News(telegram) => say(&telegram)?,
            Next::Silence if gone.load(Ordering::Relaxed) => return Err(away()),
            Next::Silence => {}
            Next::End => return Ok(()),
        }
    }
}

/// Writes all of `bytes`, however slow the line is; given up when the outbox is closed meanwhile.
fn write(port: &mut dyn Write, mut bytes: &[u8], shared: &Shared, gone: &AtomicBool) -> Result<(), Error> {
    while !bytes.is_empty() {
        if gone.load(Ordering::Relaxed) {
            return Err(away());
        }
        match port.write(bytes) {
            Ok(0) => return Err(away()),
            Ok(n) => bytes = &bytes[n..],
            Err(error) if matches!(error.kind(), ErrorKind::TimedOut | ErrorKind::Interrupted | ErrorKind::WouldBlock) => {
                if shared.outbox.closed() {
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
