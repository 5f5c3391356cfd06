//! The dashboard as a file: written beside its place and then moved there, so that whoever reads it finds it whole.

use std::marker::PhantomData;
use std::path::{Path, PathBuf};

use embedded_graphics::geometry::Size;
use embedded_graphics::pixelcolor::{BinaryColor, Rgb565, RgbColor};
use firmware_bridge::dashboard::Ink;
use image::ImageEncoder as _;

use super::Screen;
use super::canvas::{Canvas, Page};
use crate::whole_file;

/// A colour as red, green and blue.
pub(super) trait Eight {
    fn eight(self) -> [u8; 3];
}

impl Eight for BinaryColor {
    fn eight(self) -> [u8; 3] {
        [if self.is_on() { 255 } else { 0 }; 3]
    }
}

impl Eight for Rgb565 {
    fn eight(self) -> [u8; 3] {
        [self.r() << 3 | self.r() >> 2, self.g() << 2 | self.g() >> 4, self.b() << 3 | self.b() >> 2]
    }
}

pub(super) struct PngFile<C> {
    file: PathBuf,
    size: Size,
    colour: PhantomData<fn() -> C>,
}

impl<C> PngFile<C> {
    pub(super) fn new(file: &Path, size: Size) -> PngFile<C> {
        PngFile { file: file.to_owned(), size, colour: PhantomData }
    }
}

impl<C: Ink + Eight + Send> Screen for PngFile<C> {
    type Colour = C;

    fn size(&self) -> Size {
        self.size
    }

    fn show(&mut self, canvas: &Canvas<C>, _: &[Page]) -> Result<(), String> {
        let bytes: Vec<u8> = canvas.pixels().iter().flat_map(|pixel| pixel.eight()).collect();
        let mut png = Vec::new();
        let encoder = image::codecs::png::PngEncoder::new(&mut png);
        encoder
            .write_image(&bytes, self.size.width, self.size.height, image::ExtendedColorType::Rgb8)
            .map_err(std::io::Error::other)
            .and_then(|()| whole_file::write(&self.file, &png, whole_file::Keep::Lazily))
            .map_err(|error| format!("cannot write {}: {error}", self.file.display()))
    }
}
