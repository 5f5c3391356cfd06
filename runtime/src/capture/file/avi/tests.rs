//! Films as recorders write them, made here.

use std::io::Cursor;

use super::*;

fn chunk(id: &[u8; 4], body: &[u8]) -> Vec<u8> {
    let mut out = id.to_vec();
    out.extend((body.len() as u32).to_le_bytes());
    out.extend(body);
    if body.len() % 2 == 1 {
        out.push(0);
    }
    out
}

fn list(kind: &[u8; 4], parts: &[Vec<u8>]) -> Vec<u8> {
    chunk(b"LIST", &[kind.to_vec(), parts.concat()].concat())
}

fn words(words: &[u32]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_le_bytes()).collect()
}

fn headers(codec: &[u8; 4], frames: u32) -> Vec<u8> {
    let fourcc = u32::from_le_bytes(*codec);
    let avih = chunk(b"avih", &words(&[40_000, 0, 0, 0, frames, 0, 2, 0, 32, 24, 0, 0, 0, 0]));
    let sound = list(b"strl", &[chunk(b"strh", &words(&[u32::from_le_bytes(*b"auds"), 0, 0, 0, 0, 1, 8000, 0, 0, 0, 0, 0, 0, 0]))]);
    let strh = chunk(b"strh", &words(&[u32::from_le_bytes(*b"vids"), fourcc, 0, 0, 0, 1, 25, 0, 0, 0, 0, 0, 0, 0]));
    let strf = chunk(b"strf", &words(&[40, 32, 24, 1, fourcc, 0, 0, 0, 0, 0]));
    list(b"hdrl", &[avih, sound, list(b"strl", &[strh, strf])])
}

fn film(parts: &[Vec<u8>]) -> Vec<u8> {
    chunk(b"RIFF", &[b"AVI ".to_vec(), parts.concat()].concat())
}

/// What begins as a picture does.
const PICTURES: [&[u8]; 3] = [b"\xff\xd8one", b"", b"\xff\xd8three!"];

fn video(codec: &[u8; 4], pictures: &[&[u8]]) -> Vec<u8> {
    let mut movi: Vec<_> = pictures.iter().map(|picture| [chunk(b"00wb", b"sound"), chunk(b"01dc", picture)].concat()).collect();
    movi.insert(1, chunk(b"JUNK", &[7; 31]));
    film(&[headers(codec, pictures.len() as u32), list(b"movi", &movi), chunk(b"idx1", &[0; 64])])
}

fn reader(bytes: &[u8]) -> Result<Reader<Cursor<&[u8]>>, String> {
    Reader::new(Cursor::new(bytes), Some(bytes.len() as u64))
}

/// All pictures, and what was said at the end.
fn read(bytes: &[u8]) -> (Vec<Vec<u8>>, Option<String>) {
    let mut reader = reader(bytes).unwrap();
    let (mut data, mut out) = (Vec::new(), Vec::new());
    while reader.next(&mut data).unwrap() {
        out.push(data.clone());
    }
    (out, reader.remark())
}

#[test]
fn the_video_stream_is_found_among_sound_and_padding() {
    let bytes = video(b"MJPG", &PICTURES);
    let reader = reader(&bytes).unwrap();
    assert_eq!((reader.header().width, reader.header().height, reader.header().fps), (32, 24, Some(25.0)));
    assert_eq!((reader.header().codec, reader.header().frames, reader.missing()), (*b"MJPG", 3, None));
    assert_eq!(read(&bytes), (PICTURES.map(<[u8]>::to_vec).to_vec(), None));
}

