//! `recslowfast run`: watch a source and report every frame.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use clap::Args as ClapArgs;
use clap::builder::{OsStringValueParser, TypedValueParser};

use crate::capture::FaultSpec;
use crate::capture::fit::Mode;
use crate::control::{ControlQueue, ServiceStatus};
use crate::engine::cpu::threads::Threads;
use crate::engine::{self, Choice, Tiles};
use crate::network::halting::RuleName;
use crate::network::load::default_for;
use crate::network::manifest::{Manifest, TaskKind};
use crate::pace::sensors::Board;
use crate::pace::{Budget, Celsius, Deadline, EnergyModel, Mode as PaceMode, Power};
use crate::recording::{Events, OutcomeFormat, RecordSpec, Recording};
use crate::report::Record;
use crate::report::{
    self, About, Filtered, Heading, HeadingHandle, JsonLines, Link, Mavlink, Overflow, Page, PlainLines, SerialLines, Sink, SinkError,
    SinkWorker, Snapshot, Terminal,
};
use crate::service::budget_controller::{BudgetController, Sensing};
use crate::service::closing;
use crate::service::config::Key;
use crate::service::control_handler::ControlHandler;
use crate::service::decision::Decision;
use crate::service::ends::{self, Hold};
use crate::service::exit::{Cause, Failure};
use crate::service::lifecycle::Lifecycle;
use crate::service::logging;
use crate::service::notify::Notifier;
use crate::service::pipeline::Pipeline;
use crate::service::run::Run;
use crate::source::{Times, WatchedBy};
use crate::telemetry::CameraState;

use super::configured::{Configured, Reread};
use super::console;
use super::listen::Listen;
use super::report_to::{Destination, ReportTo};
use super::source::{self, SourceRequest};
use super::watching;

/// What a first start may need to build kernels for the GPU.
const START: Duration = Duration::from_secs(170);

