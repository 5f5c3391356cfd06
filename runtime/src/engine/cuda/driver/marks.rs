//! When the device came by places in its queue.

use std::sync::Arc;
use std::time::Duration;

use cudarc::driver::sys;

use super::{Context, Result, Stream, check};

/// `N` places in a queue, each with the moment at which the device came by last.
pub struct Marks<const N: usize> {
    events: [sys::CUevent; N],
    context: Arc<Context>,
}

// SAFETY: event handles may be used from any thread.
unsafe impl<const N: usize> Send for Marks<N> {}

impl<const N: usize> Marks<N> {
    /// Nothing came by yet.
    pub fn new(context: &Arc<Context>) -> Result<Marks<N>> {
        let mut marks = Marks { events: [std::ptr::null_mut(); N], context: context.clone() };
        for event in &mut marks.events {
            // SAFETY: a live local; flags the driver knows.
            check("making an event", unsafe { sys::cuEventCreate(event, sys::CUevent_flags_enum::CU_EVENT_DEFAULT as u32) })?;
        }
        Ok(marks)
    }

    /// Puts mark `at` behind all work queued so far.
    pub fn put(&self, at: usize, stream: &Stream) -> Result<()> {
        // SAFETY: both handles live.
        check("marking the queue", unsafe { sys::cuEventRecord(self.events[at], stream.stream) })
    }

    /// The time between two marks that the device came by: what was queued up to the second was waited for.
    pub fn between(&self, from: usize, to: usize) -> Result<Duration> {
        let mut ms = 0f32;
        // SAFETY: a live local; handles that live as long as `self`.
        check("reading the GPU's clock", unsafe { sys::cuEventElapsedTime(&mut ms, self.events[from], self.events[to]) })?;
        Ok(Duration::try_from_secs_f32(ms.max(0.0) / 1e3).unwrap_or_default())
    }
}

impl<const N: usize> Drop for Marks<N> {
    fn drop(&mut self) {
        if self.context.can_free() {
            for event in self.events.into_iter().filter(|event| !event.is_null()) {
                // SAFETY: created by `new`, destroyed once.
                unsafe { sys::cuEventDestroy_v2(event) };
            }
        }
    }
}
