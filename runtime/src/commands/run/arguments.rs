//! What `recslowfast run` is asked for.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use clap::Args as ClapArgs;
use clap::builder::{OsStringValueParser, TypedValueParser};

use crate::capture::FaultSpec;
use crate::capture::fit::Mode;
use crate::commands::listen::Listen;
use crate::commands::mqtt::MqttArgs;
use crate::commands::report_to::{Destination, ReportTo};
use crate::commands::source;
use crate::engine::cpu::threads::Threads;
use crate::engine::{Choice, Tiles};
use crate::network::halting::RuleName;
use crate::network::load::default_for;
use crate::network::manifest::{Manifest, TaskKind};
use crate::pace::{Budget, Celsius, Deadline, EnergyModel, Mode as PaceMode, Power};
use crate::recording::{Events, OutcomeFormat, RecordSpec, Recording};
use crate::report::{MqttSpec, Record};
use crate::service::decision::Decision;
use crate::service::exit::{Cause, Failure};
use crate::source::WatchedBy;

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
    pub(super) source: Option<OsString>,
    /// How a picture of another shape meets the network's input: crop, letterbox or stretch
    #[arg(long, default_value = "crop", help_heading = SOURCE)]
    pub(super) fit: Mode,
    /// End after this many answered frames
    #[arg(long, value_name = "N", value_parser = above_zero, help_heading = SOURCE)]
    pub(super) frames: Option<u64>,
    /// Break the source on purpose, to see what happens: for example drop=0.1,corrupt=0.05,seed=3
    #[arg(long, value_name = "FAULTS", help_heading = SOURCE)]
    pub(super) fault: Option<FaultSpec>,
    /// A built-in network, or a folder with model.toml and its graphs
    ///
    /// Without it the one for what is watched: `street` for cameras and films, `pathfinder-hgru` for the built-in stream; of a recording the one that watched then.
    #[arg(long, value_name = "NAME|DIR", help_heading = NETWORK)]
    pub(super) model: Option<PathBuf>,
    /// When stepping stops: model (as calibrated), fixed:N, slow-fast:S,F, relative-l2:EPS, ...
    ///
    /// model, fixed:N, slow-fast:S,F, relative-l2:EPS, relative-l1:EPS, cosine:EPS or floor:WAKE,SETTLE.
    /// Behind it, in place of the model's figures: ,zero=X ,cut=X ,surprise=X ,start=X ,min=N ,max=N ,slow=N
    #[arg(long, default_value = "model", value_name = "RULE", help_heading = NETWORK)]
    pub(super) halt: RuleName,
    /// auto, cuda or cpu
    #[arg(long, default_value = "auto", help_heading = NETWORK)]
    pub(super) engine: Choice,
    /// Threads of the CPU engine [default: one on every usable processor]
    #[arg(long, value_name = "N", help_heading = NETWORK)]
    pub(super) threads: Option<Threads>,
    /// Compute only what moved: off, or auto where the network is local
    ///
    /// auto recomputes what changed beyond the picture's noise, and what that reaches: for fixed cameras.
    /// floor=LEVELS,epsilon=X is auto with other figures: the least change that counts, in grey levels, and what of it is handed on inside the network.
    #[arg(long, default_value = "off", value_name = "off|auto", help_heading = NETWORK)]
    pub(super) tiles: Tiles,
    /// Oldest age of a result, and the share of frames that must keep to it, for example 33ms@p99
    #[arg(long, value_name = "TIME[@pNN]", help_heading = BUDGET)]
    pub(super) deadline: Option<Deadline>,
    /// Most the board may draw, for example 10W
    #[arg(long, value_name = "POWER", help_heading = BUDGET)]
    pub(super) power: Option<Power>,
    /// Hottest the board may get, for example 85C
    #[arg(long, value_name = "TEMPERATURE", help_heading = BUDGET)]
    pub(super) temp: Option<Celsius>,
    /// What to do with room inside the budget: accuracy, balanced or saver
    #[arg(long, help_heading = BUDGET)]
    pub(super) mode: Option<PaceMode>,
    /// The rail that measures the whole board, by its label
    ///
    /// `recslowfast doctor power` lists them; without it the usual one.
    #[arg(long, value_name = "LABEL", help_heading = BUDGET)]
    pub(super) power_rail: Option<String>,
    /// What the board draws, where no sensor tells, for example idle=4W,step=20mJ,at=1020MHz
    ///
    /// idle: without work; step: a step's energy above that; at: the GPU clock for which that holds.
    #[arg(long, value_name = "MODEL", help_heading = BUDGET)]
    pub(super) energy_model: Option<EnergyModel>,
    /// Where results go: terminal, json, link:PORT, mavlink:PORT, mqtt:HOST, serial:PORT, panel:KIND:PLACE, snapshot:FILE.png, mask:DIR, boxes:FILE.json
    ///
    /// May be given several times; without it terminal on a terminal, else json.
    /// link:PORT[@BAUD[,rtscts]]: telegrams, both ways. mavlink:PORT[@BAUD][,fov=DEGREES][,object=METRES][,system=N]. serial:PORT[@BAUD]: JSON lines.
    /// PORT is a device, tcp:HOST:PORT or udp:HOST:PORT.
    /// mqtt:HOST[:PORT][/TOPIC]: an MQTT broker, and Home Assistant behind it; mqtts: speaks TLS.
    /// panel:png:FILE[@320x240], panel:fb:/dev/fb0, panel:ssd1306:/dev/i2c-1, panel:st7789:/dev/spidev0.0,dc=gpiochip0:25 (or ili9341).
    /// snapshot:FILE.png: the last frames, when the run ends.
    /// mask:DIR: a PNG a frame, of the source's size, with class indices (255: not seen) or a matte's share. boxes:FILE.json: COCO results, when the run ends.
    /// Behind each, which results it receives: ,every=1s ,on=change ,classes=person+car ,score=0.5 ,area=400 ,zone=X:Y/X:Y/X:Y ,min_frames=3
    #[arg(long, value_name = "SINK", value_parser = OsStringValueParser::new().try_map(ReportTo::read), help_heading = REPORTS)]
    pub(super) report: Vec<ReportTo>,
    /// Record frames and answers to a file ending in .mcap, which --source replays to the same decisions
    ///
    /// A file that is there is kept, and the new one has the time in its name.
    #[arg(long, value_name = "FILE", help_heading = REPORTS)]
    pub(super) record: Option<PathBuf>,
    /// Write what the network holds after every frame (input, drive, states, answers, steps) to DIR/000000.npz and so on; the CPU engine runs
    #[arg(long, value_name = "DIR", help_heading = REPORTS)]
    pub(super) dump: Option<PathBuf>,
    /// Use at most this much disk for the recording
    ///
    /// The newest is kept in parts, NAME-TIME-0000.mcap and so on, and those of earlier starts count.
    #[arg(long, value_name = "MIB", value_parser = above_zero, help_heading = REPORTS)]
    pub(super) record_limit: Option<u64>,
    /// Record only around frames with detections: this many seconds before and after
    ///
    /// At most 3600; what comes before them is held in at most 256 MiB of memory.
    #[arg(long, value_name = "SECONDS", value_parser = whole, help_heading = REPORTS)]
    pub(super) record_around: Option<u64>,
    /// Serve a page with live pictures, /stream, /events, /metrics and /healthz, for example on 8088
    ///
    /// 127.0.0.1:8088, localhost:8088, :8088 and 8088 are the same; *:8088, another address or a host name reach further and want a token.
    #[arg(long, value_name = "ADDRESS:PORT", help_heading = REPORTS)]
    pub(super) page: Option<Listen>,
    /// What the page asks for; needed wherever other machines can reach it
    #[arg(long, value_name = "TOKEN", help_heading = REPORTS)]
    pub(super) page_token: Option<String>,
    #[command(flatten)]
    pub(super) mqtt: MqttArgs,
    /// Take flags from a configuration file; those given here win. SIGHUP reads it again
    #[arg(long, value_name = "FILE")]
    pub(super) config: Option<PathBuf>,
}

