//! A film, with boxes and identities in a gt.txt as MOTChallenge writes it: frame, id, left, top, width, height, whether it counts, ...

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use super::{Sample, Samples, Truth, What, known, unreadable};
use crate::capture::jpeg::{Colour, Decoder};
use crate::capture::{CaptureRequest, Pull, Source, open};
use crate::commands::eval::measure::Labelled;
use crate::frame::{Frame, PixelFormat, Range};
use crate::network::manifest::TaskSection;
use crate::service::exit::{Cause, Failure};
use crate::telemetry::Region;

/// The film from its first frame to its last labelled one; without labels to its end.
pub struct Film {
    source: Box<dyn Source>,
    boxes: Option<BTreeMap<u64, Vec<Labelled>>>,
    decoder: Decoder,
    at: u64,
}

impl Film {
    pub fn open(data: &Path, labels: Option<&Path>, class: Option<&str>, task: &TaskSection) -> Result<Film, Failure> {
        let uri = data.to_str().ok_or_else(|| unreadable(data, "its name is not UTF-8"))?;
        let source = open(uri, &CaptureRequest::default())?;
        if source.info().live {
            return Err(Failure::new(
                Cause::Usage,
                format!("--data {uri}: a film or a folder of pictures is needed, which is the same every time"),
            ));
        }
        let boxes = labels.map(|path| {
            let class = known(&[class.unwrap_or("person").to_owned()], task, path)?[0].expect("one name, and it is known");
            let text = std::fs::read_to_string(path).map_err(|error| unreadable(path, error))?;
            rows(&text, class).map_err(|reason| unreadable(path, reason))
        });
        Ok(Film { source, boxes: boxes.transpose()?, decoder: Decoder::default(), at: 0 })
    }
}

/// Boxes by frame, counted from 1.
fn rows(text: &str, class: usize) -> Result<BTreeMap<u64, Vec<Labelled>>, String> {
    let mut boxes: BTreeMap<u64, Vec<Labelled>> = BTreeMap::new();
    for (line, row) in text.lines().enumerate().filter(|(_, row)| !row.trim().is_empty()) {
        let wrong = || format!("line {}: '{row}' is not frame, id, left, top, width, height, counts, ...", line + 1);
        let numbers: Vec<f64> = row.split(',').map(|number| number.trim().parse().map_err(|_| wrong())).collect::<Result<_, _>>()?;
        let [frame, identity, x, y, width, height, ref more @ ..] = numbers[..] else { return Err(wrong()) };
        if frame < 1.0 || frame.fract() != 0.0 || identity < 0.0 || identity.fract() != 0.0 || !(width > 0.0 && height > 0.0) {
            return Err(wrong());
        }
        let [x, y, width, height] = [x, y, width, height].map(|edge| edge as f32);
        let own = boxes.entry(frame as u64).or_default();
        // A row that does not count is nobody's mistake.
        if more.first() != Some(&0.0) {
            own.push(Labelled { class, region: Region { x, y, width, height }, identity: Some(identity as u32), crowd: false });
        }
    }
    if boxes.is_empty() { Err("it holds no row".into()) } else { Ok(boxes) }
}

impl Samples for Film {
    fn what(&self) -> What {
        if self.boxes.is_some() { What::Boxes { tracks: true } } else { What::Nothing }
    }

    fn count(&self) -> Option<usize> {
        Some(*self.boxes.as_ref()?.last_key_value()?.0 as usize)
    }

    fn is_film(&self) -> bool {
        true
    }

    fn next(&mut self) -> Result<Option<Sample>, Failure> {
        let last = self.count();
        if last.is_some_and(|last| self.at >= last as u64) {
            return Ok(None);
        }
        let mut frame = Frame::default();
        loop {
            match self.source.pull(&mut frame, Duration::from_secs(10))? {
                Pull::Frame => break,
                Pull::Waiting => {}
                Pull::End => match last {
                    Some(last) => {
                        return Err(Failure::new(
                            Cause::Source,
                            format!("{}: ends after {} frames, but frame {last} is labelled", self.source.info().uri, self.at),
                        ));
                    }
                    None => return Ok(None),
                },
            }
        }
        if frame.format == PixelFormat::Mjpeg {
            decoded(&mut self.decoder, &mut frame)
                .map_err(|reason| Failure::new(Cause::Source, format!("frame {}: {reason}", self.at + 1)))?;
        }
        let cut = self.at == 0 || frame.cut;
        self.at += 1;
        let truth = match &self.boxes {
            Some(boxes) => Truth::Boxes(boxes.get(&self.at).cloned().unwrap_or_default()),
            None => Truth::Nothing,
        };
        Ok(Some(Sample { frame, truth, cut }))
    }
}

/// Decodes a JPEG now, so that it is not decoded once for every rule.
fn decoded(decoder: &mut Decoder, frame: &mut Frame) -> Result<(), String> {
    let picture = decoder.decode(&frame.data, Colour::Rgb)?;
    let (width, height, pixels) = (picture.width as u32, picture.height as u32, picture.pixels.to_vec());
    (frame.width, frame.height, frame.stride) = (width, height, 3 * width);
    (frame.format, frame.range, frame.data) = (PixelFormat::Rgb24, Range::Full, pixels.into());
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_read_by_frame_and_rows_that_do_not_count_are_none() {
        let boxes = rows("2,7,10.5,20,30,40,1,-1\n\n2,8,0,0,5,5,0\n1, 7, 9, 20, 30, 40\n", 3).unwrap();
        assert_eq!(boxes.iter().map(|(frame, own)| (*frame, own.len())).collect::<Vec<_>>(), [(1, 1), (2, 1)]);
        let label = boxes[&2][0];
        assert_eq!((label.class, label.identity, label.region), (3, Some(7), Region { x: 10.5, y: 20.0, width: 30.0, height: 40.0 }));
    }

    #[test]
    fn a_row_that_makes_no_sense_is_named() {
        for row in ["1,2,3", "0,1,2,3,4,5", "1,1,2,3,0,5", "1,x,2,3,4,5", "1.5,1,2,3,4,5"] {
            assert!(rows(&format!("1,1,2,3,4,5\n{row}"), 0).unwrap_err().contains("line 2"), "{row}");
        }
        assert!(rows("", 0).is_err());
    }
}