/// What to watch, with what, and where results go.
#[derive(ClapArgs)]
pub struct Args {
    /// Camera, film, folder of pictures, stream, pipe or recording; without it a camera if one opens, else the built-in stream
    ///
    /// /dev/videoN, N or v4l2:PATH: a camera (?width=&height=&fps=&format=&buffers=&stride=).
    /// FILE or FOLDER: a film (Y4M, AVI, MJPEG, MCAP, or anything ffmpeg reads) or pictures (?loop, ?realtime, &fps=).
    /// -: a film through standard input; a FIFO is read as it comes.
    /// rtsp://, http://: a stream (#transport=udp). csi://N: a sensor (?width=&height=&fps=). gst:PIPELINE: a GStreamer pipeline without its sink.
    /// pathfinder:easy or pathfinder:hard: the built-in stream (?seed=7&fps=&size=). Where results act on something (link, mavlink, mqtt, serial, panel,
    /// page, --record) it is only watched if it is asked for by name.
    #[arg(long, value_name = "URI", help_heading = SOURCE)]
    source: Option<OsString>,
    /// How a picture of another shape meets the network's input: crop, letterbox or stretch
    #[arg(long, default_value = "crop", help_heading = SOURCE)]
    fit: Mode,
    /// End after this many answered frames
    #[arg(long, value_name = "N", help_heading = SOURCE)]
    frames: Option<u64>,
    /// Break the source on purpose, to see what happens: for example drop=0.1,corrupt=0.05,seed=3
    #[arg(long, value_name = "FAULTS", help_heading = SOURCE)]
    fault: Option<FaultSpec>,
    /// A built-in network, or a folder with model.toml and its graphs
    ///
    /// Without it the one for what is watched: `street` for cameras and films, `pathfinder-hgru` for the built-in stream; of a recording the one that watched then.
    #[arg(long, value_name = "NAME|DIR", help_heading = NETWORK)]
    model: Option<PathBuf>,
    /// When stepping stops: model (as calibrated), fixed:N, slow-fast:S,F, relative-l2:EPS, ...
    ///
    /// model, fixed:N, slow-fast:S,F, relative-l2:EPS, relative-l1:EPS, cosine:EPS or floor:WAKE,SETTLE.
    /// Behind it, in place of the model's figures: ,zero=X ,cut=X ,surprise=X ,start=X ,min=N ,max=N ,slow=N
    #[arg(long, default_value = "model", value_name = "RULE", help_heading = NETWORK)]
    halt: RuleName,
    /// auto, cuda or cpu
    #[arg(long, default_value = "auto", help_heading = NETWORK)]
    engine: Choice,
    /// Threads of the CPU engine [default: one on every usable processor]
    #[arg(long, value_name = "N", help_heading = NETWORK)]
    threads: Option<Threads>,
    /// Compute only what moved: off, or auto where the network is local and the CPU computes
    ///
    /// auto recomputes what changed beyond the picture's noise, and what that reaches: for fixed cameras.
    /// floor=LEVELS,epsilon=X is auto with other figures: the least change that counts, in grey levels, and what of it is handed on inside the network.
    #[arg(long, default_value = "off", value_name = "off|auto", help_heading = NETWORK)]
    tiles: Tiles,
    /// Oldest age of a result, and the share of frames that must keep to it, for example 33ms@p99
    #[arg(long, value_name = "TIME[@pNN]", help_heading = BUDGET)]
    deadline: Option<Deadline>,
    /// Most the board may draw, for example 10W
    #[arg(long, value_name = "POWER", help_heading = BUDGET)]
    power: Option<Power>,
    /// Hottest the board may get, for example 85C
    #[arg(long, value_name = "TEMPERATURE", help_heading = BUDGET)]
    temp: Option<Celsius>,
    /// What to do with room inside the budget: accuracy, balanced or saver
    #[arg(long, help_heading = BUDGET)]
    mode: Option<PaceMode>,
    /// The rail that measures the whole board, by its label
    ///
    /// `recslowfast doctor power` lists them; without it the usual one.
    #[arg(long, value_name = "LABEL", help_heading = BUDGET)]
    power_rail: Option<String>,
    /// What the board draws, where no sensor tells, for example idle=4W,step=20mJ,at=1020MHz
    ///
    /// idle: without work; step: a step's energy above that; at: the GPU clock for which that holds.
    #[arg(long, value_name = "MODEL", help_heading = BUDGET)]
    energy_model: Option<EnergyModel>,
    /// Where results go: terminal, json, link:PORT, mavlink:PORT, serial:PORT, panel:KIND:PLACE, snapshot:FILE.png
    ///
    /// May be given several times; without it terminal on a terminal, else json.
    /// link:PORT[@BAUD[,rtscts]]: telegrams, both ways. mavlink:PORT[@BAUD][,fov=DEGREES][,object=METRES][,system=N]. serial:PORT[@BAUD]: JSON lines.
    /// PORT is a device, tcp:HOST:PORT or udp:HOST:PORT.
    /// panel:png:FILE[@320x240], panel:fb:/dev/fb0, panel:ssd1306:/dev/i2c-1, panel:st7789:/dev/spidev0.0,dc=gpiochip0:25 (or ili9341).
    /// snapshot:FILE.png: the last frames, when the run ends.
    /// Behind each, what it is told: ,every=1s ,on=change ,classes=person+car ,score=0.5 ,area=400 ,zone=X:Y/X:Y/X:Y ,min_frames=3
    #[arg(long, value_name = "SINK", value_parser = OsStringValueParser::new().try_map(ReportTo::read), help_heading = REPORTS)]
    report: Vec<ReportTo>,
    /// Record frames and answers to a file ending in .mcap, which --source replays to the same decisions
    ///
    /// A file that is there is kept, and the new one has the time in its name.
    #[arg(long, value_name = "FILE", help_heading = REPORTS)]
    record: Option<PathBuf>,
    /// Use at most this much disk for the recording
    ///
    /// The newest is kept in parts, NAME-TIME-0000.mcap and so on, and those of earlier starts count.
    #[arg(long, value_name = "MIB", help_heading = REPORTS)]
    record_limit: Option<u64>,
    /// Record only around frames with detections: this many seconds before and after
    ///
    /// At most 3600; what comes before them is held in at most 256 MiB of memory.
    #[arg(long, value_name = "SECONDS", help_heading = REPORTS)]
    record_around: Option<u64>,
    /// Serve a page with live pictures, /stream, /events, /metrics and /healthz, for example on 8088
    ///
    /// 127.0.0.1:8088, localhost:8088, :8088 and 8088 are the same; *:8088, another address or a host name reach further and want a token.
    #[arg(long, value_name = "ADDRESS:PORT", help_heading = REPORTS)]
    page: Option<Listen>,
    /// What the page asks for; needed wherever other machines can reach it
    #[arg(long, value_name = "TOKEN", help_heading = REPORTS)]
    page_token: Option<String>,
    /// Take flags from a configuration file; those given here win. SIGHUP reads it again
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

const SOURCE: &str = "Source";
const NETWORK: &str = "Network";
const BUDGET: &str = "Budget";
const REPORTS: &str = "Reports, recording, page";

impl Args {
    /// What is watched, if it was said.
    pub(super) fn source(&self) -> Option<&OsStr> {
        self.source.as_deref()
    }

