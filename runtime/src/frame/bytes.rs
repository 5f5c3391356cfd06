//! The memory of a picture: the process's own, or a block lent by whoever reads pictures where they lie.

use std::any::Any;
use std::fmt;
use std::ops::{Deref, DerefMut};

/// A block of memory that its lender can read in place, for example a GPU. It never moves.
pub trait Block: Any + Send + Sync {
    /// All of it.
    fn bytes(&self) -> &[u8];
    /// All of it, to be written.
    fn bytes_mut(&mut self) -> &mut [u8];
}

/// Bytes that go round between a source and an engine: as much of a [`Vec`], or of a lent [`Block`], as is in use.
#[derive(Default)]
pub struct Bytes(Memory);

enum Memory {
    Own(Vec<u8>),
    Lent { block: Box<dyn Block>, length: usize },
}

impl Default for Memory {
    fn default() -> Memory {
        Memory::Own(Vec::new())
    }
}

impl Bytes {
    /// The lent block these bytes lie in.
    pub fn block(&self) -> Option<&dyn Block> {
        match &self.0 {
            Memory::Own(_) => None,
            Memory::Lent { block, .. } => Some(&**block),
        }
    }

    /// From now on these bytes lie in `block`, which holds at least as many. O(len).
    pub fn move_to(&mut self, mut block: Box<dyn Block>) {
        let length = self.len();
        block.bytes_mut()[..length].copy_from_slice(self);
        self.0 = Memory::Lent { block, length };
    }

    /// The bytes as a vector, which may grow as it likes; what was lent goes back.
    pub fn vec(&mut self) -> &mut Vec<u8> {
        if let Memory::Lent { .. } = self.0 {
            self.0 = Memory::Own(self.to_vec());
        }
        match &mut self.0 {
            Memory::Own(bytes) => bytes,
            Memory::Lent { .. } => unreachable!("it was just replaced"),
        }
    }

    /// Bytes there is room for without new memory.
    pub fn capacity(&self) -> usize {
        match &self.0 {
            Memory::Own(bytes) => bytes.capacity(),
            Memory::Lent { block, .. } => block.bytes().len(),
        }
    }

    /// No bytes; the memory stays.
    pub fn clear(&mut self) {
        self.truncate(0);
    }

    /// At most the first `length` bytes; the memory stays.
    pub fn truncate(&mut self, length: usize) {
        match &mut self.0 {
            Memory::Own(bytes) => bytes.truncate(length),
            Memory::Lent { length: used, .. } => *used = length.min(*used),
        }
    }

    /// `length` bytes, new ones being `value`.
    pub fn resize(&mut self, length: usize, value: u8) {
        if length > self.capacity() {
            self.vec();
        }
        match &mut self.0 {
            Memory::Own(bytes) => bytes.resize(length, value),
            Memory::Lent { block, length: used } => {
                if let Some(new) = block.bytes_mut().get_mut(*used..length) {
                    new.fill(value);
                }
                *used = length;
            }
        }
    }

    /// These bytes and then `more`.
    pub fn extend_from_slice(&mut self, more: &[u8]) {
        let (used, length) = (self.len(), self.len() + more.len());
        if length > self.capacity() {
            self.vec();
        }
        match &mut self.0 {
            Memory::Own(bytes) => bytes.extend_from_slice(more),
            Memory::Lent { block, length: end } => {
                block.bytes_mut()[used..length].copy_from_slice(more);
                *end = length;
            }
        }
    }
}

impl Deref for Bytes {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match &self.0 {
            Memory::Own(bytes) => bytes,
            Memory::Lent { block, length } => &block.bytes()[..*length],
        }
    }
}

impl DerefMut for Bytes {
    fn deref_mut(&mut self) -> &mut [u8] {
        match &mut self.0 {
            Memory::Own(bytes) => bytes,
            Memory::Lent { block, length } => &mut block.bytes_mut()[..*length],
        }
    }
}

impl From<Vec<u8>> for Bytes {
    fn from(bytes: Vec<u8>) -> Bytes {
        Bytes(Memory::Own(bytes))
    }
}

impl FromIterator<u8> for Bytes {
    fn from_iter<I: IntoIterator<Item = u8>>(bytes: I) -> Bytes {
        Vec::from_iter(bytes).into()
    }
}

/// A copy is the process's own.
impl Clone for Bytes {
    fn clone(&self) -> Bytes {
        self.to_vec().into()
    }
}

impl PartialEq for Bytes {
    fn eq(&self, other: &Bytes) -> bool {
        **self == **other
    }
}

impl fmt::Debug for Bytes {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lent = if self.block().is_some() { ", lent" } else { "" };
        write!(out, "Bytes({}{lent})", self.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Page(Vec<u8>);

    impl Block for Page {
        fn bytes(&self) -> &[u8] {
            &self.0
        }

        fn bytes_mut(&mut self) -> &mut [u8] {
            &mut self.0
        }
    }

    fn lent(bytes: &[u8], room: usize) -> Bytes {
        let mut lent = Bytes::from(bytes.to_vec());
        lent.move_to(Box::new(Page(vec![0xee; room])));
        lent
    }

    #[test]
    fn lent_bytes_behave_as_a_vector_does() {
        let (mut own, mut lent) = (Bytes::from(vec![1, 2, 3]), lent(&[1, 2, 3], 8));
        let place = lent.as_ptr();
        for bytes in [&mut own, &mut lent] {
            bytes.truncate(2);
            bytes.truncate(5);
            bytes.resize(4, 7);
            bytes.extend_from_slice(&[8, 9]);
            bytes[0] = 5;
        }
        assert_eq!(*own, [5, 2, 7, 7, 8, 9]);
        assert!(own == lent && lent.as_ptr() == place && lent.block().is_some());
        for bytes in [&mut own, &mut lent] {
            bytes.clear();
            bytes.resize(8, 1);
        }
        assert!(own == lent && lent.as_ptr() == place);
    }

    #[test]
    fn what_no_longer_fits_becomes_our_own() {
        let mut grown = lent(&[1, 2, 3], 4);
        grown.extend_from_slice(&[4, 5]);
        assert!(grown.block().is_none() && *grown == [1, 2, 3, 4, 5]);
        let mut resized = lent(&[1], 4);
        resized.resize(5, 2);
        assert!(resized.block().is_none() && *resized == [1, 2, 2, 2, 2]);
        assert!(lent(&[1], 4).clone().block().is_none());
    }
}
