//! 4:2:0 as `uyvy` and back: Foxglove's image panel draws no 4:2:0. Every chroma row is written twice, and read once.

use crate::frame::{Frame, PixelFormat, chroma_stride};

/// Whether a format is written as another one.
pub(super) fn is_subsampled(format: PixelFormat) -> bool {
    matches!(format, PixelFormat::Nv12 | PixelFormat::Nv21 | PixelFormat::I420)
}

/// Where the chroma of one row of a 4:2:0 picture lies: the first U, the first V, and how far apart two of a kind are.
fn chroma(format: PixelFormat, stride: usize, height: usize, row: usize) -> (usize, usize, usize) {
    let (plane, row) = (stride * height, row / 2);
    match format {
        PixelFormat::I420 => {
            let (narrow, half) = (chroma_stride(stride), height.div_ceil(2));
            (plane + narrow * row, plane + narrow * (half + row), 1)
        }
        PixelFormat::Nv21 => (plane + stride * row + 1, plane + stride * row, 2),
        _ => (plane + stride * row, plane + stride * row + 1, 2),
    }
}

/// A 4:2:0 picture as `uyvy`, with its bytes from row to row. None for every other format, and for one that is not whole.
pub(super) fn packed(frame: &Frame) -> Option<(u32, Vec<u8>)> {
    let Frame { format, width, height, stride, data, .. } = frame;
    if !is_subsampled(*format) || *stride < *width || data.len() < format.picture_bytes(*width, *height, *stride) {
        return None;
    }
    let (width, height, stride) = (*width as usize, *height as usize, *stride as usize);
    let row = PixelFormat::Uyvy.row_bytes(width as u32) as usize;
    let mut out = Vec::with_capacity(row * height);
    for y in 0..height {
        let luma = &data[y * stride..][..width];
        let (u, v, apart) = chroma(*format, stride, height, y);
        for (x, pair) in luma.chunks(2).enumerate() {
            out.extend_from_slice(&[data[u + apart * x], pair[0], data[v + apart * x], *pair.last().unwrap_or(&0)]);
        }
    }
    Some((row as u32, out))
}

/// Fills `frame` with a picture of `format` from what [`packed`] made of it, without bytes between its rows.
pub(super) fn unpack(frame: &mut Frame, format: PixelFormat, (width, height): (u32, u32), step: u32, packed: &[u8]) -> Result<(), String> {
    let whole = PixelFormat::Uyvy.picture_bytes(width, height, step);
    if step < PixelFormat::Uyvy.row_bytes(width) || packed.len() < whole {
        return Err(format!("the {width}x{height} picture takes {whole} bytes, and there are {}", packed.len()));
    }
    // Rows of an even length, as every chroma row needs them.
    let stride = width.next_multiple_of(2);
    (frame.format, frame.width, frame.height, frame.stride) = (format, width, height, stride);
    let (width, height, stride, step) = (width as usize, height as usize, stride as usize, step as usize);
    frame.data.clear();
    frame.data.resize(format.picture_bytes(width as u32, height as u32, stride as u32), 0);
    for y in 0..height {
        let row = &packed[y * step..];
        let (u, v, apart) = chroma(format, stride, height, y);
        for x in 0..width {
            frame.data[y * stride + x] = row[2 * x + 1];
        }
        for x in 0..width.div_ceil(2) {
            frame.data[u + apart * x] = row[4 * x];
            frame.data[v + apart * x] = row[4 * x + 2];
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_pixel_comes_back_whatever_lies_between_rows() {
        for format in [PixelFormat::Nv12, PixelFormat::Nv21, PixelFormat::I420] {
            for (width, height, stride) in [(6, 4, 6), (6, 4, 10), (5, 3, 6), (5, 3, 8), (1, 1, 2)] {
                let bytes = format.picture_bytes(width, height, stride);
                let data = (0..bytes).map(|at| (at * 37 + 11) as u8).collect();
                let frame = Frame { format, width, height, stride, data, ..Frame::default() };
                let (step, first) = packed(&frame).unwrap();
                let mut back = Frame::default();
                unpack(&mut back, format, (width, height), step, &first).unwrap();
                assert_eq!((back.format, back.width, back.height), (format, width, height));
                assert_eq!(packed(&back).unwrap(), (step, first), "{format} {width}x{height} with {stride} bytes a row");
            }
        }
    }

    #[test]
    fn a_picture_that_is_not_whole_is_left_as_it_is() {
        let frame = Frame { format: PixelFormat::Nv12, width: 4, height: 4, stride: 4, data: vec![0; 23].into(), ..Frame::default() };
        assert_eq!(packed(&frame), None);
        assert!(unpack(&mut Frame::default(), PixelFormat::Nv12, (4, 4), 8, &[0; 31]).is_err());
    }
}
