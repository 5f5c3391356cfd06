//! What a stream's URI means, and the command that receives it.

use std::collections::BTreeSet;
use std::process::{Command, Stdio};
use std::sync::Mutex;

use super::child::without_password;
use crate::capture::CaptureRequest;

/// A stream that was asked for.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::capture) enum Spec {
    /// `rtsp://`, `rtsps://`, `http://` or `https://`, as the server is to see it.
    Address {
        /// Without our own parameters.
        url: String,
        /// How RTSP is to bring the pictures.
        udp: bool,
    },
    /// A sensor on a CSI connector: a number, or the name libcamera gives it.
    Csi {
        /// Which one.
        sensor: String,
        /// Pixels across and down, and frames per second, where asked for.
        size: Option<(u32, u32)>,
        /// Frames per second.
        fps: Option<f64>,
    },
    /// A GStreamer pipeline without its sink.
    Gst(String),
}

/// Schemes that this room knows, for sentences.
pub(in crate::capture) const SCHEMES: &str = "rtsp, rtsps, http, https, csi and gst";

/// Reads a stream's URI; none if it is no stream's.
pub(in crate::capture) fn parse(uri: &str, want: &CaptureRequest) -> Option<Result<Spec, String>> {
    let (scheme, rest) = uri.split_once(':')?;
    match scheme.to_ascii_lowercase().as_str() {
        "rtsp" | "rtsps" | "http" | "https" => Some(address(uri, rest)),
        "csi" => Some(csi(rest, want)),
        "gst" => Some(match rest.trim() {
            "" => Err("names no pipeline; write gst:videotestsrc is-live=true".into()),
            pipeline => tokens(pipeline).map(|_| Spec::Gst(pipeline.to_owned())),
        }),
        _ => None,
    }
}

fn address(uri: &str, rest: &str) -> Result<Spec, String> {
    // What stands behind '?' belongs to the server; ours stands behind '#', which is never sent.
    let (url, ours) = uri.split_once('#').unwrap_or((uri, ""));
    let host = rest.strip_prefix("//").unwrap_or_default().split(['/', '?', '#']).next().unwrap_or_default();
    if host.is_empty() {
        return Err("names no host; write rtsp://HOST/PATH or http://HOST/PATH".into());
    }
    let mut udp = false;
    for pair in ours.split('&').filter(|pair| !pair.is_empty()) {
        match pair {
            "transport=udp" => udp = true,
            "transport=tcp" => udp = false,
            _ => return Err(format!("unknown parameter '{pair}'; known behind '#' are transport=tcp and transport=udp")),
        }
    }
    Ok(Spec::Address { url: url.to_owned(), udp })
}

fn csi(rest: &str, want: &CaptureRequest) -> Result<Spec, String> {
    let (sensor, query) = rest.strip_prefix("//").unwrap_or(rest).split_once('?').unwrap_or((rest.trim_start_matches('/'), ""));
    let sensor = if rest.starts_with("///") { format!("/{}", sensor.trim_start_matches('/')) } else { sensor.to_owned() };
    let (mut width, mut height, mut fps) = (want.width, want.height, want.fps);
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        let number = || value.parse::<u32>().ok().filter(|number| (1..=16_384).contains(number));
        match key {
            "width" => width = Some(number().ok_or("width takes a number of pixels")?),
            "height" => height = Some(number().ok_or("height takes a number of pixels")?),
            "fps" => fps = Some(value.parse().ok().filter(|fps| (0.1..=1000.0).contains(fps)).ok_or("fps takes frames per second")?),
            _ => return Err(format!("unknown parameter '{key}'; csi knows width, height and fps")),
        }
    }
    if sensor.is_empty() || sensor.contains(char::is_whitespace) {
        return Err("names no sensor; write csi://0".into());
    }
    let size = match (width, height) {
        (Some(width), Some(height)) => Some((width, height)),
        (None, None) => None,
        _ => return Err("width and height go together".into()),
    };
    Ok(Spec::Csi { sensor, size, fps })
}

impl Spec {
    /// What people and logs call it: its URI without passwords.
    pub fn name(&self) -> String {
        match self {
            Spec::Address { url, .. } => without_password(url),
            Spec::Csi { sensor, .. } => format!("csi://{sensor}"),
            Spec::Gst(pipeline) => without_password(&format!("gst:{pipeline}")),
        }
    }

