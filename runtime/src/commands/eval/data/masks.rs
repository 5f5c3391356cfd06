//! A folder of pictures, and one of PNGs of the same names whose pixels are class indices: CamVid's layout and that of many others.

use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};

use super::{Sample, Samples, Truth, What, unreadable};
use crate::capture::file::images::{decode, listed};
use crate::frame::Frame;
use crate::network::manifest::TaskSection;
use crate::service::exit::{Cause, Failure};

/// Pictures in the order of their names, taken as a film.
pub struct Masks {
    pictures: Vec<(PathBuf, PathBuf)>,
    at: usize,
    /// What each value means.
    meaning: Meaning,
    /// A name with other letters or numbers before its last number begins a scene.
    names_tell: bool,
}

struct Meaning {
    classes: Vec<String>,
    left_out: Vec<u8>,
}

impl Masks {
    pub fn open(pictures: &Path, labels: &Path, ignore: &[u8], task: &TaskSection, names_tell: bool) -> Result<Masks, Failure> {
        if !pictures.is_dir() {
            let why = format!("--labels {} is a folder of index PNGs: --data has to be the folder of their pictures", labels.display());
            return Err(Failure::new(Cause::Usage, why));
        }
        let mut pairs = Vec::new();
        for picture in listed(pictures)? {
            let name = picture.file_stem().unwrap_or_default();
            let label = labels.join(name).with_extension("png");
            // A name may hold dots of its own.
            let label = if label.is_file() { label } else { labels.join(format!("{}.png", name.to_string_lossy())) };
            if !label.is_file() {
                return Err(unreadable(&label, format!("there is no label for {}", picture.display())));
            }
            pairs.push((picture, label));
        }
        // What the network never answers is not asked for.
        let mut left_out: Vec<u8> = task.ignore.iter().filter_map(|name| task.class(name)).collect();
        left_out.extend(ignore);
        Ok(Masks { pictures: pairs, at: 0, meaning: Meaning { classes: task.classes.clone(), left_out }, names_tell })
    }
}

impl Meaning {
    /// The class of each value, or which value is none.
    fn of(&self, values: Vec<u8>) -> Result<Vec<Option<u8>>, String> {
        let (mut table, mut unknown) = ([None; 256], [false; 256]);
        for value in 0..=255u8 {
            let known = usize::from(value) < self.classes.len();
            if !self.left_out.contains(&value) {
                (table[usize::from(value)], unknown[usize::from(value)]) = (known.then_some(value), !known);
            }
        }
        if let Some(value) = values.iter().find(|value| unknown[usize::from(**value)]) {
            return Err(format!(
                "holds the value {value}, but the network's classes are 0 to {} ({}); --ignore {value} leaves it out",
                self.classes.len() - 1,
                self.classes.join(", ")
            ));
        }
        Ok(values.into_iter().map(|value| table[usize::from(value)]).collect())
    }
}

impl Samples for Masks {
    fn what(&self) -> What {
        What::Pixels
    }

    fn count(&self) -> Option<usize> {
        Some(self.pictures.len())
    }

    fn is_film(&self) -> bool {
        true
    }

    fn next(&mut self) -> Result<Option<Sample>, Failure> {
        let Some((picture, label)) = self.pictures.get(self.at) else { return Ok(None) };
        let mut frame = Frame { sequence: self.at as u64, ..Frame::default() };
        let file = File::open(picture).map_err(|error| unreadable(picture, error))?;
        decode(BufReader::new(file), &mut frame).map_err(|error| unreadable(picture, error))?;
        let (width, height, values) = indices(label).map_err(|reason| unreadable(label, reason))?;
        if width * frame.height as usize != height * frame.width as usize {
            let why = format!("it is {width}x{height}, its picture {}x{}: their shapes differ", frame.width, frame.height);
            return Err(unreadable(label, why));
        }
        let classes = self.meaning.of(values).map_err(|reason| unreadable(label, reason))?;
        let scene = |at: usize| scene_of(&self.pictures[at].0);
        let cut = self.at == 0 || (self.names_tell && scene(self.at) != scene(self.at - 1));
        self.at += 1;
        Ok(Some(Sample { frame, truth: Truth::Pixels { width, height, classes }, cut }))
    }
}

/// A picture's name up to its last number.
fn scene_of(path: &Path) -> String {
    let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    let end = name.trim_end_matches(|c: char| !c.is_ascii_digit());
    end.trim_end_matches(|c: char| c.is_ascii_digit()).to_owned()
}

/// Width, height and values of a PNG as they are stored: the number of a colour in its palette, or a level of grey. Not for colours.
pub fn indices(path: &Path) -> Result<(usize, usize, Vec<u8>), String> {
    let file = File::open(path).map_err(|error| error.to_string())?;
    let mut decoder = png::Decoder::new(BufReader::new(file));
    decoder.set_transformations(png::Transformations::IDENTITY);
    let mut reader = decoder.read_info().map_err(|error| error.to_string())?;
    let (colour, depth) = reader.output_color_type();
    if !matches!(colour, png::ColorType::Indexed | png::ColorType::Grayscale) || depth == png::BitDepth::Sixteen {
        return Err(format!(
            "is a {colour:?} picture of {} bits; class indices are stored as grey or palette PNGs of at most 8 bits",
            depth as u8
        ));
    }
    let size = reader.output_buffer_size().ok_or("is too large")?;
    let mut packed = vec![0; size];
    let info = reader.next_frame(&mut packed).map_err(|error| error.to_string())?;
    let (width, height, bits) = (info.width as usize, info.height as usize, depth as usize);
    let value = |at: usize| {
        let (x, y) = (at % width, at / width);
        let byte = packed[y * info.line_size + x * bits / 8];
        // The first pixel lies in the high bits.
        (byte >> (8 - bits - x * bits % 8)) & (0xffu16 >> (8 - bits)) as u8
    };
    Ok((width, height, (0..width * height).map(value).collect()))
}
