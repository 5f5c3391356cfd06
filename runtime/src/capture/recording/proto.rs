//! The two Foxglove messages in protobuf, written and read by hand: a dozen fields need no code generator.

use std::time::Duration;

use crate::frame::{BayerDepth, BayerOrder, Frame, PixelFormat};

/// Protobuf wire types.
const VARINT: u64 = 0;
const FIXED64: u64 = 1;
const BYTES: u64 = 2;
const FIXED32: u64 = 5;

/// Names of the messages.
pub(super) const RAW: &str = "foxglove.RawImage";
/// As above, for JPEG.
pub(super) const COMPRESSED: &str = "foxglove.CompressedImage";

/// Writes `frame` as a Foxglove image message into `out`.
pub(super) fn write(frame: &Frame, out: &mut Vec<u8>) {
    out.clear();
    let mut stamp = [0; 24];
    let stamp = timestamp(frame.captured, &mut stamp);
    bytes(out, 1, stamp);
    if frame.format == PixelFormat::Mjpeg {
        bytes(out, 2, &frame.data);
        bytes(out, 3, b"jpeg");
        bytes(out, 4, b"camera");
    } else {
        fixed32(out, 2, frame.width);
        fixed32(out, 3, frame.height);
        bytes(out, 4, encoding(frame.format).as_bytes());
        fixed32(out, 5, frame.stride);
        bytes(out, 6, &frame.data);
        bytes(out, 7, b"camera");
    }
}

/// Foxglove's name for a format, or ours where it has none.
fn encoding(format: PixelFormat) -> String {
    match format {
        PixelFormat::Grey => "mono8".into(),
        PixelFormat::Y16 | PixelFormat::Y10 => "mono16".into(),
        PixelFormat::Rgb24 => "rgb8".into(),
        PixelFormat::Bgr24 => "bgr8".into(),
        PixelFormat::Bayer(order, BayerDepth::Eight) => format!("bayer_{}8", spell(order)),
        other => other.to_string(),
    }
}

/// Our format for one of Foxglove's names, for files that others wrote.
pub(super) fn format_of(encoding: &str) -> Option<PixelFormat> {
    Some(match encoding {
        "mono8" | "8UC1" => PixelFormat::Grey,
        "mono16" | "16UC1" => PixelFormat::Y16,
        "rgb8" => PixelFormat::Rgb24,
        "bgr8" | "8UC3" => PixelFormat::Bgr24,
        "uyvy" | "yuv422" => PixelFormat::Uyvy,
        "yuyv" | "yuv422_yuy2" => PixelFormat::Yuyv,
        other => match other.strip_prefix("bayer_").and_then(|rest| rest.strip_suffix('8')) {
            Some(order) => format!("bayer-{order}8").parse().ok()?,
            None => other.parse().ok()?,
        },
    })
}

fn spell(order: BayerOrder) -> &'static str {
    match order {
        BayerOrder::Rggb => "rggb",
        BayerOrder::Bggr => "bggr",
        BayerOrder::Grbg => "grbg",
        BayerOrder::Gbrg => "gbrg",
    }
}

/// An image message taken apart; what is missing is zero, as protobuf has it.
#[derive(Debug, Default)]
pub(super) struct Image<'a> {
    pub width: u32,
    pub height: u32,
    pub step: u32,
    pub encoding: &'a str,
    pub data: &'a [u8],
}

/// Reads a `RawImage`, or a `CompressedImage` if `compressed`.
pub(super) fn read(message: &[u8], compressed: bool) -> Result<Image<'_>, &'static str> {
    const SHORT: &str = "the image message is cut short";
    let mut image = Image::default();
    let mut rest = message;
    while !rest.is_empty() {
        let key = take_varint(&mut rest).ok_or(SHORT)?;
        let (field, wire) = (key >> 3, key & 7);
        match wire {
            VARINT => {
                take_varint(&mut rest).ok_or(SHORT)?;
            }
            FIXED64 => {
                take(&mut rest, 8).ok_or(SHORT)?;
            }
            FIXED32 => {
                let value = take(&mut rest, 4).and_then(|bytes| bytes.try_into().ok()).map(u32::from_le_bytes).ok_or(SHORT)?;
                match field {
                    2 if !compressed => image.width = value,
                    3 if !compressed => image.height = value,
                    5 if !compressed => image.step = value,
                    _ => {}
                }
            }
            BYTES => {
                let length = take_varint(&mut rest).ok_or(SHORT)?;
                let value = usize::try_from(length).ok().and_then(|length| take(&mut rest, length)).ok_or(SHORT)?;
                match (field, compressed) {
                    (6, false) | (2, true) => image.data = value,
                    (4, false) | (3, true) => {
                        image.encoding = std::str::from_utf8(value).map_err(|_| "the image's encoding is not text")?
                    }
                    _ => {}
                }
            }
            _ => return Err("the image message holds a field of an unknown kind"),
        }
    }
    Ok(image)
}

