use proptest::prelude::*;

use super::super::noise::noise;
use super::super::rates::Rates;
use super::tiling::{HEIGHTS, WIDTHS};
use super::*;

fn direct(shape: &Shape, weights: &[f32], bias: &[f32], input: &[f32]) -> Vec<f32> {
    let [h, w] = shape.input;
    let [oh, ow] = shape.output();
    let [kh, kw] = shape.kernel;
    let mut out = vec![0.0; shape.cout * oh * ow];
    for co in 0..shape.cout {
        for y in 0..oh {
            for x in 0..ow {
                let mut sum = f64::from(bias[co]);
                for ci in 0..shape.cin {
                    for ky in 0..kh {
                        for kx in 0..kw {
                            let (iy, ix) = ((y + ky).wrapping_sub(shape.begin[0]), (x + kx).wrapping_sub(shape.begin[1]));
                            if iy < h && ix < w {
                                let weight = weights[((co * shape.cin + ci) * kh + ky) * kw + kx];
                                sum += f64::from(weight) * f64::from(input[(ci * h + iy) * w + ix]);
                            }
                        }
                    }
                }
                out[(co * oh + y) * ow + x] = sum as f32;
            }
        }
    }
    out
}

fn check(shape: Shape, tile: [usize; 2], isa: Isa, threads: usize) {
    let Some(tiling) = Tiling::with(&shape, tile, &Rates::of(isa)) else { return };
    let weights = noise(shape.cin * shape.cout * shape.kernel[0] * shape.kernel[1], 1);
    let bias = noise(shape.cout, 2);
    let pixels = noise(shape.cin * shape.input[0] * shape.input[1], 3);
    let mut memory = Arena::new(pixels.len());
    memory.slice_mut(0, pixels.len()).copy_from_slice(&pixels);
    let input = memory.slice_mut(0, pixels.len());
    let [oh, ow] = shape.output();
    let mut output = vec![f32::NAN; shape.cout * oh * ow];
    let planes: Vec<_> = input.chunks_exact_mut(shape.input[0] * shape.input[1]).map(|p| Shared(p.as_mut_ptr())).collect();
    let outputs: Vec<_> = output.chunks_exact_mut(oh * ow).map(|p| Shared(p.as_mut_ptr())).collect();
    let conv = ConvFft::new(shape, tiling, isa, &weights, &bias);
    // SAFETY: the planes are as large as the shape says.
    unsafe { conv.run(&mut Pool::new(threads), Arena::new(conv.scratch_floats(threads)).start(), &planes, &outputs) };
    let want = direct(&shape, &weights, &bias, &pixels);
    let scale = want.iter().fold(0f32, |m, x| m.max(x.abs()));
    for (i, (a, b)) in output.iter().zip(&want).enumerate() {
        assert!((a - b).abs() <= 2e-6 * scale + 1e-6, "{shape:?} {tiling:?} {isa:?}: output {i} is {a}, not {b}");
    }
}

#[test]
fn one_tile_wraps_into_its_padding() {
    let shape = Shape { cin: 2, cout: 3, input: [57, 60], kernel: [15, 9], begin: [7, 4], end: [7, 4] };
    for isa in Isa::available() {
        check(shape, [64, 64], isa, 1);
    }
}

#[test]
fn every_tile_size_agrees_with_the_direct_form() {
    let shape = Shape { cin: 3, cout: 2, input: [41, 37], kernel: [15, 15], begin: [7, 7], end: [7, 7] };
    for h in HEIGHTS {
        for w in WIDTHS {
            for isa in Isa::available() {
                check(shape, [h, w], isa, 2);
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_shape_agrees_with_the_direct_form(
        cin in 1usize..5, cout in 1usize..6, h in 1usize..70, w in 1usize..70, kh in 1usize..32, kw in 1usize..32,
        top in 0usize..16, left in 0usize..16, tile in 0usize..40, threads in 1usize..4,
    ) {
        let begin = [top.min(kh - 1), left.min(kw - 1)];
        let shape = Shape { cin, cout, input: [h, w], kernel: [kh, kw], begin, end: [kh - 1 - begin[0], kw - 1 - begin[1]] };
        for isa in Isa::available() {
            check(shape, [HEIGHTS[tile / 8], WIDTHS[tile % 8]], isa, threads);
        }
    }
}

#[test]
fn a_tiling_keeps_to_its_memory_where_it_can() {
    let shape = Shape { cin: 25, cout: 25, input: [150, 150], kernel: [15, 15], begin: [7, 7], end: [7, 7] };
    let rates = Rates::of(Isa::best());
    let tiling = Tiling::choose(&shape, &rates, 12 << 20).unwrap();
    assert!(tiling.weight_bytes <= 12 << 20, "{tiling:?}");
    assert!(Tiling::choose(&shape, &rates, 0).is_some());
    assert!(Tiling::choose(&Shape { kernel: [161, 161], ..shape }, &rates, 0).is_none());
}
