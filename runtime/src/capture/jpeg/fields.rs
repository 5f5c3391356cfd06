//! Interlaced pictures: analogue grabbers and old recorders put the two fields of a picture into one buffer, a JPEG each.

use super::header::{first_scan, polarity};
use super::{Colour, Decoder};

/// Where the second field begins, if `jpeg` holds two that are to be a picture `height` rows high.
pub fn second_field(jpeg: &[u8], height: u32) -> Option<usize> {
    let (width, rows, at) = first_scan(jpeg).ok()?;
    // As tall as three quarters of the picture is no field of it.
    if rows * 4 >= height * 3 {
        return None;
    }
    let second = at + jpeg[at..].windows(3).position(|three| three == [0xff, 0xd8, 0xff])?;
    first_scan(&jpeg[second..]).is_ok_and(|(w, h, _)| (w, h) == (width, rows)).then_some(second)
}

/// Decodes both fields, the second beginning at `second`, and puts their rows into `out` in turn; the picture's size and bytes a pixel.
pub fn weave(decoder: &mut Decoder, jpeg: &[u8], second: usize, out: &mut Vec<u8>) -> Result<(usize, usize, usize), String> {
    // The first field is the upper one unless it says otherwise.
    let lower_first = polarity(jpeg) == 2;
    let mut size = (0, 0, 0);
    for (number, field) in [&jpeg[..second], &jpeg[second..]].into_iter().enumerate() {
        let picture = decoder.decode(field, Colour::AsItIs).map_err(|reason| format!("field {number}: {reason}"))?;
        let row_bytes = picture.width * picture.samples;
        let found = (picture.width, picture.height * 2, picture.samples);
        if number == 0 {
            size = found;
            out.clear();
            out.resize(row_bytes * picture.height * 2, 0);
        } else if found != size {
            return Err("the two fields of the picture differ in size".into());
        }
        let first = usize::from((number == 1) != lower_first);
        for (row, to) in out.chunks_exact_mut(row_bytes).skip(first).step_by(2).enumerate() {
            to.copy_from_slice(&picture.pixels[row * picture.stride..][..row_bytes]);
        }
    }
    Ok(size)
}
