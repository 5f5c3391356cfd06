//! Reads commands from the port, for as long as it is there.

use std::io::{ErrorKind, Read};
use std::sync::atomic::{AtomicBool, Ordering};

use firmware_bridge::{Ack, AckResult, Command, Decoder, Gate, ParseError, Received, Verdict};

use super::{Shared, understood};
use crate::clock;

/// Judges and carries out what arrives; outlives the port, so that a command repeated after a replug is known as a repeat.
pub(super) struct Judge {
    decoder: Decoder,
    gate: Gate,
    floods_told: u32,
}

impl Judge {
    pub(super) fn new() -> Judge {
        Judge { decoder: Decoder::new(), gate: Gate::new(), floods_told: 0 }
    }

    /// Takes bytes as they arrive, until the line has `ended`.
    pub(super) fn hear(&mut self, mut bytes: &[u8], shared: &Shared, ended: &AtomicBool) {
        while let Some(received) = self.decoder.command(&mut bytes) {
            self.judge(received, shared, ended);
        }
        let floods = self.gate.floods();
        if floods.wrapping_sub(self.floods_told) >= 1000 {
            log::warn!("link: commands come too fast; {floods} were dropped so far");
            self.floods_told = floods;
        }
    }

    fn judge(&mut self, received: Received<Result<Command, ParseError>>, shared: &Shared, ended: &AtomicBool) {
        let (sequence, kind) = (received.sequence, received.kind);
        let mut asked = None;
        let result = match self.gate.judge(clock::now().as_millis() as u32, sequence, kind) {
            Verdict::Flood => return,
            Verdict::Stale => AckResult::Stale,
            Verdict::Repeat(result) => result,
            Verdict::New => {
                let result;
                (result, asked) = understood::carry_out(received.body, &shared.control_queue);
                self.gate.done(result);
                result
            }
        };
        shared.tx_queue.ack(Ack { sequence, kind, result }, asked, ended);
    }
}

/// Listens to `port` until it is gone or `ended` is set; sets `gone` when it is the former.
pub(super) fn listen(port: &mut dyn Read, judge: &mut Judge, shared: &Shared, ended: &AtomicBool, gone: &AtomicBool) {
    let mut bytes = [0; 1024];
    while !ended.load(Ordering::Relaxed) && !shared.tx_queue.closed() {
        match port.read(&mut bytes) {
            Ok(0) => break,
            Ok(n) => judge.hear(&bytes[..n], shared, ended),
            Err(error) if matches!(error.kind(), ErrorKind::TimedOut | ErrorKind::Interrupted | ErrorKind::WouldBlock) => {}
            Err(_) => break,
        }
    }
    gone.store(!ended.load(Ordering::Relaxed) && !shared.tx_queue.closed(), Ordering::Relaxed);
}
