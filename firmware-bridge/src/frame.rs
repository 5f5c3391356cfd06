//! From a record to the bytes of one frame.

use crate::crc32;
use crate::packet::{CRC, HEADER, MAX_FRAME, MAX_PACKET, WIRE_VERSION};
use crate::record::{OutOfRange, Record};

/// The bytes of one frame, delimiter included, ready to be written.
pub type Frame = heapless::Vec<u8, MAX_FRAME>;

/// Why a record was not encoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EncodeError {
    /// A field is outside the range the wire page gives it.
    OutOfRange(OutOfRange),
    /// The payload would exceed [`MAX_PAYLOAD`](crate::MAX_PAYLOAD) bytes. No valid record of this crate does.
    TooLong,
}

impl core::fmt::Display for EncodeError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::OutOfRange(field) => write!(f, "{field}"),
            Self::TooLong => write!(f, "the record does not fit a payload of {} bytes", crate::MAX_PAYLOAD),
        }
    }
}

impl core::error::Error for EncodeError {}

/// Encodes one record as a frame with the given sequence number.
pub(crate) fn encode<R: Record>(record: &R, sequence: u16) -> Result<Frame, EncodeError> {
    record.check().map_err(EncodeError::OutOfRange)?;
    let mut payload = [0; crate::MAX_PAYLOAD];
    let payload = postcard::to_slice(record, &mut payload).map_err(|_| EncodeError::TooLong)?;
    encode_raw(WIRE_VERSION, R::KIND, sequence, payload)
}

/// Encodes any payload under any header: for private kinds, and for tests that must send what a newer version would.
pub fn encode_raw(version: u8, kind: u8, sequence: u16, payload: &[u8]) -> Result<Frame, EncodeError> {
    let mut packet = heapless::Vec::<u8, MAX_PACKET>::new();
    let [low, high] = sequence.to_le_bytes();
    let full = |_| EncodeError::TooLong;
    if payload.len() > MAX_PACKET - HEADER - CRC {
        return Err(EncodeError::TooLong);
    }
    packet.extend_from_slice(&[version, kind, low, high]).map_err(full)?;
    packet.extend_from_slice(payload).map_err(full)?;
    let crc = crc32(&packet);
    packet.extend_from_slice(&crc.to_le_bytes()).map_err(full)?;

    let mut stuffed = [0; MAX_FRAME];
    let used = cobs::try_encode(&packet, &mut stuffed).map_err(|_| EncodeError::TooLong)?;
    // The byte after the last stuffed one is still zero: the delimiter.
    let mut frame = Frame::new();
    frame.extend_from_slice(stuffed.get(..=used).ok_or(EncodeError::TooLong)?).map_err(full)?;
    Ok(frame)
}
