//! Rows of a plane with their border, cut into phases: what kernels of any stride read as if it had none.

use super::simd::Simd;

/// How the rows of one plane are laid out.
#[derive(Clone, Copy)]
pub struct LayOut {
    /// Pixels of a row.
    pub wide: usize,
    /// Pixels of border before them.
    pub begin: usize,
    /// Phases of a row: phase `p` holds every `stride`-th pixel from `p` on, counted from the start of the border.
    pub stride: usize,
    /// Pixels of a phase.
    pub phase: usize,
    /// What the border holds.
    pub border: f32,
}

/// Where one phase of a row lies in it.
#[derive(Clone, Copy)]
pub struct Phase {
    stride: usize,
    border: f32,
    /// Pixels of border before it, pixels of the row, and of border behind them.
    first: usize,
    count: usize,
    behind: usize,
    /// The first pixel's column.
    column: usize,
}

impl LayOut {
    /// Phase `p` of every row.
    #[inline(always)]
    pub fn phase(&self, p: usize) -> Phase {
        // Column c of the phase is input column c * stride + p - begin.
        let first = self.begin.saturating_sub(p).div_ceil(self.stride).min(self.phase);
        let column = (first * self.stride + p).saturating_sub(self.begin);
        let count = self.wide.saturating_sub(column).div_ceil(self.stride).min(self.phase - first);
        Phase { stride: self.stride, border: self.border, first, count, behind: self.phase - first - count, column }
    }
}

impl Phase {
    /// Writes the phase of a row, and up to a vector's worth of anything behind it; `None` is a row of border.
    ///
    /// # Safety
    /// `from` is a row; a vector may be read from any of its pixels. `to` holds a phase and [`MAX_LANES`](super::simd::MAX_LANES) more.
    #[inline(always)]
    pub unsafe fn row<S: Simd>(&self, s: S, from: Option<*const f32>, to: *mut f32) {
        let border = s.splat(self.border);
        // SAFETY: the caller's promise; `count` columns of the row lie `stride` apart from `column` on.
        unsafe {
            let Some(from) = from else {
                fill(s, to, self.first + self.count + self.behind, border);
                return;
            };
            fill(s, to, self.first, border);
            pixels(s, from.wrapping_add(self.column), self.stride, self.count, to.add(self.first));
            fill(s, to.add(self.first + self.count), self.behind, border);
        }
    }
}

#[inline(always)]
unsafe fn fill<S: Simd>(s: S, to: *mut f32, count: usize, value: S::V) {
    let mut done = 0;
    while done < count {
        // SAFETY: the caller's.
        unsafe { s.store(to.add(done), value) };
        done += S::LANES;
    }
}

#[inline(always)]
unsafe fn pixels<S: Simd>(s: S, from: *const f32, stride: usize, count: usize, to: *mut f32) {
    // SAFETY: the caller's. Of two, the second vector starts one early, so as not to pass the row's end: its odd lanes are the even pixels.
    unsafe {
        let two = |done: usize| {
            let (a, b) = (s.load(from.add(2 * done)), s.load(from.add(2 * done + S::LANES - 1)));
            s.store(to.add(done), s.every_second(a, b));
        };
        let mut done = 0;
        match stride {
            1 => {
                while done < count {
                    s.store(to.add(done), s.load(from.add(done)));
                    done += S::LANES;
                }
            }
            2 if count >= S::LANES => {
                while done + S::LANES <= count {
                    two(done);
                    done += S::LANES;
                }
                if done < count {
                    two(count - S::LANES);
                }
            }
            _ => {
                while done < count {
                    *to.add(done) = *from.add(done * stride);
                    done += 1;
                }
            }
        }
    }
}
