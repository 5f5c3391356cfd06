//! The compiled kernels that travel in the binary: one image an architecture, compressed.

use std::sync::Arc;

use super::driver::{Context, CudaError, Module};
use super::nvrtc::{self, Compiler};

struct Image {
    /// Compute capability times ten it was compiled for.
    capability: u32,
    /// `cubin` runs on exactly that; `ptx` on that and everything newer.
    kind: Kind,
    packed: &'static [u8],
}

#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Cubin,
    Ptx,
}

macro_rules! image {
    ($capability:literal, $kind:ident, $file:literal) => {
        Image { capability: $capability, kind: Kind::$kind, packed: include_bytes!(concat!("built/", $file)) }
    };
}

/// In the order in which they are tried.
const IMAGES: [Image; 8] = [
    image!(53, Cubin, "sm_53.cubin.z"),
    image!(62, Cubin, "sm_62.cubin.z"),
    image!(72, Cubin, "sm_72.cubin.z"),
    image!(87, Cubin, "sm_87.cubin.z"),
    image!(90, Cubin, "sm_90.cubin.z"),
    image!(110, Cubin, "sm_110.cubin.z"),
    image!(80, Ptx, "compute_80.ptx.z"),
    image!(53, Ptx, "compute_53.ptx.z"),
];

/// Kernels loaded on a device.
pub struct Loaded {
    /// The module.
    pub module: Module,
    /// Which image it is, for people.
    pub image: String,
    /// Depth of its tensor-core instruction; `None` without tensor cores.
    pub k_step: Option<usize>,
}

/// Depth of the tensor-core instruction of kernels compiled for `capability`.
pub fn k_step(capability: u32) -> Option<usize> {
    match capability {
        80.. => Some(16),
        70.. => Some(4),
        _ => None,
    }
}

/// Loads the best image `context` takes; says why each better one was not taken.
pub fn load(context: &Arc<Context>) -> Result<Loaded, CudaError> {
    let device = context.info.capability;
    let mut last =
        CudaError { doing: "loading kernels", reason: format!("there is no image for compute capability {}.{}", device / 10, device % 10) };
    for image in &IMAGES {
        let (fits, name) = match image.kind {
            Kind::Cubin => (image.capability == device, format!("sm_{} cubin", image.capability)),
            Kind::Ptx => (image.capability <= device, format!("compute_{} PTX", image.capability)),
        };
        if !fits {
            continue;
        }
        let doing = "unpacking kernels";
        let mut bytes = miniz_oxide::inflate::decompress_to_vec_zlib(image.packed)
            .map_err(|error| CudaError { doing, reason: format!("{error:?}") })?;
        bytes.push(0);
        match Module::load(context, &bytes) {
            Ok(module) => return Ok(Loaded { module, image: name, k_step: k_step(image.capability) }),
            Err(error) => {
                log::warn!("GPU kernels: {name} is refused ({error}); trying the next");
                last = error;
            }
        }
    }
    match Compiler::open().and_then(|compiler| compiler.compile(&nvrtc::built_in(), device)) {
        Ok(image) => {
            let module = Module::load(context, &image)?;
            Ok(Loaded { module, image: format!("compiled here for {}.{}", device / 10, device % 10), k_step: k_step(device) })
        }
        Err(reason) => {
            log::warn!("GPU kernels: compiling them here is not possible either ({reason})");
            Err(last)
        }
    }
}
