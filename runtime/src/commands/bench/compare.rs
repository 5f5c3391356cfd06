//! Both sides on the same frames, and what came of it.

use std::time::Duration;

use serde::Serialize;

use super::Side;
use super::engine::OwnEngine;
use crate::commands::out::say;
use crate::commands::stopwatch::Time;
use crate::network::Network;
use crate::network::graph::Graph;
use crate::service::exit::Failure;

/// Between two sides: ONNX Runtime's threads spin for some twenty milliseconds after an answer, and keep the other side's from running.
const REST: Duration = Duration::from_millis(100);

/// What one side took for one graph, in milliseconds.
#[derive(Serialize)]
pub struct Took {
    /// By the wall clock, the median run.
    pub median_ms: f64,
    /// By the wall clock, the slowest but for one in twenty.
    pub p95_ms: f64,
    /// Of all threads' processor time, the median run.
    pub cpu_ms: f64,
}

/// The other side.
#[derive(Serialize)]
pub struct Peer {
    /// With its version.
    pub name: String,
    /// Its times.
    pub took: Took,
}

/// One graph of one network, measured.
#[derive(Serialize)]
pub struct Row {
    /// The network's name.
    pub network: String,
    /// `encoder`, `step` or `readout`.
    pub graph: &'static str,
    /// Threads of each side.
    pub threads: usize,
    /// This engine's times.
    pub ours: Took,
    /// GFLOP/s of the direct form, by the wall clock.
    pub gflops: f64,
    /// What it was compared with.
    pub peer: Option<Peer>,
    /// The largest difference of any logit over all frames, in parts of the largest logit.
    pub logits_apart: f32,
    /// The part of pixels with the same mask.
    pub masks_agree: f64,
}

/// Times of one graph.
#[derive(Default)]
struct Times(Vec<Time>);

impl Times {
    fn took(&self) -> Took {
        let wall = |time: &Time| time.wall;
        Took { median_ms: self.at(wall, 50), p95_ms: self.at(wall, 95), cpu_ms: self.at(|time| time.cpu, 50) }
    }

    fn at(&self, of: fn(&Time) -> Duration, percent: usize) -> f64 {
        let mut sorted: Vec<_> = self.0.iter().map(of).collect();
        sorted.sort_unstable();
        sorted.get((sorted.len() * percent / 100).min(sorted.len().saturating_sub(1))).map_or(f64::NAN, |time| time.as_secs_f64() * 1e3)
    }
}

/// Answers the same frames with both sides, one after the other; a row for each graph.
pub fn compare(
    network: &Network,
    threads: usize,
    ours: &mut OwnEngine,
    mut theirs: Option<Box<dyn Side>>,
    repeats: usize,
) -> Result<Vec<Row>, Failure> {
    let mut times: [[Times; 3]; 2] = Default::default();
    let (mut mine, mut peer) = (Vec::new(), Vec::new());
    let (mut worst, mut differing, mut pixels) = (0f32, 0usize, 0usize);
    for at in 0..repeats + 1 {
        let frame: Vec<f32> = picture(&network.encoder.input_shape(0), at);
        let mut sides: Vec<(&mut dyn Side, &mut Vec<f32>)> = vec![(&mut *ours, &mut mine)];
        if let Some(theirs) = &mut theirs {
            sides.push((&mut **theirs, &mut peer));
        }
        let mut row: Vec<[Time; 3]> = vec![[Time::default(); 3]; sides.len()];
        let alone = sides.len() == 1;
        for ((side, logits), row) in sides.iter_mut().zip(&mut row) {
            side.input(&frame)?;
            if !alone {
                std::thread::sleep(REST);
            }
            row[0] = side.encode()?;
            if network.step.is_some() {
                row[1] = side.step()?;
            }
            row[2] = side.readout(logits)?;
        }
        drop(sides);
        // The first run finds memory, pages and clocks cold.
        if at > 0 {
            for (times, row) in times.iter_mut().zip(row) {
                times.iter_mut().zip(row).for_each(|(times, time)| times.0.push(time));
            }
        }
        if theirs.is_some() {
            let scale = peer.iter().fold(f32::MIN_POSITIVE, |most, x| most.max(x.abs()));
            worst = mine.iter().zip(&peer).fold(worst, |most, (a, b)| most.max((a - b).abs() / scale));
            // What several outputs say, such as boxes, is compared number by number: on which side of zero it lies.
            let classes = if network.readout.outputs.len() == 1 { network.manifest.task.classes.len().max(1) } else { 1 };
            let plane = mine.len() / classes;
            let class = |logits: &[f32], i: usize| match classes {
                1 => usize::from(logits[i] > 0.0),
                _ => (1..classes).fold(0, |best, c| if logits[c * plane + i] > logits[best * plane + i] { c } else { best }),
            };
            differing += (0..plane).filter(|&i| class(&mine, i) != class(&peer, i)).count();
            pixels += plane;
        }
    }
    let name = theirs.map(|theirs| theirs.name());
    let graphs = [Some(&network.encoder), network.step.as_ref(), Some(&network.readout)];
    let row = |(at, graph): (usize, Option<&Graph>)| {
        let (graph, ours) = (graph?, times[0][at].took());
        Some(Row {
            network: network.manifest.name.clone(),
            graph: graph.file.trim_end_matches(".onnx"),
            threads,
            gflops: 2.0 * graph.macs() as f64 / ours.median_ms / 1e6,
            ours,
            peer: name.clone().map(|name| Peer { name, took: times[1][at].took() }),
            logits_apart: worst,
            masks_agree: 1.0 - differing as f64 / pixels.max(1) as f64,
        })
    };
    Ok(graphs.into_iter().enumerate().filter_map(row).collect())
}

/// Prints a network's rows, and how far its answers are apart.
pub fn print(rows: &[Row]) -> Result<(), Failure> {
    for row in rows {
        let Took { median_ms, p95_ms, cpu_ms } = row.ours;
        let ours = format!("{:<18} {:<8} {median_ms:>8.3} {p95_ms:>8.3} {cpu_ms:>8.3} {:>8.1}", row.network, row.graph, row.gflops);
        match &row.peer {
            None => say!("{ours}")?,
            Some(Peer { took, .. }) => say!(
                "{ours} | {:>8.3} {:>8.3} {:>8.3} | {:>6.1} {:>6.1}",
                took.median_ms,
                took.p95_ms,
                took.cpu_ms,
                took.median_ms / median_ms,
                took.cpu_ms / cpu_ms
            )?,
        }
    }
    if let Some(Row { peer: Some(peer), logits_apart, masks_agree, .. }) = rows.first() {
        say!(
            "{:<18} logits differ from {} by at most {logits_apart:.1e} of the largest; masks agree on {:.4} % of pixels",
            "",
            peer.name,
            100.0 * masks_agree
        )?;
    }
    Ok(())
}

/// A frame that moves a little from one to the next: bright bars on a dark ground, and noise, all from `at`.
fn picture(shape: &[usize], at: usize) -> Vec<f32> {
    let (h, w) = (shape[2], shape[3]);
    let mut state = 0x9e37_79b9u32.wrapping_add(at as u32);
    let mut frame = Vec::with_capacity(shape.iter().product());
    for i in 0..shape.iter().product::<usize>() {
        let (y, x) = (i / w % h, i % w);
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let bar = (x + 2 * y + at) % 37 < 3 || (2 * x + y + 61 - at % 61) % 61 < 3;
        frame.push(if bar { 0.9 } else { 0.1 } + (state >> 24) as f32 / 2560.0);
    }
    frame
}
