//! What the parts of a convolution cost.

use super::simd::Isa;

/// What the cost model multiplies: measured once on this class of machine by `recslowfast bench`, and only ever compared.
#[derive(Clone, Copy, Debug)]
pub struct Rates {
    /// Nanoseconds per complex point and pass-equivalent (`log2`) of a transform.
    pub transform_ns: f64,
    /// Nanoseconds per complex multiply-add of the channel product.
    pub product_ns: f64,
    /// Nanoseconds per byte of weights that has to come from memory.
    pub weight_ns: f64,
    /// Nanoseconds per multiply-add of the direct form, for comparison with it.
    pub direct_ns: f64,
}

impl Rates {
    /// Rates for an instruction set, at about 3.5 GHz.
    pub fn of(isa: Isa) -> Rates {
        let slower = match isa {
            #[cfg(target_arch = "x86_64")]
            Isa::Avx512 => 1.0,
            #[cfg(target_arch = "x86_64")]
            Isa::Avx2 => 1.4,
            _ => 4.0,
        };
        Rates { transform_ns: 0.14 * slower, product_ns: 0.13 * slower, weight_ns: 0.1, direct_ns: 0.035 * slower }
    }
}
