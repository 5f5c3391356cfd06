//! From chunk to chunk of an AVI.
//!
//! Read from front to back as a flat run of chunks; lists are entered, never counted, so a file whose sizes were not
//! filled in (the recorder lost power, or wrote into a pipe) still plays. Where no chunk stands that an AVI has, the next one is looked
//! for: recorders leave nulls between chunks, forget the byte that fills up odd ones, or put in chunks of their own.

use std::io::Read;

use super::super::window::Window;

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

impl Header {
    /// Whether each picture is a JPEG.
    pub fn is_mjpeg(&self) -> bool {
        self.codec.eq_ignore_ascii_case(b"MJPG")
    }
}

/// Reads frame after frame.
pub struct Reader<R> {
    from: Window<R>,
    /// Bytes there are, where that is known.
    length: Option<u64>,
    /// Where the outermost chunk says that it ends, where it does.
    promised: Option<u64>,
    header: Header,
    frames: u64,
    passed_over: u64,
    /// The last chunk had an odd size, and a byte may fill it up.
    odd: bool,
}

/// One step through the file.
struct Chunk {
    id: [u8; 4],
    size: u32,
}

impl<R: Read> Reader<R> {
    /// Reads the headers, up to the first picture. `length`: bytes there are, where that is known.
    pub fn new(from: R, length: Option<u64>) -> Result<Reader<R>, String> {
        let mut reader =
            Reader { from: Window::new(from), length, promised: None, header: Header::default(), frames: 0, passed_over: 0, odd: false };
        let riff = reader.head()?.filter(|chunk| chunk.id == *b"RIFF").ok_or("it does not begin with RIFF")?;
        reader.promised = (!unknown(riff.size)).then_some(8 + u64::from(riff.size));
        if reader.bytes::<4>()? != *b"AVI " {
            return Err("it is a RIFF file, but no AVI".into());
        }
        reader.headers()?;
        reader.passed_over = 0;
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
        let (length, promised) = (self.length?, self.promised?);
        (promised > length).then(|| format!("the file ends at byte {length} and its header promises {promised}"))
    }

    /// What is odd about the film, once it was read to its end.
    pub fn remark(&self) -> Option<String> {
        let (frames, promised) = (self.frames, u64::from(self.header.frames));
        let passed = match self.passed_over {
            0 => String::new(),
            bytes => format!("; {bytes} bytes between its frames are no part of an AVI and were passed over"),
        };
        if frames < promised {
            Some(format!("{frames} of the {promised} frames that its header states are in it{passed}"))
        } else {
            (promised == 0 && self.passed_over > 0).then(|| format!("{frames} frames are in it{passed}"))
        }
    }

