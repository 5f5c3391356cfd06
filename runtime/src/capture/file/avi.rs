//! AVI files with Motion JPEG inside; others are passed to ffmpeg.
//!
//! Read from front to back as a flat run of chunks; lists are entered, never counted, so a file whose sizes were not
//! filled in (the recorder lost power) still plays.

use std::fs::File;
use std::io::{BufReader, Read, Seek, SeekFrom};
use std::path::Path;
use std::time::Duration;

use super::{cannot_open, ffmpeg, read_up_to};
use crate::capture::{CaptureError, Losses, Pull, Source, SourceInfo, jpeg};
use crate::clock;
use crate::frame::{Frame, PixelFormat, Range};

/// What the headers say of the first video stream.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Header {
    /// Width in pixels.
    pub width: u32,
    /// Height in pixels.
    pub height: u32,
    /// Frames per second, where stated.
    pub fps: Option<f64>,
    /// The codec's FourCC.
    pub codec: [u8; 4],
    /// Frames the file says it holds; 0 where it does not say.
    pub frames: u32,
    /// Number of the stream.
    stream: u8,
}

/// Reads frame after frame.
pub struct Reader<R> {
    from: R,
    at: u64,
    length: u64,
    /// Where the outermost chunk says that it ends.
    promised: u64,
    header: Header,
    frames: u64,
}

/// One step through the file.
struct Chunk {
    id: [u8; 4],
    size: u32,
}

impl<R: Read + Seek> Reader<R> {
    /// Reads the headers, up to the first picture.
    pub fn new(mut from: R) -> Result<Reader<R>, String> {
        let length = from.seek(SeekFrom::End(0)).and_then(|length| from.rewind().map(|()| length)).map_err(|error| error.to_string())?;
        let mut reader = Reader { from, at: 0, length, promised: 0, header: Header::default(), frames: 0 };
        let riff = reader.chunk()?.filter(|chunk| chunk.id == *b"RIFF").ok_or("it does not begin with RIFF")?;
        reader.promised = 8 + u64::from(riff.size);
        if reader.bytes::<4>()? != *b"AVI " {
            return Err("it is a RIFF file, but no AVI".into());
        }
        reader.headers()?;
        Ok(reader)
    }

    /// What the headers say.
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// Pictures passed so far, empty ones included.
    pub fn frames(&self) -> u64 {
        self.frames
    }

    /// Says by how much the file is shorter than its own header promises.
    pub fn missing(&self) -> Option<String> {
        (self.promised > self.length).then(|| format!("the file ends at byte {} and its header promises {}", self.length, self.promised))
    }

    /// Reads the next picture into `data`; an empty one (the recorder had none) leaves it empty. False at the end.
    pub fn next(&mut self, data: &mut Vec<u8>) -> Result<bool, String> {
        let number = self.frames;
        data.clear();
        loop {
            let Some(chunk) = self.chunk()? else {
                return match self.missing() {
                    Some(missing) => Err(format!("the video is cut short after {number} frames: {missing}")),
                    None => Ok(false),
                };
            };
            match &chunk.id {
                b"LIST" | b"RIFF" => {
                    self.bytes::<4>()?;
                }
                [tens, ones, b'd', b'c' | b'b'] if [*tens, *ones] == digits(self.header.stream) => {
                    let there = self.length - self.at;
                    if u64::from(chunk.size) > there {
                        return Err(format!(
                            "frame {number} is cut short: {there} of {} bytes are there; the {number} frames before it are whole",
                            chunk.size
                        ));
                    }
                    (&mut self.from)
                        .take(u64::from(chunk.size))
                        .read_to_end(data)
                        .map_err(|error| format!("cannot read frame {number}: {error}"))?;
                    self.at += u64::from(chunk.size);
                    self.pad(chunk.size)?;
                    self.frames += 1;
                    return Ok(true);
                }
                _ => self.skip(chunk.size)?,
            }
        }
    }

    fn headers(&mut self) -> Result<(), String> {
        let mut stream: Option<u8> = None;
        let mut video = false;
        let mut found = false;
        loop {
            let Some(chunk) = self.chunk()? else { return Err("it ends before its pictures begin".into()) };
            match &chunk.id {
                b"LIST" => match &self.bytes::<4>()? {
                    b"movi" => break,
                    b"strl" => stream = Some(stream.map_or(0, |number| number.saturating_add(1))),
                    _ => {}
                },
                b"avih" if chunk.size >= 40 => {
                    let fields = self.words::<10>()?;
                    self.header.fps = (fields[0] > 0).then(|| 1e6 / f64::from(fields[0]));
                    self.header.frames = fields[4];
                    (self.header.width, self.header.height) = (fields[8], fields[9]);
                    self.skip(chunk.size - 40)?;
                }
                b"strh" if chunk.size >= 28 && !found => {
                    let fields = self.words::<7>()?;
                    video = fields[0].to_le_bytes() == *b"vids";
                    if video {
                        found = true;
                        self.header.stream = stream.unwrap_or(0);
                        self.header.codec = fields[1].to_le_bytes();
                        if fields[5] > 0 && fields[6] > 0 {
                            self.header.fps = Some(f64::from(fields[6]) / f64::from(fields[5]));
                        }
                    }
                    self.skip(chunk.size - 28)?;
                }
                b"strf" if video && chunk.size >= 20 => {
                    let fields = self.words::<5>()?;
                    (self.header.width, self.header.height) = (fields[1], (fields[2] as i32).unsigned_abs());
                    self.header.codec = fields[4].to_le_bytes();
                    video = false;
                    self.skip(chunk.size - 20)?;
                }
                _ => self.skip(chunk.size)?,
            }
        }
        if found { Ok(()) } else { Err("it holds no video stream".into()) }
    }

