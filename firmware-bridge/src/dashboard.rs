//! One status record as a picture, on any `embedded-graphics` target.
//!
//! Made for 128x32 and 128x64 in two colours and 240x135, 240x240 and 320x240 in many; any other size takes the nearest of these layouts and is
//! clipped, never refused. The host's panels, the terminal and a microcontroller all call [`draw`], so they show the same picture.
//!
//! ```
//! use embedded_graphics::mock_display::MockDisplay;
//! # use embedded_graphics::pixelcolor::BinaryColor;
//! use firmware_bridge::dashboard::{Reading, draw};
//! let mut display = MockDisplay::<BinaryColor>::new();
//! # display.set_allow_overdraw(true);
//! draw(&Reading::default(), &mut display).unwrap();
//! ```

mod ink;
mod layout;
mod reading;
mod widgets;

pub use ink::Ink;
pub use reading::{Reading, Top};

use embedded_graphics::prelude::{DrawTarget, DrawTargetExt};
use layout::Layout;
use widgets::Canvas;

/// Draws the whole picture, background included.
///
/// Fails only when the target does. Takes no more than a few hundred bytes of stack and no heap; cost is about two writes per pixel.
pub fn draw<D>(reading: &Reading, target: &mut D) -> Result<(), D::Error>
where
    D: DrawTarget,
    D::Color: Ink,
{
    let area = target.bounding_box();
    let layout = Layout::of(area.size);
    let mut target = target.clipped(&area);
    let mut target = target.translated(area.top_left);
    target.clear(D::Color::PAPER)?;
    let mut canvas = Canvas { target: &mut target, reading };
    canvas.header(&layout.header)?;
    canvas.age(&layout.age)?;
    canvas.bars(layout.bars)?;
    canvas.steps(&layout.steps)?;
    canvas.watts(&layout.watts)?;
    if let Some(gauge) = layout.gauge {
        canvas.gauge(gauge)?;
    }
    canvas.top(&layout.top)?;
    if let Some(heat) = &layout.heat {
        canvas.heat(heat)?;
    }
    if let Some(rates) = &layout.rates {
        canvas.rates(rates)?;
    }
    canvas.address(&layout.address)
}
