//! The CUDA driver behind safe, owning handles. Every symbol is looked up before its first use, so that a driver that lacks one gives
//! an error and not a panic.

use std::ffi::{CString, c_void};
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use cudarc::driver::{DriverError, sys};

/// A driver call failed.
#[derive(Debug)]
pub struct CudaError {
    /// What was being done.
    pub doing: &'static str,
    /// What the driver said.
    pub reason: String,
}

impl fmt::Display for CudaError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{} failed: {}", self.doing, self.reason)
    }
}

/// The result of a driver call.
pub type Result<T> = std::result::Result<T, CudaError>;

fn check(doing: &'static str, code: sys::CUresult) -> Result<()> {
    code.result().map_err(|error| CudaError { doing, reason: describe(&error) })
}

fn describe(error: &DriverError) -> String {
    let text =
        |text: std::result::Result<&std::ffi::CStr, DriverError>| text.map(|text| text.to_string_lossy().into_owned()).unwrap_or_default();
    format!("{} ({})", text(error.error_name()), text(error.error_string()))
}

/// Symbols without which nothing works. All exist since CUDA 10.2.
const NEEDED: [&str; 34] = [
    "cuInit",
    "cuDriverGetVersion",
    "cuDeviceGetCount",
    "cuDeviceGet",
    "cuDeviceGetName",
    "cuDeviceGetAttribute",
    "cuDeviceTotalMem_v2",
    "cuDevicePrimaryCtxRetain",
    "cuCtxSetCurrent",
    "cuStreamCreate",
    "cuStreamDestroy_v2",
    "cuStreamBeginCapture_v2",
    "cuStreamEndCapture",
    "cuGraphLaunch",
    "cuGraphExecDestroy",
    "cuGraphDestroy",
    "cuEventCreate",
    "cuEventRecord",
    "cuEventQuery",
    "cuEventDestroy_v2",
    "cuMemAlloc_v2",
    "cuMemFree_v2",
    "cuMemHostAlloc",
    "cuMemFreeHost",
    "cuMemHostGetDevicePointer_v2",
    "cuMemcpyHtoD_v2",
    "cuMemsetD8Async",
    "cuModuleLoadData",
    "cuModuleUnload",
    "cuModuleGetFunction",
    "cuFuncSetAttribute",
    "cuLaunchKernel",
    "cuGetErrorName",
    "cuGetErrorString",
];

fn has(symbol: &str) -> bool {
    // SAFETY: only called after `is_culib_present`; the address is not used here.
    unsafe { sys::culib().get::<*const c_void>(symbol.as_bytes()).is_ok() }
}

/// What is known of a device.
#[derive(Clone, Debug)]
pub struct Info {
    /// Its name.
    pub name: String,
    /// CUDA version of the driver, for example 12060.
    pub driver: i32,
    /// Compute capability times ten.
    pub capability: u32,
    /// Multiprocessors.
    pub multiprocessors: usize,
    /// Bytes of shared memory one block may have.
    pub shared_limit: usize,
    /// Bytes of shared memory a multiprocessor has.
    pub shared_total: usize,
    /// Bytes of memory.
    pub memory: usize,
    /// Shares memory with the CPU.
    pub integrated: bool,
}

/// A device in use by this process: its primary context.
pub struct Context {
    context: sys::CUcontext,
    device: sys::CUdevice,
    /// What is known of it.
    pub info: Info,
    /// Set when the device no longer answers: nothing is freed then, for freeing would wait for it.
    abandoned: AtomicBool,
}

// SAFETY: a context may be made current on any thread, which every use does first.
unsafe impl Send for Context {}
// SAFETY: as above; the driver locks internally.
unsafe impl Sync for Context {}

impl Context {
    /// Opens the first device.
    pub fn open() -> Result<Arc<Context>> {
        let refuse = |reason: String| CudaError { doing: "looking for a GPU", reason };
        // SAFETY: asks only whether a library of that name can be opened.
        if !unsafe { sys::is_culib_present() } {
            return Err(refuse("no CUDA driver (libcuda.so) is installed".into()));
        }
        if let Some(missing) = NEEDED.iter().find(|symbol| !has(symbol)) {
            return Err(refuse(format!("the CUDA driver has no {missing}; it is older than CUDA 10.2, or damaged")));
        }
        let doing = "starting the CUDA driver";
        let (mut driver, mut count, mut device) = (0, 0, 0);
        let mut context = std::ptr::null_mut();
        // SAFETY: symbols exist; out-pointers are to live locals; a device ordinal below the count.
        unsafe {
            check(doing, sys::cuInit(0))?;
            check(doing, sys::cuDriverGetVersion(&mut driver))?;
            check(doing, sys::cuDeviceGetCount(&mut count))?;
        }
        if driver < 10020 {
            return Err(refuse(format!("the driver speaks CUDA {}.{}; 10.2 is the oldest that works", driver / 1000, driver % 1000 / 10)));
        }
        if count == 0 {
            return Err(refuse("the CUDA driver finds no GPU".into()));
        }
        // SAFETY: as above.
        unsafe { check(doing, sys::cuDeviceGet(&mut device, 0))? };
        let info = Context::info(device, driver)?;
        // SAFETY: a device the driver named.
        unsafe { check(doing, sys::cuDevicePrimaryCtxRetain(&mut context, device))? };
        let context = Arc::new(Context { context, device, info, abandoned: AtomicBool::new(false) });
        context.enter()?;
        Ok(context)
    }

