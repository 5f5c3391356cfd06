//! Logarithm, rounding and powers of every kind of number.

use recslowfast::engine::cpu::CpuEngine;
use recslowfast::engine::cuda::{CudaEngine, Precision};
use recslowfast::network::engine::{Engine, StepRequest};

use crate::standin::{self, Build, network as tiny};

/// Pixels of a channel.
const PIXELS: usize = 8 * 12;

/// Three channels of numbers: halves, what has no fraction any more, zeros of both signs, infinities, none; of any size and sign.
fn numbers() -> Vec<f32> {
    let special = [0.0, 1.0, 2.0, 0.5, 1.5, 2.5, 3.0, 8_388_607.5, 4_194_304.5, 3e38, 1e-40, f32::INFINITY, 0.499_999_97, 7.0];
    let mut values: Vec<f32> = (0..3 * PIXELS).map(|i| ((i * 7919 + 13) % 4001) as f32 / 400.0 - 5.0).collect();
    for (at, (x, y)) in
        special.iter().flat_map(|x| [*x, -x]).zip([3.0, 0.5, 0.0, -2.0, -0.0, f32::NAN, -1.0].into_iter().cycle()).enumerate()
    {
        (values[at], values[PIXELS + at], values[2 * PIXELS + at]) = (x, y, x);
    }
    (values[40], values[PIXELS + 40], values[2 * PIXELS + 41]) = (f32::NAN, 0.0, f32::NAN);
    values
}

/// What channel `channel` of `tiny-values` is at pixel `at`.
fn wanted(frame: &[f32], channel: usize, at: usize) -> f32 {
    let value = |channel: usize| frame[channel * PIXELS + at];
    let (x, y) = (value(channel % 3), value(1));
    let whole = match channel / 3 {
        0 => x.round_ties_even(),
        1 => x.ln(),
        2 => x.powf([1.7, -2.5, 3.0][channel % 3]),
        3 => 1.0,
        4 => 2f32.powf(x),
        _ if channel == 15 => value(0).powf(y),
        _ => value(channel - 16).powf(y),
    };
    whole * [0.5, 1.0][channel % 2]
}

/// Whether they are the same number, within what a power may be off; both may be none.
fn near(got: f32, want: f32) -> bool {
    got.to_bits() == want.to_bits() || (got.is_nan() && want.is_nan()) || (got - want).abs() <= 4e-6 * want.abs() + 1e-37
}

#[test]
#[ignore = "run by the tests of this file, in a process of its own"]
fn child_values() {
    let network = tiny("tiny-values");
    let (mut cpu, mut gpu) = (CpuEngine::load(&network).unwrap(), CudaEngine::load(&network, Precision::Full).unwrap());
    assert!(gpu.on_cpu().next().is_none(), "all of it has kernels");
    let frame = numbers();
    let order = StepRequest { rule: network.manifest.rule(), limit: 64, deadline: None };
    let engines: [(&str, &mut dyn Engine); 2] = [("the CPU", &mut cpu), ("the GPU", &mut gpu)];
    for (name, engine) in engines {
        engine.input().copy_from_slice(&frame);
        engine.encode().unwrap();
        engine.advance(&order).unwrap();
        let answers = engine.readout().unwrap();
        for (place, &got) in answers.iter().enumerate() {
            let (channel, at) = (place / PIXELS, place % PIXELS);
            let want = wanted(&frame, channel, at);
            let same = if channel < 3 { got.to_bits() == want.to_bits() || (got.is_nan() && want.is_nan()) } else { near(got, want) };
            let of = [frame[at], frame[PIXELS + at], frame[2 * PIXELS + at]];
            assert!(same, "{name}'s channel {channel} differs at {at}, of {of:?}: {got}, not {want}");
        }
    }
}

#[test]
fn logarithms_rounding_and_powers_of_any_number_are_those_of_the_standard_library() {
    for mma_path in [80, 0] {
        let Some(folder) = standin::folder(Build { mma_path, sanitized: false }) else { return };
        standin::run(&folder, "elementwise::child_values", &[("STANDIN_ORDER", "1")]);
    }
}