    /// The command that writes its frames to standard output, as Y4M.
    pub(super) fn command(&self) -> Result<Command, String> {
        match self {
            Spec::Address { url, udp } => {
                if has("ffmpeg", &["-version"]) {
                    Ok(ffmpeg(url, *udp))
                } else if has("gst-launch-1.0", &["--version"]) {
                    gst(&[format!("uridecodebin uri={}", quoted(url)), OURS.into()].join(" "))
                } else {
                    Err("it is received by ffmpeg, which is not installed (apt install ffmpeg)".into())
                }
            }
            Spec::Csi { sensor, size, fps } => {
                let element = |name: &'static str| has("gst-inspect-1.0", &["--exists", name]);
                let pipeline = csi_pipeline(sensor, *size, *fps, element("nvarguscamerasrc"), element("libcamerasrc"))?;
                gst(&pipeline)
            }
            Spec::Gst(pipeline) => gst(&format!("{pipeline} {OURS}")),
        }
    }
}

/// What every pipeline ends in.
const OURS: &str = "! videoconvert ! video/x-raw,format=I420 ! y4menc ! fdsink fd=1 sync=false";

fn ffmpeg(url: &str, udp: bool) -> Command {
    let mut command = Command::new("ffmpeg");
    command.args(["-nostdin", "-hide_banner", "-loglevel", "error", "-fflags", "nobuffer", "-flags", "low_delay"]);
    // Enough to find the pictures, and no more: what is looked at first comes late. The rate is taken from two pictures; ffmpeg's own twenty
    // make the first one late by most of a second.
    command.args(["-probesize", "500000", "-analyzeduration", "500000", "-fpsprobesize", "2"]);
    if url.to_ascii_lowercase().starts_with("rtsp") {
        command.args(["-rtsp_transport", if udp { "udp" } else { "tcp" }]);
    }
    command.args(["-i", url, "-map", "0:v:0", "-an", "-vsync", "passthrough"]);
    command.args(["-pix_fmt", "yuv420p", "-flush_packets", "1", "-f", "yuv4mpegpipe", "pipe:1"]);
    command
}

fn gst(pipeline: &str) -> Result<Command, String> {
    let mut command = Command::new("gst-launch-1.0");
    command.arg("-q").args(tokens(pipeline)?);
    Ok(command)
}

/// The pipeline of a sensor: NVIDIA's source where it is there, which has the image signal processor behind it, else libcamera's.
fn csi_pipeline(sensor: &str, size: Option<(u32, u32)>, fps: Option<f64>, nvidia: bool, libcamera: bool) -> Result<String, String> {
    let mut caps = String::new();
    if let Some((width, height)) = size {
        caps += &format!(",width={width},height={height}");
    }
    if let Some(fps) = fps {
        let (over, under) = if fps.fract() == 0.0 { (fps as u64, 1) } else { ((fps * 1000.0).round() as u64, 1000) };
        caps += &format!(",framerate={over}/{under}");
    }
    let number = sensor.parse::<u32>().ok();
    match (nvidia, libcamera, number) {
        (true, _, Some(number)) => {
            Ok(format!("nvarguscamerasrc sensor-id={number} ! video/x-raw(memory:NVMM){caps} ! nvvidconv ! video/x-raw,format=I420 {OURS}"))
        }
        (true, false, None) => Err(format!("'{sensor}' is no number: nvarguscamerasrc knows sensors by number, csi://0")),
        (_, true, Some(0)) => Ok(format!("libcamerasrc ! video/x-raw{caps} {OURS}")),
        (_, true, None) => Ok(format!("libcamerasrc camera-name={} ! video/x-raw{caps} {OURS}", quoted(sensor))),
        (false, true, Some(number)) => {
            Err(format!("libcamera knows all but the first sensor by name: write csi:// and the name in place of {number}; `cam -l` lists them"))
        }
        (false, false, _) => Err(
            "GStreamer has neither nvarguscamerasrc (JetPack) nor libcamerasrc here (apt install gstreamer1.0-libcamera gstreamer1.0-tools gstreamer1.0-plugins-good)"
                .into(),
        ),
    }
}

/// What has been found once: a receiver is started anew at every attempt, and asking costs as long as an attempt.
static FOUND: Mutex<BTreeSet<Vec<&str>>> = Mutex::new(BTreeSet::new());

