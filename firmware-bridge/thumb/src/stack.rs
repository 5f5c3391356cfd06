//! How deep the stack went: paint it, work, look where the paint is gone.

/// Stack painted below the caller, bytes.
const DEPTH: usize = 64 * 1024;
const PAINT: u32 = 0x5AFE_5AFE;

unsafe extern "C" {
    /// Where cortex-m-rt lets the stack begin; only its address means anything.
    static _stack_start: u32;
}

/// A painted stack.
pub struct Painted {
    top: usize,
}

/// Paints the unused stack. Call it first thing in `main`.
#[inline(never)]
pub fn paint() -> Painted {
    let here = 0_u32;
    let top = (&raw const here).addr();
    // This function's own frame stays untouched: it is small, and 64 bytes are left out.
    for address in (top - DEPTH..top - 64).step_by(4) {
        // SAFETY: the board has 4 MiB of RAM and the stack starts at its end, so this lies in RAM below the stack pointer and above all statics; no interrupt
        // is enabled that could be using it.
        unsafe { core::ptr::with_exposed_provenance_mut::<u32>(address).write_volatile(PAINT) };
    }
    Painted { top }
}

impl Painted {
    /// Deepest the whole stack has been since, `main`'s own frame included, bytes.
    #[inline(never)]
    pub fn used(&self) -> u32 {
        let mut address = self.top - DEPTH;
        // SAFETY: the same words `paint` wrote.
        while address < self.top && unsafe { core::ptr::with_exposed_provenance::<u32>(address).read_volatile() } == PAINT {
            address += 4;
        }
        ((&raw const _stack_start).addr() - address) as u32
    }
}
