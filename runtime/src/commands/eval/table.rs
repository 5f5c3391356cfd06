//! What an evaluation found: rows, and how they are printed, written and drawn.

use std::fmt::Write;

use serde::Serialize;

use super::lane::Lane;
use super::score::Scores;
use crate::commands::plot::{Plot, Point, Series};
use crate::network::Network;

/// A network.
#[derive(Serialize)]
pub struct Model {
    pub name: String,
    pub version: String,
    pub parameters: usize,
    /// Multiply-accumulates of everything but the steps, and of one step.
    pub macs_frame: u64,
    pub macs_step: u64,
    /// Whether it carries a state, so that there is something to halt.
    pub recurrent: bool,
}

impl Model {
    pub fn of(network: &Network) -> Model {
        Model {
            name: network.manifest.name.clone(),
            version: network.manifest.version.clone(),
            parameters: network.parameters(),
            macs_frame: network.encoder.macs() + network.readout.macs(),
            macs_step: network.step.as_ref().map_or(0, |step| step.macs()),
            recurrent: network.step.is_some(),
        }
    }
}

/// Milliseconds a frame, by stage.
#[derive(Serialize)]
pub struct StagesMs {
    pub fit: f64,
    pub encode: f64,
    pub steps: f64,
    pub readout: f64,
}

/// One network under one rule.
#[derive(Serialize)]
pub struct Row {
    pub model: String,
    pub rule: String,
    pub mean_steps: f64,
    /// Share of the picture that moved, share of the network that a step computed, and steps of the whole network a frame: less than 1, 1 and
    /// `mean_steps` where only what moved is computed.
    pub moved: f64,
    pub stepped: f64,
    pub work_steps: f64,
    pub iou: f64,
    pub f1: f64,
    pub precision: f64,
    pub recall: f64,
    /// Points of IoU lost against the network's first row, and the standard error of that over videos.
    pub loss_points: f64,
    pub loss_error: Option<f64>,
    pub ms_per_frame: f64,
    pub frames_per_s: f64,
    /// Frames per second over those of the network's first row, by wall clock and by processor time.
    pub ratio: f64,
    pub cpu_ms_per_frame: f64,
    pub cpu_ratio: f64,
    pub stages_ms: StagesMs,
    /// Share of the frames that took 0, 1, 2, ... steps.
    pub steps_share: Vec<f64>,
    pub iou_by_frame: Vec<f64>,
    /// IoU of the frame at a cut and of those after it.
    pub iou_after_cut: Vec<f64>,
}

impl Row {
    /// What `lane` did, beside `first`, the same network's first lane.
    pub fn of(model: &Model, rule: String, lane: &Lane, first: &Lane) -> Row {
        let mean = lane.scores.mean();
        let (loss, error) = lane.scores.loss(&first.scores);
        let (wall, cpu) = (lane.ms(lane.time.wall), lane.ms(lane.time.cpu));
        let frames = lane.scores.frames().max(1) as f64;
        let most = lane.histogram.iter().rposition(|count| *count > 0).map_or(0, |at| at + 1);
        let parts = lane.parts.mean(lane.scores.frames());
        Row {
            model: model.name.clone(),
            rule,
            mean_steps: lane.mean_steps(),
            moved: parts.moved,
            stepped: stepped(parts.work, lane.mean_steps()),
            work_steps: parts.work,
            iou: mean.iou,
            f1: mean.f1,
            precision: mean.precision,
            recall: mean.recall,
            loss_points: 100.0 * loss,
            loss_error: Some(100.0 * error).filter(|error| error.is_finite()),
            ms_per_frame: wall,
            frames_per_s: 1e3 / wall,
            ratio: first.ms(first.time.wall) / wall,
            cpu_ms_per_frame: cpu,
            cpu_ratio: first.ms(first.time.cpu) / cpu,
            stages_ms: StagesMs {
                fit: lane.ms(lane.stages.fit),
                encode: lane.ms(lane.stages.encode),
                steps: lane.ms(lane.stages.steps),
                readout: lane.ms(lane.stages.readout),
            },
            steps_share: lane.histogram[..most].iter().map(|count| *count as f64 / frames).collect(),
            iou_by_frame: lane.scores.iou_by_frame(),
            iou_after_cut: lane.scores.after_cut().into_iter().map(|(iou, _)| iou).collect(),
        }
    }
}

/// The share of the network that each of a frame's `steps` computed, on average, where that was the work of `work` whole ones.
pub fn stepped(work: f64, steps: f64) -> f64 {
    if steps > 0.0 { work / steps } else { 1.0 }
}

