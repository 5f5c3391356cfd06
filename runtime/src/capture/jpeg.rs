//! Motion JPEG frames as cameras send them: often without Huffman tables, sometimes cut short.
//!
//! [`Decoder`] puts the standard tables in where none are, refuses a frame that is not whole, and reuses its buffers.

use zune_jpeg::JpegDecoder;
use zune_jpeg::zune_core::bytestream::ZCursor;
use zune_jpeg::zune_core::colorspace::ColorSpace;
use zune_jpeg::zune_core::options::DecoderOptions;

/// Widest and tallest picture that is decoded, in pixels.
const LARGEST: usize = 16_384;

/// Pixels that one byte of a JPEG can stand for at most: a block of 64 takes a bit at least.
const PIXELS_PER_BYTE: usize = 512;

/// What to decode into.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Colour {
    /// One byte a pixel.
    Luma,
    /// `R G B`, three bytes a pixel.
    Rgb,
}

/// Decodes one JPEG after another.
#[derive(Default)]
pub struct Decoder {
    spliced: Vec<u8>,
    pixels: Vec<u8>,
}

/// A decoded picture, borrowed from its [`Decoder`].
#[derive(Debug)]
pub struct Picture<'a> {
    /// Width in pixels.
    pub width: usize,
    /// Height in pixels.
    pub height: usize,
    /// Rows without padding.
    pub pixels: &'a [u8],
}

impl Decoder {
    /// Decodes `jpeg`, or says in words why it is not whole.
    pub fn decode(&mut self, jpeg: &[u8], colour: Colour) -> Result<Picture<'_>, String> {
        let scan = scan(jpeg)?;
        if !looks_whole(jpeg) {
            return Err("the JPEG ends before its end marker: the frame was cut short".into());
        }
        if scan.width as usize * scan.height as usize > jpeg.len() * PIXELS_PER_BYTE {
            return Err(format!("the JPEG states {}x{} pixels, more than its {} bytes can hold", scan.width, scan.height, jpeg.len()));
        }
        let source = match scan.tables {
            true => jpeg,
            false => {
                self.spliced.clear();
                self.spliced.extend_from_slice(&jpeg[..scan.scan_at]);
                self.spliced.extend_from_slice(&STANDARD_TABLES);
                self.spliced.extend_from_slice(&jpeg[scan.scan_at..]);
                &self.spliced
            }
        };
        let space = match (colour, scan.components) {
            (Colour::Luma, 1 | 3) => ColorSpace::Luma,
            (Colour::Rgb, 1 | 3) => ColorSpace::RGB,
            (_, count) => return Err(format!("the JPEG has {count} colour components; 1 or 3 are read")),
        };
        let options =
            DecoderOptions::default().set_strict_mode(true).set_max_width(LARGEST).set_max_height(LARGEST).jpeg_set_out_colorspace(space);
        let mut decoder = JpegDecoder::new_with_options(ZCursor::new(source), options);
        decoder.decode_headers().map_err(|error| format!("the JPEG is broken: {error:?}"))?;
        let bytes = decoder.output_buffer_size().ok_or("the JPEG states no size")?;
        let (width, height) = decoder.dimensions().ok_or("the JPEG states no size")?;
        self.pixels.resize(bytes, 0);
        decoder.decode_into(&mut self.pixels).map_err(|error| format!("the JPEG is broken: {error:?}"))?;
        let samples = if colour == Colour::Luma { 1 } else { 3 };
        if bytes != width * height * samples {
            return Err(format!("the JPEG decodes to {bytes} bytes, not to {width}x{height}"));
        }
        Ok(Picture { width, height, pixels: &self.pixels })
    }
}

/// Whether `jpeg` begins and ends as a JPEG must; zeros may follow its end. Cheap: looks at the ends only.
pub fn looks_whole(jpeg: &[u8]) -> bool {
    if !jpeg.starts_with(&[0xff, 0xd8]) {
        return false;
    }
    // Drivers pad to their buffer size; entropy-coded data that ends in zeros is padded with ones, so the marker stands out.
    let end = jpeg.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
    jpeg[..end].ends_with(&[0xff, 0xd9])
}

