//! The sinks of a run, each on a thread of its own.

use std::path::Path;
use std::sync::Arc;

use super::Args;
use crate::commands::console;
use crate::commands::listen::Listen;
use crate::commands::report_to::{Destination, ReportTo};
use crate::control::ControlQueue;
use crate::network::manifest::Manifest;
use crate::pace::sensors::Board;
use crate::report::{
    self, About, BoxFile, Filtered, Heading, HeadingHandle, JsonLines, Link, MaskFiles, Mavlink, Mqtt, Overflow, Page, PlainLines,
    SerialLines, Sink, SinkError, SinkWorker, Snapshot, Terminal,
};
use crate::service::exit::{Cause, Failure};
use crate::service::logging;

/// What links and panels say of this run.
pub(super) fn about(args: &Args, manifest: &Manifest, classes: Arc<[String]>) -> About {
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
pub(super) fn start_page(
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

/// A worker for every place that results go to, `sees` naming the classes that can be reported; without any place the terminal, or JSON lines where nobody looks.
pub(super) fn workers(
    args: &Args,
    title: &str,
    about: &About,
    sees: &[String],
    control_queue: &ControlQueue,
    live: bool,
) -> Result<Vec<SinkWorker>, Failure> {
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
            Destination::Mqtt(spec) => {
                let options = args.mqtt.options(&spec).map_err(|reason| Failure::new(Cause::Output, format!("{spec}: {reason}")))?;
                if let Some(words) = args.mqtt.warning(&spec) {
                    log::warn!("{words}");
                }
                let mqtt = Mqtt::start(&spec, options, about, sees, control_queue.clone()).map_err(internal)?;
                ("mqtt", Box::new(mqtt), Overflow::DropOldest)
            }
            Destination::Panel(spec) => ("panel", report::panel(&spec, about, control_queue.clone()), Overflow::DropOldest),
            Destination::Snapshot(path) => ("snapshot", Box::new(Snapshot::new(path, classes)), overflow),
            Destination::Masks(folder) => ("mask", Box::new(MaskFiles::create(&folder)?), overflow),
            Destination::Boxes(path) => ("boxes", Box::new(BoxFile::new(path, classes)), overflow),
        };
        SinkWorker::start(name, Filtered::over(sink, filter, Arc::clone(&about.classes)), overflow).map_err(internal)
    };
    wanted.into_iter().map(start).collect()
}
