//! Files as others write them.

use super::*;
use mcap::records::MessageHeader;
use mcap::{WriteOptions, Writer};

type File = std::io::BufWriter<std::fs::File>;

fn write(path: &Path, fill: impl FnOnce(&mut Writer<File>)) {
    let mut writer = WriteOptions::new().compression(None).create(File::new(std::fs::File::create(path).unwrap())).unwrap();
    fill(&mut writer);
    writer.finish().unwrap();
}

fn put(writer: &mut Writer<File>, topic: &str, schema: &str, encoding: &str, messages: &[Vec<u8>]) {
    let schema = writer.add_schema(schema, "x", b"").unwrap();
    let channel_id = writer.add_channel(schema, topic, encoding, &Default::default()).unwrap();
    for (sequence, message) in messages.iter().enumerate() {
        let time = 1_795_684_590_000_000_000 + sequence as u64 * 40_000_000;
        let header = MessageHeader { channel_id, sequence: sequence as u32, log_time: time, publish_time: time };
        writer.write_to_known_channel(&header, message).unwrap();
    }
}

fn protobuf(frame: &Frame) -> Vec<u8> {
    let mut message = Vec::new();
    proto::write(frame, WALL, &mut message);
    message
}

fn pictures(path: &Path, topic: Option<&str>) -> Result<Vec<Frame>, String> {
    let mut source = Replay::open("test", path, topic, jpeg).map_err(|error| error.to_string())?;
    let mut frame = Frame::default();
    let mut frames = Vec::new();
    while source.pull(&mut frame, Duration::ZERO).map_err(|error| error.to_string())? == Pull::Frame {
        frames.push(frame.clone());
    }
    Ok(frames)
}

/// Written by PyPI's `mcap` (see the folder's README): four grey pictures, 8x8, picture n all 10 n + x.
#[test]
fn chunks_are_read_with_every_compression_of_the_format() {
    for name in ["none", "zstd", "lz4"] {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/recordings/{name}.mcap"));
        let got = pictures(&path, None).unwrap();
        assert_eq!(got.len(), 4, "{name}");
        for (number, frame) in got.iter().enumerate() {
            let expected: Vec<u8> = (0..64).map(|at| (10 * number + at % 8) as u8).collect();
            assert_eq!(&frame.data[..], &expected[..], "{name}");
        }
    }
}

#[test]
fn what_a_compressed_picture_is_called_does_not_matter() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("names.mcap");
    let message = |name: &str| {
        let mut out = Vec::new();
        proto::bytes(&mut out, 2, b"\xff\xd8 a picture");
        proto::bytes(&mut out, 3, name.as_bytes());
        out
    };
    let messages = ["jpeg", "JPG", "image/jpeg", "rgb8; jpeg compressed bgr8", "", "png"].map(message);
    write(&path, |writer| put(writer, "/cam", "foxglove.CompressedImage", "protobuf", &messages));
    assert_eq!(pictures(&path, None).unwrap().len(), 6);
}

#[test]
fn images_in_json_and_of_ros_are_read() {
    let folder = tempfile::tempdir().unwrap();
    let number = |n: u32| n.to_le_bytes();
    let cdr =
        [&[0, 1, 0, 0][..], &number(1), &number(2), &number(2), b"c\0\0\0", &number(5), b"jpeg\0\0\0\0", &number(2), b"\xff\xd8"].concat();
    let raw = br#"{"width":2,"height":1,"encoding":"mono8","step":0,"data":"Kys="}"#.to_vec();
    for (schema, encoding, message, format) in [
        ("foxglove.CompressedImage", "json", br#"{"format":"jpeg","data":"/9g="}"#.to_vec(), PixelFormat::Mjpeg),
        ("foxglove.RawImage", "json", raw, PixelFormat::Grey),
        ("sensor_msgs/msg/CompressedImage", "cdr", cdr, PixelFormat::Mjpeg),
    ] {
        let path = folder.path().join(format!("{format}-{encoding}"));
        write(&path, |writer| put(writer, "/cam", schema, encoding, &[message]));
        let got = pictures(&path, None).unwrap();
        assert_eq!((got.len(), got[0].format), (1, format), "{schema} in {encoding}");
    }
}

#[test]
fn a_step_that_was_left_out_means_rows_without_gaps() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("step.mcap");
    let unstepped = Frame { stride: 0, ..frame(PixelFormat::Bgr24, 1) };
    write(&path, |writer| put(writer, "/cam", "foxglove.RawImage", "protobuf", &[protobuf(&unstepped)]));
    let got = pictures(&path, None).unwrap();
    assert_eq!((got[0].stride, &got[0].data), (18, &unstepped.data));
}

#[test]
fn the_topic_is_the_first_or_the_one_asked_for_and_the_others_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("two.mcap");
    write(&path, |writer| {
        put(writer, "/left", "foxglove.RawImage", "protobuf", &[protobuf(&frame(PixelFormat::Grey, 1))]);
        put(writer, "/right", "foxglove.RawImage", "protobuf", &[protobuf(&frame(PixelFormat::Grey, 2))]);
        put(writer, "/film", "foxglove.CompressedVideo", "protobuf", &[vec![1]]);
        put(writer, "/points", "foxglove.PointCloud", "protobuf", &[vec![1]]);
    });
    let source = open(&path);
    let notes = source.info().notes.join("\n");
    assert!(notes.contains("/right are left out: ?topic=/right plays it"), "{notes}");
    assert!(notes.contains("/film are left out: foxglove.CompressedVideo in protobuf is not read"), "{notes}");
    assert!(!notes.contains("/points") && !notes.contains("/left"), "{notes}");
    assert_eq!(pictures(&path, None).unwrap()[0].data, frame(PixelFormat::Grey, 1).data);
    assert_eq!(pictures(&path, Some("/right")).unwrap()[0].data, frame(PixelFormat::Grey, 2).data);
    let refusal = pictures(&path, Some("/up")).unwrap_err();
    assert!(refusal.contains("no images of topic /up") && refusal.contains("/left: ?topic=/left plays it"), "{refusal}");
}

#[test]
fn a_file_none_of_whose_images_can_be_read_is_refused_with_the_reason() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("none.mcap");
    let mut message = Vec::new();
    proto::bytes(&mut message, 4, b"32FC1");
    write(&path, |writer| put(writer, "/depth", "foxglove.RawImage", "protobuf", &[message.clone(), message]));
    let refusal = pictures(&path, None).unwrap_err();
    assert!(refusal.contains("none of its 2 images can be read") && refusal.contains("'32FC1' are not read"), "{refusal}");
}

#[test]
fn four_bytes_a_pixel_and_high_bytes_first_become_what_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("rgba.mcap");
    let mut rgba = Vec::new();
    for (field, value) in [(2, 2_u32), (3, 1), (5, 0)] {
        rgba.push((field << 3 | 5) as u8);
        rgba.extend(value.to_le_bytes());
    }
    proto::bytes(&mut rgba, 4, b"bgra8");
    proto::bytes(&mut rgba, 6, &[1, 2, 3, 255, 4, 5, 6, 255]);
    write(&path, |writer| put(writer, "/cam", "foxglove.RawImage", "protobuf", &[rgba]));
    let got = pictures(&path, None).unwrap();
    assert_eq!((got[0].format, got[0].stride, &got[0].data[..]), (PixelFormat::Rgb24, 6, &[3, 2, 1, 6, 5, 4][..]));
}
