//! A frame as people are shown it: the source's picture in colour, and over it the boxes and areas of the answer.

use std::convert::Infallible;

use embedded_graphics::Drawable;
use embedded_graphics::draw_target::DrawTarget;
use embedded_graphics::geometry::{Dimensions, OriginDimensions, Point, Size};
use embedded_graphics::mono_font::ascii::FONT_6X10;
use embedded_graphics::mono_font::{MonoTextStyle, MonoTextStyleBuilder};
use embedded_graphics::pixelcolor::{Rgb888, RgbColor};
use embedded_graphics::prelude::Pixel;
use embedded_graphics::primitives::Rectangle;
use embedded_graphics::text::{Baseline, Text};
use image::RgbImage;

use super::colour::{letters_on, overlay};
use crate::telemetry::{Detection, Picture, Region};

/// The picture alone; where the source's is not there, what the network saw of it in grey.
pub fn plain(picture: &Picture) -> RgbImage {
    match picture.source.as_deref().and_then(|source| source.rgb()) {
        Some(rgb) => RgbImage::from_raw(rgb.width, rgb.height, rgb.pixels.clone()).expect("three bytes a pixel"),
        None => RgbImage::from_fn(picture.width, picture.height, |x, y| image::Rgb([picture.luma[(y * picture.width + x) as usize]; 3])),
    }
}

/// The picture with its answer; `classes` are the model's class names.
pub fn answered(picture: &Picture, detections: &[Detection], classes: &[String]) -> RgbImage {
    let mut image = plain(picture);
    // What the image shows, in pixels of the source's picture.
    let shown = match &picture.source {
        Some(source) if source.rgb().is_some() => Region { x: 0.0, y: 0.0, width: source.size().0 as f32, height: source.size().1 as f32 },
        _ => picture.view,
    };
    if picture.outlined {
        // The surest last, so that they lie on top.
        detections.iter().rev().for_each(|seen| outline(&mut image, &shown, seen, classes));
    } else {
        lay_over(&mut image, &shown, picture);
    }
    image
}

/// Colours the pixels that belong to a class.
fn lay_over(image: &mut RgbImage, shown: &Region, picture: &Picture) {
    let (width, height) = (image.width() as f32, image.height() as f32);
    for (x, y, pixel) in image.enumerate_pixels_mut() {
        let sx = shown.x + (x as f32 + 0.5) / width * shown.width;
        let sy = shown.y + (y as f32 + 0.5) / height * shown.height;
        let (nx, ny) = ((sx - picture.view.x) / picture.view.width, (sy - picture.view.y) / picture.view.height);
        if (0.0..1.0).contains(&nx) && (0.0..1.0).contains(&ny) {
            let at = ((ny * picture.height as f32) as u32 * picture.width + (nx * picture.width as f32) as u32) as usize;
            let class = picture.mask[at.min(picture.mask.len() - 1)];
            if class > 0 {
                let grey = pixel.0.iter().map(|&level| u32::from(level)).sum::<u32>() / 3;
                pixel.0 = overlay(class, grey as u8);
            }
        }
    }
}

