//! Source URIs: what a user writes to name a camera, a file, a folder or the built-in stream.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use super::request::CaptureRequest;
use super::stream::{self, Spec};
use crate::source::CaptureError;

/// A URI taken apart.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Place {
    /// A V4L2 device node.
    Device(PathBuf),
    /// A file of any kind.
    File(PathBuf),
    /// A folder of images.
    Folder(PathBuf),
    /// What this process was given as an open descriptor: 0 is standard input.
    Descriptor(u32),
    /// What a child receives: a network address, a sensor or a GStreamer pipeline.
    Stream(Spec),
    /// The built-in stream.
    Pathfinder {
        /// `easy` or `hard`.
        split: String,
        /// Which stream.
        seed: u64,
        /// Canvas side in pixels.
        size: u32,
    },
}

/// Reads `uri`; its parameters overrule `want`. A name that is no UTF-8 is a file's or a folder's.
pub(crate) fn parse(uri: &OsStr, want: &CaptureRequest) -> Result<(Place, CaptureRequest), CaptureError> {
    let Some(uri) = uri.to_str() else { return parse_bytes(uri, want) };
    let fail = |reason: String| CaptureError::Uri { uri: uri.to_owned(), reason };
    if uri.is_empty() {
        return Err(fail("is empty; name a device (/dev/video0), a file, a folder of images, or pathfinder:easy".into()));
    }
    if uri == "-" {
        return Ok((Place::Descriptor(0), want.clone()));
    }
    if let Some(spec) = stream::parse(uri, want) {
        return Ok((Place::Stream(spec.map_err(fail)?), want.clone()));
    }
    // A number is a camera's, as in other programs; a file of that name is `./0`. A file may have a question mark in its name.
    let number = |base: &str| base.bytes().all(|byte| byte.is_ascii_digit()) && !base.is_empty();
    // What this process has open is read through its descriptor, whatever it leads to.
    let given = uri.starts_with("/dev/") || uri.starts_with("/proc/self/fd/");
    if !given && !number(uri) && Path::new(uri).exists() {
        return Ok((place_of_path(uri), want.clone()));
    }
    let (base, query) = uri.split_once('?').unwrap_or((uri, ""));
    let mut want = want.clone();
    let mut seed = 1;
    let mut size = want.canvas;
    let pathfinder = base.starts_with("pathfinder");
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (key, value) = match pair {
            "loop" | "realtime" => (pair, "1"),
            _ => pair.split_once('=').ok_or_else(|| fail(format!("parameter '{pair}' has no '='")))?,
        };
        let number = || value.parse::<u32>().ok().filter(|number| *number > 0);
        let bad = |what: &str| fail(format!("{key}={value}: {key} takes {what}"));
        match key {
            "width" if !pathfinder => want.width = Some(number().ok_or_else(|| bad("a number of pixels"))?),
            "height" if !pathfinder => want.height = Some(number().ok_or_else(|| bad("a number of pixels"))?),
            "fps" => {
                let fps = value.parse::<f64>().ok().filter(|fps| *fps > 0.0 && *fps <= 10_000.0);
                want.fps = Some(fps.ok_or_else(|| bad("frames per second, above 0 and at most 10000"))?);
            }
            "format" if !pathfinder => want.format = Some(value.parse().map_err(fail)?),
            "buffers" if !pathfinder => want.buffers = number().ok_or_else(|| bad("a number of driver buffers"))?,
            "stride" if !pathfinder => want.stride = Some(number().ok_or_else(|| bad("a number of bytes"))?),
            "loop" if !pathfinder => want.again = switch(value).ok_or_else(|| bad("nothing, or 0 or 1"))?,
            "realtime" if !pathfinder => want.realtime = switch(value).ok_or_else(|| bad("nothing, or 0 or 1"))?,
            "seed" if pathfinder => seed = value.parse().map_err(|_| bad("a whole number"))?,
            "size" if pathfinder => size = number().ok_or_else(|| bad("a number of pixels"))?,
            _ if pathfinder => return Err(fail(format!("unknown parameter '{key}'; pathfinder knows seed, size and fps"))),
            _ => {
                return Err(fail(format!(
                    "unknown parameter '{key}'; known are width, height, fps, format, buffers and stride for cameras, loop, realtime and fps for films"
                )));
            }
        }
    }
    if let Some(split) = base.strip_prefix("pathfinder") {
        let split = split.trim_start_matches(':').trim_start_matches("//");
        let split = if split.is_empty() { "easy" } else { split };
        if !matches!(split, "easy" | "hard") {
            return Err(fail(format!("'{split}' is no split of the pathfinder; write pathfinder:easy or pathfinder:hard")));
        }
        if !(32..=2048).contains(&size) {
            return Err(fail(format!("size={size}: the built-in stream is drawn on 32 to 2048 pixels")));
        }
        return Ok((Place::Pathfinder { split: split.to_owned(), seed, size }, want));
    }
    if let Some(path) = base.strip_prefix("v4l2:") {
        let path = path.strip_prefix("//").unwrap_or(path);
        if path.is_empty() {
            return Err(fail("names no device; write v4l2:///dev/video0".into()));
        }
        return Ok((Place::Device(path.into()), want));
    }
    let film = want.again || want.realtime;
    if let Some(number) = ["/dev/fd/", "/proc/self/fd/"].iter().find_map(|folder| base.strip_prefix(folder)?.parse().ok()) {
        return once(uri, Place::Descriptor(number), want);
    }
    if base == "/dev/stdin" {
        return once(uri, Place::Descriptor(0), want);
    }
    if base.starts_with("/dev/") || number(base) {
        if film {
            return Err(fail("is a camera; loop and realtime are for films".into()));
        }
        let device = if number(base) { format!("/dev/video{base}") } else { base.to_owned() };
        return Ok((Place::Device(device.into()), want));
    }
    if let Some(path) = base.strip_prefix("file:") {
        return Ok((place_of_path(path.strip_prefix("//").unwrap_or(path)), want));
    }
    let slashes = base.split_once("://").map(|(scheme, _)| scheme);
    // Without slashes it may be a file's name, and then there is such a file.
    let letters = |scheme: &&str| scheme.len() > 2 && scheme.bytes().all(|byte| byte.is_ascii_alphanumeric());
    let bare = || base.split_once(':').map(|(scheme, _)| scheme).filter(letters).filter(|_| !Path::new(base).exists());
    if let Some(scheme) = slashes.or_else(bare) {
        return Err(fail(format!("'{scheme}' is no scheme of ours; known are v4l2, file, pathfinder, {}", stream::SCHEMES)));
    }
    Ok((place_of_path(base), want))
}

