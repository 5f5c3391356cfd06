//! Pictures as JPEG.

use image::RgbImage;
use image::codecs::jpeg::JpegEncoder;

/// On the scale of libjpeg.
const QUALITY: u8 = 80;

/// A picture as baseline JPEG; None for one of no pixels.
pub fn encode(image: &RgbImage) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(image.len() / 8);
    JpegEncoder::new_with_quality(&mut bytes, QUALITY).encode_image(image).ok()?;
    Some(bytes)
}
