//! What every message is: a kind, a postcard payload, and ranges.

use core::ops::RangeInclusive;
use serde::{Deserialize, Serialize};

/// One message's fields. Owned, and plain data: holding a record that came from `parse` means every range was checked.
pub(crate) trait Record: Serialize + for<'de> Deserialize<'de> {
    const KIND: u8;
    fn check(&self) -> Result<(), OutOfRange> {
        Ok(())
    }
}

/// The name of a field whose value is outside the range the wire page gives it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OutOfRange(pub &'static str);

impl core::fmt::Display for OutOfRange {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "{} is outside the range the wire page gives it", self.0)
    }
}

impl core::error::Error for OutOfRange {}

/// Why a packet with a good CRC is not a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ParseError {
    /// This crate does not know the kind, or it belongs to the other direction. Skip it.
    UnknownKind(u8),
    /// The payload ends early or is not postcard of this kind.
    Malformed,
    /// Well formed, but this field is outside its range.
    OutOfRange(OutOfRange),
}

impl core::fmt::Display for ParseError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::UnknownKind(kind) => write!(f, "kind 0x{kind:02X} is not known here"),
            Self::Malformed => write!(f, "the payload is not what its kind promises"),
            Self::OutOfRange(field) => write!(f, "{field}"),
        }
    }
}

impl core::error::Error for ParseError {}

/// Reads one record; bytes after its last known field belong to a newer minor version and are left alone.
// Kept out of line: inlined into one caller, the temporaries of all kinds would lie on the stack at once.
#[inline(never)]
pub(crate) fn parse<R: Record>(payload: &[u8]) -> Result<R, ParseError> {
    let record = R::deserialize(&mut postcard::Deserializer::from_bytes(payload)).map_err(|_| ParseError::Malformed)?;
    record.check().map_err(ParseError::OutOfRange)?;
    Ok(record)
}

pub(crate) fn within<T: PartialOrd>(field: &'static str, value: T, range: RangeInclusive<T>) -> Result<(), OutOfRange> {
    if range.contains(&value) { Ok(()) } else { Err(OutOfRange(field)) }
}

/// As [`within`], for a field that may be absent.
pub(crate) fn within_if_some<T: PartialOrd>(field: &'static str, value: Option<T>, range: RangeInclusive<T>) -> Result<(), OutOfRange> {
    value.map_or(Ok(()), |value| within(field, value, range))
}

/// As [`within_if_some`], for a field whose zero lifts a limit.
pub(crate) fn within_or_lifted<T: PartialOrd + Default>(
    field: &'static str,
    value: Option<T>,
    range: RangeInclusive<T>,
) -> Result<(), OutOfRange> {
    within_if_some(field, value.filter(|value| *value != T::default()), range)
}
