use proptest::prelude::*;

use super::super::noise::noise;
use super::super::planes::plane_stride;
use super::*;

fn naive(g: &Geometry, window: &Window, pixel: impl Fn(usize, usize, usize) -> f32) -> Vec<f32> {
    let [oh, ow] = g.output();
    let mut out = Vec::new();
    for (c, y, x) in (0..g.cout).flat_map(|c| (0..oh).flat_map(move |y| (0..ow).map(move |x| (c, y, x)))) {
        let mut sum = match window {
            Window::Sum { bias, .. } => f64::from(bias[c]),
            Window::Greatest => f64::NEG_INFINITY,
        };
        for (ky, kx) in (0..g.kernel[0]).flat_map(|ky| (0..g.kernel[1]).map(move |kx| (ky, kx))) {
            let iy = (y * g.stride[0] + ky * g.dilation[0]).wrapping_sub(g.begin[0]);
            let ix = (x * g.stride[1] + kx * g.dilation[1]).wrapping_sub(g.begin[1]);
            if iy < g.input[0] && ix < g.input[1] {
                let x = f64::from(pixel(c, iy, ix));
                sum = match window {
                    Window::Sum { weights, .. } => sum + x * f64::from(weights[(c * g.kernel[0] + ky) * g.kernel[1] + kx]),
                    Window::Greatest => sum.max(x),
                };
            }
        }
        out.push(sum as f32);
    }
    out
}

fn check(g: Geometry, greatest: bool, threads: usize, bounds: Option<[f32; 2]>) {
    let [oh, ow] = g.output();
    if oh == 0 || ow == 0 {
        return;
    }
    let pixels = g.input[0] * g.input[1];
    let mut input = noise(g.cin * plane_stride(pixels), 3);
    let planes: Vec<_> = (0..g.cin).map(|c| Shared(input[c * plane_stride(pixels)..].as_mut_ptr())).collect();
    for isa in Isa::available() {
        let window = if greatest {
            Window::Greatest
        } else {
            Window::Sum { weights: noise(g.cout * g.kernel[0] * g.kernel[1], 1), bias: noise(g.cout, 2) }
        };
        let mut output = vec![7.0; g.cout * plane_stride(oh * ow)];
        let outputs: Vec<_> = (0..g.cout).map(|c| Shared(output[c * plane_stride(oh * ow)..].as_mut_ptr())).collect();
        let mut conv = Depthwise::new(g, isa, window);
        if let Some(bounds) = bounds {
            conv.bound(bounds);
        }
        let mut scratch = vec![f32::NAN; conv.scratch_floats(threads)];
        // SAFETY: planes and scratch are as large as asked for.
        unsafe { conv.run(&mut Pool::new(threads), Shared(scratch.as_mut_ptr()), &planes, &outputs) };
        let want = naive(&g, conv.window(), |c, y, x| input[c * plane_stride(pixels) + y * g.input[1] + x]);
        for (i, b) in want.iter().enumerate() {
            let a = output[i / (oh * ow) * plane_stride(oh * ow) + i % (oh * ow)];
            let b = bounds.map_or(*b, |[low, high]| b.clamp(low, high));
            assert!(a == b || (a - b).abs() <= 2e-5, "{g:?} {isa:?}: output {i} is {a}, not {b}");
        }
        for (c, plane) in output.chunks_exact(plane_stride(oh * ow)).enumerate() {
            assert!(plane[oh * ow..].iter().all(|&x| x == 7.0), "{g:?} {isa:?}: channel {c} is written past its end");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_window_agrees_with_the_definition(
        channels in 1usize..5, h in 1usize..40, w in 1usize..70, kh in 1usize..6, kw in 1usize..6, top in 0usize..4, left in 0usize..4,
        bottom in 0usize..4, right in 0usize..4, sh in 1usize..4, sw in 1usize..4, dh in 1usize..3, dw in 1usize..3, threads in 1usize..4,
        greatest in any::<bool>(),
    ) {
        let g = Geometry {
            cin: channels, cout: channels, groups: channels, input: [h, w], kernel: [kh, kw], begin: [top, left], end: [bottom, right],
            stride: [sh, sw], dilation: [dh, dw],
        };
        check(g, greatest, threads, None);
    }

    /// The kernels of the usual networks, over planes of one band and of many.
    #[test]
    fn squares_of_three_and_five(
        channels in 1usize..4, h in 1usize..150, w in 1usize..200, five in any::<bool>(), stride in 1usize..3, before in any::<bool>(),
    ) {
        let k = if five { 5 } else { 3 };
        let begin = if before { k / 2 } else { 0 };
        let g = Geometry {
            cin: channels, cout: channels, groups: channels, input: [h, w], kernel: [k, k], begin: [begin; 2], end: [k / 2; 2],
            stride: [stride; 2], dilation: [1, 1],
        };
        check(g, false, 2, Some([-0.5, 0.75]));
    }
}
