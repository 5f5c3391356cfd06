//! What the parts of a convolution cost: the cost model's constants.

use super::simd::Isa;

/// What the cost model multiplies [`Work`](super::conv_fft::Work) with. Only ever compared: the forms differ by factors, not by percents.
#[derive(Clone, Copy, Debug)]
pub struct Rates {
    /// Nanoseconds per complex point and `log2` of a transform, cutting and pasting of tiles included.
    pub transform_ns: f64,
    /// Nanoseconds per complex multiply-add of the channel product.
    pub product_ns: f64,
    /// Nanoseconds per byte of the weights' spectra, each of which comes from beyond the second-level cache.
    pub weight_ns: f64,
    /// Nanoseconds per multiply-add of the direct form.
    pub direct_ns: f64,
}

impl Rates {
    /// Rates of an instruction set, as `recslowfast bench --rates` printed them on 2026-11-25 (one thread of an AMD EPYC virtual machine with
    /// 1 MiB of second-level cache, load 9; a second run differed by less than a fifth). A machine that is slower in all parts alike
    /// needs no others.
    pub fn of(isa: Isa) -> Rates {
        match isa {
            Isa::Portable => Rates { transform_ns: 0.199, product_ns: 0.213, weight_ns: 0.0394, direct_ns: 0.0549 },
            #[cfg(target_arch = "x86_64")]
            Isa::Avx2 => Rates { transform_ns: 0.081, product_ns: 0.124, weight_ns: 0.0240, direct_ns: 0.0214 },
            #[cfg(target_arch = "x86_64")]
            Isa::Avx512 => Rates { transform_ns: 0.057, product_ns: 0.075, weight_ns: 0.0256, direct_ns: 0.0091 },
            // Not measured yet: AVX2's, in the same proportion.
            #[cfg(target_arch = "aarch64")]
            Isa::Neon => Rates { transform_ns: 0.324, product_ns: 0.496, weight_ns: 0.0960, direct_ns: 0.0856 },
        }
    }
}