/// Whether `program` is there and does what `arguments` ask for.
fn has(program: &'static str, arguments: &[&'static str]) -> bool {
    let asked: Vec<&str> = [&[program], arguments].concat();
    let mut found = FOUND.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    let there = found.contains(&asked) || {
        let run = Command::new(program).args(arguments).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status();
        run.is_ok_and(|status| status.success())
    };
    if there {
        found.insert(asked);
    }
    there
}

fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

/// A pipeline as `gst-launch-1.0` takes it: an argument a word; what is quoted stays together.
fn tokens(pipeline: &str) -> Result<Vec<String>, String> {
    let mut out: Vec<String> = Vec::new();
    let mut quote = None;
    let mut word = String::new();
    for letter in pipeline.chars() {
        match (quote, letter) {
            (None, ' ' | '\t' | '\n') => {
                if !word.is_empty() {
                    out.push(std::mem::take(&mut word));
                }
                continue;
            }
            (None, '"' | '\'') => quote = Some(letter),
            (Some(open), close) if open == close => quote = None,
            _ => {}
        }
        word.push(letter);
    }
    if quote.is_some() {
        return Err("a quotation mark in the pipeline is not closed".into());
    }
    out.extend((!word.is_empty()).then_some(word));
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(uri: &str) -> Spec {
        parse(uri, &CaptureRequest::default()).unwrap().unwrap()
    }

    fn refuse(uri: &str) -> String {
        parse(uri, &CaptureRequest::default()).unwrap().unwrap_err()
    }

    #[test]
    fn what_stands_behind_a_question_mark_is_the_servers() {
        let url = "http://cam:8080/video.mjpg?user=a&fps=5";
        assert_eq!(read(url), Spec::Address { url: url.into(), udp: false });
        assert_eq!(read("rtsp://cam/1#transport=udp"), Spec::Address { url: "rtsp://cam/1".into(), udp: true });
        assert!(refuse("rtsp://cam/1#speed=5").contains("transport=udp"));
        assert!(refuse("rtsp:///1").contains("names no host"));
        assert!(parse("warp://9", &CaptureRequest::default()).is_none());
    }

    #[test]
    fn sensors_are_received_by_what_the_board_has() {
        assert_eq!(
            read("csi://1?width=1280&height=720&fps=30"),
            Spec::Csi { sensor: "1".into(), size: Some((1280, 720)), fps: Some(30.0) }
        );
        assert_eq!(read("csi:///base/soc/i2c@1").name(), "csi:///base/soc/i2c@1");
        assert!(refuse("csi://0?width=5").contains("go together"));
        assert!(refuse("csi://").contains("csi://0"));
        let jetson = csi_pipeline("1", Some((1280, 720)), Some(29.97), true, false).unwrap();
        assert!(
            jetson.starts_with(
                "nvarguscamerasrc sensor-id=1 ! video/x-raw(memory:NVMM),width=1280,height=720,framerate=29970/1000 ! nvvidconv"
            )
        );
        assert!(csi_pipeline("0", None, None, false, true).unwrap().starts_with("libcamerasrc ! video/x-raw !"));
        assert!(csi_pipeline("1", None, None, false, true).unwrap_err().contains("cam -l"));
        assert!(csi_pipeline("0", None, None, false, false).unwrap_err().contains("libcamerasrc"));
    }

    #[test]
    fn a_pipeline_is_split_into_words_outside_quotes() {
        assert_eq!(tokens("a b=\"c d\"  ! e").unwrap(), ["a", "b=\"c d\"", "!", "e"]);
        assert!(refuse("gst:a b=\"c").contains("not closed"));
        assert!(refuse("gst:").contains("names no pipeline"));
    }

    #[test]
    fn what_is_there_is_asked_for_once_and_what_is_not_again_and_again() {
        assert!(has("true", &[]) && has("true", &[]));
        assert!(!has("false", &[]) && !has("no-such-program-at-all", &["--version"]));
        let found = FOUND.lock().unwrap();
        assert!(found.contains(&vec!["true"]) && !found.contains(&vec!["false"]));
    }

    #[test]
    fn passwords_are_in_no_name() {
        assert_eq!(read("rtsp://me:secret@cam/1").name(), "rtsp://me:***@cam/1");
    }
}
