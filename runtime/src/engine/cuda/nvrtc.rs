//! NVRTC, NVIDIA's compiler as a library, where it happens to be installed: for kernels of one network, and for all kernels where no image
//! that travels in the binary is taken.

use std::ffi::{CStr, CString, c_char, c_int, c_void};

/// What the source of all kernels and that of one network's begin with.
pub const SHARED: [&str; 6] = [
    include_str!("kernels/prelude.cu"),
    include_str!("kernels/decide.cu"),
    include_str!("kernels/measure.cu"),
    include_str!("kernels/chain.cu"),
    include_str!("kernels/conv_mma.cu"),
    include_str!("kernels/conv_scalar.cu"),
];

/// What the source of all kernels goes on with.
const BUILT_IN: [&str; 8] = [
    include_str!("kernels/conv_fft.cu"),
    include_str!("kernels/stats.cu"),
    include_str!("kernels/pointwise.cu"),
    include_str!("kernels/spatial.cu"),
    include_str!("kernels/across.cu"),
    include_str!("kernels/tiles.cu"),
    include_str!("kernels/frame.cu"),
    include_str!("kernels/camera.cu"),
];

/// The source of all kernels, as one file.
pub fn built_in() -> String {
    [&SHARED[..], &BUILT_IN].concat().concat()
}

/// Newest first; the plain name is what development packages install, and the last is where a Jetson's toolkit lies, known to the loader or not.
const LIBRARIES: [&CStr; 6] =
    [c"libnvrtc.so.13", c"libnvrtc.so.12", c"libnvrtc.so.11.2", c"libnvrtc.so.10.2", c"libnvrtc.so", c"/usr/local/cuda/lib64/libnvrtc.so"];

type Program = *mut c_void;

/// An open NVRTC.
pub struct Compiler {
    library: *mut c_void,
    /// Its version, for example 12.6.
    pub version: (i32, i32),
}

impl Compiler {
    /// Opens the newest there is.
    pub fn open() -> Result<Compiler, String> {
        for name in LIBRARIES {
            // SAFETY: a terminated string; loading NVRTC runs only its own initialisers.
            let library = unsafe { libc::dlopen(name.as_ptr(), libc::RTLD_NOW) };
            if library.is_null() {
                continue;
            }
            let mut compiler = Compiler { library, version: (0, 0) };
            // SAFETY: the type is that of nvrtc.h; live locals.
            unsafe {
                let version: unsafe extern "C" fn(*mut c_int, *mut c_int) -> c_int = compiler.get(c"nvrtcVersion")?;
                version(&mut compiler.version.0, &mut compiler.version.1);
            }
            return Ok(compiler);
        }
        Err("no NVRTC library (libnvrtc.so) is installed".into())
    }

    /// # Safety
    /// `F` must be the function pointer type of `name`.
    unsafe fn get<F: Copy>(&self, name: &CStr) -> Result<F, String> {
        // SAFETY: a live handle and a terminated string.
        let address = unsafe { libc::dlsym(self.library, name.as_ptr()) };
        if address.is_null() {
            return Err(format!("NVRTC has no {}", name.to_string_lossy()));
        }
        // SAFETY: the caller's promise; function pointers are as large as addresses here.
        Ok(unsafe { std::mem::transmute_copy(&address) })
    }

    /// Compiles `source` for compute capability `capability` / 10: to a cubin where this NVRTC can (11.1 and newer), which no driver is too old
    /// for, otherwise to PTX that ends in a zero byte.
    pub fn compile(&self, source: &str, capability: u32) -> Result<Vec<u8>, String> {
        type Size = unsafe extern "C" fn(Program, *mut usize) -> c_int;
        type Get = unsafe extern "C" fn(Program, *mut c_char) -> c_int;
        type Create =
            unsafe extern "C" fn(*mut Program, *const c_char, *const c_char, c_int, *const *const c_char, *const *const c_char) -> c_int;
        let source = CString::new(source).map_err(|error| error.to_string())?;
        // SAFETY: the types are those of nvrtc.h, unchanged since CUDA 7; strings end in zero; buffers have the sizes NVRTC asked for; the
        // program is destroyed once, behind its last use.
        unsafe {
            let create: Create = self.get(c"nvrtcCreateProgram")?;
            let compile: unsafe extern "C" fn(Program, c_int, *const *const c_char) -> c_int = self.get(c"nvrtcCompileProgram")?;
            let destroy: unsafe extern "C" fn(*mut Program) -> c_int = self.get(c"nvrtcDestroyProgram")?;
            let log: (Size, Get) = (self.get(c"nvrtcGetProgramLogSize")?, self.get(c"nvrtcGetProgramLog")?);
            let ptx: (Size, Get) = (self.get(c"nvrtcGetPTXSize")?, self.get(c"nvrtcGetPTX")?);
            let cubin = self.get::<Size>(c"nvrtcGetCUBINSize").and_then(|size| Ok((size, self.get::<Get>(c"nvrtcGetCUBIN")?)));
            let (kind, of) = cubin.map_or(("compute", ptx), |cubin| ("sm", cubin));
            let option = CString::new(format!("--gpu-architecture={kind}_{capability}")).map_err(|error| error.to_string())?;
            let options = [option.as_ptr(), c"--std=c++14".as_ptr()];
            let mut program: Program = std::ptr::null_mut();
            let code = create(&mut program, source.as_ptr(), c"recslowfast.cu".as_ptr(), 0, std::ptr::null(), std::ptr::null());
            if code != 0 {
                return Err(format!("NVRTC takes no program (code {code})"));
            }
            let read = |(size, get): (Size, Get)| -> Result<Vec<u8>, String> {
                let mut length = 0;
                let mut code = size(program, &mut length);
                let mut bytes = vec![0u8; length + 1];
                if code == 0 {
                    code = get(program, bytes.as_mut_ptr().cast());
                }
                if code == 0 { Ok(bytes) } else { Err(format!("NVRTC does not give what it made (code {code})")) }
            };
            let code = compile(program, options.len() as c_int, options.as_ptr());
            let made = if code == 0 {
                read(of)
            } else {
                let said = read(log).unwrap_or_default();
                let said = String::from_utf8_lossy(&said);
                let error = said.lines().find(|line| line.contains("error")).unwrap_or("it does not say why");
                Err(format!("NVRTC {}.{} does not compile for {kind}_{capability} (code {code}): {error}", self.version.0, self.version.1))
            };
            destroy(&mut program);
            made
        }
    }
}

impl Drop for Compiler {
    fn drop(&mut self) {
        // SAFETY: opened once, closed once.
        unsafe { libc::dlclose(self.library) };
    }
}
