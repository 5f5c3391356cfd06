//! What an evaluation on labelled data found: for people, as JSON and as CSV.

use std::fmt::Write as _;
use std::fs::File;
use std::io::Write;
use std::path::Path;

use serde::Serialize;

use super::Samples;
use super::watch::{Measured, Watch};
use crate::commands::eval::measure::ClassPrecision;
use crate::commands::eval::table::{Model, StagesMs, ceiling, stepped};
use crate::commands::eval::{Args, create};
use crate::commands::out;
use crate::commands::plot::{Plot, Point, Series};
use crate::network::Network;
use crate::service::exit::{Cause, Failure};

/// Frames that are not timed at the beginning.
pub const COLD: usize = 3;

/// A row to be.
pub struct Entry {
    pub model: usize,
    pub rule: String,
    pub watch: Watch,
}

/// Files, opened before the work, so that an unwritable one costs no evaluation.
pub struct Outputs {
    json: Option<File>,
    csv: Option<File>,
    plots: Vec<File>,
}

impl Outputs {
    pub fn open(args: &Args) -> Result<Outputs, Failure> {
        let plots =
            args.plot.iter().map(|path| create(Some(path)).map(|file| file.expect("a path was given"))).collect::<Result<_, _>>()?;
        Ok(Outputs { json: create(args.json.as_deref())?, csv: create(args.csv.as_deref())?, plots })
    }
}

/// One network under one rule.
#[derive(Serialize)]
struct Row {
    model: String,
    rule: String,
    mean_steps: f64,
    /// Share of the picture that moved, share of the network that a step computed, and steps of the whole network a frame: less than
    /// `mean_steps` where only what moved is stepped.
    moved: f64,
    stepped: f64,
    work_steps: f64,
    #[serde(flatten)]
    figures: Scores,
    /// Points of the first figure lost against the network's first row.
    loss_points: f64,
    ms_per_frame: f64,
    frames_per_s: f64,
    /// Frames per second over those of the network's first row, by wall clock and by processor time.
    ratio: f64,
    cpu_ms_per_frame: f64,
    cpu_ratio: f64,
    stages_ms: StagesMs,
    /// Share of the frames that took 0, 1, 2, ... steps.
    steps_share: Vec<f64>,
}

/// What was measured; shares from 0 to 1, null where nothing was labelled.
#[derive(Serialize)]
#[serde(untagged)]
enum Scores {
    Boxes {
        ap50: Option<f64>,
        ap75: Option<f64>,
        ap: Option<f64>,
        ar: Option<f64>,
        #[serde(skip_serializing_if = "Option::is_none")]
        tracking: Option<Tracks>,
        #[serde(skip_serializing_if = "Option::is_none")]
        flicker: Option<f64>,
        classes: Vec<BoxClass>,
    },
    Pixels {
        miou: Option<f64>,
        pixel_accuracy: Option<f64>,
        flicker: f64,
        classes: Vec<PixelClass>,
    },
}

#[derive(Serialize)]
struct Tracks {
    mota: f64,
    idf1: f64,
    switches: u64,
    misses: u64,
    false_positives: u64,
}

#[derive(Serialize)]
struct BoxClass {
    name: String,
    labels: u64,
    ap50: Option<f64>,
    ap: Option<f64>,
    ar: Option<f64>,
}

#[derive(Serialize)]
struct PixelClass {
    name: String,
    iou: Option<f64>,
}

/// Everything, for the JSON file.
#[derive(Serialize)]
struct Table<'a> {
    models: &'a [Model],
    engine: &'a str,
    data: String,
    frames: usize,
    cold: bool,
    rows: &'a [Row],
}

fn known(x: f64) -> Option<f64> {
    x.is_finite().then_some(x)
}

impl Scores {
    fn of(measured: &Measured, classes: &[String], film: bool) -> Scores {
        match measured {
            Measured::Boxes { precision, tracking, flicker } => {
                let found = precision.summary();
                let tracking = tracking.as_ref().map(|tracking| tracking.summary()).map(|found| Tracks {
                    mota: found.mota,
                    idf1: found.idf1,
                    switches: found.switches,
                    misses: found.misses,
                    false_positives: found.false_positives,
                });
                let class = |(name, found): (&String, &ClassPrecision)| BoxClass {
                    name: name.clone(),
                    labels: found.labels,
                    ap50: known(found.ap50),
                    ap: known(found.ap),
                    ar: known(found.ar),
                };
                let by_class = classes.iter().zip(&found.by_class).map(class).collect();
                Scores::Boxes {
                    ap50: known(found.ap50),
                    ap75: known(found.ap75),
                    ap: known(found.ap),
                    ar: known(found.ar),
                    tracking,
                    flicker: film.then(|| flicker.share()),
                    classes: by_class,
                }
            }
            Measured::Pixels { pixels, flicker } => {
                let class = |(name, iou): (&String, f64)| PixelClass { name: name.clone(), iou: known(iou) };
                Scores::Pixels {
                    miou: known(pixels.mean_iou()),
                    pixel_accuracy: known(pixels.accuracy()),
                    flicker: flicker.share(),
                    classes: classes.iter().zip(pixels.iou()).map(class).collect(),
                }
            }
        }
    }

