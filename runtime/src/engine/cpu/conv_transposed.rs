//! Planes laid into each other: what ends a transposed convolution, and pixel shuffle.

use std::ops::Range;

use super::planes::Shared;
use super::tiles::Reach;

/// Lays `rests` planes into one: output `(y, x)` is pixel `((y + begin) / rests, (x + begin) / rests)` of the plane of both remainders.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PixelShuffle {
    /// Rows and columns of planes that one output plane is made of.
    pub rests: [usize; 2],
    /// Columns of each of those planes.
    pub columns: usize,
    /// Output rows and columns cut off above and left.
    pub begin: [usize; 2],
    /// Output rows and columns.
    pub output: [usize; 2],
}

impl PixelShuffle {
    /// Which outputs a pixel of the planes reaches.
    pub fn reach(&self, rows: usize) -> Reach {
        let sees = |d: usize| {
            move |at: usize| {
                let from = ((at + self.begin[d]) / self.rests[d]) as isize;
                from..from + 1
            }
        };
        Reach::new([rows, self.columns], self.output, sees(0), sees(1))
    }

    /// Writes one row of an output plane.
    ///
    /// # Safety
    /// `planes` are the `rests` planes of this output, each with every row that an output comes from; `to` has room for the output.
    pub unsafe fn row(&self, y: usize, planes: &[Shared], to: Shared) {
        // SAFETY: the caller's promise.
        unsafe { self.part(y, 0..self.output[1], planes, to) };
    }

    /// Writes some columns of one row of an output plane.
    ///
    /// # Safety
    /// As for [`PixelShuffle::row`].
    pub unsafe fn part(&self, y: usize, columns: Range<usize>, planes: &[Shared], to: Shared) {
        let ([sy, sx], whole) = (self.rests, y + self.begin[0]);
        let first = columns.start..columns.end.min(columns.start + sx);
        for (x, rest) in first.map(|x| (x, (x + self.begin[1]) % sx)) {
            let from = planes[whole % sy * sx + rest].at(whole / sy * self.columns + (x + self.begin[1]) / sx);
            let count = (columns.end - x).div_ceil(sx);
            let to = to.at(y * self.output[1] + x);
            for i in 0..count {
                // SAFETY: the caller's promise; `x + i * sx` is below the output's width.
                unsafe { *to.add(i * sx) = *from.add(i) };
            }
        }
    }
}