#[test]
fn step_is_found_again_after_nulls_unpadded_and_foreign_chunks() {
    let picture = |number: u8| vec![0xff, 0xd8, number, 9, 9];
    let unpadded = |id: &[u8; 4], body: &[u8]| [&id[..], &(body.len() as u32).to_le_bytes(), body].concat();
    // Odd chunks without their byte, nulls, a chunk whose size is a lie, one that is not known at all.
    let between: [Vec<u8>; 5] =
        [vec![], vec![0; 4], vec![0; 3], [b"gps0".to_vec(), vec![0xff; 4], vec![7; 9]].concat(), chunk(b"made", &[3; 12])];
    for (kind, between) in between.iter().enumerate() {
        for padded in [true, false] {
            let mut movi = Vec::new();
            for number in 0..4 {
                movi.push(if padded { chunk(b"01dc", &picture(number)) } else { unpadded(b"01dc", &picture(number)) });
                movi.push(between.clone());
            }
            let bytes = film(&[headers(b"MJPG", 4), list(b"movi", &movi), chunk(b"idx1", &[0; 64])]);
            let (pictures, remark) = read(&bytes);
            assert_eq!(pictures, (0..4).map(picture).collect::<Vec<_>>(), "kind {kind}, padded {padded}");
            assert_eq!(remark, None, "kind {kind}, padded {padded}");
        }
    }
}

#[test]
fn nulls_before_the_pictures_are_passed_over() {
    let movi = list(b"movi", &[chunk(b"01dc", PICTURES[0])]);
    for nulls in 1..9 {
        let bytes = film(&[headers(b"MJPG", 1), vec![0; nulls], movi.clone()]);
        assert_eq!(read(&bytes).0, [PICTURES[0]], "{nulls}");
    }
}

#[test]
fn fewer_frames_than_the_header_states_is_told() {
    let bytes = film(&[headers(b"MJPG", 40), list(b"movi", &[chunk(b"01dc", PICTURES[0])])]);
    let remark = read(&bytes).1.unwrap();
    assert!(remark.contains("1 of the 40 frames"), "{remark}");
}

#[test]
fn sizes_that_mean_unknown_promise_nothing() {
    let whole = video(b"MJPG", &PICTURES);
    let movi = whole.windows(4).position(|four| four == b"movi").unwrap() - 4;
    for unknown in [0, u32::MAX, u32::MAX - 7, i32::MAX as u32] {
        let mut bytes = whole.clone();
        bytes[4..8].copy_from_slice(&unknown.to_le_bytes());
        bytes[movi..movi + 4].copy_from_slice(&unknown.to_le_bytes());
        assert_eq!(read(&bytes), (PICTURES.map(<[u8]>::to_vec).to_vec(), None), "{unknown:#x}");
    }
}

#[test]
fn a_cut_file_gives_its_whole_frames_and_then_says_where_it_ends() {
    let bytes = video(b"MJPG", &[b"\xff\xd8ne", b"\xff\xd8wo", b"\xff\xd8three"]);
    let cut = bytes.windows(5).position(|window| window == b"three").unwrap() + 2;
    let mut data = Vec::new();
    let mut film = reader(&bytes[..cut]).unwrap();
    assert_eq!((film.next(&mut data), film.next(&mut data)), (Ok(true), Ok(true)));
    let error = film.next(&mut data).unwrap_err();
    assert!(error.contains("frame 2 is cut short: 4 of 7 bytes"), "{error}");
    let between = cut - 4 - 8 - 14;
    let mut film = reader(&bytes[..between]).unwrap();
    assert_eq!((film.next(&mut data), film.next(&mut data)), (Ok(true), Ok(true)));
    assert!(film.next(&mut data).unwrap_err().contains("cut short after 2 frames"));
}

#[test]
fn no_prefix_of_a_file_makes_the_reader_panic_or_run_on() {
    let bytes = video(b"MJPG", &PICTURES);
    for length in 0..bytes.len() {
        for known in [Some(length as u64), None] {
            if let Ok(mut reader) = Reader::new(Cursor::new(&bytes[..length]), known) {
                let mut data = Vec::new();
                while reader.next(&mut data) == Ok(true) {}
                assert!(reader.frames() <= 3);
            }
        }
    }
}

#[test]
fn codecs_are_named_as_people_know_them() {
    assert_eq!(spell(*b"DIV3"), "MS MPEG-4 v3 (div3)");
    assert_eq!(spell(*b"cvid"), "'cvid'");
}
