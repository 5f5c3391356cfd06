//! Memory: the device's, and the host's that both see.

use std::any::Any;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use cudarc::driver::sys;

use super::{Context, CudaError, Result, Stream, check, has};
use crate::frame::Block;

/// Device memory.
pub struct Buffer {
    /// Its device address.
    pub address: u64,
    bytes: usize,
    context: Arc<Context>,
}

impl Buffer {
    /// `bytes` of memory, all zero once `stream` has come this far.
    pub fn zeroed(context: &Arc<Context>, stream: &Stream, bytes: usize) -> Result<Buffer> {
        let mut address = 0;
        // SAFETY: a live local; the size is not 0.
        check("allocating GPU memory", unsafe { sys::cuMemAlloc_v2(&mut address, bytes.max(16)) })?;
        let buffer = Buffer { address, bytes: bytes.max(16), context: context.clone() };
        buffer.clear(stream)?;
        Ok(buffer)
    }

    /// A copy of `data`.
    pub fn holding(context: &Arc<Context>, stream: &Stream, data: &[u8]) -> Result<Buffer> {
        let buffer = Buffer::zeroed(context, stream, data.len())?;
        // On the stream whose kernels read it: a copy without a stream may return before the last bytes are there, and a stream that
        // does not synchronise with the default one would not wait for them.
        // SAFETY: the buffer is at least as long as `data`, which lives until the wait is over.
        check("copying to the GPU", unsafe { sys::cuMemcpyHtoDAsync_v2(buffer.address, data.as_ptr().cast(), data.len(), stream.stream) })?;
        stream.wait(Duration::from_secs(10))?;
        Ok(buffer)
    }

    /// Sets every byte to 0, in stream order.
    pub fn clear(&self, stream: &Stream) -> Result<()> {
        // SAFETY: the whole of a live allocation.
        check("clearing GPU memory", unsafe { sys::cuMemsetD8Async(self.address, 0, self.bytes, stream.stream) })
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        if self.context.can_free() {
            // SAFETY: allocated by `zeroed`, freed once.
            unsafe { sys::cuMemFree_v2(self.address) };
        }
    }
}

/// Host memory that kernels read and write in place.
pub struct Mapped<T> {
    host: *mut T,
    /// Its address on the device.
    pub address: u64,
    len: usize,
    context: Arc<Context>,
}

// SAFETY: an owned allocation of plain numbers.
unsafe impl<T: Send> Send for Mapped<T> {}

impl<T: Copy> Mapped<T> {
    /// `len` values, each `value`.
    pub fn new(context: &Arc<Context>, len: usize, value: T) -> Result<Mapped<T>> {
        /// Portable between contexts and mapped into the device's addresses; cached, because the host reads it back.
        const FLAGS: u32 = sys::CU_MEMHOSTALLOC_PORTABLE | sys::CU_MEMHOSTALLOC_DEVICEMAP;
        let doing = "allocating memory shared with the GPU";
        let mut host = std::ptr::null_mut();
        // SAFETY: a live local; the size is not 0.
        check(doing, unsafe { sys::cuMemHostAlloc(&mut host, (len * size_of::<T>()).max(16), FLAGS) })?;
        let mut mapped = Mapped { host: host.cast::<T>(), address: 0, len, context: context.clone() };
        for at in 0..len {
            // SAFETY: within the allocation just made; driver allocations are page aligned.
            unsafe { mapped.host.add(at).write(value) };
        }
        // SAFETY: an address the driver gave, mapped.
        check(doing, unsafe { sys::cuMemHostGetDevicePointer_v2(&mut mapped.address, host, 0) })?;
        Ok(mapped)
    }

    /// The values as the host sees them. Kernels must not be writing them.
    pub fn as_slice(&self) -> &[T] {
        // SAFETY: `len` initialised values.
        unsafe { std::slice::from_raw_parts(self.host, self.len) }
    }

    /// As above, to be written.
    pub fn as_mut_slice(&mut self) -> &mut [T] {
        // SAFETY: `len` initialised values, borrowed mutably.
        unsafe { std::slice::from_raw_parts_mut(self.host, self.len) }
    }

    /// The first value, read anew.
    pub fn read(&self) -> T {
        // SAFETY: at least one initialised value; volatile because the device writes it.
        unsafe { self.host.read_volatile() }
    }

    /// Sets the first value.
    pub fn write(&mut self, value: T) {
        // SAFETY: as `read`.
        unsafe { self.host.write_volatile(value) }
    }
}

impl<T> Drop for Mapped<T> {
    fn drop(&mut self) {
        if self.context.can_free() {
            // SAFETY: allocated by `new`, freed once.
            unsafe { sys::cuMemFreeHost(self.host.cast()) };
        }
    }
}

/// Unit in which memory is registered.
#[repr(C, align(4096))]
#[derive(Clone, Copy)]
struct Page([u8; 4096]);

