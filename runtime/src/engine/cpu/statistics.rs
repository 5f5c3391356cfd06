//! The statistics of an instance norm.

use super::simd::{Kernel, Simd};

/// Instance norm's statistics of one plane as the `(scale, shift)` that apply it: `(x - mean) / sqrt(var + eps) * gain + bias`.
/// Two passes, so that a large mean costs no precision.
pub struct Normal<'a> {
    /// The plane.
    pub plane: &'a [f32],
    /// Added to the variance.
    pub epsilon: f32,
    /// The learnt factor.
    pub gain: f32,
    /// The learnt offset.
    pub bias: f32,
}

impl Kernel for Normal<'_> {
    type Out = (f32, f32);
    #[inline(always)]
    fn run<S: Simd>(self, s: S) -> (f32, f32) {
        let count = self.plane.len() as f64;
        let mean = total::<S, false>(s, self.plane, 0.0) / count;
        let variance = total::<S, true>(s, self.plane, mean as f32) / count;
        let scale = f64::from(self.gain) / (variance + f64::from(self.epsilon)).sqrt();
        (scale as f32, (f64::from(self.bias) - mean * scale) as f32)
    }
}

/// The sum of `x`, or of `(x - mean)^2`: short f32 runs in several lanes, f64 beyond.
#[inline(always)]
fn total<S: Simd, const SQUARED: bool>(s: S, plane: &[f32], mean: f32) -> f64 {
    const RUN: usize = 4096;
    let middle = s.splat(mean);
    let mut sum = 0.0f64;
    for run in plane.chunks(RUN) {
        let mut lanes = [s.splat(0.0); 4];
        let mut at = 0;
        while at + 4 * S::LANES <= run.len() {
            for (k, lane) in lanes.iter_mut().enumerate() {
                // SAFETY: whole vectors inside the run.
                let x = s.sub(unsafe { s.load(run.as_ptr().add(at + k * S::LANES)) }, middle);
                *lane = if SQUARED { s.fma(x, x, *lane) } else { s.add(x, *lane) };
            }
            at += 4 * S::LANES;
        }
        sum += f64::from(s.sum(s.add(s.add(lanes[0], lanes[1]), s.add(lanes[2], lanes[3]))));
        for &x in &run[at..] {
            let x = x - mean;
            sum += f64::from(if SQUARED { x * x } else { x });
        }
    }
    sum
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::noise::noise;
    use super::super::simd::Isa;
    use super::*;

    proptest! {
        #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn statistics_survive_a_large_mean(pixels in 1usize..20000, mean in -500f32..500.0) {
            let plane: Vec<f32> = noise(pixels, 1).into_iter().map(|x| mean + 2.0 * x).collect();
            let n = pixels as f64;
            let exact_mean = plane.iter().map(|&x| f64::from(x)).sum::<f64>() / n;
            let variance = plane.iter().map(|&x| (f64::from(x) - exact_mean).powi(2)).sum::<f64>() / n;
            let scale = 0.7 / (variance + 1e-3).sqrt();
            for isa in Isa::available() {
                let (got, shift) = isa.run(Normal { plane: &plane, epsilon: 1e-3, gain: 0.7, bias: 0.2 });
                prop_assert!((f64::from(got) / scale - 1.0).abs() < 1e-4, "{isa:?}: {got}, not {scale}");
                let at_mean = f64::from(got) * exact_mean + f64::from(shift);
                prop_assert!((at_mean - 0.2).abs() < 1e-5 + 2e-7 * (scale * exact_mean).abs(), "{isa:?}: {at_mean}");
            }
        }
    }
}
