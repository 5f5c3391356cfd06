//! Own labelled data: pictures in colour with boxes, tracks or classes of pixels.
//!
//! Pictures are read and decoded before the clock runs; what is timed is what `run` does with a frame: fitting, encoding, steps, readout, boxes and
//! tracks. All rules watch the same few frames in turn, as with generated videos.

mod coco;
mod film;
pub mod masks;
mod report;
mod watch;

pub use watch::{as_truth, fits};

use std::path::{Path, PathBuf};

use clap::Args as ClapArgs;

pub use super::measure::Labelled;
use super::{Args, TURN};
use crate::capture::fit::Mode;
use crate::commands::progress;
use crate::frame::Frame;
use crate::network::Network;
use crate::network::manifest::{TaskKind, TaskSection};
use crate::service::exit::{Cause, Failure};
use watch::Watch;

/// Where labelled pictures come from; `eval` and `calibrate` take the same.
#[derive(ClapArgs, Clone, Default)]
pub struct Labels {
    /// Own labelled data: annotations.json as COCO writes it, a film (with --labels gt.txt as MOTChallenge writes it), or a folder of pictures (with --labels FOLDER of index PNGs of the same names)
    #[arg(long, value_name = "PATH")]
    pub data: Option<PathBuf>,
    /// Labels of --data, where they are not in it
    #[arg(long, value_name = "PATH", requires = "data")]
    pub labels: Option<PathBuf>,
    /// Folder of the pictures that annotations.json names, where it is not its own
    #[arg(long, value_name = "DIR", requires = "data")]
    pub images: Option<PathBuf>,
    /// A value of index PNGs that is no class and does not count; may be given several times
    #[arg(long, value_name = "N", requires = "data")]
    pub ignore: Vec<u8>,
    /// Class of all boxes of a gt.txt [default: person]
    #[arg(long, value_name = "NAME", requires = "data")]
    pub class: Option<String>,
    /// How pictures of --data meet the network's input: crop, letterbox or stretch [default: letterbox for boxes, stretch for pixels]
    #[arg(long, value_name = "MODE", requires = "data")]
    pub fit: Option<Mode>,
}

/// A picture and what is in it.
pub struct Sample {
    pub frame: Frame,
    pub truth: Truth,
    /// It does not continue the picture before it.
    pub cut: bool,
}

/// What is labelled.
#[derive(Clone)]
pub enum Truth {
    Nothing,
    Boxes(Vec<Labelled>),
    /// A class for every pixel; None where it does not count.
    Pixels {
        width: usize,
        height: usize,
        classes: Vec<Option<u8>>,
    },
}

/// What labels tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    Boxes { tracks: bool },
    Pixels,
    Nothing,
}

/// Pictures one after the other.
pub trait Samples {
    fn what(&self) -> What;

    /// How many there are, where that is known.
    fn count(&self) -> Option<usize>;

    /// Whether pictures follow one another, so that it makes sense to look for flicker.
    fn is_film(&self) -> bool;

    fn next(&mut self) -> Result<Option<Sample>, Failure>;
}

/// Opens what `labels` names for a network of `task`; `tell_cuts` where the names of pictures may tell where scenes begin.
pub fn open(labels: &Labels, task: &TaskSection, tell_cuts: bool) -> Result<Box<dyn Samples>, Failure> {
    let data = labels.data.as_deref().expect("asked for with --data only");
    let wants_boxes = matches!(task.kind, TaskKind::Boxes | TaskKind::Detections);
    let refuse = |why: String| Err(Failure::new(Cause::Usage, why));
    let samples: Box<dyn Samples> = match &labels.labels {
        _ if data.extension().is_some_and(|ending| ending == "json") => {
            if let Some(stray) = &labels.labels {
                return refuse(format!("--labels {}: {} holds its labels itself", stray.display(), data.display()));
            }
            Box::new(coco::Coco::open(data, labels.images.as_deref(), task)?)
        }
        Some(folder) if folder.is_dir() => Box::new(masks::Masks::open(data, folder, &labels.ignore, task, tell_cuts)?),
        Some(file) => Box::new(film::Film::open(data, Some(file), labels.class.as_deref(), task)?),
        None => Box::new(film::Film::open(data, None, None, task)?),
    };
    match samples.what() {
        What::Boxes { .. } | What::Pixels if task.kind == TaskKind::Raw => refuse(
            "the network's answers have no meaning (kind = \"raw\"), so labels say nothing of them; leave them out, or run --dump DIR"
                .into(),
        ),
        What::Boxes { .. } if !wants_boxes => {
            refuse(format!("{}: boxes are labelled, but the network gives a class for every pixel", data.display()))
        }
        What::Pixels if wants_boxes => refuse(format!("{}: pixels are labelled, but the network gives boxes", data.display())),
        _ => Ok(samples),
    }
}

