//! Every other video: decoded by an installed `ffmpeg`, run as a child that writes uncompressed frames into a pipe.

use std::io::{self, BufReader, Read, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::thread::JoinHandle;
use std::time::Duration;

use super::cannot_open;
use super::input::{Input, Parts};
use super::y4m::reader::Reader;
use crate::capture::{CaptureError, Losses, Pull, Source, SourceInfo};
use crate::frame::Frame;

/// Bytes of complaint that are kept.
const COMPLAINT: usize = 4096;

/// What the container itself says, where we read it.
pub(super) struct Stated {
    /// The codec's name.
    pub codec: String,
    /// How the file falls short of its own header.
    pub missing: Option<String>,
}

/// A running decoder. It is killed and reaped on drop.
pub(super) struct Ffmpeg {
    child: Child,
    reader: Reader<BufReader<ChildStdout>>,
    complaints: Option<JoinHandle<String>>,
    info: SourceInfo,
    path: String,
    missing: Option<String>,
    done: bool,
}

impl Ffmpeg {
    pub fn open(uri: &str, mut input: Input, stated: Option<Stated>) -> Result<Ffmpeg, CaptureError> {
        let name = input.name().to_owned();
        let fail = |reason: String| CaptureError::Format { path: name.clone(), reason };
        let codec = match &stated {
            Some(stated) => stated.codec.clone(),
            None => guess(&mut input),
        };
        let Some(version) = version() else {
            return Err(fail(format!(
                "{codec} video is decoded by ffmpeg, which is not installed (apt install ffmpeg); Y4M, Motion JPEG AVI and folders of images need nothing"
            )));
        };
        let mut from = std::ffi::OsString::from("pipe:0");
        let mut feed = None;
        match input.path() {
            Some(path) => {
                // A name that begins with a dash or holds a colon must stay a file name.
                from = "file:".into();
                from.push(std::path::absolute(path).map_err(|error| cannot_open(path, &error))?);
            }
            None => feed = Some(input.parts()),
        }
        // One frame out for each frame in: no duplicates to fill a constant rate, none dropped.
        let as_they_are: &[&str] = if version >= (5, 1) { &["-fps_mode", "passthrough"] } else { &["-vsync", "passthrough"] };
        let mut child = Command::new("ffmpeg")
            .args(["-nostdin", "-hide_banner", "-loglevel", "error", "-i"])
            .arg(from)
            .args(["-map", "0:v:0"])
            .args(as_they_are)
            .args(["-pix_fmt", "yuv420p", "-f", "yuv4mpegpipe", "pipe:1"])
            .stdin(if feed.is_some() { Stdio::piped() } else { Stdio::null() })
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|error| fail(format!("ffmpeg does not start: {error}")))?;
        if let (Some(parts), Some(to)) = (feed, child.stdin.take()) {
            std::thread::spawn(move || feed_into(parts, to));
        }
        let output = child.stdout.take().expect("stdout was piped");
        let mut errors = child.stderr.take().expect("stderr was piped");
        let complaints = std::thread::spawn(move || {
            let mut kept = Vec::new();
            let mut part = [0; 512];
            while let Ok(count @ 1..) = errors.read(&mut part) {
                let room = COMPLAINT.saturating_sub(kept.len());
                kept.extend_from_slice(&part[..count.min(room)]);
            }
            String::from_utf8_lossy(&kept).into_owned()
        });
        let reader = match Reader::new(BufReader::with_capacity(1 << 16, output)) {
            Ok(reader) => reader,
            Err(_) => {
                end(&mut child);
                let said = complaints.join().unwrap_or_default();
                return Err(fail(format!("ffmpeg finds no video in it: {}", first_line(&said, &name))));
            }
        };
        let (width, height, fps) = (reader.header().width, reader.header().height, reader.header().fps);
        let info = SourceInfo {
            uri: uri.to_owned(),
            description: format!("{name}, {codec} {width}x{height}, decoded by ffmpeg"),
            width,
            height,
            fps,
            ..SourceInfo::default()
        };
        Ok(Ffmpeg {
            child,
            reader,
            complaints: Some(complaints),
            info,
            path: name,
            missing: stated.and_then(|stated| stated.missing),
            done: false,
        })
    }

    /// What went wrong, if anything did, once no more frames come.
    fn verdict(&mut self) -> Result<Pull, CaptureError> {
        self.done = true;
        let status = self.child.wait();
        let said = self.complaints.take().and_then(|thread| thread.join().ok()).unwrap_or_default();
        let frames = self.reader.frames();
        let failed = !status.is_ok_and(|status| status.success());
        let cut = ["ended prematurely", "partial file", "truncat", "Invalid NAL", "moov atom"].iter().any(|sign| said.contains(sign));
        let reason = match &self.missing {
            Some(missing) => format!("the video is cut short after {frames} frames: {missing}"),
            None if failed || cut => {
                format!("the video is cut short or damaged after {frames} frames: {}", first_line(&said, &self.path))
            }
            None => {
                if !said.trim().is_empty() {
                    log::warn!("{}: ffmpeg decoded {frames} frames and said: {}", self.path, first_line(&said, &self.path));
                }
                return Ok(Pull::End);
            }
        };
        Err(CaptureError::Format { path: self.path.clone(), reason })
    }
}

