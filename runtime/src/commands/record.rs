//! `recslowfast record`: keep what a source delivers, without a network.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args as ClapArgs;

use crate::capture::recording::{RecordSpec, Recorder};
use crate::capture::{self, Patience, Pull, Want};
use crate::clock;
use crate::frame::Frame;
use crate::service::ends::{self, RECORDING_GRACE};
use crate::service::exit::{Cause, Failure};
use crate::service::life::Life;

/// How long one pull may wait before the stop flag is looked at again.
const WAIT: Duration = Duration::from_millis(100);

/// What to record, and where.
#[derive(ClapArgs)]
pub struct Args {
    /// A camera, file or stream, as for `run --source`
    source: OsString,
    /// The recording, ending in .mcap
    file: PathBuf,
    /// End after this many frames
    #[arg(long, value_name = "N")]
    frames: Option<u64>,
    /// End after this many seconds
    #[arg(long, value_name = "S")]
    seconds: Option<u64>,
    /// Use at most this much disk: the newest is kept in four parts, NAME-0000.mcap and so on
    #[arg(long, value_name = "MIB")]
    limit: Option<u64>,
}

/// Runs the verb.
pub fn run(args: Args) -> Result<(), Failure> {
    let life = Life::begin(false)?;
    let mut source = capture::start(&args.source, &Want::default(), None, Patience::default())?;
    let limit = args.limit.map(|mib| mib.saturating_mul(1 << 20));
    let mut recorder = Recorder::create(RecordSpec { path: args.file, limit, events: None, timed: source.info().timed }).map_err(output)?;
    let unfinished = ends::hold("the recording", RECORDING_GRACE);
    log::info!("recording {}", source.info().description);
    let until = args.seconds.map(|seconds| clock::now().saturating_add(Duration::from_secs(seconds)));
    let mut frame = Frame::default();
    let mut left = args.frames.unwrap_or(u64::MAX);
    while left > 0 && until.is_none_or(|until| clock::now() < until) && life.goes_on() {
        match source.pull(&mut frame, WAIT)? {
            Pull::Frame => {
                recorder.frame(&frame).map_err(output)?;
                left -= 1;
            }
            Pull::Waiting => {}
            Pull::End => break,
        }
    }
    let losses = source.losses();
    let summary = recorder.finish().map_err(output)?;
    drop(unfinished);
    let files: Vec<_> = summary.files.iter().map(|path| path.display().to_string()).collect();
    let lost = losses.dropped + losses.skipped + losses.corrupt;
    log::info!(
        "{} frames in {:.1} MiB: {}; {lost} frames were lost on the way",
        summary.frames,
        summary.bytes as f64 / f64::from(1 << 20),
        files.join(", ")
    );
    Ok(())
}

fn output(error: crate::capture::recording::RecordError) -> Failure {
    Failure::new(Cause::Output, error)
}
