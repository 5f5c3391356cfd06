//! `recslowfast eval`: halting rules side by side, accuracy beside speed, on the same videos in one run.

mod plot;
mod score;
mod videos;

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args as ClapArgs;
use serde::Serialize;

use super::progress;
use crate::capture::fit::Mode;
use crate::engine::cpu::threads::Threads;
use crate::engine::{self, Choice};
use crate::frame::Frame;
use crate::network::Network;
use crate::network::halting::{Base, RuleName};
use crate::network::load::DEFAULT;
use crate::outcome::MAX_STEPS;
use crate::service::exit::{Cause, Failure};
use crate::service::pipeline::Pipeline;
use score::Scores;
use videos::{Clip, Videos};

/// What to compare, on what.
#[derive(ClapArgs)]
pub struct Args {
    /// A built-in network, or a folder with model.toml and its graphs
    #[arg(long, default_value = DEFAULT, value_name = "NAME|DIR")]
    model: String,
    /// pathfinder:easy?seed=11 (hard, and &size=PX) or a folder in Temporal Pathfinder's public layout
    #[arg(long, default_value = "pathfinder:easy?seed=11", value_name = "URI")]
    source: String,
    /// How many videos
    #[arg(long, default_value_t = 50)]
    videos: u64,
    /// Frames per video
    #[arg(long, default_value_t = 6)]
    frames: u32,
    /// A halting rule; give it once per row. Without it: fixed:6, slow-fast:6,1 and the model's own
    #[arg(long, value_name = "RULE")]
    halt: Vec<RuleName>,
    /// Start every frame from a cleared state: what each frame scores on its own
    #[arg(long)]
    cold: bool,
    /// auto, cuda or cpu
    #[arg(long, default_value = "auto")]
    engine: Choice,
    /// Threads of the CPU engine [default: one on every usable processor]
    #[arg(long, value_name = "N")]
    threads: Option<Threads>,
    /// Write the table, and IoU by frame number, as JSON
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Draw IoU over frames per second as SVG
    #[arg(long, value_name = "FILE")]
    plot: Option<PathBuf>,
    /// Write what was decided, to compare machines: per rule and frame a byte of steps, then a byte of class per pixel
    #[arg(long, value_name = "FILE", hide = true)]
    masks: Option<PathBuf>,
}

/// One rule's figures.
#[derive(Serialize)]
struct Row {
    rule: String,
    mean_steps: f64,
    iou: f64,
    f1: f64,
    precision: f64,
    recall: f64,
    ms_per_frame: f64,
    frames_per_s: f64,
    /// Frames per second over those of the first row.
    ratio: f64,
    iou_by_frame: Vec<f64>,
}

#[derive(Serialize)]
struct Table<'a> {
    model: &'a str,
    version: &'a str,
    engine: &'a str,
    source: &'a str,
    videos: u64,
    frames: u32,
    rows: Vec<Row>,
}

struct Lane {
    rule: RuleName,
    pipeline: Pipeline,
    scores: Scores,
    steps: u64,
    busy: Duration,
}

