//! Which pixels of a tensor are to be computed again: one bit for each, whatever the channel.

/// A part of a plane: rows `top..bottom`, columns `left..right`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rect {
    /// First row.
    pub top: usize,
    /// Row behind the last.
    pub bottom: usize,
    /// First column.
    pub left: usize,
    /// Column behind the last.
    pub right: usize,
}

impl Rect {
    /// Pixels.
    pub fn pixels(&self) -> usize {
        (self.bottom - self.top) * (self.right - self.left)
    }
}

/// Columns of a rectangle are whole groups of so many, counted from the row's start.
pub const QUAD: usize = 4;

/// Columns between two runs of a band that are rather computed than stepped over.
const BRIDGE: usize = 2 * QUAD;

/// Rows of a plane that are cut into rectangles together: more of them give fewer rectangles and more clean pixels in each.
fn band(high: usize) -> usize {
    (high / 30).clamp(1, 8)
}

/// A set of pixels of a plane.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Region {
    high: usize,
    wide: usize,
    /// Words of 64 pixels to a row.
    words: usize,
    bits: Vec<u64>,
}

impl Region {
    /// No pixel of `high` rows and `wide` columns.
    pub fn new([high, wide]: [usize; 2]) -> Region {
        let words = wide.div_ceil(64);
        Region { high, wide, words, bits: vec![0; high * words] }
    }

    /// Rows and columns of the plane.
    pub fn size(&self) -> [usize; 2] {
        [self.high, self.wide]
    }

    /// Takes every pixel out.
    pub fn clear(&mut self) {
        self.bits.fill(0);
    }

    /// Takes every pixel in.
    pub fn fill(&mut self) {
        (0..self.high).for_each(|y| self.mark(y, 0, self.wide));
    }

    /// Whether no pixel is in.
    pub fn is_empty(&self) -> bool {
        self.bits.iter().all(|&word| word == 0)
    }

    /// Pixels that are in.
    pub fn count(&self) -> usize {
        self.bits.iter().map(|word| word.count_ones() as usize).sum()
    }

    /// Whether a pixel is in.
    pub fn has(&self, y: usize, x: usize) -> bool {
        self.bits[y * self.words + x / 64] >> (x % 64) & 1 == 1
    }

    /// Takes columns `left..right` of a row in.
    pub fn mark(&mut self, y: usize, left: usize, right: usize) {
        mark(&mut self.bits[y * self.words..][..self.words], left, right.min(self.wide));
    }

    /// Takes one pixel in.
    pub fn set(&mut self, y: usize, x: usize) {
        self.bits[y * self.words + x / 64] |= 1 << (x % 64);
    }

    /// Takes one pixel in, if `is`; without a branch.
    #[inline(always)]
    pub(super) fn set_if(&mut self, is: bool, y: usize, x: usize) {
        self.bits[y * self.words + x / 64] |= u64::from(is) << (x % 64);
    }

    /// Takes all in that are in `other`, of the same size.
    pub fn add(&mut self, other: &Region) {
        assert_eq!(self.size(), other.size(), "regions of one size");
        self.bits.iter_mut().zip(&other.bits).for_each(|(to, from)| *to |= from);
    }

    /// Takes the columns of a line of bits into a row.
    pub(super) fn add_line(&mut self, y: usize, line: &[u64]) {
        self.bits[y * self.words..][..self.words].iter_mut().zip(line).for_each(|(to, from)| *to |= from);
    }

    pub(super) fn line(&self, y: usize) -> &[u64] {
        &self.bits[y * self.words..][..self.words]
    }

    /// Calls `f` with the runs of a row between two columns.
    pub fn runs_between(&self, y: usize, left: usize, right: usize, mut f: impl FnMut(usize, usize)) {
        let mut x = left;
        while x < right {
            if !self.has(y, x) {
                x += 1;
                continue;
            }
            let first = x;
            while x < right && self.has(y, x) {
                x += 1;
            }
            f(first, x);
        }
    }

    /// The most rectangles that [`Region::rects`] gives for a plane.
    pub fn most_rects([high, wide]: [usize; 2]) -> usize {
        high.div_ceil(band(high)) * (wide / (QUAD + BRIDGE) + 1)
    }