/// How pictures meet the network's input where nothing else is said: boxes of their true shape, or every labelled pixel.
pub fn usual_fit(task: &TaskSection) -> Mode {
    if matches!(task.kind, TaskKind::Boxes | TaskKind::Detections) { Mode::Letterbox } else { Mode::Stretch }
}

/// A file that cannot be read.
fn unreadable(path: &Path, reason: impl std::fmt::Display) -> Failure {
    Failure::new(Cause::Source, format!("cannot read {}: {reason}", path.display()))
}

/// Index of each class that labels name, by the network's classes; None for those it does not know.
fn known(names: &[String], task: &TaskSection, path: &Path) -> Result<Vec<Option<usize>>, Failure> {
    let found: Vec<Option<usize>> = names.iter().map(|name| task.class(name).map(usize::from)).collect();
    if found.iter().all(Option::is_none) {
        return Err(Failure::new(
            Cause::Usage,
            format!(
                "{} labels {}, but the network sees {}: none of it is the same",
                path.display(),
                names.join(", "),
                task.classes.join(", ")
            ),
        ));
    }
    Ok(found)
}

/// Runs `eval --data`.
pub fn run(args: &Args, networks: &[Network]) -> Result<(), Failure> {
    let task = &networks[0].manifest.task;
    if let Some(other) = networks.iter().find(|network| network.manifest.task.classes != task.classes) {
        let why = format!("{} and {} see different classes; evaluate them one by one", networks[0].manifest.name, other.manifest.name);
        return Err(Failure::new(Cause::Usage, why));
    }
    let mut samples = open(&args.labels, task, args.tell_cuts)?;
    if samples.what() == What::Nothing {
        let why = format!(
            "{} has no labels; give --labels, or compare rules with `calibrate`",
            args.labels.data.as_deref().unwrap_or(Path::new("")).display()
        );
        return Err(Failure::new(Cause::Usage, why));
    }
    let outputs = report::Outputs::open(args)?;
    let mut entries = Vec::new();
    for (model, network) in networks.iter().enumerate() {
        for (name, rule, tiles) in super::rules_and_tiles(args, network) {
            let fit = args.labels.fit.unwrap_or_else(|| usual_fit(task));
            let watch = Watch::open(network, rule, args.engine, args.threads.unwrap_or_default(), tiles, fit, samples.what())?;
            entries.push(report::Entry { model, rule: name, watch });
        }
    }
    let most = args.frames.map_or(usize::MAX, |frames| frames as usize);
    let bar = progress::bar(samples.count().map_or(0, |count| count.min(most)) as u64, "frames");
    let (mut seen, mut turn, mut chunk) = (0, 0, Vec::new());
    loop {
        while chunk.len() < TURN && seen + chunk.len() < most {
            let Some(sample) = samples.next()? else { break };
            chunk.push(sample);
        }
        if chunk.is_empty() {
            break;
        }
        for at in 0..entries.len() {
            // Whoever was first is last the next time.
            let at = (at + turn) % entries.len();
            for (offset, sample) in chunk.iter_mut().enumerate() {
                // The first frames find memory, pages and clocks cold.
                entries[at].watch.see(
                    sample,
                    args.cold,
                    seen + offset >= report::COLD || samples.count().is_some_and(|count| count <= report::COLD),
                )?;
            }
        }
        seen += chunk.len();
        turn += 1;
        bar.inc(chunk.len() as u64);
        chunk.clear();
    }
    bar.finish_and_clear();
    if seen == 0 {
        return Err(Failure::new(Cause::Source, "there is no labelled picture"));
    }
    report::write(args, networks, &entries, samples.as_ref(), seen, outputs)
}

/// Every sample, up to `most`, for whoever watches them again and again.
pub fn all(samples: &mut dyn Samples, most: usize) -> Result<Vec<Sample>, Failure> {
    let mut all = Vec::new();
    while all.len() < most {
        match samples.next()? {
            Some(sample) => all.push(sample),
            None => break,
        }
    }
    Ok(all)
}

#[cfg(test)]
mod tests;
