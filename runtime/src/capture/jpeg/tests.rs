//! What the decoder promises, on pictures made here. `tests/films/judge.py` compares it with libjpeg and ffmpeg.

use image::ExtendedColorType;
use image::codecs::jpeg::JpegEncoder;

use super::*;

/// A small picture with an edge in it; the encoder writes exactly the typical tables.
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

fn pixels(jpeg: &[u8], colour: Colour) -> Result<Vec<u8>, String> {
    let mut decoder = Decoder::default();
    let picture = decoder.decode(jpeg, colour)?;
    let row = picture.width * picture.samples;
    Ok((0..picture.height).flat_map(|y| picture.pixels[y * picture.stride..][..row].to_vec()).collect())
}

#[test]
fn the_encoders_picture_comes_back() {
    let rgb = pixels(&jpeg(), Colour::Rgb).unwrap();
    assert_eq!(rgb.len(), 64 * 48 * 3);
    let far = |at: usize, wanted: [u8; 3]| (0..3).map(|c| rgb[at * 3 + c].abs_diff(wanted[c])).max().unwrap();
    assert!(far(5 * 64 + 5, [200, 30, 60]) < 6);
    assert!(far(40 * 64 + 60, [160, 90, 20]) < 6);
}

#[test]
fn a_frame_without_huffman_tables_decodes_like_the_whole_one() {
    let whole = jpeg();
    let bare = without_tables(&whole);
    assert!(bare.len() + 400 < whole.len());
    for colour in [Colour::Luma, Colour::Rgb] {
        assert_eq!(pixels(&bare, colour), pixels(&whole, colour));
    }
}

#[test]
fn tables_of_one_picture_do_not_reach_the_next() {
    let whole = jpeg();
    let mut strange = whole.clone();
    // The same table as another: its two first codes exchanged.
    let table = strange.windows(2).position(|two| two == [0xff, 0xc4]).unwrap() + 2 + 2 + 17;
    strange.swap(table, table + 1);
    let mut decoder = Decoder::default();
    let _ = decoder.decode(&strange, Colour::Luma);
    let after = decoder.decode(&without_tables(&whole), Colour::Luma).unwrap().pixels.to_vec();
    assert_eq!(after, Decoder::default().decode(&whole, Colour::Luma).unwrap().pixels);
}

#[test]
fn what_follows_the_end_marker_is_not_the_picture() {
    let whole = jpeg();
    let expected = pixels(&whole, Colour::Luma);
    let tail = &whole[whole.len() / 2..];
    for behind in [&[0; 1024][..], &[0xff; 7], b"\r\n", tail, &whole, &[0xff, 0xd9], b"--boundary\r\nContent-Type"] {
        let padded = [&whole[..], behind].concat();
        assert_eq!(pixels(&padded, Colour::Luma), expected);
    }
}

#[test]
fn a_frame_without_its_end_marker_is_whole_if_its_data_is() {
    let whole = jpeg();
    let expected = pixels(&whole, Colour::Rgb);
    let bare = &whole[..whole.len() - 2];
    for behind in [&[][..], &[0xff], &[0xff, 0xff, 0xff], &whole] {
        assert_eq!(pixels(&[bare, behind].concat(), Colour::Rgb), expected);
    }
}

#[test]
fn a_frame_cut_short_anywhere_is_refused_and_never_panics() {
    let whole = jpeg();
    let expected = pixels(&whole, Colour::Luma).unwrap();
    for length in 0..whole.len() - 2 {
        for behind in [&[][..], &[0xff, 0xd9], &[0; 64]] {
            let cut = [&whole[..length], behind].concat();
            match pixels(&cut, Colour::Luma) {
                Err(_) => {}
                // The last bits of the last byte may only fill it up.
                Ok(found) => assert!(length + 4 >= whole.len() && found == expected, "{length} bytes"),
            }
        }
    }
}

#[test]
fn dirt_between_segments_and_before_markers_is_passed_over() {
    let whole = jpeg();
    let scan = whole.windows(2).position(|two| two == [0xff, 0xda]).unwrap();
    let expected = pixels(&whole, Colour::Luma);
    for dirt in [&[0xff, 0xff][..], &[0, 0, 0], &[0x12, 0x34]] {
        let dirty = [&whole[..scan], dirt, &whole[scan..]].concat();
        assert_eq!(pixels(&dirty, Colour::Luma), expected);
        let end = whole.len() - 2;
        let dirty = [&whole[..end], dirt, &whole[end..]].concat();
        assert_eq!(pixels(&dirty, Colour::Luma), expected);
    }
}

#[test]
fn two_fields_are_woven_to_the_full_height() {
    let field = |level: u8| {
        let mut out = Vec::new();
        JpegEncoder::new(&mut out).encode(&[level; 32 * 16], 32, 16, ExtendedColorType::L8).unwrap();
        out
    };
    let both = [field(40), field(200)].concat();
    let mut out = Vec::new();
    let second = second_field(&both, 32).expect("two fields");
    assert_eq!(weave(&mut Decoder::default(), &both, second, &mut out), Ok((32, 32, 1)));
    assert_eq!((out[0], out[32], out[64], out[31 * 32]), (40, 200, 40, 200));
    // Two whole pictures are not two fields of one, and one field is none of two.
    assert_eq!((second_field(&both, 16), second_field(&field(40), 32)), (None, None));
}

#[test]
fn the_size_is_known_without_decoding() {
    assert_eq!(size(&jpeg()), Ok((64, 48)));
    assert!(size(b"GIF89a").unwrap_err().contains("no JPEG"));
}

#[test]
fn the_end_of_a_picture_is_found_among_others() {
    let whole = jpeg();
    assert_eq!(end(&[&whole[..], b"junk"].concat()), Some(whole.len()));
    let without = &whole[..whole.len() - 2];
    assert_eq!(end(without), None);
    assert_eq!(end(&[without, &whole].concat()), Some(without.len()));
}