    /// The recording asked for.
    pub(super) fn record(&self) -> Option<&Path> {
        self.record.as_deref()
    }

    /// Its bound, in MiB.
    pub(super) fn record_limit(&self) -> Option<u64> {
        self.record_limit
    }

    /// What is kept around an event, where it cannot be had: why not.
    pub(super) fn refused_around(&self) -> Option<String> {
        self.record_around.map(Duration::from_secs).and_then(|time| Events::around(time).err())
    }

    /// The configuration file.
    pub(super) fn config(&self) -> Option<&Path> {
        self.config.as_deref()
    }

    /// The network asked for, if one was.
    pub(super) fn asked_model(&self) -> Option<&Path> {
        self.model.as_deref()
    }

    /// The network asked for, or the one for the source asked for.
    pub(super) fn model(&self) -> &Path {
        let usual = || Path::new(default_for(self.source.as_deref().is_none_or(source::is_natural)));
        self.model.as_deref().unwrap_or_else(usual)
    }

    /// The places results go to, as given.
    pub(super) fn reports(&self) -> &[ReportTo] {
        &self.report
    }

    /// The budget asked for; None when no part of it was, and none can be later.
    pub(super) fn budget(&self) -> Option<Budget> {
        let budget = Budget { deadline: self.deadline, power: self.power, temp: self.temp, mode: self.mode.unwrap_or_default() };
        let asked = self.deadline.is_some() || self.power.is_some() || self.temp.is_some() || self.mode.is_some();
        // Over a link a budget may come at any time; until then nothing is to bind.
        let steered = self.report.iter().any(|report| matches!(report.to, Destination::Link(_)));
        let unbound = Budget { mode: PaceMode::Accuracy, ..Budget::default() };
        if asked { Some(budget) } else { steered.then_some(unbound) }
    }

    /// Where the page listens.
    pub(super) fn page(&self) -> Option<&Listen> {
        self.page.as_ref()
    }

    /// What the page asks for.
    pub(super) fn page_token(&self) -> Option<&str> {
        self.page_token.as_deref()
    }

    /// The bounds of a recording that is not asked for.
    pub(super) fn bounds_without_record(&self) -> Vec<&'static str> {
        let given = [("record-limit", self.record_limit.is_some()), ("record-around", self.record_around.is_some())];
        let stray = given.into_iter().filter(|(_, given)| *given && self.record.is_none());
        stray.map(|(flag, _)| flag).collect()
    }

    /// The recording asked for.
    fn recording(&self, timed: bool, watched_by: WatchedBy, classes: &Arc<[String]>) -> Result<Option<Recording>, Failure> {
        let Some(path) = self.record.clone() else { return Ok(None) };
        let limit = self.record_limit.map(|mib| mib.saturating_mul(1 << 20));
        let around = self.record_around.map(Duration::from_secs).map(Events::around).transpose();
        let events = around.map_err(|reason| Failure::new(Cause::Output, format!("recording to {}: {reason}", path.display())))?;
        let spec = RecordSpec { path, limit, events, timed, watched_by: Some(watched_by) };
        let naming = OutcomeFormat { classes: Arc::clone(classes), outcome: Record::json };
        Ok(Some(Recording::start(spec, naming)?))
    }

    /// The budget of a replay: the one asked for, else that of the recorded run.
    fn replayed_budget(&self, first: Option<&Decision>) -> Option<Budget> {
        let asked = self.deadline.is_some() || self.power.is_some() || self.temp.is_some() || self.mode.is_some();
        let recorded = first.and_then(|first| first.plan.as_ref()).map(|plan| plan.budget);
        if asked { self.budget() } else { recorded.or(self.budget()) }
    }

