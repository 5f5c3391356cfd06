//! Which samples of a picture make which value of the network's input tensor: plain numbers, so that whoever holds the picture can do it.

/// What the network takes.
#[derive(Clone, Debug, PartialEq)]
pub struct InputSpec {
    /// Width in pixels.
    pub width: usize,
    /// Height in pixels.
    pub height: usize,
    /// 1: luma. 3: red, green, blue.
    pub channels: usize,
    /// Subtracted from level/255, per channel.
    pub mean: [f32; 3],
    /// Divided by after that, per channel.
    pub std: [f32; 3],
}

impl InputSpec {
    /// Luma in 0..=1.
    pub fn luma(width: usize, height: usize) -> InputSpec {
        InputSpec { width, height, channels: 1, mean: [0.0; 3], std: [1.0; 3] }
    }

    /// Values in the tensor.
    pub fn values(&self) -> usize {
        self.channels * self.height * self.width
    }
}

/// How a picture of one size becomes the tensor. Where it does not reach, the tensor shows black.
#[derive(Clone, Debug, PartialEq)]
pub struct Sampling {
    /// The tensor.
    pub spec: InputSpec,
    /// Columns of the picture to columns of the tensor. A Bayer mosaic is a picture of its 2x2 groups.
    pub across: Axis,
    /// Rows to rows.
    pub down: Axis,
    /// Where the picture lies in the tensor: left, top, width, height.
    pub at: [usize; 4],
    /// The level that means black in a Bayer mosaic, on the 8-bit scale.
    pub black: u8,
}

/// For every output sample, the input samples it covers and their weights, which sum to 1.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Axis {
    /// First input sample of each output sample.
    pub starts: Vec<u32>,
    /// `taps` weights for each output sample; unused ones are 0.
    pub weights: Vec<f32>,
    /// Input samples per output sample at most.
    pub taps: usize,
}

impl Axis {
    /// Maps `length` samples from `start` (both may be fractions) of an input of `limit` samples onto `outputs`.
    ///
    /// Shrinking averages by area; enlarging interpolates between sample centres. Equal length copies exactly.
    pub fn new(start: f64, length: f64, limit: usize, outputs: usize) -> Axis {
        let scale = length / outputs as f64;
        let each: Vec<(usize, Vec<f64>)> = (0..outputs)
            .map(|index| {
                if scale >= 1.0 {
                    area(start + index as f64 * scale, scale, limit)
                } else {
                    between(start + (index as f64 + 0.5) * scale, limit)
                }
            })
            .collect();
        let taps = each.iter().map(|(_, weights)| weights.len()).max().unwrap_or(1);
        let mut axis = Axis { starts: Vec::new(), weights: Vec::new(), taps };
        for (first, weights) in each {
            // Padded weights must not reach past the input.
            let first_padded = first.min(limit - taps.min(limit));
            let shift = first - first_padded;
            let total: f64 = weights.iter().sum();
            axis.starts.push(first_padded as u32);
            let at = axis.weights.len();
            axis.weights.resize(at + taps, 0.0);
            for (tap, weight) in weights.iter().enumerate() {
                axis.weights[at + shift + tap] = (weight / total) as f32;
            }
        }
        axis
    }

    /// The weights of one output sample.
    pub fn of(&self, output: usize) -> (usize, &[f32]) {
        (self.starts[output] as usize, &self.weights[output * self.taps..][..self.taps])
    }
}

/// Smallest share of a sample that counts.
const CRUMB: f64 = 1e-6;

/// How much of each input sample lies in `[from, from + length)`.
fn area(from: f64, length: f64, limit: usize) -> (usize, Vec<f64>) {
    let to = (from + length).min(limit as f64);
    let first = ((from + CRUMB).floor() as usize).min(limit - 1);
    let last = ((to - CRUMB).ceil() as usize).clamp(first + 1, limit);
    let share = |sample: usize| (to.min(sample as f64 + 1.0) - from.max(sample as f64)).max(0.0);
    let weights: Vec<f64> = (first..last).map(share).collect();
    // A whole number of whole samples: equal weights, exactly.
    let even = weights.iter().all(|weight| (weight - 1.0).abs() < CRUMB);
    (first, if even { vec![1.0; weights.len()] } else { weights })
}

/// The two sample centres around `centre`.
fn between(centre: f64, limit: usize) -> (usize, Vec<f64>) {
    let at = (centre - 0.5).clamp(0.0, (limit - 1) as f64);
    let first = at.floor() as usize;
    let part = at - first as f64;
    if part < CRUMB || first + 1 >= limit { (first, vec![1.0]) } else { (first, vec![1.0 - part, part]) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_length_copies_exactly() {
        let axis = Axis::new(0.0, 7.0, 7, 7);
        assert_eq!((axis.taps, axis.weights.clone()), (1, vec![1.0; 7]));
        assert_eq!(axis.starts, [0, 1, 2, 3, 4, 5, 6]);
    }

    #[test]
    fn shrinking_weighs_by_area_and_enlarging_by_nearness() {
        let axis = Axis::new(0.0, 5.0, 5, 2);
        assert_eq!(axis.of(0), (0, &[0.4, 0.4, 0.2][..]));
        assert_eq!(axis.of(1), (2, &[0.2, 0.4, 0.4][..]));
        let axis = Axis::new(0.0, 2.0, 2, 4);
        assert_eq!((axis.of(0).1, axis.of(1).1, axis.of(3).1), (&[1.0, 0.0][..], &[0.75, 0.25][..], &[0.0, 1.0][..]));
    }

    #[test]
    fn weights_sum_to_one_and_stay_inside_for_any_sizes() {
        for limit in [1, 2, 3, 17, 480, 641] {
            for outputs in [1, 2, 5, 150, 640, 1000] {
                for (start, length) in [(0.0, limit as f64), (limit as f64 * 0.125, limit as f64 * 0.75)] {
                    let axis = Axis::new(start, length, limit, outputs);
                    for index in 0..outputs {
                        let (first, weights) = axis.of(index);
                        assert!(first + weights.len() <= limit, "{limit} -> {outputs}");
                        assert!((weights.iter().sum::<f32>() - 1.0).abs() < 1e-5, "{limit} -> {outputs}");
                    }
                }
            }
        }
    }
}
