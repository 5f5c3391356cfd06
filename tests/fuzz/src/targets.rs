//! What is fuzzed, and with which honest inputs it begins.

use std::io::Cursor;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::Duration;

use clap::{Arg, ArgAction, Command};
use image::{DynamicImage, ImageFormat, RgbImage};
use recslowfast::capture::file::{avi, images, y4m};
use recslowfast::capture::fit::{Fitter, InputSpec, Mode};
use recslowfast::capture::{self, CaptureRequest, FaultSpec, jpeg};
use recslowfast::frame::{Frame, PixelFormat};
use recslowfast::fuzzing::{HEAD, ParseResult, RequestParser};
use recslowfast::network::Network;
use recslowfast::recording::{Frames, OutcomeFormat, RecordSpec, RecordedFrame, Recorder};
use recslowfast::service::config::{File, KEYS};

/// One reader.
pub struct Target {
    /// Its name on the command line.
    pub name: &'static str,
    /// Bytes it may hold at most for one input.
    pub memory: usize,
    /// Honest inputs.
    pub seeds: fn() -> Vec<Vec<u8>>,
    /// Reads an input; must come back.
    pub run: fn(&[u8]),
}

/// All of them.
pub const TARGETS: [Target; 11] = [
    Target { name: "jpeg", memory: 512 << 20, seeds: jpegs, run: run_jpeg },
    Target { name: "avi", memory: 4 << 20, seeds: avis, run: run_avi },
    Target { name: "y4m", memory: 4 << 20, seeds: y4ms, run: run_y4m },
    Target { name: "mcap", memory: 256 << 20, seeds: mcaps, run: run_mcap },
    Target { name: "replay", memory: 512 << 20, seeds: mcaps, run: run_replay },
    Target { name: "images", memory: 1 << 30, seeds: pictures, run: run_images },
    Target { name: "fit", memory: 4 << 20, seeds: frames, run: run_fit },
    Target { name: "words", memory: 1 << 20, seeds: words, run: run_words },
    Target { name: "http", memory: 1 << 20, seeds: requests, run: run_http },
    Target { name: "config", memory: 4 << 20, seeds: configs, run: run_config },
    Target { name: "onnx", memory: 512 << 20, seeds: graphs, run: run_onnx },
];

fn picture(format: ImageFormat, grey: bool) -> Vec<u8> {
    let rgb = RgbImage::from_fn(24, 16, |x, y| image::Rgb([(x * 10) as u8, (y * 15) as u8, (x * y) as u8]));
    let picture = DynamicImage::ImageRgb8(rgb);
    let picture = if grey { DynamicImage::ImageLuma8(picture.into_luma8()) } else { picture };
    let mut out = Cursor::new(Vec::new());
    picture.write_to(&mut out, format).expect("a small picture is encoded");
    out.into_inner()
}

fn jpegs() -> Vec<Vec<u8>> {
    let whole = picture(ImageFormat::Jpeg, false);
    // As webcams send them: no Huffman tables, zeros behind.
    let mut bare = whole.clone();
    while let Some(at) = bare.windows(2).position(|pair| pair == [0xff, 0xc4]) {
        let length = 2 + usize::from(u16::from_be_bytes([bare[at + 2], bare[at + 3]]));
        bare.drain(at..at + length);
    }
    bare.extend([0; 40]);
    vec![whole, bare, picture(ImageFormat::Jpeg, true)]
}

fn run_jpeg(data: &[u8]) {
    let mut decoder = jpeg::Decoder::default();
    for colour in [jpeg::Colour::Luma, jpeg::Colour::Rgb] {
        if let Ok(picture) = decoder.decode(data, colour) {
            assert!(picture.pixels.len() >= picture.stride * (picture.height - 1) + picture.width * picture.samples);
        }
    }
}

fn avis() -> Vec<Vec<u8>> {
    let chunk = |id: &[u8], body: &[u8]| -> Vec<u8> { [id, &(body.len() as u32).to_le_bytes(), body, &vec![0; body.len() % 2]].concat() };
    let words = |words: &[u32]| -> Vec<u8> { words.iter().flat_map(|word| word.to_le_bytes()).collect() };
    let code = u32::from_le_bytes(*b"MJPG");
    let avih = chunk(b"avih", &words(&[40_000, 0, 0, 0, 2, 0, 1, 0, 24, 16, 0, 0, 0, 0]));
    let strh = chunk(b"strh", &words(&[u32::from_le_bytes(*b"vids"), code, 0, 0, 0, 1, 25, 0, 0, 0, 0, 0, 0, 0]));
    let strf = chunk(b"strf", &words(&[40, 24, 16, 1, code, 0, 0, 0, 0, 0]));
    let strl = chunk(b"LIST", &[&b"strl"[..], &strh, &strf].concat());
    let hdrl = chunk(b"LIST", &[&b"hdrl"[..], &avih, &strl].concat());
    let frame = picture(ImageFormat::Jpeg, false);
    let movi = chunk(
        b"LIST",
        &[&b"movi"[..], &chunk(b"00dc", &frame), &chunk(b"JUNK", &[0; 9]), &chunk(b"00dc", &frame[..99]), &chunk(b"00dc", b"")].concat(),
    );
    vec![chunk(b"RIFF", &[&b"AVI "[..], &hdrl, &movi, &chunk(b"idx1", &[0; 32])].concat())]
}

