//! Planes whose pixels are pixels of another: nearest-neighbour resizing, padding, cropping, every `n`-th pixel.

use super::channels_last::RowWork;
use super::machine::PlaneWork;
use super::planes::{Shared, plane_items};
use super::pool::Pool;
use super::simd::Isa;
use super::tiles::{Locality, Part, Reach};

pub use crate::engine::graph::OUTSIDE;

/// How the columns of an output row lie in the input row.
#[derive(Clone, Debug, PartialEq)]
enum Columns {
    /// Runs of neighbours: `(to, from, count)`.
    Runs(Vec<(usize, usize, usize)>),
    /// Each so many times.
    Repeated(usize),
    /// Any, `OUTSIDE` among them.
    Any(Vec<usize>),
}

/// Each output pixel is the input pixel of its row's and its column's number.
#[derive(Clone, Debug)]
pub struct Gather {
    input: [usize; 2],
    rows: Vec<usize>,
    columns: Columns,
    wide: usize,
    /// What lies outside.
    fill: f32,
}

impl Gather {
    /// From planes of `input` rows and columns; `rows` and `columns` name the input's for each output's, or [`OUTSIDE`], where `fill` is put.
    pub fn new(input: [usize; 2], rows: Vec<usize>, columns: Vec<usize>, fill: f32) -> Gather {
        let inside = |of: &[usize], limit| of.iter().all(|&at| at == OUTSIDE || at < limit);
        assert!(inside(&rows, input[0]) && inside(&columns, input[1]), "{rows:?} {columns:?} of {input:?}");
        let wide = columns.len();
        Gather { input, rows, columns: Columns::of(columns, input[1]), wide, fill }
    }

    /// Rows and columns of its output.
    pub fn output(&self) -> [usize; 2] {
        [self.rows.len(), self.wide]
    }

    fn row(&self, from: &[f32], to: &mut [f32]) {
        match &self.columns {
            Columns::Runs(runs) => {
                for &(at, first, count) in runs {
                    to[at..at + count].copy_from_slice(&from[first..first + count]);
                }
            }
            Columns::Repeated(2) => {
                for (to, &x) in to.as_chunks_mut::<2>().0.iter_mut().zip(from) {
                    *to = [x; 2];
                }
            }
            Columns::Repeated(times) => {
                for (to, &x) in to.chunks_exact_mut(*times).zip(from) {
                    to.fill(x);
                }
            }
            Columns::Any(columns) => {
                for (to, &column) in to.iter_mut().zip(columns) {
                    *to = if column == OUTSIDE { self.fill } else { from[column] };
                }
            }
        }
    }

    /// The input column of every output column.
    fn numbers(&self) -> Vec<usize> {
        let mut numbers = vec![OUTSIDE; self.wide];
        match &self.columns {
            Columns::Runs(runs) => runs.iter().for_each(|&(to, from, count)| (0..count).for_each(|i| numbers[to + i] = from + i)),
            Columns::Repeated(times) => numbers.iter_mut().enumerate().for_each(|(x, number)| *number = x / times),
            Columns::Any(columns) => numbers.copy_from_slice(columns),
        }
        numbers
    }

    /// The columns of a row from `left` on that lie inside.
    fn part(&self, from: &[f32], left: usize, to: &mut [f32]) {
        match &self.columns {
            Columns::Runs(runs) => {
                for &(at, first, count) in runs {
                    let (start, end) = (at.max(left), (at + count).min(left + to.len()));
                    if start < end {
                        to[start - left..end - left].copy_from_slice(&from[first + start - at..][..end - start]);
                    }
                }
            }
            Columns::Repeated(times) => to.iter_mut().enumerate().for_each(|(i, to)| *to = from[(left + i) / times]),
            Columns::Any(columns) => {
                for (to, &column) in to.iter_mut().zip(&columns[left..]).filter(|(_, column)| **column != OUTSIDE) {
                    *to = from[column];
                }
            }
        }
    }

    fn plane(&self, from: &[f32], to: &mut [f32]) {
        let [_, w] = self.input;
        for (y, &row) in self.rows.iter().enumerate() {
            let (done, rest) = to.split_at_mut(y * self.wide);
            let to = &mut rest[..self.wide];
            if row == OUTSIDE {
                to.fill(self.fill);
            } else if y > 0 && self.rows[y - 1] == row {
                to.copy_from_slice(&done[(y - 1) * self.wide..]);
            } else {
                if matches!(self.columns, Columns::Runs(_)) {
                    to.fill(self.fill);
                }
                self.row(&from[row * w..][..w], to);
            }
        }
    }
}

