//! The last resort before the CPU: compile the kernels with an NVRTC library that happens to be installed.

use std::ffi::{CStr, CString, c_char, c_int, c_void};

/// Source of all kernels, in the order in which they are compiled as one file.
pub const SOURCES: [&str; 11] = [
    include_str!("kernels/prelude.cu"),
    include_str!("kernels/conv_mma.cu"),
    include_str!("kernels/conv_scalar.cu"),
    include_str!("kernels/conv_fft.cu"),
    include_str!("kernels/stats.cu"),
    include_str!("kernels/pointwise.cu"),
    include_str!("kernels/spatial.cu"),
    include_str!("kernels/across.cu"),
    include_str!("kernels/tiles.cu"),
    include_str!("kernels/frame.cu"),
    include_str!("kernels/camera.cu"),
];

/// Newest first; the plain name is what development packages install.
const LIBRARIES: [&CStr; 5] = [c"libnvrtc.so.13", c"libnvrtc.so.12", c"libnvrtc.so.11.2", c"libnvrtc.so.10.2", c"libnvrtc.so"];

type Program = *mut c_void;

struct Library(*mut c_void);

impl Library {
    fn open() -> Result<Library, String> {
        for name in LIBRARIES {
            // SAFETY: a terminated string; loading NVRTC runs only its own initialisers.
            let handle = unsafe { libc::dlopen(name.as_ptr(), libc::RTLD_NOW) };
            if !handle.is_null() {
                return Ok(Library(handle));
            }
        }
        Err("no NVRTC library (libnvrtc.so) is installed".into())
    }

    /// # Safety
    /// `F` must be the function pointer type of `name`.
    unsafe fn get<F: Copy>(&self, name: &CStr) -> Result<F, String> {
        // SAFETY: a live handle and a terminated string.
        let address = unsafe { libc::dlsym(self.0, name.as_ptr()) };
        if address.is_null() {
            return Err(format!("NVRTC has no {}", name.to_string_lossy()));
        }
        // SAFETY: the caller's promise; function pointers are as large as addresses here.
        Ok(unsafe { std::mem::transmute_copy(&address) })
    }
}

impl Drop for Library {
    fn drop(&mut self) {
        // SAFETY: opened once, closed once.
        unsafe { libc::dlclose(self.0) };
    }
}

/// PTX of all kernels for compute capability `capability` / 10, ending in a zero byte, and a name for it.
pub fn compile(capability: u32) -> Result<(Vec<u8>, String), String> {
    let library = Library::open()?;
    let source = CString::new(SOURCES.concat()).map_err(|error| error.to_string())?;
    let option = CString::new(format!("--gpu-architecture=compute_{capability}")).map_err(|error| error.to_string())?;
    let options = [option.as_ptr(), c"--std=c++14".as_ptr()];
    let mut program: Program = std::ptr::null_mut();
    // SAFETY: the types are those of nvrtc.h, unchanged since CUDA 7; strings end in zero; buffers have the sizes NVRTC asked for.
    unsafe {
        type Create =
            unsafe extern "C" fn(*mut Program, *const c_char, *const c_char, c_int, *const *const c_char, *const *const c_char) -> c_int;
        let create: Create = library.get(c"nvrtcCreateProgram")?;
        let compile: unsafe extern "C" fn(Program, c_int, *const *const c_char) -> c_int = library.get(c"nvrtcCompileProgram")?;
        let size: unsafe extern "C" fn(Program, *mut usize) -> c_int = library.get(c"nvrtcGetPTXSize")?;
        let get: unsafe extern "C" fn(Program, *mut c_char) -> c_int = library.get(c"nvrtcGetPTX")?;
        let destroy: unsafe extern "C" fn(*mut Program) -> c_int = library.get(c"nvrtcDestroyProgram")?;
        let code = create(&mut program, source.as_ptr(), c"recslowfast.cu".as_ptr(), 0, std::ptr::null(), std::ptr::null());
        if code != 0 {
            return Err(format!("NVRTC takes no program (code {code})"));
        }
        let mut code = compile(program, options.len() as c_int, options.as_ptr());
        let mut length = 0usize;
        let mut ptx = Vec::new();
        if code == 0 {
            code = size(program, &mut length);
        }
        if code == 0 {
            ptx.resize(length + 1, 0u8);
            code = get(program, ptx.as_mut_ptr().cast());
        }
        destroy(&mut program);
        if code != 0 {
            return Err(format!(
                "NVRTC does not compile the kernels for compute capability {}.{} (code {code})",
                capability / 10,
                capability % 10
            ));
        }
        Ok((ptx, format!("compute_{capability} PTX compiled here")))
    }
}