fn run_avi(data: &[u8]) {
    let Ok(mut reader) = avi::Reader::new(Cursor::new(data), Some(data.len() as u64)) else { return };
    let mut frame = Vec::new();
    while let Ok(true) = reader.next(&mut frame) {
        let _ = jpeg::size(&frame);
        assert!(reader.frames() <= data.len() as u64, "more frames than bytes");
    }
}

fn y4ms() -> Vec<Vec<u8>> {
    let film = |header: &str, bytes: usize| [header.as_bytes(), b"FRAME\n", &vec![100; bytes], b"FRAME Ip\n", &vec![200; bytes]].concat();
    vec![film("YUV4MPEG2 W4 H3 F30000:1001 Ip A1:1 C420jpeg XCOLORRANGE=FULL\n", 12 + 8), film("YUV4MPEG2 H2 W5 Cmono\n", 10)]
}

fn run_y4m(data: &[u8]) {
    let Ok(mut reader) = y4m::Reader::new(data) else { return };
    let mut frame = Vec::new();
    while let Ok(true) = reader.next(&mut frame) {
        assert!(reader.frames() <= data.len() as u64, "more frames than bytes");
    }
}

fn mcaps() -> Vec<Vec<u8>> {
    let path = std::env::temp_dir().join(format!("recslowfast-fuzz-{}.mcap", std::process::id()));
    let spec = RecordSpec { path: path.clone(), limit: None, events: None, timed: true, watched_by: None };
    let mut recorder = Recorder::create(spec, OutcomeFormat::default()).expect("a temporary file can be written");
    for (number, format) in [PixelFormat::Grey, PixelFormat::Mjpeg, PixelFormat::Yuyv].into_iter().enumerate() {
        let data = if format == PixelFormat::Mjpeg { picture(ImageFormat::Jpeg, true) } else { vec![number as u8; 64] };
        let stride = format.row_bytes(8);
        let frame = Frame { format, width: 8, height: 4, stride, data: data.into(), sequence: number as u64, ..Frame::default() };
        recorder.take(RecordedFrame::plain(frame, Duration::from_secs(1_795_684_590))).expect("a temporary file can be written");
    }
    recorder.finish().expect("a temporary file can be written");
    let bytes = std::fs::read(&path).expect("it was just written");
    let _ = std::fs::remove_file(&path);
    let schema = |name: &str, kind: &str| vec![(name.to_owned(), kind.to_owned())];
    let number = |n: u32| n.to_le_bytes();
    let cdr = [&[0, 1, 0, 0][..], &number(1), &number(2), &number(1), &[0; 4], &number(4), b"png\0", &number(8), &[0x89; 8]].concat();
    let json = br#"{"format":"jpeg","data":"/9j/2Q==","timestamp":{"sec":1,"nsec":2}}"#;
    let mut seeds = vec![bytes];
    for (schema, encoding, message) in [
        (schema("sensor_msgs/msg/CompressedImage", "ros2msg"), "cdr", &cdr[..]),
        (schema("sensor_msgs/Image", "ros1msg"), "ros1", &cdr[..]),
        (schema("foxglove.CompressedImage", "jsonschema"), "json", &json[..]),
    ] {
        seeds.push(foreign(&schema[0], encoding, message));
    }
    seeds
}

/// A recording that another program wrote, without chunks, so that the fuzzer gets at what is in them.
fn foreign((name, kind): &(String, String), encoding: &str, message: &[u8]) -> Vec<u8> {
    let mut out = Cursor::new(Vec::new());
    let mut write = || -> mcap::McapResult<()> {
        let mut writer = mcap::WriteOptions::new().use_chunks(false).compression(None).create(&mut out)?;
        let schema = writer.add_schema(name, kind, b"")?;
        let channel_id = writer.add_channel(schema, "/cam", encoding, &Default::default())?;
        for sequence in 0..2 {
            let header = mcap::records::MessageHeader { channel_id, sequence, log_time: 1, publish_time: 1 };
            writer.write_to_known_channel(&header, message)?;
        }
        writer.finish().map(drop)
    };
    write().expect("memory can be written");
    out.into_inner()
}

