//! `recslowfast dataset`: generated videos as files.

use std::path::PathBuf;

use clap::{Args as ClapArgs, Subcommand};
use temporal_pathfinder::{Spec, Split};

use super::out::say;
use super::progress;
use crate::service::exit::{Cause, Failure};

/// Which generator.
#[derive(ClapArgs)]
pub struct Args {
    #[command(subcommand)]
    kind: Kind,
}

#[derive(Subcommand)]
enum Kind {
    /// Videos of growing, drifting contours and the masks of the longest one, in Temporal Pathfinder's public layout
    Pathfinder {
        /// easy (contours keep clear) or hard (contours may cross)
        #[arg(long, default_value = "easy")]
        split: Split,
        /// How many videos
        #[arg(long, default_value_t = 100)]
        videos: u64,
        /// Frames per video
        #[arg(long, default_value_t = 6)]
        frames: u32,
        /// The same seed gives the same videos
        #[arg(long, default_value_t = 1)]
        seed: u64,
        /// Width and height in pixels
        #[arg(long, default_value_t = 150)]
        size: u32,
        /// Folder to write to; made if it is not there
        #[arg(long)]
        out: PathBuf,
    },
}

/// Runs the verb.
pub fn run(args: Args) -> Result<(), Failure> {
    let Kind::Pathfinder { split, videos, frames, seed, size, out } = args.kind;
    let spec = Spec { split, seed, size, frames };
    spec.check().map_err(|error| Failure::new(Cause::Usage, error))?;
    let bar = progress::bar(videos, "videos");
    temporal_pathfinder::write_dataset(spec, videos, &out, |done| bar.set_position(done))
        .map_err(|error| Failure::new(Cause::Output, error))?;
    bar.finish();
    say!("{videos} videos of {frames} frames ({size}x{size}, {split}, seed {seed}) in {}", out.display())?;
    Ok(())
}
