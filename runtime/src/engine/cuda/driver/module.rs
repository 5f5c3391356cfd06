//! Kernels: loaded images and what is in them.

use std::ffi::CString;
use std::sync::Arc;

use cudarc::driver::sys;

use super::{Context, CudaError, Result, check};

/// A kernel of a loaded module; valid as long as that.
#[derive(Clone, Copy)]
pub struct Function(pub(super) sys::CUfunction);

// SAFETY: function handles may be used from any thread.
unsafe impl Send for Function {}

/// One kernel launch, ready to go.
#[derive(Clone)]
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
        // Drivers since CUDA 11.7 load a kernel when it is first needed, which may not be while a graph is recorded: asking loads it.
        let mut fixed = 0;
        let attribute = sys::CUfunction_attribute_enum::CU_FUNC_ATTRIBUTE_SHARED_SIZE_BYTES;
        // SAFETY: a live local and a live function.
        check(doing, unsafe { sys::cuFuncGetAttribute(&mut fixed, attribute, function) })?;
        // What the kernel declares for itself counts towards the same limits. The attribute is a property of the kernel, not of the
        // launch: all there is, so that no later launch finds it lowered.
        if shared as i32 + fixed > 48 * 1024 {
            let most = self.context.info.shared_limit as i32 - fixed;
            let attribute = sys::CUfunction_attribute_enum::CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES;
            // SAFETY: a live function.
            check("asking for shared memory", unsafe { sys::cuFuncSetAttribute(function, attribute, most) })?;
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