    /// What acts on results, keeps them or shows them to others, and so must never be given a made-up scene that nobody asked for.
    fn takers_of_truth(&self) -> Vec<String> {
        let reports = self.report.iter().filter_map(|report| match &report.to {
            Destination::Terminal | Destination::Json | Destination::Snapshot(_) => None,
            Destination::Serial(port) => Some(format!("serial:{}", port.path)),
            Destination::Link(port) => Some(format!("link:{}", port.path)),
            Destination::Mavlink(spec) => Some(format!("mavlink:{}", spec.port.path)),
            Destination::Panel(spec) => Some(format!("panel:{spec}")),
        });
        let recording = self.record.iter().map(|path| format!("the recording {}", path.display()));
        let page = self.page.iter().map(|address| format!("the page on {address}"));
        reports.chain(recording).chain(page).collect()
    }

    /// The first report that is to tell of a class which the network does not know.
    pub(super) fn unknown_class(&self, manifest: &Manifest) -> Option<String> {
        let known = &manifest.task.classes;
        let unknown = self.report.iter().find_map(|report| report.filter.unknown_class(known))?;
        Some(format!("report: {} knows no class '{unknown}'; it knows {}", manifest.name, known.join(", ")))
    }
}

/// Runs the verb.
pub fn run(mut configured: Configured) -> Result<(), Failure> {
    let mut lifecycle = Lifecycle::begin(configured.file.is_some())?;
    let args = &configured.args;
    lifecycle.notifier().starting("loading the network", START);
    let mut wanted = SourceRequest { uri: args.source.as_deref(), fault: args.fault.as_ref(), canvas: 0, takers: args.takers_of_truth() };
    let (natural, opened) = wanted.is_natural(lifecycle.is_service());
    let network = watching::network(args.model.as_deref(), args.source.as_deref(), natural)?;
    if let Some(words) = args.unknown_class(&network.manifest) {
        return Err(Failure::new(if configured.file.is_some() { Cause::Config } else { Cause::Usage }, words));
    }
    wanted.canvas = network.manifest.input.width;
    let engine = engine::open_with(args.engine, &network, args.threads.unwrap_or_default(), args.tiles)?;
    let control_queue = ControlQueue::new();
    control_queue.set_status(ServiceStatus { camera: CameraState::Searching, ..ServiceStatus::default() });
    // Before there is a camera, so that people can see that there is none.
    let page = args.page.as_ref().map(|page| start_page(args, page, &network.manifest, &control_queue)).transpose()?;
    let Some(mut source) = source::open(&wanted, opened, &mut lifecycle, engine.name())? else { return Ok(()) };
    let info = source.info().clone();
    tell_what_is_seen(&network.manifest, natural);
    let title = format!("recslowfast: {} on {}", network.manifest.name, info.description);
    log::info!("watching {} with {} {} on {}", info.description, network.manifest.name, network.manifest.version, engine.name());
    let mut pipeline = Pipeline::new(&network, engine, network.manifest.rule_named(args.halt), args.fit, info.timed);
    pipeline.set_rate(info.fps.filter(|_| !info.timed));
    let watched_by = watching::named(&network);
    let manifest = network.into_manifest();
    let classes: Arc<[String]> = Arc::from(manifest.task.classes.as_slice());
    let about = about(args, &manifest, Arc::clone(&classes));
    let mut workers = workers(args, &title, &about, &control_queue, info.live)?;
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

/// Reads the configuration again, takes up what can be taken up while running, and says what cannot.
fn reread(configured: &mut Configured, manifest: &Manifest, pipeline: &mut Pipeline, budget_controller: Option<&mut BudgetController>) {
    let names = |keys: &[&Key]| keys.iter().map(|key| format!("{}.{}", key.table, key.key)).collect::<Vec<_>>().join(", ");
    match configured.reread() {
        Ok(Reread { taken, left }) => {
            pipeline.set_rule(manifest.rule_named(configured.args.halt));
            match (budget_controller, configured.args.budget()) {
                (Some(budget_controller), budget) => budget_controller.set_budget(budget.unwrap_or_default()),
                (None, Some(_)) => log::warn!("configuration read again: a budget where there was none needs a restart"),
                (None, None) => {}
            }
            if taken.is_empty() && left.is_empty() {
                log::info!("configuration read again: nothing has changed");
            }
            if !taken.is_empty() {
                log::info!("configuration read again: taken up: {}", names(&taken));
            }
            if !left.is_empty() {
                log::warn!("configuration read again: needs a restart: {}", names(&left));
            }
        }
        Err(error) => log::error!("configuration not taken up, everything stays as it was: {error}"),
    }
}

/// What links and panels say of this run.
fn about(args: &Args, manifest: &Manifest, classes: Arc<[String]>) -> About {
    let host = || std::fs::read_to_string("/proc/sys/kernel/hostname").map_or_else(|_| "localhost".into(), |name| name.trim().to_owned());
    let address = args.page.as_ref().map(|page| page.seen_from_outside(host));
    About {
        board: board(),
        network: format!("{} {}", manifest.name, manifest.version),
        address: address.unwrap_or_default(),
        input: (manifest.input.width, manifest.input.height),
        classes,
    }
}

/// The page, and what its heading is changed by once there is a source.
fn start_page(
    args: &Args,
    page: &Listen,
    manifest: &Manifest,
    control_queue: &ControlQueue,
) -> Result<(SinkWorker, HeadingHandle), Failure> {
    let output = |error: SinkError| Failure::new(Cause::Output, error);
    let address = page.address().map_err(|error| Failure::new(Cause::Output, error))?;
    let (title, board) = (format!("recslowfast: {}, looking for its camera", manifest.name), board());
    let classes = Arc::from(manifest.task.classes.as_slice());
    let sees = manifest.task.sees().collect::<Vec<_>>().join(", ");
    let heading = Heading { title, board, model: format!("{} {}", manifest.name, manifest.version), sees, classes };
    let page = Page::start(address, args.page_token.as_deref(), heading, control_queue.clone()).map_err(output)?;
    let handle = page.heading();
    let worker = SinkWorker::start("page", Box::new(page), Overflow::DropOldest).map_err(|error| Failure::new(Cause::Internal, error))?;
    Ok((worker, handle))
}

/// The board's name, or the kind of machine.
fn board() -> String {
    Board::find(Path::new("/")).model.unwrap_or_else(|| std::env::consts::ARCH.into())
}

fn workers(args: &Args, title: &str, about: &About, control_queue: &ControlQueue, live: bool) -> Result<Vec<SinkWorker>, Failure> {
    let overflow = if live { Overflow::DropOldest } else { Overflow::Wait };
    let mut wanted = args.report.clone();
    if wanted.is_empty() && std::env::var_os("NOTIFY_SOCKET").is_none() {
        wanted.push(ReportTo::all(if console::is_terminal() { Destination::Terminal } else { Destination::Json }));
    }
    let start = |ReportTo { to, filter }: ReportTo| {
        let classes = Arc::clone(&about.classes);
        let internal = |error: std::io::Error| Failure::new(Cause::Internal, error);
        let (name, sink, overflow): (_, Box<dyn Sink>, _) = match to {
            Destination::Terminal if !console::draws() => ("terminal", Box::new(PlainLines::new(std::io::stdout(), classes)), overflow),
            Destination::Terminal => ("terminal", Box::new(Terminal::new(title, classes, control_queue.clone())), overflow),
            Destination::Json => ("json", Box::new(JsonLines::new(std::io::stdout(), "standard output", classes)), overflow),
            Destination::Serial(port) => ("serial", Box::new(SerialLines::new(port, classes)), Overflow::DropOldest),
            Destination::Link(port) => {
                let link = Link::start(port, about.clone(), control_queue.clone()).map_err(internal)?;
                let ear = link.log_ear();
                logging::listen(move |level, words| ear.hear(level, words));
                ("link", Box::new(link), Overflow::DropOldest)
            }
            Destination::Mavlink(spec) => {
                let mavlink = Mavlink::new(spec, control_queue.clone(), classes);
                let ear = mavlink.text_sender();
                // A full queue means that lines come faster than the port takes them.
                logging::listen(move |level, words| drop(ear.try_send((level, words.to_owned()))));
                ("mavlink", Box::new(mavlink), Overflow::DropOldest)
            }
            Destination::Panel(spec) => ("panel", report::panel(&spec, about, control_queue.clone()), Overflow::DropOldest),
            Destination::Snapshot(path) => ("snapshot", Box::new(Snapshot::new(path, classes)), overflow),
        };
        SinkWorker::start(name, Filtered::over(sink, filter, Arc::clone(&about.classes)), overflow).map_err(internal)
    };
    wanted.into_iter().map(start).collect()
}