/// What can be read once only cannot begin again.
fn once(uri: &str, place: Place, want: CaptureRequest) -> Result<(Place, CaptureRequest), CaptureError> {
    match want.again {
        true => Err(CaptureError::Uri { uri: uri.to_owned(), reason: "can be read once only; loop needs a file".into() }),
        false => Ok((place, want)),
    }
}

fn switch(value: &str) -> Option<bool> {
    match value {
        "1" | "true" => Some(true),
        "0" | "false" => Some(false),
        _ => None,
    }
}

/// A path that is no UTF-8: its parameters, which are, are read behind a name that everyone can read.
fn parse_bytes(uri: &OsStr, want: &CaptureRequest) -> Result<(Place, CaptureRequest), CaptureError> {
    let path = |bytes: &[u8]| place_of_path(PathBuf::from(OsString::from_vec(bytes.strip_prefix(b"file://").unwrap_or(bytes).to_vec())));
    let bytes = uri.as_bytes();
    let query = bytes.iter().rposition(|byte| *byte == b'?').filter(|_| !Path::new(uri).exists());
    let Some(at) = query else { return Ok((path(bytes), want.clone())) };
    let Ok(query) = std::str::from_utf8(&bytes[at..]) else { return Ok((path(bytes), want.clone())) };
    let (_, want) = parse(OsStr::new(&format!("file{query}")), want)?;
    Ok((path(&bytes[..at]), want))
}

