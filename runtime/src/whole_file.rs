//! Files that are there whole or not at all: written beside their place, and moved there once every byte is known to have arrived.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

/// Links that are followed at most, as the kernel does.
const LINKS: usize = 40;

/// How sure a file is to outlive a power cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keep {
    /// On the disk before this returns.
    Durable,
    /// Whenever the system writes it: for files that are replaced several times a second.
    Lazily,
}

/// Makes `path` hold `bytes`, or leaves it as it was and says why. A link stays, and the file behind it is replaced; its mode and owner stay too.
/// What is no regular file (a pipe, a device) is simply written to.
pub fn write(path: &Path, bytes: &[u8], keep: Keep) -> io::Result<()> {
    let place = behind_links(path)?;
    let before = match fs::metadata(&place) {
        Ok(meta) if !meta.is_file() => return OpenOptions::new().write(true).open(&place)?.write_all(bytes),
        Ok(meta) => Some(meta),
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(error) => return Err(error),
    };
    if before.is_some() {
        // Only asks: whoever may not write the file may not replace it either.
        drop(OpenOptions::new().write(true).open(&place)?);
    }
    let (beside, mut file) = create_beside(&place)?;
    let written = (|| {
        file.write_all(bytes)?;
        if let Some(before) = &before {
            file.set_permissions(fs::Permissions::from_mode(before.mode() & 0o7777))?;
            // Only root may give a file away; where it stays with its writer, that is where it was going to be anyway.
            let _ = std::os::unix::fs::fchown(&file, Some(before.uid()), Some(before.gid()));
        }
        if keep == Keep::Durable {
            file.sync_all()?;
        }
        fs::rename(&beside, &place)
    })();
    if written.is_err() {
        // What is left of it is of no use to anybody.
        let _ = fs::remove_file(&beside);
    } else if keep == Keep::Durable {
        // The name is part of the folder. Not every file system can do this, and the file itself is safe.
        let _ = folder_of(&place).and_then(File::open).and_then(|folder| folder.sync_all());
    }
    written
}

/// Where `path` leads, whether or not something is there.
fn behind_links(path: &Path) -> io::Result<PathBuf> {
    let mut place = path.to_owned();
    for _ in 0..LINKS {
        let Ok(target) = fs::read_link(&place) else { return Ok(place) };
        place = match place.parent() {
            Some(folder) => folder.join(target),
            None => target,
        };
    }
    Err(io::Error::from_raw_os_error(libc::ELOOP))
}

fn folder_of(place: &Path) -> io::Result<PathBuf> {
    match place.parent() {
        Some(folder) if folder.as_os_str().is_empty() => Ok(PathBuf::from(".")),
        Some(folder) => Ok(folder.to_owned()),
        None => Err(io::Error::from(io::ErrorKind::IsADirectory)),
    }
}

/// A new file in the folder of `place`, under a name that nobody else uses.
fn create_beside(place: &Path) -> io::Result<(PathBuf, File)> {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let folder = folder_of(place)?;
    let name = place.file_name().ok_or(io::ErrorKind::IsADirectory)?;
    loop {
        let mut beside = std::ffi::OsString::from(".");
        beside.push(name);
        beside.push(format!(".{}-{}.new", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed)));
        let beside = folder.join(beside);
        match OpenOptions::new().write(true).create_new(true).open(&beside) {
            Ok(file) => return Ok((beside, file)),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    fn names(folder: &Path) -> Vec<String> {
        let mut names: Vec<String> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[test]
    fn a_file_is_made_and_replaced_and_nothing_stays_beside_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.png");
        for (bytes, keep) in [(&b"one"[..], Keep::Durable), (b"two", Keep::Lazily)] {
            write(&path, bytes, keep).unwrap();
            assert_eq!(fs::read(&path).unwrap(), bytes);
        }
        assert_eq!(names(folder.path()), ["a.png"]);
    }

    #[test]
    fn a_link_and_the_mode_behind_it_stay() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        fs::create_dir(at("shared")).unwrap();
        fs::write(at("shared/model.toml"), "old").unwrap();
        fs::set_permissions(at("shared/model.toml"), fs::Permissions::from_mode(0o640)).unwrap();
        symlink("shared/model.toml", at("near.toml")).unwrap();
        symlink(at("near.toml"), at("far.toml")).unwrap();
        write(&at("far.toml"), b"new", Keep::Durable).unwrap();
        assert!(fs::symlink_metadata(at("far.toml")).unwrap().is_symlink() && fs::symlink_metadata(at("near.toml")).unwrap().is_symlink());
        assert_eq!(fs::read_to_string(at("shared/model.toml")).unwrap(), "new");
        assert_eq!(fs::metadata(at("shared/model.toml")).unwrap().mode() & 0o7777, 0o640);
    }

    #[test]
    fn a_link_to_nothing_is_filled_and_a_circle_refused() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        symlink("later.png", at("dangling.png")).unwrap();
        write(&at("dangling.png"), b"there", Keep::Lazily).unwrap();
        assert_eq!(fs::read(at("later.png")).unwrap(), b"there");
        symlink("b", at("a")).unwrap();
        symlink("a", at("b")).unwrap();
        assert_eq!(write(&at("a"), b"", Keep::Lazily).unwrap_err().raw_os_error(), Some(libc::ELOOP));
    }

    #[test]
    fn a_device_is_written_to_and_a_full_one_is_an_error() {
        write(Path::new("/dev/null"), b"nothing", Keep::Durable).unwrap();
        assert_eq!(write(Path::new("/dev/full"), b"x", Keep::Durable).unwrap_err().raw_os_error(), Some(libc::ENOSPC));
        assert!(Path::new("/dev/full").exists());
    }

    #[test]
    fn what_cannot_be_written_leaves_the_old_file_and_no_other() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("gone/a.png");
        assert!(write(&path, b"x", Keep::Durable).is_err());
        fs::create_dir(folder.path().join("b.png")).unwrap();
        assert!(write(&folder.path().join("b.png"), b"x", Keep::Durable).is_err());
        assert_eq!(names(folder.path()), ["b.png"]);
    }
}
