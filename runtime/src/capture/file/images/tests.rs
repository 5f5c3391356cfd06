//! What folders and single pictures promise.

use std::path::Path;
use std::time::Duration;

use super::*;
use crate::frame::PixelFormat;
use image::codecs::jpeg::JpegEncoder;
use image::{GrayImage, ImageEncoder, RgbImage};

fn open(folder: &Path) -> Images {
    Images::open("x", folder).unwrap()
}

fn refuse(folder: &Path) -> String {
    Images::open("x", folder).err().unwrap().to_string()
}

/// Sequence and first byte of every frame.
fn all(source: &mut dyn Source) -> Vec<(u64, u8)> {
    let mut frame = Frame::default();
    let mut seen = Vec::new();
    while source.pull(&mut frame, Duration::ZERO).unwrap() == Pull::Frame {
        seen.push((frame.sequence, frame.data[0]));
    }
    seen
}

#[test]
fn images_come_in_the_order_of_their_numbers_as_grey_or_colour() {
    let folder = tempfile::tempdir().unwrap();
    for (name, grey) in [("v_10.png", 10), ("v_9.pgm", 9), ("v_2.bmp", 2), ("v_1.tif", 1)] {
        GrayImage::from_pixel(4, 3, image::Luma([grey])).save(folder.path().join(name)).unwrap();
    }
    RgbImage::from_pixel(5, 2, image::Rgb([1, 2, 3])).save(folder.path().join("v_11.webp")).unwrap();
    let mut source = open(folder.path());
    let mut frame = Frame::default();
    for grey in [1, 2, 9, 10] {
        assert_eq!(source.pull(&mut frame, Duration::ZERO).unwrap(), Pull::Frame);
        assert_eq!(frame.data[0], grey);
    }
    assert_eq!(source.pull(&mut frame, Duration::ZERO).unwrap(), Pull::Frame);
    assert_eq!((frame.format, frame.width, frame.height, &frame.data[..3]), (PixelFormat::Rgb24, 5, 2, &[1, 2, 3][..]));
    assert_eq!(source.pull(&mut frame, Duration::ZERO).unwrap(), Pull::End);
}

#[test]
fn a_broken_image_costs_itself_alone() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["1.png", "3.png"] {
        GrayImage::from_pixel(4, 3, image::Luma([name.as_bytes()[0]])).save(folder.path().join(name)).unwrap();
    }
    std::fs::write(folder.path().join("0.jpg"), b"").unwrap();
    std::fs::write(folder.path().join("2.png"), b"\x89PNG\r\n\x1a\nbroken").unwrap();
    let mut source = open(folder.path());
    assert_eq!(all(&mut source), [(1, b'1'), (3, b'3')]);
    assert_eq!(source.losses().corrupt, 2);
}

#[test]
fn a_jpeg_is_decoded_where_it_is_fitted_and_nowhere_else() {
    let folder = tempfile::tempdir().unwrap();
    let mut jpeg = Vec::new();
    JpegEncoder::new(&mut jpeg).encode_image(&GrayImage::from_fn(64, 48, |x, y| image::Luma([(x * y) as u8]))).unwrap();
    std::fs::write(folder.path().join("1.jpg"), &jpeg).unwrap();
    std::fs::write(folder.path().join("2.jpg"), &jpeg[..jpeg.len() * 3 / 4]).unwrap();
    let mut source = open(folder.path());
    let mut frame = Frame::default();
    let mut fitter = crate::capture::fit::Fitter::new(crate::sampling::InputSpec::luma(8, 8), Default::default());
    for (name, whole) in [("1.jpg", true), ("2.jpg", false)] {
        assert_eq!(source.pull(&mut frame, Duration::ZERO).unwrap(), Pull::Frame);
        assert_eq!((source.called(), frame.format, frame.width, frame.height), (Some(name), PixelFormat::Mjpeg, 64, 48));
        assert_eq!(fitter.fit(&frame, &mut [0.0; 64]).is_ok(), whole, "{name}");
    }
}

