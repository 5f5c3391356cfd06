//! What is opened once: a file, or whatever can be read only once.

use std::fs::File;
use std::io::{self, BufReader, Cursor, Read};
use std::path::{Path, PathBuf};

use super::{cannot_open, read_up_to};
use crate::capture::CaptureError;

/// Where bytes come from.
pub(super) type Rest = Box<dyn Read + Send>;

/// All bytes of an input, from the first on.
pub(super) type Joined = BufReader<io::Chain<Cursor<Vec<u8>>, Rest>>;

/// An open input of which the first bytes may have been looked at.
pub(super) struct Input {
    name: String,
    /// Where it can be opened again; none for pipes.
    path: Option<PathBuf>,
    length: Option<u64>,
    head: Vec<u8>,
    rest: Rest,
}

impl Input {
    /// A regular file.
    pub fn file(path: &Path) -> Result<Input, CaptureError> {
        let file = File::open(path).map_err(|error| cannot_open(path, &error))?;
        let length = file.metadata().map_err(|error| cannot_open(path, &error))?.len();
        let name = path.display().to_string();
        Ok(Input { name, path: Some(path.to_owned()), length: Some(length), head: Vec::new(), rest: Box::new(file) })
    }

    /// What can be read once.
    pub fn once(name: &str, rest: Rest) -> Input {
        Input { name: name.to_owned(), path: None, length: None, head: Vec::new(), rest }
    }

    /// Its name for people.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its path, where it can be opened again.
    pub fn path(&self) -> Option<&Path> {
        self.path.as_deref()
    }

    /// Its bytes, where that is known.
    pub fn length(&self) -> Option<u64> {
        self.length
    }

    /// The first `count` bytes, or all there are; nothing is taken.
    pub fn look(&mut self, count: usize) -> io::Result<&[u8]> {
        let there = self.head.len();
        if there < count {
            self.head.resize(count, 0);
            let read = read_up_to(&mut self.rest, &mut self.head[there..]);
            self.head.truncate(there + *read.as_ref().unwrap_or(&0));
            read?;
        }
        Ok(&self.head[..count.min(self.head.len())])
    }

    /// From the first byte on.
    pub fn joined(self) -> Joined {
        BufReader::with_capacity(1 << 16, self.parts().chained())
    }

    /// What was looked at, and what comes behind it.
    pub fn parts(self) -> Parts {
        Parts { head: self.head, rest: self.rest }
    }
}

/// An input taken apart.
pub(super) struct Parts {
    pub head: Vec<u8>,
    pub rest: Rest,
}

impl Parts {
    fn chained(self) -> io::Chain<Cursor<Vec<u8>>, Rest> {
        Cursor::new(self.head).chain(self.rest)
    }
}
