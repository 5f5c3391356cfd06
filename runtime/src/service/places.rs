//! Outputs that are inputs: what would be destroyed by being written.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// Whether both name the same file, whatever each is called: another spelling, a link, a file that is not there yet.
pub fn same(a: &Path, b: &Path) -> bool {
    let identity = |path: &Path| path.metadata().ok().map(|metadata| (metadata.dev(), metadata.ino()));
    match (identity(a), identity(b)) {
        (Some(a), Some(b)) => a == b,
        (None, None) => resolved(a) == resolved(b),
        _ => false,
    }
}

/// Whether `file` lies in `folder`, however either is spelt.
pub fn inside(file: &Path, folder: &Path) -> bool {
    folder.canonicalize().is_ok_and(|folder| resolved(file).starts_with(folder))
}

/// A path without links and dots, as far as it is there.
fn resolved(path: &Path) -> PathBuf {
    if let Ok(path) = path.canonicalize() {
        return path;
    }
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let parent = parent.canonicalize().unwrap_or_else(|_| parent.to_owned());
    path.file_name().map_or_else(|| path.to_owned(), |name| parent.join(name))
}

/// Why nothing may be written to `output` while `source` is read: None when they are apart. A folder is read with all that lies in it.
pub fn collision(output: &Path, source: &Path) -> Option<String> {
    let (output_name, source_name) = (output.display(), source.display());
    if same(output, source) {
        return Some(format!("{output_name} is the source {source_name} itself: it would be written over while it is read"));
    }
    (source.is_dir() && inside(output, source)).then(|| format!("{output_name} lies in the folder {source_name}, which is the source"))
}

/// As [`collision`], for a recording; `bounded` ones write to, and delete, more files than the one named.
pub fn recording_collision(output: &Path, bounded: bool, source: &Path) -> Option<String> {
    let part = || crate::recording::family(output).into_iter().find(|part| same(part, source));
    collision(output, source).or_else(|| {
        let part = if bounded { part() } else { None };
        part.map(|part| {
            let part = part.display();
            format!("the source {part} is a part of the bounded recording {}, whose oldest parts are deleted", output.display())
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    #[test]
    fn a_file_is_the_same_under_every_name() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        std::fs::write(at("in.mcap"), "x").unwrap();
        std::fs::create_dir(at("sub")).unwrap();
        symlink(at("in.mcap"), at("link.mcap")).unwrap();
        std::fs::hard_link(at("in.mcap"), at("hard.mcap")).unwrap();
        for name in ["in.mcap", "./in.mcap", "sub/../in.mcap", "link.mcap", "hard.mcap"] {
            assert!(collision(&at(name), &at("in.mcap")).unwrap().contains("is the source"), "{name}");
        }
        assert_eq!(collision(&at("other.mcap"), &at("in.mcap")), None);
        assert!(same(&at("sub/../none"), &at("none")) && !same(&at("none"), &at("nothing")));
    }

    #[test]
    fn a_folder_of_pictures_is_no_place_for_results() {
        let folder = tempfile::tempdir().unwrap();
        let pictures = folder.path().join("pictures");
        std::fs::create_dir(&pictures).unwrap();
        symlink(&pictures, folder.path().join("link")).unwrap();
        assert!(collision(&folder.path().join("link/s.png"), &pictures).unwrap().contains("lies in the folder"));
        assert_eq!(collision(&folder.path().join("s.png"), &pictures), None);
    }

    #[test]
    fn a_bounded_recording_deletes_no_part_that_is_being_read() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        for name in ["in-0000.mcap", "in-20261126T120000Z-0001.mcap", "in-old.mcap"] {
            std::fs::write(at(name), "x").unwrap();
        }
        for name in ["in-0000.mcap", "in-20261126T120000Z-0001.mcap"] {
            assert!(recording_collision(&at("in.mcap"), true, &at(name)).unwrap().contains("is a part of the bounded recording"), "{name}");
            assert_eq!(recording_collision(&at("in.mcap"), false, &at(name)), None);
        }
        assert_eq!(recording_collision(&at("in.mcap"), true, &at("in-old.mcap")), None);
    }
}
