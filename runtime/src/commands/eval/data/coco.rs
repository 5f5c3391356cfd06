//! annotations.json as COCO writes it: pictures with boxes, each picture a scene of its own unless it has a `video_id`.

use std::collections::HashMap;
use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::{Sample, Samples, Truth, What, known, unreadable};
use crate::capture::file::images::decode;
use crate::commands::eval::measure::Labelled;
use crate::frame::Frame;
use crate::network::manifest::TaskSection;
use crate::service::exit::Failure;
use crate::telemetry::Region;

#[derive(Deserialize)]
struct Annotations {
    images: Vec<Image>,
    annotations: Vec<Annotation>,
    categories: Vec<Category>,
}

#[derive(Deserialize)]
struct Image {
    id: u64,
    file_name: String,
    /// Of extensions of the format to films.
    #[serde(default)]
    video_id: Option<u64>,
}

#[derive(Deserialize)]
struct Annotation {
    image_id: u64,
    category_id: u64,
    bbox: [f32; 4],
    #[serde(default)]
    iscrowd: u8,
    #[serde(default)]
    track_id: Option<u32>,
}

#[derive(Deserialize)]
struct Category {
    id: u64,
    name: String,
}

/// Pictures in the order of the file.
pub struct Coco {
    images: Vec<(PathBuf, Option<u64>, Vec<Labelled>)>,
    at: usize,
    film: bool,
}

impl Coco {
    pub fn open(path: &Path, folder: Option<&Path>, task: &TaskSection) -> Result<Coco, Failure> {
        let file = File::open(path).map_err(|error| unreadable(path, error))?;
        let read: Annotations = serde_json::from_reader(BufReader::new(file))
            .map_err(|error| unreadable(path, format!("{error}; images, annotations and categories as in COCO are needed")))?;
        let names: Vec<String> = read.categories.iter().map(|category| category.name.clone()).collect();
        let classes: HashMap<u64, Option<usize>> =
            read.categories.iter().map(|category| category.id).zip(known(&names, task, path)?).collect();
        let folder = folder.or(path.parent()).unwrap_or(Path::new("."));
        let film = !read.images.is_empty() && read.images.iter().all(|image| image.video_id.is_some());
        let at: HashMap<u64, usize> = read.images.iter().enumerate().map(|(at, image)| (image.id, at)).collect();
        let mut images: Vec<(PathBuf, Option<u64>, Vec<Labelled>)> =
            read.images.into_iter().map(|image| (folder.join(image.file_name), image.video_id, Vec::new())).collect();
        for annotation in read.annotations {
            let Some(at) = at.get(&annotation.image_id) else {
                return Err(unreadable(path, format!("a box belongs to image {}, which is not listed", annotation.image_id)));
            };
            let Some(class) = classes.get(&annotation.category_id) else {
                return Err(unreadable(path, format!("a box is of category {}, which is not listed", annotation.category_id)));
            };
            let [x, y, width, height] = annotation.bbox;
            if let Some(class) = *class {
                let region = Region { x, y, width, height };
                images[*at].2.push(Labelled { class, region, identity: annotation.track_id, crowd: annotation.iscrowd != 0 });
            }
        }
        if let Some((missing, ..)) = images.iter().find(|(path, ..)| !path.is_file()) {
            return Err(unreadable(missing, "there is no such picture; --images DIR says where the pictures are"));
        }
        Ok(Coco { images, at: 0, film })
    }
}

impl Samples for Coco {
    fn what(&self) -> What {
        What::Boxes { tracks: self.film && self.images.iter().any(|(_, _, labels)| labels.iter().any(|label| label.identity.is_some())) }
    }

    fn count(&self) -> Option<usize> {
        Some(self.images.len())
    }

    fn is_film(&self) -> bool {
        self.film
    }

    fn next(&mut self) -> Result<Option<Sample>, Failure> {
        let Some((path, video, labels)) = self.images.get(self.at) else { return Ok(None) };
        let cut = !self.film || self.at == 0 || self.images[self.at - 1].1 != *video;
        let file = File::open(path).map_err(|error| unreadable(path, error))?;
        let mut frame = Frame { sequence: self.at as u64, ..Frame::default() };
        decode(BufReader::new(file), &mut frame).map_err(|error| unreadable(path, error))?;
        self.at += 1;
        Ok(Some(Sample { frame, truth: Truth::Boxes(labels.clone()), cut }))
    }
}
