use super::super::simd::{Isa, Kernel};
use super::*;

/// Spectrum and round trip of sequences of `plan.len()` elements in 16 lanes.
struct There<'a>(&'a Plan, &'a mut [f32], bool);

impl Kernel for There<'_> {
    type Out = ();
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let (plan, data, forward) = (self.0, self.1, self.2);
        let half = data.len() / 2;
        let re = data.as_mut_ptr();
        // SAFETY: `data` holds both parts of len x 16 values.
        unsafe {
            let rows = Rows { re, im: re.add(half), stride: MAX_LANES, chunk: MAX_LANES };
            if forward { plan.forward(s, rows, rows, MAX_LANES) } else { plan.inverse(s, rows, rows, MAX_LANES) }
        }
    }
}

fn noise(n: usize) -> Vec<f32> {
    let mut state = 1u32;
    (0..n)
        .map(|_| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 8) as f32 / (1 << 23) as f32 - 1.0
        })
        .collect()
}

#[test]
fn a_spectrum_is_rustffts_up_to_order_and_inverts() {
    for len in [8, 16, 24, 32, 40, 48, 64, 80, 96, 128, 160] {
        let plan = Plan::new(len, false).unwrap();
        let start = noise(2 * len * MAX_LANES);
        let lane = |data: &[f32], lane: usize| -> Vec<(f32, f32)> {
            (0..len).map(|k| (data[k * MAX_LANES + lane], data[(len + k) * MAX_LANES + lane])).collect()
        };
        for isa in Isa::available() {
            let mut data = start.clone();
            isa.run(There(&plan, &mut data, true));
            for l in [0, 7, 15] {
                let mut want: Vec<_> = lane(&start, l).iter().map(|&(re, im)| rustfft::num_complex::Complex::new(re, im)).collect();
                rustfft::FftPlanner::new().plan_fft_forward(len).process(&mut want);
                let mut got = lane(&data, l);
                let mut want: Vec<_> = want.iter().map(|z| (z.re, z.im)).collect();
                got.sort_by(|a, b| a.0.total_cmp(&b.0));
                want.sort_by(|a, b| a.0.total_cmp(&b.0));
                for (a, b) in got.iter().zip(&want) {
                    assert!((a.0 - b.0).abs() < 2e-4 && (a.1 - b.1).abs() < 2e-4, "{isa:?} {len}: {a:?} {b:?}");
                }
            }
            isa.run(There(&plan, &mut data, false));
            for (a, b) in data.iter().zip(&start) {
                assert!((a / len as f32 - b).abs() < 1e-5, "{isa:?} {len}");
            }
        }
    }
}

#[test]
fn a_twisted_plan_inverts() {
    let plan = Plan::new(32, true).unwrap();
    let start = noise(64 * MAX_LANES);
    for isa in Isa::available() {
        let mut data = start.clone();
        isa.run(There(&plan, &mut data, true));
        isa.run(There(&plan, &mut data, false));
        for (a, b) in data.iter().zip(&start) {
            assert!((a / 32.0 - b).abs() < 1e-5, "{isa:?}");
        }
    }
}

#[test]
fn a_length_without_a_plan_is_refused() {
    assert!(Plan::new(37, false).is_none());
}
