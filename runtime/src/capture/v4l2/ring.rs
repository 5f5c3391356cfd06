//! The driver's buffers while streaming.
//!
//! The `v4l` crate's own stream re-queues the wrong buffer after a timeout and panics when an unplugged device
//! refuses its clean-up; this ring waits for readiness before it dequeues, re-queues exactly what it took, and drops in silence.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use v4l::v4l_sys::{v4l2_buffer, v4l2_requestbuffers};
use v4l::v4l2::vidioc;

use super::device::{CAPTURE, Device, Ready};
use crate::capture::Memory;
use crate::frame::Bytes;

const MEMORY_MMAP: u32 = 1;
const MEMORY_USERPTR: u32 = 2;
const FLAG_ERROR: u32 = 0x40;
const FLAG_TIMESTAMP_MASK: u32 = 0xe000;
const FLAG_TIMESTAMP_MONOTONIC: u32 = 0x2000;

/// What the driver says of a filled buffer.
#[derive(Clone, Copy, Debug)]
pub(super) struct Filled {
    index: usize,
    /// Bytes in use.
    pub bytes: usize,
    /// The driver flagged the picture as broken.
    pub broken: bool,
    /// The driver's count, which wraps.
    pub sequence: u32,
    /// On `CLOCK_MONOTONIC`, where the driver uses that clock.
    pub captured: Option<Duration>,
}

enum Slot {
    Mapped { start: *mut u8, length: usize },
    Owned(Bytes),
}

/// Buffers queued at a streaming device.
pub(super) struct Ring {
    device: Arc<Device>,
    memory: u32,
    slots: Vec<Slot>,
    /// The driver fills none but memory of the process's own.
    own_only: bool,
}

// SAFETY: the mapped pages belong to this ring alone and may be read from any thread.
unsafe impl Send for Ring {}

impl Ring {
    /// Asks for `count` buffers, queues them all and starts the stream. `bytes`: size of one, when the memory is ours.
    pub fn start(device: Arc<Device>, memory: Memory, count: u32, bytes: usize) -> io::Result<Ring> {
        let memory = match memory {
            Memory::Mapped => MEMORY_MMAP,
            Memory::User => MEMORY_USERPTR,
        };
        let mut ring = Ring { device, memory, slots: Vec::new(), own_only: false };
        let granted = ring.request(count.clamp(2, 32))?;
        if granted < 2 {
            return Err(io::Error::from_raw_os_error(libc::ENOMEM));
        }
        for index in 0..granted as usize {
            let slot = if memory == MEMORY_MMAP { ring.map(index)? } else { Slot::Owned(vec![0; bytes].into()) };
            ring.slots.push(slot);
            ring.queue(index)?;
        }
        let mut kind = CAPTURE;
        ring.device.ioctl(vidioc::VIDIOC_STREAMON, &mut kind)?;
        Ok(ring)
    }

    /// Waits for a filled buffer. It must be given back by [`Ring::release`] or [`Ring::exchange`].
    pub fn take(&mut self, wait: Duration) -> io::Result<Option<Filled>> {
        match self.device.wait(wait)? {
            Ready::Buffer => {}
            Ready::Nothing => return Ok(None),
            Ready::Changed => return Err(io::Error::other("the picture's size or format changed; it is negotiated anew")),
        }
        let mut buffer = self.blank(0);
        match self.device.ioctl(vidioc::VIDIOC_DQBUF, &mut buffer) {
            // The descriptor does not block: someone else's event woke us.
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(None),
            result => result?,
        }
        let index = buffer.index as usize;
        let length = match self.slots.get(index) {
            Some(Slot::Mapped { length, .. }) => *length,
            Some(Slot::Owned(memory)) => memory.len(),
            None => return Err(io::Error::other("the driver returned a buffer it was never given")),
        };
        let monotonic = buffer.flags & FLAG_TIMESTAMP_MASK == FLAG_TIMESTAMP_MONOTONIC;
        let (seconds, micros) = (buffer.timestamp.tv_sec, buffer.timestamp.tv_usec);
        let captured =
            (monotonic && seconds >= 0 && (0..1_000_000).contains(&micros)).then(|| Duration::new(seconds as u64, micros as u32 * 1000));
        Ok(Some(Filled {
            index,
            bytes: (buffer.bytesused as usize).min(length),
            broken: buffer.flags & FLAG_ERROR != 0,
            sequence: buffer.sequence,
            captured: captured.filter(|time| !time.is_zero()),
        }))
    }

