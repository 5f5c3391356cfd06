//! Which instruction sets this machine has, and running a kernel on one.

use std::str::FromStr;

use super::Kernel;
#[cfg(target_arch = "aarch64")]
use super::neon;
use super::portable;
#[cfg(target_arch = "x86_64")]
use super::x86;

/// An instruction set this machine has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Isa {
    /// Plain Rust arrays; the reference the others are tested against.
    Portable,
    /// AVX2 with FMA: 8 lanes.
    #[cfg(target_arch = "x86_64")]
    Avx2,
    /// AVX-512F: 16 lanes.
    #[cfg(target_arch = "x86_64")]
    Avx512,
    /// NEON: 4 lanes.
    #[cfg(target_arch = "aarch64")]
    Neon,
}

impl Isa {
    /// Every set this machine has, the plainest first.
    pub fn available() -> Vec<Isa> {
        let mut found = vec![Isa::Portable];
        #[cfg(target_arch = "x86_64")]
        {
            if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
                found.push(Isa::Avx2);
            }
            if is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("fma") {
                found.push(Isa::Avx512);
            }
        }
        #[cfg(target_arch = "aarch64")]
        if std::arch::is_aarch64_feature_detected!("neon") {
            found.push(Isa::Neon);
        }
        found
    }

    /// As it is called on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Isa::Portable => "portable",
            #[cfg(target_arch = "x86_64")]
            Isa::Avx2 => "avx2",
            #[cfg(target_arch = "x86_64")]
            Isa::Avx512 => "avx512",
            #[cfg(target_arch = "aarch64")]
            Isa::Neon => "neon",
        }
    }

    /// The widest set this machine has.
    pub fn best() -> Isa {
        *Isa::available().last().expect("the portable set is always there")
    }

    /// Runs a kernel compiled for this set.
    #[inline]
    pub fn run<K: Kernel>(self, kernel: K) -> K::Out {
        match self {
            Isa::Portable => kernel.run(portable::Portable),
            // SAFETY: an `Isa` other than `Portable` only comes from `available`, which asked the processor.
            #[cfg(target_arch = "x86_64")]
            Isa::Avx2 => unsafe { x86::run_avx2(kernel) },
            // SAFETY: as above.
            #[cfg(target_arch = "x86_64")]
            Isa::Avx512 => unsafe { x86::run_avx512(kernel) },
            // SAFETY: as above.
            #[cfg(target_arch = "aarch64")]
            Isa::Neon => unsafe { neon::run_neon(kernel) },
        }
    }
}

impl FromStr for Isa {
    type Err = String;

    fn from_str(name: &str) -> Result<Isa, String> {
        let available = Isa::available();
        available.iter().copied().find(|isa| isa.name() == name).ok_or_else(|| {
            let names: Vec<_> = available.into_iter().map(Isa::name).collect();
            format!("this machine has no instruction set '{name}'; it has {}", names.join(", "))
        })
    }
}