/// A whole number.
fn whole(given: &str) -> Result<u64, String> {
    given.parse().map_err(|_| format!("'{given}' is no whole number"))
}

/// A whole number from 1 on.
fn above_zero(given: &str) -> Result<u64, String> {
    whole(given).ok().filter(|number| *number > 0).ok_or_else(|| format!("'{given}' is no whole number from 1 on"))
}

const SOURCE: &str = "Source";
const NETWORK: &str = "Network";
const BUDGET: &str = "Budget";
const REPORTS: &str = "Reports, recording, page";

impl Args {
    /// What is watched, if it was said.
    pub(in crate::commands) fn source(&self) -> Option<&OsStr> {
        self.source.as_deref()
    }

    /// The recording asked for.
    pub(in crate::commands) fn record(&self) -> Option<&Path> {
        self.record.as_deref()
    }

    /// Its bound, in MiB.
    pub(in crate::commands) fn record_limit(&self) -> Option<u64> {
        self.record_limit
    }

    /// What is kept around an event, where it cannot be had: why not.
    pub(in crate::commands) fn refused_around(&self) -> Option<String> {
        self.record_around.map(Duration::from_secs).and_then(|time| Events::around(time).err())
    }

    /// The configuration file.
    pub(in crate::commands) fn config(&self) -> Option<&Path> {
        self.config.as_deref()
    }

