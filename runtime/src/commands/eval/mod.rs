//! `recslowfast eval`: networks and halting rules side by side, accuracy beside speed, on the same videos in one run.

pub(super) mod data;
pub(super) mod lane;
mod measure;
pub(super) mod score;
mod stability;
mod table;
pub(super) mod videos;

use std::ffi::OsString;
use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};

use clap::Args as ClapArgs;

use super::out;
use super::progress;
use crate::engine::cpu::threads::Threads;
use crate::engine::{Choice, Tiles};
use crate::network::Network;
use crate::network::halting::{Base, HaltingRule, RuleName};
use crate::network::load::DEFAULT;
use crate::service::exit::{Cause, Failure};
use data::Labels;
use lane::{CutSource, Lane};
use score::AFTER_CUT;
use stability::Steps;
use table::{Model, Recovery, Row, Table};
use videos::{Clip, Videos};

/// What to compare, on what.
#[derive(ClapArgs)]
pub struct Args {
    /// A built-in network, or a folder with model.toml and its graphs; may be given several times
    #[arg(long, default_value = DEFAULT, value_name = "NAME|DIR")]
    model: Vec<PathBuf>,
    /// For contours: pathfinder:easy?seed=11 (hard, and &size=PX; &stream for endless streams with scene cuts) or a folder in Temporal Pathfinder's public layout
    #[arg(long, default_value = "pathfinder:easy?seed=11", value_name = "URI")]
    source: OsString,
    #[command(flatten)]
    labels: Labels,
    /// How many videos, or streams
    #[arg(long, default_value_t = 50, conflicts_with = "data")]
    videos: u64,
    /// Frames of each [default: 6; of --data all that are labelled]
    #[arg(long, value_name = "N")]
    frames: Option<u32>,
    /// A halting rule; give it once per row. Without it: fixed:6, slow-fast:6,1 and the model's own
    #[arg(long, value_name = "RULE")]
    halt: Vec<RuleName>,
    /// Start every frame from a cleared state: what each frame scores on its own
    #[arg(long, conflicts_with = "tell_cuts")]
    cold: bool,
    /// Tell the runtime of every cut inside a stream, as `run` is told by the built-in stream; without it the runtime has to notice. Of index PNGs: a name that differs before its last number begins a scene
    #[arg(long)]
    tell_cuts: bool,
    /// Also: IoU of first frames after 1 to 50 steps, and over frames 1-10, 51-60, 291-300 and 591-600, as far as there are so many
    #[arg(long, conflicts_with = "data")]
    stability: bool,
    /// auto, cuda or cpu
    #[arg(long, default_value = "auto")]
    engine: Choice,
    /// Threads of the CPU engine [default: one on every usable processor]
    #[arg(long, value_name = "N")]
    threads: Option<Threads>,
    /// off, auto (only what moved), exact (every change counts) or floor=LEVELS,epsilon=X; give it several times to have every rule under each
    #[arg(long, default_value = "off", value_name = "off|auto")]
    tiles: Vec<Tiles>,
    /// Write everything measured as JSON
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Write the table as CSV
    #[arg(long, value_name = "FILE")]
    csv: Option<PathBuf>,
    /// Draw IoU over frames per second, as PNG where the name ends in .png, else as SVG; may be given several times
    #[arg(long, value_name = "FILE")]
    plot: Vec<PathBuf>,
    /// Write what was decided, to compare machines: per rule and frame a byte of steps, then a byte of class per pixel
    #[arg(long, value_name = "FILE", hide = true, conflicts_with = "data")]
    masks: Option<PathBuf>,
}

/// Frames of a generated video, where nothing else is said.
const FRAMES: u32 = 6;

/// Frames that one rule watches before the next one has its turn: few, so that what else the machine does meets all of them alike.
const TURN: usize = 20;

/// A row to be.
struct Entry {
    model: usize,
    rule: String,
    lane: Lane,
}

/// A network's companions, which are not timed.
struct Beside {
    /// `fixed:6` from a cleared state, on frames after a cut and in the stability table's windows.
    cold: Option<Lane>,
    steps: Option<Steps>,
}

