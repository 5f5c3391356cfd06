//! What the files of a recording are called: a new name at every start, never that of a file that is there.

use std::fs::{File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::clock;

/// Names tried at one start: as many recordings can begin in one second.
const TRIES: u32 = 1000;

/// How this start's files are called.
#[derive(Debug)]
pub(super) struct Names {
    path: PathBuf,
    /// The time of the start, and a number where several starts fell into one second.
    started: String,
}

impl Names {
    /// Names for a recording to `path` that begins at `wall`.
    pub fn new(path: &Path, wall: Duration) -> Names {
        Names { path: path.to_owned(), started: clock::stamp(wall) }
    }

    /// Makes the only file of an unbounded recording: `NAME.mcap`, or with the time in its name where that is taken.
    /// What is no file proper (a device, a pipe) is opened as it is.
    pub fn create_only(&mut self) -> io::Result<(PathBuf, File)> {
        match create(&self.path) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            made => return made.map(|file| (self.path.clone(), file)),
        }
        if self.path.metadata().is_ok_and(|there| !there.is_file() && !there.is_dir()) {
            return Ok((self.path.clone(), OpenOptions::new().write(true).open(&self.path)?));
        }
        self.first_free(|names| names.named(&names.started))
    }

    /// Makes part `number` of a bounded recording.
    pub fn create_part(&mut self, number: u32) -> io::Result<(PathBuf, File)> {
        if number > 0 {
            let path = self.part(number);
            return Ok((path.clone(), create(&path)?));
        }
        // Not the name of a start whose first parts have been deleted: its later ones are still there.
        let (second, mut again) = (self.started.clone(), 1);
        while again < TRIES && self.is_taken() {
            again += 1;
            self.started = format!("{second}-{again}");
        }
        self.first_free(|names| names.part(0))
    }

    /// Whether parts of a start of this name are there.
    fn is_taken(&self) -> bool {
        let prefix = format!("{}-{}-", stem(&self.path), self.started);
        family(&self.path).iter().any(|part| part.file_name().is_some_and(|name| name.to_string_lossy().starts_with(&prefix)))
    }

    fn first_free(&mut self, name: impl Fn(&Names) -> PathBuf) -> io::Result<(PathBuf, File)> {
        let second = self.started.clone();
        for again in 2..TRIES {
            let path = name(self);
            match create(&path) {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => self.started = format!("{second}-{again}"),
                made => return made.map(|file| (path, file)),
            }
        }
        Err(io::Error::from(io::ErrorKind::AlreadyExists))
    }

    fn part(&self, number: u32) -> PathBuf {
        self.named(&format!("{}-{number:04}", self.started))
    }

    fn named(&self, what: &str) -> PathBuf {
        self.path.with_file_name(format!("{}-{what}.mcap", stem(&self.path)))
    }
}

/// Makes a file that is not there, and holds it locked: a bounded recording deletes no file that another program is writing.
fn create(path: &Path) -> io::Result<File> {
    let file = OpenOptions::new().write(true).create_new(true).open(path)?;
    // Some file systems know no locks.
    let _ = file.try_lock();
    // A name that is not on the disk is lost with the power, and its file with it.
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let _ = File::open(folder).and_then(|folder| folder.sync_all());
    Ok(file)
}

fn stem(path: &Path) -> String {
    path.file_stem().unwrap_or_default().to_string_lossy().into_owned()
}

/// The parts that bounded recordings to `path` have left, oldest first.
pub fn family(path: &Path) -> Vec<PathBuf> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let stem = stem(path);
    let mut parts: Vec<((String, u64, u64), PathBuf)> = Vec::new();
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let Some(order) = name.to_str().and_then(|name| order(name, &stem)) else { continue };
        if entry.file_type().is_ok_and(|kind| kind.is_file()) {
            parts.push((order, path.with_file_name(&name)));
        }
    }
    parts.sort();
    parts.into_iter().map(|(_, path)| path).collect()
}

/// Where a part stands among those of `stem`: start, start within that second, number. Parts without a start are older versions'.
fn order(name: &str, stem: &str) -> Option<(String, u64, u64)> {
    let rest = name.strip_suffix(".mcap")?.strip_prefix(stem)?.strip_prefix('-')?;
    let digits = |text: &str| (!text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())).then(|| text.parse().ok()).flatten();
    let part = |text: &str| if text.len() >= 4 { digits(text) } else { None };
    let stamped = |text: &str| {
        text.len() == 16
            && text.bytes().enumerate().all(|(at, byte)| match at {
                8 => byte == b'T',
                15 => byte == b'Z',
                _ => byte.is_ascii_digit(),
            })
    };
    let fields: Vec<&str> = rest.split('-').collect();
    match *fields {
        [number] => Some((String::new(), 0, part(number)?)),
        [started, number] if stamped(started) => Some((started.into(), 1, part(number)?)),
        [started, again, number] if stamped(started) => Some((started.into(), digits(again)?, part(number)?)),
        _ => None,
    }
}

/// Deletes a part, unless another program is writing it; whether it is gone.
pub(super) fn delete(path: &Path) -> io::Result<bool> {
    if File::open(path).is_ok_and(|file| matches!(file.try_lock_shared(), Err(std::fs::TryLockError::WouldBlock))) {
        return Ok(false);
    }
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(true),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOON: Duration = Duration::from_secs(1_795_694_400);

    #[test]
    fn a_start_never_takes_the_name_of_a_file_that_is_there() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("seen.mcap");
        let name = |made: (PathBuf, File)| made.0.file_name().unwrap().to_str().unwrap().to_owned();
        let made: Vec<String> = (0..4).map(|_| name(Names::new(&path, NOON).create_only().unwrap())).collect();
        assert_eq!(made, ["seen.mcap", "seen-20261126T120000Z.mcap", "seen-20261126T120000Z-2.mcap", "seen-20261126T120000Z-3.mcap"]);
    }

    #[test]
    fn parts_of_every_start_are_found_in_the_order_they_were_made_in() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ring.mcap");
        let mut expected = Vec::new();
        for name in ["ring-0003.mcap", "ring-20250101T000000Z-0000.mcap"] {
            std::fs::write(folder.path().join(name), "").unwrap();
            expected.push(folder.path().join(name));
        }
        for _ in 0..2 {
            let mut names = Names::new(&path, NOON);
            expected.extend((0..3).map(|number| names.create_part(number).unwrap().0));
        }
        for other in ["ring.mcap", "ring-.mcap", "ring-12.mcap", "ring-x-0001.mcap", "string-0001.mcap", "ring-20261126T120000Z.mcap"] {
            std::fs::write(folder.path().join(other), "").unwrap();
        }
        assert_eq!(family(&path), expected);
    }

    #[test]
    fn a_part_that_is_being_written_is_not_deleted() {
        let folder = tempfile::tempdir().unwrap();
        let (path, file) = Names::new(&folder.path().join("ring.mcap"), NOON).create_part(0).unwrap();
        assert!(!delete(&path).unwrap() && path.exists());
        drop(file);
        assert!(delete(&path).unwrap() && !path.exists());
    }
}
