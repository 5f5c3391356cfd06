//! What the parts of a convolution cost on this machine, for the cost model's constants.

use crate::commands::out::say;
use crate::commands::stopwatch::Time;
use crate::engine::cpu::conv_direct::{ConvDirect, Geometry};
use crate::engine::cpu::conv_fft::{ConvFft, Shape, Tiling};
use crate::engine::cpu::planes::{Arena, Shared, plane_stride};
use crate::engine::cpu::pool::Pool;
use crate::engine::cpu::rates::Rates;
use crate::engine::cpu::simd::Isa;
use crate::service::exit::Failure;

/// Runs of each convolution; the median counts.
const RUNS: usize = 21;
/// Floats that push everything else out of the second-level cache before each run, as a graph's other operations do.
const ELSEWHERE: usize = 4 << 20;

/// Measures every instruction set this machine has, one thread each, and prints what `engine/cpu/rates.rs` holds.
pub fn print() -> Result<(), Failure> {
    for isa in Isa::available() {
        let Rates { transform_ns, product_ns, weight_ns, direct_ns } = measure(isa);
        say!(
            "Isa::{isa:?} => Rates {{ transform_ns: {transform_ns:.3}, product_ns: {product_ns:.3}, weight_ns: {weight_ns:.4}, direct_ns: {direct_ns:.4} }},"
        )?;
    }
    Ok(())
}

/// Three convolutions, in each of which another part of the Fourier form weighs most, and one in the direct form.
fn measure(isa: Isa) -> Rates {
    let few_channels = fourier(isa, 4, 150, 15, [64, 64]);
    let many_tiles = fourier(isa, 64, 120, 3, [32, 16]);
    let weights_used_once = fourier(isa, 32, 50, 15, [64, 64]);
    let [transform_ns, product_ns, weight_ns] = solve([few_channels, many_tiles, weights_used_once]);
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
    // SAFETY: planes of the shapes asked for, and the arena has slack around them.
    let direct = median(conv.scratch_floats(1), |pool, scratch| unsafe { conv.run(pool, scratch, &input.0, &output.0) });
    Rates { transform_ns, product_ns, weight_ns, direct_ns: direct / geometry.macs() as f64 }
}

/// The work of a convolution from as many to as many channels, and its nanoseconds.
fn fourier(isa: Isa, channels: usize, edge: usize, kernel: usize, tile: [usize; 2]) -> [f64; 4] {
    let border = [kernel / 2; 2];
    let shape = Shape { cin: channels, cout: channels, input: [edge; 2], kernel: [kernel; 2], begin: border, end: border };
    let tiling = Tiling::with(&shape, tile, &Rates::of(isa)).expect("a size that tiles can have");
    let conv = ConvFft::new(shape, tiling, isa, &vec![0.01; channels * channels * kernel * kernel], &[]);
    let (input, output) = (Planes::new(channels, edge * edge), Planes::new(channels, edge * edge));
    // SAFETY: as above.
    let ns = median(conv.scratch_floats(1), |pool, scratch| unsafe { conv.run(pool, scratch, &input.0, &output.0) });
    let work = tiling.work(&shape);
    [work.transforms, work.products, work.weight_bytes, ns]
}

/// The three factors with which each row's first three numbers add up to its fourth.
fn solve(mut rows: [[f64; 4]; 3]) -> [f64; 3] {
    for pivot in 0..3 {
        let scaled = rows[pivot].map(|x| x / rows[pivot][pivot]);
        for (at, row) in rows.iter_mut().enumerate() {
            let factor = row[pivot];
            *row = if at == pivot { scaled } else { std::array::from_fn(|i| row[i] - factor * scaled[i]) };
        }
    }
    rows.map(|row| row[3])
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

/// The median processor time of a run, in nanoseconds, after one that finds its memory untouched.
fn median(scratch_floats: usize, mut run: impl FnMut(&mut Pool, Shared)) -> f64 {
    let (mut pool, mut scratch, mut elsewhere) = (Pool::new(1), Arena::new(scratch_floats), vec![0.0f32; ELSEWHERE]);
    let mut times: Vec<f64> = (0..=RUNS)
        .map(|run_number| {
            elsewhere.fill(run_number as f32);
            std::hint::black_box(&elsewhere);
            let began = Time::now();
            run(&mut pool, scratch.start());
            began.since().cpu.as_secs_f64() * 1e9
        })
        .skip(1)
        .collect();
    times.sort_unstable_by(f64::total_cmp);
    times[RUNS / 2]
}