/// Width and height from the frame header, without decoding.
pub fn size(jpeg: &[u8]) -> Result<(u32, u32), String> {
    scan(jpeg).map(|scan| (scan.width, scan.height))
}

/// What stands before the first scan.
struct Scan {
    /// Where its SOS marker begins.
    scan_at: usize,
    /// Huffman tables are there.
    tables: bool,
    components: u8,
    width: u32,
    height: u32,
}

fn scan(jpeg: &[u8]) -> Result<Scan, String> {
    if !jpeg.starts_with(&[0xff, 0xd8]) {
        return Err("it is no JPEG: the start marker is missing".into());
    }
    let cut = || "the JPEG's header is cut short".to_owned();
    let mut at = 2;
    let mut tables = false;
    let mut frame = None;
    loop {
        if *jpeg.get(at).ok_or_else(cut)? != 0xff {
            return Err(format!("the JPEG's header is broken at byte {at}"));
        }
        let marker = *jpeg.get(at + 1).ok_or_else(cut)?;
        match marker {
            // Fill bytes before a marker, and markers that stand alone.
            0xff => {
                at += 1;
                continue;
            }
            0x01 | 0xd0..=0xd7 => {
                at += 2;
                continue;
            }
            0xd9 => return Err("the JPEG ends before its picture".into()),
            _ => {}
        }
        let length = usize::from(u16::from_be_bytes([*jpeg.get(at + 2).ok_or_else(cut)?, *jpeg.get(at + 3).ok_or_else(cut)?]));
        let body = jpeg.get(at + 4..at + 2 + length.max(2)).ok_or_else(cut)?;
        match marker {
            0xc4 => tables = true,
            0xc0..=0xc3 | 0xc5..=0xc7 | 0xc9..=0xcb | 0xcd..=0xcf => {
                let [_, h1, h0, w1, w0, components, ..] = *body else { return Err(cut()) };
                frame = Some((u32::from(u16::from_be_bytes([w1, w0])), u32::from(u16::from_be_bytes([h1, h0])), components));
            }
            0xda => {
                let (width, height, components) = frame.ok_or("the JPEG has a scan before its frame header")?;
                if width == 0 || height == 0 {
                    return Err(format!("the JPEG states a size of {width}x{height}"));
                }
                return Ok(Scan { scan_at: at, tables, components, width, height });
            }
            _ => {}
        }
        at += 2 + length.max(2);
    }
}

/// The typical Huffman tables of ITU-T T.81, K.3 to K.6, as one DHT segment.
const STANDARD_TABLES: [u8; 420] = standard_tables();

const fn standard_tables() -> [u8; 420] {
    let mut out = [0; 420];
    let head = [0xff, 0xc4, 0x01, 0xa2];
    let parts: [(u8, &[u8; 16], &[u8]); 4] = [
        (0x00, &DC_LUMA_COUNTS, &DC_VALUES),
        (0x10, &AC_LUMA_COUNTS, &AC_LUMA_VALUES),
        (0x01, &DC_CHROMA_COUNTS, &DC_VALUES),
        (0x11, &AC_CHROMA_COUNTS, &AC_CHROMA_VALUES),
    ];
    let mut at = 0;
    while at < 4 {
        out[at] = head[at];
        at += 1;
    }
    let mut part = 0;
    while part < 4 {
        let (class, counts, values) = parts[part];
        out[at] = class;
        at += 1;
        let mut i = 0;
        while i < 16 {
            out[at] = counts[i];
            at += 1;
            i += 1;
        }
        i = 0;
        while i < values.len() {
            out[at] = values[i];
            at += 1;
            i += 1;
        }
        part += 1;
    }
    out
}

