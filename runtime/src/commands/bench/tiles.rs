//! What only what moved costs: the same frames by tiles and densely, in turn, for scenes of which ever more moves.

use serde::Serialize;

use crate::acceptance::Acceptance;
use crate::commands::out::say;
use crate::commands::stopwatch::Time;
use crate::engine::cpu::simd::Isa;
use crate::engine::cpu::tiles::Settings;
use crate::engine::cpu::{CpuEngine, Options};
use crate::network::Network;
use crate::network::engine::{Engine, StepRequest};
use crate::network::halting::HaltingRule;
use crate::outcome::{MAX_STEPS, StepTrace};
use crate::service::exit::Failure;

/// Scenes by the share of the picture that walks through it.
const SCENES: [(&str, f32); 6] =
    [("stands still", 0.0), ("1 % walks", 0.01), ("5 % walks", 0.05), ("15 % walks", 0.15), ("40 % walks", 0.4), ("the camera moves", 1.0)];
/// Noise of every pixel, in grey levels (standard deviation).
const NOISE: f32 = 3.0;
/// Frames in which noise is learned, and which are not measured.
const BEFORE: usize = 6;

/// One scene of one network; times in milliseconds, medians of a frame's processor time.
#[derive(Serialize)]
pub struct Row {
    pub network: String,
    pub scene: &'static str,
    /// Share of the picture that moved, share of the network that a step computed, and steps of the whole network a frame.
    pub moved: f64,
    pub stepped: f64,
    pub work_steps: f64,
    /// Steps a frame of the dense run under the same rule.
    pub dense_steps: f64,
    /// Deciding what moved, which is part of encoding.
    pub decide_ms: f64,
    pub encode_ms: f64,
    pub steps_ms: f64,
    pub readout_ms: f64,
    pub frame_ms: f64,
    pub dense_ms: f64,
    /// Dense over by tiles.
    pub ratio: f64,
}

/// Stages of one frame.
struct Took {
    stages: [Time; 3],
    trace: StepTrace,
}

/// A row for each scene; none, and why in words, where the network is not local.
pub fn measure(network: &Network, settings: Settings, threads: usize, isa: Isa, repeats: usize) -> Result<Vec<Row>, Failure> {
    let options = |tiles| Options { threads, isa, plain: false, tiles };
    let mut rows = Vec::new();
    let mut tiled = CpuEngine::with(network, options(Some(settings)))?;
    if let Some(reason) = tiled.not_tiled() {
        say!("{:<18} is not local and is always computed as a whole: {reason}", network.manifest.name)?;
        return Ok(rows);
    }
    let mut dense = CpuEngine::with(network, options(None))?;
    let rule = network.manifest.rule();
    for (scene, share) in SCENES {
        tiled.reset();
        dense.reset();
        let levels: Vec<f32> = network.manifest.input.std.iter().map(|std| 255.0 * std).collect();
        let shape = network.encoder.input_shape(0);
        let mut acceptance = Acceptance::new(settings.acceptance, shape[1], [shape[2], shape[3]], &levels);
        let (mut by_tiles, mut whole, mut decided) = (Vec::new(), Vec::new(), Vec::new());
        for at in 0..BEFORE + repeats {
            let frame = picture(network, share, at);
            let began = Time::now();
            acceptance.look(&frame);
            decided.push(began.since());
            by_tiles.push(took(&mut tiled, &frame, rule)?);
            whole.push(took(&mut dense, &frame, rule)?);
        }
        let (by_tiles, whole) = (&by_tiles[BEFORE..], &whole[BEFORE..]);
        let mean =
            |of: fn(&StepTrace) -> f32, all: &[Took]| all.iter().map(|took| f64::from(of(&took.trace))).sum::<f64>() / all.len() as f64;
        let stage = |stage: usize| median(by_tiles.iter().map(|took| cpu(&took.stages[stage])));
        let frame = |all: &[Took]| median(all.iter().map(|took| took.stages.iter().map(cpu).sum()));
        let (frame_ms, dense_ms) = (frame(by_tiles), frame(whole));
        rows.push(Row {
            network: network.manifest.name.clone(),
            scene,
            moved: mean(|trace| trace.moved, by_tiles),
            stepped: mean(|trace| if trace.steps == 0 { 0.0 } else { trace.stepped }, by_tiles),
            work_steps: mean(StepTrace::work, by_tiles),
            dense_steps: mean(StepTrace::work, whole),
            decide_ms: median(decided[BEFORE..].iter().map(cpu)),
            encode_ms: stage(0),
            steps_ms: stage(1),
            readout_ms: stage(2),
            frame_ms,
            dense_ms,
            ratio: dense_ms / frame_ms,
        });
    }
    Ok(rows)
}