impl Source for Ffmpeg {
    fn info(&self) -> &SourceInfo {
        &self.info
    }

    fn pull(&mut self, frame: &mut Frame, _wait: Duration) -> Result<Pull, CaptureError> {
        if self.done {
            return Ok(Pull::End);
        }
        match self.reader.read(frame) {
            Ok(true) => Ok(Pull::Frame),
            Ok(false) => self.verdict(),
            Err(reason) => {
                self.done = true;
                Err(CaptureError::Format { path: self.path.clone(), reason: format!("ffmpeg stopped: {reason}") })
            }
        }
    }

    fn losses(&self) -> Losses {
        Losses::default()
    }
}

impl Drop for Ffmpeg {
    fn drop(&mut self) {
        end(&mut self.child);
        // Its pipe is closed now, so the reader of complaints has ended too.
        if let Some(thread) = self.complaints.take() {
            let _ = thread.join();
        }
    }
}

fn end(child: &mut Child) {
    // Both fail only when the child has ended and been reaped.
    let _ = child.kill();
    let _ = child.wait();
}

/// Gives ffmpeg what can be read only once. It may leave before the end.
fn feed_into(parts: Parts, mut to: ChildStdin) {
    let Parts { head, mut rest } = parts;
    let _ = to.write_all(&head).and_then(|()| io::copy(&mut rest, &mut to));
}

/// Whether there is an ffmpeg to ask.
pub(super) fn is_installed() -> bool {
    version().is_some()
}

/// Major and minor version of the installed ffmpeg; builds without a number count as new.
fn version() -> Option<(u32, u32)> {
    let output = Command::new("ffmpeg").arg("-version").stdin(Stdio::null()).stderr(Stdio::null()).output().ok()?;
    let text = String::from_utf8_lossy(&output.stdout);
    let word = text.split_ascii_whitespace().nth(2)?;
    let mut numbers = word.trim_start_matches('n').split(['.', '-']).map_while(|part| part.parse().ok());
    Some((numbers.next().unwrap_or(u32::MAX), numbers.next().unwrap_or(0)))
}

/// The first thing ffmpeg said, without its own prefixes.
fn first_line(said: &str, name: &str) -> String {
    let line = said.lines().find(|line| !line.trim().is_empty()).unwrap_or("it gave no reason");
    let line = line.rsplit_once("] ").map_or(line, |(_, rest)| rest);
    line.replace(&format!("file:{name}: "), "").replace("pipe:0: ", "").trim().to_owned()
}

/// A container's name by its first bytes, else by its ending.
fn guess(input: &mut Input) -> String {
    let ending = input.path().and_then(Path::extension).map(|ending| format!(".{}", ending.to_string_lossy()));
    match input.look(12).unwrap_or_default() {
        [_, _, _, _, b'f', b't', b'y', b'p', ..] => "MP4".into(),
        [0x1a, 0x45, 0xdf, 0xa3, ..] => "Matroska/WebM".into(),
        [0, 0, 1, 0xba | 0xb3, ..] => "MPEG".into(),
        [b'O', b'g', b'g', b'S', ..] => "Ogg".into(),
        [b'G', b'I', b'F', ..] => "GIF".into(),
        [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'E', b'B', b'P'] => "WebP".into(),
        [0x89, b'P', b'N', b'G', ..] => "PNG".into(),
        _ => ending.unwrap_or_else(|| "this".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_complaint_is_cut_to_its_sentence() {
        let said = "\n[mov,mp4 @ 0x55] moov atom not found\nfile:/a/b.mp4: Invalid data\n";
        assert_eq!(first_line(said, "/a/b.mp4"), "moov atom not found");
        assert_eq!(first_line("file:/a/b.mp4: Invalid data", "/a/b.mp4"), "Invalid data");
    }

    #[test]
    fn a_file_that_is_no_video_is_refused_in_one_sentence() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("notes.mp4");
        std::fs::write(&path, "these are no pixels").unwrap();
        let error = Ffmpeg::open("x", Input::file(&path).unwrap(), None).err().unwrap().to_string();
        assert!(error.contains("ffmpeg finds no video in it") || error.contains("apt install ffmpeg"), "{error}");
    }
}