    /// Names and values in the order of the columns.
    fn columns(&self) -> Vec<(&'static str, f64)> {
        let value = |x: &Option<f64>| x.unwrap_or(f64::NAN);
        match self {
            Scores::Boxes { ap50, ap, ar, tracking, flicker, .. } => {
                let mut columns = vec![("AP50", value(ap50)), ("AP50-95", value(ap)), ("AR", value(ar))];
                columns.extend(tracking.iter().flat_map(|found| [("MOTA", found.mota), ("IDF1", found.idf1)]));
                columns.extend(flicker.map(|share| ("flicker", share)));
                columns
            }
            Scores::Pixels { miou, pixel_accuracy, flicker, .. } => {
                vec![("mIoU", value(miou)), ("pixels", value(pixel_accuracy)), ("flicker", *flicker)]
            }
        }
    }

    fn main(&self) -> (&'static str, f64) {
        self.columns()[0]
    }

    /// Names, what was labelled, and the main figure of each class.
    fn by_class(&self) -> Vec<(&str, Option<u64>, Option<f64>)> {
        match self {
            Scores::Boxes { classes, .. } => classes.iter().map(|class| (class.name.as_str(), Some(class.labels), class.ap50)).collect(),
            Scores::Pixels { classes, .. } => classes.iter().map(|class| (class.name.as_str(), None, class.iou)).collect(),
        }
    }
}

impl Row {
    fn of(entry: &Entry, first: &Entry, models: &[Model], classes: &[String], film: bool) -> Row {
        let watch = &entry.watch;
        let ms = |watch: &Watch, part: std::time::Duration| part.as_secs_f64() * 1e3 / watch.timed.max(1) as f64;
        let (wall, cpu) = (ms(watch, watch.time.wall), ms(watch, watch.time.cpu));
        let figures = Scores::of(&watch.measured, classes, film);
        let loss = Scores::of(&first.watch.measured, classes, film).main().1 - figures.main().1;
        let most = watch.histogram.iter().rposition(|count| *count > 0).map_or(0, |at| at + 1);
        Row {
            model: models[entry.model].name.clone(),
            rule: entry.rule.clone(),
            mean_steps: watch.mean_steps(),
            moved: watch.moved / watch.frames.max(1) as f64,
            stepped: stepped(watch.work, watch.steps as f64),
            work_steps: watch.work / watch.frames.max(1) as f64,
            figures,
            loss_points: 100.0 * loss,
            ms_per_frame: wall,
            frames_per_s: 1e3 / wall,
            ratio: ms(&first.watch, first.watch.time.wall) / wall,
            cpu_ms_per_frame: cpu,
            cpu_ratio: ms(&first.watch, first.watch.time.cpu) / cpu,
            stages_ms: StagesMs {
                fit: ms(watch, watch.stages.fit),
                encode: ms(watch, watch.stages.encode),
                steps: ms(watch, watch.stages.steps),
                readout: ms(watch, watch.stages.readout),
            },
            steps_share: watch.histogram[..most].iter().map(|count| *count as f64 / watch.frames.max(1) as f64).collect(),
        }
    }
}

/// Prints the tables and writes the files.
pub fn write(
    args: &Args,
    networks: &[Network],
    entries: &[Entry],
    samples: &dyn Samples,
    frames: usize,
    outputs: Outputs,
) -> Result<(), Failure> {
    let models: Vec<Model> = networks.iter().map(Model::of).collect();
    let classes = &networks[0].manifest.task.classes;
    let first = |model: usize| entries.iter().find(|entry| entry.model == model).expect("every network has a row");
    let rows: Vec<Row> = entries.iter().map(|entry| Row::of(entry, first(entry.model), &models, classes, samples.is_film())).collect();
    out::text(&format!("{}{}", text(&rows), class_text(&rows)))?;
    for (at, model) in models.iter().enumerate().filter(|(_, model)| model.recurrent) {
        let own = || entries.iter().filter(move |entry| entry.model == at).map(|entry| &entry.watch);
        let sum = |pick: fn(&Watch) -> f64| own().map(pick).sum::<f64>();
        out::text(&ceiling(
            &model.name,
            sum(|watch| watch.stages.steps.as_secs_f64()),
            sum(|watch| watch.mean_steps() * watch.timed as f64),
            sum(|watch| watch.time.wall.as_secs_f64()),
            sum(|watch| watch.timed as f64),
        ))?;
    }
    let data = args.labels.data.as_deref().unwrap_or(Path::new("")).display().to_string();
    let engine = entries[0].watch.engine();
    let failed = |error: std::io::Error| Failure::new(Cause::Output, error);
    for (path, mut file) in args.plot.iter().zip(outputs.plots) {
        let plot = plot(&rows, format!("{data}, {frames} frames, {engine}"));
        plot.write(path, &mut file).map_err(|error| Failure::new(Cause::Output, error))?;
    }
    if let Some(mut file) = outputs.csv {
        file.write_all(csv(&rows).as_bytes()).map_err(failed)?;
    }
    if let Some(file) = outputs.json {
        let table = Table { models: &models, engine, data, frames, cold: args.cold, rows: &rows };
        serde_json::to_writer_pretty(file, &table).map_err(|error| failed(error.into()))?;
    }
    Ok(())
}

