//! Chunks packed and unpacked: zstd both ways, lz4 to read what others wrote. Neither needs a C compiler.

use std::io::Read;

use ruzstd::decoding::StreamingDecoder;
use ruzstd::encoding::{CompressionLevel, compress_to_vec};

/// How a chunk's records are packed when we write.
pub(super) const ZSTD: &str = "zstd";

/// `records`, packed.
pub(super) fn pack(records: &[u8]) -> Vec<u8> {
    compress_to_vec(records, CompressionLevel::Fastest)
}

/// Why a chunk cannot be unpacked.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum UnpackError {
    /// Nothing here reads that.
    Unknown,
    /// It is not what it says.
    Damaged(String),
}

/// Fills `into` with the `size` bytes that `packed` holds.
pub(super) fn unpack(compression: &str, packed: &[u8], size: usize, into: &mut Vec<u8>) -> Result<(), UnpackError> {
    into.clear();
    let damaged = |error: String| UnpackError::Damaged(error);
    match compression {
        "" => into.extend_from_slice(packed),
        ZSTD => {
            let decoder = StreamingDecoder::new(packed).map_err(|error| damaged(error.to_string()))?;
            read(decoder, size, into).map_err(damaged)?;
        }
        "lz4" => read(lz4_flex::frame::FrameDecoder::new(packed), size, into).map_err(damaged)?,
        _ => return Err(UnpackError::Unknown),
    }
    if into.len() != size {
        return Err(damaged(format!("a chunk of {} bytes says that it has {size}", into.len())));
    }
    Ok(())
}

/// Reads no more than one byte beyond `size`, so that a chunk that promises little cannot take much.
fn read(from: impl Read, size: usize, into: &mut Vec<u8>) -> Result<(), String> {
    from.take(size as u64 + 1).read_to_end(into).map(drop).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_packed_is_unpacked() {
        for records in [&[][..], &[7; 100_000], &(0..200_000_u32).map(|at| (at.wrapping_mul(at) >> 7) as u8).collect::<Vec<_>>()] {
            let mut unpacked = Vec::new();
            unpack(ZSTD, &pack(records), records.len(), &mut unpacked).unwrap();
            assert!(unpacked == records);
        }
    }

    #[test]
    fn a_chunk_that_lies_about_its_size_is_damaged_and_takes_no_more_memory() {
        let packed = pack(&vec![0; 10 << 20]);
        let mut unpacked = Vec::new();
        assert!(matches!(unpack(ZSTD, &packed, 1000, &mut unpacked), Err(UnpackError::Damaged(_))));
        assert!(unpacked.capacity() < 1 << 20);
        assert!(matches!(unpack(ZSTD, b"no zstd", 7, &mut unpacked), Err(UnpackError::Damaged(_))));
        assert_eq!(unpack("brotli", b"", 0, &mut unpacked), Err(UnpackError::Unknown));
    }
}