    fn chunk(&mut self) -> Result<Option<Chunk>, String> {
        let mut head = [0; 8];
        let read = read_up_to(&mut self.from, &mut head).map_err(|error| format!("cannot read it at byte {}: {error}", self.at))?;
        self.at += read as u64;
        if read < 8 {
            return Ok(None);
        }
        let [a, b, c, d, size @ ..] = head;
        Ok(Some(Chunk { id: [a, b, c, d], size: u32::from_le_bytes(size) }))
    }

    fn bytes<const N: usize>(&mut self) -> Result<[u8; N], String> {
        let mut out = [0; N];
        let read = read_up_to(&mut self.from, &mut out).map_err(|error| format!("cannot read it at byte {}: {error}", self.at))?;
        self.at += read as u64;
        if read == N { Ok(out) } else { Err(format!("it is cut short at byte {}", self.at)) }
    }

    fn words<const N: usize>(&mut self) -> Result<[u32; N], String> {
        let mut out = [0; N];
        for word in &mut out {
            *word = u32::from_le_bytes(self.bytes()?);
        }
        Ok(out)
    }

    /// Steps over a chunk's remaining `size` bytes; chunks begin at even bytes.
    fn skip(&mut self, size: u32) -> Result<(), String> {
        let to = (self.at + u64::from(size) + u64::from(size & 1)).min(self.length);
        self.from.seek(SeekFrom::Start(to)).map_err(|error| format!("cannot read it at byte {to}: {error}"))?;
        self.at = to;
        Ok(())
    }

    fn pad(&mut self, size: u32) -> Result<(), String> {
        if size & 1 == 1 && self.at < self.length {
            self.bytes::<1>()?;
        }
        Ok(())
    }
}

fn digits(number: u8) -> [u8; 2] {
    [b'0' + number / 10 % 10, b'0' + number % 10]
}

/// Opens an AVI: Motion JPEG here, anything else by ffmpeg.
pub(super) fn open(uri: &str, path: &Path) -> Result<Box<dyn Source>, CaptureError> {
    let file = File::open(path).map_err(|error| cannot_open(path, &error))?;
    let name = path.display().to_string();
    let reader =
        Reader::new(BufReader::with_capacity(1 << 16, file)).map_err(|reason| CaptureError::Format { path: name.clone(), reason })?;
    if !reader.header().codec.eq_ignore_ascii_case(b"MJPG") {
        let stated = ffmpeg::Stated { codec: spell(reader.header().codec), missing: reader.missing() };
        return Ok(Box::new(ffmpeg::Ffmpeg::open(uri, path, Some(stated))?));
    }
    let Header { width, height, fps, .. } = *reader.header();
    let description = format!("{name}, Motion JPEG {width}x{height}");
    let info = SourceInfo { uri: uri.to_owned(), description, width, height, fps, live: false, timed: false, notes: Vec::new() };
    Ok(Box::new(Avi { reader, info, path: name, losses: Losses::default(), done: false }))
}

fn spell(codec: [u8; 4]) -> String {
    match &codec.map(|byte| byte.to_ascii_lowercase()) {
        b"div3" | b"mp43" => "MS MPEG-4 v3 (div3)".into(),
        b"xvid" | b"divx" | b"dx50" | b"fmp4" | b"mp4v" => "MPEG-4 part 2".into(),
        b"h264" | b"avc1" | b"x264" => "H.264".into(),
        [0, 0, 0, 0] | b"dib " => "uncompressed RGB".into(),
        _ => format!("'{}'", codec.map(|byte| if byte.is_ascii_graphic() { byte as char } else { '.' }).iter().collect::<String>()),
    }
}

struct Avi {
    reader: Reader<BufReader<File>>,
    info: SourceInfo,
    path: String,
    losses: Losses,
    done: bool,
}

impl Source for Avi {
    fn info(&self) -> &SourceInfo {
        &self.info
    }

