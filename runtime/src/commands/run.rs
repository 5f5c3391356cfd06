//! `recslowfast run`: watch a source and report every frame.

pub(super) mod arguments;
mod sinks;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use crate::control::{ControlQueue, ServiceStatus};
use crate::engine;
use crate::network::manifest::{Manifest, TaskKind};
use crate::pipeline::Pipeline;
use crate::recording::Recording;
use crate::service::budget_controller::{BudgetController, Sensing};
use crate::service::closing;
use crate::service::config::Key;
use crate::service::control_handler::ControlHandler;
use crate::service::decision::Decision;
use crate::service::dump::Dump;
use crate::service::ends::{self, Hold};
use crate::service::exit::{Cause, Failure};
use crate::service::lifecycle::Lifecycle;
use crate::service::notify::Notifier;
use crate::service::run::Run;
use crate::source::Times;
use crate::telemetry::CameraState;

use super::configured::{Configured, Reread};
use super::source::{self, SourceRequest};
use super::watching;

pub use arguments::Args;
use sinks::{about, start_page, workers};

/// What a first start may need to build kernels for the GPU.
const START: Duration = Duration::from_secs(170);

/// Runs the verb.
pub fn run(mut configured: Configured) -> Result<(), Failure> {
    let mut lifecycle = Lifecycle::begin(configured.file.is_some())?;
    let args = &configured.args;
    lifecycle.notifier().starting("loading the network", START);
    let mut wanted = SourceRequest { uri: args.source.as_deref(), fault: args.fault.as_ref(), canvas: 0, takers: args.takers_of_truth() };
    let (natural, opened) = wanted.is_natural(lifecycle.is_service());
    let network = watching::network(args.model.as_deref(), args.source.as_deref(), natural)?;
    if let Some(words) = args.unknown_class(&network.manifest).or_else(|| args.report_without_answer(&network.manifest)) {
        return Err(Failure::new(if configured.file.is_some() { Cause::Config } else { Cause::Usage }, words));
    }
    wanted.canvas = network.manifest.input.width;
    let engine = engine::open_with(args.engine()?, &network, args.threads.unwrap_or_default(), args.tiles)?;
    let mut dump = args.dump.as_deref().map(|folder| Dump::create(folder, &network)).transpose()?;
    let control_queue = ControlQueue::new();
    control_queue.set_status(ServiceStatus { camera: CameraState::Searching, ..ServiceStatus::default() });
    // Before there is a camera, so that people can see that there is none.
    let page = args.page.as_ref().map(|page| start_page(args, page, &network.manifest, &control_queue)).transpose()?;
    let Some(mut source) = source::open(&wanted, opened, &mut lifecycle, engine.name())? else { return Ok(()) };
    let info = source.info().clone();
    tell_what_is_seen(&network.manifest, natural);
    let title = format!("recslowfast: {} on {}", network.manifest.name, info.description);
    log::info!("watching {} with {} {} on {}", info.description, network.manifest.name, network.manifest.version, engine.name());
    let mut pipeline = Pipeline::builder(&network).halt(args.halt).fit(args.fit).source(&info).around(engine);
    let watched_by = watching::named(&network);
    let manifest = network.into_manifest();
    let classes: Arc<[String]> = Arc::from(manifest.task.classes.as_slice());
    let about = about(args, &manifest, Arc::clone(&classes));
    let sees: Vec<String> = manifest.task.sees().map(str::to_owned).collect();
    let mut workers = workers(args, &title, &about, &sees, &control_queue, info.live)?;
    let mut unfinished: Vec<Hold> =
        workers.iter().map(|worker| ends::hold(format!("the output '{}'", worker.name()), worker.grace())).collect();
    let mut recording = args.recording(info.timed, watched_by, &classes)?;
    if let Some(recording) = &recording {
        unfinished.push(ends::hold_recording(recording.path()));
    }
    if let Some((page, heading)) = page {
        heading.set_title(&title);
        workers.push(page);
    }
    let replayed = source.times() == Times::Replayed;
    let first = source.recorded().and_then(Decision::of);
    let budget_controller = match if replayed { args.replayed_budget(first.as_ref()) } else { args.budget() } {
        Some(budget) if replayed => {
            let kept = first.as_ref().is_some_and(|first| first.kept_to(Some(&budget)));
            log::info!("on the recorded run's clock, {}", if kept { "within its budget" } else { "within another budget than its own" });
            Some(BudgetController::replaying(&mut pipeline, budget, manifest.steps.max, first.as_ref())?)
        }
        Some(budget) => {
            let sensing = Sensing { root: Path::new("/"), rail: args.power_rail.as_deref(), energy: args.energy_model };
            Some(BudgetController::begin(&mut pipeline, budget, manifest.steps.max, info.fps.filter(|_| info.live), &sensing)?)
        }
        None => None,
    };
    let mut control_handler = ControlHandler::new(control_queue, budget_controller);
    let watching = format!("watching {}", info.description);
    lifecycle.notifier().ready(pipeline.engine(), &watching);
    let frames = args.frames;
    let mut notifier = Notifier::from_environment();
    let mut reload = |pipeline: &mut Pipeline, budget_controller: Option<&mut BudgetController>| {
        notifier.reloading();
        reread(&mut configured, &manifest, pipeline, budget_controller);
        notifier.ready(pipeline.engine(), &watching);
    };
    let run = Run {
        source: &mut *source,
        pipeline: &mut pipeline,
        control_handler: &mut control_handler,
        workers: &workers,
        recording: recording.as_mut(),
        dump: dump.as_mut(),
        frames,
        lifecycle: &mut lifecycle,
        reload: &mut reload,
    };
    let result = run.answer();
    notifier.stopping(if result.is_ok() { "ending" } else { "failed" });
    // The recording first: what a sink takes its time for is not to cost it its end.
    drop(source);
    let recorded = recording.map(Recording::finish).transpose();
    // A film whose reader is slow is waited for; nobody who asked for the end is, and nothing that is broken.
    let broken = result.as_ref().is_err_and(|failure| failure.cause != Cause::Source);
    let closed = closing::close(workers, &|| broken || !lifecycle.goes_on());
    drop(unfinished);
    if let (Err(_), Err(failure)) = (&result, &closed) {
        log::error!("{failure}");
    }
    let latencies = result?;
    closed?;
    log::info!("{} frames answered", latencies.age.count());
    if latencies.age.count() > 0 {
        log::info!("{latencies}");
    }
    if let Some(summary) = recorded? {
        let files: Vec<_> = summary.files.iter().map(|path| path.display().to_string()).collect();
        log::info!("{} frames recorded in {}; {} lost because the disk was slow", summary.frames, files.join(", "), summary.lost);
    }
    Ok(())
}

