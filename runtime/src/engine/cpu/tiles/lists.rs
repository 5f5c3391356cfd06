//! A region as what the kernels work on.

use super::region::{QUAD, Rect, Region};
use crate::engine::cpu::channels_last::Pixel;

/// Up to four neighbouring pixels of a row: those behind the row's end are none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quad {
    row: u16,
    column: u16,
}

impl Quad {
    /// Its row.
    #[inline(always)]
    pub fn y(self) -> usize {
        self.row.into()
    }

    /// Its first column.
    #[inline(always)]
    pub fn x(self) -> usize {
        self.column.into()
    }
}

/// A part of a plane: the same pixels as rectangles and as runs `(first, count)` of the flat index. None overlap.
#[derive(Clone, Copy)]
pub struct Part<'a> {
    /// As rectangles.
    pub rects: &'a [Rect],
    /// As runs.
    pub runs: &'a [(u32, u32)],
}

/// Working space in which one region at a time is turned into lists. Allocates nothing once it has been made.
#[derive(Default)]
pub struct Lists {
    /// See [`Region::rects`].
    pub rects: Vec<Rect>,
    /// The same as runs of the flat index.
    pub runs: Vec<(u32, u32)>,
    /// The same as quads.
    pub quads: Vec<Quad>,
    /// The region's pixels, row by row, and no others.
    pub pixels: Vec<Pixel>,
    /// Numbers of an operation's own tiles.
    pub tiles: Vec<u32>,
    /// A line of bits.
    pub line: Vec<u64>,
}

impl Lists {
    /// Makes room for any region of a plane of this size.
    pub fn reserve(&mut self, size: [usize; 2]) {
        let [high, wide] = size;
        let rects = Region::most_rects(size);
        reserve(&mut self.rects, rects);
        reserve(&mut self.runs, rects * high.clamp(1, 8) + high);
        reserve(&mut self.quads, high * wide.div_ceil(QUAD));
        reserve(&mut self.pixels, high * wide);
        reserve(&mut self.tiles, high * wide);
        reserve(&mut self.line, wide.div_ceil(64));
    }

    /// Finds the rectangles of a region.
    pub fn set(&mut self, region: &Region) {
        region.rects(&mut self.line, &mut self.rects);
    }

    /// Finds the pixels of a region.
    pub fn set_pixels(&mut self, region: &Region) {
        self.pixels.clear();
        for row in 0..region.size()[0] {
            let pixels = &mut self.pixels;
            super::region::runs(region.line(row), |left, right| {
                pixels.extend((left..right).map(|column| Pixel { row: row as u16, column: column as u16 }));
            });
        }
    }

    /// Pixels in the rectangles.
    pub fn pixels_in_rects(&self) -> usize {
        self.rects.iter().map(Rect::pixels).sum()
    }

    /// Finds the runs of the rectangles in a plane of so many columns.
    pub fn set_runs(&mut self, wide: usize) {
        self.runs.clear();
        for rect in &self.rects {
            if rect.left == 0 && rect.right == wide {
                self.runs.push(((rect.top * wide) as u32, rect.pixels() as u32));
            } else {
                let run = |y: usize| ((y * wide + rect.left) as u32, (rect.right - rect.left) as u32);
                self.runs.extend((rect.top..rect.bottom).map(run));
            }
        }
    }

    /// Finds the quads of the rectangles.
    pub fn set_quads(&mut self) {
        self.quads.clear();
        for rect in &self.rects {
            for row in rect.top as u16..rect.bottom as u16 {
                self.quads.extend((rect.left..rect.right).step_by(QUAD).map(|x| Quad { row, column: x as u16 }));
            }
        }
    }

    /// Finds the tiles of a grid that hold a pixel of the region: `grid` rows and columns of tiles of `valid` outputs each.
    pub fn set_tiles(&mut self, region: &Region, grid: [usize; 2], valid: [usize; 2]) {
        self.tiles.clear();
        for down in 0..grid[0] {
            self.line.clear();
            self.line.resize(grid[1].div_ceil(64), 0);
            for y in down * valid[0]..((down + 1) * valid[0]).min(region.size()[0]) {
                let line = &mut self.line;
                super::region::runs(region.line(y), |left, right| {
                    super::region::mark(line, left / valid[1], ((right - 1) / valid[1] + 1).min(grid[1]));
                });
            }
            let (tiles, line) = (&mut self.tiles, &self.line);
            super::region::runs(line, |left, right| tiles.extend((left..right).map(|across| (down * grid[1] + across) as u32)));
        }
    }

    /// The rectangles and runs.
    pub fn part(&self) -> Part<'_> {
        Part { rects: &self.rects, runs: &self.runs }
    }
}

fn reserve<T>(list: &mut Vec<T>, room: usize) {
    list.reserve(room.saturating_sub(list.len()));
}