    fn pull(&mut self, frame: &mut Frame, _wait: Duration) -> Result<Pull, CaptureError> {
        while !self.done {
            match self.reader.next(frame.data.vec()) {
                // The recorder had no picture for this tick.
                Ok(true) if frame.data.is_empty() => self.losses.dropped += 1,
                Ok(true) => {
                    frame.sequence = self.reader.frames() - 1;
                    let Ok((width, height)) = jpeg::size(&frame.data) else {
                        self.losses.corrupt += 1;
                        continue;
                    };
                    (frame.width, frame.height) = (width, height);
                    frame.format = PixelFormat::Mjpeg;
                    frame.range = Range::Full;
                    frame.stride = 0;
                    frame.captured = clock::now();
                    frame.cut = false;
                    return Ok(Pull::Frame);
                }
                Ok(false) => self.done = true,
                Err(reason) => {
                    self.done = true;
                    return Err(CaptureError::Format { path: self.path.clone(), reason });
                }
            }
        }
        Ok(Pull::End)
    }

    fn losses(&self) -> Losses {
        self.losses
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Cursor;

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

    fn video(codec: &[u8; 4], pictures: &[&[u8]]) -> Vec<u8> {
        let fourcc = u32::from_le_bytes(*codec);
        let avih = chunk(b"avih", &words(&[40_000, 0, 0, 0, pictures.len() as u32, 0, 2, 0, 32, 24, 0, 0, 0, 0]));
        let sound = list(b"strl", &[chunk(b"strh", &words(&[u32::from_le_bytes(*b"auds"), 0, 0, 0, 0, 1, 8000, 0, 0, 0, 0, 0, 0, 0]))]);
        let strh = chunk(b"strh", &words(&[u32::from_le_bytes(*b"vids"), fourcc, 0, 0, 0, 1, 25, 0, 0, 0, 0, 0, 0, 0]));
        let strf = chunk(b"strf", &words(&[40, 32, 24, 1, fourcc, 0, 0, 0, 0, 0]));
        let mut movi: Vec<_> = pictures.iter().map(|picture| [chunk(b"00wb", b"sound"), chunk(b"01dc", picture)].concat()).collect();
        movi.insert(1, chunk(b"JUNK", &[7; 31]));
        let body = [list(b"hdrl", &[avih, sound, list(b"strl", &[strh, strf])]), list(b"movi", &movi), chunk(b"idx1", &[0; 64])].concat();
        chunk(b"RIFF", &[b"AVI ".to_vec(), body].concat())
    }

    #[test]
    fn the_video_stream_is_found_among_sound_and_padding() {
        let bytes = video(b"MJPG", &[b"one", b"", b"three"]);
        let mut reader = Reader::new(Cursor::new(&bytes)).unwrap();
        assert_eq!((reader.header().width, reader.header().height, reader.header().fps), (32, 24, Some(25.0)));
        assert_eq!((reader.header().codec, reader.header().frames, reader.missing()), (*b"MJPG", 3, None));
        let mut data = Vec::new();
        for expected in [&b"one"[..], b"", b"three"] {
            assert_eq!(reader.next(&mut data), Ok(true));
            assert_eq!(data, expected);
        }
        assert_eq!(reader.next(&mut data), Ok(false));
    }

    #[test]
    fn a_cut_file_gives_its_whole_frames_and_then_says_where_it_ends() {
        let bytes = video(b"MJPG", &[b"one", b"two", b"three"]);
        let cut = bytes.windows(5).position(|window| window == b"three").unwrap() + 2;
        let mut reader = Reader::new(Cursor::new(&bytes[..cut])).unwrap();
        let mut data = Vec::new();
        assert_eq!((reader.next(&mut data), reader.next(&mut data)), (Ok(true), Ok(true)));
        let error = reader.next(&mut data).unwrap_err();
        assert!(error.contains("frame 2 is cut short: 2 of 5 bytes"), "{error}");
        let between = cut - 2 - 8 - 14;
        let mut reader = Reader::new(Cursor::new(&bytes[..between])).unwrap();
        assert_eq!((reader.next(&mut data), reader.next(&mut data)), (Ok(true), Ok(true)));
        assert!(reader.next(&mut data).unwrap_err().contains("cut short after 2 frames"));
    }

    #[test]
    fn no_prefix_of_a_file_makes_the_reader_panic_or_run_on() {
        let bytes = video(b"MJPG", &[b"one", b"two"]);
        for length in 0..bytes.len() {
            if let Ok(mut reader) = Reader::new(Cursor::new(&bytes[..length])) {
                let mut data = Vec::new();
                while reader.next(&mut data) == Ok(true) {}
                assert!(reader.frames() <= 2);
            }
        }
    }

    #[test]
    fn codecs_are_named_as_people_know_them() {
        assert_eq!(spell(*b"DIV3"), "MS MPEG-4 v3 (div3)");
        assert_eq!(spell(*b"cvid"), "'cvid'");
    }
}
