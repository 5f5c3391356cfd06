//! Rows of colour samples to planes of red, green and blue: integer arithmetic, the same on every instruction set.
//!
//! YUV is BT.601. What a chroma sample adds to each colour is worked out once for the pixels that share it, two rows of 4:2:0.

use crate::frame::Range;
use crate::simd::{Isa, Kernel, Simd};

/// BT.601 YUV to RGB in 16.16 fixed point.
struct Yuv {
    black: i32,
    luma: i32,
    red: i32,
    green: [i32; 2],
    blue: i32,
}

impl Yuv {
    fn of(range: Range) -> Yuv {
        // 65536 times 255/219, and 1.402, 0.344, 0.714, 1.772 times 255/224 or 1.
        match range {
            Range::Limited => Yuv { black: 16, luma: 76_309, red: 104_597, green: [25_675, 53_279], blue: 132_201 },
            Range::Full => Yuv { black: 0, luma: 65_536, red: 91_881, green: [22_554, 46_802], blue: 116_130 },
        }
    }
}

/// One sample of every `STEP` bytes of a row.
pub(super) struct Every<'a, const STEP: usize> {
    pub row: &'a [u8],
    /// Which of them.
    pub at: usize,
    pub out: &'a mut [u8],
}

impl<const STEP: usize> Kernel for Every<'_, STEP> {
    type Out = ();
    #[inline(always)]
    fn run<S: Simd>(self, _: S) {
        let at = self.at % STEP;
        for (out, group) in self.out.iter_mut().zip(self.row.as_chunks::<STEP>().0) {
            *out = group[at];
        }
    }
}

/// Groups of three bytes as three planes.
pub(super) struct Planes<'a> {
    pub row: &'a [u8],
    pub out: [&'a mut [u8]; 3],
}

impl Kernel for Planes<'_> {
    type Out = ();
    #[inline(always)]
    fn run<S: Simd>(self, _: S) {
        let [first, second, third] = self.out;
        for (((pixel, first), second), third) in self.row.as_chunks::<3>().0.iter().zip(first).zip(second).zip(third) {
            [*first, *second, *third] = *pixel;
        }
    }
}

/// A chroma sample's share of one colour, for each of its two pixels.
struct Share<'a> {
    u: (i32, &'a [u8]),
    v: (i32, &'a [u8]),
    out: &'a mut [i32],
}

impl Kernel for Share<'_> {
    type Out = ();
    #[inline(always)]
    fn run<S: Simd>(self, _: S) {
        let ((of_u, u), (of_v, v)) = (self.u, self.v);
        for ((pair, u), v) in self.out.as_chunks_mut::<2>().0.iter_mut().zip(u).zip(v) {
            *pair = [of_u * (i32::from(*u) - 128) + of_v * (i32::from(*v) - 128); 2];
        }
    }
}

/// One colour of a row.
struct Colour<'a> {
    yuv: &'a Yuv,
    luma: &'a [u8],
    chroma: &'a [i32],
    out: &'a mut [u8],
}

impl Kernel for Colour<'_> {
    type Out = ();
    #[inline(always)]
    fn run<S: Simd>(self, _: S) {
        let (black, scale) = (self.yuv.black, self.yuv.luma);
        for ((out, luma), chroma) in self.out.iter_mut().zip(self.luma).zip(self.chroma) {
            *out = (((i32::from(*luma) - black) * scale + 32_768 + chroma) >> 16).clamp(0, 255) as u8;
        }
    }
}

/// What lies between a picture's bytes and its colours: kept from row to row, so that a steady stream allocates nothing.
pub(super) struct Lines {
    /// What conversions are compiled for.
    pub isa: Isa,
    luma: Vec<u8>,
    u: Vec<u8>,
    v: Vec<u8>,
    /// Shares of the chroma in red, green and blue, for each pixel.
    shares: [Vec<i32>; 3],
    /// The row of chroma samples that these belong to.
    held: Option<usize>,
}

impl Lines {
    /// For any picture.
    pub fn new(isa: Isa) -> Lines {
        let [luma, u, v] = [(); 3].map(|()| Vec::new());
        Lines { isa, luma, u, v, shares: Default::default(), held: None }
    }

    /// Another picture begins.
    pub fn begin(&mut self) {
        self.held = None;
    }

    /// Whether the shares are those of this row of chroma samples; from now on they are.
    pub fn holds(&mut self, row: usize) -> bool {
        self.held.replace(row) == Some(row)
    }

    /// Room for a row's luma and for its chroma samples.
    pub fn samples(&mut self, width: usize) -> [&mut [u8]; 3] {
        let pairs = width.div_ceil(2);
        self.luma.resize(width, 0);
        self.u.resize(pairs, 0);
        self.v.resize(pairs, 0);
        self.shares.iter_mut().for_each(|share| share.resize(2 * pairs, 0));
        [&mut self.luma, &mut self.u, &mut self.v]
    }

    /// Works the shares out, from these chroma samples or from its own.
    pub fn chroma(&mut self, range: Range, given: Option<[&[u8]; 2]>) {
        let [u, v] = given.unwrap_or([&self.u, &self.v]);
        let yuv = Yuv::of(range);
        let [red, green, blue] = &mut self.shares;
        for (of_u, of_v, out) in [(0, yuv.red, red), (-yuv.green[0], -yuv.green[1], green), (yuv.blue, 0, blue)] {
            self.isa.run(Share { u: (of_u, u), v: (of_v, v), out });
        }
    }

    /// Converts a row of this luma, or of its own.
    pub fn convert(&self, range: Range, luma: Option<&[u8]>, out: [&mut [u8]; 3]) {
        let (yuv, luma) = (Yuv::of(range), luma.unwrap_or(&self.luma));
        for (out, chroma) in out.into_iter().zip(&self.shares) {
            self.isa.run(Colour { yuv: &yuv, luma, chroma, out });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pixel(isa: Isa, range: Range, [y, u, v]: [u8; 3]) -> [u8; 3] {
        let (mut lines, mut out) = (Lines::new(isa), [[0]; 3]);
        lines.samples(1);
        lines.chroma(range, Some([&[u], &[v]]));
        lines.convert(range, Some(&[y]), out.each_mut().map(|out| &mut out[..]));
        out.map(|[level]| level)
    }

    #[test]
    fn yuv_to_rgb_is_within_one_level_of_exact_arithmetic() {
        for range in [Range::Limited, Range::Full] {
            let (black, luma_scale, chroma_scale) =
                if range == Range::Limited { (16.0, 255.0 / 219.0, 255.0 / 224.0) } else { (0.0, 1.0, 1.0) };
            let isa = Isa::best();
            for y in (0..=255_u8).step_by(5) {
                for u in (0..=255_u8).step_by(15) {
                    for v in (0..=255_u8).step_by(15) {
                        let (luma, cb, cr) = (
                            (f64::from(y) - black) * luma_scale,
                            (f64::from(u) - 128.0) * chroma_scale,
                            (f64::from(v) - 128.0) * chroma_scale,
                        );
                        let exact = [luma + 1.402 * cr, luma - 0.344_136 * cb - 0.714_136 * cr, luma + 1.772 * cb];
                        for (got, exact) in pixel(isa, range, [y, u, v]).into_iter().zip(exact) {
                            assert!((f64::from(got) - exact.clamp(0.0, 255.0)).abs() <= 0.6, "{range:?} {y} {u} {v}: {got} {exact}");
                        }
                    }
                }
            }
        }
    }
}