/// Memory of the process's own that kernels read in place for as long as it is registered with the driver. It outlives the device: what
/// is registered is only borrowed, unlike memory the driver allocates, which goes when the device is lost.
struct Registered {
    start: *mut Page,
    pages: usize,
    /// Its address on the device.
    address: u64,
    live: AtomicBool,
    /// Weak, because a context that failed must go before the device can be opened anew, and blocks may still be on their way.
    context: Weak<Context>,
}

// SAFETY: an owned allocation; the host's accesses go through the one `Pinned`.
unsafe impl Send for Registered {}
// SAFETY: as above.
unsafe impl Sync for Registered {}

impl Registered {
    fn new(context: &Arc<Context>, bytes: usize) -> Result<Registered> {
        const FLAGS: u32 = sys::CU_MEMHOSTREGISTER_PORTABLE | sys::CU_MEMHOSTREGISTER_DEVICEMAP;
        let doing = "registering a camera's memory with the GPU";
        if !context.info.registers || ["cuMemHostRegister_v2", "cuMemHostUnregister"].iter().any(|symbol| !has(symbol)) {
            return Err(CudaError { doing, reason: "this GPU or its driver knows no registered memory".into() });
        }
        context.enter()?;
        let pages = bytes.div_ceil(size_of::<Page>()).max(1);
        let start = Box::into_raw(vec![Page([0; size_of::<Page>()]); pages].into_boxed_slice()).cast::<Page>();
        let mut memory = Registered { start, pages, address: 0, live: AtomicBool::new(false), context: Arc::downgrade(context) };
        // SAFETY: whole pages of a live allocation; a live local.
        unsafe {
            check(doing, sys::cuMemHostRegister_v2(start.cast(), pages * size_of::<Page>(), FLAGS))?;
            memory.live = AtomicBool::new(true);
            check(doing, sys::cuMemHostGetDevicePointer_v2(&mut memory.address, start.cast(), 0))?;
        }
        Ok(memory)
    }

    /// From now on the device no longer sees it; false where it hangs and cannot be told.
    fn end(&self) -> bool {
        if !self.live.load(Ordering::Acquire) {
            return true;
        }
        let Some(context) = self.context.upgrade() else { return false };
        let ended = context.can_free();
        if ended && self.live.swap(false, Ordering::AcqRel) {
            // SAFETY: registered by `new`, ended once.
            unsafe { sys::cuMemHostUnregister(self.start.cast()) };
        }
        ended
    }
}

impl Drop for Registered {
    fn drop(&mut self) {
        // A device that hangs may still be reading: better lost than reused.
        if self.end() {
            // SAFETY: made by `new` as a boxed slice of this length, given back once.
            drop(unsafe { Box::from_raw(std::ptr::slice_from_raw_parts_mut(self.start, self.pages)) });
        }
    }
}

/// A block that goes round with frames and that the device reads in place. The only one through which the host uses the memory.
struct Pinned(Arc<Registered>);

impl Block for Pinned {
    fn bytes(&self) -> &[u8] {
        // SAFETY: initialised bytes, owned through the Arc, written only through `bytes_mut`.
        unsafe { std::slice::from_raw_parts(self.0.start.cast(), self.0.pages * size_of::<Page>()) }
    }

    fn bytes_mut(&mut self) -> &mut [u8] {
        // SAFETY: as above; there is one `Pinned` for each allocation.
        unsafe { std::slice::from_raw_parts_mut(self.0.start.cast(), self.0.pages * size_of::<Page>()) }
    }
}

/// A picture the device reads where it lies; keeps the memory from being freed meanwhile.
pub struct Reading {
    /// Its address on the device.
    pub address: u64,
    _memory: Arc<Registered>,
}

/// Blocks a device has lent to sources of pictures.
pub struct Pool {
    context: Arc<Context>,
    lent: Vec<Weak<Registered>>,
}

impl Pool {
    /// Nothing lent yet.
    pub fn new(context: &Arc<Context>) -> Pool {
        Pool { context: context.clone(), lent: Vec::new() }
    }

    /// A block of at least `bytes`.
    pub fn lend(&mut self, bytes: usize) -> Result<Box<dyn Block>> {
        self.lent.retain(|memory| memory.strong_count() > 0);
        let memory = Arc::new(Registered::new(&self.context, bytes)?);
        self.lent.push(Arc::downgrade(&memory));
        Ok(Box::new(Pinned(memory)))
    }

    /// Where the device reads `block`, if it was lent by this pool.
    pub fn find(&self, block: Option<&dyn Block>) -> Option<Reading> {
        let Pinned(memory) = (block? as &dyn Any).downcast_ref::<Pinned>()?;
        let ours = self.lent.iter().any(|lent| std::ptr::eq(lent.as_ptr(), Arc::as_ptr(memory)));
        ours.then(|| Reading { address: memory.address, _memory: memory.clone() })
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        for memory in self.lent.iter().filter_map(Weak::upgrade) {
            memory.end();
        }
    }
}