fn take<'a>(rest: &mut &'a [u8], length: usize) -> Option<&'a [u8]> {
    let (taken, left) = rest.split_at_checked(length)?;
    *rest = left;
    Some(taken)
}

fn take_varint(rest: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let byte = take(rest, 1)?[0];
        value |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Some(value);
        }
    }
    None
}

fn varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

fn bytes(out: &mut Vec<u8>, field: u64, value: &[u8]) {
    varint(out, field << 3 | BYTES);
    varint(out, value.len() as u64);
    out.extend_from_slice(value);
}

fn fixed32(out: &mut Vec<u8>, field: u64, value: u32) {
    varint(out, field << 3 | FIXED32);
    out.extend_from_slice(&value.to_le_bytes());
}

/// A `google.protobuf.Timestamp` in at most 24 bytes.
fn timestamp(time: Duration, into: &mut [u8; 24]) -> &[u8] {
    let mut length = 0;
    for (field, mut value) in [(1_u8, time.as_secs()), (2, u64::from(time.subsec_nanos()))] {
        into[length] = field << 3;
        length += 1;
        while value >= 0x80 {
            into[length] = value as u8 | 0x80;
            value >>= 7;
            length += 1;
        }
        into[length] = value as u8;
        length += 1;
    }
    &into[..length]
}

/// A message type's fields: name, number, type.
type Fields = &'static [(&'static str, u64, u64)];
/// `FieldDescriptorProto` types.
const TYPE_INT64: u64 = 3;
const TYPE_INT32: u64 = 5;
const TYPE_FIXED32: u64 = 7;
const TYPE_STRING: u64 = 9;
const TYPE_MESSAGE: u64 = 11;
const TYPE_BYTES: u64 = 12;

/// The `FileDescriptorSet` of one message, as MCAP wants a protobuf schema.
pub(super) fn schema(name: &str) -> Vec<u8> {
    const STAMP: Fields = &[("seconds", 1, TYPE_INT64), ("nanos", 2, TYPE_INT32)];
    const RAW_FIELDS: Fields = &[
        ("timestamp", 1, TYPE_MESSAGE),
        ("width", 2, TYPE_FIXED32),
        ("height", 3, TYPE_FIXED32),
        ("encoding", 4, TYPE_STRING),
        ("step", 5, TYPE_FIXED32),
        ("data", 6, TYPE_BYTES),
        ("frame_id", 7, TYPE_STRING),
    ];
    const JPEG_FIELDS: Fields =
        &[("timestamp", 1, TYPE_MESSAGE), ("data", 2, TYPE_BYTES), ("format", 3, TYPE_STRING), ("frame_id", 4, TYPE_STRING)];
    let fields = if name == RAW { RAW_FIELDS } else { JPEG_FIELDS };
    let stamp = "google/protobuf/timestamp.proto";
    let (package, message) = name.split_once('.').unwrap_or(("", name));
    let mut set = Vec::new();
    bytes(&mut set, 1, &file(stamp, "google.protobuf", None, "Timestamp", STAMP));
    bytes(&mut set, 1, &file(&format!("{package}/{message}.proto"), package, Some(stamp), message, fields));
    set
}

fn file(path: &str, package: &str, import: Option<&str>, message: &str, fields: Fields) -> Vec<u8> {
    let mut kind = Vec::new();
    bytes(&mut kind, 1, message.as_bytes());
    for (name, number, of) in fields {
        let mut field = Vec::new();
        bytes(&mut field, 1, name.as_bytes());
        for (key, value) in [(3, *number), (4, 1), (5, *of)] {
            varint(&mut field, key << 3 | VARINT);
            varint(&mut field, value);
        }
        if *of == TYPE_MESSAGE {
            bytes(&mut field, 6, b".google.protobuf.Timestamp");
        }
        bytes(&mut kind, 2, &field);
    }
    let mut out = Vec::new();
    bytes(&mut out, 1, path.as_bytes());
    bytes(&mut out, 2, package.as_bytes());
    if let Some(import) = import {
        bytes(&mut out, 3, import.as_bytes());
    }
    bytes(&mut out, 4, &kind);
    bytes(&mut out, 12, b"proto3");
    out
}
