//! Which commands are new: repeats are answered again, not carried out again; stale ones and floods are refused.

use crate::command::Command;
use crate::sets::AckResult;

/// Commands taken in one burst before the gate closes.
const BURST: u32 = 32;
/// Time for one more command once it has, milliseconds: 50 a second.
const REFILL_MS: u32 = 20;

/// What to do with a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Carry it out, then tell [`Gate::done`].
    New,
    /// Already carried out: acknowledge again with this result, do nothing else.
    Repeat(AckResult),
    /// Acknowledge with [`AckResult::Stale`], do nothing else.
    Stale,
    /// Say nothing, do nothing: too many at once.
    Flood,
}

/// Judges commands by sequence number and by rate. Time is a parameter.
///
/// ```
/// use firmware_bridge::{AckResult, Gate, Verdict};
/// let mut gate = Gate::new();
/// let kind = firmware_bridge::Command::Pause.kind();
/// assert_eq!(gate.judge(0, 1, kind), Verdict::New);
/// gate.done(AckResult::Done);
/// assert_eq!(gate.judge(5, 1, kind), Verdict::Repeat(AckResult::Done));
/// assert_eq!(gate.judge(9, 0, kind), Verdict::Stale);
/// ```
#[derive(Clone, Debug)]
pub struct Gate {
    last: Option<(u16, AckResult)>,
    credit_ms: u32,
    now_ms: u32,
    floods: u32,
}

impl Gate {
    /// A gate that has let nothing through yet.
    #[must_use]
    pub const fn new() -> Self {
        Self { last: None, credit_ms: BURST * REFILL_MS, now_ms: 0, floods: 0 }
    }

    /// Judges the command with this sequence and kind, arriving at `now_ms` (any clock that does not run backwards, modulo 2^32).
    pub fn judge(&mut self, now_ms: u32, sequence: u16, kind: u8) -> Verdict {
        let elapsed = now_ms.wrapping_sub(self.now_ms);
        self.now_ms = now_ms;
        self.credit_ms = self.credit_ms.saturating_add(elapsed).min(BURST * REFILL_MS);
        let Some(credit_ms) = self.credit_ms.checked_sub(REFILL_MS) else {
            self.floods = self.floods.wrapping_add(1);
            return Verdict::Flood;
        };
        self.credit_ms = credit_ms;
        match self.last {
            Some((last, result)) if last == sequence && kind != Command::AskHello.kind() => return Verdict::Repeat(result),
            Some((last, _)) if sequence.wrapping_sub(last) >= 0x8000 && kind != Command::AskHello.kind() => return Verdict::Stale,
            _ => {}
        }
        self.last = Some((sequence, AckResult::Busy));
        Verdict::New
    }

    /// Remembers what became of the command last judged [`Verdict::New`].
    pub fn done(&mut self, result: AckResult) {
        if let Some((_, last)) = &mut self.last {
            *last = result;
        }
    }

    /// How many commands were dropped as flood, modulo 2^32.
    #[must_use]
    pub fn floods(&self) -> u32 {
        self.floods
    }
}

impl Default for Gate {
    fn default() -> Self {
        Self::new()
    }
}
