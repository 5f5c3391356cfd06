//! Small files that hold one value.

use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};

/// The number in a file of sysfs; `None` when it cannot be read or holds none. Allocates nothing.
pub fn number(path: &Path) -> Option<i64> {
    let mut bytes = [0u8; 32];
    let length = File::open(path).ok()?.read(&mut bytes).ok()?;
    std::str::from_utf8(&bytes[..length]).ok()?.trim().parse().ok()
}

/// The text in a file, without white space and NUL (which ends device-tree strings) around it; `None` when there is none.
pub fn text(path: &Path) -> Option<String> {
    let bytes = fs::read(path).ok()?;
    let text = String::from_utf8_lossy(&bytes);
    let text = text.trim_matches(|c: char| c.is_whitespace() || c == '\0');
    (!text.is_empty()).then(|| text.to_owned())
}

/// What a folder holds, sorted by name with numbers in their order; nothing when it cannot be read.
pub fn entries(folder: &Path) -> Vec<PathBuf> {
    let mut all: Vec<PathBuf> = fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path()).collect();
    all.sort_by_key(|path| (name(path).len(), path.clone()));
    all
}

/// The last part of a path.
pub fn name(path: &Path) -> &str {
    path.file_name().and_then(|name| name.to_str()).unwrap_or("")
}
