//! Shapes as PNG: lines and discs with smooth edges, text in a fixed font.

use std::convert::Infallible;
use std::io::Cursor;

use embedded_graphics::Drawable;
use embedded_graphics::Pixel;
use embedded_graphics::draw_target::DrawTarget;
use embedded_graphics::geometry::{OriginDimensions, Point, Size};
use embedded_graphics::mono_font::MonoTextStyle;
use embedded_graphics::mono_font::ascii::FONT_10X20;
use embedded_graphics::pixelcolor::{Rgb888, RgbColor};
use embedded_graphics::text::{Alignment, Baseline, Text, TextStyleBuilder};
use image::{ColorType, ImageFormat};

use super::{Anchor, HEIGHT, Shape, WIDTH};

struct Sheet {
    rgb: Vec<u8>,
}

impl OriginDimensions for Sheet {
    fn size(&self) -> Size {
        Size::new(WIDTH as u32, HEIGHT as u32)
    }
}

impl DrawTarget for Sheet {
    type Color = Rgb888;
    type Error = Infallible;

    fn draw_iter<I: IntoIterator<Item = Pixel<Rgb888>>>(&mut self, pixels: I) -> Result<(), Infallible> {
        for Pixel(at, colour) in pixels {
            self.blend(at.x.into(), at.y.into(), [colour.r(), colour.g(), colour.b()], 1.0);
        }
        Ok(())
    }
}

impl Sheet {
    /// Covers a share of a pixel; outside the sheet nothing.
    fn blend(&mut self, x: i64, y: i64, colour: [u8; 3], share: f64) {
        if (0..WIDTH as i64).contains(&x) && (0..HEIGHT as i64).contains(&y) && share > 0.0 {
            let at = (y as usize * WIDTH as usize + x as usize) * 3;
            for (old, new) in self.rgb[at..at + 3].iter_mut().zip(colour) {
                *old = (f64::from(*old) + (f64::from(new) - f64::from(*old)) * share.min(1.0)).round() as u8;
            }
        }
    }

    /// Covers what lies within `radius` of the line between two points.
    fn stroke(&mut self, from: (f64, f64), to: (f64, f64), radius: f64, colour: [u8; 3]) {
        let (dx, dy) = (to.0 - from.0, to.1 - from.1);
        let squared = dx * dx + dy * dy;
        let reach = radius + 1.0;
        for y in (from.1.min(to.1) - reach).floor() as i64..=(from.1.max(to.1) + reach).ceil() as i64 {
            for x in (from.0.min(to.0) - reach).floor() as i64..=(from.0.max(to.0) + reach).ceil() as i64 {
                let (px, py) = (x as f64 + 0.5 - from.0, y as f64 + 0.5 - from.1);
                let along = if squared > 0.0 { ((px * dx + py * dy) / squared).clamp(0.0, 1.0) } else { 0.0 };
                let distance = (px - along * dx).hypot(py - along * dy);
                self.blend(x, y, colour, (radius + 0.5 - distance).clamp(0.0, 1.0));
            }
        }
    }
}

pub(super) fn draw(shapes: &[Shape]) -> Result<Vec<u8>, String> {
    let mut sheet = Sheet { rgb: vec![255; WIDTH as usize * HEIGHT as usize * 3] };
    for shape in shapes {
        match shape {
            Shape::Line { from, to, colour, width } => sheet.stroke(*from, *to, width / 2.0, rgb(*colour)),
            Shape::Disc { at, radius, colour } => sheet.stroke(*at, *at, *radius, rgb(*colour)),
            Shape::Text { at, anchor, text, colour } => {
                let [r, g, b] = rgb(*colour);
                let alignment = match anchor {
                    Anchor::Start => Alignment::Left,
                    Anchor::Middle => Alignment::Center,
                    Anchor::End => Alignment::Right,
                };
                let style = TextStyleBuilder::new().alignment(alignment).baseline(Baseline::Alphabetic).build();
                let at = Point::new(at.0.round() as i32, at.1.round() as i32);
                let Ok(_) = Text::with_text_style(text, at, MonoTextStyle::new(&FONT_10X20, Rgb888::new(r, g, b)), style).draw(&mut sheet);
            }
        }
    }
    let mut file = Cursor::new(Vec::new());
    image::write_buffer_with_format(&mut file, &sheet.rgb, WIDTH as u32, HEIGHT as u32, ColorType::Rgb8, ImageFormat::Png)
        .map_err(|error| format!("cannot make a PNG: {error}"))?;
    Ok(file.into_inner())
}

fn rgb(colour: u32) -> [u8; 3] {
    let [_, r, g, b] = colour.to_be_bytes();
    [r, g, b]
}
