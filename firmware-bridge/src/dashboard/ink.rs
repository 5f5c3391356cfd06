//! What each role looks like on a target's colours.

use embedded_graphics::pixelcolor::{BinaryColor, Rgb565, Rgb888, RgbColor, WebColors};
use embedded_graphics::prelude::*;

/// A colour type the dashboard can draw with.
pub trait Ink: PixelColor {
    /// Background.
    const PAPER: Self;
    /// Text and figures.
    const TEXT: Self;
    /// What may be overlooked: labels, the address.
    const FAINT: Self;
    /// Bars.
    const BAR: Self;
    /// The line the bars are held to, and frames of gauges.
    const RULE: Self;
    /// As it should be.
    const GOOD: Self;
    /// On its way.
    const WAIT: Self;
    /// Needs someone.
    const BAD: Self;
}

impl Ink for BinaryColor {
    const PAPER: Self = Self::Off;
    const TEXT: Self = Self::On;
    const FAINT: Self = Self::On;
    const BAR: Self = Self::On;
    const RULE: Self = Self::On;
    const GOOD: Self = Self::On;
    const WAIT: Self = Self::On;
    const BAD: Self = Self::On;
}

macro_rules! many_colours {
    ($colour:ty) => {
        impl Ink for $colour {
            const PAPER: Self = Self::BLACK;
            const TEXT: Self = Self::WHITE;
            const FAINT: Self = Self::CSS_DARK_GRAY;
            const BAR: Self = Self::CSS_DEEP_SKY_BLUE;
            const RULE: Self = Self::CSS_ORANGE;
            const GOOD: Self = Self::CSS_MEDIUM_SEA_GREEN;
            const WAIT: Self = Self::CSS_GOLD;
            const BAD: Self = Self::CSS_TOMATO;
        }
    };
}

many_colours!(Rgb565);
many_colours!(Rgb888);