    /// The network asked for, if one was.
    pub(in crate::commands) fn asked_model(&self) -> Option<&Path> {
        self.model.as_deref()
    }

    /// The network asked for, or the one for the source asked for.
    pub(in crate::commands) fn model(&self) -> &Path {
        let usual = || Path::new(default_for(self.source.as_deref().is_none_or(source::is_natural)));
        self.model.as_deref().unwrap_or_else(usual)
    }

    /// The places results go to, as given.
    pub(in crate::commands) fn reports(&self) -> &[ReportTo] {
        &self.report
    }

    /// How brokers are spoken to.
    pub(in crate::commands) fn mqtt(&self) -> &MqttArgs {
        &self.mqtt
    }

    /// The brokers that results go to.
    pub(in crate::commands) fn brokers(&self) -> Vec<&MqttSpec> {
        let specs = self.report.iter().filter_map(|report| if let Destination::Mqtt(spec) = &report.to { Some(spec) } else { None });
        specs.collect()
    }

    /// The budget asked for; None when no part of it was, and none can be later.
    pub(in crate::commands) fn budget(&self) -> Option<Budget> {
        let budget = Budget { deadline: self.deadline, power: self.power, temp: self.temp, mode: self.mode.unwrap_or_default() };
        let asked = self.deadline.is_some() || self.power.is_some() || self.temp.is_some() || self.mode.is_some();
        // Over a link a budget may come at any time; until then nothing is to bind.
        let steered = self.report.iter().any(|report| matches!(report.to, Destination::Link(_)));
        let unbound = Budget { mode: PaceMode::Accuracy, ..Budget::default() };
        if asked { Some(budget) } else { steered.then_some(unbound) }
    }

    /// Where the page listens.
    pub(in crate::commands) fn page(&self) -> Option<&Listen> {
        self.page.as_ref()
    }

    /// What the page asks for.
    pub(in crate::commands) fn page_token(&self) -> Option<&str> {
        self.page_token.as_deref()
    }