    fn info(device: sys::CUdevice, driver: i32) -> Result<Info> {
        use sys::CUdevice_attribute_enum as Attribute;
        let doing = "asking what the GPU is";
        let get = |attribute| {
            let mut value = 0;
            // SAFETY: a device the driver named, an attribute known since CUDA 10.2, a live local.
            check(doing, unsafe { sys::cuDeviceGetAttribute(&mut value, attribute, device) }).map(|()| value.max(0) as usize)
        };
        let mut name = [0u8; 128];
        let mut memory = 0usize;
        // SAFETY: a buffer of the length given, and a live local.
        unsafe {
            check(doing, sys::cuDeviceGetName(name.as_mut_ptr().cast(), name.len() as i32 - 1, device))?;
            check(doing, sys::cuDeviceTotalMem_v2(&mut memory, device))?;
        }
        let name = name.split(|&byte| byte == 0).next().unwrap_or_default();
        Ok(Info {
            name: String::from_utf8_lossy(name).into_owned(),
            driver,
            capability: (get(Attribute::CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR)? * 10
                + get(Attribute::CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR)?) as u32,
            multiprocessors: get(Attribute::CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT)?.max(1),
            shared_limit: get(Attribute::CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK_OPTIN)?.max(48 * 1024),
            shared_total: get(Attribute::CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_MULTIPROCESSOR)?.max(48 * 1024),
            memory,
            integrated: get(Attribute::CU_DEVICE_ATTRIBUTE_INTEGRATED)? != 0,
        })
    }

    /// Makes this device current on the calling thread, as every use must first.
    pub fn enter(&self) -> Result<()> {
        // SAFETY: the context is retained until drop.
        check("entering the GPU context", unsafe { sys::cuCtxSetCurrent(self.context) })
    }

    /// The device does not answer: leave everything as it is.
    pub fn abandon(&self) {
        self.abandoned.store(true, Ordering::Relaxed);
    }

    /// Whether something may still be freed, with the context current.
    fn can_free(&self) -> bool {
        !self.abandoned.load(Ordering::Relaxed) && (self.enter().is_ok() || self.enter().is_ok())
    }
}

impl Drop for Context {
    fn drop(&mut self) {
        if !self.abandoned.load(Ordering::Relaxed) && has("cuDevicePrimaryCtxRelease_v2") {
            // SAFETY: retained once by `open`; everything that lives in the context holds an Arc of this.
            unsafe { sys::cuDevicePrimaryCtxRelease_v2(self.device) };
        }
    }
}

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
        stream.wait(Duration::from_secs(10))?;
        // SAFETY: the buffer is at least as long as `data`.
        check("copying to the GPU", unsafe { sys::cuMemcpyHtoD_v2(buffer.address, data.as_ptr().cast(), data.len()) })?;
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

/// A queue of work, with an event to wait for it.
pub struct Stream {
    stream: sys::CUstream,
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

/// A kernel of a loaded module; valid as long as that.
#[derive(Clone, Copy)]
pub struct Function(sys::CUfunction);

// SAFETY: function handles may be used from any thread.
unsafe impl Send for Function {}

/// One kernel launch, ready to go.
pub struct Launch {
    /// The kernel.
    pub function: Function,
    /// Blocks.
    pub grid: [u32; 3],
    /// Threads of a block.
    pub threads: u32,
    /// Dynamic shared memory in bytes.
    pub shared: u32,
    /// The kernel's parameter, as bytes.
    pub args: Vec<u8>,
}

/// A loaded image of kernels.
pub struct Module {
    module: sys::CUmodule,
    context: Arc<Context>,
}

// SAFETY: module handles may be used from any thread.
unsafe impl Send for Module {}

impl Module {
    /// Loads a cubin, or PTX that ends in a zero byte.
    pub fn load(context: &Arc<Context>, image: &[u8]) -> Result<Module> {
        let mut module = std::ptr::null_mut();
        // SAFETY: cubins carry their length, PTX its end.
        check("loading kernels", unsafe { sys::cuModuleLoadData(&mut module, image.as_ptr().cast()) })?;
        Ok(Module { module, context: context.clone() })
    }

    /// The kernel `name`, allowed up to `shared` bytes of dynamic shared memory.
    pub fn function(&self, name: &str, shared: usize) -> Result<Function> {
        let doing = "finding a kernel";
        let text = CString::new(name).map_err(|error| CudaError { doing, reason: error.to_string() })?;
        let mut function = std::ptr::null_mut();
        // SAFETY: a live module, a terminated string, a live local.
        check(doing, unsafe { sys::cuModuleGetFunction(&mut function, self.module, text.as_ptr()) })?;
        if shared > 48 * 1024 {
            let attribute = sys::CUfunction_attribute_enum::CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES;
            // SAFETY: a live function.
            check("asking for shared memory", unsafe { sys::cuFuncSetAttribute(function, attribute, shared as i32) })?;
        }
        Ok(Function(function))
    }
}

impl Drop for Module {
    fn drop(&mut self) {
        if self.context.can_free() {
            // SAFETY: loaded by `load`, unloaded once.
            unsafe { sys::cuModuleUnload(self.module) };
        }
    }
}
