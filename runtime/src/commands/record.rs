//! `recslowfast record`: keep what a source delivers, without a network.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args as ClapArgs;

use crate::capture::{CaptureRequest, Timeouts};
use crate::clock;
use crate::frame::Frame;
use crate::recording::{OutcomeFormat, RecordSpec, Recording};
use crate::service::ends;
use crate::service::exit::{Cause, Failure};
use crate::service::lifecycle::Lifecycle;
use crate::service::places;
use crate::source::Pull;
use crate::sources;

/// How long one pull may wait before the stop flag is looked at again.
const WAIT: Duration = Duration::from_millis(100);

/// What to record, and where.
#[derive(ClapArgs)]
pub struct Args {
    /// A camera, file or stream, as for `run --source`
    source: OsString,
    /// The recording, ending in .mcap; a file that is there is kept, and the new one has the time in its name
    file: PathBuf,
    /// End after this many frames
    #[arg(long, value_name = "N")]
    frames: Option<u64>,
    /// End after this many seconds
    #[arg(long, value_name = "S")]
    seconds: Option<u64>,
    /// Use at most this much disk: the newest is kept in parts, NAME-TIME-0000.mcap and so on, and those of earlier starts count
    #[arg(long, value_name = "MIB")]
    limit: Option<u64>,
}

/// Runs the verb.
pub fn run(args: Args) -> Result<(), Failure> {
    if let Some(source) = sources::path(&args.source)
        && let Some(words) = places::recording_collision(&args.file, args.limit.is_some(), &source)
    {
        return Err(Failure::new(Cause::Usage, words));
    }
    let lifecycle = Lifecycle::begin(false)?;
    let mut source = sources::start(&args.source, &CaptureRequest::default(), None, Timeouts::default())?;
    let limit = args.limit.map(|mib| mib.saturating_mul(1 << 20));
    let spec =
        RecordSpec { path: args.file, limit, events: None, timed: source.info().timed, watched_by: source.info().watched_by.clone() };
    let mut recording = Recording::start(spec, OutcomeFormat::default())?;
    let wait = !source.info().live;
    let unfinished = ends::hold_recording(recording.path());
    log::info!("recording {}", source.info().description);
    let until = args.seconds.map(|seconds| clock::now().saturating_add(Duration::from_secs(seconds)));
    let mut frame = Frame::default();
    let mut left = args.frames.unwrap_or(u64::MAX);
    while left > 0 && until.is_none_or(|until| clock::now() < until) && lifecycle.goes_on() {
        match source.pull(&mut frame, WAIT)? {
            Pull::Frame => {
                let recorded = source.recorded();
                let wall = recorded.map_or_else(|| Some(clock::wall_of(frame.captured)), |recorded| recorded.wall);
                let run = recorded.and_then(|recorded| recorded.run.as_ref()).map(ToString::to_string);
                recording.take(&frame, wall.unwrap_or(frame.captured), run, None, wait);
                left -= 1;
                if recording.failed() {
                    break;
                }
            }
            Pull::Waiting => {}
            Pull::End => break,
        }
    }
    let losses = source.losses();
    let summary = recording.finish()?;
    drop(unfinished);
    let files: Vec<_> = summary.files.iter().map(|path| path.display().to_string()).collect();
    let lost = losses.dropped + losses.skipped + losses.corrupt + summary.lost;
    log::info!(
        "{} frames in {:.1} MiB: {}; {lost} frames were lost on the way",
        summary.frames,
        summary.bytes as f64 / f64::from(1 << 20),
        files.join(", ")
    );
    Ok(())
}
