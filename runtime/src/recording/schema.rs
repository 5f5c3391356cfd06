//! Foxglove's message types as descriptors: what MCAP wants as the schema of a protobuf channel, so that any reader can decode it.

use super::proto::{bytes, number};

/// One picture, pixel by pixel.
pub(super) const RAW: &str = "foxglove.RawImage";
/// One picture, compressed.
pub(super) const COMPRESSED: &str = "foxglove.CompressedImage";
/// What is drawn over a picture.
pub(super) const ANNOTATIONS: &str = "foxglove.ImageAnnotations";

/// What a field holds.
#[derive(Clone, Copy)]
enum Of {
    Double,
    Int64,
    Int32,
    Fixed32,
    Text,
    Bytes,
    /// A message or, with `true`, an enumeration, by its full name.
    Named(&'static str, bool),
}

/// Name, number, type, and whether there may be many.
type Field = (&'static str, u64, Of, bool);

struct Message {
    name: &'static str,
    fields: &'static [Field],
    /// One enumeration inside it: its name and its values, counted from 0.
    values: Option<(&'static str, &'static [&'static str])>,
}

const STAMP: Of = Of::Named(".google.protobuf.Timestamp", false);
const COLOR: Of = Of::Named(".foxglove.Color", false);
const POINT: Of = Of::Named(".foxglove.Point2", false);

const fn plain(name: &'static str, fields: &'static [Field]) -> Message {
    Message { name, fields, values: None }
}

const TIMESTAMP: Message = plain("Timestamp", &[("seconds", 1, Of::Int64, false), ("nanos", 2, Of::Int32, false)]);

const MESSAGES: [Message; 8] = [
    plain(
        "RawImage",
        &[
            ("timestamp", 1, STAMP, false),
            ("width", 2, Of::Fixed32, false),
            ("height", 3, Of::Fixed32, false),
            ("encoding", 4, Of::Text, false),
            ("step", 5, Of::Fixed32, false),
            ("data", 6, Of::Bytes, false),
            ("frame_id", 7, Of::Text, false),
        ],
    ),
    plain(
        "CompressedImage",
        &[("timestamp", 1, STAMP, false), ("data", 2, Of::Bytes, false), ("format", 3, Of::Text, false), ("frame_id", 4, Of::Text, false)],
    ),
    plain("Color", &[("r", 1, Of::Double, false), ("g", 2, Of::Double, false), ("b", 3, Of::Double, false), ("a", 4, Of::Double, false)]),
    plain("Point2", &[("x", 1, Of::Double, false), ("y", 2, Of::Double, false)]),
    plain(
        "CircleAnnotation",
        &[
            ("timestamp", 1, STAMP, false),
            ("position", 2, POINT, false),
            ("diameter", 3, Of::Double, false),
            ("thickness", 4, Of::Double, false),
            ("fill_color", 5, COLOR, false),
            ("outline_color", 6, COLOR, false),
        ],
    ),
    Message {
        name: "PointsAnnotation",
        fields: &[
            ("timestamp", 1, STAMP, false),
            ("type", 2, Of::Named(".foxglove.PointsAnnotation.Type", true), false),
            ("points", 3, POINT, true),
            ("outline_color", 4, COLOR, false),
            ("outline_colors", 5, COLOR, true),
            ("fill_color", 6, COLOR, false),
            ("thickness", 7, Of::Double, false),
        ],
        values: Some(("Type", &["UNKNOWN", "POINTS", "LINE_LOOP", "LINE_STRIP", "LINE_LIST"])),
    },
    plain(
        "TextAnnotation",
        &[
            ("timestamp", 1, STAMP, false),
            ("position", 2, POINT, false),
            ("text", 3, Of::Text, false),
            ("font_size", 4, Of::Double, false),
            ("text_color", 5, COLOR, false),
            ("background_color", 6, COLOR, false),
        ],
    ),
    plain(
        "ImageAnnotations",
        &[
            ("circles", 1, Of::Named(".foxglove.CircleAnnotation", false), true),
            ("points", 2, Of::Named(".foxglove.PointsAnnotation", false), true),
            ("texts", 3, Of::Named(".foxglove.TextAnnotation", false), true),
        ],
    ),
];

/// The `FileDescriptorSet` of message type `name` and of all that it is made of.
pub(super) fn of(name: &str) -> Vec<u8> {
    let mut set = Vec::new();
    let mut done = Vec::new();
    add(name.rsplit('.').next().unwrap_or(name), &mut set, &mut done);
    set
}

/// Appends the file of one message, after those of the messages inside it.
fn add(name: &'_ str, set: &mut Vec<u8>, done: &mut Vec<String>) {
    if done.iter().any(|done| done == name) {
        return;
    }
    done.push(name.to_owned());
    let (package, message) = match name {
        "Timestamp" => ("google.protobuf", &TIMESTAMP),
        _ => ("foxglove", MESSAGES.iter().find(|message| message.name == name).expect("every message used is in the table")),
    };
    let mut imports: Vec<String> = Vec::new();
    for (_, _, of, _) in message.fields {
        if let Of::Named(inner, false) = of {
            let inner = inner.rsplit('.').next().unwrap_or(inner);
            add(inner, set, done);
            if !imports.contains(&path(inner)) {
                imports.push(path(inner));
            }
        }
    }
    let mut file = Vec::new();
    bytes(&mut file, 1, path(name).as_bytes());
    bytes(&mut file, 2, package.as_bytes());
    imports.iter().for_each(|import| bytes(&mut file, 3, import.as_bytes()));
    bytes(&mut file, 4, &described(message));
    bytes(&mut file, 12, b"proto3");
    bytes(set, 1, &file);
}

fn path(name: &str) -> String {
    if name == "Timestamp" { "google/protobuf/timestamp.proto".into() } else { format!("foxglove/{name}.proto") }
}

/// A `DescriptorProto`.
fn described(message: &Message) -> Vec<u8> {
    let mut out = Vec::new();
    bytes(&mut out, 1, message.name.as_bytes());
    for (name, place, of, many) in message.fields {
        let (kind, named) = match of {
            Of::Double => (1, None),
            Of::Int64 => (3, None),
            Of::Int32 => (5, None),
            Of::Fixed32 => (7, None),
            Of::Text => (9, None),
            Of::Bytes => (12, None),
            Of::Named(named, false) => (11, Some(named)),
            Of::Named(named, true) => (14, Some(named)),
        };
        let mut field = Vec::new();
        bytes(&mut field, 1, name.as_bytes());
        number(&mut field, 3, *place);
        number(&mut field, 4, if *many { 3 } else { 1 });
        number(&mut field, 5, kind);
        if let Some(named) = named {
            bytes(&mut field, 6, named.as_bytes());
        }
        bytes(&mut out, 2, &field);
    }
    if let Some((name, values)) = message.values {
        let mut kind = Vec::new();
        bytes(&mut kind, 1, name.as_bytes());
        for (at, value) in values.iter().enumerate() {
            let mut one = Vec::new();
            bytes(&mut one, 1, value.as_bytes());
            number(&mut one, 2, at as u64);
            bytes(&mut kind, 2, &one);
        }
        bytes(&mut out, 4, &kind);
    }
    out
}
