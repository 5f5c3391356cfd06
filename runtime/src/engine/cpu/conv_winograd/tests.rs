use proptest::prelude::*;

use super::super::noise::noise;
use super::super::planes::plane_stride;
use super::*;

/// The largest error beside the sum's exact value, in units of the root of its terms.
fn worst(g: Geometry, isa: Isa, threads: usize, bounds: Option<[f32; 2]>) -> f64 {
    let [oh, ow] = g.output();
    let pixels = g.input[0] * g.input[1];
    let scale = 1.0 / (9.0 * g.cin as f32).sqrt();
    let weights: Vec<f32> = noise(g.cout * g.cin * 9, 1).into_iter().map(|x| x * scale).collect();
    let bias = noise(g.cout, 2);
    let mut input = noise(g.cin * plane_stride(pixels) + MAX_LANES, 3);
    let mut output = vec![7.0; g.cout * plane_stride(oh * ow)];
    let planes: Vec<_> = (0..g.cin).map(|c| Shared(input[c * plane_stride(pixels)..].as_mut_ptr())).collect();
    let outputs: Vec<_> = (0..g.cout).map(|c| Shared(output[c * plane_stride(oh * ow)..].as_mut_ptr())).collect();
    let mut conv = ConvWinograd::new(g, isa, &weights, &bias);
    if let Some(bounds) = bounds {
        conv.bound(bounds);
    }
    let mut scratch = vec![f32::NAN; conv.scratch_floats(threads)];
    // SAFETY: planes and scratch are as large as asked for.
    unsafe { conv.run(&mut Pool::new(threads), Shared(scratch.as_mut_ptr()), &planes, &outputs) };
    let mut worst = 0.0f64;
    for (co, y, x) in (0..g.cout).flat_map(|co| (0..oh).flat_map(move |y| (0..ow).map(move |x| (co, y, x)))) {
        let mut sum = f64::from(bias[co]);
        for (ci, tap) in (0..g.cin).flat_map(|ci| (0..9).map(move |tap| (ci, tap))) {
            let (iy, ix) = ((y + tap / 3).wrapping_sub(g.begin[0]), (x + tap % 3).wrapping_sub(g.begin[1]));
            if iy < g.input[0] && ix < g.input[1] {
                let pixel = input[ci * plane_stride(pixels) + iy * g.input[1] + ix];
                sum += f64::from(pixel) * f64::from(weights[(co * g.cin + ci) * 9 + tap]);
            }
        }
        if let Some([low, high]) = bounds {
            sum = sum.clamp(f64::from(low), f64::from(high));
        }
        let got = f64::from(output[co * plane_stride(oh * ow) + y * ow + x]);
        assert!(!got.is_nan(), "{g:?} {isa:?}: {co} {y} {x}");
        worst = worst.max((got - sum).abs());
    }
    worst
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_size_agrees_with_the_definition(
        cin in 1usize..12, cout in 1usize..20, h in 1usize..40, w in 1usize..50, top in 0usize..3, left in 0usize..3, bottom in 0usize..3,
        right in 0usize..3, threads in 1usize..4, bounded in any::<bool>(),
    ) {
        let g = Geometry {
            cin, cout, groups: 1, input: [h, w], kernel: [3, 3], begin: [top, left], end: [bottom, right], stride: [1, 1], dilation: [1, 1],
        };
        let [oh, ow] = g.output();
        prop_assume!(oh * ow > 0);
        for isa in Isa::available() {
            let worst = worst(g, isa, threads, bounded.then_some([-0.25, 0.5]));
            prop_assert!(worst < 4e-6, "{g:?} {isa:?}: off by {worst}");
        }
    }
}

/// Sums of two thousand terms whose root mean square is a third: the direct form is off by up to half as much.
#[test]
fn many_channels_lose_little() {
    let g = Geometry {
        cin: 224,
        cout: 8,
        groups: 1,
        input: [15, 20],
        kernel: [3, 3],
        begin: [1, 1],
        end: [1, 1],
        stride: [1, 1],
        dilation: [1, 1],
    };
    for isa in Isa::available() {
        let worst = worst(g, isa, 2, None);
        assert!(worst < 5e-6, "{isa:?}: off by {worst}");
    }
}
