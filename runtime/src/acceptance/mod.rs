//! Which tiles of the input changed, beyond the sensor's own noise, since the network last saw them.
//!
//! A tile is compared with what was *accepted* there last, not with the last frame: what creeps adds up until it counts. Its noise is told
//! apart from creep by comparing with the last frame: of the mean square from frame to frame, the noise is the slowly rising minimum, as noise
//! floors are tracked (minimum statistics, Martin 2001), which a flickering light raises and a passer-by does not. When most tiles changed at
//! once (a cut, an exposure step, a camera that moves) all are accepted.

mod tile;

/// Rows and columns of a tile, in pixels of the network's input.
pub const TILE: usize = 8;

/// When a tile has changed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Settings {
    /// The least root mean square of a change that counts, in grey levels of 0 to 255; with 0 any change counts, noise too.
    pub floor: f32,
    /// Squares of a tile's noise that the mean square of a change has to exceed.
    pub gain: f32,
    /// Share of changed tiles above which all are taken as changed.
    pub most: f32,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings { floor: 6.0, gain: 2.5, most: 0.6 }
    }
}

impl Settings {
    /// Every change counts.
    pub fn exact() -> Settings {
        Settings { floor: 0.0, gain: 0.0, most: 1.0 }
    }
}

/// How fast a tile's noise rises from frame to frame while more than it is seen.
pub const RISE: f32 = 1.02;

/// The accepted input of one network, and the noise of each tile.
pub struct Acceptance {
    settings: Settings,
    channels: usize,
    high: usize,
    wide: usize,
    /// Grey levels of one unit of the tensor, per channel.
    levels: Vec<f32>,
    /// As the network saw it, NCHW.
    accepted: Vec<f32>,
    /// Every second row of each tile in the last frame.
    last: Vec<f32>,
    /// Mean square of each tile's noise from frame to frame, in grey levels; not a number where nothing is known yet.
    noise: Vec<f32>,
    changed: Vec<bool>,
    /// Sums for each column.
    columns: [Vec<f32>; 2],
    /// Nothing has been accepted yet.
    empty: bool,
    /// There is no last frame.
    first: bool,
    /// Nothing is known of the noise.
    learning: bool,
    /// Working space: what the tiles flickered by, to be sorted.
    sorted: Vec<f32>,
}

impl Acceptance {
    /// For inputs of `channels` planes of `high` rows and `wide` columns, one unit of which is so many grey `levels` in each channel.
    pub fn new(settings: Settings, channels: usize, [high, wide]: [usize; 2], levels: &[f32]) -> Acceptance {
        let tiles = high.div_ceil(TILE) * wide.div_ceil(TILE);
        let level = |channel: usize| levels.get(channel).or(levels.last()).copied().unwrap_or(255.0);
        Acceptance {
            settings,
            channels,
            high,
            wide,
            levels: (0..channels).map(level).collect(),
            accepted: vec![0.0; channels * high * wide],
            last: vec![0.0; channels * high.div_ceil(2) * wide],
            noise: vec![f32::NAN; tiles],
            changed: vec![false; tiles],
            columns: [vec![0.0; wide], vec![0.0; wide]],
            empty: true,
            first: true,
            learning: true,
            sorted: Vec::with_capacity(tiles),
        }
    }

    /// Rows and columns of tiles.
    pub fn grid(&self) -> [usize; 2] {
        [self.high.div_ceil(TILE), self.wide.div_ceil(TILE)]
    }

    /// The input as it was accepted, NCHW.
    pub fn accepted(&self) -> &[f32] {
        &self.accepted
    }

    /// For each tile, row by row, whether the last frame was accepted there.
    pub fn changed(&self) -> &[bool] {
        &self.changed
    }

    /// Accepts all of the next frame.
    pub fn forget(&mut self) {
        self.empty = true;
    }

    /// The next frame is compared with this one, of which nothing is asked, and by the floor alone: of a camera that moved until now nobody can
    /// tell what moves in a tile from its noise.
    pub fn keep(&mut self, frame: &[f32]) {
        self.noise.fill(f32::NAN);
        self.learning = true;
        self.accepted.copy_from_slice(frame);
        self.empty = false;
        let half = self.high.div_ceil(2);
        for channel in 0..self.channels {
            for y in (0..self.high).step_by(2) {
                let (from, to) = ((channel * self.high + y) * self.wide, (channel * half + y / 2) * self.wide);
                self.last[to..to + self.wide].copy_from_slice(&frame[from..from + self.wide]);
            }
        }
        self.first = false;
    }

