//! Transposition of whole tiles.

use crate::engine::cpu::simd::{MAX_LANES, Simd};

/// Transposes a matrix of `rows` x `columns` (multiples of `S::LANES`) into `dst`, row-major both.
///
/// # Safety
/// Both hold `rows * columns` floats and do not overlap.
#[inline(always)]
pub unsafe fn transpose<S: Simd>(s: S, src: *const f32, dst: *mut f32, rows: usize, columns: usize) {
    let mut r = 0;
    while r < rows {
        let mut c = 0;
        while c < columns {
            let mut square = [s.splat(0.0); MAX_LANES];
            for (i, row) in square.iter_mut().enumerate().take(S::LANES) {
                // SAFETY: row r + i is below `rows`, columns c .. c + LANES below `columns`.
                *row = unsafe { s.load(src.add((r + i) * columns + c)) };
            }
            s.transpose(&mut square);
            for (i, row) in square.iter().enumerate().take(S::LANES) {
                // SAFETY: the same square, mirrored.
                unsafe { s.store(dst.add((c + i) * rows + r), *row) };
            }
            c += S::LANES;
        }
        r += S::LANES;
    }
}
