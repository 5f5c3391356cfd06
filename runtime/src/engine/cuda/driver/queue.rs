//! Work on its way to the device: streams, and what they recorded.

use std::ffi::c_void;
use std::sync::Arc;
use std::time::{Duration, Instant};

use cudarc::driver::sys;

use super::{Context, CudaError, Launch, Result, check, has};

/// A queue of work, with an event to wait for it.
pub struct Stream {
    pub(super) stream: sys::CUstream,
    event: sys::CUevent,
    context: Arc<Context>,
}

// SAFETY: stream handles may be used from any thread.
unsafe impl Send for Stream {}

impl Stream {
    /// An empty queue.
    pub fn new(context: &Arc<Context>) -> Result<Stream> {
        let doing = "making a stream";
        let mut stream = Stream { stream: std::ptr::null_mut(), event: std::ptr::null_mut(), context: context.clone() };
        // SAFETY: live locals; flags the driver knows.
        unsafe {
            check(doing, sys::cuStreamCreate(&mut stream.stream, sys::CUstream_flags_enum::CU_STREAM_NON_BLOCKING as u32))?;
            check(doing, sys::cuEventCreate(&mut stream.event, sys::CUevent_flags_enum::CU_EVENT_DISABLE_TIMING as u32))?;
        }
        Ok(stream)
    }

    /// Waits until all work queued so far is done, for at most `limit`.
    pub fn wait(&self, limit: Duration) -> Result<()> {
        let doing = "waiting for the GPU";
        // SAFETY: handles live as long as `self`.
        check(doing, unsafe { sys::cuEventRecord(self.event, self.stream) })?;
        let began = Instant::now();
        loop {
            // SAFETY: as above.
            match unsafe { sys::cuEventQuery(self.event) } {
                sys::CUresult::CUDA_ERROR_NOT_READY => {}
                code => return check(doing, code),
            }
            let waited = began.elapsed();
            if waited > limit {
                self.context.abandon();
                return Err(CudaError { doing, reason: format!("no answer within {} ms; the GPU hangs", limit.as_millis()) });
            }
            // The first stretch is spun through: a frame often takes less than the shortest sleep.
            if waited > Duration::from_micros(200) {
                std::thread::sleep(Duration::from_micros(50));
            } else {
                std::hint::spin_loop();
            }
        }
    }

    /// Records what `work` queues instead of running it.
    pub fn capture(&self, work: impl FnOnce() -> Result<()>) -> Result<Graph> {
        let doing = "recording the step graph";
        let instantiate = ["cuGraphInstantiateWithFlags", "cuGraphInstantiate_v2", "cuGraphInstantiate"].into_iter().find(|name| has(name));
        let Some(instantiate) = instantiate else {
            return Err(CudaError { doing, reason: "the driver has no cuGraphInstantiate".into() });
        };
        let mode = sys::CUstreamCaptureMode::CU_STREAM_CAPTURE_MODE_THREAD_LOCAL;
        let (mut graph, mut exec) = (std::ptr::null_mut(), std::ptr::null_mut());
        // SAFETY: a live stream that is not being captured; capture is ended whatever `work` does; the graph is destroyed whatever
        // instantiation says; the older symbols have taken these five arguments since CUDA 10.0.
        unsafe {
            check(doing, sys::cuStreamBeginCapture_v2(self.stream, mode))?;
            let worked = work();
            let ended = check(doing, sys::cuStreamEndCapture(self.stream, &mut graph));
            let made = worked.and(ended).and_then(|()| {
                if instantiate == "cuGraphInstantiateWithFlags" {
                    return check(doing, sys::cuGraphInstantiateWithFlags(&mut exec, graph, 0));
                }
                type Older = unsafe extern "C" fn(
                    *mut sys::CUgraphExec,
                    sys::CUgraph,
                    *mut *mut c_void,
                    *mut std::ffi::c_char,
                    usize,
                ) -> sys::CUresult;
                let older =
                    sys::culib().get::<Older>(instantiate.as_bytes()).map_err(|error| CudaError { doing, reason: error.to_string() })?;
                check(doing, older(&mut exec, graph, std::ptr::null_mut(), std::ptr::null_mut(), 0))
            });
            if !graph.is_null() {
                sys::cuGraphDestroy(graph);
            }
            made?;
        }
        Ok(Graph { exec, context: self.context.clone() })
    }

    /// Queues a recorded graph.
    pub fn replay(&self, graph: &Graph) -> Result<()> {
        // SAFETY: both handles live.
        check("launching a graph", unsafe { sys::cuGraphLaunch(graph.exec, self.stream) })
    }

    /// Queues one kernel whose only parameter is the struct in `args`.
    pub fn launch(&self, launch: &Launch) -> Result<()> {
        let mut params = [launch.args.as_ptr().cast_mut().cast::<c_void>()];
        let (grid, threads) = (launch.grid, launch.threads);
        // SAFETY: the function takes one struct by value and `args` holds all of it; buffers named in it outlive the launch because the
        // engine drops them only after it has waited.
        check("launching a kernel", unsafe {
            sys::cuLaunchKernel(
                launch.function.0,
                grid[0],
                grid[1],
                grid[2],
                threads,
                1,
                1,
                launch.shared,
                self.stream,
                params.as_mut_ptr(),
                std::ptr::null_mut(),
            )
        })
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        if self.context.can_free() {
            // SAFETY: created by `new` (or null when that failed halfway, which is skipped), destroyed once.
            unsafe {
                if !self.event.is_null() {
                    sys::cuEventDestroy_v2(self.event);
                }
                if !self.stream.is_null() {
                    sys::cuStreamDestroy_v2(self.stream);
                }
            }
        }
    }
}

/// A recorded sequence of kernels.
pub struct Graph {
    exec: sys::CUgraphExec,
    context: Arc<Context>,
}

// SAFETY: graph handles may be used from any thread, one at a time.
unsafe impl Send for Graph {}

impl Drop for Graph {
    fn drop(&mut self) {
        if self.context.can_free() {
            // SAFETY: instantiated by `capture`, destroyed once.
            unsafe { sys::cuGraphExecDestroy(self.exec) };
        }
    }
}
