//! MCAP as it is written: records into chunks, chunks with their index into the file, and a summary at its end.
//!
//! Written by hand after the specification, because a file has to be whole after every chunk (see [`super::disk`]), and because the
//! `mcap` crate packs with a C library only.

use std::collections::BTreeMap;
use std::io;

use super::compression::{self, ZSTD};
use super::disk::{Disk, MAGIC};
use super::records;

/// Chunks that are left unpacked after one that packing made little smaller.
const REST: u32 = 15;

/// Writes one file.
pub(super) struct Container {
    disk: Disk,
    /// Over everything that was written before the end of the data.
    checksum: crc32fast::Hasher,
    chunk: Chunk,
    /// Records that the summary repeats: schemas, channels, and the index of every chunk.
    schemas: Vec<u8>,
    channels: Vec<u8>,
    indexes: Vec<u8>,
    schema_count: u16,
    channel_count: u16,
    chunk_count: u32,
    counts: BTreeMap<u16, u64>,
    times: Option<(u64, u64)>,
    /// Chunks to come that are not packed.
    resting: u32,
}

/// Records that are not in the file yet.
#[derive(Default)]
struct Chunk {
    records: Vec<u8>,
    times: Option<(u64, u64)>,
    /// For each channel, when its messages are and where in `records`.
    places: BTreeMap<u16, Vec<(u64, u64)>>,
}

impl Container {
    /// Begins a file, which is whole from here on.
    pub fn begin(disk: Disk, library: &str) -> io::Result<Container> {
        let mut container = Container {
            disk,
            checksum: crc32fast::Hasher::new(),
            chunk: Chunk::default(),
            schemas: Vec::new(),
            channels: Vec::new(),
            indexes: Vec::new(),
            schema_count: 0,
            channel_count: 0,
            chunk_count: 0,
            counts: BTreeMap::new(),
            times: None,
            resting: 0,
        };
        let mut head = MAGIC.to_vec();
        record(&mut head, records::HEADER, |out| {
            text(out, "");
            text(out, library);
        });
        container.put(&head);
        container.disk.commit(false)?;
        Ok(container)
    }

    fn put(&mut self, bytes: &[u8]) {
        self.checksum.update(bytes);
        self.disk.push(bytes);
    }

    /// Describes a type of message; its number.
    pub fn schema(&mut self, name: &str, encoding: &str, data: &[u8]) -> u16 {
        self.schema_count += 1;
        let id = self.schema_count;
        let from = self.schemas.len();
        record(&mut self.schemas, records::SCHEMA, |out| {
            out.extend(id.to_le_bytes());
            text(out, name);
            text(out, encoding);
            piece(out, data);
        });
        self.chunk.records.extend_from_slice(&self.schemas[from..]);
        id
    }

    /// Opens a stream of messages; its number.
    pub fn channel(&mut self, schema: u16, topic: &str, encoding: &str, metadata: &[(&str, &str)]) -> u16 {
        self.channel_count += 1;
        let id = self.channel_count;
        let from = self.channels.len();
        record(&mut self.channels, records::CHANNEL, |out| {
            out.extend(id.to_le_bytes());
            out.extend(schema.to_le_bytes());
            text(out, topic);
            text(out, encoding);
            let mut pairs = Vec::new();
            for (key, value) in metadata {
                text(&mut pairs, key);
                text(&mut pairs, value);
            }
            piece(out, &pairs);
        });
        self.chunk.records.extend_from_slice(&self.channels[from..]);
        id
    }

    /// Takes one message, logged and published at `time`.
    pub fn message(&mut self, channel: u16, sequence: u32, time: u64, data: &[u8]) {
        let chunk = &mut self.chunk;
        chunk.places.entry(channel).or_default().push((time, chunk.records.len() as u64));
        chunk.times = around(chunk.times, time);
        self.times = around(self.times, time);
        *self.counts.entry(channel).or_default() += 1;
        record(&mut chunk.records, records::MESSAGE, |out| {
            out.extend(channel.to_le_bytes());
            out.extend(sequence.to_le_bytes());
            out.extend(time.to_le_bytes());
            out.extend(time.to_le_bytes());
            out.extend_from_slice(data);
        });
    }

    /// Bytes of records that wait for the next flush.
    pub fn waiting(&self) -> u64 {
        self.chunk.records.len() as u64
    }

    /// What the summary takes, at most.
    pub fn summary_size(&self) -> u64 {
        (self.schemas.len() + self.channels.len() + self.indexes.len()) as u64 + 1024
    }

    /// Writes out what waits, as one chunk; packed if it is worth it.
    pub fn flush(&mut self, packed: bool) -> io::Result<()> {
        self.end_chunk(packed);
        self.disk.commit(false)
    }

