//! `recslowfast calibrate`: the halting rule of a network, chosen on calibration videos within a wanted loss of accuracy.
//!
//! Every criterion is tried over thresholds taken from how the network itself moves on these videos: first on a quarter of them, then, those that
//! may do, on all. What loses no more IoU against `fixed:6` than wanted, on each source by itself, and hardly more where scenes begin, and takes the fewest
//! steps, is written into model.toml. With `--tiles` it is `[tiles]` that is chosen: what counts as moved, see [`tiles`].

mod footage;
mod observe;
mod search;
mod tiles;
mod write;

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

use clap::Args as ClapArgs;
use serde::Serialize;

use super::eval::create;
use super::eval::data::Labels;
use super::eval::videos::{self, Clip, TEST_SEED, Videos};
use super::out::{self, say};
use super::plot::{Plot, Point, Series};
use super::progress;
use crate::network::Network;
use crate::network::halting::HaltingRule;
use crate::network::load::MANIFEST;
use crate::service::exit::{Cause, Failure};
use crate::whole_file;
use search::{Criterion, Found, Search};

/// What to calibrate, on what, how well.
#[derive(ClapArgs)]
pub struct Args {
    /// The network's folder; its model.toml is changed
    #[arg(long, value_name = "DIR")]
    model: PathBuf,
    /// For contours: calibration videos, as for `eval`; may be given several times, and the loss is kept on each. Without it six-frame videos and endless streams of seed 3
    #[arg(long, value_name = "URI", conflicts_with = "data")]
    source: Vec<OsString>,
    #[command(flatten)]
    labels: Labels,
    /// Points of IoU that may be lost against fixed:6; with --data points of how well boxes or pixels fit the labels, or without labels what fixed:6 sees
    #[arg(long, default_value_t = 0.5, value_name = "POINTS")]
    loss: f64,
    /// What counts as moved where only that is computed, in place of the halting rule: floor, epsilon and threshold of [tiles], against the dense run. Without data on streams of seed 3
    #[arg(long, conflicts_with_all = ["criterion", "plot"])]
    tiles: bool,
    /// Only this criterion: slow-fast, relative-l2, relative-l1, cosine or floor; may be given several times
    #[arg(long, value_name = "NAME")]
    criterion: Vec<Criterion>,
    /// Six-frame videos and folders: how many
    #[arg(long, default_value_t = 80)]
    videos: u64,
    /// Frames of each
    #[arg(long, default_value_t = 6)]
    frames: u32,
    /// Streams, or pieces of --data: how many
    #[arg(long, default_value_t = 12)]
    streams: u64,
    /// Frames of each
    #[arg(long, default_value_t = 80)]
    stream_frames: u32,
    /// Leave model.toml as it is
    #[arg(long)]
    dry_run: bool,
    /// Write all that was tried as JSON
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Draw IoU over steps, as PNG where the name ends in .png, else as SVG
    #[arg(long, value_name = "FILE")]
    plot: Option<PathBuf>,
}

/// Everything, for the JSON file.
#[derive(Serialize)]
struct Report<'a> {
    model: &'a str,
    sources: &'a [String],
    wanted_loss: f64,
    cut: Option<f32>,
    zero: Option<f32>,
    chosen: Option<&'a Found>,
    tried: &'a [Found],
}

