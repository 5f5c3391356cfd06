//! What runs on the virtual board: one scenario a run, one line when it holds, an error when it does not.
//!
//! `recslowfast-lab tensor|feed|unplug|stall|errors|doctor|change|userptr|pinned|corrupt|soak ...`; the scripts in `scenarios/` say with which arguments.

mod board;
#[path = "../../capture/counting.rs"]
mod counting;
mod feed;
mod scenarios;

use anyhow::{Result, bail};

#[global_allocator]
static ALLOCATOR: counting::Counting = counting::Counting;

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["tensor", uri, width, height, out, picture] => scenarios::tensor(uri, width.parse()?, height.parse()?, out, picture),
        ["feed", device, fourcc, width, height, fps, files @ ..] => {
            feed::feed(device, fourcc, width.parse()?, height.parse()?, fps.parse()?, files)
        }
        ["unplug", cycles] => scenarios::unplug(cycles.parse()?),
        ["stall", stalls] => scenarios::stall(stalls.parse()?),
        ["doctor"] => scenarios::doctor(),
        ["change", changes] => scenarios::change(changes.parse()?),
        ["userptr"] => scenarios::userptr(),
        ["pinned", network] => scenarios::pinned(network),
        ["errors"] => scenarios::errors(),
        ["corrupt", uri, frames, every] => scenarios::corrupt(uri, frames.parse()?, every.parse()?),
        ["soak", frames] => scenarios::soak(frames.parse()?),
        _ => bail!("no such scenario: {words:?}"),
    }
}