    fn end_chunk(&mut self, packed: bool) {
        let Chunk { records: bytes, times, places } = std::mem::take(&mut self.chunk);
        if bytes.is_empty() {
            return;
        }
        let (first, last) = times.unwrap_or_default();
        let smaller = self.packed(&bytes, packed);
        let (compression, body) = smaller.as_ref().map_or(("", &bytes), |smaller| (ZSTD, smaller));
        let mut out = Vec::with_capacity(body.len() + 128);
        record(&mut out, records::CHUNK, |out| {
            out.extend(first.to_le_bytes());
            out.extend(last.to_le_bytes());
            out.extend((bytes.len() as u64).to_le_bytes());
            out.extend(crc32fast::hash(&bytes).to_le_bytes());
            text(out, compression);
            out.extend((body.len() as u64).to_le_bytes());
            out.extend_from_slice(body);
        });
        let (start, length) = (self.disk.position(), out.len() as u64);
        let mut offsets = Vec::new();
        for (channel, messages) in places {
            offsets.extend(channel.to_le_bytes());
            offsets.extend((start + out.len() as u64).to_le_bytes());
            record(&mut out, records::MESSAGE_INDEX, |out| {
                out.extend(channel.to_le_bytes());
                let entries: Vec<u8> = messages.iter().flat_map(|(time, at)| [time.to_le_bytes(), at.to_le_bytes()].concat()).collect();
                piece(out, &entries);
            });
        }
        let index_length = out.len() as u64 - length;
        record(&mut self.indexes, records::CHUNK_INDEX, |index| {
            for number in [first, last, start, length] {
                index.extend(number.to_le_bytes());
            }
            piece(index, &offsets);
            index.extend(index_length.to_le_bytes());
            text(index, compression);
            index.extend((body.len() as u64).to_le_bytes());
            index.extend((bytes.len() as u64).to_le_bytes());
        });
        self.chunk_count += 1;
        self.put(&out);
    }

    /// A chunk's records packed, if that makes them smaller and is wanted. Where it gains little, as with a camera's noise, it is tried
    /// again only once in a while: it would cost more time than all the rest.
    fn packed(&mut self, bytes: &[u8], wanted: bool) -> Option<Vec<u8>> {
        if !wanted || self.resting > 0 {
            self.resting = self.resting.saturating_sub(1);
            return None;
        }
        let packed = compression::pack(bytes);
        if packed.len() > bytes.len() / 4 * 3 {
            self.resting = REST;
        }
        Some(packed).filter(|packed| packed.len() < bytes.len())
    }

    /// Writes out what waits, the summary, and the end; the file's length.
    pub fn finish(mut self, packed: bool) -> io::Result<u64> {
        self.end_chunk(packed);
        let mut out = Vec::new();
        record(&mut out, records::DATA_END, |out| out.extend(self.checksum.clone().finalize().to_le_bytes()));
        let (start, before) = (self.disk.position() + out.len() as u64, out.len());
        let mut statistics = Vec::new();
        record(&mut statistics, records::STATISTICS, |out| {
            out.extend(self.counts.values().sum::<u64>().to_le_bytes());
            out.extend(self.schema_count.to_le_bytes());
            // Channels, attachments, metadata, chunks.
            for number in [u32::from(self.channel_count), 0, 0, self.chunk_count] {
                out.extend(number.to_le_bytes());
            }
            let (first, last) = self.times.unwrap_or_default();
            out.extend(first.to_le_bytes());
            out.extend(last.to_le_bytes());
            let counts: Vec<u8> =
                self.counts.iter().flat_map(|(channel, count)| [&channel.to_le_bytes()[..], &count.to_le_bytes()].concat()).collect();
            piece(out, &counts);
        });
        let mut groups = Vec::new();
        for (opcode, group) in [
            (records::SCHEMA, &self.schemas),
            (records::CHANNEL, &self.channels),
            (records::STATISTICS, &statistics),
            (records::CHUNK_INDEX, &self.indexes),
        ] {
            if group.is_empty() {
                continue;
            }
            let at = start + (out.len() - before) as u64;
            record(&mut groups, records::SUMMARY_OFFSET, |groups| {
                groups.push(opcode);
                groups.extend(at.to_le_bytes());
                groups.extend((group.len() as u64).to_le_bytes());
            });
            out.extend_from_slice(group);
        }
        let offsets = start + (out.len() - before) as u64;
        out.extend_from_slice(&groups);
        out.push(records::FOOTER);
        out.extend(20_u64.to_le_bytes());
        out.extend(start.to_le_bytes());
        out.extend(offsets.to_le_bytes());
        let checksum = crc32fast::hash(&out[before..]);
        out.extend(checksum.to_le_bytes());
        out.extend(MAGIC);
        self.disk.push(&out);
        self.disk.close()
    }
}

fn around(times: Option<(u64, u64)>, time: u64) -> Option<(u64, u64)> {
    Some(times.map_or((time, time), |(first, last)| (first.min(time), last.max(time))))
}

/// Appends a record whose content `fill` writes.
fn record(out: &mut Vec<u8>, opcode: u8, fill: impl FnOnce(&mut Vec<u8>)) {
    out.push(opcode);
    let at = out.len();
    out.extend([0; 8]);
    fill(out);
    let length = (out.len() - at - 8) as u64;
    out[at..at + 8].copy_from_slice(&length.to_le_bytes());
}

/// Bytes behind their length.
fn piece(out: &mut Vec<u8>, bytes: &[u8]) {
    out.extend((bytes.len() as u32).to_le_bytes());
    out.extend_from_slice(bytes);
}

fn text(out: &mut Vec<u8>, text: &str) {
    piece(out, text.as_bytes());
}
