//! Planes between the pixels of another: bilinear resizing.

use super::channels_last::RowWork;
use super::machine::PlaneWork;
use super::planes::{Shared, plane_items};
use super::pool::Pool;
use super::simd::Isa;
use super::tiles::{Locality, Part, Reach};

pub use crate::engine::graph::Between;

/// Each output pixel is a mean of four.
#[derive(Clone, Debug)]
pub struct Interpolate {
    input: [usize; 2],
    rows: Vec<Between>,
    columns: Vec<Between>,
}

impl Interpolate {
    /// From planes of `input` rows and columns.
    pub fn new(input: [usize; 2], rows: Vec<Between>, columns: Vec<Between>) -> Interpolate {
        let inside = |of: &[Between], limit| of.iter().all(|&(a, b, _)| a.max(b) < limit);
        assert!(inside(&rows, input[0]) && inside(&columns, input[1]), "{rows:?} {columns:?} of {input:?}");
        Interpolate { input, rows, columns }
    }
}

/// Some columns between two rows.
#[inline(always)]
fn line(above: &[f32], below: &[f32], down: f32, columns: &[Between], to: &mut [f32]) {
    for (&(left, right, across), to) in columns.iter().zip(to) {
        let (a, b) = (above[left] + (above[right] - above[left]) * across, below[left] + (below[right] - below[left]) * across);
        *to = a + (b - a) * down;
    }
}

impl PlaneWork for Interpolate {
    unsafe fn run(&self, _: Isa, pool: &mut Pool, _: Shared, input: &[Shared], output: &[Shared]) {
        let ([h, w], wide) = (self.input, self.columns.len());
        plane_items(pool, output.len(), self.rows.len() * wide, &|channel| {
            // SAFETY: the caller's promise; this channel is this item's alone.
            let (from, to) = unsafe {
                let to = std::slice::from_raw_parts_mut(output[channel].0, self.rows.len() * wide);
                (std::slice::from_raw_parts(input[channel].0, h * w), to)
            };
            for (&(above, below, down), to) in self.rows.iter().zip(to.chunks_exact_mut(wide)) {
                line(&from[above * w..][..w], &from[below * w..][..w], down, &self.columns, to);
            }
        });
    }

    fn reach(&self) -> Option<Locality> {
        let between = |&(a, b, _): &Between| a.min(b) as isize..a.max(b) as isize + 1;
        let output = [self.rows.len(), self.columns.len()];
        Some(Locality::Reach(Reach::new(self.input, output, |y| between(&self.rows[y]), |x| between(&self.columns[x]))))
    }

    fn rows(&self) -> Option<RowWork> {
        Some(RowWork::Between { wide: self.input[1], rows: self.rows.clone(), columns: self.columns.clone() })
    }

    unsafe fn run_rects(&self, _: Isa, pool: &mut Pool, input: &[Shared], output: &[Shared], part: &Part) {
        let ([h, w], wide) = (self.input, self.columns.len());
        pool.run(output.len(), &|_, channel| {
            for rect in part.rects {
                let columns = &self.columns[rect.left..rect.right];
                for (y, &(above, below, down)) in self.rows.iter().enumerate().take(rect.bottom).skip(rect.top) {
                    // SAFETY: the caller's promise; this channel is this item's alone.
                    let (from, to) = unsafe {
                        let to = std::slice::from_raw_parts_mut(output[channel].at(y * wide + rect.left), columns.len());
                        (std::slice::from_raw_parts(input[channel].0, h * w), to)
                    };
                    line(&from[above * w..][..w], &from[below * w..][..w], down, columns, to);
                }
            }
        });
    }

    fn describe(&self) -> String {
        format!("{}x{} interpolated to {}x{}", self.input[1], self.input[0], self.columns.len(), self.rows.len())
    }
}
