//! Where things go, for each size of panel.

use embedded_graphics::mono_font::{MonoFont, ascii};
use embedded_graphics::prelude::*;
use embedded_graphics::primitives::Rectangle;

/// A line of text: its box and its font.
pub(super) struct Line {
    pub area: Rectangle,
    pub font: &'static MonoFont<'static>,
    pub to_right: bool,
}

pub(super) struct Layout {
    pub header: Line,
    pub age: Line,
    pub bars: Rectangle,
    pub steps: Line,
    pub watts: Line,
    pub gauge: Option<Rectangle>,
    pub top: Line,
    pub heat: Option<Line>,
    pub rates: Option<Line>,
    pub address: Line,
}

impl Layout {
    /// The layout made for this size, or for the nearest one; what a smaller panel cannot hold is clipped there.
    pub fn of(size: Size) -> Self {
        let width = size.width.clamp(128, 4096);
        let height = size.height.clamp(32, 4096);
        if height < 64 {
            Self::strip(width)
        } else if width < 240 || height < 135 {
            Self::card(width, height)
        } else if height < 240 {
            Self::wide(width, height)
        } else {
            Self::tall(width, height)
        }
    }

    /// 128x32: four lines of eight, the bars share the third with the step count.
    fn strip(width: u32) -> Self {
        let half = width / 2;
        let font = &ascii::FONT_5X8;
        Self {
            header: left(0, 0, half, 8, font),
            age: right(half, 0, width - half, 8, font),
            top: left(0, 8, half + 8, 8, font),
            watts: right(half + 8, 8, half - 8, 8, font),
            bars: boxed(0, 17, half, 7),
            steps: right(half, 16, width - half, 8, font),
            gauge: None,
            heat: None,
            rates: None,
            address: left(0, 25, width, 7, &ascii::FONT_5X7),
        }
    }

    /// 128x64: a band, the detection, the bars, figures, the address.
    fn card(width: u32, height: u32) -> Self {
        let half = width / 2;
        let font = &ascii::FONT_5X8;
        Self {
            header: left(0, 0, width - 50, 11, &ascii::FONT_6X10),
            age: right(width - 50, 0, 50, 11, &ascii::FONT_6X10),
            top: left(0, 13, width, 8, font),
            bars: boxed(0, 22, width, height - 46),
            steps: left(0, height - 22, half, 8, font),
            watts: right(half, height - 22, width - half, 8, font),
            gauge: Some(boxed(0, height - 13, width, 4)),
            heat: None,
            rates: None,
            address: left(0, height - 8, width, 8, font),
        }
    }

    /// 240x135: figures beside each other.
    fn wide(width: u32, height: u32) -> Self {
        let half = width / 2;
        let font = &ascii::FONT_6X13;
        Self {
            header: left(0, 0, width - 90, 22, &ascii::FONT_10X20),
            age: right(width - 90, 0, 90, 22, &ascii::FONT_10X20),
            top: left(2, 25, width - 4, 18, &ascii::FONT_9X18),
            bars: boxed(2, 46, width - 4, height - 97),
            steps: left(2, height - 49, half, 13, font),
            watts: right(half, height - 49, width - half - 2, 13, font),
            gauge: Some(boxed(2, height - 35, width - 4, 6)),
            heat: Some(right(half + 40, height - 27, width - half - 42, 13, font)),
            rates: Some(left(2, height - 27, half + 38, 13, font)),
            address: left(2, height - 14, width - 4, 13, font),
        }
    }

    /// 240x240 and 320x240: everything, one under the other.
    fn tall(width: u32, height: u32) -> Self {
        let half = width / 2;
        let font = &ascii::FONT_9X15;
        let inner = width - 8;
        Self {
            header: left(0, 0, width - 100, 28, &ascii::FONT_10X20),
            age: right(width - 100, 0, 100, 28, &ascii::FONT_10X20),
            top: left(4, 34, inner, 20, &ascii::FONT_10X20),
            bars: boxed(4, 60, inner, height - 166),
            steps: left(4, height - 102, inner, 15, font),
            watts: left(4, height - 80, half, 20, &ascii::FONT_10X20),
            gauge: Some(boxed(4, height - 58, inner, 10)),
            heat: Some(right(half, height - 78, width - half - 4, 15, font)),
            rates: Some(left(4, height - 42, inner, 15, font)),
            address: left(4, height - 20, inner, 15, font),
        }
    }
}

fn boxed(x: u32, y: u32, width: u32, height: u32) -> Rectangle {
    Rectangle::new(Point::new(x as i32, y as i32), Size::new(width, height))
}

fn left(x: u32, y: u32, width: u32, height: u32, font: &'static MonoFont<'static>) -> Line {
    Line { area: boxed(x, y, width, height), font, to_right: false }
}

fn right(x: u32, y: u32, width: u32, height: u32, font: &'static MonoFont<'static>) -> Line {
    Line { to_right: true, ..left(x, y, width, height, font) }
}