/// As the service has it.
fn decode(bytes: &[u8], frame: &mut Frame) -> Result<(), String> {
    if !bytes.starts_with(&[0xff, 0xd8]) {
        return images::decode(Cursor::new(bytes), frame);
    }
    (frame.format, frame.stride) = (PixelFormat::Mjpeg, 0);
    (frame.width, frame.height) = jpeg::size(bytes).unwrap_or_default();
    frame.data.clear();
    frame.data.extend_from_slice(bytes);
    Ok(())
}

fn run_mcap(data: &[u8]) {
    let mut frames = Frames::new(data, data.len() as u64, None, decode);
    let mut frame = Frame::default();
    // A chunk may hold more frames than its bytes, a compressed picture more pixels; neither without bound.
    while frames.frames() < 10_000 && matches!(frames.next(&mut frame), Ok(true)) {
        assert!(frame.data.len() as u64 <= 256 << 20, "{} bytes in a frame", frame.data.len());
    }
}

/// From the bytes of a recording to the tensor, as a replay goes.
fn run_replay(data: &[u8]) {
    let mut frames = Frames::new(data, data.len() as u64, None, decode);
    let mut frame = Frame::default();
    let mut tensor = vec![0.5; 12];
    let mut fitter = Fitter::new(InputSpec::luma(4, 3), Mode::Crop);
    while let Ok(true) = frames.next(&mut frame) {
        if fitter.fit(&frame, &mut tensor).is_ok() {
            assert!(tensor.iter().all(|value| (-0.001..=1.001).contains(value)), "{tensor:?}");
        }
    }
}

fn pictures() -> Vec<Vec<u8>> {
    let formats = [ImageFormat::Png, ImageFormat::Jpeg, ImageFormat::Pnm, ImageFormat::Bmp];
    formats.into_iter().flat_map(|format| [picture(format, false), picture(format, true)]).collect()
}

fn run_images(data: &[u8]) {
    let mut frame = Frame::default();
    if images::decode(Cursor::new(data), &mut frame).is_ok() {
        // A JPEG stays one.
        if frame.format != PixelFormat::Mjpeg {
            assert_eq!(frame.data.len(), frame.format.picture_bytes(frame.width, frame.height, frame.stride));
        }
    }
}

/// Format, width, height and stride in the first bytes, pixels after them.
fn frames() -> Vec<Vec<u8>> {
    let count = PixelFormat::all().count() as u8;
    (0..count).map(|format| [&[format, 8, 0, 4, 0, 24, 0][..], &[77; 200]].concat()).collect()
}

fn run_fit(data: &[u8]) {
    let Some(([format, w0, w1, h0, h1, s0, s1], pixels)) = data.split_first_chunk::<7>() else { return };
    let Some(format) = PixelFormat::all().nth(usize::from(*format)) else { return };
    let number = |low: &u8, high: &u8| u32::from(u16::from_le_bytes([*low, *high]));
    let frame = Frame {
        format,
        width: number(w0, w1),
        height: number(h0, h1),
        stride: number(s0, s1),
        range: format.usual_range(),
        data: pixels.to_vec().into(),
        ..Frame::default()
    };
    for (channels, mode) in [(1, Mode::Letterbox), (3, Mode::Crop), (1, Mode::Stretch)] {
        let mut tensor = vec![0.5; channels * 12];
        let mut fitter = Fitter::new(InputSpec { channels, ..InputSpec::luma(4, 3) }, mode);
        if fitter.fit(&frame, &mut tensor).is_ok() {
            assert!(tensor.iter().all(|value| (-0.001..=1.001).contains(value)), "{tensor:?}");
        }
    }
}

fn words() -> Vec<Vec<u8>> {
    [
        "drop=0.1,corrupt=0.05,stall=300:5s,vanish=500:2s,resize=200,clock=100:-3s,seed=7",
        "v4l2:///dev/none?width=640&height=480&fps=12.5&format=yuyv",
        "pathfinder:hard?seed=7&size=6",
    ]
    .map(|text| text.as_bytes().to_vec())
    .to_vec()
}

fn run_words(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let _ = text.parse::<FaultSpec>();
    // Names of real files and devices are no business of a fuzzer's.
    if text.starts_with("pathfinder") || text.starts_with("v4l2:///dev/none") {
        let _ = capture::open(text, &CaptureRequest::default());
    }
}

fn requests() -> Vec<Vec<u8>> {
    [
        "GET /live?seen=4&token=0123456789abcdef HTTP/1.1\r\nHost: [::1]:8088\r\nCookie: a=b; c=d\r\nConnection: close\r\n\r\nGET / HTTP/1.1\r\n\r\n",
        "HEAD /metrics HTTP/1.0\nAuthorization: Bearer 0123456789abcdef\nContent-Length: 0\n\n",
        "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n",
    ]
    .map(|text| text.as_bytes().to_vec())
    .to_vec()
}

