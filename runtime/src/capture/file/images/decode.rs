//! One picture's bytes to pixels, turned as it says that it is to be seen.

use std::io::{BufRead, Cursor, Seek};

use image::metadata::Orientation;
use image::{ColorType, DynamicImage, GrayImage, ImageDecoder, ImageFormat, ImageReader, Limits, RgbImage};

use crate::capture::jpeg;
use crate::frame::{Frame, PixelFormat};

/// Widest and tallest picture, in pixels.
const LARGEST: u32 = 16_384;
/// Bytes one picture may take while it is decoded.
const MEMORY: u64 = 512 << 20;

/// Whether a file begins like an image we read.
pub(in crate::capture::file) fn is_image(start: &[u8]) -> bool {
    use ImageFormat::*;
    matches!(image::guess_format(start), Ok(Png | Jpeg | Pnm | Bmp | Gif | WebP | Tiff))
}

/// Whether a file that begins so may hold a moving picture.
pub(super) fn moves(start: &[u8]) -> bool {
    let chunk = |name: &[u8]| start.windows(name.len()).any(|window| window == name);
    match image::guess_format(start) {
        Ok(ImageFormat::Gif) => true,
        Ok(ImageFormat::WebP) => chunk(b"ANIM"),
        Ok(ImageFormat::Png) => chunk(b"acTL"),
        _ => false,
    }
}

/// Decodes one image of any kind we read, whatever its name: grey ones to grey, others to RGB.
pub fn decode<R: BufRead + Seek>(mut from: R, frame: &mut Frame) -> Result<(), String> {
    let mut bytes = Vec::new();
    from.read_to_end(&mut bytes).map_err(|error| error.to_string())?;
    Decoder::default().decode(&bytes, frame)
}

/// Decodes one image after another.
#[derive(Default)]
pub(super) struct Decoder {
    jpeg: jpeg::Decoder,
}

impl Decoder {
    /// Decodes one; whatever is damaged is found here.
    pub fn decode(&mut self, bytes: &[u8], frame: &mut Frame) -> Result<(), String> {
        match start(bytes)? {
            Start::Jpeg(orientation) => self.jpeg(bytes, orientation, frame),
            Start::Other => other(bytes, frame),
        }
    }

    /// As [`Decoder::decode`], but a JPEG that is not turned stays as it is: it is decoded where it is fitted, and nowhere else.
    pub fn load(&mut self, bytes: &[u8], frame: &mut Frame) -> Result<(), String> {
        match start(bytes)? {
            Start::Jpeg(None) => {
                let (width, height) = jpeg::size(bytes)?;
                keep(bytes, width, height, frame);
                Ok(())
            }
            Start::Jpeg(orientation) => self.jpeg(bytes, orientation, frame),
            Start::Other => other(bytes, frame),
        }
    }

    fn jpeg(&mut self, bytes: &[u8], orientation: Option<Orientation>, frame: &mut Frame) -> Result<(), String> {
        let picture = self.jpeg.decode(bytes, jpeg::Colour::AsItIs)?;
        if orientation.is_none() && picture.samples != 1 {
            // It stays what it is, now that it is known to be whole: where luma is wanted its own is taken, as of a film's pictures, and not
            // that of colours cut to what a screen shows.
            keep(bytes, picture.width as u32, picture.height as u32, frame);
            return Ok(());
        }
        let row = picture.width * picture.samples;
        let data = frame.data.vec();
        data.clear();
        for at in 0..picture.height {
            data.extend_from_slice(&picture.pixels[at * picture.stride..][..row]);
        }
        (frame.width, frame.height, frame.stride) = (picture.width as u32, picture.height as u32, row as u32);
        frame.format = if picture.samples == 1 { PixelFormat::Grey } else { PixelFormat::Rgb24 };
        if let Some(orientation) = orientation {
            let (width, height, data) = (frame.width, frame.height, std::mem::take(data));
            let picture = match frame.format {
                PixelFormat::Grey => GrayImage::from_raw(width, height, data).map(DynamicImage::from),
                _ => RgbImage::from_raw(width, height, data).map(DynamicImage::from),
            };
            turn_and_put(picture.ok_or("its size and its bytes disagree")?, orientation, frame);
        }
        Ok(())
    }
}

/// How a picture begins.
enum Start {
    /// A JPEG, and how it is to be turned.
    Jpeg(Option<Orientation>),
    Other,
}

fn start(bytes: &[u8]) -> Result<Start, String> {
    if bytes.is_empty() {
        return Err("the file is empty".into());
    }
    if !bytes.starts_with(&[0xff, 0xd8]) {
        return Ok(Start::Other);
    }
    let orientation = jpeg::exif(bytes).and_then(Orientation::from_exif_chunk);
    Ok(Start::Jpeg(orientation.filter(|orientation| *orientation != Orientation::NoTransforms)))
}

/// A frame that is a JPEG.
fn keep(bytes: &[u8], width: u32, height: u32, frame: &mut Frame) {
    (frame.format, frame.width, frame.height, frame.stride) = (PixelFormat::Mjpeg, width, height, 0);
    let data = frame.data.vec();
    data.clear();
    data.extend_from_slice(bytes);
}

fn other(bytes: &[u8], frame: &mut Frame) -> Result<(), String> {
    let mut reader = ImageReader::new(Cursor::new(bytes)).with_guessed_format().map_err(|error| error.to_string())?;
    let mut limits = Limits::default();
    limits.max_image_width = Some(LARGEST);
    limits.max_image_height = Some(LARGEST);
    limits.max_alloc = Some(MEMORY);
    reader.limits(limits);
    let mut decoder = reader.into_decoder().map_err(|error| error.to_string())?;
    let (width, height) = decoder.dimensions();
    if width > LARGEST || height > LARGEST || decoder.total_bytes() > MEMORY {
        return Err(format!("{width}x{height} pixels are more than are read"));
    }
    let orientation = decoder.orientation().unwrap_or(Orientation::NoTransforms);
    let picture = DynamicImage::from_decoder(decoder).map_err(|error| error.to_string())?;
    turn_and_put(picture, orientation, frame);
    Ok(())
}

/// Turns a picture and puts it into `frame`.
fn turn_and_put(mut picture: DynamicImage, orientation: Orientation, frame: &mut Frame) {
    picture.apply_orientation(orientation);
    (frame.width, frame.height) = (picture.width(), picture.height());
    match picture.color() {
        ColorType::L8 | ColorType::La8 | ColorType::L16 | ColorType::La16 => {
            frame.format = PixelFormat::Grey;
            frame.data = picture.into_luma8().into_raw().into();
        }
        _ => {
            frame.format = PixelFormat::Rgb24;
            frame.data = picture.into_rgb8().into_raw().into();
        }
    }
    frame.stride = frame.format.row_bytes(frame.width);
}
