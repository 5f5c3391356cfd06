//! What an image message holds, whoever wrote it: which messages are images, and how their bytes become a frame.

use std::borrow::Cow;

use ::base64::Engine as _;
use ::base64::engine::general_purpose::STANDARD;

use super::message::Image;
use super::{Decode, cdr, proto, yuv};
use crate::frame::{BayerDepth, Frame, PixelFormat, Range};

/// The longest side of a picture in pixels; no count of its bytes overflows below it.
const WIDEST: u32 = 1 << 16;

/// How a message is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Coding {
    Protobuf,
    Json,
    Cdr,
    Ros1,
}

/// How the messages of one channel hold pictures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Layout {
    coding: Coding,
    compressed: bool,
}

/// What a channel is to us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Content {
    Pictures(Layout),
    /// Pictures or films in a form that is not read.
    NotRead,
    Other,
}

/// What the messages of a schema hold when they are written as `encoding`.
pub(super) fn content(schema: &str, encoding: &str) -> Content {
    let name = schema.rsplit(['.', '/']).next().unwrap_or(schema);
    let compressed = match name {
        "CompressedImage" => true,
        "RawImage" | "Image" => false,
        "CompressedVideo" | "VideoFrame" => return Content::NotRead,
        _ => return Content::Other,
    };
    let coding = match (schema, encoding) {
        ("foxglove.RawImage" | "foxglove.CompressedImage", "protobuf") => Coding::Protobuf,
        ("foxglove.RawImage" | "foxglove.CompressedImage", "json") => Coding::Json,
        ("sensor_msgs/msg/Image" | "sensor_msgs/msg/CompressedImage", "cdr") => Coding::Cdr,
        ("sensor_msgs/Image" | "sensor_msgs/CompressedImage", "ros1") => Coding::Ros1,
        _ => return Content::NotRead,
    };
    Content::Pictures(Layout { coding, compressed })
}

/// A Foxglove message in JSON; bytes are in base 64.
#[derive(serde::Deserialize)]
#[serde(default)]
struct Json<'a> {
    width: u32,
    height: u32,
    step: u32,
    #[serde(borrow)]
    encoding: Cow<'a, str>,
    #[serde(borrow)]
    data: Cow<'a, str>,
}

impl Default for Json<'_> {
    fn default() -> Self {
        Json { width: 0, height: 0, step: 0, encoding: "".into(), data: "".into() }
    }
}

/// Fills `frame` with the picture in `message`. `known`: the format and range that the channel's metadata name. What is in a
/// compressed picture decides what it is, whatever the message calls it.
pub(super) fn fill(
    frame: &mut Frame,
    message: &[u8],
    layout: Layout,
    known: (Option<PixelFormat>, Option<Range>),
    decode: Decode,
) -> Result<(), String> {
    let Layout { coding, compressed } = layout;
    let image = match coding {
        Coding::Protobuf => proto::read(message, compressed)?,
        Coding::Cdr => cdr::read_cdr(message, compressed)?,
        Coding::Ros1 => cdr::read_ros1(message, compressed)?,
        Coding::Json => {
            let Json { width, height, step, encoding, data } =
                serde_json::from_slice(message).map_err(|error| format!("the image message is no JSON of an image: {error}"))?;
            let data = STANDARD.decode(data.as_bytes()).map_err(|error| format!("the image's data are no base 64: {error}"))?;
            Image { width, height, step, encoding, big_endian: false, data: data.into() }
        }
    };
    let (format, range) = known;
    if compressed {
        compressed_picture(frame, &image, format, decode)?;
    } else {
        raw_picture(frame, &image, format)?;
    }
    frame.range = range.unwrap_or(frame.format.usual_range());
    Ok(())
}

fn compressed_picture(frame: &mut Frame, image: &Image, format: Option<PixelFormat>, decode: Decode) -> Result<(), String> {
    match decode(&image.data, frame) {
        // A frame that was damaged when it was recorded is damaged again.
        Err(_) if format == Some(PixelFormat::Mjpeg) => {
            (frame.format, frame.width, frame.height, frame.stride) = (PixelFormat::Mjpeg, 0, 0, 0);
            copy(&image.data, frame);
            Ok(())
        }
        decoded => decoded.map_err(|reason| format!("an image called '{}' cannot be read: {reason}", image.encoding)),
    }
}

fn raw_picture(frame: &mut Frame, image: &Image, known: Option<PixelFormat>) -> Result<(), String> {
    let &Image { width, height, .. } = image;
    let encoding = image.encoding.as_ref();
    if width.max(height) > WIDEST {
        return Err(format!("the image says that it is {width}x{height} pixels large"));
    }
    if let Some(format) = known.filter(|format| yuv::is_subsampled(*format) && encoding == "uyvy") {
        return yuv::unpack(frame, format, (width, height), image.step, &image.data);
    }
    let four = match encoding {
        "rgba8" => Some([0, 1, 2]),
        "bgra8" | "8UC4" => Some([2, 1, 0]),
        _ => None,
    };
    if let Some(order) = four {
        return without_alpha(frame, image, order);
    }
    let format = known.or_else(|| proto::format_of(encoding));
    let format = format.ok_or_else(|| format!("images encoded as '{encoding}' are not read"))?;
    // Some publishers leave the step out: rows without gaps.
    let step = if image.step == 0 { format.row_bytes(width) } else { image.step };
    (frame.format, frame.width, frame.height, frame.stride) = (format, width, height, step);
    copy(&image.data, frame);
    let wide = matches!(format, PixelFormat::Y10 | PixelFormat::Y16 | PixelFormat::Bayer(_, BayerDepth::Ten | BayerDepth::Twelve));
    if image.big_endian && wide {
        frame.data.chunks_exact_mut(2).for_each(|pair| pair.swap(0, 1));
    }
    Ok(())
}

/// RGB from four bytes a pixel, taken in `order`.
fn without_alpha(frame: &mut Frame, image: &Image, order: [usize; 3]) -> Result<(), String> {
    let (width, height) = (image.width as usize, image.height as usize);
    let step = if image.step == 0 { width.saturating_mul(4) } else { image.step as usize };
    let whole = step.checked_mul(height.saturating_sub(1)).and_then(|bytes| bytes.checked_add(width.checked_mul(4)?));
    if width == 0 || height == 0 || step < width * 4 || whole.is_none_or(|whole| image.data.len() < whole) {
        return Err(format!("{} bytes are no {width}x{height} picture of {step} bytes a row", image.data.len()));
    }
    (frame.format, frame.width, frame.height) = (PixelFormat::Rgb24, image.width, image.height);
    frame.stride = image.width * 3;
    frame.data.clear();
    for row in image.data.chunks(step).take(height) {
        for pixel in row[..width * 4].chunks_exact(4) {
            frame.data.extend_from_slice(&order.map(|at| pixel[at]));
        }
    }
    Ok(())
}

fn copy(data: &[u8], frame: &mut Frame) {
    frame.data.clear();
    frame.data.extend_from_slice(data);
}
