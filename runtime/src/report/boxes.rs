//! Boxes as a file of results in COCO's form: `[{"image_id", "category_id", "bbox": [x, y, width, height], "score"}, ...]`.
//!
//! `image_id` is the frame's sequence number, which counts from 0 in films and folders; `category_id` is the class's place in model.toml,
//! counted from 1; `bbox` is in pixels of the source's picture. `class` and, where there is one, `track` stand beside them.

use std::path::PathBuf;
use std::sync::Arc;

use serde_json::json;

use super::{Sink, SinkError};
use crate::telemetry::Report;
use crate::whole_file;

/// Keeps every box in memory and writes the file when the stream ends.
pub struct BoxFile {
    path: PathBuf,
    classes: Arc<[String]>,
    found: Vec<String>,
}

impl BoxFile {
    /// To `path`, which is replaced as a whole; `classes` are the model's class names.
    pub fn new(path: PathBuf, classes: Arc<[String]>) -> BoxFile {
        BoxFile { path, classes, found: Vec::new() }
    }
}

impl Sink for BoxFile {
    fn show(&mut self, report: &Report) -> Result<(), SinkError> {
        for seen in &report.detections {
            let region = seen.region;
            let mut entry = json!({
                "image_id": report.sequence,
                "category_id": u32::from(seen.class) + 1,
                "bbox": [region.x, region.y, region.width, region.height],
                "score": seen.score,
                "class": self.classes.get(usize::from(seen.class)),
            });
            if seen.track > 0 {
                entry["track"] = seen.track.into();
            }
            self.found.push(entry.to_string());
        }
        Ok(())
    }

    fn finish(&mut self) -> Result<(), SinkError> {
        let text = format!("[{}]\n", self.found.join(",\n"));
        let written = whole_file::write(&self.path, text.as_bytes(), whole_file::Keep::Durable);
        written.map_err(|reason| SinkError::Write { place: self.path.display().to_string(), reason })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::{Detection, Region};

    #[test]
    fn a_file_of_results_reads_as_coco_has_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("results.json");
        let mut sink = BoxFile::new(path.clone(), Arc::from(["person".to_owned(), "car".to_owned()]));
        let region = Region { x: 1.5, y: 2.0, width: 10.0, height: 20.0 };
        let mut report = Report::for_tests(4);
        report.detections.push(Detection { class: 1, region, score: 0.75, ..Detection::default() }).unwrap();
        sink.show(&report).unwrap();
        assert!(!path.exists(), "half a file is none");
        sink.finish().unwrap();
        let read: serde_json::Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
        assert_eq!(read, json!([{"image_id": 4, "category_id": 2, "bbox": [1.5, 2.0, 10.0, 20.0], "score": 0.75, "class": "car"}]));
    }
}