    /// Reads the next picture into `data`; an empty one (the recorder had none) leaves it empty. False at the end.
    pub fn next(&mut self, data: &mut Vec<u8>) -> Result<bool, String> {
        let number = self.frames;
        data.clear();
        loop {
            let Some(chunk) = self.chunk()? else {
                // Its own end is the length of what came through a pipe.
                self.length = self.length.or(Some(self.from.at()));
                return match self.missing() {
                    Some(missing) => Err(format!("the video is cut short after {number} frames: {missing}")),
                    None => Ok(false),
                };
            };
            match &chunk.id {
                b"LIST" | b"RIFF" => {
                    self.bytes::<4>()?;
                }
                id if self.is_picture(id) => {
                    let size = u64::from(chunk.size);
                    self.from.take(size, data).map_err(|error| format!("cannot read frame {number}: {error}"))?;
                    let there = data.len() as u64;
                    if there < size {
                        return Err(format!(
                            "frame {number} is cut short: {there} of {size} bytes are there; the {number} frames before it are whole"
                        ));
                    }
                    self.odd = size % 2 == 1;
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
                    self.header.frames = if unknown(fields[4]) { 0 } else { fields[4] };
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

    /// The head of the next chunk, passing over what is none.
    fn chunk(&mut self) -> Result<Option<Chunk>, String> {
        if std::mem::take(&mut self.odd) && (!self.stands(0, 11)? || self.stands(1, 11)?) {
            self.skip_bytes(1)?;
        }
        let head = self.peek(10)?;
        if head.len() < 8 {
            self.skip_bytes(8)?;
            return Ok(None);
        }
        if !self.stands(0, 10)? && !self.search()? {
            return Ok(None);
        }
        self.head()
    }

    /// Whether a chunk of an AVI begins `at` bytes ahead, looking at `ahead` bytes.
    fn stands(&mut self, at: usize, ahead: usize) -> Result<bool, String> {
        let left = self.length.map(|length| length.saturating_sub(self.from.at() + at as u64 + 8));
        let picture = |id: &[u8; 4], header: &Header| is_picture(id, header.stream);
        let window = self.from.peek(ahead).map_err(|error| error.to_string())?;
        let Some(([a, b, c, d, s0, s1, s2, s3], content)) = window.get(at..).and_then(|rest| rest.split_first_chunk::<8>()) else {
            return Ok(false);
        };
        let (id, size) = ([*a, *b, *c, *d], u32::from_le_bytes([*s0, *s1, *s2, *s3]));
        let fits = left.is_none_or(|left| u64::from(size) <= left);
        Ok(match &id {
            b"LIST" | b"RIFF" => true,
            // The last picture of a cut film is there in part, and begins as a picture.
            _ if picture(&id, &self.header) => {
                fits || (at == 0 && (!self.header.is_mjpeg() || content.len() < 2 || content.starts_with(&[0xff, 0xd8])))
            }
            b"avih" | b"strh" | b"strf" | b"strd" | b"strn" | b"vprp" | b"dmlh" | b"indx" | b"JUNK" | b"junk" | b"idx1" | b"ISFT"
            | b"IDIT" | b"IARL" | b"ICRD" | b"INAM" | b"ICMT" => fits,
            [b'i', b'x', t, o] | [t, o, b'i', b'x'] => fits && t.is_ascii_digit() && o.is_ascii_digit(),
            [t, o, b'd', b'c' | b'b'] | [t, o, b'w', b'b'] | [t, o, b't', b'x'] | [t, o, b'p', b'c'] | [t, o, b's', b'b'] => {
                fits && t.is_ascii_digit() && o.is_ascii_digit()
            }
            _ => false,
        })
    }

    /// Passes over bytes until a chunk begins that an AVI has; false at the end.
    fn search(&mut self) -> Result<bool, String> {
        loop {
            let there = self.peek(usize::MAX)?.len();
            if there < 8 {
                self.pass_over(there as u64)?;
                return Ok(false);
            }
            for at in 1..=there - 8 {
                let (stream, is_mjpeg) = (self.header.stream, self.header.is_mjpeg());
                let window = self.peek(usize::MAX)?;
                let id = [window[at], window[at + 1], window[at + 2], window[at + 3]];
                // Inside foreign bytes a picture counts only with the marker that pictures begin with.
                let likely = !(is_mjpeg && is_picture(&id, stream)) || window.get(at + 8..at + 10) == Some(&[0xff, 0xd8]);
                if likely && self.stands(at, usize::MAX)? {
                    self.pass_over(at as u64)?;
                    return Ok(true);
                }
            }
            // The last bytes may be the first of a chunk.
            self.pass_over((there - 8).max(1) as u64)?;
        }
    }

    fn pass_over(&mut self, bytes: u64) -> Result<(), String> {
        // Nulls are what many recorders leave; nobody needs to know.
        let nulls = self.peek(bytes as usize)?.iter().all(|byte| *byte == 0);
        self.passed_over += if nulls { 0 } else { bytes };
        self.skip_bytes(bytes)
    }

    fn is_picture(&self, id: &[u8; 4]) -> bool {
        is_picture(id, self.header.stream)
    }

    fn head(&mut self) -> Result<Option<Chunk>, String> {
        if self.peek(8)?.len() < 8 {
            return Ok(None);
        }
        let [a, b, c, d, size @ ..] = self.bytes::<8>()?;
        Ok(Some(Chunk { id: [a, b, c, d], size: u32::from_le_bytes(size) }))
    }

    fn peek(&mut self, count: usize) -> Result<&[u8], String> {
        let at = self.from.at();
        self.from.peek(count).map_err(|error| format!("cannot read it at byte {at}: {error}"))
    }

    fn bytes<const N: usize>(&mut self) -> Result<[u8; N], String> {
        let out = self.peek(N)?.first_chunk::<N>().copied();
        self.skip_bytes(N as u64)?;
        out.ok_or_else(|| format!("it is cut short at byte {}", self.from.at()))
    }

    fn words<const N: usize>(&mut self) -> Result<[u32; N], String> {
        let mut out = [0; N];
        for word in &mut out {
            *word = u32::from_le_bytes(self.bytes()?);
        }
        Ok(out)
    }

    fn skip_bytes(&mut self, count: u64) -> Result<(), String> {
        let at = self.from.at();
        self.from.skip(count).map_err(|error| format!("cannot read it at byte {at}: {error}"))
    }

    /// Steps over a chunk's remaining `size` bytes. Chunks begin at even bytes, unless the recorder forgot.
    fn skip(&mut self, size: u32) -> Result<(), String> {
        self.odd = size % 2 == 1;
        self.skip_bytes(u64::from(size))
    }
}

fn is_picture(id: &[u8; 4], stream: u8) -> bool {
    matches!(id, [tens, ones, b'd', b'c' | b'b'] if [*tens, *ones] == [b'0' + stream / 10 % 10, b'0' + stream % 10])
}

/// Sizes and counts that stand where the recorder could not go back to fill them in.
fn unknown(size: u32) -> bool {
    size == 0 || size == i32::MAX as u32 || size >= 0xffff_ff00
}