#[test]
fn a_folder_of_broken_images_alone_is_refused_and_says_why() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("1.jpg"), b"").unwrap();
    std::fs::write(folder.path().join("2.jpg"), b"no picture").unwrap();
    let error = refuse(folder.path());
    assert!(error.contains("none of its 2 images can be read: 1.jpg: the file is empty"), "{error}");
}

#[test]
fn hidden_companions_are_no_pictures() {
    let folder = tempfile::tempdir().unwrap();
    GrayImage::from_pixel(4, 3, image::Luma([5])).save(folder.path().join("frame_1.png")).unwrap();
    for name in ["._frame_1.png", ".trashed-frame_2.png", ".hidden.jpg"] {
        std::fs::write(folder.path().join(name), b"\0\x05\x16\x07").unwrap();
    }
    let mut source = open(folder.path());
    assert!(source.info().notes.is_empty(), "{:?}", source.info().notes);
    assert_eq!(all(&mut source), [(0, 5)]);
}

#[test]
fn what_is_left_out_is_told_with_its_number() {
    let folder = tempfile::tempdir().unwrap();
    GrayImage::new(4, 3).save(folder.path().join("1.png")).unwrap();
    for name in ["1.txt", "2.txt", "3.avif", "README"] {
        std::fs::write(folder.path().join(name), b"x").unwrap();
    }
    for name in ["night", "day"] {
        std::fs::create_dir(folder.path().join(name)).unwrap();
    }
    let note = open(folder.path()).info().notes.join(" ");
    assert!(note.contains("4 other files are left out (1 .avif, 2 .txt, 1 no ending)"), "{note}");
    assert!(note.contains("folders in it are not looked into (day and 1 more)"), "{note}");
}

#[test]
fn a_folder_without_images_says_what_would_be_read_and_what_is_there() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("camera0")).unwrap();
    let error = refuse(folder.path());
    assert!(error.contains(".png, .jpg") && error.contains("not looked into (camera0)"), "{error}");
}

/// A picture of 3x2 with the levels 0 to 5 and an Exif segment that states `orientation`.
fn exif(orientation: u8) -> Vec<u8> {
    vec![b'M', b'M', 0, 42, 0, 0, 0, 8, 0, 1, 1, 18, 0, 3, 0, 0, 0, 1, 0, orientation, 0, 0, 0, 0, 0, 0]
}

/// What a viewer shows of a picture of 16x8 in two halves, left dark and right bright, that states `orientation`.
fn expected(orientation: u8) -> (u32, u32, bool, bool) {
    // Width, height, and whether the top left and the bottom right corner are bright.
    match orientation {
        1 | 4 => (16, 8, false, true),
        2 | 3 => (16, 8, true, false),
        5 | 6 => (8, 16, false, true),
        _ => (8, 16, true, false),
    }
}

#[test]
fn pictures_are_turned_as_they_say_that_they_are_to_be_seen() {
    let halves = GrayImage::from_fn(16, 8, |x, _| image::Luma([if x < 8 { 20 } else { 220 }]));
    let mut decoder = decode::Decoder::default();
    for orientation in 1..=8 {
        let mut jpeg = Vec::new();
        let mut encoder = JpegEncoder::new(&mut jpeg);
        encoder.set_exif_metadata(exif(orientation)).unwrap();
        encoder.encode_image(&halves).unwrap();
        let mut png = Vec::new();
        let mut encoder = image::codecs::png::PngEncoder::new(&mut png);
        encoder.set_exif_metadata(exif(orientation)).unwrap();
        encoder.write_image(&halves, 16, 8, image::ExtendedColorType::L8).unwrap();
        for (name, bytes) in [("JPEG", jpeg), ("PNG", png)] {
            let mut frame = Frame::default();
            decoder.decode(&bytes, &mut frame).unwrap();
            let last = frame.data.len() - 1;
            let seen = (frame.width, frame.height, frame.data[0] > 128, frame.data[last] > 128);
            assert_eq!(seen, expected(orientation), "{name}, orientation {orientation}");
        }
    }
}