    /// Compares a frame with what was accepted, and accepts the tiles that changed. Answers their share. Allocates nothing.
    pub fn look(&mut self, frame: &[f32]) -> f32 {
        assert_eq!(frame.len(), self.accepted.len(), "a frame of {} channels of {} by {}", self.channels, self.wide, self.high);
        let across = self.wide.div_ceil(TILE);
        let mut count = 0;
        for row in 0..self.high.div_ceil(TILE) {
            let rows = row * TILE..self.high.min((row + 1) * TILE);
            if self.settings.floor <= 0.0 {
                self.differing(frame, row, rows);
            } else {
                self.moved(frame, row, rows);
            }
            count += self.changed[row * across..][..across].iter().filter(|&&changed| changed).count();
        }
        let share = count as f32 / self.changed.len() as f32;
        if self.learning && !self.first {
            self.learn();
        }
        self.first = false;
        if std::mem::take(&mut self.empty) || share > self.settings.most {
            self.accept_all(frame);
            return 1.0;
        }
        for row in 0..self.high.div_ceil(TILE) {
            for tile in 0..across {
                if self.changed[row * across + tile] {
                    self.accept(frame, row, tile);
                }
            }
        }
        share
    }

    /// Of two frames nobody can tell a tile's noise from what moved in it: it is taken for no more than that of the middle tile.
    fn learn(&mut self) {
        self.sorted.clear();
        self.sorted.extend(self.noise.iter().filter(|noise| noise.is_finite()));
        if !self.sorted.is_empty() {
            let middle = self.sorted.len() / 2;
            let (_, &mut middle, _) = self.sorted.select_nth_unstable_by(middle, f32::total_cmp);
            self.noise.iter_mut().for_each(|noise| *noise = noise.min(middle));
            self.learning = false;
        }
    }

    /// Accepts the frame as it is.
    pub fn accept_all(&mut self, frame: &[f32]) {
        self.accepted.copy_from_slice(frame);
        self.changed.fill(true);
        self.empty = false;
    }

    fn accept(&mut self, frame: &[f32], row: usize, tile: usize) {
        let (left, right) = (tile * TILE, self.wide.min((tile + 1) * TILE));
        for channel in 0..self.channels {
            for y in row * TILE..self.high.min((row + 1) * TILE) {
                let at = (channel * self.high + y) * self.wide;
                self.accepted[at + left..at + right].copy_from_slice(&frame[at + left..at + right]);
            }
        }
    }

    /// Marks the tiles of a row in which anything differs.
    fn differing(&mut self, frame: &[f32], row: usize, rows: std::ops::Range<usize>) {
        let across = self.wide.div_ceil(TILE);
        let changed = &mut self.changed[row * across..][..across];
        changed.fill(false);
        for channel in 0..self.channels {
            for y in rows.clone() {
                let at = (channel * self.high + y) * self.wide;
                let (now, then) = (&frame[at..at + self.wide], &self.accepted[at..at + self.wide]);
                for (changed, (now, then)) in changed.iter_mut().zip(now.chunks(TILE).zip(then.chunks(TILE))) {
                    *changed |= now.iter().zip(then).any(|(a, b)| a.to_bits() != b.to_bits());
                }
            }
        }
    }

    /// Marks the tiles of a row that moved beyond their noise, and follows the noise.
    fn moved(&mut self, frame: &[f32], row: usize, rows: std::ops::Range<usize>) {
        let wide = self.wide;
        let [change, flicker] = &mut self.columns;
        change.fill(0.0);
        flicker.fill(0.0);
        for channel in 0..self.channels {
            let level = self.levels[channel];
            for y in rows.clone() {
                let at = (channel * self.high + y) * wide;
                let now = &frame[at..at + wide];
                tile::squares(now, &self.accepted[at..at + wide], level, change);
                if y % 2 == 0 {
                    let at = (channel * self.high.div_ceil(2) + y / 2) * wide;
                    tile::squares_and_keep(now, &mut self.last[at..at + wide], level, flicker);
                }
            }
        }
        let across = wide.div_ceil(TILE);
        let (high, half) = (rows.len(), rows.clone().filter(|y| y % 2 == 0).count());
        for tile in 0..across {
            let columns = tile * TILE..wide.min((tile + 1) * TILE);
            let mean = |sums: &[f32], rows: usize| {
                sums[columns.clone()].iter().sum::<f32>() / (rows.max(1) * columns.len() * self.channels) as f32
            };
            let (change, flicker) = (mean(change, high), mean(flicker, half));
            let noise = &mut self.noise[row * across + tile];
            let known = !noise.is_nan();
            let floor = self.settings.floor * self.settings.floor;
            let limit = if known { floor.max(self.settings.gain * flicker.min(*noise * RISE + 1e-3)) } else { floor };
            if !self.first && half > 0 {
                *noise = if known { flicker.min(*noise * RISE + 1e-3) } else { flicker };
            }
            // What is not a number has changed.
            self.changed[row * across + tile] = change > limit || change.is_nan();
        }
    }
}

#[cfg(test)]
mod tests;
