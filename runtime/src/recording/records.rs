//! The kinds of MCAP record a replay needs, as views into their bytes.
//!
//! The `mcap` crate's own parser reserves what a string's length claims, up to 4 GiB for a damaged byte; these look before they take.

use std::time::Duration;

/// Opcodes, from the MCAP specification.
pub(super) const HEADER: u8 = 0x01;
/// As above.
pub(super) const FOOTER: u8 = 0x02;
/// As above.
pub(super) const SCHEMA: u8 = 0x03;
/// As above.
pub(super) const CHANNEL: u8 = 0x04;
/// As above.
pub(super) const MESSAGE: u8 = 0x05;
/// As above.
pub(super) const CHUNK: u8 = 0x06;
/// As above.
pub(super) const MESSAGE_INDEX: u8 = 0x07;
/// As above.
pub(super) const CHUNK_INDEX: u8 = 0x08;
/// As above.
pub(super) const STATISTICS: u8 = 0x0b;
/// As above.
pub(super) const SUMMARY_OFFSET: u8 = 0x0e;
/// As above.
pub(super) const DATA_END: u8 = 0x0f;

/// The name of a message type.
pub(super) struct Schema<'a> {
    pub id: u16,
    pub name: &'a str,
}

/// A stream of messages of one type.
pub(super) struct Channel<'a> {
    pub id: u16,
    pub schema: u16,
    pub topic: &'a str,
    pub encoding: &'a str,
    metadata: &'a [u8],
}

/// One message.
pub(super) struct Message<'a> {
    pub channel: u16,
    pub log_time: Duration,
    pub data: &'a [u8],
}

impl<'a> Schema<'a> {
    pub fn read(mut bytes: &'a [u8]) -> Option<Schema<'a>> {
        Some(Schema { id: u16::from_le_bytes(take(&mut bytes)?), name: text(&mut bytes)? })
    }
}

impl<'a> Channel<'a> {
    pub fn read(mut bytes: &'a [u8]) -> Option<Channel<'a>> {
        Some(Channel {
            id: u16::from_le_bytes(take(&mut bytes)?),
            schema: u16::from_le_bytes(take(&mut bytes)?),
            topic: text(&mut bytes)?,
            encoding: text(&mut bytes)?,
            metadata: piece(&mut bytes)?,
        })
    }

    /// One entry of its metadata.
    pub fn metadata(&self, wanted: &str) -> Option<&'a str> {
        let mut rest = self.metadata;
        while !rest.is_empty() {
            let (key, value) = (text(&mut rest)?, text(&mut rest)?);
            if key == wanted {
                return Some(value);
            }
        }
        None
    }
}

impl<'a> Message<'a> {
    pub fn read(mut bytes: &'a [u8]) -> Option<Message<'a>> {
        let channel = u16::from_le_bytes(take(&mut bytes)?);
        let _sequence: [u8; 4] = take(&mut bytes)?;
        let log_time = Duration::from_nanos(u64::from_le_bytes(take(&mut bytes)?));
        let _publish_time: [u8; 8] = take(&mut bytes)?;
        Some(Message { channel, log_time, data: bytes })
    }
}

/// A chunk: records that may be packed.
pub(super) struct Chunk<'a> {
    /// Bytes of its records, unpacked.
    pub size: u64,
    /// Of those; 0 where none was taken.
    pub checksum: u32,
    pub compression: &'a str,
    pub packed: &'a [u8],
}

impl<'a> Chunk<'a> {
    pub fn read(mut bytes: &'a [u8]) -> Option<Chunk<'a>> {
        let _times: [u8; 16] = take(&mut bytes)?;
        let size = u64::from_le_bytes(take(&mut bytes)?);
        let checksum = u32::from_le_bytes(take(&mut bytes)?);
        let compression = text(&mut bytes)?;
        let length = usize::try_from(u64::from_le_bytes(take(&mut bytes)?)).ok()?;
        Some(Chunk { size, checksum, compression, packed: bytes.get(..length)? })
    }
}

/// What wrote a file, from its header.
pub(super) fn library(mut header: &[u8]) -> Option<&str> {
    text(&mut header)?;
    text(&mut header)
}

/// The first record of `records`: its opcode, its content, and what follows it.
pub(super) fn split(records: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (head, rest) = records.split_first_chunk::<9>()?;
    let length = u64::from_le_bytes(head[1..].try_into().ok()?);
    let (record, rest) = rest.split_at_checked(usize::try_from(length).ok()?)?;
    Some((head[0], record, rest))
}

fn take<const N: usize>(bytes: &mut &[u8]) -> Option<[u8; N]> {
    let (taken, rest) = bytes.split_first_chunk()?;
    *bytes = rest;
    Some(*taken)
}

/// A run of bytes behind its length.
fn piece<'a>(bytes: &mut &'a [u8]) -> Option<&'a [u8]> {
    let length = u32::from_le_bytes(take(bytes)?) as usize;
    let (taken, rest) = bytes.split_at_checked(length)?;
    *bytes = rest;
    Some(taken)
}

fn text<'a>(bytes: &mut &'a [u8]) -> Option<&'a str> {
    std::str::from_utf8(piece(bytes)?).ok()
}