/// Runs the verb.
pub fn run(args: Args) -> Result<(), Failure> {
    let network = Network::load(&args.model)?;
    let source = Videos::open(&args.source, network.manifest.input.width, args.frames)?;
    let count = source.count().map_or(args.videos, |there| there.min(args.videos));
    // Opened before the work, so that an unwritable file costs no evaluation.
    let mut masks = args.masks.as_ref().map(|_| Vec::new());
    let (json, plot) = (create(args.json.as_deref())?, create(args.plot.as_deref())?);
    let rules = if args.halt.is_empty() {
        vec![RuleName::plain(Base::Fixed(6)), RuleName::plain(Base::SlowFast(6, 1)), RuleName::MODEL]
    } else {
        args.halt.clone()
    };
    let mut lanes = Vec::new();
    for &rule in &rules {
        let engine = engine::open(args.engine, &network, args.threads.unwrap_or_default())?;
        let pipeline = Pipeline::new(&network, engine, network.manifest.rule_named(rule), Mode::Stretch, false);
        lanes.push(Lane { rule, pipeline, scores: Scores::new(args.frames as usize), steps: 0, busy: Duration::ZERO });
    }
    let engine = lanes[0].pipeline.engine();
    let bar = progress::bar(count, "videos");
    for index in 0..count {
        let clip = source.clip(index)?;
        for lane in &mut lanes {
            lane.watch(&clip, args.cold, index > 0 || count == 1, masks.as_mut())?;
        }
        bar.inc(1);
    }
    bar.finish_and_clear();
    let timed = if count == 1 { 1 } else { count - 1 } * u64::from(args.frames);
    let rows = rows(&lanes, timed);
    print(&rows);
    if let Some(mut file) = plot {
        let title = format!("{} on {}, {count} videos of {} frames, {engine}", network.manifest.name, args.source, args.frames);
        file.write_all(plot::svg(&rows, &title).as_bytes()).map_err(|error| Failure::new(Cause::Output, error))?;
    }
    if let (Some(path), Some(masks)) = (&args.masks, &masks) {
        std::fs::write(path, masks).map_err(|error| Failure::new(Cause::Output, format!("cannot write {}: {error}", path.display())))?;
    }
    if let Some(file) = json {
        let table = Table {
            model: &network.manifest.name,
            version: &network.manifest.version,
            engine,
            source: &args.source,
            videos: count,
            frames: args.frames,
            rows,
        };
        serde_json::to_writer_pretty(file, &table).map_err(|error| Failure::new(Cause::Output, error))?;
    }
    Ok(())
}

fn create(path: Option<&Path>) -> Result<Option<File>, Failure> {
    let create =
        |path: &Path| File::create(path).map_err(|error| Failure::new(Cause::Output, format!("cannot write {}: {error}", path.display())));
    path.map(create).transpose()
}

impl Lane {
    /// Watches one video from a cleared state (`cold`: cleared before every frame); the first video of a run only warms up the clock (`timed` false).
    fn watch(&mut self, clip: &Clip, cold: bool, timed: bool, mut masks: Option<&mut Vec<u8>>) -> Result<(), Failure> {
        for (at, (luma, mask)) in clip.frames.iter().zip(&clip.masks).enumerate() {
            let frame = Frame {
                width: clip.width,
                height: clip.height,
                stride: clip.width,
                data: luma.clone().into(),
                sequence: at as u64,
                captured: crate::clock::now(),
                cut: at == 0 || cold,
                ..Frame::default()
            };
            let answer = self.pipeline.answer(&frame, MAX_STEPS as u32, None).map_err(|error| Failure::new(Cause::Engine, error))?;
            self.steps += u64::from(answer.trace.steps);
            if timed {
                self.busy += answer.stages.total();
            }
            if let Some(masks) = &mut masks {
                masks.push(answer.trace.steps as u8);
                masks.extend(&self.pipeline.mask().classes);
            }
            self.scores.add(at, &self.pipeline.mask().classes, mask);
        }
        Ok(())
    }
}

fn rows(lanes: &[Lane], timed: u64) -> Vec<Row> {
    let per_frame = |lane: &Lane| lane.busy.as_secs_f64() / timed as f64;
    let row = |lane: &Lane| {
        let mean = lane.scores.mean();
        Row {
            rule: lane.rule.to_string(),
            mean_steps: lane.steps as f64 / lane.scores.frames() as f64,
            iou: mean.iou,
            f1: mean.f1,
            precision: mean.precision,
            recall: mean.recall,
            ms_per_frame: per_frame(lane) * 1e3,
            frames_per_s: 1.0 / per_frame(lane),
            ratio: per_frame(&lanes[0]) / per_frame(lane),
            iou_by_frame: lane.scores.iou_by_frame(),
        }
    };
    lanes.iter().map(row).collect()
}

fn print(rows: &[Row]) {
    println!(
        "{:<20} {:>6} {:>7} {:>7} {:>9} {:>7} {:>9} {:>9} {:>6}",
        "rule", "steps", "IoU", "F1", "precision", "recall", "ms/frame", "frames/s", "ratio"
    );
    for row in rows {
        println!(
            "{:<20} {:>6.2} {:>7.4} {:>7.4} {:>9.4} {:>7.4} {:>9.2} {:>9.1} {:>6.2}",
            row.rule, row.mean_steps, row.iou, row.f1, row.precision, row.recall, row.ms_per_frame, row.frames_per_s, row.ratio
        );
    }
}