    /// The bounds of a recording that is not asked for.
    pub(in crate::commands) fn bounds_without_record(&self) -> Vec<&'static str> {
        let given = [("record-limit", self.record_limit.is_some()), ("record-around", self.record_around.is_some())];
        let stray = given.into_iter().filter(|(_, given)| *given && self.record.is_none());
        stray.map(|(flag, _)| flag).collect()
    }

    /// The recording asked for.
    pub(super) fn recording(&self, timed: bool, watched_by: WatchedBy, classes: &Arc<[String]>) -> Result<Option<Recording>, Failure> {
        let Some(path) = self.record.clone() else { return Ok(None) };
        let limit = self.record_limit.map(|mib| mib.saturating_mul(1 << 20));
        let around = self.record_around.map(Duration::from_secs).map(Events::around).transpose();
        let events = around.map_err(|reason| Failure::new(Cause::Output, format!("recording to {}: {reason}", path.display())))?;
        let spec = RecordSpec { path, limit, events, timed, watched_by: Some(watched_by) };
        let naming = OutcomeFormat { classes: Arc::clone(classes), outcome: Record::json };
        Ok(Some(Recording::start(spec, naming)?))
    }

    /// The budget of a replay: the one asked for, else that of the recorded run.
    pub(super) fn replayed_budget(&self, first: Option<&Decision>) -> Option<Budget> {
        let asked = self.deadline.is_some() || self.power.is_some() || self.temp.is_some() || self.mode.is_some();
        let recorded = first.and_then(|first| first.plan.as_ref()).map(|plan| plan.budget);
        if asked { self.budget() } else { recorded.or(self.budget()) }
    }

    /// What acts on results, keeps them or shows them to others, and so must never be given a generated scene that nobody asked for.
    pub(super) fn takers_of_truth(&self) -> Vec<String> {
        let reports = self.report.iter().filter_map(|report| match &report.to {
            Destination::Terminal | Destination::Json | Destination::Snapshot(_) | Destination::Masks(_) | Destination::Boxes(_) => None,
            Destination::Serial(port) => Some(format!("serial:{}", port.path)),
            Destination::Link(port) => Some(format!("link:{}", port.path)),
            Destination::Mavlink(spec) => Some(format!("mavlink:{}", spec.port.path)),
            Destination::Mqtt(spec) => Some(spec.to_string()),
            Destination::Panel(spec) => Some(format!("panel:{spec}")),
        });
        let recording = self.record.iter().map(|path| format!("the recording {}", path.display()));
        let page = self.page.iter().map(|address| format!("the page on {address}"));
        reports.chain(recording).chain(page).collect()
    }

    /// The engine: with a dump the one whose tensors can be read.
    pub(super) fn engine(&self) -> Result<Choice, Failure> {
        match (self.engine, &self.dump) {
            (Choice::Cuda, Some(_)) => {
                Err(Failure::new(Cause::Usage, "dump: the GPU engine keeps its tensors on the device; add --engine cpu"))
            }
            (_, Some(_)) => Ok(Choice::Cpu),
            (choice, None) => Ok(choice),
        }
    }

    /// The first report that this network has nothing for.
    pub(super) fn report_without_answer(&self, manifest: &Manifest) -> Option<String> {
        let kind = manifest.task.kind;
        let words = self.report.iter().find_map(|report| match &report.to {
            Destination::Masks(_) if matches!(kind, TaskKind::Boxes | TaskKind::Raw) => Some("mask: it has no class for every pixel"),
            Destination::Boxes(_) if kind == TaskKind::Raw => Some("boxes: it has none; --dump DIR writes its tensors"),
            _ => None,
        });
        words.map(|words| format!("report: {} answers {kind:?}, {words}", manifest.name))
    }

    /// The first report that is to tell of a class which the network does not know.
    pub(in crate::commands) fn unknown_class(&self, manifest: &Manifest) -> Option<String> {
        let known = &manifest.task.classes;
        let unknown = self.report.iter().find_map(|report| report.filter.unknown_class(known))?;
        Some(format!("report: {} knows no class '{unknown}'; it knows {}", manifest.name, known.join(", ")))
    }
}