impl Columns {
    fn of(columns: Vec<usize>, wide: usize) -> Columns {
        let times = columns.len() / wide.max(1);
        if times > 1 && columns.len() == times * wide && columns.iter().enumerate().all(|(x, &from)| from == x / times) {
            return Columns::Repeated(times);
        }
        let mut runs: Vec<(usize, usize, usize)> = Vec::new();
        for (to, &from) in columns.iter().enumerate().filter(|&(_, &from)| from != OUTSIDE) {
            match runs.last_mut() {
                Some((at, first, count)) if *at + *count == to && *first + *count == from => *count += 1,
                _ => runs.push((to, from, 1)),
            }
        }
        if runs.len() * 4 <= columns.len() + 4 { Columns::Runs(runs) } else { Columns::Any(columns) }
    }
}

impl PlaneWork for Gather {
    unsafe fn run(&self, _: Isa, pool: &mut Pool, _: Shared, input: &[Shared], output: &[Shared]) {
        let ([h, w], pixels) = (self.input, self.rows.len() * self.wide);
        plane_items(pool, output.len(), pixels, &|channel| {
            // SAFETY: the caller's promise; this channel is this item's alone.
            let (from, to) =
                unsafe { (std::slice::from_raw_parts(input[channel].0, h * w), std::slice::from_raw_parts_mut(output[channel].0, pixels)) };
            self.plane(from, to);
        });
    }

    fn reach(&self) -> Option<Locality> {
        let one = |at: usize| if at == OUTSIDE { 0..0 } else { at as isize..at as isize + 1 };
        let columns = self.numbers();
        Some(Locality::Reach(Reach::new(self.input, self.output(), |y| one(self.rows[y]), |x| one(columns[x]))))
    }

    fn rows(&self) -> Option<RowWork> {
        Some(RowWork::Gather { wide: self.input[1], rows: self.rows.clone(), columns: self.numbers(), fill: self.fill })
    }

    unsafe fn run_rects(&self, _: Isa, pool: &mut Pool, input: &[Shared], output: &[Shared], part: &Part) {
        let w = self.input[1];
        pool.run(output.len(), &|_, channel| {
            for rect in part.rects {
                for (y, &row) in self.rows.iter().enumerate().take(rect.bottom).skip(rect.top) {
                    // SAFETY: the caller's promise; this channel is this item's alone. What lies outside was filled when all was computed.
                    unsafe {
                        let to = std::slice::from_raw_parts_mut(output[channel].at(y * self.wide + rect.left), rect.right - rect.left);
                        if row != OUTSIDE {
                            self.part(std::slice::from_raw_parts(input[channel].at(row * w), w), rect.left, to);
                        }
                    }
                }
            }
        });
    }

    fn describe(&self) -> String {
        format!("pixels of {}x{} gathered to {}x{}", self.input[1], self.input[0], self.wide, self.rows.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gathered(input: [usize; 2], rows: &[usize], columns: &[usize]) -> Vec<f32> {
        let from: Vec<f32> = (0..input[0] * input[1]).map(|i| i as f32).collect();
        let mut to = vec![f32::NAN; rows.len() * columns.len()];
        Gather::new(input, rows.to_vec(), columns.to_vec(), -1.0).plane(&from, &mut to);
        to
    }

    #[test]
    fn every_way_through_a_row_gives_what_its_numbers_say() {
        let ways: [&[usize]; 6] = [
            &[0, 1, 2, 3, 4],
            &[0, 0, 1, 1, 2, 2, 3, 3, 4, 4],
            &[0, 0, 0, 1, 1, 1, 2, 2, 2, 3, 3, 3, 4, 4, 4],
            &[OUTSIDE, OUTSIDE, 0, 1, 2, 3, 4, OUTSIDE],
            &[4, 2, 0, OUTSIDE, 1],
            &[3],
        ];
        for columns in ways {
            for rows in [vec![0, 1, 2], vec![0, 0, 1, 1, 2, 2], vec![OUTSIDE, 2, OUTSIDE, 0]] {
                let got = gathered([3, 5], &rows, columns);
                for (i, got) in got.into_iter().enumerate() {
                    let (row, column) = (rows[i / columns.len()], columns[i % columns.len()]);
                    let want = if row == OUTSIDE || column == OUTSIDE { -1.0 } else { (row * 5 + column) as f32 };
                    assert_eq!(got, want, "{rows:?} {columns:?} at {i}");
                }
            }
        }
    }
}
