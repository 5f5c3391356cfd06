//! Bytes that can be looked at before they are taken, from files and pipes alike.

use std::io::{self, Read};

use super::read_up_to;

/// Bytes that can be looked at ahead.
const AHEAD: usize = 1 << 16;

/// A reader with a look ahead.
pub(super) struct Window<R> {
    from: R,
    held: Vec<u8>,
    /// Where the held bytes that were not taken begin.
    start: usize,
    at: u64,
}

impl<R: Read> Window<R> {
    pub fn new(from: R) -> Window<R> {
        Window { from, held: Vec::new(), start: 0, at: 0 }
    }

    /// Bytes taken so far.
    pub fn at(&self) -> u64 {
        self.at
    }

    /// The next bytes, `count` of them, or all that are left; at most 64 KiB.
    pub fn peek(&mut self, count: usize) -> io::Result<&[u8]> {
        let count = count.min(AHEAD);
        if self.held.len() - self.start < count {
            self.held.drain(..self.start);
            self.start = 0;
            // Only what is asked for: the next bytes of a pipe may come much later.
            let there = self.held.len();
            self.held.resize(count, 0);
            let read = read_up_to(&mut self.from, &mut self.held[there..]);
            self.held.truncate(there + *read.as_ref().unwrap_or(&0));
            read?;
        }
        let end = self.held.len().min(self.start + count);
        Ok(&self.held[self.start..end])
    }

    /// Takes bytes that nobody wants; fewer at the end.
    pub fn skip(&mut self, count: u64) -> io::Result<()> {
        let held = count.min((self.held.len() - self.start) as u64);
        self.start += held as usize;
        self.at += held;
        self.at += io::copy(&mut (&mut self.from).take(count - held), &mut io::sink())?;
        Ok(())
    }

    /// Takes `count` bytes into `data`, fewer at the end.
    pub fn take(&mut self, count: u64, data: &mut Vec<u8>) -> io::Result<()> {
        data.clear();
        let held = count.min((self.held.len() - self.start) as u64) as usize;
        data.extend_from_slice(&self.held[self.start..self.start + held]);
        self.start += held;
        // Grows with what is there, not with what a header claims.
        let read = (&mut self.from).take(count - held as u64).read_to_end(data);
        self.at += data.len() as u64;
        read.map(drop)
    }
}
