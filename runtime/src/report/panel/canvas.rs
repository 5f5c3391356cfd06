//! A picture in memory that knows which of its pages have changed since it was last sent.

use std::convert::Infallible;
use std::ops::Range;

use embedded_graphics::geometry::{OriginDimensions, Point, Size};
use embedded_graphics::prelude::{DrawTarget, Pixel};
use embedded_graphics::primitives::Rectangle;
use firmware_bridge::dashboard::Ink;

/// Rows of a page: what an OLED keeps in one byte.
pub(super) const PAGE: u32 = 8;

/// Rows that changed: one page, or the part of it that there is.
pub(super) type Page = Range<u32>;

pub(super) struct Canvas<C> {
    size: Size,
    pixels: Vec<C>,
    sent: Option<Vec<C>>,
}

impl<C: Ink> Canvas<C> {
    pub(super) fn new(size: Size) -> Canvas<C> {
        let pixels = vec![C::PAPER; size.width as usize * size.height as usize];
        Canvas { size, pixels, sent: None }
    }

    fn index(&self, rows: &Page) -> Range<usize> {
        let width = self.size.width as usize;
        rows.start as usize * width..rows.end as usize * width
    }

    /// The pages that differ from what was sent; all of them before anything was.
    pub(super) fn changed(&self) -> Vec<Page> {
        let pages = (0..self.size.height).step_by(PAGE as usize).map(|top| top..(top + PAGE).min(self.size.height));
        pages.filter(|page| self.sent.as_ref().is_none_or(|sent| sent[self.index(page)] != self.pixels[self.index(page)])).collect()
    }

    /// The picture as it is now has been sent.
    pub(super) fn shown(&mut self) {
        match &mut self.sent {
            Some(sent) => sent.copy_from_slice(&self.pixels),
            None => self.sent = Some(self.pixels.clone()),
        }
    }

    /// The pixels of these rows, row by row.
    pub(super) fn rows(&self, rows: &Page) -> &[C] {
        &self.pixels[self.index(rows)]
    }

    /// All pixels, row by row.
    pub(super) fn pixels(&self) -> &[C] {
        &self.pixels
    }
}

impl<C> OriginDimensions for Canvas<C> {
    fn size(&self) -> Size {
        self.size
    }
}

impl<C: Ink> DrawTarget for Canvas<C> {
    type Color = C;
    type Error = Infallible;

    fn draw_iter<I: IntoIterator<Item = Pixel<C>>>(&mut self, pixels: I) -> Result<(), Infallible> {
        for Pixel(at, colour) in pixels {
            let (Ok(x), Ok(y)) = (u32::try_from(at.x), u32::try_from(at.y)) else { continue };
            if x < self.size.width && y < self.size.height {
                self.pixels[(y * self.size.width + x) as usize] = colour;
            }
        }
        Ok(())
    }

    fn fill_solid(&mut self, area: &Rectangle, colour: C) -> Result<(), Infallible> {
        let area = area.intersection(&Rectangle::new(Point::zero(), self.size));
        let (left, width) = (area.top_left.x as usize, area.size.width as usize);
        for y in area.rows() {
            let start = y as usize * self.size.width as usize + left;
            self.pixels[start..start + width].fill(colour);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use embedded_graphics::pixelcolor::BinaryColor;

    #[test]
    fn only_changed_pages_are_named() {
        let mut canvas = Canvas::<BinaryColor>::new(Size::new(16, 20));
        assert_eq!(canvas.changed(), [0..8, 8..16, 16..20]);
        canvas.shown();
        assert!(canvas.changed().is_empty());
        canvas.draw_iter([Pixel(Point::new(3, 9), BinaryColor::On), Pixel(Point::new(-1, 2), BinaryColor::On)]).unwrap();
        canvas.fill_solid(&Rectangle::new(Point::new(-4, 18), Size::new(6, 60)), BinaryColor::On).unwrap();
        assert_eq!(canvas.changed(), [8..16, 16..20]);
        assert_eq!(canvas.pixels().iter().filter(|pixel| pixel.is_on()).count(), 1 + 2 * 2);
    }
}
