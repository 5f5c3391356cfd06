//! The view: a packet is bytes whose length, CRC and version were checked once. Nothing is copied or interpreted yet.

use crate::crc32;

/// Wire version this crate speaks: major in the high nibble, minor in the low one.
pub const WIRE_VERSION: u8 = 0x10;
/// Longest payload, bytes.
pub const MAX_PAYLOAD: usize = 240;
/// Longest packet: header, payload and CRC, bytes.
pub const MAX_PACKET: usize = HEADER + MAX_PAYLOAD + CRC;
/// Longest frame on the wire: one COBS code byte, packet, delimiter, bytes.
pub const MAX_FRAME: usize = 1 + MAX_PACKET + 1;

pub(crate) const HEADER: usize = 4;
pub(crate) const CRC: usize = 4;

/// A checked view over the bytes of one packet.
///
/// Holding one means: at least a header and a CRC are there, the CRC is right, the major version is ours. It says nothing yet about the payload;
/// that is what [`Telemetry::parse`](crate::Telemetry::parse) and [`Command::parse`](crate::Command::parse) are for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Packet<'a> {
    version: u8,
    kind: u8,
    sequence: u16,
    payload: &'a [u8],
}

/// Why bytes are not a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PacketError {
    /// Fewer bytes than a header and a CRC.
    Short,
    /// The CRC does not match.
    Crc,
    /// Another major version, and the version byte it said.
    Version(u8),
}

impl<'a> Packet<'a> {
    /// Checks length, CRC and major version, in that order. Never panics, whatever the bytes.
    pub fn new_checked(bytes: &'a [u8]) -> Result<Self, PacketError> {
        let (covered, crc) = bytes.split_last_chunk::<CRC>().ok_or(PacketError::Short)?;
        let (&[version, kind, low, high], payload) = covered.split_first_chunk::<HEADER>().ok_or(PacketError::Short)?;
        if crc32(covered) != u32::from_le_bytes(*crc) {
            return Err(PacketError::Crc);
        }
        if version >> 4 != WIRE_VERSION >> 4 {
            return Err(PacketError::Version(version));
        }
        Ok(Self { version, kind, sequence: u16::from_le_bytes([low, high]), payload })
    }

    /// Minor wire version of the sender.
    #[must_use]
    pub fn minor(&self) -> u8 {
        self.version & 0xF
    }

    /// Kind of message, known or not.
    #[must_use]
    pub fn kind(&self) -> u8 {
        self.kind
    }

    /// Number of this frame in its direction, modulo 65536.
    #[must_use]
    pub fn sequence(&self) -> u16 {
        self.sequence
    }

    /// The payload, not yet judged.
    #[must_use]
    pub fn payload(&self) -> &'a [u8] {
        self.payload
    }
}
