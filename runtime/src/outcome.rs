//! What the engine did for one frame.

use serde::{Deserialize, Serialize};

/// Why stepping ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum StopReason {
    /// The state stopped moving: the halting criterion was met.
    Halted,
    /// The step limit of the rule, the network or the governor was reached.
    Limit,
    /// The drive had not moved, so no step was taken.
    Zero,
    /// The state had been reset before this frame, and the slow path ran its course.
    Reset,
    /// The next step would have missed the frame's deadline.
    Deadline,
}

/// The most steps one frame can take, and so the most distances a [`StepTrace`] holds.
pub const MAX_STEPS: usize = 64;

/// The steps of one frame: how many, why they ended, and how far the state moved in each.
#[derive(Clone, Debug, PartialEq)]
pub struct StepTrace {
    /// Steps taken.
    pub steps: u32,
    /// The most steps this frame was allowed.
    pub limit: u32,
    /// Why stepping ended.
    pub stop: StopReason,
    /// Distance of the hidden state before and after each step, in the rule's metric; length `steps`.
    pub distances: heapless::Vec<f32, MAX_STEPS>,
    /// Relative L2 distance of this frame's drive to that of the last frame that was stepped, infinite after a reset: what creeps too slowly
    /// to be seen from frame to frame adds up until it is.
    pub drive_distance: f32,
    /// Share of the picture that changed beyond its noise and was taken anew, 0 to 1; 1 where an engine takes all of it.
    pub moved: f32,
    /// Share of the network that was computed in the steps, on average, 0 to 1; 1 where an engine steps all of it, and without a step.
    pub stepped: f32,
    /// Share of the encoder that was computed, 0 to 1; 1 where an engine encodes all of a frame.
    pub encoded: f32,
}

impl StepTrace {
    /// The steps of this frame as so many steps of the whole network.
    pub fn work(&self) -> f32 {
        self.steps as f32 * self.stepped
    }
}

/// Which tiles of a network's input were taken anew in a frame, and which of them were computed again: a bit for each.
///
/// Tiles are squares of `side` pixels of the network's input, those at the right and lower edge may be cut off. The tile in `row` and `column`,
/// both from 0 at the top left, is number `row * columns + column`, and its bit is bit `number % 8` (the lowest is 0) of byte `number / 8`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TileMap {
    /// Width and height of the network's input in pixels.
    pub size: [u16; 2],
    /// Pixels of a tile's side.
    pub side: u16,
    /// Tiles in a row.
    pub columns: u16,
    /// Rows of tiles.
    pub rows: u16,
    /// Tiles whose picture changed beyond its noise, and was taken anew.
    pub moved: Vec<u8>,
    /// Tiles in which a step computed the hidden state again, or the encoder its output where the network has no step.
    pub stepped: Vec<u8>,
}

impl TileMap {
    /// No tile of an input of `width` by `height` pixels. Allocates nothing once it had that size.
    pub fn clear(&mut self, [width, height]: [usize; 2], side: usize) {
        self.size = [width as u16, height as u16];
        self.side = side as u16;
        (self.columns, self.rows) = (width.div_ceil(side) as u16, height.div_ceil(side) as u16);
        let bytes = (usize::from(self.columns) * usize::from(self.rows)).div_ceil(8);
        for bits in [&mut self.moved, &mut self.stepped] {
            bits.clear();
            bits.resize(bytes, 0);
        }
    }

    /// Sets the bit of the tile of this number in one of the two fields.
    pub fn set(bits: &mut [u8], number: usize) {
        bits[number / 8] |= 1 << (number % 8);
    }

    /// Whether the bit of the tile of this number is set.
    pub fn has(bits: &[u8], number: usize) -> bool {
        bits.get(number / 8).is_some_and(|byte| byte >> (number % 8) & 1 == 1)
    }

    /// Tiles whose bit is set.
    pub fn count(bits: &[u8]) -> usize {
        bits.iter().map(|byte| byte.count_ones() as usize).sum()
    }

    /// Rectangles that cover the tiles of one field, and no others, without overlap: left, top, right, bottom in pixels of the network's input.
    pub fn rectangles(&self, bits: &[u8]) -> Vec<[u16; 4]> {
        let mut all: Vec<[u16; 4]> = Vec::new();
        // Rectangles that end at the row above and may go on.
        let mut open = 0;
        for row in 0..self.rows {
            let (top, bottom) = (row * self.side, self.size[1].min((row + 1) * self.side));
            let mut column = 0;
            let (from, next) = (open, all.len());
            while column < self.columns {
                let at = |column: u16| usize::from(row) * usize::from(self.columns) + usize::from(column);
                let first = column;
                while column < self.columns && TileMap::has(bits, at(column)) {
                    column += 1;
                }
                if column > first {
                    let (left, right) = (first * self.side, self.size[0].min(column * self.side));
                    match all[from..].iter_mut().find(|rect| rect[0] == left && rect[2] == right && rect[3] == top) {
                        Some(above) => above[3] = bottom,
                        None => all.push([left, top, right, bottom]),
                    }
                }
                column += 1;
            }
            // Those that went on stand before the new ones: the search begins at the first that can.
            open = all[from..next].iter().position(|rect| rect[3] == bottom).map_or(next, |at| from + at);
        }
        all
    }
}

/// What one pixel shows, as an engine packs it where it computes: the same answer as the logits', in two bytes instead of one number a class.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Label {
    /// Class of the pixel, 0 for background.
    pub class: u8,
    /// Probability of that class, in 1/255.
    pub score: u8,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rectangles_cover_the_tiles_that_are_set_and_no_others() {
        let mut map = TileMap::default();
        map.clear([75, 43], 8);
        assert_eq!((map.columns, map.rows, map.moved.len()), (10, 6, 8));
        let mut random = 9u32;
        for _ in 0..200 {
            map.clear([75, 43], 8);
            for number in 0..60 {
                random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                if random >> 30 > 0 {
                    TileMap::set(&mut map.moved, number);
                }
            }
            let mut times = [[0; 75]; 43];
            for [left, top, right, bottom] in map.rectangles(&map.moved) {
                (top..bottom).for_each(|y| (left..right).for_each(|x| times[usize::from(y)][usize::from(x)] += 1));
            }
            for (y, row) in times.iter().enumerate() {
                for (x, &times) in row.iter().enumerate() {
                    assert_eq!(times, i32::from(TileMap::has(&map.moved, y / 8 * 10 + x / 8)), "pixel {x}, {y}");
                }
            }
        }
        map.moved.fill(0xff);
        assert_eq!(map.rectangles(&map.moved), [[0, 0, 75, 43]]);
        assert!(map.rectangles(&map.stepped).is_empty() && TileMap::count(&map.stepped) == 0);
    }
}