const DC_LUMA_COUNTS: [u8; 16] = [0, 1, 5, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0];
const DC_CHROMA_COUNTS: [u8; 16] = [0, 3, 1, 1, 1, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0];
const DC_VALUES: [u8; 12] = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11];
const AC_LUMA_COUNTS: [u8; 16] = [0, 2, 1, 3, 3, 2, 4, 3, 5, 5, 4, 4, 0, 0, 1, 0x7d];
const AC_CHROMA_COUNTS: [u8; 16] = [0, 2, 1, 2, 4, 4, 3, 4, 7, 5, 4, 4, 0, 1, 2, 0x77];
#[rustfmt::skip]
const AC_LUMA_VALUES: [u8; 162] = [
    0x01, 0x02, 0x03, 0x00, 0x04, 0x11, 0x05, 0x12, 0x21, 0x31, 0x41, 0x06, 0x13, 0x51, 0x61, 0x07, 0x22, 0x71,
    0x14, 0x32, 0x81, 0x91, 0xa1, 0x08, 0x23, 0x42, 0xb1, 0xc1, 0x15, 0x52, 0xd1, 0xf0, 0x24, 0x33, 0x62, 0x72,
    0x82, 0x09, 0x0a, 0x16, 0x17, 0x18, 0x19, 0x1a, 0x25, 0x26, 0x27, 0x28, 0x29, 0x2a, 0x34, 0x35, 0x36, 0x37,
    0x38, 0x39, 0x3a, 0x43, 0x44, 0x45, 0x46, 0x47, 0x48, 0x49, 0x4a, 0x53, 0x54, 0x55, 0x56, 0x57, 0x58, 0x59,
    0x5a, 0x63, 0x64, 0x65, 0x66, 0x67, 0x68, 0x69, 0x6a, 0x73, 0x74, 0x75, 0x76, 0x77, 0x78, 0x79, 0x7a, 0x83,
    0x84, 0x85, 0x86, 0x87, 0x88, 0x89, 0x8a, 0x92, 0x93, 0x94, 0x95, 0x96, 0x97, 0x98, 0x99, 0x9a, 0xa2, 0xa3,
    0xa4, 0xa5, 0xa6, 0xa7, 0xa8, 0xa9, 0xaa, 0xb2, 0xb3, 0xb4, 0xb5, 0xb6, 0xb7, 0xb8, 0xb9, 0xba, 0xc2, 0xc3,
    0xc4, 0xc5, 0xc6, 0xc7, 0xc8, 0xc9, 0xca, 0xd2, 0xd3, 0xd4, 0xd5, 0xd6, 0xd7, 0xd8, 0xd9, 0xda, 0xe1, 0xe2,
    0xe3, 0xe4, 0xe5, 0xe6, 0xe7, 0xe8, 0xe9, 0xea, 0xf1, 0xf2, 0xf3, 0xf4, 0xf5, 0xf6, 0xf7, 0xf8, 0xf9, 0xfa,
];
#[rustfmt::skip]
const AC_CHROMA_VALUES: [u8; 162] = [
    0x00, 0x01, 0x02, 0x03, 0x11, 0x04, 0x05, 0x21, 0x31, 0x06, 0x12, 0x41, 0x51, 0x07, 0x61, 0x71, 0x13, 0x22,
    0x32, 0x81, 0x08, 0x14, 0x42, 0x91, 0xa1, 0xb1, 0xc1, 0x09, 0x23, 0x33, 0x52, 0xf0, 0x15, 0x62, 0x72, 0xd1,
    0x0a, 0x16, 0x24, 0x34, 0xe1, 0x25, 0xf1, 0x17, 0x18, 0x19, 0x1a, 0x26, 0x27, 0x28, 0x29, 0x2a, 0x35, 0x36,
    0x37, 0x38, 0x39, 0x3a, 0x43, 0x44, 0x45, 0x46, 0x47, 0x48, 0x49, 0x4a, 0x53, 0x54, 0x55, 0x56, 0x57, 0x58,
    0x59, 0x5a, 0x63, 0x64, 0x65, 0x66, 0x67, 0x68, 0x69, 0x6a, 0x73, 0x74, 0x75, 0x76, 0x77, 0x78, 0x79, 0x7a,
    0x82, 0x83, 0x84, 0x85, 0x86, 0x87, 0x88, 0x89, 0x8a, 0x92, 0x93, 0x94, 0x95, 0x96, 0x97, 0x98, 0x99, 0x9a,
    0xa2, 0xa3, 0xa4, 0xa5, 0xa6, 0xa7, 0xa8, 0xa9, 0xaa, 0xb2, 0xb3, 0xb4, 0xb5, 0xb6, 0xb7, 0xb8, 0xb9, 0xba,
    0xc2, 0xc3, 0xc4, 0xc5, 0xc6, 0xc7, 0xc8, 0xc9, 0xca, 0xd2, 0xd3, 0xd4, 0xd5, 0xd6, 0xd7, 0xd8, 0xd9, 0xda,
    0xe2, 0xe3, 0xe4, 0xe5, 0xe6, 0xe7, 0xe8, 0xe9, 0xea, 0xf2, 0xf3, 0xf4, 0xf5, 0xf6, 0xf7, 0xf8, 0xf9, 0xfa,
];

