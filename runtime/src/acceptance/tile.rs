//! Sums of squares over the rows of a row of tiles, column by column. Every instruction set takes them in the same order.

use crate::simd::{Kernel, Simd};

/// Adds the squares of what the pixels of two neighbouring rows changed by, in grey levels, to the sums of their columns: since they were
/// accepted, and of the first row since the last frame, which is then this one.
pub struct Squares<'a> {
    /// The rows; the second may be empty.
    pub now: [&'a [f32]; 2],
    /// As they were accepted.
    pub accepted: [&'a [f32]; 2],
    /// The first row in the last frame.
    pub last: &'a mut [f32],
    /// Grey levels of one unit.
    pub level: f32,
    /// Sums for each column.
    pub change: &'a mut [f32],
    /// The same, of what changed since the last frame.
    pub flicker: &'a mut [f32],
}

impl Kernel for Squares<'_> {
    type Out = ();
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let (level, wide) = (s.splat(self.level), self.change.len());
        let square = |now: S::V, then: S::V| {
            let d = s.mul(s.sub(now, then), level);
            s.mul(d, d)
        };
        let whole = wide / S::LANES * S::LANES;
        let [first, second] = self.now;
        let [before, below] = self.accepted;
        let columns = self.change.chunks_exact_mut(S::LANES).zip(self.flicker.chunks_exact_mut(S::LANES));
        let rows = first.chunks_exact(S::LANES).zip(before.chunks_exact(S::LANES)).zip(self.last.chunks_exact_mut(S::LANES));
        if second.is_empty() {
            for ((change, flicker), ((now, accepted), last)) in columns.zip(rows) {
                let now = s.read(now);
                s.write(flicker, s.add(s.read(flicker), square(now, s.read(last))));
                s.write(last, now);
                s.write(change, s.add(s.read(change), square(now, s.read(accepted))));
            }
        } else {
            let seconds = second.chunks_exact(S::LANES).zip(below.chunks_exact(S::LANES));
            for (((change, flicker), ((now, accepted), last)), (second, below)) in columns.zip(rows).zip(seconds) {
                let now = s.read(now);
                s.write(flicker, s.add(s.read(flicker), square(now, s.read(last))));
                s.write(last, now);
                let both = s.add(s.read(change), square(now, s.read(accepted)));
                s.write(change, s.add(both, square(s.read(second), s.read(below))));
            }
        }
        for x in whole..wide {
            let square = |now: f32, then: f32| {
                let d = (now - then) * self.level;
                d * d
            };
            self.flicker[x] += square(first[x], self.last[x]);
            self.last[x] = first[x];
            self.change[x] += square(first[x], before[x]);
            if let Some(second) = second.get(x) {
                self.change[x] += square(*second, below[x]);
            }
        }
    }
}
