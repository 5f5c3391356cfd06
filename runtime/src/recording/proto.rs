//! Foxglove's image messages in protobuf, written and read by hand: a dozen fields need no code generator.

use std::time::Duration;

use super::message::Image;
use super::yuv;
use crate::frame::{BayerDepth, BayerOrder, Frame, PixelFormat};

/// Protobuf wire types.
const VARINT: u64 = 0;
const FIXED64: u64 = 1;
const BYTES: u64 = 2;
const FIXED32: u64 = 5;

/// Writes `frame`, taken at `wall`, as a Foxglove image message into `out`.
pub(super) fn write(frame: &Frame, wall: Duration, out: &mut Vec<u8>) {
    out.clear();
    timestamp(out, 1, wall);
    if frame.format == PixelFormat::Mjpeg {
        bytes(out, 2, &frame.data);
        bytes(out, 3, b"jpeg");
        bytes(out, 4, b"camera");
        return;
    }
    fixed32(out, 2, frame.width);
    fixed32(out, 3, frame.height);
    match yuv::packed(frame) {
        Some((stride, packed)) => {
            bytes(out, 4, b"uyvy");
            fixed32(out, 5, stride);
            bytes(out, 6, &packed);
        }
        None => {
            bytes(out, 4, encoding(frame.format).as_bytes());
            fixed32(out, 5, frame.stride);
            bytes(out, 6, &frame.data);
        }
    }
    bytes(out, 7, b"camera");
}

/// A name that Foxglove's image panel draws. 4:2:0 of which nothing whole is there keeps its own.
fn encoding(format: PixelFormat) -> String {
    match format {
        PixelFormat::Grey => "mono8".into(),
        PixelFormat::Y16 | PixelFormat::Y10 => "mono16".into(),
        PixelFormat::Rgb24 => "rgb8".into(),
        PixelFormat::Bgr24 => "bgr8".into(),
        PixelFormat::Bayer(order, BayerDepth::Eight) => format!("bayer_{}8", spell(order)),
        // The mosaic itself, as grey.
        PixelFormat::Bayer(..) => "mono16".into(),
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
                    (6, false) | (2, true) => image.data = value.into(),
                    (4, false) | (3, true) => {
                        image.encoding = std::str::from_utf8(value).map_err(|_| "the image's encoding is not text")?.into()
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

/// Bytes, text or a message.
pub(super) fn bytes(out: &mut Vec<u8>, field: u64, value: &[u8]) {
    varint(out, field << 3 | BYTES);
    varint(out, value.len() as u64);
    out.extend_from_slice(value);
}

fn fixed32(out: &mut Vec<u8>, field: u64, value: u32) {
    varint(out, field << 3 | FIXED32);
    out.extend_from_slice(&value.to_le_bytes());
}

/// A `google.protobuf.Timestamp`.
pub(super) fn timestamp(out: &mut Vec<u8>, field: u64, time: Duration) {
    let mut stamp = Vec::with_capacity(24);
    for (field, value) in [(1, time.as_secs()), (2, u64::from(time.subsec_nanos()))] {
        varint(&mut stamp, field << 3 | VARINT);
        varint(&mut stamp, value);
    }
    bytes(out, field, &stamp);
}

/// A `double`.
pub(super) fn double(out: &mut Vec<u8>, field: u64, value: f64) {
    varint(out, field << 3 | FIXED64);
    out.extend_from_slice(&value.to_le_bytes());
}

/// A whole number, or one of an enumeration.
pub(super) fn number(out: &mut Vec<u8>, field: u64, value: u64) {
    varint(out, field << 3 | VARINT);
    varint(out, value);
}