fn place_of_path(path: impl Into<PathBuf>) -> Place {
    let path = path.into();
    if path.is_dir() { Place::Folder(path) } else { Place::File(path) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::PixelFormat;

    fn read(uri: &str) -> (Place, CaptureRequest) {
        parse(OsStr::new(uri), &CaptureRequest::default()).unwrap()
    }

    fn refuse(uri: &str) -> String {
        parse(OsStr::new(uri), &CaptureRequest::default()).unwrap_err().to_string()
    }

    #[test]
    fn a_device_is_named_by_node_or_scheme() {
        for uri in ["/dev/video3", "v4l2:/dev/video3", "v4l2:///dev/video3"] {
            assert_eq!(read(uri).0, Place::Device("/dev/video3".into()), "{uri}");
        }
        assert_eq!(read("v4l2:/dev/v4l/by-id/usb-cam-index0").0, Place::Device("/dev/v4l/by-id/usb-cam-index0".into()));
    }

    #[test]
    fn parameters_say_what_is_wanted() {
        let want = read("/dev/video0?width=1280&height=720&fps=12.5&format=MJPEG").1;
        assert_eq!((want.width, want.height, want.fps), (Some(1280), Some(720), Some(12.5)));
        assert_eq!(want.format, Some(PixelFormat::Mjpeg));
    }

    #[test]
    fn the_built_in_stream_takes_split_seed_and_size() {
        let (place, want) = read("pathfinder:hard?seed=7&size=64&fps=25");
        assert_eq!(place, Place::Pathfinder { split: "hard".into(), seed: 7, size: 64 });
        assert_eq!(want.fps, Some(25.0));
        assert_eq!(read("pathfinder").0, Place::Pathfinder { split: "easy".into(), seed: 1, size: 150 });
    }

    #[test]
    fn what_cannot_be_meant_is_refused_in_one_sentence() {
        assert!(refuse("rstp://camera/1").contains("'rstp' is no scheme of ours; known are v4l2, file, pathfinder, rtsp"));
        assert!(refuse("rtps:camera/1").contains("'rtps' is no scheme of ours"));
        assert!(refuse("pathfinder:medium").contains("pathfinder:easy or pathfinder:hard"));
        assert!(refuse("/dev/video0?colour=red").contains("unknown parameter 'colour'"));
        assert!(refuse("/dev/video0?width=wide").contains("width takes a number of pixels"));
        assert!(refuse("/dev/video0?format=h264").contains("known are yuyv, uyvy"));
        assert!(refuse("").contains("is empty"));
    }

    #[test]
    fn a_name_that_is_no_utf8_is_a_files_and_keeps_its_parameters() {
        let name = |bytes: &[u8]| OsString::from_vec(bytes.to_vec());
        let parsed = |bytes: &[u8]| parse(&name(bytes), &CaptureRequest::default()).unwrap();
        assert_eq!(parsed(b"caf\xe9.avi").0, Place::File(name(b"caf\xe9.avi").into()));
        let (place, want) = parsed(b"file://caf\xe9.avi?fps=5");
        assert_eq!((place, want.fps), (Place::File(name(b"caf\xe9.avi").into()), Some(5.0)));
    }

    #[test]
    fn a_file_is_a_file_even_when_it_is_not_there() {
        for name in ["walk.y4m", "./walk:1.y4m", "a:walk.y4m"] {
            assert_eq!(read(name).0, Place::File(name.into()));
        }
        assert_eq!(read("file:///tmp/none/walk.avi").0, Place::File("/tmp/none/walk.avi".into()));
    }

    #[test]
    fn a_number_is_a_cameras() {
        assert_eq!(read("0").0, Place::Device("/dev/video0".into()));
        let (place, want) = read("2?width=320&height=240");
        assert_eq!((place, want.width), (Place::Device("/dev/video2".into()), Some(320)));
    }

    #[test]
    fn standard_input_and_descriptors_are_read_once() {
        for (uri, number) in [("-", 0), ("/dev/stdin", 0), ("/dev/fd/5", 5), ("/proc/self/fd/7", 7)] {
            assert_eq!(read(uri).0, Place::Descriptor(number), "{uri}");
        }
        let open = tempfile::tempfile().unwrap();
        let number = std::os::fd::AsRawFd::as_raw_fd(&open) as u32;
        assert_eq!(read(&format!("/proc/self/fd/{number}")).0, Place::Descriptor(number), "an open file's, too");
        assert!(refuse("/dev/stdin?loop").contains("once only"));
    }

    #[test]
    fn films_are_played_again_and_at_their_rate() {
        let want = read("walk.avi?loop&realtime&fps=12").1;
        assert_eq!((want.again, want.realtime, want.fps), (true, true, Some(12.0)));
        assert!(!read("walk.avi?loop=0").1.again);
        assert!(refuse("walk.avi?loop=maybe").contains("loop takes"));
        assert!(refuse("/dev/video0?loop").contains("for films"));
    }

    #[test]
    fn streams_are_told_by_their_scheme() {
        assert!(matches!(read("RTSP://cam/1").0, Place::Stream(_)));
        assert!(matches!(read("gst:videotestsrc").0, Place::Stream(_)));
        assert!(refuse("http://").contains("names no host"));
    }
}