/// Prints a network's rows under a head of their own.
pub fn print(rows: &[Row]) -> Result<(), Failure> {
    let Some(first) = rows.first() else { return Ok(()) };
    say!("{}: only what moved, beside the dense run of the same rule; processor time in ms, medians", first.network)?;
    say!(
        "{:<18} {:>6} {:>7} {:>6} {:>6} | {:>7} {:>7} {:>7} {:>7} {:>7} | {:>7} {:>6}",
        "scene",
        "moved",
        "stepped",
        "work",
        "dense",
        "decide",
        "encode",
        "steps",
        "readout",
        "frame",
        "dense",
        "ratio"
    )?;
    for row in rows {
        say!(
            "{:<18} {:>6.3} {:>7.3} {:>6.2} {:>6.2} | {:>7.3} {:>7.3} {:>7.3} {:>7.3} {:>7.3} | {:>7.3} {:>6.2}",
            row.scene,
            row.moved,
            row.stepped,
            row.work_steps,
            row.dense_steps,
            row.decide_ms,
            row.encode_ms,
            row.steps_ms,
            row.readout_ms,
            row.frame_ms,
            row.dense_ms,
            row.ratio
        )?;
    }
    Ok(())
}

fn took(engine: &mut CpuEngine, frame: &[f32], rule: HaltingRule) -> Result<Took, Failure> {
    engine.input().copy_from_slice(frame);
    let began = Time::now();
    engine.encode()?;
    let encode = began.since();
    let began = Time::now();
    let trace = engine.advance(&StepRequest { rule, limit: MAX_STEPS as u32, deadline: None })?;
    let steps = began.since();
    let began = Time::now();
    engine.readout()?;
    Ok(Took { stages: [encode, steps, began.since()], trace })
}

fn cpu(time: &Time) -> f64 {
    time.cpu.as_secs_f64() * 1e3
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_unstable_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

/// A street of blocks with noise, through which a box of this `share` of the picture walks by four pixels a frame; with 1 all of it moves.
fn picture(network: &Network, share: f32, at: usize) -> Vec<f32> {
    let input = &network.manifest.input;
    let (h, w) = (input.height as usize, input.width as usize);
    let camera = if share >= 1.0 { 4 * at } else { 0 };
    // Twice as high as wide, but no higher than the picture.
    let high = ((2.0 * share * (h * w) as f32).sqrt() as usize).min(h * 9 / 10);
    let wide = if share >= 1.0 { 0 } else { (share * (h * w) as f32 / high.max(1) as f32) as usize };
    let (left, top) = ((4 * at) % (w - wide).max(1), (h - high) / 2);
    let mut random = 0x9e37_79b9_7f4a_7c15u64.wrapping_add(at as u64 * 0x1234_5677);
    let mut noise = || {
        // The sum of four evenly distributed numbers is nearly normal, with a standard deviation of 0.577.
        let sum: f32 = (0..4)
            .map(|_| {
                random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                (random >> 40) as f32 / (1u64 << 24) as f32 - 0.5
            })
            .sum();
        NOISE * sum / 0.577
    };
    let of = |values: &[f32], channel: usize| values[channel.min(values.len() - 1)];
    let mut frame = Vec::with_capacity(input.channels as usize * h * w);
    for channel in 0..input.channels as usize {
        for y in 0..h {
            for x in 0..w {
                let inside = (left..left + wide).contains(&x) && (top..top + high).contains(&y);
                let (u, v) = if inside { (x - left, y - top) } else { (x + camera, y) };
                let block = (u / 11 * 7919 + v / 9 * 104_729 + usize::from(inside) * 31) % 97;
                let level = (if inside { 30.0 } else { 90.0 } + block as f32 + noise()).round().clamp(0.0, 255.0);
                frame.push((level / 255.0 - of(&input.mean, channel)) / of(&input.std, channel));
            }
        }
    }
    frame
}
