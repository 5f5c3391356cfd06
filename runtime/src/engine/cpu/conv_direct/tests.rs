use proptest::prelude::*;

use super::super::noise::noise;
use super::super::planes::plane_stride;
use super::*;

fn naive(g: &Geometry, weights: &[f32], bias: &[f32], pixel: impl Fn(usize, usize, usize) -> f32) -> Vec<f32> {
    let [oh, ow] = g.output();
    let (per_in, per_out) = (g.cin / g.groups, g.cout / g.groups);
    let mut out = Vec::new();
    for co in 0..g.cout {
        for y in 0..oh {
            for x in 0..ow {
                let mut sum = f64::from(bias[co]);
                for ci in 0..per_in {
                    for ky in 0..g.kernel[0] {
                        for kx in 0..g.kernel[1] {
                            let iy = (y * g.stride[0] + ky * g.dilation[0]).wrapping_sub(g.begin[0]);
                            let ix = (x * g.stride[1] + kx * g.dilation[1]).wrapping_sub(g.begin[1]);
                            if iy < g.input[0] && ix < g.input[1] {
                                let weight = weights[((co * per_in + ci) * g.kernel[0] + ky) * g.kernel[1] + kx];
                                sum += f64::from(weight) * f64::from(pixel(co / per_out * per_in + ci, iy, ix));
                            }
                        }
                    }
                }
                out.push(sum as f32);
            }
        }
    }
    out
}

fn check(g: Geometry, isa: Isa, threads: usize) {
    let [oh, ow] = g.output();
    if oh == 0 || ow == 0 {
        return;
    }
    let weights = noise(g.cout * g.cin / g.groups * g.kernel[0] * g.kernel[1], 1);
    let bias = noise(g.cout, 2);
    let pixels = g.input[0] * g.input[1];
    let mut input = vec![0.0; g.cin * plane_stride(pixels) + MAX_LANES];
    let pixels_in = noise(input.len(), 3);
    input.copy_from_slice(&pixels_in);
    let mut output = vec![0.0; g.cout * plane_stride(oh * ow)];
    let planes: Vec<_> = (0..g.cin).map(|c| Shared(input[c * plane_stride(pixels)..].as_mut_ptr())).collect();
    let outputs: Vec<_> = (0..g.cout).map(|c| Shared(output[c * plane_stride(oh * ow)..].as_mut_ptr())).collect();
    let conv = ConvDirect::new(g, isa, &weights, &bias);
    let mut scratch = vec![f32::NAN; conv.scratch_floats(threads)];
    // SAFETY: planes and scratch are as large as asked for.
    unsafe { conv.run(&mut Pool::new(threads), Shared(scratch.as_mut_ptr()), &planes, &outputs) };
    let want = naive(&g, &weights, &bias, |c, y, x| input[c * plane_stride(pixels) + y * g.input[1] + x]);
    for (i, b) in want.iter().enumerate() {
        let a = output[i / (oh * ow) * plane_stride(oh * ow) + i % (oh * ow)];
        assert!((a - b).abs() <= 2e-5, "{g:?} {isa:?}: output {i} is {a}, not {b}");
    }
}

#[test]
fn one_by_one_reads_its_planes_in_place() {
    for cout in 1..20 {
        let g = Geometry {
            cin: 5,
            cout,
            groups: 1,
            input: [7, 31],
            kernel: [1, 1],
            begin: [0, 0],
            end: [0, 0],
            stride: [1, 1],
            dilation: [1, 1],
        };
        for isa in Isa::available() {
            check(g, isa, 2);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_geometry_agrees_with_the_definition(
        groups in 1usize..4, cin in 1usize..4, cout in 1usize..11, h in 1usize..40, w in 1usize..50, kh in 1usize..8, kw in 1usize..8,
        top in 0usize..8, left in 0usize..8, bottom in 0usize..8, right in 0usize..8, sh in 1usize..4, sw in 1usize..4,
        dh in 1usize..4, dw in 1usize..4, threads in 1usize..4,
    ) {
        let g = Geometry {
            cin: cin * groups, cout: cout * groups, groups, input: [h, w], kernel: [kh, kw], begin: [top, left], end: [bottom, right],
            stride: [sh, sw], dilation: [dh, dw],
        };
        for isa in Isa::available() {
            check(g, isa, threads);
        }
    }
}