/// Runs the verb.
pub fn run(args: Args) -> Result<(), Failure> {
    let path = args.model.join(MANIFEST);
    if !path.is_file() {
        let why =
            format!("{} is no folder with a model.toml; the built-in networks cannot be changed, calibrate a copy", args.model.display());
        return Err(Failure::new(Cause::Model, why));
    }
    let network = Network::load(&args.model)?;
    if args.tiles {
        tiles::Search::check(&network)?;
    } else if network.step.is_none() {
        say!("{} carries no state: it takes no steps, and there is nothing to calibrate", network.manifest.name)?;
        return Ok(());
    }
    if !(args.loss.is_finite() && args.loss >= 0.0) {
        return Err(Failure::new(Cause::Usage, format!("--loss {}: a number of points, 0 or more, is needed", args.loss)));
    }
    // Of six frames the first is computed whole: streams show what tiles save.
    let usual = || {
        let all = ["pathfinder:easy?seed=3&stream", "pathfinder:easy?seed=3"];
        all[..if args.tiles { 1 } else { 2 }].iter().rev().map(OsString::from).collect()
    };
    let (sources, clips) = match &args.labels.data {
        Some(data) => {
            let pieces = footage::Pieces { many: args.streams as usize, frames: args.stream_frames as usize };
            (vec![data.display().to_string()], vec![footage::clips(&args.labels, &network, pieces, reference(&args, &network))?])
        }
        None => {
            videos::made_for(&network)?;
            let sources = if args.source.is_empty() { usual() } else { args.source.clone() };
            let clips: Vec<_> = sources.iter().map(|uri| clips(&args, uri, &network)).collect::<Result<_, _>>()?;
            (sources.iter().map(|uri| uri.to_string_lossy().into_owned()).collect(), clips)
        }
    };
    let (json, plot) = (create(args.json.as_deref())?, create(args.plot.as_deref())?);

    if args.tiles {
        return calibrate_tiles(&args, &network, &path, &sources, &clips, json);
    }
    let movements = observe::movements(&network, &clips, args.labels.data.is_some())?;
    say!("{}", movements.text())?;
    let search = Search { network: &network, clips: &clips, movements: &movements, loss: args.loss };
    let criteria = if args.criterion.is_empty() { Criterion::ALL.to_vec() } else { args.criterion.clone() };
    let bar = progress::bar(1, "rules");
    let tried = search.run(&criteria, &bar)?;
    bar.finish_and_clear();
    out::text(&search::text(&tried, &sources))?;
    let chosen = search.chosen(&tried);
    if let (Some(path), Some(mut file)) = (&args.plot, plot) {
        let title = format!("{}: rules within {} points of fixed:6", network.manifest.name, args.loss);
        draw(&tried, title, sources.join(" + ")).write(path, &mut file).map_err(|error| Failure::new(Cause::Output, error))?;
    }
    if let Some(file) = json {
        let report = Report {
            model: &network.manifest.name,
            sources: &sources,
            wanted_loss: args.loss,
            cut: movements.cut,
            zero: movements.zero,
            chosen,
            tried: &tried,
        };
        serde_json::to_writer_pretty(file, &report).map_err(|error| Failure::new(Cause::Output, error))?;
    }
    let Some(chosen) = chosen else {
        let why = format!("no rule keeps within {} points of fixed:6 with fewer steps; {} is unchanged", args.loss, path.display());
        return Err(Failure::new(Cause::Model, why));
    };
    say!("chosen      {}: {:.2} steps, {:.2} points lost at most", chosen.rule, chosen.mean_steps, chosen.worst_loss)?;
    if args.dry_run {
        return Ok(());
    }
    write_model(&path, chosen, &movements, &args, &sources)
}

/// What frames without labels are compared with: six steps, or the dense run of the network's own rule.
fn reference(args: &Args, network: &Network) -> HaltingRule {
    if args.tiles { network.manifest.rule() } else { HaltingRule::fixed(6) }
}

/// The same for `[tiles]`.
fn calibrate_tiles(
    args: &Args,
    network: &Network,
    path: &Path,
    sources: &[String],
    clips: &[Vec<Clip>],
    json: Option<std::fs::File>,
) -> Result<(), Failure> {
    let bar = progress::bar(1, "settings");
    let found = tiles::Search { network, clips, loss: args.loss }.run(&bar)?;
    bar.finish_and_clear();
    out::text(&tiles::text(&found))?;
    if let Some(file) = json {
        let report = serde_json::json!({
            "model": network.manifest.name,
            "sources": sources,
            "wanted_loss": args.loss,
            "cut": found.cut,
            "chosen": found.chosen(),
            "tried": found.tried,
        });
        serde_json::to_writer_pretty(file, &report).map_err(|error| Failure::new(Cause::Output, error))?;
    }
    let Some(chosen) = found.chosen() else {
        let why = format!("nothing keeps within {} points of the dense run at less work; {} is unchanged", args.loss, path.display());
        return Err(Failure::new(Cause::Model, why));
    };
    let threshold = chosen.threshold.map_or("the rule's threshold".into(), |threshold| format!("threshold {threshold}"));
    let cut = found.cut.map_or(String::new(), |cut| format!(", cut {cut}"));
    say!(
        "chosen      floor {}, epsilon {}, {threshold}{cut}: {:.1} % of the dense work, {:.2} points lost at most",
        chosen.floor,
        chosen.epsilon,
        100.0 * chosen.cost,
        chosen.loss
    )?;
    if args.dry_run {
        return Ok(());
    }
    let how = format!(
        "recslowfast calibrate --tiles --loss {} on {}: {:.1} % of the dense work, {:.2} points lost",
        args.loss,
        sources.join(" and "),
        100.0 * chosen.cost,
        chosen.loss
    );
    rewrite(path, |text| write::change_tiles(text, chosen, found.cut, &how))
}