/// Everything, for the JSON file.
#[derive(Serialize)]
pub struct Table<'a> {
    pub models: Vec<Model>,
    pub engine: &'a str,
    pub source: &'a str,
    pub videos: u64,
    pub frames: u32,
    /// Whether the runtime was told of cuts inside a video.
    pub told_of_cuts: bool,
    pub rows: Vec<Row>,
    pub after_cut: Vec<Recovery>,
    pub stability: Vec<super::stability::Stability>,
}

/// How a network finds its feet after a cut: IoU of `fixed:6` from a cleared state on the same frames, to hold the rows' `iou_after_cut` against.
#[derive(Serialize)]
pub struct Recovery {
    pub model: String,
    pub cuts: u64,
    pub cold_fixed_6: Vec<f64>,
}

impl Recovery {
    pub fn of(model: &Model, cold: &Scores) -> Recovery {
        let after = cold.after_cut();
        Recovery {
            model: model.name.clone(),
            cuts: after.first().map_or(0, |(_, count)| *count),
            cold_fixed_6: after.into_iter().map(|(iou, _)| iou).collect(),
        }
    }

    /// The first frame after the cut from which on, for three frames, the mean IoU is no more than 2 points below `fixed:6` from a cleared state.
    pub fn frames_to_regain(&self, row: &Row) -> Option<usize> {
        let behind: Vec<bool> = self.cold_fixed_6.iter().zip(&row.iou_after_cut).map(|(cold, own)| cold - own > 0.02).collect();
        behind.windows(3).position(|three| three.iter().all(|behind| !behind))
    }
}

/// How wide the column of networks has to be; 0 where there is but one.
fn width(rows: &[Row]) -> usize {
    let several = rows.iter().any(|row| row.model != rows[0].model);
    if several { rows.iter().map(|row| row.model.len() + 2).max().unwrap_or(0) } else { 0 }
}

fn model(row: &Row, width: usize) -> String {
    if width == 0 { String::new() } else { format!("{:<width$}", row.model) }
}

/// The table of rows, for people.
pub fn text(rows: &[Row]) -> String {
    let wide = width(rows);
    let rule = rows.iter().map(|row| row.rule.len()).max().unwrap_or(0).max(20);
    let mut out = String::new();
    let tiles = rows.iter().any(|row| row.moved < 1.0);
    let parts = |row: &Row| if tiles { format!(" {:>6.3} {:>7.3} {:>6.2}", row.moved, row.stepped, row.work_steps) } else { String::new() };
    let mut line = |text: String| writeln!(out, "{text}").expect("writing to a string cannot fail");
    line(format!(
        "{:<wide$}{:<rule$} {:>6}{} {:>7} {:>7} {:>9} {:>7} {:>9} {:>9} {:>6} {:>6} {:>13}",
        if wide == 0 { "" } else { "network" },
        "rule",
        "steps",
        if tiles { "  moved stepped   work" } else { "" },
        "IoU",
        "F1",
        "precision",
        "recall",
        "ms/frame",
        "frames/s",
        "ratio",
        "cpu x",
        "loss, points"
    ));
    for row in rows {
        let error = row.loss_error.map_or(String::new(), |error| format!("±{error:.2}"));
        line(format!(
            "{}{:<rule$} {:>6.2}{} {:>7.4} {:>7.4} {:>9.4} {:>7.4} {:>9.2} {:>9.1} {:>6.2} {:>6.2} {:>7.2} {error:<5}",
            model(row, wide),
            row.rule,
            row.mean_steps,
            parts(row),
            row.iou,
            row.f1,
            row.precision,
            row.recall,
            row.ms_per_frame,
            row.frames_per_s,
            row.ratio,
            row.cpu_ratio,
            row.loss_points
        ));
    }
    out
}

/// Frames after a cut that are printed.
const SHOWN: [usize; 8] = [0, 1, 2, 3, 5, 7, 10, 15];

