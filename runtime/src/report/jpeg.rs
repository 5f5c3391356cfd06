//! Pictures as JPEG.

use image::RgbImage;
use jpeg_encoder::{ColorType, Encoder};

/// On the scale of libjpeg.
const QUALITY: u8 = 80;

/// A picture as baseline JPEG; None for one of no pixels, or of more than JPEG can hold.
pub fn encode(image: &RgbImage) -> Option<Vec<u8>> {
    let (width, height) = (u16::try_from(image.width()).ok()?, u16::try_from(image.height()).ok()?);
    let mut bytes = Vec::with_capacity(image.len() / 8);
    Encoder::new(&mut bytes, QUALITY).encode(image, width, height, ColorType::Rgb).ok()?;
    Some(bytes)
}
