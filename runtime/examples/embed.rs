//! Watches a camera or a film inside another program: `cargo run --release --example embed -- /dev/video0`, or a film's name.
//!
//! The network is the built-in `street`, which finds people and vehicles; without a name the built-in stream is watched by the network for it.

use std::error::Error;
use std::time::Duration;

use recslowfast::{Frame, Network, Pipeline, Pull, open};

fn main() -> Result<(), Box<dyn Error>> {
    watch(std::env::args_os().nth(1), u64::MAX)
}

fn watch(uri: Option<std::ffi::OsString>, frames: u64) -> Result<(), Box<dyn Error>> {
    let (network, uri) = match uri {
        Some(uri) => (Network::load("street")?, uri),
        None => (Network::load("pathfinder-hgru")?, "pathfinder:easy?seed=7&size=64".into()),
    };
    let mut source = open(uri)?;
    let mut pipeline = Pipeline::builder(&network).source(source.info()).build()?;
    let classes = &network.manifest.task.classes;
    let (mut frame, mut answered) = (Frame::default(), 0);
    while answered < frames {
        match source.pull(&mut frame, Duration::from_secs(1))? {
            Pull::Frame => {}
            Pull::Waiting => continue,
            Pull::End => break,
        }
        let answer = pipeline.answer(&frame)?;
        answered += 1;
        println!("frame {}: {} steps, {:.1} ms", frame.sequence, answer.trace.steps, answer.stages.total().as_secs_f64() * 1e3);
        for seen in answer.detections.iter() {
            let class = classes.get(usize::from(seen.class)).map_or("?", String::as_str);
            println!("  {class} {:.0} % at {:.0}, {:.0}", 100.0 * seen.score, seen.region.x, seen.region.y);
        }
    }
    Ok(())
}

#[test]
fn the_built_in_stream_is_watched() {
    watch(None, 3).unwrap();
}