/// Says what the network sees, and warns where it was not made for what is watched.
fn tell_what_is_seen(manifest: &Manifest, natural: bool) {
    let task = &manifest.task;
    log::info!("{} sees: {}", manifest.name, task.sees().collect::<Vec<_>>().join(", "));
    if natural && task.kind == TaskKind::Contour {
        log::warn!(
            "{} finds the longest contour of generated streams and knows no people or things: what it reports of a camera or a film means little; \
             choose another network with --model",
            manifest.name
        );
    }
}

/// Reads the configuration again, applies what can be applied while running, and logs what cannot.
fn reread(configured: &mut Configured, manifest: &Manifest, pipeline: &mut Pipeline, budget_controller: Option<&mut BudgetController>) {
    let names = |keys: &[&Key]| keys.iter().map(|key| format!("{}.{}", key.table, key.key)).collect::<Vec<_>>().join(", ");
    match configured.reread() {
        Ok(Reread { taken, left }) => {
            pipeline.set_rule(manifest.rule_named(configured.args.halt));
            match (budget_controller, configured.args.budget()) {
                (Some(budget_controller), budget) => budget_controller.set_budget(budget.unwrap_or_default()),
                (None, Some(_)) => log::warn!("configuration reloaded: a budget where there was none needs a restart"),
                (None, None) => {}
            }
            if taken.is_empty() && left.is_empty() {
                log::info!("configuration reloaded: nothing has changed");
            }
            if !taken.is_empty() {
                log::info!("configuration reloaded: applied: {}", names(&taken));
            }
            if !left.is_empty() {
                log::warn!("configuration reloaded: needs a restart: {}", names(&left));
            }
        }
        Err(error) => log::error!("configuration not applied, the running settings stay: {error}"),
    }
}
