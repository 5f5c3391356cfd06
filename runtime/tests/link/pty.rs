//! A pseudo-terminal whose far end has a name that survives unplugging.

use std::path::PathBuf;

use serialport::{SerialPort, TTYPort};

/// A socket a cable can be put into: a name that leads to the cable's far end while one is in.
pub struct Socket {
    folder: tempfile::TempDir,
}

impl Socket {
    pub fn new() -> Socket {
        Socket { folder: tempfile::tempdir().unwrap() }
    }

    /// The name the program opens.
    pub fn path(&self) -> PathBuf {
        self.folder.path().join("tty")
    }

    /// Puts a cable in, and gives its near end.
    pub fn plug(&self) -> TTYPort {
        let (near, far) = TTYPort::pair().unwrap();
        let name = far.name().unwrap();
        let beside = self.folder.path().join("new");
        std::os::unix::fs::symlink(name, &beside).unwrap();
        std::fs::rename(beside, self.path()).unwrap();
        near
    }

    /// Takes the name away; the cable is cut by dropping its near end.
    pub fn unplug(&self) {
        std::fs::remove_file(self.path()).unwrap();
    }
}