fn figure(x: f64) -> String {
    if x.is_finite() { format!("{x:.4}") } else { "-".into() }
}

/// The table of rows, for people.
fn text(rows: &[Row]) -> String {
    let several = rows.iter().any(|row| row.model != rows[0].model);
    let wide = if several { rows.iter().map(|row| row.model.len() + 2).max().unwrap_or(0) } else { 0 };
    let rule = rows.iter().map(|row| row.rule.len()).max().unwrap_or(0).max(20);
    let mut out = String::new();
    let mut line = |text: String| writeln!(out, "{text}").expect("writing to a string cannot fail");
    let heads: String = rows[0].figures.columns().iter().map(|(name, _)| format!(" {name:>8}")).collect();
    let (network, points) = (if several { "network" } else { "" }, format!("loss of {}", rows[0].figures.main().0));
    line(format!(
        "{network:<wide$}{:<rule$} {:>6} {:>6} {:>7} {:>6}{heads} {:>9} {:>9} {:>6} {:>6} {points:>13}",
        "rule", "steps", "moved", "stepped", "work", "ms/frame", "frames/s", "ratio", "cpu x"
    ));
    for row in rows {
        let figures: String = row.figures.columns().iter().map(|(_, value)| format!(" {:>8}", figure(*value))).collect();
        line(format!(
            "{:<wide$}{:<rule$} {:>6.2} {:>6.3} {:>7.3} {:>6.2}{figures} {:>9.2} {:>9.1} {:>6.2} {:>6.2} {:>13.2}",
            if several { &row.model } else { "" },
            row.rule,
            row.mean_steps,
            row.moved,
            row.stepped,
            row.work_steps,
            row.ms_per_frame,
            row.frames_per_s,
            row.ratio,
            row.cpu_ratio,
            row.loss_points
        ));
    }
    out
}

/// The main figure of each class, a column for each row of the table.
fn class_text(rows: &[Row]) -> String {
    let classes = rows[0].figures.by_class();
    let name = classes.iter().map(|(name, ..)| name.len()).max().unwrap_or(0).max(20);
    let wide = rows.iter().map(|row| row.rule.split(',').next().unwrap_or_default().len()).max().unwrap_or(0).max(8);
    let mut out = String::new();
    let heads: String = rows.iter().map(|row| format!(" {:>wide$}", row.rule.split(',').next().unwrap_or_default())).collect();
    let title = format!("{} by class", if rows[0].figures.main().0 == "mIoU" { "IoU" } else { "AP50" });
    writeln!(out, "{title:<name$} {:>7}{heads}", "labels").expect("writing to a string cannot fail");
    for (at, (class, labels, _)) in classes.iter().enumerate().filter(|(_, (_, labels, _))| *labels != Some(0)) {
        let values: String =
            rows.iter().map(|row| format!(" {:>wide$}", figure(row.figures.by_class()[at].2.unwrap_or(f64::NAN)))).collect();
        let labels = labels.map_or(String::new(), |labels| labels.to_string());
        writeln!(out, "{class:<name$} {labels:>7}{values}").expect("writing to a string cannot fail");
    }
    out
}

/// The table of rows, for spreadsheets.
fn csv(rows: &[Row]) -> String {
    let heads: String = rows[0].figures.columns().iter().map(|(name, _)| format!(",{}", name.to_lowercase())).collect();
    let mut out = format!(
        "model,rule,mean_steps{heads},loss_points,ms_per_frame,frames_per_s,ratio,cpu_ms_per_frame,cpu_ratio,moved,stepped,work_steps\n"
    );
    for row in rows {
        let figures: String =
            row.figures.columns().iter().map(|(_, value)| if value.is_finite() { format!(",{value:.5}") } else { ",".into() }).collect();
        writeln!(
            out,
            "{},\"{}\",{:.4}{figures},{:.3},{:.4},{:.2},{:.3},{:.4},{:.3},{:.4},{:.4},{:.4}",
            row.model,
            row.rule,
            row.mean_steps,
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
fn plot(rows: &[Row], subtitle: String) -> Plot {
    let mut series: Vec<Series> = Vec::new();
    for row in rows {
        let label = row.rule.split(',').next().unwrap_or_default().to_owned();
        let point = Point { x: row.frames_per_s, y: row.figures.main().1, error: 0.0, label };
        match series.iter_mut().find(|series| series.name == row.model) {
            Some(series) => series.points.push(point),
            None => series.push(Series { name: row.model.clone(), points: vec![point], joined: false }),
        }
    }
    let accuracy = format!("{} (more is better)", rows[0].figures.main().0);
    Plot { title: "Accuracy over speed".into(), subtitle, axes: ["frames per second (more is better)".into(), accuracy], series }
}