#[cfg(test)]
mod tests {
    use super::*;
    use image::ExtendedColorType;
    use image::codecs::jpeg::JpegEncoder;

    /// A small picture with an edge in it; the encoder writes exactly the standard tables.
    fn jpeg() -> Vec<u8> {
        let pixels: Vec<u8> = (0..64 * 48).flat_map(|i| if i % 64 < 32 { [200, 30, 60] } else { [(i / 64) as u8 * 4, 90, 20] }).collect();
        let mut out = Vec::new();
        JpegEncoder::new_with_quality(&mut out, 90).encode(&pixels, 64, 48, ExtendedColorType::Rgb8).unwrap();
        out
    }

    /// What many webcams send: the same, without its DHT segments.
    fn without_tables(jpeg: &[u8]) -> Vec<u8> {
        let mut out = jpeg[..2].to_vec();
        let mut at = 2;
        while jpeg[at + 1] != 0xda {
            let end = at + 2 + usize::from(u16::from_be_bytes([jpeg[at + 2], jpeg[at + 3]]));
            if jpeg[at + 1] != 0xc4 {
                out.extend_from_slice(&jpeg[at..end]);
            }
            at = end;
        }
        out.extend_from_slice(&jpeg[at..]);
        out
    }

    #[test]
    fn a_frame_without_huffman_tables_decodes_like_the_whole_one() {
        let whole = jpeg();
        let bare = without_tables(&whole);
        assert!(bare.len() + 400 < whole.len());
        for colour in [Colour::Luma, Colour::Rgb] {
            let expected = Decoder::default().decode(&whole, colour).unwrap().pixels.to_vec();
            assert_eq!(Decoder::default().decode(&bare, colour).unwrap().pixels, expected);
        }
    }

    #[test]
    fn a_tail_of_zeros_is_no_fault() {
        let mut padded = jpeg();
        padded.resize(padded.len() + 1024, 0);
        let picture = Decoder::default().decode(&padded, Colour::Rgb).map(|picture| (picture.width, picture.height));
        assert_eq!(picture, Ok((64, 48)));
    }

    #[test]
    fn a_frame_cut_short_anywhere_is_refused_and_never_panics() {
        let whole = jpeg();
        let mut decoder = Decoder::default();
        for length in 0..whole.len() {
            assert!(decoder.decode(&whole[..length], Colour::Luma).is_err(), "{length} of {} bytes", whole.len());
        }
        assert!(decoder.decode(&whole, Colour::Luma).is_ok());
    }

    #[test]
    fn the_size_is_known_without_decoding() {
        assert_eq!(size(&jpeg()), Ok((64, 48)));
        assert!(size(b"GIF89a").unwrap_err().contains("no JPEG"));
    }

    #[test]
    fn the_standard_tables_have_the_length_they_state() {
        assert_eq!(usize::from(u16::from_be_bytes([STANDARD_TABLES[2], STANDARD_TABLES[3]])) + 2, STANDARD_TABLES.len());
    }
}
