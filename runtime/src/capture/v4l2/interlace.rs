//! Pictures of two fields: analogue grabbers and television inputs take the even rows and the odd rows one after the other.
//!
//! Most drivers weave them into one picture. Some give the fields in one buffer, one behind the other (rows, or a JPEG each): they are woven
//! here. Some give a field a buffer: such a picture stays half as high, and that is said.

use crate::capture::jpeg;
use crate::frame::{Frame, PixelFormat};

const FIELD_TOP: u32 = 2;
const FIELD_BOTTOM: u32 = 3;
/// Asked for where the driver's own choice is none that can be taken as it is.
pub(super) const FIELD_INTERLACED: u32 = 4;
const FIELD_SEQ_TB: u32 = 5;
const FIELD_SEQ_BT: u32 = 6;
const FIELD_ALTERNATE: u32 = 7;

/// How the rows of a picture lie in a buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Rows {
    /// In their order.
    InOrder,
    /// First those of one field, then those of the other.
    Apart {
        /// The field with the picture's first row comes second.
        bottom_first: bool,
    },
    /// Those of one field alone.
    Half,
}

impl Rows {
    /// What a driver's field order means (`V4L2_FIELD_...`).
    pub fn of(field: u32) -> Rows {
        match field {
            FIELD_SEQ_TB => Rows::Apart { bottom_first: false },
            FIELD_SEQ_BT => Rows::Apart { bottom_first: true },
            FIELD_TOP | FIELD_BOTTOM | FIELD_ALTERNATE => Rows::Half,
            _ => Rows::InOrder,
        }
    }
}

/// Whether the rows of such pictures can be put in order here: one plane, whose rows are the picture's.
pub(super) fn has_plain_rows(format: PixelFormat) -> bool {
    format.picture_bytes(4, 4, 64) <= 4 * 64
}

/// Puts the rows of a picture whose fields lie one behind the other in order. `kept` is memory to do it in.
pub(super) fn weave_rows(frame: &mut Frame, bottom_first: bool, kept: &mut Vec<u8>) {
    let (stride, height) = (frame.stride as usize, frame.height as usize);
    let Some(rows) = frame.data.get(..stride * height) else { return };
    kept.clear();
    // Of an odd number of rows the field with the first one has one more.
    let first = if bottom_first { height / 2 } else { height.div_ceil(2) };
    for y in 0..height {
        let in_first = (y % 2 == 1) == bottom_first;
        let at = y / 2 + if in_first { 0 } else { first };
        kept.extend_from_slice(&rows[at * stride..][..stride]);
    }
    std::mem::swap(kept, frame.data.vec());
}

/// Weaves a picture whose two fields came as a JPEG each, to be `height` rows high together; one that is whole stays. False where its fields
/// cannot be read.
pub(super) fn weave_jpegs(decoder: &mut jpeg::Decoder, frame: &mut Frame, height: u32) -> bool {
    let Some(second) = jpeg::second_field(&frame.data, height) else { return true };
    let mut woven = Vec::new();
    let Ok((width, height, samples)) = jpeg::weave(decoder, &frame.data, second, &mut woven) else { return false };
    (frame.width, frame.height, frame.stride) = (width as u32, height as u32, (width * samples) as u32);
    frame.format = if samples == 1 { PixelFormat::Grey } else { PixelFormat::Rgb24 };
    frame.data = woven.into();
    true
}

#[cfg(test)]
mod tests {
    use super::*;
    use image::codecs::jpeg::JpegEncoder;

    /// Rows of four bytes that hold these numbers.
    fn picture(rows: &[u8]) -> Frame {
        let data: Vec<u8> = rows.iter().flat_map(|row| [*row; 4]).collect();
        Frame { width: 4, height: rows.len() as u32, stride: 4, data: data.into(), ..Frame::default() }
    }

    fn rows(frame: &Frame) -> Vec<u8> {
        frame.data.chunks(4).map(|row| row[0]).collect()
    }

    #[test]
    fn fields_one_behind_the_other_are_put_in_order() {
        let mut kept = Vec::new();
        for (stored, bottom_first) in [([0, 2, 4, 1, 3, 5], false), ([1, 3, 5, 0, 2, 4], true)] {
            let mut frame = picture(&stored);
            weave_rows(&mut frame, bottom_first, &mut kept);
            assert_eq!(rows(&frame), [0, 1, 2, 3, 4, 5], "bottom first: {bottom_first}");
        }
        let mut odd = picture(&[0, 2, 4, 1, 3]);
        weave_rows(&mut odd, false, &mut kept);
        assert_eq!(rows(&odd), [0, 1, 2, 3, 4]);
    }

    #[test]
    fn a_drivers_field_order_says_how_rows_lie() {
        // NONE, INTERLACED, INTERLACED_TB, INTERLACED_BT, and what has no meaning yet.
        for field in [0, 1, 4, 8, 9, 77] {
            assert_eq!(Rows::of(field), Rows::InOrder, "{field}");
        }
        assert_eq!([Rows::of(5), Rows::of(6)], [Rows::Apart { bottom_first: false }, Rows::Apart { bottom_first: true }]);
        assert_eq!([2, 3, 7].map(Rows::of), [Rows::Half; 3]);
    }

    #[test]
    fn formats_of_several_planes_have_no_plain_rows() {
        assert!([PixelFormat::Yuyv, PixelFormat::Grey, PixelFormat::Rgb24].into_iter().all(has_plain_rows));
        assert!(!has_plain_rows(PixelFormat::Nv12));
    }

    fn field(level: u8, height: u32) -> Vec<u8> {
        let mut out = Vec::new();
        let pixels = vec![level; 32 * height as usize];
        JpegEncoder::new(&mut out).encode(&pixels, 32, height, image::ExtendedColorType::L8).unwrap();
        out
    }

    fn jpeg_frame(data: Vec<u8>) -> Frame {
        Frame { format: PixelFormat::Mjpeg, width: 32, height: 32, data: data.into(), ..Frame::default() }
    }

    #[test]
    fn a_buffer_with_a_jpeg_for_each_field_becomes_one_picture() {
        let mut decoder = jpeg::Decoder::default();
        let mut frame = jpeg_frame([field(40, 16), field(200, 16)].concat());
        assert!(weave_jpegs(&mut decoder, &mut frame, 32));
        assert_eq!((frame.format, frame.width, frame.height, frame.stride), (PixelFormat::Grey, 32, 32, 32));
        let levels: Vec<u8> = frame.data.chunks(32).map(|row| row[5]).collect();
        assert!(levels.iter().enumerate().all(|(y, level)| level.abs_diff(if y % 2 == 0 { 40 } else { 200 }) <= 1), "{levels:?}");
    }

    #[test]
    fn a_whole_picture_stays_and_one_whose_second_field_is_cut_short_is_broken() {
        let mut decoder = jpeg::Decoder::default();
        let whole = field(90, 32);
        // The tail of an earlier picture in the same buffer is no field of this one.
        let mut frame = jpeg_frame([&whole[..], &field(1, 32)[..]].concat());
        assert!(weave_jpegs(&mut decoder, &mut frame, 32));
        assert_eq!(frame.format, PixelFormat::Mjpeg);
        let mut second = Vec::new();
        let noise: Vec<u8> = (0..32 * 16_u32).map(|at| (at * at % 251) as u8).collect();
        JpegEncoder::new(&mut second).encode(&noise, 32, 16, image::ExtendedColorType::L8).unwrap();
        let mut cut = jpeg_frame([&field(40, 16)[..], &second[..second.len() - 60]].concat());
        assert!(!weave_jpegs(&mut decoder, &mut cut, 32));
    }
}