/// Changes model.toml, or says why it could not.
fn write_model(path: &Path, chosen: &Found, movements: &observe::Movements, args: &Args, sources: &[String]) -> Result<(), Failure> {
    let how = format!(
        "recslowfast calibrate --loss {} on {}: {:.2} steps, {:.2} points lost",
        args.loss,
        sources.join(" and "),
        chosen.mean_steps,
        chosen.worst_loss
    );
    rewrite(path, |text| write::change(text, chosen, movements, &how))
}

fn rewrite(path: &Path, change: impl Fn(&str) -> Result<String, String>) -> Result<(), Failure> {
    let failed = |error: String| Failure::new(Cause::Output, format!("cannot change {}: {error}", path.display()));
    let text = std::fs::read_to_string(path).map_err(|error| failed(error.to_string()))?;
    let changed = change(&text).map_err(failed)?;
    // A file cut short by a full disk would be no network any more.
    whole_file::write(path, changed.as_bytes(), whole_file::Keep::Durable).map_err(|error| failed(error.to_string()))?;
    say!("written     {}", path.display())?;
    Ok(())
}

/// All videos of one source, which must not be what evaluation uses.
fn clips(args: &Args, uri: &OsStr, network: &Network) -> Result<Vec<Clip>, Failure> {
    let open = |frames| Videos::open(uri, network.manifest.input.width, frames);
    let streams = uri.to_string_lossy().split(['?', '&']).any(|part| part == "stream");
    let name = uri.display();
    let (source, wanted) = if streams { (open(args.stream_frames)?, args.streams) } else { (open(args.frames)?, args.videos) };
    let measured_on = network.manifest.quality.get("seed").and_then(toml::Value::as_integer);
    if let Some(seed) = source.seed()
        && (seed == TEST_SEED || measured_on == Some(seed as i64))
    {
        let why = format!("source '{name}': seed {seed} is what networks are evaluated on; calibrate on another, for example seed=3");
        return Err(Failure::new(Cause::Usage, why));
    }
    let count = source.count().map_or(wanted, |there| there.min(wanted));
    if count < 4 {
        return Err(Failure::new(Cause::Source, format!("source '{name}': {count} videos are too few to choose by; 4 or more are needed")));
    }
    (0..count).map(|index| source.clip(index)).collect()
}

fn draw(tried: &[Found], title: String, subtitle: String) -> Plot {
    let mut series: Vec<Series> = Vec::new();
    let mut sorted: Vec<&Found> = tried.iter().filter(|found| found.whole).collect();
    sorted.sort_by(|a, b| a.mean_steps.total_cmp(&b.mean_steps));
    for found in sorted {
        let label = if found.kept { found.rule.split(',').next().unwrap_or_default().to_owned() } else { String::new() };
        let point = Point { x: found.mean_steps, y: found.worst_loss, error: found.error, label };
        match series.iter_mut().find(|series| series.name == found.criterion) {
            Some(series) => series.points.push(point),
            None => series.push(Series { name: found.criterion.clone(), points: vec![point], joined: false }),
        }
    }
    Plot { title, subtitle, axes: ["mean steps (fewer is faster)".into(), "points of IoU lost against fixed:6".into()], series }
}