    /// Rectangles that cover the region, no two of which overlap; they hold clean pixels too. `line` is working space.
    pub fn rects(&self, line: &mut Vec<u64>, to: &mut Vec<Rect>) {
        to.clear();
        let mut above = 0;
        for first in (0..self.high).step_by(band(self.high)) {
            let rows = first..self.high.min(first + band(self.high));
            let taken = |y: &usize| self.line(*y).iter().any(|&word| word != 0);
            let (Some(top), Some(last)) = (rows.clone().find(taken), rows.clone().rev().find(taken)) else { continue };
            line.clear();
            line.resize(self.words, 0);
            for y in top..=last {
                line.iter_mut().zip(self.line(y)).for_each(|(to, from)| *to |= from);
            }
            let start = to.len();
            runs(line, |left, right| {
                let (left, right) = (left / QUAD * QUAD, right.next_multiple_of(QUAD).min(self.wide));
                match to[start..].last_mut() {
                    Some(before) if left < before.right + BRIDGE => before.right = right,
                    _ => to.push(Rect { top, bottom: last + 1, left, right }),
                }
            });
            // A rectangle that goes on where one of the band above ended is the same one.
            let (old, new) = to.split_at_mut(start);
            let mut kept = 0;
            for at in 0..new.len() {
                let rect = new[at];
                let same = |before: &&mut Rect| (before.bottom, before.left, before.right) == (rect.top, rect.left, rect.right);
                match old[above..].iter_mut().find(same) {
                    Some(before) => before.bottom = rect.bottom,
                    None => {
                        new[kept] = rect;
                        kept += 1;
                    }
                }
            }
            to.truncate(start + kept);
            // Only those that reach down to this band's end can go on below.
            above = above.min(to.len());
            while above < to.len() && to[above].bottom < rows.end {
                above += 1;
            }
        }
    }
}

/// Calls `f` with the first column of every run of bits, and the column behind it.
pub(super) fn runs(line: &[u64], mut f: impl FnMut(usize, usize)) {
    let mut open: Option<usize> = None;
    for (number, &word) in line.iter().enumerate() {
        let base = number * 64;
        if word == 0 || word == u64::MAX {
            match (word, open) {
                (0, Some(left)) => {
                    f(left, base);
                    open = None;
                }
                (u64::MAX, None) => open = Some(base),
                _ => {}
            }
            continue;
        }
        let mut at = 0;
        while at < 64 {
            let rest = word >> at;
            match open {
                Some(left) => {
                    let ones = (!rest).trailing_zeros() as usize;
                    if at + ones >= 64 {
                        break;
                    }
                    at += ones;
                    f(left, base + at);
                    open = None;
                }
                None => {
                    if rest == 0 {
                        break;
                    }
                    at += rest.trailing_zeros() as usize;
                    open = Some(base + at);
                }
            }
        }
    }
    if let Some(left) = open {
        f(left, line.len() * 64);
    }
}

/// Sets the bits `left..right`.
pub(super) fn mark(line: &mut [u64], left: usize, right: usize) {
    if left >= right {
        return;
    }
    let (first, last) = (left / 64, (right - 1) / 64);
    let (low, high) = (u64::MAX << (left % 64), u64::MAX >> (63 - (right - 1) % 64));
    if first == last {
        line[first] |= low & high;
    } else {
        line[first] |= low;
        line[first + 1..last].fill(u64::MAX);
        line[last] |= high;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn rectangles_cover_the_region_and_do_not_overlap(
            high in 1usize..260, wide in 1usize..330, marks in proptest::collection::vec((0usize..260, 0usize..330, 1usize..70), 0..30),
        ) {
            let mut region = Region::new([high, wide]);
            for (y, x, count) in marks {
                region.mark(y % high, x % wide, x % wide + count);
            }
            let (mut line, mut rects) = (Vec::new(), Vec::new());
            region.rects(&mut line, &mut rects);
            prop_assert!(rects.len() <= Region::most_rects([high, wide]));
            let mut times = vec![0; high * wide];
            for rect in &rects {
                prop_assert!(rect.bottom <= high && rect.right <= wide && rect.left % QUAD == 0);
                for y in rect.top..rect.bottom {
                    times[y * wide + rect.left..y * wide + rect.right].iter_mut().for_each(|n| *n += 1);
                }
            }
            for (at, &n) in times.iter().enumerate() {
                prop_assert!(n <= 1, "pixel {at} is in {n} rectangles");
                prop_assert!(n == 1 || !region.has(at / wide, at % wide), "pixel {at} is in none");
            }
        }

        #[test]
        fn runs_are_those_of_the_bits(bits in proptest::collection::vec(any::<u64>(), 1..5), holes in any::<bool>()) {
            let bits: Vec<u64> = bits.iter().map(|&x| if holes { x & (x >> 7) & (x << 3) } else if x % 3 == 0 { u64::MAX } else { x }).collect();
            let mut again = vec![0; bits.len()];
            let mut end = None;
            runs(&bits, |left, right| {
                assert!(end.is_none_or(|end| left > end));
                end = Some(right);
                mark(&mut again, left, right);
            });
            prop_assert_eq!(bits, again);
        }
    }
}