/// A box with its class, track and score.
fn outline(image: &mut RgbImage, shown: &Region, seen: &Detection, classes: &[String]) {
    let (width, height) = (image.width(), image.height());
    let x = |at: f32| ((at - shown.x) / shown.width * width as f32).clamp(0.0, width as f32 - 1.0) as u32;
    let y = |at: f32| ((at - shown.y) / shown.height * height as f32).clamp(0.0, height as f32 - 1.0) as u32;
    let Region { x: left, y: top, width: w, height: h } = seen.region;
    let (x0, x1, y0, y1) = (x(left), x(left + w), y(top), y(top + h));
    let ink = image::Rgb(overlay(seen.class.saturating_add(1), 255));
    let thick = (width / 320).clamp(1, 3);
    for line in 0..thick {
        for at in x0..=x1 {
            image.put_pixel(at, (y0 + line).min(y1), ink);
            image.put_pixel(at, y1.saturating_sub(line).max(y0), ink);
        }
        for at in y0..=y1 {
            image.put_pixel((x0 + line).min(x1), at, ink);
            image.put_pixel(x1.saturating_sub(line).max(x0), at, ink);
        }
    }
    let class = classes.get(usize::from(seen.class)).map_or("?", String::as_str);
    let track = if seen.track > 0 { format!("#{} ", seen.track) } else { String::new() };
    let label = format!("{class} {track}{:.0}", seen.score * 100.0);
    let [r, g, b] = ink.0;
    let letters = letters_on(ink.0);
    let style: MonoTextStyle<Rgb888> = MonoTextStyleBuilder::new()
        .font(&FONT_6X10)
        .text_color(Rgb888::new(letters[0], letters[1], letters[2]))
        .background_color(Rgb888::new(r, g, b))
        .build();
    let (tall, wide) = (FONT_6X10.character_size.height, FONT_6X10.character_size.width * label.chars().count() as u32);
    // Above the box, or in it at the upper edge of the picture.
    let at = Point::new(x0.min(width.saturating_sub(wide)) as i32, if y0 >= tall { (y0 - tall) as i32 } else { y0 as i32 });
    let drawn = Text::with_baseline(&label, at, style, Baseline::Top).draw(&mut Canvas(image));
    let Ok(_) = drawn;
}

/// An image that `embedded-graphics` draws on.
struct Canvas<'a>(&'a mut RgbImage);

impl OriginDimensions for Canvas<'_> {
    fn size(&self) -> Size {
        Size::new(self.0.width(), self.0.height())
    }
}

impl DrawTarget for Canvas<'_> {
    type Color = Rgb888;
    type Error = Infallible;

    fn draw_iter<I: IntoIterator<Item = Pixel<Rgb888>>>(&mut self, pixels: I) -> Result<(), Infallible> {
        let whole: Rectangle = self.bounding_box();
        for Pixel(at, colour) in pixels {
            if whole.contains(at) {
                self.0.put_pixel(at.x as u32, at.y as u32, image::Rgb([colour.r(), colour.g(), colour.b()]));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn picture(outlined: bool) -> Picture {
        let mut mask = vec![0; 64 * 48];
        mask[10 * 64 + 20] = 1;
        let view = Region { x: 0.0, y: 0.0, width: 640.0, height: 480.0 };
        Picture { width: 64, height: 48, luma: vec![50; 64 * 48], mask, outlined, view, source: None }
    }

    #[test]
    fn boxes_lie_where_they_are_in_the_source() {
        let seen =
            Detection { class: 0, region: Region { x: 100.0, y: 200.0, width: 300.0, height: 100.0 }, score: 0.5, ..Detection::default() };
        let image = answered(&picture(true), &[seen], &["person".into()]);
        let ink = image::Rgb(overlay(1, 255));
        assert_eq!([image.get_pixel(10, 25), image.get_pixel(40, 30)], [&ink; 2]);
        assert_eq!(image.get_pixel(20, 25 + 2), &image::Rgb([50; 3]), "the inside stays as it is");
        assert!((10..40).any(|x| image.get_pixel(x, 16) == &ink), "the label stands above");
    }

    #[test]
    fn areas_take_the_colour_of_their_class() {
        let image = answered(&picture(false), &[], &[]);
        assert_eq!(image.get_pixel(20, 10).0, overlay(1, 50));
        assert_eq!(image.get_pixel(21, 10).0, [50; 3]);
    }

    #[test]
    fn a_box_beyond_the_picture_ends_at_its_edge() {
        let seen = Detection { region: Region { x: -50.0, y: -50.0, width: 5000.0, height: 5000.0 }, ..Detection::default() };
        answered(&picture(true), &[seen], &[]);
    }
}
