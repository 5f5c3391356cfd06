//! What the parts of a convolution cost on this machine, for the cost model's constants.

use crate::commands::stopwatch::Time;
use crate::engine::cpu::conv_direct::{ConvDirect, Geometry};
use crate::engine::cpu::conv_fft::{ConvFft, Shape, Tiling};
use crate::engine::cpu::planes::{Arena, Shared, plane_stride};
use crate::engine::cpu::pool::Pool;
use crate::engine::cpu::rates::Rates;
use crate::engine::cpu::simd::Isa;

/// Runs of each convolution; the median counts.
const RUNS: usize = 21;

/// Measures every instruction set this machine has, one thread each, and prints what `engine/cpu/rates.rs` holds.
pub fn print() {
    for isa in Isa::available() {
        let Rates { transform_ns, product_ns, weight_ns, direct_ns } = measure(isa);
        println!(
            "Isa::{isa:?} => Rates {{ transform_ns: {transform_ns:.3}, product_ns: {product_ns:.3}, weight_ns: {weight_ns:.3}, direct_ns: {direct_ns:.4} }},"
        );
    }
}

/// Two convolutions of many tiles tell transforms from products, one of a single tile what weights cost that are used once.
fn measure(isa: Isa) -> Rates {
    let unit = Rates { transform_ns: 1.0, product_ns: 1.0, weight_ns: 0.0, direct_ns: 1.0 };
    let fourier = |channels: usize, edge: usize| {
        let shape = Shape { cin: channels, cout: channels, input: [edge; 2], kernel: [15; 2], begin: [7; 2], end: [7; 2] };
        let tiling = Tiling::with(&shape, [64, 64], &unit).expect("64 is a tile's height and width");
        let weights = vec![0.01; channels * channels * 15 * 15];
        let conv = ConvFft::new(shape, tiling, isa, &weights, &[]);
        let (input, output) = (Planes::new(channels, edge * edge), Planes::new(channels, edge * edge));
        // SAFETY: planes of the shapes asked for, and the arena has slack around them.
        let ns = median(conv.scratch_floats(1), |pool, scratch| unsafe { conv.run(pool, scratch, &input.0, &output.0) });
        (tiling.work(&shape), ns)
    };
    let ((few, few_ns), (many, many_ns), (once, once_ns)) = (fourier(4, 150), fourier(32, 150), fourier(32, 50));
    let determinant = few.transforms * many.products - many.transforms * few.products;
    let transform_ns = (few_ns * many.products - many_ns * few.products) / determinant;
    let product_ns = (many_ns * few.transforms - few_ns * many.transforms) / determinant;
    let weight_ns = (once_ns - once.transforms * transform_ns) / once.weight_bytes;
    let geometry = Geometry {
        cin: 24,
        cout: 24,
        groups: 1,
        input: [80; 2],
        kernel: [5; 2],
        begin: [2; 2],
        end: [2; 2],
        stride: [1; 2],
        dilation: [1; 2],
    };
    let conv = ConvDirect::new(geometry, isa, &vec![0.01; 24 * 24 * 25], &[]);
    let (input, output) = (Planes::new(24, 6400), Planes::new(24, 6400));
    // SAFETY: as above.
    let direct = median(conv.scratch_floats(1), |pool, scratch| unsafe { conv.run(pool, scratch, &input.0, &output.0) });
    Rates { transform_ns, product_ns, weight_ns, direct_ns: direct / geometry.macs() as f64 }
}

/// Channel planes with their memory.
struct Planes(Vec<Shared>, #[expect(dead_code, reason = "owns what the planes point to")] Arena);

impl Planes {
    fn new(channels: usize, pixels: usize) -> Planes {
        let mut arena = Arena::new(channels * plane_stride(pixels));
        let start = arena.start();
        Planes((0..channels).map(|channel| Shared(start.at(channel * plane_stride(pixels)))).collect(), arena)
    }
}

/// The median processor time of a run, in nanoseconds, after one that finds everything cold.
fn median(scratch_floats: usize, mut run: impl FnMut(&mut Pool, Shared)) -> f64 {
    let (mut pool, mut scratch) = (Pool::new(1), Arena::new(scratch_floats));
    let mut times: Vec<f64> = (0..=RUNS)
        .map(|_| {
            let began = Time::now();
            run(&mut pool, scratch.start());
            began.since().cpu.as_secs_f64() * 1e9
        })
        .skip(1)
        .collect();
    times.sort_unstable_by(f64::total_cmp);
    times[RUNS / 2]
}
