//! Answers as pictures: for every frame a PNG of the source's size with a class index, or a matte's share of foreground, for each pixel.
//!
//! `eval --labels` and other tools read them as they read labelled masks.

use std::path::{Path, PathBuf};

use super::{Sink, SinkError};
use crate::telemetry::{AnswerMask, Report};
use crate::whole_file;

/// What stands where the network did not look, as data sets mark pixels that count for nothing.
const UNSEEN: u8 = 255;

/// Writes `NNNNNN.png` for every frame, NNNNNN its sequence number.
pub struct MaskFiles {
    folder: PathBuf,
}

impl MaskFiles {
    /// Into `folder`, which is made if it is not there.
    pub fn create(folder: &Path) -> Result<MaskFiles, SinkError> {
        let failed = |reason| SinkError::Write { place: folder.display().to_string(), reason };
        std::fs::create_dir_all(folder).map_err(failed)?;
        Ok(MaskFiles { folder: folder.to_owned() })
    }
}

/// `mask` at the size of the source's picture, row by row: each pixel has the answer at its centre.
fn spread(mask: &AnswerMask, [width, height]: [usize; 2]) -> Vec<u8> {
    let outside = if mask.matte { 0 } else { UNSEEN };
    let places = |count: usize, begin: f32, length: f32, cells: usize| -> Vec<Option<usize>> {
        let place = |at: usize| ((at as f32 + 0.5 - begin) / length * cells as f32).floor();
        (0..count).map(place).map(|cell| (cell >= 0.0 && cell < cells as f32).then_some(cell as usize)).collect()
    };
    let columns = places(width, mask.view.x, mask.view.width, mask.width);
    let rows = places(height, mask.view.y, mask.view.height, mask.height);
    let pixel = |row: Option<usize>, column: &Option<usize>| match (row, column) {
        (Some(row), Some(column)) => mask.pixels[row * mask.width + column],
        _ => outside,
    };
    rows.iter().flat_map(|row| columns.iter().map(move |column| pixel(*row, column))).collect()
}

impl Sink for MaskFiles {
    fn show(&mut self, report: &Report) -> Result<(), SinkError> {
        let Some(mask) = &report.mask else { return Ok(()) };
        let path = self.folder.join(format!("{:06}.png", report.sequence));
        let (width, height) = report.size;
        let pixels = spread(mask, [width as usize, height as usize]);
        let mut bytes = Vec::new();
        let mut encoder = png::Encoder::new(&mut bytes, width, height);
        encoder.set_color(png::ColorType::Grayscale);
        let encoded = encoder.write_header().and_then(|mut writer| writer.write_image_data(&pixels));
        let written = encoded.map_err(std::io::Error::other).and_then(|()| whole_file::write(&path, &bytes, whole_file::Keep::Lazily));
        written.map_err(|reason| SinkError::Write { place: path.display().to_string(), reason })
    }

    fn wants_mask(&self) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::telemetry::Region;

    #[test]
    fn every_pixel_of_the_picture_has_its_class_and_what_was_not_seen_none() {
        let folder = tempfile::tempdir().unwrap();
        let mut sink = MaskFiles::create(&folder.path().join("made/here")).unwrap();
        let view = Region { x: 1.0, y: 0.0, width: 4.0, height: 2.0 };
        let mask = AnswerMask { width: 2, height: 1, pixels: vec![0, 7], matte: false, view };
        sink.show(&Report { size: (6, 2), mask: Some(Arc::new(mask)), ..Report::for_tests(3) }).unwrap();
        let image = image::open(folder.path().join("made/here/000003.png")).unwrap();
        assert_eq!(image.to_luma8().into_raw(), [255, 0, 0, 7, 7, 255].repeat(2));
    }

    #[test]
    fn a_folder_that_cannot_be_made_is_an_error_that_names_it() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("file"), "").unwrap();
        let refused = MaskFiles::create(&folder.path().join("file/masks")).err().unwrap().to_string();
        assert!(refused.contains("file/masks"), "{refused}");
    }
}
