//! The streaming decoder: bytes in, checked packets out, in a fixed amount of memory.

use crate::command::{Command, is_command};
use crate::packet::{MAX_PACKET, Packet, PacketError};
use crate::record::ParseError;
use crate::telemetry::Telemetry;
use cobs::{DecodeResult, DecoderState};

/// What a decoder has seen, each counted modulo 2^32. A frame counts in exactly one of the first six.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Frames accepted: CRC and major version right.
    pub frames: u32,
    /// Frames that ended inside a COBS run.
    pub cobs: u32,
    /// Frames longer than a packet may be.
    pub overlong: u32,
    /// Frames too short for a header and a CRC.
    pub short: u32,
    /// Frames whose CRC did not match.
    pub crc: u32,
    /// Frames of another major version.
    pub version: u32,
    /// Accepted frames of a kind not known to the one who read them.
    pub unknown: u32,
    /// Accepted frames whose payload was malformed or out of range.
    pub malformed: u32,
    /// Frames missing between accepted ones, by their sequence numbers.
    pub lost: u32,
}

/// A record and the header it came with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Received<T> {
    /// Sequence number of the frame, modulo 65536.
    pub sequence: u16,
    /// Kind byte of the frame.
    pub kind: u8,
    /// Minor wire version of the sender.
    pub minor: u8,
    /// The record.
    pub body: T,
}

/// Splits a byte stream into packets.
///
/// Holds one packet and a few counters (under 320 bytes) and never asks for more. After any damage it is back in step at the next delimiter.
///
/// ```
/// use firmware_bridge::{Command, Decoder, Telemetry, Ack, AckResult};
/// let frame = Telemetry::Ack(Ack { sequence: 1, kind: Command::Pause.kind(), result: AckResult::Done }).encode(7).unwrap();
/// let mut decoder = Decoder::new();
/// let mut input = &frame[..];
/// while let Some(received) = decoder.telemetry(&mut input) {
///     assert_eq!(received.sequence, 7);
/// }
/// assert_eq!(decoder.counters().frames, 1);
/// ```
#[derive(Debug, Default)]
pub struct Decoder {
    state: DecoderState,
    buffer: heapless::Vec<u8, MAX_PACKET>,
    started: bool,
    overlong: bool,
    sequence: Option<u16>,
    counters: Counters,
}

impl Decoder {
    /// A decoder that has seen nothing.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// What was seen so far.
    #[must_use]
    pub fn counters(&self) -> &Counters {
        &self.counters
    }

    /// Takes one byte; gives the packet if this byte completed one.
    pub fn push(&mut self, byte: u8) -> Option<Packet<'_>> {
        if !self.started {
            if byte == 0 {
                return None;
            }
            self.started = true;
            self.overlong = false;
            self.buffer.clear();
        }
        let intact = match self.state.feed(byte) {
            Ok(DecodeResult::DataContinue(data)) => {
                self.overlong |= self.buffer.push(data).is_err();
                return None;
            }
            Ok(DecodeResult::NoData | DecodeResult::DataStart) => return None,
            Ok(DecodeResult::DataComplete) => true,
            Err(_) => false,
        };
        // A delimiter: whatever happened before, the next byte starts a new frame.
        self.started = false;
        self.judge(intact)
    }

    fn judge(&mut self, intact: bool) -> Option<Packet<'_>> {
        let counters = &mut self.counters;
        if self.overlong {
            bump(&mut counters.overlong);
            return None;
        }
        if !intact {
            bump(&mut counters.cobs);
            return None;
        }
        match Packet::new_checked(&self.buffer) {
            Ok(packet) => {
                bump(&mut counters.frames);
                let missing = self.sequence.map_or(0, |last| packet.sequence().wrapping_sub(last).wrapping_sub(1));
                if missing < 0x8000 {
                    counters.lost = counters.lost.wrapping_add(missing.into());
                }
                self.sequence = Some(packet.sequence());
                Some(packet)
            }
            Err(PacketError::Short) => {
                bump(&mut counters.short);
                None
            }
            Err(PacketError::Crc) => {
                bump(&mut counters.crc);
                None
            }
            Err(PacketError::Version(_)) => {
                bump(&mut counters.version);
                None
            }
        }
    }

    /// Takes bytes off the front of `input` until a telemetry record is complete; `None` when `input` is used up.
    /// What is unknown, malformed or out of range is counted and skipped.
    pub fn telemetry(&mut self, input: &mut &[u8]) -> Option<Received<Telemetry>> {
        while let Some((&byte, rest)) = input.split_first() {
            *input = rest;
            let Some(packet) = self.push(byte) else { continue };
            // Records are large and a device's stack is small: each is built once, where the caller wants it.
            let (sequence, kind, minor) = (packet.sequence(), packet.kind(), packet.minor());
            match Telemetry::parse(&packet) {
                Ok(body) => return Some(Received { sequence, kind, minor, body }),
                Err(error) => self.refuse(error),
            }
        }
        None
    }

    /// Takes bytes off the front of `input` until a command is complete; `None` when `input` is used up.
    /// A command that cannot be read is counted and given as the error, since it must still be acknowledged. Kinds outside the
    /// command range (our own telemetry echoed back, say) are counted and skipped.
    pub fn command(&mut self, input: &mut &[u8]) -> Option<Received<Result<Command, ParseError>>> {
        while let Some((&byte, rest)) = input.split_first() {
            *input = rest;
            let Some(packet) = self.push(byte) else { continue };
            let received =
                Received { sequence: packet.sequence(), kind: packet.kind(), minor: packet.minor(), body: Command::parse(&packet) };
            if let Err(error) = received.body {
                self.refuse(error);
            }
            if is_command(received.kind) {
                return Some(received);
            }
        }
        None
    }

    fn refuse(&mut self, error: ParseError) {
        match error {
            ParseError::UnknownKind(_) => bump(&mut self.counters.unknown),
            ParseError::Malformed | ParseError::OutOfRange(_) => bump(&mut self.counters.malformed),
        }
    }
}

fn bump(counter: &mut u32) {
    *counter = counter.wrapping_add(1);
}