fn run_http(data: &[u8]) {
    const TOKEN: &str = "0123456789abcdef";
    for parser in [RequestParser { token: None, loopback: true }, RequestParser { token: Some(TOKEN.into()), loopback: false }] {
        let mut rest = data;
        while let ParseResult::Request(request) = parser.open(rest) {
            assert!(0 < request.taken && request.taken <= rest.len(), "more was taken than there is");
            // Nobody comes in without the token but for what tells nothing.
            let head = &rest[..request.taken];
            let given = head.windows(TOKEN.len()).any(|window| window == TOKEN.as_bytes());
            assert!(parser.token.is_none() || given || matches!(request.path.as_str(), "/page.js" | "/page.css"));
            rest = &rest[request.taken..];
        }
        assert!(rest.len() < HEAD || parser.open(rest) != ParseResult::Partial, "a head is waited for without end");
    }
}

fn configs() -> Vec<Vec<u8>> {
    let shipped = include_str!("../../../configs/recslowfast.toml");
    let uncommented: String = shipped.lines().map(|line| format!("{}\n", line.strip_prefix('#').unwrap_or(line))).collect();
    let odd = "[source]\nuri = \"/dev/video0\"\nfit = \"round\"\n[modell]\nname = 7\n[report]\nto = [\"json\", [1], {a = 1979-05-27}]\n";
    [shipped, &uncommented, odd].map(|text| text.as_bytes().to_vec()).to_vec()
}

/// A command with the flags of `run`, of which some take numbers and one several values.
fn command() -> &'static Command {
    static COMMAND: OnceLock<Command> = OnceLock::new();
    COMMAND.get_or_init(|| {
        let flags = KEYS.iter().map(|key| {
            let flag = Arg::new(key.flag).long(key.flag);
            match key.flag {
                "frames" | "record-limit" | "record-around" => flag.value_parser(clap::value_parser!(u64)),
                "fault" => flag.value_parser(|text: &str| text.parse::<FaultSpec>()),
                "report" => flag.action(ArgAction::Append),
                _ => flag,
            }
        });
        Command::new("run").disable_help_flag(true).args(flags)
    })
}

fn run_config(data: &[u8]) {
    let Ok(text) = String::from_utf8(data.to_vec()) else { return };
    match File::parse(Path::new("a.toml"), text, command()) {
        Ok(file) => {
            let line = std::iter::once("run".to_owned()).chain(file.arguments(|_| false));
            assert!(command().clone().try_get_matches_from(line).is_ok(), "what was read one by one is refused together");
        }
        Err(error) => assert!(!error.to_string().is_empty()),
    }
}

/// The graphs of a small network; the first byte says which of the three files the rest is.
fn graphs() -> Vec<Vec<u8>> {
    let network = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../runtime/tests/gpu/networks/tiny-convlstm");
    let graph = |(at, name): (usize, &&str)| {
        let bytes = std::fs::read(network.join(name)).expect("the network is part of the tests");
        [&[at as u8], &bytes[..]].concat()
    };
    GRAPHS.iter().enumerate().map(graph).collect()
}

const GRAPHS: [&str; 3] = ["encoder.onnx", "step.onnx", "readout.onnx"];

/// A folder with a whole network.
fn network() -> &'static PathBuf {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    FOLDER.get_or_init(|| {
        let folder = std::env::temp_dir().join(format!("recslowfast-fuzz-network-{}", std::process::id()));
        let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../runtime/tests/gpu/networks/tiny-convlstm");
        std::fs::create_dir_all(&folder).expect("a temporary folder can be made");
        for name in GRAPHS.iter().chain(&["model.toml"]) {
            std::fs::copy(from.join(name), folder.join(name)).expect("a temporary file can be written");
        }
        folder
    })
}

fn run_onnx(data: &[u8]) {
    let Some((which, bytes)) = data.split_first() else { return };
    let name = GRAPHS[usize::from(*which) % GRAPHS.len()];
    let file = network().join(name);
    let honest = std::fs::read(&file).expect("a temporary file can be read");
    std::fs::write(&file, bytes).expect("a temporary file can be written");
    let loaded = Network::load(network().to_str().expect("temporary folders have plain names"));
    std::fs::write(&file, honest).expect("a temporary file can be written");
    if let Ok(loaded) = loaded {
        assert_eq!(loaded.readout.output_shape(0).first(), Some(&1));
        let _ = (loaded.parameters(), loaded.encoder.macs());
    }
}
