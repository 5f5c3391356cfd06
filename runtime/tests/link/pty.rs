//! A pseudo-terminal whose far end has a name that survives unplugging.

use std::fs::OpenOptions;
use std::os::fd::{AsRawFd, FromRawFd, IntoRawFd};
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;

use serialport::TTYPort;

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
        let (near, name) = cable();
        let beside = self.folder.path().join("new");
        std::os::unix::fs::symlink(name, &beside).unwrap();
        std::fs::rename(beside, self.path()).unwrap();
        near
    }

    /// Holds the output of the far end back, for as long as the file is kept: the line stands still.
    pub fn stop(&self) -> std::fs::File {
        let far = OpenOptions::new().read(true).write(true).custom_flags(libc::O_NOCTTY | libc::O_NONBLOCK).open(self.path()).unwrap();
        // SAFETY: `far` is an open terminal.
        assert_eq!(unsafe { libc::tcflow(far.as_raw_fd(), libc::TCOOFF) }, 0);
        far
    }

    /// Takes the name away; the cable is cut by dropping its near end.
    pub fn unplug(&self) {
        std::fs::remove_file(self.path()).unwrap();
    }
}

/// A new cable: its near end, and the name of its far one.
///
/// `TTYPort::pair` leaves both ends open in every program that is started meanwhile, and a cable that another test's program holds as well
/// cannot be pulled. Files of the standard library are closed in programs from the start.
fn cable() -> (TTYPort, String) {
    let near = OpenOptions::new().read(true).write(true).custom_flags(libc::O_NOCTTY).open("/dev/ptmx").unwrap();
    let (mut name, unlock) = ([0_u8; 64], 0_i32);
    // SAFETY: `near` is an open pty, `unlock` an int, and `name` as long as said.
    unsafe {
        assert_eq!(libc::ioctl(near.as_raw_fd(), libc::TIOCSPTLCK, &unlock), 0);
        assert_eq!(libc::ptsname_r(near.as_raw_fd(), name.as_mut_ptr().cast(), name.len()), 0);
    }
    let name = std::ffi::CStr::from_bytes_until_nul(&name).unwrap().to_str().unwrap().to_owned();
    // Opened once, so that it is raw, and hung up until somebody takes it.
    drop(serialport::new(&name, 115_200).exclusive(false).open_native().unwrap());
    // SAFETY: nobody else owns it.
    (unsafe { TTYPort::from_raw_fd(near.into_raw_fd()) }, name)
}
