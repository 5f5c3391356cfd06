//! YUV4MPEG2 (`.y4m`): uncompressed video with a one-line header.

mod layout;
pub mod reader;
#[cfg(test)]
mod tests;

use std::time::Duration;

use super::ffmpeg;
use super::input::{Input, Joined};
use crate::frame::Frame;
use crate::source::{CaptureError, Losses, Pull, Source, SourceInfo};
pub use reader::{Header, Reader};
use reader::{LINE, foreign_layout};

/// Opens a `.y4m` film.
pub(super) fn open(uri: &str, mut input: Input) -> Result<Box<dyn Source>, CaptureError> {
    let path = input.name().to_owned();
    let fail = |reason: String| CaptureError::Format { path: path.clone(), reason };
    let head = input.look(LINE as usize).map_err(|error| fail(error.to_string()))?;
    if let Some(space) = foreign_layout(head)
        && ffmpeg::is_installed()
    {
        let stated = ffmpeg::Stated { codec: format!("Y4M C{space}"), missing: None };
        let refused = |_| fail(format!("its colour layout C{space} is read neither here nor by ffmpeg"));
        return Ok(Box::new(ffmpeg::Ffmpeg::open(uri, input, Some(stated)).map_err(refused)?));
    }
    let reader = Reader::new(input.joined()).map_err(fail)?;
    let Header { width, height, fps, format, .. } = *reader.header();
    let description = format!("{path}, uncompressed {format} {width}x{height}");
    let info = SourceInfo { uri: uri.to_owned(), description, width, height, fps, ..SourceInfo::default() };
    Ok(Box::new(Y4m { reader, info, path, done: false }))
}

struct Y4m {
    reader: Reader<Joined>,
    info: SourceInfo,
    path: String,
    done: bool,
}

impl Source for Y4m {
    fn info(&self) -> &SourceInfo {
        &self.info
    }

    fn pull(&mut self, frame: &mut Frame, _wait: Duration) -> Result<Pull, CaptureError> {
        if self.done {
            return Ok(Pull::End);
        }
        match self.reader.read(frame) {
            Ok(true) => Ok(Pull::Frame),
            Ok(false) => {
                self.done = true;
                Ok(Pull::End)
            }
            Err(reason) => {
                self.done = true;
                Err(CaptureError::Format { path: self.path.clone(), reason })
            }
        }
    }

    fn losses(&self) -> Losses {
        Losses::default()
    }
}
