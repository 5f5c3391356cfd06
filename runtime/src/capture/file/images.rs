//! A folder of images, in the order of their names.

use std::fs::File;
use std::io::{BufRead, BufReader, Seek};
use std::path::{Path, PathBuf};
use std::time::Duration;

use image::{ColorType, ImageFormat, ImageReader, Limits};

use super::cannot_open;
use crate::capture::{CaptureError, Losses, Pull, Source, SourceInfo};
use crate::clock;
use crate::frame::{Frame, PixelFormat, Range};

const ENDINGS: [&str; 7] = ["png", "jpg", "jpeg", "pgm", "ppm", "pnm", "bmp"];
/// Widest and tallest picture, in pixels.
const LARGEST: u32 = 16_384;
/// Bytes one picture may take while it is decoded.
const MEMORY: u64 = 512 << 20;

/// Still pictures as a video: grey ones as grey, others as RGB.
pub(in crate::capture) struct Images {
    files: std::vec::IntoIter<PathBuf>,
    info: SourceInfo,
    sequence: u64,
}

impl Images {
    /// Opens a folder.
    pub fn open(uri: &str, folder: &Path) -> Result<Images, CaptureError> {
        Images::of(uri, folder, listed(folder)?)
    }

    /// One picture as a video of one frame.
    pub fn single(uri: &str, file: &Path) -> Result<Images, CaptureError> {
        Images::of(uri, file, vec![file.to_owned()])
    }

    fn of(uri: &str, path: &Path, files: Vec<PathBuf>) -> Result<Images, CaptureError> {
        let first = &files[0];
        let (width, height) = ImageReader::open(first)
            .and_then(ImageReader::with_guessed_format)
            .map_err(|error| cannot_open(first, &error))?
            .into_dimensions()
            .map_err(|error| CaptureError::Format {
                path: first.display().to_string(),
                reason: format!("no image can be read from it: {error}"),
            })?;
        let description = format!("{}, {} images, the first {width}x{height}", path.display(), files.len());
        let info = SourceInfo { uri: uri.to_owned(), description, width, height, fps: None, live: false, timed: false, notes: Vec::new() };
        Ok(Images { files: files.into_iter(), info, sequence: 0 })
    }
}

/// The images of a folder in the order of their names; there is at least one.
pub fn listed(folder: &Path) -> Result<Vec<PathBuf>, CaptureError> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(|error| cannot_open(folder, &error))? {
        let path = entry.map_err(|error| cannot_open(folder, &error))?.path();
        let ending = path.extension().and_then(|ending| ending.to_str()).map(str::to_ascii_lowercase);
        if ending.is_some_and(|ending| ENDINGS.contains(&ending.as_str())) && path.is_file() {
            files.push(path);
        }
    }
    if files.is_empty() {
        let reason = format!("the folder holds no images; read are .{}", ENDINGS.join(", ."));
        return Err(CaptureError::Open { path: folder.display().to_string(), reason });
    }
    files.sort_by_cached_key(|path| natural(path));
    Ok(files)
}

/// Whether a file begins like an image we read.
pub(super) fn is_image(start: &[u8]) -> bool {
    matches!(image::guess_format(start), Ok(ImageFormat::Png | ImageFormat::Jpeg | ImageFormat::Pnm | ImageFormat::Bmp))
}

/// Orders `2_10.png` after `2_9.png`: runs of digits count as numbers.
fn natural(path: &Path) -> Vec<(u64, String)> {
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let mut key = Vec::new();
    let mut rest = name.as_str();
    while !rest.is_empty() {
        let text = rest.find(|c: char| c.is_ascii_digit()).unwrap_or(rest.len());
        let digits = rest[text..].find(|c: char| !c.is_ascii_digit()).map_or(rest.len(), |length| text + length);
        key.push((0, rest[..text].to_owned()));
        key.push((rest[text..digits].parse().unwrap_or(u64::MAX), rest[text..digits].to_owned()));
        rest = &rest[digits..];
    }
    key
}