    /// The bytes of a filled buffer.
    pub fn bytes(&self, filled: &Filled) -> &[u8] {
        match &self.slots[filled.index] {
            // SAFETY: the mapping is `length` bytes long and lives as long as the slot; `bytes` was clamped to it. The driver does
            // not write into a dequeued buffer.
            Slot::Mapped { start, .. } => unsafe { std::slice::from_raw_parts(*start, filled.bytes) },
            Slot::Owned(memory) => &memory[..filled.bytes],
        }
    }

    /// Gives a buffer back to the driver.
    pub fn release(&mut self, filled: Filled) -> io::Result<()> {
        self.queue(filled.index)
    }

    /// Puts the picture into `into` and gives a buffer back to the driver: by exchange when the memory is ours, else by one copy.
    ///
    /// What comes with `into` may be lent by an engine that reads it in place; the driver then writes the next picture straight to where
    /// it is read.
    pub fn exchange(&mut self, filled: Filled, into: &mut Bytes) -> io::Result<()> {
        match &mut self.slots[filled.index] {
            Slot::Owned(memory) if !(self.own_only && into.block().is_some()) => {
                let length = memory.len();
                std::mem::swap(memory, into);
                into.truncate(filled.bytes);
                memory.resize(length, 0);
            }
            Slot::Owned(_) | Slot::Mapped { .. } => {
                into.clear();
                into.extend_from_slice(self.bytes(&filled));
            }
        }
        self.queue(filled.index)
    }

    fn request(&self, count: u32) -> io::Result<u32> {
        // SAFETY: all-zero bytes are a valid v4l2_requestbuffers.
        let mut request: v4l2_requestbuffers = unsafe { std::mem::zeroed() };
        request.count = count;
        request.type_ = CAPTURE;
        request.memory = self.memory;
        self.device.ioctl(vidioc::VIDIOC_REQBUFS, &mut request)?;
        Ok(request.count)
    }

    fn blank(&self, index: usize) -> v4l2_buffer {
        // SAFETY: all-zero bytes are a valid v4l2_buffer.
        let mut buffer: v4l2_buffer = unsafe { std::mem::zeroed() };
        buffer.index = index as u32;
        buffer.type_ = CAPTURE;
        buffer.memory = self.memory;
        buffer
    }

    fn map(&self, index: usize) -> io::Result<Slot> {
        let mut buffer = self.blank(index);
        self.device.ioctl(vidioc::VIDIOC_QUERYBUF, &mut buffer)?;
        let length = buffer.length as usize;
        // SAFETY: a fresh shared mapping of a buffer the driver has just described; nothing else refers to it. The union holds
        // `offset` for mapped memory.
        let start = unsafe {
            v4l::v4l2::mmap(
                std::ptr::null_mut(),
                length,
                libc::PROT_READ,
                libc::MAP_SHARED,
                self.device.descriptor(),
                buffer.m.offset.into(),
            )?
        };
        Ok(Slot::Mapped { start: start.cast(), length })
    }

    fn queue(&mut self, index: usize) -> io::Result<()> {
        let mut buffer = self.blank(index);
        if let Slot::Owned(memory) = &mut self.slots[index] {
            buffer.m.userptr = memory.as_mut_ptr() as libc::c_ulong;
            buffer.length = memory.len() as u32;
        }
        let queued = self.device.ioctl(vidioc::VIDIOC_QBUF, &mut buffer);
        if let Err(error) = &queued
            && error.raw_os_error() != Some(libc::ENODEV)
            && let Slot::Owned(memory) = &mut self.slots[index]
            && memory.block().is_some()
        {
            log::info!(
                "{}: the driver cannot fill the engine's memory ({error}): each picture is copied once",
                self.device.path().display()
            );
            self.own_only = true;
            memory.vec();
            return self.queue(index);
        }
        queued
    }
}

impl Drop for Ring {
    fn drop(&mut self) {
        // A device that is gone refuses all of this, and there is nothing left to do about it: memory and descriptor go regardless.
        let mut kind = CAPTURE;
        let stopped = self.device.ioctl(vidioc::VIDIOC_STREAMOFF, &mut kind);
        let writing = stopped.as_ref().is_err_and(|error| error.raw_os_error() != Some(libc::ENODEV));
        for slot in self.slots.drain(..) {
            match slot {
                Slot::Mapped { start, length } => {
                    // SAFETY: mapped by `map` with this length, unmapped once, and no slice of it outlives the ring.
                    let _ = unsafe { v4l::v4l2::munmap(start.cast(), length) };
                }
                // A driver that did not stop may still write here: better lost than reused.
                Slot::Owned(memory) if writing => std::mem::forget(memory),
                Slot::Owned(_) => {}
            }
        }
        let _ = self.request(0);
        if let Err(error) = stopped
            && error.raw_os_error() != Some(libc::ENODEV)
        {
            log::debug!("{}: stopping the stream: {error}", self.device.path().display());
        }
    }
}
