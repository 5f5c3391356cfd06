//! A file that is a whole MCAP file after every write, so that no end of the program, the power or the disk leaves less.
//!
//! What [`super::container`] gives is kept in memory until it is committed, which happens between two records only. A commit writes the
//! records and, behind them, the shortest end that the format knows (50 bytes: no index); the next one begins over that end. When the
//! disk is full, the end is put back where the last whole commit stopped.

use std::fs::File;
use std::io::{self, Write};
use std::os::unix::fs::FileExt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::sync::{Arc, OnceLock};

use crate::threads::{self, Fault, Guard};

/// What an MCAP file begins and ends with.
pub(super) const MAGIC: [u8; 8] = *b"\x89MCAP0\r\n";
/// Data end without a checksum, footer without a summary, magic: what follows the last record of an unindexed file.
const END: [u8; 50] = *b"\x0f\x04\0\0\0\0\0\0\0\0\0\0\0\x02\x14\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x89MCAP0\r\n";

/// What is known of a file while its writer owns it.
#[derive(Debug, Default)]
pub(super) struct Written {
    /// Bytes in the file, the provisional end left out.
    pub bytes: AtomicU64,
    /// A write failed because the disk, or what may be written to it, is full.
    pub full: AtomicBool,
    /// What was written could not be brought to the disk.
    unsynced: AtomicBool,
    /// What ended the thread that brings it there.
    pub fault: OnceLock<Fault>,
}

/// Where a recording is written to.
pub(super) struct Disk {
    file: File,
    /// A file proper: it can be written at a place, cut to a length, and brought to the disk.
    regular: bool,
    /// Records that are not in the file yet, and where they go.
    pending: Vec<u8>,
    at: u64,
    /// A write failed: the file is as whole as it can be and stays as it is.
    broken: bool,
    /// Asks for what is in the file to be brought to the disk.
    sync: Option<(SyncSender<()>, Guard)>,
    written: Arc<Written>,
}

impl Disk {
    /// Writes to `file`, which is empty, and tells `written` of it.
    pub fn new(file: File, written: &Arc<Written>) -> io::Result<Disk> {
        let regular = file.metadata()?.is_file();
        let sync = if regular { Some(syncing(file.try_clone()?, Arc::clone(written))?) } else { None };
        Ok(Disk { file, regular, pending: Vec::new(), at: 0, broken: false, sync, written: Arc::clone(written) })
    }

    /// Takes bytes that go behind those taken before.
    pub fn push(&mut self, bytes: &[u8]) {
        self.pending.extend_from_slice(bytes);
    }

    /// Where the next byte goes.
    pub fn position(&self) -> u64 {
        self.at + self.pending.len() as u64
    }

    /// Puts what is pending into the file; it must end with a whole record. `last`: with the index and the end behind it.
    pub fn commit(&mut self, last: bool) -> io::Result<()> {
        if self.broken {
            return Err(io::Error::other("an earlier write failed"));
        }
        let length = self.pending.len() as u64;
        let written = if self.regular {
            if !last {
                self.pending.extend_from_slice(&END);
            }
            self.file.write_all_at(&self.pending, self.at)
        } else {
            self.file.write_all(&self.pending)
        };
        self.pending.clear();
        if let Err(error) = written {
            self.broken = true;
            let full = matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::FileTooLarge | io::ErrorKind::QuotaExceeded);
            self.written.full.store(full, Ordering::Relaxed);
            if self.regular {
                // The end goes where an end was before, so that no new block is needed; only then is the rest cut off.
                let _ = self.file.write_all_at(&END, self.at);
                let _ = self.file.set_len(self.at + END.len() as u64);
                let _ = self.file.sync_all();
            }
            return Err(error);
        }
        self.at += length;
        self.written.bytes.store(self.at, Ordering::Relaxed);
        if self.written.unsynced.load(Ordering::Relaxed) {
            return Err(io::Error::other("what was written cannot be brought to the disk"));
        }
        if let Some((sync, guard)) = &self.sync {
            if let Some(fault) = guard.fault() {
                let _ = self.written.fault.set(fault.clone());
                return Err(io::Error::other(fault));
            }
            // One request waits at most: it covers everything up to the moment when it is taken.
            let _ = sync.try_send(());
        }
        Ok(())
    }

    /// Ends the file, whose own end is pending; its length.
    pub fn close(mut self) -> io::Result<u64> {
        self.commit(true)?;
        self.sync = None;
        if self.regular {
            self.file.set_len(self.at)?;
            let synced = self.file.sync_all();
            let _ = self.file.unlock();
            synced?;
        }
        Ok(self.at)
    }
}

/// Brings a file to the disk whenever asked, on a thread of its own: a slow card takes its time for that.
fn syncing(file: File, written: Arc<Written>) -> io::Result<(SyncSender<()>, Guard)> {
    let (ask, asked) = sync_channel(1);
    let body = move || {
        for () in asked {
            if file.sync_data().is_err() {
                written.unsynced.store(true, Ordering::Relaxed);
            }
        }
    };
    let guard = threads::spawn("recording-sync", body, |_| {})?;
    Ok((ask, guard))
}
