//! One colour per class, on every screen.

/// The colour of a pixel of `class` over luma `grey`: bright enough to be seen on black.
pub(super) fn overlay(class: u8, grey: u8) -> [u8; 3] {
    let light = 96 + grey / 2;
    match class % 6 {
        1 => [32, light.saturating_add(32), 64],
        2 => [light.saturating_add(32), 64, 32],
        3 => [64, 96, light.saturating_add(32)],
        4 => [light, light, 32],
        5 => [light, 32, light],
        _ => [32, light, light],
    }
}

/// Black or white, whichever is read more easily on `paper` (by its luma).
pub(super) fn letters_on([r, g, b]: [u8; 3]) -> [u8; 3] {
    let luma = 0.299 * f32::from(r) + 0.587 * f32::from(g) + 0.114 * f32::from(b);
    if luma > 127.0 { [0; 3] } else { [255; 3] }
}