/// Runs the verb.
pub fn run(args: Args) -> Result<(), Failure> {
    let networks = args.model.iter().map(|model| Network::load(model).map_err(Failure::from)).collect::<Result<Vec<_>, _>>()?;
    if args.labels.data.is_some() {
        return data::run(&args, &networks);
    }
    networks.iter().try_for_each(videos::made_for)?;
    let frames = args.frames.unwrap_or(FRAMES);
    let source = Videos::open(&args.source, networks[0].manifest.input.width, frames)?;
    source.takes(&networks)?;
    let count = source.count().map_or(args.videos, |there| there.min(args.videos));
    // Opened before the work, so that an unwritable file costs no evaluation.
    let (json, csv) = (create(args.json.as_deref())?, create(args.csv.as_deref())?);
    let plots = args.plot.iter().map(|path| Ok((path, create(Some(path))?))).collect::<Result<Vec<_>, Failure>>()?;
    let mut masks = args.masks.as_ref().map(|_| Vec::new());
    let models: Vec<Model> = networks.iter().map(Model::of).collect();
    let mut entries = entries(&args, &networks)?;
    let mut beside = networks.iter().map(|network| companions(&args, network, source.has_cuts())).collect::<Result<Vec<_>, _>>()?;
    let engine = entries[0].lane.engine();
    let bar = progress::bar(count, "videos");
    for index in 0..count {
        let clip = source.clip(index)?;
        // The first video of a run only warms up the clock.
        watch(&args, &clip, index as usize, index > 0 || count == 1, &mut entries, masks.as_mut())?;
        for beside in &mut beside {
            beside.watch(&clip, index as usize)?;
        }
        bar.inc(1);
    }
    bar.finish_and_clear();
    let first = |model: usize| entries.iter().find(|entry| entry.model == model).map(|entry| &entry.lane).expect("every network has a row");
    let rows: Vec<Row> =
        entries.iter().map(|entry| Row::of(&models[entry.model], entry.rule.clone(), &entry.lane, first(entry.model))).collect();
    out::text(&table::text(&rows))?;
    let named = args.source.to_string_lossy();
    let mut table = Table {
        engine,
        source: &named,
        videos: count,
        frames,
        told_of_cuts: args.tell_cuts,
        rows,
        after_cut: Vec::new(),
        stability: Vec::new(),
        models,
    };
    for (model, beside) in table.models.iter().zip(&beside) {
        if let Some(cold) = &beside.cold
            && source.has_cuts()
        {
            table.after_cut.push(Recovery::of(model, &cold.scores));
        }
        if let (Some(steps), Some(cold)) = (&beside.steps, &beside.cold) {
            table.stability.push(steps.finish(model, &cold.scores.iou_by_frame()));
        }
    }
    out::text(&table::recovery_text(&table.rows, &table.after_cut))?;
    if args.stability {
        out::text(&stability::text(&table.stability, &table.rows))?;
    }
    let lanes: Vec<(usize, &Lane)> = entries.iter().map(|entry| (entry.model, &entry.lane)).collect();
    out::text(&table::ceiling_text(&table.models, &lanes))?;
    let subtitle = format!("{}, {count} videos of {frames} frames, {engine}", args.source.display());
    for (path, file) in plots {
        let plot = table::plot(&table.rows, "Accuracy over speed".into(), subtitle.clone());
        let mut file = file.expect("created above");
        plot.write(path, &mut file).map_err(|error| Failure::new(Cause::Output, error))?;
    }
    let write = |file: Option<File>, bytes: &[u8]| file.map_or(Ok(()), |mut file| file.write_all(bytes));
    let written = write(csv, table::csv(&table.rows).as_bytes())
        .and_then(|()| json.map_or(Ok(()), |file| serde_json::to_writer_pretty(file, &table).map_err(std::io::Error::from)));
    written.map_err(|error| Failure::new(Cause::Output, error))?;
    if let (Some(path), Some(masks)) = (&args.masks, &masks) {
        std::fs::write(path, masks).map_err(|error| Failure::new(Cause::Output, format!("cannot write {}: {error}", path.display())))?;
    }
    Ok(())
}

pub(super) fn create(path: Option<&Path>) -> Result<Option<File>, Failure> {
    let create =
        |path: &Path| File::create(path).map_err(|error| Failure::new(Cause::Output, format!("cannot write {}: {error}", path.display())));
    path.map(create).transpose()
}

