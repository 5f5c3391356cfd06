//! A range of values on a range of the canvas.

/// Values this many times apart are shown by their logarithms.
const LOGARITHMIC_FROM: f64 = 6.0;

pub(super) struct Axis {
    low: f64,
    high: f64,
    from: f64,
    to: f64,
    logarithmic: bool,
}

impl Axis {
    /// Covers `values` with a margin; at least `least` wide, so that noise does not fill the picture.
    pub(super) fn over(values: impl Iterator<Item = f64>, least: f64, from: f64, to: f64) -> Axis {
        let (low, high) = values.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), value| (low.min(value), high.max(value)));
        let (low, high) = if low <= high { (low, high) } else { (0.0, 1.0) };
        if low > 0.0 && high / low > LOGARITHMIC_FROM {
            let margin = (high / low).powf(0.08);
            return Axis { low: low / margin, high: high * margin, from, to, logarithmic: true };
        }
        let margin = ((high - low) * 0.1).max((least - (high - low)) / 2.0);
        Axis { low: low - margin, high: high + margin, from, to, logarithmic: false }
    }

    pub(super) fn at(&self, value: f64) -> f64 {
        let share = if self.logarithmic {
            (value / self.low).ln() / (self.high / self.low).ln()
        } else {
            (value - self.low) / (self.high - self.low)
        };
        self.from + share * (self.to - self.from)
    }

    /// Round values inside the range, with the names they go by.
    pub(super) fn ticks(&self) -> Vec<(f64, String)> {
        if self.logarithmic {
            let powers = self.low.log10().floor() as i32..=self.high.log10().ceil() as i32;
            let values = powers.flat_map(|power| [1.0, 2.0, 5.0].map(|n| n * 10f64.powi(power)));
            return values.filter(|value| (self.low..=self.high).contains(value)).map(|value| (value, format!("{value}"))).collect();
        }
        let rough = (self.high - self.low) / 6.0;
        let power = 10f64.powf(rough.log10().floor());
        let step = [1.0, 2.0, 5.0, 10.0].map(|n| n * power).into_iter().find(|step| *step >= rough).unwrap_or(power);
        let places = (-step.log10().floor()).max(0.0) as usize;
        let (first, last) = ((self.low / step).ceil() as i64, (self.high / step).floor() as i64);
        (first..=last).map(|n| (n as f64 * step, format!("{:.places$}", n as f64 * step))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(axis: &Axis) -> Vec<String> {
        axis.ticks().into_iter().map(|(_, name)| name).collect()
    }

    #[test]
    fn ticks_are_round_and_inside() {
        let axis = Axis { low: 0.612, high: 0.731, from: 0.0, to: 1.0, logarithmic: false };
        assert_eq!(names(&axis), ["0.62", "0.64", "0.66", "0.68", "0.70", "0.72"]);
    }

    #[test]
    fn what_lies_far_apart_is_shown_by_its_logarithm() {
        let axis = Axis::over([80.0, 4000.0].into_iter(), 1.0, 0.0, 100.0);
        assert_eq!(names(&axis), ["100", "200", "500", "1000", "2000", "5000"]);
        assert!((axis.at(200.0) - axis.at(100.0) - (axis.at(2000.0) - axis.at(1000.0))).abs() < 1e-9);
    }

    #[test]
    fn one_value_and_none_still_make_an_axis() {
        for values in [vec![], vec![0.9]] {
            let axis = Axis::over(values.into_iter(), 0.02, 0.0, 1.0);
            assert!(axis.ticks().iter().all(|(tick, _)| axis.at(*tick).is_finite()) && !axis.ticks().is_empty());
        }
    }
}
