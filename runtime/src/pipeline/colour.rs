//! Frames made into pictures for people.

use crate::capture::fit::{Fitter, Mode};
use crate::frame::Frame;
use crate::sampling::InputSpec;
use crate::source_picture::Rgb;

/// RGB of a frame, scaled down to at most `widest` pixels in width (area averaging, as for a network); None if the frame is damaged.
pub fn rgb(frame: &Frame, widest: u32) -> Option<Rgb> {
    if frame.width == 0 || frame.height == 0 {
        return None;
    }
    let width = frame.width.min(widest);
    let height = (u64::from(frame.height) * u64::from(width)).div_ceil(u64::from(frame.width)).clamp(1, u64::from(frame.height)) as u32;
    let (columns, rows) = (width as usize, height as usize);
    let spec = InputSpec { width: columns, height: rows, channels: 3, mean: [0.0; 3], std: [1.0; 3] };
    let mut tensor = vec![0.0; spec.values()];
    Fitter::new(spec, Mode::Stretch).fit(frame, &mut tensor).ok()?;
    let (planes, count) = (&tensor, columns * rows);
    let byte = |level: f32| (level * 255.0).round().clamp(0.0, 255.0) as u8;
    let pixels = (0..count).flat_map(|at| [0, 1, 2].map(|channel| byte(planes[channel * count + at]))).collect();
    Some(Rgb { width, height, pixels })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::PixelFormat;

    #[test]
    fn a_wide_picture_is_scaled_down_and_keeps_its_shape_and_colours() {
        let data: Vec<u8> = [10, 200, 30].repeat(1280 * 720);
        let frame = Frame { format: PixelFormat::Rgb24, width: 1280, height: 720, stride: 3 * 1280, data: data.into(), ..Frame::default() };
        let made = rgb(&frame, 640).unwrap();
        assert_eq!((made.width, made.height, made.pixels.len()), (640, 360, 3 * 640 * 360));
        assert_eq!(made.pixels[..3], [10, 200, 30]);
        assert_eq!(rgb(&Frame { width: 20, height: 10, data: vec![0; 4].into(), ..frame.clone() }, 640), None, "too few bytes");
    }

    #[test]
    fn a_small_picture_stays_as_large_as_it_is() {
        let frame =
            Frame { format: PixelFormat::Grey, width: 64, height: 48, stride: 64, data: vec![77; 64 * 48].into(), ..Frame::default() };
        let made = rgb(&frame, 640).unwrap();
        assert_eq!((made.width, made.height, made.pixels[0]), (64, 48, 77));
    }
}