/// A lane for every network and rule; a network without a state has one, as it has nothing to halt.
fn entries(args: &Args, networks: &[Network]) -> Result<Vec<Entry>, Failure> {
    let mut entries = Vec::new();
    for (model, network) in networks.iter().enumerate() {
        for (rule, halting, tiles) in rules_and_tiles(args, network) {
            entries.push(Entry { model, rule, lane: open(args, network, halting, tiles)? });
        }
    }
    Ok(entries)
}

/// The rules asked for, or the usual ones, by name; a network without a state has one, as it has nothing to halt.
fn rules(asked: &[RuleName], network: &Network) -> Vec<(String, HaltingRule)> {
    let usual = [RuleName::plain(Base::Fixed(6)), RuleName::plain(Base::SlowFast(6, 1)), RuleName::MODEL];
    let rules = if asked.is_empty() { &usual[..] } else { asked };
    let recurrent = network.step.is_some();
    let named = |rule: &RuleName| (if recurrent { rule.to_string() } else { "(no state)".into() }, network.manifest.rule_named(*rule));
    (if recurrent { rules } else { &rules[..1] }).iter().map(named).collect()
}

/// Every rule under each of the ways to compute that were asked for; where there are several, the names tell them apart.
fn rules_and_tiles(args: &Args, network: &Network) -> Vec<(String, HaltingRule, Tiles)> {
    let mut rows = Vec::new();
    for &tiles in &args.tiles {
        let what = if tiles != Tiles::Off && args.tiles.len() > 1 { " by tiles" } else { "" };
        rows.extend(rules(&args.halt, network).into_iter().map(|(name, rule)| (format!("{name}{what}"), rule, tiles)));
    }
    rows
}

fn open(args: &Args, network: &Network, rule: HaltingRule, tiles: Tiles) -> Result<Lane, Failure> {
    Lane::open(network, rule, args.frames.unwrap_or(FRAMES) as usize, args.engine, args.threads.unwrap_or_default(), tiles)
}

fn companions(args: &Args, network: &Network, cuts: bool) -> Result<Beside, Failure> {
    let wanted = network.step.is_some() && (cuts || args.stability);
    let cold = wanted.then(|| open(args, network, HaltingRule::fixed(6), Tiles::Off)).transpose()?;
    let steps = (wanted && args.stability).then(|| open(args, network, HaltingRule::fixed(1), Tiles::Off)).transpose()?;
    Ok(Beside { cold, steps: steps.map(Steps::new) })
}

/// All rules in turn, a few frames each, whoever was first being last the next time.
fn watch(
    args: &Args,
    clip: &Clip,
    video: usize,
    timed: bool,
    entries: &mut [Entry],
    mut masks: Option<&mut Vec<u8>>,
) -> Result<(), Failure> {
    let told = match (args.cold, args.tell_cuts) {
        (true, _) => CutSource::Everything,
        (false, true) => CutSource::Cuts,
        (false, false) => CutSource::Videos,
    };
    let length = clip.frames.len();
    for (turn, start) in (0..length).step_by(TURN).enumerate() {
        for at in 0..entries.len() {
            let at = (at + turn + video) % entries.len();
            entries[at].lane.watch(clip, video, start..length.min(start + TURN), told, timed, |_, trace, classes| {
                if let Some(masks) = masks.as_deref_mut() {
                    masks.push(trace.steps as u8);
                    masks.extend(classes);
                }
            })?;
        }
    }
    Ok(())
}

impl Beside {
    fn watch(&mut self, clip: &Clip, video: usize) -> Result<(), Failure> {
        if let Some(cold) = &mut self.cold {
            let mut since = None;
            for at in 0..clip.frames.len() {
                since = if at > 0 && clip.cuts[at] { Some(0) } else { since.map(|since: usize| since + 1) };
                if since.is_some_and(|since| since <= AFTER_CUT) || (self.steps.is_some() && stability::in_window(at)) {
                    cold.watch(clip, video, at..at + 1, CutSource::Everything, false, |_, _, _| {})?;
                }
            }
        }
        match &mut self.steps {
            Some(steps) => steps.watch(clip),
            None => Ok(()),
        }
    }
}
