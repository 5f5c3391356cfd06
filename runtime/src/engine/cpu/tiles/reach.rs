//! How far a pixel's change carries through one operation.

use std::ops::Range;

use super::region::{Region, mark, runs};
use crate::engine::cpu::conv_direct::Geometry;

/// For every input row and column the output rows and columns that see it. Every operation that is local is separable in this sense.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reach {
    input: [usize; 2],
    output: [usize; 2],
    rows: Vec<(u32, u32)>,
    columns: Vec<(u32, u32)>,
    /// Each output sees the input at its place, or that and its neighbours.
    kind: Kind,
}

/// Whether outputs lie where their inputs do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Each output sees the one input at its place.
    Same,
    /// Each output sees the input at its place in the middle of others.
    Centred,
    /// Any other.
    Other,
}

impl Reach {
    /// From the input rows that each output row sees, and the columns that each column sees; they may stick out of the input.
    pub fn new(
        input: [usize; 2],
        output: [usize; 2],
        rows: impl Fn(usize) -> Range<isize>,
        columns: impl Fn(usize) -> Range<isize>,
    ) -> Reach {
        let turned = |inputs: usize, outputs: usize, sees: &dyn Fn(usize) -> Range<isize>| {
            let mut reached = vec![(u32::MAX, 0); inputs];
            for at in 0..outputs {
                let Range { start, end } = sees(at);
                for (low, high) in &mut reached[start.clamp(0, inputs as isize) as usize..end.clamp(0, inputs as isize) as usize] {
                    (*low, *high) = ((*low).min(at as u32), (*high).max(at as u32 + 1));
                }
            }
            reached
        };
        Reach { input, output, rows: turned(input[0], output[0], &rows), columns: turned(input[1], output[1], &columns), kind: Kind::Other }
    }

    /// Each output pixel sees the input pixel at its place.
    pub fn same(size: [usize; 2]) -> Reach {
        let one = |at: usize| at as isize..at as isize + 1;
        Reach { kind: Kind::Same, ..Reach::new(size, size, one, one) }
    }

    /// That of a window.
    pub fn window(g: &Geometry) -> Reach {
        let sees = |d: usize| {
            move |at: usize| {
                let first = (at * g.stride[d]) as isize - g.begin[d] as isize;
                first..first + ((g.kernel[d] - 1) * g.dilation[d] + 1) as isize
            }
        };
        let centre = |d: usize| g.kernel[d] % 2 == 1 && g.begin[d] == g.kernel[d] / 2 * g.dilation[d];
        let kind = match (g.plain(), g.stride == [1, 1] && g.output() == g.input && centre(0) && centre(1)) {
            (true, _) => Kind::Same,
            (false, true) => Kind::Centred,
            (false, false) => Kind::Other,
        };
        Reach { kind, ..Reach::new(g.input, g.output(), sees(0), sees(1)) }
    }

    /// Whether outputs lie where their inputs do.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// Rows and columns of what is read.
    pub fn input(&self) -> [usize; 2] {
        self.input
    }

    /// Rows and columns of what is made.
    pub fn output(&self) -> [usize; 2] {
        self.output
    }

    /// Takes into `to` every output pixel that a pixel of `from` reaches. `line` is working space.
    pub fn carry(&self, from: &Region, to: &mut Region, line: &mut Vec<u64>) {
        debug_assert!(from.size() == self.input && to.size() == self.output, "regions of other sizes");
        for (y, &(top, bottom)) in self.rows.iter().enumerate() {
            if top >= bottom || from.line(y).iter().all(|&word| word == 0) {
                continue;
            }
            line.clear();
            line.resize(self.output[1].div_ceil(64), 0);
            runs(from.line(y), |left, right| {
                let reached = self.columns[left..right].iter().fold((u32::MAX, 0), |all, one| (all.0.min(one.0), all.1.max(one.1)));
                mark(line, reached.0 as usize, reached.1 as usize);
            });
            (top..bottom).for_each(|row| to.add_line(row as usize, line));
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn a_window_reaches_what_its_taps_see(
            h in 1usize..20, w in 1usize..80, kernel in [1usize..6, 1usize..6], begin in [0usize..4, 0usize..4], end in [0usize..4, 0usize..4],
            stride in [1usize..4, 1usize..4], dilation in [1usize..3, 1usize..3], at in (0usize..20, 0usize..80),
        ) {
            let g = Geometry { cin: 1, cout: 1, groups: 1, input: [h, w], kernel, begin, end, stride, dilation };
            let [oh, ow] = g.output();
            prop_assume!(oh * ow > 0);
            let (y, x) = (at.0 % h, at.1 % w);
            let (mut from, mut to) = (Region::new([h, w]), Region::new([oh, ow]));
            from.set(y, x);
            Reach::window(&g).carry(&from, &mut to, &mut Vec::new());
            for oy in 0..oh {
                for ox in 0..ow {
                    let sees = (0..kernel[0]).any(|ky| oy * stride[0] + ky * dilation[0] == y + begin[0])
                        && (0..kernel[1]).any(|kx| ox * stride[1] + kx * dilation[1] == x + begin[1]);
                    prop_assert!(!sees || to.has(oy, ox), "{g:?}: ({oy}, {ox}) sees ({y}, {x})");
                    // Without dilation nothing else is taken in.
                    prop_assert!(sees || dilation != [1, 1] || !to.has(oy, ox), "{g:?}: ({oy}, {ox}) does not see ({y}, {x})");
                }
            }
        }
    }
}
