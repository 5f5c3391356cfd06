//! What is in a folder: the pictures in their order, and what is left out.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::super::cannot_open;
use crate::capture::CaptureError;

/// Endings of the names of pictures we read.
const ENDINGS: [&str; 14] = ["png", "jpg", "jpeg", "jpe", "jfif", "pbm", "pgm", "ppm", "pnm", "bmp", "gif", "webp", "tif", "tiff"];

/// What a folder holds.
#[derive(Default)]
pub(super) struct Found {
    pub pictures: Vec<PathBuf>,
    /// How many files of each ending are no pictures that we read.
    others: BTreeMap<String, usize>,
    folders: Vec<String>,
}

/// Looks into `folder`. Hidden files are none: those of editors, of `rsync` and of other systems' file managers lie beside pictures.
pub(super) fn list(folder: &Path) -> Result<Found, CaptureError> {
    let mut found = Found::default();
    for entry in std::fs::read_dir(folder).map_err(|error| cannot_open(folder, &error))? {
        let path = entry.map_err(|error| cannot_open(folder, &error))?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if name.starts_with('.') {
            continue;
        }
        if path.is_dir() {
            found.folders.push(name);
            continue;
        }
        let ending = path.extension().map(|ending| ending.to_string_lossy().to_ascii_lowercase());
        match ending {
            Some(ending) if ENDINGS.contains(&ending.as_str()) => found.pictures.push(path),
            Some(ending) => *found.others.entry(format!(".{ending}")).or_default() += 1,
            None => *found.others.entry("no ending".into()).or_default() += 1,
        }
    }
    found.folders.sort();
    found.pictures.sort_by_cached_key(|path| natural(path));
    if found.pictures.is_empty() {
        let beside = found.left_out().map_or(String::new(), |sentence| format!("; {sentence}"));
        let reason = format!("the folder holds no images; read are .{}{beside}", ENDINGS.join(", ."));
        return Err(CaptureError::Open { path: folder.display().to_string(), reason });
    }
    Ok(found)
}

impl Found {
    /// What is not watched, in a sentence.
    pub fn left_out(&self) -> Option<String> {
        let mut parts = Vec::new();
        let count: usize = self.others.values().sum();
        if count > 0 {
            let kinds: Vec<String> = self.others.iter().take(8).map(|(ending, count)| format!("{count} {ending}")).collect();
            let more = if self.others.len() > 8 { ", ..." } else { "" };
            parts.push(format!("{count} other {} left out ({}{more})", if count == 1 { "file is" } else { "files are" }, kinds.join(", ")));
        }
        if let [first, rest @ ..] = &self.folders[..] {
            let more = if rest.is_empty() { String::new() } else { format!(" and {} more", rest.len()) };
            let verb = if rest.is_empty() { "a folder in it is" } else { "folders in it are" };
            parts.push(format!("{verb} not looked into ({first}{more})"));
        }
        (!parts.is_empty()).then(|| parts.join("; "))
    }
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