/// Decodes one image of any kind we read, whatever its name: grey ones to grey, others to RGB.
pub fn decode<R: BufRead + Seek>(from: R, frame: &mut Frame) -> Result<(), String> {
    let mut reader = ImageReader::new(from).with_guessed_format().map_err(|error| error.to_string())?;
    let mut limits = Limits::default();
    limits.max_image_width = Some(LARGEST);
    limits.max_image_height = Some(LARGEST);
    limits.max_alloc = Some(MEMORY);
    reader.limits(limits);
    let picture = reader.decode().map_err(|error| error.to_string())?;
    (frame.width, frame.height) = (picture.width(), picture.height());
    match picture.color() {
        ColorType::L8 | ColorType::La8 | ColorType::L16 | ColorType::La16 => {
            frame.format = PixelFormat::Grey;
            frame.data = picture.into_luma8().into_raw().into();
        }
        _ => {
            frame.format = PixelFormat::Rgb24;
            frame.data = picture.into_rgb8().into_raw().into();
        }
    }
    frame.stride = frame.format.row_bytes(frame.width);
    Ok(())
}

impl Source for Images {
    fn info(&self) -> &SourceInfo {
        &self.info
    }

    fn pull(&mut self, frame: &mut Frame, _wait: Duration) -> Result<Pull, CaptureError> {
        let Some(path) = self.files.next() else { return Ok(Pull::End) };
        let number = self.sequence;
        self.sequence += 1;
        let fail = |reason: String| CaptureError::Format {
            path: path.display().to_string(),
            reason: format!("image {number} cannot be read: {reason}"),
        };
        let file = File::open(&path).map_err(|error| fail(error.to_string()))?;
        decode(BufReader::new(file), frame).map_err(fail)?;
        frame.range = Range::Full;
        frame.sequence = number;
        frame.captured = clock::now();
        frame.cut = false;
        Ok(Pull::Frame)
    }

    fn losses(&self) -> Losses {
        Losses::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use image::{GrayImage, RgbImage};

    #[test]
    fn images_come_in_the_order_of_their_numbers_as_grey_or_colour() {
        let folder = tempfile::tempdir().unwrap();
        for (name, grey) in [("v_10.png", 10), ("v_9.pgm", 9), ("v_2.bmp", 2)] {
            GrayImage::from_pixel(4, 3, image::Luma([grey])).save(folder.path().join(name)).unwrap();
        }
        RgbImage::from_pixel(5, 2, image::Rgb([1, 2, 3])).save(folder.path().join("v_11.ppm")).unwrap();
        std::fs::write(folder.path().join("notes.txt"), "no image").unwrap();
        let mut source = Images::open("x", folder.path()).unwrap();
        let mut frame = Frame::default();
        for grey in [2, 9, 10] {
            assert_eq!(source.pull(&mut frame, Duration::ZERO).unwrap(), Pull::Frame);
            assert_eq!(frame.data[0], grey);
        }
        assert_eq!(source.pull(&mut frame, Duration::ZERO).unwrap(), Pull::Frame);
        assert_eq!((frame.format, frame.width, frame.height, &frame.data[..3]), (PixelFormat::Rgb24, 5, 2, &[1, 2, 3][..]));
        assert_eq!(source.pull(&mut frame, Duration::ZERO).unwrap(), Pull::End);
    }

    #[test]
    fn a_broken_image_is_named_and_the_next_still_comes() {
        let folder = tempfile::tempdir().unwrap();
        GrayImage::new(4, 3).save(folder.path().join("1.png")).unwrap();
        std::fs::write(folder.path().join("2.png"), b"\x89PNG\r\n\x1a\nbroken").unwrap();
        GrayImage::new(4, 3).save(folder.path().join("3.png")).unwrap();
        let mut source = Images::open("x", folder.path()).unwrap();
        let mut frame = Frame::default();
        assert_eq!(source.pull(&mut frame, Duration::ZERO).unwrap(), Pull::Frame);
        let error = source.pull(&mut frame, Duration::ZERO).unwrap_err().to_string();
        assert!(error.contains("2.png") && error.contains("image 1 cannot be read"), "{error}");
        assert_eq!(source.pull(&mut frame, Duration::ZERO).unwrap(), Pull::Frame);
    }

    #[test]
    fn a_folder_without_images_says_what_would_be_read() {
        let folder = tempfile::tempdir().unwrap();
        assert!(Images::open("x", folder.path()).err().unwrap().to_string().contains(".png, .jpg"));
    }
}
