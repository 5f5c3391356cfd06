//! The CUDA driver behind safe, owning handles. Every symbol is looked up before its first use, so that a driver that lacks one gives
//! an error and not a panic.

mod marks;
mod memory;
mod module;
mod queue;

use std::ffi::c_void;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use cudarc::driver::{DriverError, sys};

pub use marks::Marks;
pub use memory::{Buffer, Mapped, Pool, Reading};
pub use module::{Launch, Module};
pub use queue::{Graph, Stream};

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
const NEEDED: [&str; 36] = [
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
    "cuEventElapsedTime",
    "cuEventDestroy_v2",
    "cuMemAlloc_v2",
    "cuMemFree_v2",
    "cuMemHostAlloc",
    "cuMemFreeHost",
    "cuMemHostGetDevicePointer_v2",
    "cuMemcpyHtoDAsync_v2",
    "cuMemsetD8Async",
    "cuModuleLoadData",
    "cuModuleUnload",
    "cuModuleGetFunction",
    "cuFuncSetAttribute",
    "cuFuncGetAttribute",
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
    /// Can read memory that was not allocated through its driver.
    pub registers: bool,
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
            registers: get(Attribute::CU_DEVICE_ATTRIBUTE_HOST_REGISTER_SUPPORTED)? != 0,
        })
    }

    /// Makes this device current on the calling thread, as every use must first.
    pub fn enter(&self) -> Result<()> {
        // SAFETY: the context is retained until drop.
        check("entering the GPU context", unsafe { sys::cuCtxSetCurrent(self.context) })
    }

    /// Bytes of memory not in use, and in all; `None` where the driver cannot say.
    pub fn memory(&self) -> Option<(usize, usize)> {
        let (mut free, mut total) = (0, 0);
        if !has("cuMemGetInfo_v2") || self.enter().is_err() {
            return None;
        }
        // SAFETY: the symbol exists; live locals; a context is current.
        unsafe { sys::cuMemGetInfo_v2(&mut free, &mut total) }.result().ok()?;
        Some((free, total))
    }

    /// The device does not answer: leave everything as it is.
    pub fn abandon(&self) {
        self.abandoned.store(true, Ordering::Relaxed);
    }

    /// Whether something may still be freed, with the context current.
    pub fn can_free(&self) -> bool {
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
