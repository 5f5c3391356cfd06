//! Fixed-point lengths and angles: the same bits on every processor.
//!
//! Lengths are in 1/4096 pixel ([`ONE`]); angles in 1/1024 turn ([`TURN`]), counted from +x towards +y (down the picture).

/// One pixel, or one paddle pitch where a length counts paddles.
pub(crate) const ONE: i32 = 1 << 12;
/// A full turn.
pub(crate) const TURN: i32 = 1024;
const UNIT_BITS: u32 = 14;

/// sin of every angle in 1/16384, from its Taylor series in 30-bit integers: no floating point, no libm.
static SINE: [i16; TURN as usize] = sine_table();

const fn sine_table() -> [i16; TURN as usize] {
    const PI_Q30: i64 = 3_373_259_426;
    let mut table = [0; TURN as usize];
    let quarter = TURN as usize / 4;
    let mut k = 0;
    while k <= quarter {
        let x = 2 * PI_Q30 * k as i64 / TURN as i64;
        let square = (x * x) >> 30;
        let (mut term, mut sum, mut n) = (x, x, 1);
        while n < 17 {
            term = -((term * square) >> 30) / ((n + 1) * (n + 2));
            sum += term;
            n += 2;
        }
        let rounded = ((sum + (1 << 15)) >> 16) as i16;
        table[k] = rounded;
        table[2 * quarter - k] = rounded;
        table[(2 * quarter + k) % (4 * quarter)] = -rounded;
        table[(4 * quarter - k) % (4 * quarter)] = -rounded;
        k += 1;
    }
    table
}

pub(crate) fn sin(angle: i32) -> i32 {
    i32::from(SINE[angle.rem_euclid(TURN) as usize])
}

pub(crate) fn cos(angle: i32) -> i32 {
    sin(angle + TURN / 4)
}

/// A point or a displacement, in 1/4096 pixel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Point {
    pub x: i32,
    pub y: i32,
}

impl Point {
    /// The displacement of `length` towards `angle`.
    pub fn polar(length: i32, angle: i32) -> Self {
        let part = |unit: i32| ((i64::from(length) * i64::from(unit)) >> UNIT_BITS) as i32;
        Point { x: part(cos(angle)), y: part(sin(angle)) }
    }

    pub fn plus(self, other: Point) -> Self {
        Point { x: self.x + other.x, y: self.y + other.y }
    }

    pub fn minus(self, other: Point) -> Self {
        Point { x: self.x - other.x, y: self.y - other.y }
    }

    pub fn closer_than(self, other: Point, distance: i32) -> bool {
        let d = self.minus(other);
        let square = |v: i32| i64::from(v) * i64::from(v);
        square(d.x) + square(d.y) < square(distance)
    }

    /// This displacement in the axes of a paddle that points to `angle`: along it, and across it.
    pub fn along_across(self, angle: i32) -> (i32, i32) {
        let (x, y, c, s) = (i64::from(self.x), i64::from(self.y), i64::from(cos(angle)), i64::from(sin(angle)));
        (((x * c + y * s) >> UNIT_BITS) as i32, ((y * c - x * s) >> UNIT_BITS) as i32)
    }
}

/// The angle between two undirected lines, 0 to a quarter turn.
pub(crate) fn line_angle(a: i32, b: i32) -> i32 {
    let d = (a - b).rem_euclid(TURN / 2);
    d.min(TURN / 2 - d)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_a_sine() {
        for k in 0..TURN {
            let exact = (f64::from(k) * std::f64::consts::TAU / f64::from(TURN)).sin() * 16384.0;
            assert!((exact - f64::from(sin(k))).abs() < 0.51, "angle {k}: {exact} against {}", sin(k));
        }
    }

    #[test]
    fn lines_have_no_direction() {
        assert_eq!(line_angle(10, 10 + TURN / 2), 0);
        assert_eq!(line_angle(0, TURN / 4), TURN / 4);
        assert_eq!(line_angle(-5, TURN + 5), 10);
    }
}