/// IoU after a cut beside `fixed:6` from a cleared state.
pub fn recovery_text(rows: &[Row], recoveries: &[Recovery]) -> String {
    let wide = width(rows);
    let name = rows.iter().map(|row| row.rule.len()).max().unwrap_or(0).max(20);
    let mut out = String::new();
    for recovery in recoveries.iter().filter(|recovery| recovery.cuts > 0) {
        let shown = || SHOWN.iter().filter(|at| **at < recovery.cold_fixed_6.len());
        let figures =
            |values: &[f64]| shown().map(|&at| values.get(at).map_or(String::new(), |iou| format!(" {iou:>7.4}"))).collect::<String>();
        let mut line = |model: &str, what: &str, figures: String, regained: String| {
            writeln!(out, "{model:<wide$}{what:<name$}{figures} {regained:>9}").expect("writing to a string cannot fail");
        };
        let title = format!("IoU after {} cuts", recovery.cuts);
        line(
            if wide == 0 { "" } else { &recovery.model },
            &title,
            shown().map(|at| format!(" {:>7}", format!("+{at}"))).collect(),
            "regained".into(),
        );
        line("", "fixed:6, cleared", figures(&recovery.cold_fixed_6), String::new());
        for row in rows.iter().filter(|row| row.model == recovery.model) {
            let regained = recovery.frames_to_regain(row).map_or("later".into(), |at| format!("+{at}"));
            line("", &row.rule, figures(&row.iou_after_cut), regained);
        }
    }
    out
}

/// What stepping costs beside the rest, and so how much a rule can win at all.
pub fn ceiling_text(models: &[Model], lanes: &[(usize, &Lane)]) -> String {
    let mut out = String::new();
    for (at, model) in models.iter().enumerate().filter(|(_, model)| model.recurrent) {
        let own = || lanes.iter().filter(move |(of, _)| *of == at).map(|(_, lane)| *lane);
        let seconds = |pick: fn(&Lane) -> f64| own().map(pick).sum::<f64>();
        let (stepping, steps) = (seconds(|lane| lane.stages.steps.as_secs_f64()), seconds(|lane| lane.timed_steps as f64));
        let (whole, frames) = (seconds(|lane| lane.time.wall.as_secs_f64()), seconds(|lane| lane.timed as f64));
        out += &ceiling(&model.name, stepping, steps, whole, frames);
    }
    out
}

/// One network's line of it, from seconds spent stepping, steps, seconds spent at all, and frames.
pub fn ceiling(name: &str, stepping: f64, steps: f64, whole: f64, frames: f64) -> String {
    let (step, rest) = (1e3 * stepping / steps, 1e3 * (whole - stepping) / frames);
    format!(
        "{name}: a step takes {step:.2} ms, the rest of a frame {rest:.2} ms: one step a frame is {:.2}x fixed:6, six and then five times one {:.2}x\n",
        (rest + 6.0 * step) / (rest + step),
        (rest + 6.0 * step) / (rest + 11.0 / 6.0 * step),
    )
}

/// The table of rows, for spreadsheets.
pub fn csv(rows: &[Row]) -> String {
    let mut out = String::from(
        "model,rule,mean_steps,iou,f1,precision,recall,loss_points,loss_error,ms_per_frame,frames_per_s,ratio,cpu_ms_per_frame,cpu_ratio,moved,stepped,work_steps\n",
    );
    for row in rows {
        let error = row.loss_error.map_or(String::new(), |error| format!("{error:.3}"));
        writeln!(
            out,
            "{},\"{}\",{:.4},{:.5},{:.5},{:.5},{:.5},{:.3},{error},{:.4},{:.2},{:.3},{:.4},{:.3},{:.4},{:.4},{:.4}",
            row.model,
            row.rule,
            row.mean_steps,
            row.iou,
            row.f1,
            row.precision,
            row.recall,
            row.loss_points,
            row.ms_per_frame,
            row.frames_per_s,
            row.ratio,
            row.cpu_ms_per_frame,
            row.cpu_ratio,
            row.moved,
            row.stepped,
            row.work_steps
        )
        .expect("writing to a string cannot fail");
    }
    out
}

/// Accuracy over speed, a colour for each network.
pub fn plot(rows: &[Row], title: String, subtitle: String) -> Plot {
    let mut series: Vec<Series> = Vec::new();
    for row in rows {
        let point = Point {
            x: row.frames_per_s,
            y: row.iou,
            error: 0.0,
            // Its figures are in the table.
            label: row.rule.split(',').next().unwrap_or_default().replace("slow-fast:6", "slow-fast:6,1"),
        };
        match series.iter_mut().find(|series| series.name == row.model) {
            Some(series) => series.points.push(point),
            None => series.push(Series { name: row.model.clone(), points: vec![point], joined: false }),
        }
    }
    Plot { title, subtitle, axes: ["frames per second (more is better)".into(), "IoU (more is better)".into()], series }
}
