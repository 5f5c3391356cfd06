//! What the reader promises, on films made here.

use super::*;
use crate::frame::{PixelFormat, Range};

fn video(header: &str, frames: usize, bytes: usize) -> Vec<u8> {
    let mut out = format!("{header}\n").into_bytes();
    for number in 0..frames {
        out.extend_from_slice(b"FRAME\n");
        out.extend(std::iter::repeat_n(number as u8, bytes));
    }
    out
}

#[test]
fn every_frame_comes_once_and_in_order() {
    let bytes = video("YUV4MPEG2 W5 H3 F30000:1001 Ip A1:1 C420jpeg XYSCSS=420JPEG", 4, 15 + 2 * 6);
    let mut reader = Reader::new(&bytes[..]).unwrap();
    assert!((reader.header().fps.unwrap() - 29.97).abs() < 0.01);
    assert_eq!((reader.header().format, reader.header().range), (PixelFormat::I420, Range::Limited));
    let mut data = Vec::new();
    for number in 0..4 {
        assert_eq!(reader.next(&mut data), Ok(true));
        assert_eq!(data, vec![number; 27]);
    }
    assert_eq!(reader.next(&mut data), Ok(false));
}

#[test]
fn a_cut_file_names_the_frame_after_the_whole_ones() {
    let bytes = video("YUV4MPEG2 W4 H4 Cmono", 3, 16);
    for (length, what) in [(bytes.len() - 1, "15 of 16 bytes"), (bytes.len() - 18, "in its header")] {
        let mut reader = Reader::new(&bytes[..length]).unwrap();
        let mut data = Vec::new();
        assert_eq!((reader.next(&mut data), reader.next(&mut data)), (Ok(true), Ok(true)));
        let error = reader.next(&mut data).unwrap_err();
        assert!(error.contains("frame 2 is cut short") && error.contains(what), "{error}");
    }
}

#[test]
fn a_header_that_cannot_be_served_says_why() {
    let refuse = |text: &str| Reader::new(text.as_bytes()).err().unwrap();
    assert!(refuse("YUV4MPEG2 W4 H4 C999\n").contains("C999 is not read"));
    assert!(refuse("YUV4MPEG2 W0 H4\n").contains("W0"));
    assert!(refuse("YUV4MPEG2 W99999999 H4\n").contains("W99999999"));
    assert!(refuse("YUV4MPEG2 H4\n").contains("no width"));
    assert!(refuse("RIFF").contains("not one line"));
    assert!(refuse("YUV4MPEG2 W4 H4 \u{e9}\n").contains("not text"));
}

#[test]
fn a_vast_size_claimed_by_a_small_file_takes_no_memory() {
    let mut data = Vec::new();
    let mut reader = Reader::new(&b"YUV4MPEG2 W16384 H16384\nFRAME\nabc"[..]).unwrap();
    assert!(reader.next(&mut data).is_err());
    assert!(data.capacity() < 1 << 16);
}

/// One frame of a film whose planes hold `levels`, each as often as `counts` says.
fn planes(header: &str, levels: &[u16], counts: &[usize], wide: bool) -> Vec<u8> {
    let mut out = format!("{header}\nFRAME\n").into_bytes();
    for (level, count) in levels.iter().zip(counts) {
        for _ in 0..*count {
            out.push(*level as u8);
            if wide {
                out.push((level >> 8) as u8);
            }
        }
    }
    out
}

#[test]
fn every_layout_that_ffmpeg_writes_keeps_its_luma_and_its_colour() {
    // Width, height 5x3: luma, and the samples of each chroma plane.
    for (layout, chroma, bits) in [
        ("420jpeg", 6, 8),
        ("422", 9, 8),
        ("444", 15, 8),
        ("411", 6, 8),
        ("410", 2, 8),
        ("440", 10, 8),
        ("420p10", 6, 10),
        ("422p10", 9, 10),
        ("444p12", 15, 12),
        ("420p16", 6, 16),
    ] {
        let scale = 1 << (bits - 8);
        let levels = [70 * scale, 90 * scale, 200 * scale];
        let bytes = planes(&format!("YUV4MPEG2 W5 H3 C{layout}"), &levels, &[15, chroma, chroma], bits > 8);
        let mut reader = Reader::new(&bytes[..]).unwrap();
        let mut data = Vec::new();
        assert_eq!(reader.next(&mut data), Ok(true), "{layout}");
        assert_eq!(data, [vec![70; 15], vec![90; 6], vec![200; 6]].concat(), "{layout}");
        assert_eq!((reader.header().format, reader.next(&mut data)), (PixelFormat::I420, Ok(false)), "{layout}");
    }
}

#[test]
fn grey_of_any_depth_and_a_plane_of_alpha_are_read() {
    let mut data = Vec::new();
    for (layout, bits) in [("mono9", 9), ("mono10", 10), ("mono12", 12), ("mono16", 16)] {
        let bytes = planes(&format!("YUV4MPEG2 W4 H2 C{layout}"), &[77 << (bits - 8)], &[8], true);
        let mut reader = Reader::new(&bytes[..]).unwrap();
        assert_eq!(reader.next(&mut data), Ok(true));
        assert_eq!((reader.header().format, &data), (PixelFormat::Grey, &vec![77; 8]), "{layout}");
    }
    let bytes = planes("YUV4MPEG2 W2 H2 C444alpha", &[1, 2, 3, 4], &[4, 4, 4, 4], false);
    let mut reader = Reader::new(&bytes[..]).unwrap();
    assert_eq!((reader.next(&mut data), &data[..]), (Ok(true), &[1, 1, 1, 1, 2, 3][..]));
    assert_eq!(reader.next(&mut data), Ok(false));
}

#[test]
fn chroma_of_finer_planes_is_averaged() {
    let mut bytes = b"YUV4MPEG2 W2 H2 C444\nFRAME\n".to_vec();
    bytes.extend([9, 9, 9, 9, 10, 20, 30, 40, 1, 1, 1, 2]);
    let mut data = Vec::new();
    Reader::new(&bytes[..]).unwrap().next(&mut data).unwrap();
    assert_eq!(data, [9, 9, 9, 9, 25, 1]);
}
