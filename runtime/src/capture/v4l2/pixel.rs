//! FourCC codes and our pixel formats.

use crate::frame::{BayerDepth, BayerOrder, PixelFormat};

/// V4L2's code for `format`.
pub(super) fn fourcc(format: PixelFormat) -> u32 {
    use BayerDepth::*;
    use BayerOrder::*;
    use PixelFormat::*;
    u32::from_le_bytes(*match format {
        Grey => b"GREY",
        Y10 => b"Y10 ",
        Y16 => b"Y16 ",
        Yuyv => b"YUYV",
        Uyvy => b"UYVY",
        Nv12 => b"NV12",
        Nv21 => b"NV21",
        I420 => b"YU12",
        Rgb24 => b"RGB3",
        Bgr24 => b"BGR3",
        Mjpeg => b"MJPG",
        Bayer(Rggb, Eight) => b"RGGB",
        Bayer(Bggr, Eight) => b"BA81",
        Bayer(Grbg, Eight) => b"GRBG",
        Bayer(Gbrg, Eight) => b"GBRG",
        Bayer(Rggb, Ten) => b"RG10",
        Bayer(Bggr, Ten) => b"BG10",
        Bayer(Grbg, Ten) => b"BA10",
        Bayer(Gbrg, Ten) => b"GB10",
        Bayer(Rggb, Twelve) => b"RG12",
        Bayer(Bggr, Twelve) => b"BG12",
        Bayer(Grbg, Twelve) => b"BA12",
        Bayer(Gbrg, Twelve) => b"GB12",
    })
}

/// The format of a code; also `JPEG`, which some drivers say for MJPG.
pub(super) fn format(code: u32) -> Option<PixelFormat> {
    if code == u32::from_le_bytes(*b"JPEG") {
        return Some(PixelFormat::Mjpeg);
    }
    PixelFormat::all().find(|format| fourcc(*format) == code)
}

/// A code as people write it.
pub(super) fn spell(code: u32) -> String {
    let mut bytes = code.to_le_bytes();
    let big_endian = bytes[3] & 0x80 != 0;
    bytes[3] &= 0x7f;
    let text: String = bytes.iter().map(|byte| if byte.is_ascii_graphic() || *byte == b' ' { *byte as char } else { '.' }).collect();
    if big_endian { format!("{}-BE", text.trim_end()) } else { text.trim_end().to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_and_formats_are_one_to_one() {
        for wanted in PixelFormat::all() {
            assert_eq!(format(fourcc(wanted)), Some(wanted));
        }
        assert_eq!(format(u32::from_le_bytes(*b"H264")), None);
    }

    #[test]
    fn codes_are_spelt_even_when_they_are_not_text() {
        assert_eq!(spell(u32::from_le_bytes(*b"Y10 ")), "Y10");
        assert_eq!(spell(u32::from_le_bytes(*b"Y16 ") | 1 << 31), "Y16-BE");
        assert_eq!(spell(7), "....");
    }
}
