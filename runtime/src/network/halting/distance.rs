//! How far a step moved the hidden state.

use std::fmt;
use std::str::FromStr;

/// How far apart two hidden states `a` (before) and `b` (after a step) are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Metric {
    /// `||b - a||2 / ||b||2`
    RelativeL2,
    /// `||b - a||1 / ||b||1`
    RelativeL1,
    /// `1 - <a, b> / (||a||2 ||b||2)`
    Cosine,
}

/// Sums over one step from which every [`Metric`] follows, so that one pass over the state serves all.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Moments {
    /// `sum (b - a)^2`
    pub diff_sq: f64,
    /// `sum |b - a|`
    pub diff_abs: f64,
    /// `sum b^2`
    pub after_sq: f64,
    /// `sum |b|`
    pub after_abs: f64,
    /// `sum a^2`
    pub before_sq: f64,
    /// `sum a b`
    pub dot: f64,
}

impl Moments {
    /// The moments of two equally long states, in one pass. O(len).
    pub fn between(before: &[f32], after: &[f32]) -> Moments {
        const LANES: usize = 16;
        let mut total = Moments::default();
        // Short blocks in f32 lanes vectorise; the f64 totals keep long sums exact enough.
        for (a, b) in before.chunks(4096).zip(after.chunks(4096)) {
            let mut lanes = [[0f32; LANES]; 6];
            let (a_body, a_tail) = a.as_chunks::<LANES>();
            let (b_body, b_tail) = b.as_chunks::<LANES>();
            for (a, b) in a_body.iter().zip(b_body) {
                for i in 0..LANES {
                    let d = b[i] - a[i];
                    lanes[0][i] += d * d;
                    lanes[1][i] += d.abs();
                    lanes[2][i] += b[i] * b[i];
                    lanes[3][i] += b[i].abs();
                    lanes[4][i] += a[i] * a[i];
                    lanes[5][i] += a[i] * b[i];
                }
            }
            for (&a, &b) in a_tail.iter().zip(b_tail) {
                let d = b - a;
                for (lane, value) in lanes.iter_mut().zip([d * d, d.abs(), b * b, b.abs(), a * a, a * b]) {
                    lane[0] += value;
                }
            }
            let sums = lanes.map(|lane| lane.iter().map(|&x| f64::from(x)).sum::<f64>());
            total +=
                Moments { diff_sq: sums[0], diff_abs: sums[1], after_sq: sums[2], after_abs: sums[3], before_sq: sums[4], dot: sums[5] };
        }
        total
    }

    /// The distance these sums amount to; 0 for two zero states, infinite where the sums are not finite.
    pub fn distance(&self, metric: Metric) -> f32 {
        let ratio = |num: f64, den: f64| if num == 0.0 { 0.0 } else { num / den };
        let distance = match metric {
            Metric::RelativeL2 => ratio(self.diff_sq, self.after_sq).sqrt(),
            Metric::RelativeL1 => ratio(self.diff_abs, self.after_abs),
            Metric::Cosine if self.diff_sq == 0.0 => 0.0,
            // One state is zero: no angle. What rounding leaves over zero would be anything from "not at all" to "the other way round".
            Metric::Cosine if self.before_sq == 0.0 || self.after_sq == 0.0 => f64::INFINITY,
            // 1 - cos, written so that nearly equal states do not cancel: what moved the state, less what only made it longer.
            // `clamp` keeps a NaN, where `max` would turn it into 0, which means "has not moved".
            Metric::Cosine => {
                let (before, after) = (self.before_sq.sqrt(), self.after_sq.sqrt());
                ((self.diff_sq - (before - after).powi(2)) / (2.0 * before * after)).clamp(0.0, 2.0)
            }
        };
        if distance.is_nan() { f32::INFINITY } else { distance as f32 }
    }
}

impl std::ops::AddAssign for Moments {
    fn add_assign(&mut self, other: Moments) {
        self.diff_sq += other.diff_sq;
        self.diff_abs += other.diff_abs;
        self.after_sq += other.after_sq;
        self.after_abs += other.after_abs;
        self.before_sq += other.before_sq;
        self.dot += other.dot;
    }
}

impl FromStr for Metric {
    type Err = ();

    fn from_str(name: &str) -> Result<Metric, ()> {
        match name {
            "relative-l2" => Ok(Metric::RelativeL2),
            "relative-l1" => Ok(Metric::RelativeL1),
            "cosine" => Ok(Metric::Cosine),
            _ => Err(()),
        }
    }
}

impl fmt::Display for Metric {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Metric::RelativeL2 => "relative-l2",
            Metric::RelativeL1 => "relative-l1",
            Metric::Cosine => "cosine",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances_follow_their_definitions() {
        let moments = Moments::between(&[1.0, 0.0, 2.0], &[1.0, 2.0, 4.0]);
        assert!((moments.distance(Metric::RelativeL2) - (8f32 / 21.0).sqrt()).abs() < 1e-6);
        assert!((moments.distance(Metric::RelativeL1) - 4.0 / 7.0).abs() < 1e-6);
        assert!((moments.distance(Metric::Cosine) - (1.0 - 9.0 / (5f32 * 21.0).sqrt())).abs() < 1e-6);
    }

    #[test]
    fn the_cosine_of_nearly_equal_states_is_told_as_well_as_that_of_others() {
        // Turned by a small angle: the distance is 1 - cos(angle), of which the sum of products in single precision knows nothing.
        for angle in [1e-2f64, 1e-3, 1e-4] {
            let before: Vec<f32> = (0..4096).map(|i| if i % 2 == 0 { 1.0 } else { 0.0 }).collect();
            let after: Vec<f32> = (0..4096).map(|i| if i % 2 == 0 { angle.cos() } else { angle.sin() } as f32).collect();
            let (distance, wanted) =
                (f64::from(Moments::between(&before, &after).distance(Metric::Cosine)), 2.0 * (angle / 2.0).sin().powi(2));
            assert!((distance - wanted).abs() < 2e-3 * wanted, "{angle}: {distance} instead of {wanted}");
        }
    }

    #[test]
    fn two_empty_states_have_not_moved_and_a_broken_one_has_moved_for_ever() {
        assert_eq!(Moments::between(&[0.0; 40], &[0.0; 40]).distance(Metric::Cosine), 0.0);
        assert_eq!(Moments::between(&[1.0], &[f32::NAN]).distance(Metric::RelativeL2), f32::INFINITY);
    }

    #[test]
    fn a_first_step_from_zero_has_moved_in_every_metric() {
        for metric in [Metric::RelativeL2, Metric::RelativeL1, Metric::Cosine] {
            assert!(Moments::between(&[0.0; 3], &[1.0, 2.0, 3.0]).distance(metric) >= 1.0, "{metric}");
        }
        // Whatever the root of a sum of squares, squared again, rounds to.
        for end in 1..200 {
            assert_eq!(Moments::between(&[0.0; 2], &[end as f32 * 0.37, 1.1]).distance(Metric::Cosine), f32::INFINITY, "{end}");
        }
    }
}
